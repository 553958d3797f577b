"""The steps by which Nova boots, deletes and restores servers, each of them saves of its own objects.

What a service does between two saves (choose a host, tell a hypervisor) leaves nothing in the tables
and is left out. So each step can be the last one: that is where a service died.
"""
import datetime
import uuid


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def furnish(objects, instance, number, key_pairs):
    """What schedulers look at when an instance is moved later."""
    if number % 2:
        instance.keypairs = objects.KeyPairList(objects=[key_pairs[number % len(key_pairs)]])
        instance.key_name = "key"
    if number % 5 == 0:
        instance.numa_topology = objects.InstanceNUMATopology(cells=[
            objects.InstanceNUMACell(id=0, cpuset={0}, pcpuset=set(), memory=2048)])
    requests = [objects.InstancePCIRequest(
        count=1, spec=[{"vendor_id": "8086"}], alias_name="a1", request_id=str(uuid.uuid4()))]
    instance.pci_requests = objects.InstancePCIRequests(
        instance_uuid=instance.uuid, requests=requests if number % 7 == 0 else [])
    metadata = {"image_min_ram": "0", "image_min_disk": "1", "image_hw_disk_bus": "scsi",
                "image_container_format": "bare", "image_disk_format": "qcow2",
                "image_hw_numa_nodes": "1", "image_trait:HW_CPU_X86_AVX": "required",
                "image_os_require_quiesce": "yes", "image_architecture": "x86_64",
                "image_base_image_ref": str(uuid.UUID(int=number))}
    instance.system_metadata = metadata
    instance.image_ref = "" if number % 4 == 0 else str(uuid.UUID(int=number))
    instance.availability_zone = None if number % 6 == 0 else f"zone-{number % 3}"


def add_volume(objects, targeted, instance):
    objects.BlockDeviceMapping(
        targeted, instance_uuid=instance.uuid, boot_index=0, source_type="volume",
        destination_type="volume", volume_id=str(uuid.uuid4()), device_name="/dev/vda").create()


def add_host(objects, targeted, host):
    """A compute host with its service, as it registers itself in its cell; returns the node."""
    objects.Service(
        targeted, host=host, binary="nova-compute", topic="compute", report_count=1).create()
    node = objects.ComputeNode(
        targeted, uuid=str(uuid.uuid4()), host=host, vcpus=64, memory_mb=262144,
        local_gb=2000, vcpus_used=0, memory_mb_used=512, local_gb_used=0,
        hypervisor_type="QEMU", hypervisor_version=8002000, cpu_info="{}",
        hypervisor_hostname=f"{host}.example.org", cpu_allocation_ratio=4.0,
        ram_allocation_ratio=1.0, disk_allocation_ratio=1.0)
    node.create()
    return node


class Boots:
    """Boots by nova-api, the conductor and nova-compute, and what users do to a server later."""

    def __init__(self, objects, flavors, key_pairs):
        from nova import context, exception
        from nova.db.api import api
        from nova.network.model import NetworkInfo
        self.network_info = NetworkInfo
        self.objects, self.context_module, self.exception = objects, context, exception
        self.flavors, self.key_pairs, self.api = flavors, key_pairs, api
        self.context = context.get_admin_context()

    def target(self, cell):
        return self.context_module.target_cell(self.context, cell)

    # nova-api

    def accept(self, number, project, user):
        """Request spec, build request and a mapping without a cell, in one transaction."""
        objects, context = self.objects, self.context
        identifier, flavor = str(uuid.uuid4()), self.flavors[number % len(self.flavors)]
        instance = objects.Instance(
            context, uuid=identifier, project_id=project, user_id=user, vm_state="building",
            task_state="scheduling", display_name=f"boot-{number}", flavor=flavor,
            instance_type_id=flavor.id, host=None)
        instance.info_cache = objects.InstanceInfoCache(
            instance_uuid=identifier, network_info=self.network_info())
        furnish(objects, instance, number, self.key_pairs)
        spec = objects.RequestSpec(
            context, instance_uuid=identifier, project_id=project, user_id=user, flavor=flavor,
            num_instances=1, is_bfv=False)
        request = objects.BuildRequest(
            context, instance=instance, instance_uuid=identifier, project_id=project,
            block_device_mappings=objects.BlockDeviceMappingList(objects=[]),
            tags=objects.TagList(objects=[]))
        mapping = objects.InstanceMapping(
            context, instance_uuid=identifier, project_id=project, user_id=user, cell_mapping=None)

        @self.api.context_manager.writer
        def together(_):
            for made in (spec, request, mapping):
                made.create()
        together(context)
        return identifier

    def request(self, identifier):
        """The build request; None where the user has deleted the server meanwhile."""
        try:
            return self.objects.BuildRequest.get_by_instance_uuid(self.context, identifier)
        except self.exception.BuildRequestNotFound:
            return None

    # The conductor

    def create(self, identifier, cell):
        """The instance, in its cell; without a build request its mapping goes instead."""
        request = self.request(identifier)
        if request is None:
            self.mapping(identifier).destroy()
            return False
        instance = request.get_new_instance(self.context)
        with self.target(cell) as targeted, instance.obj_alternate_context(targeted):
            instance.create()
            if instance.image_ref == "":
                add_volume(self.objects, targeted, instance)
        return True

    def map(self, identifier, cell):
        mapping = self.mapping(identifier)
        mapping.cell_mapping = cell
        mapping.save()

    def drop_request(self, identifier, cell):
        """The build request goes; where it has gone already, so does the instance."""
        request = self.request(identifier)
        if request is not None:
            request.destroy()
            return
        with self.target(cell) as targeted:
            self.instance(targeted, identifier).destroy()

    def bury(self, identifier, cell0):
        """No host was found: the server's place is cell0."""
        instance = self.request(identifier).get_new_instance(self.context)
        instance.vm_state, instance.task_state = "error", None
        with self.target(cell0) as targeted, instance.obj_alternate_context(targeted):
            instance.create()
            if instance.image_ref == "":
                add_volume(self.objects, targeted, instance)
        self.map(identifier, cell0)
        self.request(identifier).destroy()

    # nova-compute

    def run(self, identifier, cell, node):
        with self.target(cell) as targeted:
            instance = self.instance(targeted, identifier)
            instance.host, instance.node = node.host, node.hypervisor_hostname
            if "compute_id" in instance.fields:  # Not before 28.
                instance.compute_id = node.id
            instance.vm_state, instance.task_state, instance.launched_at = "active", None, now()
            instance.save()

    def boot(self, number, project, user, cell, node):
        """All of it, for one server."""
        identifier = self.accept(number, project, user)
        self.create(identifier, cell)
        self.map(identifier, cell)
        self.drop_request(identifier, cell)
        self.run(identifier, cell, node)
        return identifier

    # What users do later: nova-api's saves, then those of nova-compute

    def mapping(self, identifier):
        return self.objects.InstanceMapping.get_by_instance_uuid(self.context, identifier)

    def instance(self, targeted, identifier):
        return self.objects.Instance.get_by_uuid(
            targeted, identifier, expected_attrs=["flavor", "system_metadata"])

    def mark(self, identifier, queued):
        mapping = self.mapping(identifier)
        mapping.queued_for_delete = queued
        mapping.save()

    def _change(self, identifier, cell, **attributes):
        with self.target(cell) as targeted:
            instance = self.instance(targeted, identifier)
            for name, value in attributes.items():
                setattr(instance, name, value)
            instance.save()
            return instance

    def delete(self, identifier, cell, ends="deleted"):
        """The delete is accepted; then it is done, or fails, or nova-compute never hears of it."""
        self._change(identifier, cell, task_state="deleting")
        self.mark(identifier, True)
        if ends == "failed":
            self._change(identifier, cell, vm_state="error", task_state=None)
        if ends != "deleted":
            return
        with self.target(cell) as targeted:
            instance = self.instance(targeted, identifier)
            instance.vm_state, instance.task_state, instance.terminated_at = "deleted", None, now()
            instance.save()
            instance.destroy()

    def delete_while_booting(self, identifier):
        self.request(identifier).destroy()

    def soft_delete(self, identifier, cell):
        self._change(identifier, cell, task_state="soft-deleting", deleted_at=now())
        self.mark(identifier, True)
        self._change(identifier, cell, vm_state="soft-delete", task_state=None)

    def restore(self, identifier, cell, is_heard=True):
        self._change(identifier, cell, task_state="restoring", deleted_at=None)
        self.mark(identifier, False)
        if is_heard:
            self._change(identifier, cell, vm_state="active", task_state=None)
