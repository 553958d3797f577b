#!/usr/bin/env python3
"""Asks Nova's own objects and commands whether a cloud is whole whose API database was made again.

  nova_after.py FOLDER   prints one JSON object: what was asked, and what isn't as it should be

The cells know what is right: each instance's flavor, image, topology, key pairs. Runs in an
environment with the Nova that made the cloud.
"""
import contextlib
import io
import json
import os
import pathlib
import sqlite3
import sys

sys.dont_write_bytecode = True
from nova_cloud import CELL0, start_nova  # noqa: E402

ATTRIBUTES = ["flavor", "numa_topology", "pci_requests", "keypairs", "system_metadata"]
SUCCESS = 0


class Inspection:
    def __init__(self, folder):
        self.folder, self.problems, self.counts = folder, [], {}
        self.objects = start_nova(folder / "nova.conf")
        from nova import context
        from nova.cmd import manage, status
        from nova.scheduler import utils
        self.context_module, self.scheduler_utils = context, utils
        self.manage, self.status = manage.CellV2Commands(), status.UpgradeCommands()
        self.admin = context.get_admin_context(read_deleted="yes")

    def expect(self, found, right, what):
        self.counts["compared"] = self.counts.get("compared", 0) + 1
        if found != right:
            self.problems.append(f"{what}: {found!r} instead of {right!r}")

    def count(self, what):
        self.counts[what] = self.counts.get(what, 0) + 1

    def run(self):
        database = sqlite3.connect(self.folder / "nova_api.sqlite")
        rows = database.execute(
            "SELECT instance_uuid FROM instance_mappings WHERE instance_uuid <> ?"
            " AND cell_id IS NOT NULL ORDER BY instance_uuid", (CELL0,)).fetchall()
        database.close()
        for identifier, in rows:
            mapping = self.objects.InstanceMapping.get_by_instance_uuid(self.admin, identifier)
            with self.context_module.target_cell(self.admin, mapping.cell_mapping) as targeted:
                self.instance(identifier, mapping, targeted)
        self.commands(rows)
        return {"problems": self.problems, **self.counts}

    def instance(self, identifier, mapping, targeted):
        instance = self.objects.Instance.get_by_uuid(
            targeted, identifier, expected_attrs=ATTRIBUTES)
        code = self.manage.verify_instance(identifier, quiet=True)
        self.expect(code, 3 if instance.deleted else 0, f"verify_instance {identifier}")
        if instance.deleted:
            return
        self.count("instances")
        self.flavor(instance)
        for pair in instance.keypairs:
            found = self.objects.KeyPair.get_by_name(self.admin, pair.user_id, pair.name)
            self.expect((found.public_key, found.type, found.fingerprint),
                        (pair.public_key, pair.type, pair.fingerprint), f"key of {identifier}")
            self.count("keys")
        volumes = self.objects.BlockDeviceMappingList.get_by_instance_uuid(targeted, identifier)
        self.request_spec(instance, mapping, volumes.root_bdm())

    def flavor(self, instance):
        right = instance.flavor
        found = self.objects.Flavor.get_by_flavor_id(self.admin, right.flavorid)
        names = ["id", "name", "memory_mb", "vcpus", "root_gb", "ephemeral_gb", "swap",
                 "rxtx_factor", "vcpu_weight", "disabled", "is_public", "description",
                 "extra_specs"]
        self.expect([getattr(found, name) for name in names],
                    [getattr(right, name) for name in names], f"flavor {right.name}")

    def request_spec(self, instance, mapping, root):
        identifier = instance.uuid
        spec = self.objects.RequestSpec.get_by_instance_uuid(self.admin, identifier)
        self.count("specs")
        image = instance.image_meta
        for name in ["disk_format", "container_format", "min_disk", "min_ram"]:
            self.expect(getattr(spec.image, name), getattr(image, name), f"{identifier} {name}")
        self.expect(spec.image.id if "id" in spec.image else "", instance.image_ref,
                    f"{identifier} image")
        for name in image.properties.fields:
            if name in image.properties:
                self.expect(spec.image.properties.get(name), image.properties.get(name),
                            f"{identifier} image {name}")
        for name in ["project_id", "user_id", "availability_zone"]:
            self.expect(getattr(spec, name), getattr(instance, name), f"{identifier} {name}")
        self.expect(spec.instance_uuid, identifier, "the instance of a request spec")
        self.expect(spec.is_bfv, root is not None and root.is_volume, f"{identifier} volume")
        for name in ["flavor", "numa_topology", "pci_requests"]:
            self.expect(primitive(getattr(spec, name)), primitive(getattr(instance, name)),
                        f"{identifier} {name}")
        # In the order of random UUIDs: a third has them of every kind, and each costs three queries.
        if self.counts["specs"] % 3 == 0:
            self.move(spec, mapping)

    def move(self, spec, mapping):
        """What the API and the conductor do to a request spec for a resize, a cold migration, an
        unshelving and an evacuation, before and after they have asked the scheduler."""
        self.scheduler_utils.ResourceRequest.from_request_spec(spec)
        spec.to_legacy_request_spec_dict()
        spec.to_legacy_filter_properties_dict()
        spec.ensure_project_and_user_id(self.objects.Instance(
            project_id=spec.project_id, user_id=spec.user_id))
        spec.reset_forced_destinations()
        spec.ignore_hosts = ["old-host"]
        spec.requested_destination = self.objects.Destination(cell=mapping.cell_mapping)
        spec.flavor = self.objects.Flavor.get_by_flavor_id(self.admin, spec.flavor.flavorid)
        spec.save()
        again = self.objects.RequestSpec.get_by_instance_uuid(self.admin, spec.instance_uuid)
        self.expect((again.flavor.name, again.ignore_hosts), (spec.flavor.name, None),
                    f"{spec.instance_uuid} saved")

    def commands(self, rows):
        self.expect(self.status._check_cellsv2().code, SUCCESS, "nova-status: Cells v2")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            self.expect(self.manage.list_cells(), 0, "list_cells")
            self.expect(self.manage.list_hosts(), 0, "list_hosts")
        for cell in self.objects.CellMappingList.get_all(self.admin):
            self.expect(cell.uuid in said.getvalue(), True, f"list_cells names {cell.uuid}")
            if cell.uuid == CELL0:
                continue
            with self.context_module.target_cell(self.admin, cell) as targeted:
                nodes = self.objects.ComputeNodeList.get_all(targeted)
            for node in nodes:
                host = self.objects.HostMapping.get_by_host(self.admin, node.host)
                self.expect(host.cell_mapping.uuid, cell.uuid, f"the cell of {node.host}")
                self.expect(node.host in said.getvalue(), True, f"list_hosts names {node.host}")
                self.count("hosts")


def primitive(value):
    """An object as JSON, without what is only the object's own history."""
    from oslo_serialization import jsonutils

    def plain(part):
        if isinstance(part, dict):
            return {key: plain(item) for key, item in part.items()
                    if key not in ("nova_object.changes", "nova_object.version", "is_new",
                                   "instance_uuid") and item is not None}
        if isinstance(part, list):
            return [plain(item) for item in part]
        return part
    return plain(jsonutils.to_primitive(value.obj_to_primitive())) if value is not None else None


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1]).resolve()
    os.chdir(folder)
    print(json.dumps(Inspection(folder).run()))
