"""Moves between cells by Nova's own conductor, stopped behind each of its saves.

The tasks are those of nova.conductor; what nova-compute would do to the rows is done by `Compute`, and
networks and volumes answer as if all were well. A move that is stopped leaves what a conductor leaves
that is killed then: nothing is rolled back.
"""
import contextlib
import uuid
from unittest import mock

from nova_boots import now

SAVES = [("Instance", "create"), ("Instance", "save"), ("Instance", "destroy"),
         ("Migration", "create"), ("Migration", "save"), ("InstanceMapping", "save")]
MOST_SAVES = 60


class Killed(BaseException):
    """The end of a process: no handler of Nova's takes it for a failure."""


@contextlib.contextmanager
def killed_after(objects, saves):
    """Ends whatever is done with the objects behind so many saves; gives the list of those made."""
    made, patches = [], []

    def counted(kind, verb, original):
        def save(self, *arguments, **options):
            if len(made) == saves:
                raise Killed
            result = original(self, *arguments, **options)
            made.append(f"{kind}.{verb}")
            if len(made) == saves:
                raise Killed
            return result
        return save

    for kind, verb in SAVES:
        of_kind = getattr(objects, kind)
        patches.append(mock.patch.object(of_kind, verb, counted(kind, verb, getattr(of_kind, verb))))
    with contextlib.ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        try:
            yield made
        except Killed:
            pass


def volumes():
    """Cinder, which attaches whatever it is asked to."""
    cinder = mock.MagicMock()
    cinder.attachment_create.return_value = {"id": str(uuid.uuid4())}
    return cinder


class Compute:
    """What nova-compute saves when the conductor calls it, in its order."""

    def __init__(self, objects, source, target):
        self.objects, self.source, self.target = objects, source, target

    def _settle(self, instance, node):
        instance.host, instance.node = node.host, node.hypervisor_hostname
        if "compute_id" in instance.fields:  # Not before 28.
            instance.compute_id = node.id

    def prep_snapshot_based_resize_at_dest(
            self, context, instance, flavor, node, migration, limits, spec, host):
        migration.dest_compute, migration.dest_node, migration.dest_host = host, node, "192.0.2.7"
        migration.status = "pre-migrating"
        migration.save()
        instance.migration_context = self.objects.MigrationContext(
            context, instance_uuid=instance.uuid, migration_id=migration.id,
            old_numa_topology=None, new_numa_topology=None, old_pci_devices=None,
            new_pci_devices=None, old_pci_requests=None, new_pci_requests=None,
            old_resources=None, new_resources=None)
        instance.save()
        return instance.migration_context

    def prep_snapshot_based_resize_at_source(self, context, instance, migration, snapshot_id=None):
        for status in ("migrating", "post-migrating"):
            migration.status = status
            migration.save()
        instance.task_state = "resize_migrated"
        instance.save()

    def finish_snapshot_based_resize_at_dest(
            self, context, instance, migration, snapshot_id, spec):
        instance.old_flavor, instance.flavor = instance.flavor, instance.new_flavor
        instance.instance_type_id = instance.flavor.id
        instance.task_state = "resize_finish"
        instance.save()
        migration.status = "finished"
        migration.save()
        instance.vm_state, instance.task_state, instance.launched_at = "resized", None, now()
        self._settle(instance, self.target)
        instance.save()

    def confirm_snapshot_based_resize_at_source(self, context, instance, migration):
        migration.status = "confirmed"
        migration.save()

    def revert_snapshot_based_resize_at_dest(self, context, instance, migration):
        instance.drop_migration_context()

    def finish_revert_snapshot_based_resize_at_source(self, context, instance, migration):
        instance.flavor = instance.old_flavor
        instance.instance_type_id = instance.flavor.id
        self._settle(instance, self.source)
        instance.save()
        instance.vm_state, instance.task_state = "active", None
        instance.save()
        migration.status = "reverted"
        migration.save()


class Moves:
    """Moves of servers from one host of one cell to one of another."""

    def __init__(self, boots, source_cell, source, target_cell, target):
        from nova.compute import utils
        from nova.conductor.tasks import cross_cell_migrate
        self.boots, self.objects, self.tasks = boots, boots.objects, cross_cell_migrate
        self.cells = (source_cell, target_cell)
        self.source, self.target = source, target
        self.compute = Compute(self.objects, source, target)
        # What tells others of a move; nobody listens.
        for name in ("notify_about_instance_usage", "notify_about_instance_action",
                     "notify_about_resize_prep_instance"):
            if hasattr(utils, name):
                setattr(utils, name, lambda *_, **__: None)

    def targeted(self, cell):
        """A context of its own, aimed at a cell as the conductor's is."""
        module = self.boots.context_module
        context = module.get_admin_context()
        module.set_target_cell(context, cell)
        return context

    def _instance(self, cell, identifier):
        return self.objects.Instance.get_by_uuid(
            self.targeted(cell), identifier,
            expected_attrs=["flavor", "info_cache", "system_metadata", "tags", "keypairs",
                            "numa_topology", "pci_requests", "metadata"])

    def begin(self, identifier, flavor):
        """Moves to the other cell, up to where the user confirms or reverts."""
        instance = self._instance(self.cells[0], identifier)
        instance.task_state = "resize_prep"
        instance.save()
        node = {"source_compute_id": self.source.id} if (
            "source_compute_id" in self.objects.Migration.fields) else {}
        migration = self.objects.Migration(
            instance._context, uuid=str(uuid.uuid4()), instance_uuid=identifier,
            source_compute=instance.host, source_node=instance.node,
            old_instance_type_id=instance.flavor.id, new_instance_type_id=flavor.id,
            status="pre-migrating", migration_type="resize", **node)
        migration.create()
        self._record(instance, "resize")
        spec = self.objects.RequestSpec(
            instance._context, instance_uuid=identifier, flavor=flavor, is_bfv=True)
        selection = self.objects.Selection(
            service_host=self.target.host, nodename=self.target.hypervisor_hostname,
            cell_uuid=self.cells[1].uuid, limits=None)
        task = self.tasks.CrossCellMigrationTask(
            instance._context, instance, flavor, spec, migration, self.compute, selection, [])
        task.network_api = task.image_api = mock.MagicMock()
        task.network_api.bind_ports_to_host.return_value = {}
        task.volume_api = volumes()
        task.execute()

    def _record(self, instance, action):
        self.objects.InstanceAction.action_start(
            instance._context, instance.uuid, action, want_result=False)

    def _moved(self, identifier):
        instance = self._instance(self.cells[1], identifier)
        migration = self.objects.Migration.get_by_instance_and_status(
            instance._context, identifier, "finished")
        return instance, migration

    def confirm(self, identifier):
        instance, migration = self._moved(identifier)
        migration.status = "confirming"
        migration.save()
        self._record(instance, "confirmResize")
        self.tasks.ConfirmResizeTask(
            instance._context, instance, migration, mock.MagicMock(), self.compute).execute()

    def revert(self, identifier):
        instance, migration = self._moved(identifier)
        instance.task_state = "resize_reverting"
        instance.save()
        migration.status = "reverting"
        migration.save()
        self._record(instance, "revertResize")
        self.objects.InstanceActionEvent.event_start(
            instance._context, identifier, "conductor_revert_snapshot_based_resize",
            want_result=False)
        task = self.tasks.RevertResizeTask(
            instance._context, instance, migration, mock.MagicMock(), self.compute)
        task.volume_api = volumes()
        task.execute()

    def stopped_everywhere(self, boot, flavor):
        """Moves as many new servers as it takes to stop behind each save; each stop's last save, by
        the server's UUID."""
        stops = {}
        for ending in (None, self.confirm, self.revert):
            for saves in range(1, MOST_SAVES):
                identifier = boot()
                if ending is None:
                    with killed_after(self.objects, saves) as made:
                        self.begin(identifier, flavor)
                else:
                    self.begin(identifier, flavor)
                    with killed_after(self.objects, saves) as made:
                        ending(identifier)
                what = ending.__name__ if ending else "begin"
                stops[identifier] = f"{what} {saves}: {made[-1]}"
                if len(made) < saves:
                    break
        return stops
