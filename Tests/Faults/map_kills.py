"""Kills `rebuild`, `reconcile --apply`, `adopt --follow` and `publish` at random moments of their work.

After each kill: the entries of before are there byte for byte, and nothing was written into a cell.
The same command, given again, ends with the map (and `publish` with the tables) of an undisturbed run;
each change is in the journal once; once more there is nothing to do. Of a database that `publish` was
killed over each row is as before or as after.
"""
import collections
import concurrent.futures
import json
import os
import random
import shutil
import sqlite3
import uuid

from fault_store import WORK, Wrong, require

KINDS = ["rebuild", "reconcile", "follow", "publish"]
# How many kills of each must hit, and how many rounds may be tried for that.
HITS, MOST_ROUNDS = 3, 12
# Kills in a row, each of what was begun again after the one before.
IN_A_ROW = 2
TABLES = {
    "cell_mappings": "uuid, name, transport_url, database_connection, disabled",
    "host_mappings": "host, cell_id",
    "instance_mappings": "instance_uuid, cell_id, project_id, user_id, queued_for_delete",
}


def words(kind, request):
    return {
        "rebuild": ("rebuild", "--cells", str(WORK / "cells.yaml"), "--request-id", request),
        "reconcile": ("reconcile", "--settle", "0s", "--limit", "100000", "--request-id", request,
                      *(word for name in ("missing", "wrong-cell", "deletion-mark", "unknown-host")
                        for word in ("--apply", name))),
        # It has no request of its own: each reading is one.
        "follow": ("adopt", "sqlite:///nova_api.sqlite", "--follow", "--rounds", "1"),
        "publish": ("publish", "sqlite:///target.sqlite", "--request-id", request),
    }[kind] + ("--reason", "fault test")


def change_api(path):
    """Nova's API database a while later: mappings gone, made, moved, marked; a host gone."""
    with sqlite3.connect(path) as database:
        database.executescript("""
            -- What Nova is still building nobody maps for it.
            DELETE FROM build_requests;
            UPDATE instance_mappings SET queued_for_delete = 1 WHERE id % 5 = 0;
            UPDATE instance_mappings SET user_id = 'other' WHERE id % 7 = 0;
            DELETE FROM instance_mappings WHERE id % 17 = 0 AND cell_id IS NOT NULL;
            UPDATE instance_mappings SET cell_id = 5 - cell_id WHERE id % 13 = 0
              AND cell_id IN (2, 3);
            DELETE FROM host_mappings WHERE id = 2;
            """)
    database.close()


def rows(path):
    """The rows of the three tables, without the times of their changes."""
    with sqlite3.connect(path) as database:
        found = {table: set(database.execute(f"SELECT id, {columns} FROM {table}").fetchall())
                 for table, columns in TABLES.items()}
    database.close()
    return found


# What is another's in each run: when it was read, and the key of a cell's addresses.
OWN = {"position", "changed_at", "last_seen", "last_known_host_at", "observed_from", "observed_to",
       "next", "key"}


def lasting(value):
    """The value without what is another's in each run."""
    if isinstance(value, dict):
        return {name: lasting(item) for name, item in value.items() if name not in OWN}
    return [lasting(item) for item in value] if isinstance(value, list) else value


def journal(store):
    """What the entries say of the map, each as often as it is said."""
    path = store.folder.with_name(store.folder.name + ".jsonl")
    store.run("audit", "export", str(path))
    said = collections.Counter()
    for line in map(json.loads, path.read_text().splitlines()):
        if line.get("entity", "store") != "store" and "event" in line:
            said[line["event"], line["entity"], json.dumps(
                lasting([line.get("before"), line.get("after")]), sort_keys=True)] += 1
    path.unlink()
    return said


def content(store):
    """What the map holds, a line each."""
    return {json.dumps(lasting(json.loads(line)), sort_keys=True)
            for listing in (("instance", "list", "--limit", "0"), ("host", "list"), ("cell", "list"))
            for line in store.run(*listing, "--json").splitlines()}


class Kills:
    def __init__(self, campaign):
        self.campaign = campaign
        self.durations, self.calm, self.journals, self.tables = {}, {}, {}, {}
        self.done = {}

    def prepare(self):
        """Two clouds beside the campaign's: one whose API database is what a store was adopted from,
        one where that database has changed since; and the undisturbed end of each command."""
        campaign = self.campaign
        later = WORK / "cloud later"
        shutil.copytree(campaign.cloud, later)
        change_api(later / "nova_api.sqlite")
        shutil.copy(campaign.cloud / "nova_api.sqlite", later / "target.sqlite")
        change_api(later / "target.sqlite")
        self.later = later
        adopted = campaign.store("adopted")
        adopted.run("cell", "export", str(WORK / "cells.yaml"), "--reveal")
        # A map that the cells contradict, and one that lags behind Nova's own.
        drifted = self.store("drifted")
        drifted.run("init")
        drifted.run("adopt", "sqlite:///nova_api.sqlite", "--reason", "fault test")
        self.cells = {path: path.read_bytes() for path in later.glob("nova_cell*.sqlite")}
        for kind in KINDS:
            store = self.begin(kind, f"calm {kind}")
            before = journal(store) if kind != "rebuild" else collections.Counter()
            self.durations[kind] = campaign.timed(
                kind, store, *words(kind, str(uuid.uuid4())), expected=(0, 1))
            self.calm[kind] = content(store)
            self.journals[kind] = journal(store) - before
            require(kind == "publish" or sum(self.journals[kind].values()) > 100,
                    f"{kind} has little to do: {sum(self.journals[kind].values())} changes")
        self.tables = {"before": rows(later / "target.sqlite"),
                       "after": rows(self.target("calm publish"))}

    def store(self, name):
        store = self.campaign.store(name)
        store.cloud = self.later
        return store

    def target(self, name):
        return WORK / f"{name} cloud" / "target.sqlite"

    def begin(self, kind, name):
        """A store on which the command has its work before it."""
        store = self.store(name)
        if kind != "rebuild":
            shutil.copytree(WORK / ("drifted" if kind == "reconcile" else "adopted"), store.folder)
        if kind == "publish":
            # Of a database of its own; the cells aren't read.
            store.cloud = self.target(name).parent
            store.cloud.mkdir()
            shutil.copy(self.later / "target.sqlite", self.target(name))
        return store

    def round(self, kind, number):
        """One store, killed a few times; gives how many kills hit, and what is wrong."""
        rng = random.Random(f"{self.campaign.seed} {kind} {number}")
        name = f"map {kind} {number}"
        store, command = None, words(kind, str(uuid.UUID(int=rng.getrandbits(128))))
        try:
            store = self.begin(kind, name)
            before = store.entries() if store.folder.exists() else []
            said = journal(store) if before else collections.Counter()
            for _ in range(IN_A_ROW):
                store.kill(rng.uniform(0, 1.1 * self.durations[kind]), *command, expected=(0, 1))
                if kind == "publish":
                    self.check_rows(name)
                if not (store.folder / "journal.lmdb").exists():
                    require(not before, "the journal is gone")
                    continue
                left = store.entries()
                require(left[:len(before)] == before, "entries of before the kill are gone")
                before = left
            store.run(*command, expected=(0, 1))
            self.check_end(kind, name, store, said)
            if kind != "publish":
                store.verify()
            shutil.rmtree(store.folder)
            shutil.rmtree(WORK / f"{name} cloud", ignore_errors=True)
        except Wrong as wrong:
            return store.kills, f"{name}: {wrong}"
        return store.kills, None

    def check_rows(self, name):
        for table, found in rows(self.target(name)).items():
            strange = found - self.tables["before"][table] - self.tables["after"][table]
            require(not strange, f"{table}: neither as before nor as after: {sorted(strange)[:3]}")

    def check_end(self, kind, name, store, said):
        found = content(store)
        require(found == self.calm[kind], "another map than that of an undisturbed run: "
                f"{sorted(found - self.calm[kind])[:2]}, not {sorted(self.calm[kind] - found)[:2]}")
        made = journal(store) - said
        require(made == self.journals[kind], "other changes than those of an undisturbed run: "
                f"{list((made - self.journals[kind]).items())[:2]} and not "
                f"{list((self.journals[kind] - made).items())[:2]}")
        if kind == "publish":
            require(rows(self.target(name)) == self.tables["after"], "another database")
            store.run(*words(kind, str(uuid.uuid4())))
            require(rows(self.target(name)) == self.tables["after"], "changed once more")
        for path, content_before in self.cells.items():
            require(path.read_bytes() == content_before, f"{path.name} was written")

    def kind(self, kind):
        """Rounds, until enough kills have hit."""
        hits, failed = 0, []
        for number in range(MOST_ROUNDS):
            if hits >= HITS:
                break
            hit, wrong = self.round(kind, number)
            hits += hit
            if wrong:
                failed.append(wrong)
                print(f"  FAILED: {wrong}", flush=True)
        if hits < HITS:
            failed.append(f"only {hits} kills hit {kind}")
            print(f"  FAILED: {failed[-1]}", flush=True)
        return hits, len(failed)


def run(campaign):
    kills = Kills(campaign)
    kills.prepare()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(kills.kind, KINDS))
    print(f"{sum(hits for hits, _ in results)} kills of rebuilds, reconciliations, followings and "
          f"publications: {sum(failed for _, failed in results)} failed", flush=True)
    return sum(failed for _, failed in results)
