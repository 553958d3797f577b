#!/usr/bin/env python3
"""Boots and deletes servers for a while, by Nova's own objects, and says what has to be left of each.

  nova_loop.py NOVA.CONF SECONDS SEED NUMBER
      prints one JSON object: by UUID, the row of instance_mappings that has to be there, or null;
      number 0 begins with a multi-create, the others half a minute later

Runs in an environment with the Nova that made the deployment. Each step is a save of its own, with
pauses between them, so that whoever looks sees every state that a cloud is in while it boots.
"""
import json
import os
import pathlib
import random
import sys
import time
import uuid

sys.dont_write_bytecode = True
from nova_boots import Boots  # noqa: E402
from nova_cloud import CELL0, start_nova  # noqa: E402

PROJECTS = [uuid.UUID(int=number).hex for number in (7, 8)]
MULTI_CREATE = 50
# A state that lasts shorter than an interval between two readings need not be seen.
SEEN_AFTER = 8


class Loop:
    def __init__(self, conf, seed):
        objects = start_nova(conf)
        from nova import context
        admin = context.get_admin_context()
        self.cells = [cell for cell in objects.CellMappingList.get_all(admin) if cell.uuid != CELL0]
        key_pairs = [objects.KeyPair.get_by_name(admin, f"user-{number}", "key")
                     for number in range(7)]
        self.boots = Boots(objects, list(objects.FlavorList.get_all(admin)), key_pairs)
        self.nodes = {}
        for cell in self.cells:
            with self.boots.target(cell) as targeted:
                self.nodes[cell.uuid] = list(objects.ComputeNodeList.get_all(targeted))
        self.random, self.number = random.Random(seed), 0
        # What is left of each, and since when it is so.
        self.left, self.since, self.where = {}, {}, {}
        self.soft_deleted = []

    def pause(self):
        time.sleep(self.random.choice((0, 0, 0.02, 0.1)))

    def accept(self):
        self.number += 1
        project, user = self.random.choice(PROJECTS), f"user-{self.number % 7}"
        identifier = self.boots.accept(self.number, project, user)
        self.note(identifier, cell=None, project=project, user=user, queued_for_delete=False)
        self.where[identifier] = self.random.choice(self.cells)
        return identifier

    def note(self, identifier, **changes):
        self.left[identifier] = {**(self.left.get(identifier) or {}), **changes}
        self.since[identifier] = time.monotonic()

    def marks(self, identifier):
        """How often its deletion mark was set or taken away."""
        return self.left[identifier].get("marks", 0)

    def finish(self, identifier):
        cell = self.where[identifier]
        self.boots.map(identifier, cell)
        self.note(identifier, cell=cell.uuid)
        self.pause()
        self.boots.drop_request(identifier, cell)
        self.boots.run(identifier, cell, self.random.choice(self.nodes[cell.uuid]))

    def boot(self):
        identifier = self.accept()
        self.pause()
        self.boots.create(identifier, self.where[identifier])
        self.pause()
        self.finish(identifier)

    def multi_create(self):
        """All accepted, then all made in their cells, and only then the first of them mapped."""
        many = [self.accept() for _ in range(MULTI_CREATE)]
        for identifier in many:
            self.boots.create(identifier, self.where[identifier])
        for identifier in many:
            self.finish(identifier)

    def change_mind(self):
        """Deleted before the conductor came to it."""
        identifier = self.accept()
        self.pause()
        self.boots.delete_while_booting(identifier)
        self.boots.create(identifier, self.where[identifier])
        self.left[identifier] = None

    def settled(self):
        now = time.monotonic()
        return [identifier for identifier, row in self.left.items()
                if row and row["cell"] and not row["queued_for_delete"]
                and now - self.since[identifier] > 1]

    def delete(self):
        some = self.settled()
        if some:
            identifier = self.random.choice(some)
            self.note(identifier, queued_for_delete=True, marks=self.marks(identifier) + 1)
            self.boots.delete(identifier, self.where[identifier])

    def soft_delete(self):
        some = self.settled()
        if some:
            identifier = self.random.choice(some)
            self.note(identifier, queued_for_delete=True, marks=self.marks(identifier) + 1)
            self.boots.soft_delete(identifier, self.where[identifier])
            self.soft_deleted.append(identifier)

    def restore(self):
        if self.soft_deleted and (
                time.monotonic() - self.since[self.soft_deleted[0]] > SEEN_AFTER):
            identifier = self.soft_deleted.pop(0)
            self.note(identifier, queued_for_delete=False, marks=self.marks(identifier) + 1)
            self.boots.restore(identifier, self.where[identifier])

    def run(self, seconds, number):
        end = time.monotonic() + seconds
        again = time.monotonic() + 30 * number
        while time.monotonic() < end:
            # One multi-create a minute.
            if time.monotonic() > again:
                self.multi_create()
                again = time.monotonic() + 60
            self.random.choices(
                [self.boot, self.delete, self.soft_delete, self.restore, self.change_mind],
                [8, 2, 1, 1, 1])[0]()
        return self.left


if __name__ == "__main__":
    conf, seconds, seed, number = sys.argv[1:]
    conf = pathlib.Path(conf).resolve()
    os.chdir(conf.parent)
    print(json.dumps(Loop(conf, seed).run(float(seconds), int(number))))
