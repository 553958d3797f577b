#!/usr/bin/env python3
"""The life of a deployment that nova_cloud.py made, by Nova's own objects and commands, and what they
say of it at a moment.

  nova_life.py live FOLDER   boots, deletes, restores, archives, removes hosts, migrates data, moves
                             between cells; prints what it did that no cell can know
  nova_life.py say FOLDER    prints the answers of Nova's objects as one JSON object

Runs in an environment with the Nova that made the deployment.
"""
import contextlib
import io
import json
import os
import pathlib
import sqlite3
import sys
import uuid

sys.dont_write_bytecode = True
from nova_boots import Boots, add_host  # noqa: E402
from nova_cloud import CELL0, configuration, nova_route, start_nova  # noqa: E402
from nova_moves import Moves  # noqa: E402

PROJECTS = [uuid.UUID(int=number).hex for number in (1, 2, 3)]
MULTI_CREATE = 12
MARKER = "INSTANCE_MIGRATION_MARKER"


class Life:
    def __init__(self, folder):
        self.folder = folder
        self.objects = start_nova(folder / "nova.conf")
        from nova import context
        from nova.cmd import manage
        self.cell_v2, self.db = manage.CellV2Commands(), manage.DbCommands()
        admin = context.get_admin_context()
        self.cells = {cell.database_connection.rsplit("_", 1)[1].split(".")[0]: cell
                      for cell in self.objects.CellMappingList.get_all(admin)}
        flavors = list(self.objects.FlavorList.get_all(admin))
        key_pairs = [self.objects.KeyPair.get_by_name(admin, f"user-{number}", "key")
                     for number in range(7)]
        self.boots, self.number = Boots(self.objects, flavors, key_pairs), 1000
        self.nodes = {name: self.add_host(name, f"{name}-life") for name in ("cell1", "cell2", "cell3")}
        # What no cell can know, by the instance or host.
        self.unknowable = {}

    def add_host(self, name, host):
        with self.boots.target(self.cells[name]) as targeted:
            return add_host(self.objects, targeted, host)

    def manage(self, command, *arguments, expected=0, **options):
        """A command of nova-manage, in this process: starting one costs seconds."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            code = command(*arguments, **options) or 0
        if code != expected:
            sys.exit(f"nova-manage {command.__name__}: {code}: {said.getvalue()}")

    def live(self):
        self.manage(self.cell_v2.discover_hosts)
        self.boot()
        self.delete()
        self.remove_hosts()
        self.manage(self.db.archive_deleted_rows, until_complete=True, all_cells=True, expected=1)
        self.manage(self.db.online_data_migrations)
        self.move()
        # What is deleted from here on isn't archived yet.
        self.delete()
        return self.unknowable

    def begin(self):
        """A server that was accepted, and the cell and node that it is for."""
        self.number += 1
        name = f"cell{1 + self.number % 3}"
        return (self.boots.accept(
            self.number, PROJECTS[self.number % 2], f"user-{self.number % 7}"),
            self.cells[name], self.nodes[name])

    def booted(self, name="cell1"):
        self.number += 1
        return self.boots.boot(self.number, PROJECTS[self.number % 2], f"user-{self.number % 7}",
                               self.cells[name], self.nodes[name])

    def boot(self):
        """Boots, one of each end that a conductor or a user can make of them."""
        boots = self.boots
        accepted, _, _ = self.begin()
        self.unknowable[accepted] = "in no cell yet"
        created, cell, _ = self.begin()
        boots.create(created, cell)
        self.unknowable[created] = "in a cell, not mapped yet"
        mapped, cell, _ = self.begin()
        boots.create(mapped, cell)
        boots.map(mapped, cell)
        gone, cell, _ = self.begin()
        boots.delete_while_booting(gone)
        boots.create(gone, cell)
        late, cell, _ = self.begin()
        boots.create(late, cell)
        boots.delete_while_booting(late)
        boots.map(late, cell)
        boots.drop_request(late, cell)
        buried, _, _ = self.begin()
        boots.bury(buried, self.cells["cell0"])
        # A multi-create: all in their cells first, then mapped; its conductor dies on the way.
        many = [self.begin() for _ in range(MULTI_CREATE)]
        for identifier, cell, _ in many:
            boots.create(identifier, cell)
        for identifier, cell, node in many[:-5]:
            boots.map(identifier, cell)
            boots.drop_request(identifier, cell)
            boots.run(identifier, cell, node)
        for identifier, _, _ in many[-5:]:
            self.unknowable[identifier] = "in a cell, not mapped yet"

    def delete(self):
        boots, cell = self.boots, self.cells["cell2"]
        boots.delete(self.booted("cell2"), cell)
        boots.delete(self.booted("cell2"), cell, ends="unheard")
        failed = self.booted("cell2")
        boots.delete(failed, cell, ends="failed")
        self.unknowable[failed] = "a delete that failed"
        kept, restored, unheard = [self.booted("cell2") for _ in range(3)]
        for identifier in (kept, restored, unheard):
            boots.soft_delete(identifier, cell)
        boots.restore(restored, cell)
        boots.restore(unheard, cell, is_heard=False)

    def remove_hosts(self):
        """By nova-api, which takes the service out of its cell; and by nova-manage, which doesn't."""
        for host in ("cell3-gone", "cell3-unmapped"):
            self.add_host("cell3", host)
        self.manage(self.cell_v2.discover_hosts)
        self.manage(self.cell_v2.delete_host, self.cells["cell3"].uuid, "cell3-unmapped")
        self.unknowable["cell3-unmapped"] = "out of the map, in its cell"
        self.objects.HostMapping.get_by_host(self.boots.context, "cell3-gone").destroy()
        with self.boots.target(self.cells["cell3"]) as targeted:
            for node in self.objects.ComputeNodeList.get_all_by_host(targeted, "cell3-gone"):
                node.destroy()
            self.objects.Service.get_by_compute_host(targeted, "cell3-gone").destroy()

    def move(self):
        moves = Moves(self.boots, self.cells["cell1"], self.nodes["cell1"],
                      self.cells["cell2"], self.nodes["cell2"])
        stops = moves.stopped_everywhere(self.booted, self.boots.flavors[1])
        for identifier, stop in stops.items():
            mapped = self.boots.mapping(identifier).cell_mapping.uuid
            visible = [cell.uuid for cell in moves.cells if self.shows(cell, identifier)]
            if len(visible) == 2:
                self.unknowable[identifier] = f"two visible copies, {stop}"
            elif visible != [mapped]:
                sys.exit(f"{stop}: mapped to {mapped}, visible in {visible}")

    def shows(self, cell, identifier):
        """Whether a cell has a copy that no move hides."""
        from nova import exception
        with self.boots.target(cell) as targeted:
            try:
                return not self.boots.instance(targeted, identifier).hidden
            except exception.InstanceNotFound:
                return False


class Answers:
    """What Nova's objects say of everything that the map is asked for."""

    def __init__(self, folder):
        self.folder, self.objects = folder, start_nova(folder / "nova.conf")
        from nova import context
        from nova.compute import instance_list
        self.context, self.lister = context, instance_list
        self.admin = context.get_admin_context(read_deleted="yes")

    def rows(self, sql):
        database = sqlite3.connect(self.folder / "nova_api.sqlite")
        try:
            return database.execute(sql).fetchall()
        finally:
            database.close()

    def all(self):
        # Nova's marker rows map nothing.
        rows = self.rows("SELECT instance_uuid, queued_for_delete, project_id, user_id FROM"
                         f" instance_mappings WHERE instance_uuid <> '{CELL0}'"
                         f" AND project_id <> '{MARKER}' ORDER BY instance_uuid")
        routes = {row[0]: nova_route(self.objects, self.context, self.admin, row[0], row[1])
                  for row in rows}
        for row in rows:
            routes[row[0]]["user"] = row[3]
        cells = self.objects.CellMappingList.get_all(self.admin)
        return {
            "routes": routes,
            "cells": {cell.uuid: [cell.name, cell.database_connection, cell.transport_url,
                                  bool(cell.disabled)] for cell in cells},
            "hosts": {host.host: host.cell_mapping.uuid
                      for host in self.objects.HostMappingList.get_all(self.admin)},
            "projects": {project: self.project(project, cells)
                         for project in sorted({row[2] for row in rows})},
        }

    def project(self, project, cells):
        of = self.objects
        mappings = of.InstanceMappingList
        users = [f"user-{number}" for number in range(7)]
        context = self.context.get_admin_context()
        listed, _ = self.lister.get_instance_objects_sorted(
            context, {"project_id": project, "deleted": False}, None, None, [],
            ["created_at", "id"], ["desc", "desc"])
        return {
            "mappings": sorted(mapping.instance_uuid for mapping in
                               mappings.get_by_project_id(self.admin, project)),
            "cells": sorted(cell.uuid for cell in
                            of.CellMappingList.get_by_project_id(self.admin, project)),
            "in_down_cells": {cell.uuid: sorted(
                mapping.instance_uuid for mapping in
                mappings.get_not_deleted_by_cell_and_project(self.admin, cell.uuid, project))
                for cell in cells},
            "quota": {user: of.InstanceMappingList.get_counts(self.admin, project, user_id=user)
                      for user in users},
            "servers": [[instance.uuid, instance.host, instance.vm_state] for instance in listed],
        }


if __name__ == "__main__":
    verb, folder = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    os.chdir(folder)
    if verb == "live":
        # Its addresses are relative, but for the folders of locks and state.
        configuration(folder)
        print(json.dumps(Life(folder).live()))
    else:
        print(json.dumps(Answers(folder).all()))
