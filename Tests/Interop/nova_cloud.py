#!/usr/bin/env python3
"""A cells-v2 deployment made and read by Nova itself: its migrations, its commands, its objects.

  nova_cloud.py build FOLDER   makes the databases (SQLite, with addresses relative to FOLDER)
  nova_cloud.py ask FOLDER     prints what Nova's objects say of each instance, a JSON line each
  nova_cloud.py complete FOLDER   adds the tables that the cells of a sample cloud lack, empty

Runs in the virtual environment of `tools/setup --interop`. Times and UUIDs are Nova's own, so two
builds differ; the answers always come from the databases just built.
"""
import datetime
import json
import logging
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import uuid

sys.dont_write_bytecode = True
from nova_boots import add_host, add_volume, furnish  # noqa: E402

CELL0 = "00000000-0000-0000-0000-000000000000"
CELLS, HOSTS, INSTANCES, MAPPED_BY_NOVA, LEFT_UNMAPPED = 3, 4, 360, 40, 8

# The base of the templates: two brokers, and characters that only survive if nobody decodes them.
BASE_QUEUE = ("rabbit://base:b%40se-secret@mq1.example.org:5671,"
              "second:s%2Fcond-secret@mq2.example.org:5672/api?ssl=1")
QUEUES = {
    0: "none:///",
    1: "rabbit://nova:secret-1@mq1.example.org:5672/cell1",
    2: "{scheme}://{username1}:{password1}@{hostname1}:{port1},"
       "{username2}:{password2}@{hostname2}:{port2}/cell2?{query}",
    3: "rabbit://nova:s%40cret%2F3@mq3a.example.org:5672,"
       "nova:s%40cret%2F3@[2001:db8::3]:5673/cell%2F3?ssl=1",
}

CONFIGURATION = """\
[DEFAULT]
host = api
state_path = {folder}
transport_url = {queue}
default_log_levels = nova=ERROR,alembic=ERROR,oslo=ERROR,oslo_service=ERROR,amqp=ERROR
[api_database]
connection = sqlite:///nova_api.sqlite
sqlite_synchronous = false
[database]
connection = sqlite:///{main}.sqlite
sqlite_synchronous = false
[oslo_concurrency]
lock_path = {folder}/locks
"""


def configuration(folder, cell="nova_cell0"):
    """A nova.conf whose own database is that of a cell; the one of cell0 is the API's."""
    path = folder / ("nova.conf" if cell == "nova_cell0" else f"{cell}.conf")
    path.write_text(CONFIGURATION.format(folder=folder, queue=BASE_QUEUE, main=cell))
    return path


def start_nova(path):
    """Starts Nova's configuration, databases and objects in this process."""
    # Releases before 33 patch threads when they are imported, unless they are told not to.
    os.environ["OS_NOVA_DISABLE_EVENTLET_PATCHING"] = "1"
    from nova import monkey_patch
    if hasattr(monkey_patch, "patch"):
        monkey_patch.patch(backend="threading")
    import nova.conf
    from nova import config, objects, rpc
    logging.captureWarnings(True)
    config.parse_args(["nova", "--config-file", str(path)], default_config_files=[str(path)],
                      configure_db=False)
    logging.getLogger().setLevel(logging.CRITICAL)
    from nova.db.api import api as api_database
    from nova.db.main import api as main_database
    main_database.configure(nova.conf.CONF)
    api_database.configure(nova.conf.CONF)
    objects.register_all()
    rpc.init(nova.conf.CONF)
    return objects


def manage(folder, path, *arguments, expected=(0,)):
    """Runs nova-manage in the folder, so that relative addresses mean what they say."""
    command = [str(pathlib.Path(sys.executable).parent / "nova-manage"), "--config-file",
               str(path), *arguments]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          stdin=subprocess.DEVNULL, text=True)
    if done.returncode not in expected:
        sys.exit(f"{' '.join(command)}\nexit {done.returncode}:\n{done.stdout}")


class Builder:
    def __init__(self, folder):
        self.folder, self.random = folder, random.Random(34)
        (folder / "locks").mkdir()
        self.conf = configuration(folder)
        for number in range(1, CELLS + 1):
            configuration(folder, f"nova_cell{number}")
        manage(folder, self.conf, "api_db", "sync")
        self.objects = start_nova(self.conf)
        from nova import context
        self.context_module, self.context = context, context.get_admin_context()
        self.cells, self.hosts = [], {}
        self.projects = [uuid.UUID(int=self.random.getrandbits(128)).hex for _ in range(8)]

    def build(self):
        for number in range(CELLS + 1):
            self.add_cell(number)
        self.add_flavors()
        self.add_key_pairs()
        for number in range(1, CELLS + 1):
            self.add_hosts(number)
        manage(self.folder, self.conf, "cell_v2", "discover_hosts")
        for number in range(INSTANCES):
            self.add_instance(number)
        for number in range(6):
            self.add_unscheduled(number)
        self.map_with_nova()
        self.add_old_rows()

    def add_cell(self, number):
        from nova.db import migration
        cell = self.objects.CellMapping(
            self.context, uuid=CELL0 if number == 0 else str(uuid.uuid4()),
            name=None if number == 3 else f"cell{number}", transport_url=QUEUES[number],
            database_connection="{scheme}:///nova_cell2.sqlite" if number == 2
            else f"sqlite:///nova_cell{number}.sqlite", disabled=number == 1)
        cell.create()
        self.cells.append(cell)
        with self.context_module.target_cell(self.context, cell) as targeted:
            migration.db_sync(database="main", context=targeted)

    def add_flavors(self):
        self.flavors = []
        for number, extra_specs in enumerate(({}, {"hw:cpu_policy": "shared", "caf\u00e9": "x"},
                                              {"trait:HW_CPU_X86_VMX": "required"})):
            flavor = self.objects.Flavor(
                self.context, name=f"m1.{number}", vcpus=1 + number, memory_mb=2048, root_gb=20,
                ephemeral_gb=0, flavorid=f"flavor-{number}", swap=number, rxtx_factor=1.5,
                vcpu_weight=0, disabled=False, is_public=number != 2, extra_specs=extra_specs,
                projects=[], description="d\u00e9j\u00e0" if number else None)
            flavor.create()
            self.flavors.append(flavor)

    def add_key_pairs(self):
        self.key_pairs = []
        for number in range(7):
            key_pair = self.objects.KeyPair(
                self.context, user_id=f"user-{number}", name="key", type="ssh",
                fingerprint=f"f{number}", public_key=f"ssh-rsa AAAA{number} cl\u00e9")
            key_pair.create()
            self.key_pairs.append(key_pair)

    def add_hosts(self, number):
        self.hosts[number] = []
        with self.context_module.target_cell(self.context, self.cells[number]) as targeted:
            for host_number in range(HOSTS):
                host = f"cell{number}-compute{host_number}"
                self.hosts[number].append((host, add_host(self.objects, targeted, host)))

    def add_instance(self, number, cell=None, mapped=True):
        """An instance through Nova's objects, in a state that its number decides."""
        if cell is None:
            cell = 0 if number % 30 == 0 else 1 + number % CELLS
        states = ["active", "active", "stopped", "deleted", "soft-delete", "shelved_offloaded",
                  "building", "error", "active", "deleting"]
        state = "error" if cell == 0 else states[number // 3 % len(states)]
        host, node = self.random.choice(self.hosts[cell]) if cell else (None, None)
        if state in ("shelved_offloaded", "building"):
            host = node = None
        project = self.random.choice(self.projects)
        with self.context_module.target_cell(self.context, self.cells[cell]) as targeted:
            instance = self.objects.Instance(
                targeted, uuid=str(uuid.uuid4()), project_id=project, user_id=f"user-{number % 7}",
                host=host, display_name=f"server-{number}", flavor=self.flavors[number % 3],
                instance_type_id=self.flavors[number % 3].id,
                vm_state="active" if state in ("deleted", "soft-delete", "deleting") else state,
                task_state="deleting" if state == "deleting" else None)
            if node:
                instance.node = node.hypervisor_hostname
                if "compute_id" in instance.fields:  # Not before 28.
                    instance.compute_id = node.id
            furnish(self.objects, instance, number, self.key_pairs)
            instance.create()
            if number % 4 == 0:
                add_volume(self.objects, targeted, instance)
            if state == "soft-delete":
                instance.vm_state = state
                instance.deleted_at = datetime.datetime.now(datetime.timezone.utc)
                instance.save()
            if state == "deleted" or (cell == 0 and number % 60 == 0):
                instance.vm_state = "deleted"
                instance.save()
                instance.destroy()
        if mapped:
            self.add_mapping(
                instance.uuid, project, f"user-{number % 7}", self.cells[cell],
                state in ("deleted", "soft-delete", "deleting"))

    def add_mapping(self, instance, project, user, cell, queued):
        mapping = self.objects.InstanceMapping(
            self.context, instance_uuid=instance, project_id=project, user_id=user,
            cell_mapping=cell, queued_for_delete=queued)
        mapping.create()

    def add_unscheduled(self, number):
        identifier, project = str(uuid.uuid4()), self.random.choice(self.projects)
        instance = self.objects.Instance(
            self.context, uuid=identifier, project_id=project, user_id="user-0",
            vm_state="building", task_state="scheduling", display_name=f"booting-{number}",
            host=None)
        self.objects.BuildRequest(
            self.context, instance=instance, instance_uuid=identifier, project_id=project,
            block_device_mappings=self.objects.BlockDeviceMappingList(objects=[]),
            tags=self.objects.TagList(objects=[])).create()
        self.add_mapping(identifier, project, "user-0", None, False)

    def map_with_nova(self):
        """Nova's own command maps more of cell1; stopped early, it leaves its progress marker."""
        for number in range(MAPPED_BY_NOVA):
            self.add_instance(number, cell=1, mapped=False)
        with sqlite3.connect(self.folder / "nova_cell1.sqlite") as database:
            count, = database.execute("SELECT count(*) FROM instances").fetchone()
        database.close()
        manage(self.folder, self.conf, "cell_v2", "map_instances", "--cell_uuid",
               self.cells[1].uuid, "--max-count", str(count - LEFT_UNMAPPED), expected=(1,))

    def add_old_rows(self):
        """What clouds older than a column hold, and no object of today can write."""
        with sqlite3.connect(self.folder / "nova_api.sqlite") as database:
            database.execute("UPDATE cell_mappings SET disabled = NULL WHERE name = 'cell2'")
            database.execute("UPDATE instance_mappings SET user_id = NULL WHERE id % 9 = 0")
            database.execute("UPDATE instance_mappings SET queued_for_delete = NULL"
                             " WHERE id % 11 = 0")
            database.execute(
                "INSERT INTO instance_mappings (instance_uuid, cell_id, project_id, user_id,"
                " queued_for_delete) VALUES (?, 1, ?, ?, 0)", (CELL0, CELL0, CELL0))
        database.close()


def build(folder):
    folder.mkdir(parents=True)
    os.chdir(folder)
    Builder(folder).build()


def complete(folder):
    """Nova's objects join tables that routing doesn't need; without them no question is answered."""
    import sqlalchemy
    from nova.db.main import models
    for path in folder.glob("nova_cell*.sqlite"):
        models.BASE.metadata.create_all(sqlalchemy.create_engine(f"sqlite:///{path}"))


def ask(folder):
    """Asks Nova's objects for each mapped instance, its marker rows left out."""
    os.chdir(folder)
    objects = start_nova(folder / "nova.conf")
    from nova import context
    admin = context.get_admin_context(read_deleted="yes")
    database = sqlite3.connect(folder / "nova_api.sqlite")
    rows = database.execute(
        "SELECT instance_uuid, queued_for_delete FROM instance_mappings WHERE instance_uuid <> ?"
        " AND project_id <> 'INSTANCE_MIGRATION_MARKER' ORDER BY instance_uuid",
        (CELL0,)).fetchall()
    database.close()
    for identifier, flag in rows:
        print(json.dumps(
            nova_route(objects, context, admin, identifier, flag), sort_keys=True))


def nova_route(objects, context, admin, identifier, flag):
    mapping = objects.InstanceMapping.get_by_instance_uuid(admin, identifier)
    cell = mapping.cell_mapping
    route = {
        "instance": mapping.instance_uuid, "project": mapping.project_id,
        "cell": cell.uuid if cell else None, "cell_name": cell.name if cell else None,
        "database": cell.database_connection if cell else None,
        "queue": cell.transport_url if cell else None,
        # Nova's object shows an unknown flag as false; the map keeps the difference.
        "queued_for_delete": None if flag is None else mapping.queued_for_delete,
        "host": None, "state": None}
    if cell:
        with context.target_cell(admin, cell) as targeted:
            instance = objects.Instance.get_by_uuid(targeted, identifier, expected_attrs=[])
        route.update(
            host=instance.host, state=instance.vm_state, deleted=bool(instance.deleted))
    return route


if __name__ == "__main__":
    verb, folder = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    {"build": build, "ask": ask, "complete": complete}[verb](folder)
