"""A cloud on MariaDB that boots and deletes servers all the time, and beside it `adopt --follow`,
`publish` and `reconcile --apply`, each of them killed at random and begun again.

In the end no mapping is lost and none set back; the map says what the database says; and each change
that was left is in the journal once. A change by hand, in SQL, is seen.
"""
import collections
import json
import os
import random
import signal
import subprocess
import threading
import time

from cellmap_command import Cellmap, CommandFailed

WORKERS = 2
TAKEN_OUT = 12
PATIENCE = 120
# Done, findings, locked by another, a partial answer, a refused mend.
ENDINGS = (0, 1, 3, 5, 9)
TEMPLATE = "{{scheme}}://{{username}}:{{password}}@{{hostname}}:{{port}}/{database}"
CELL0 = "00000000-0000-0000-0000-000000000000"
FIELDS = ("cell", "project", "user", "queued_for_delete")


class Beside:
    """One of the commands that run beside Nova, over and over, some of them killed."""

    def __init__(self, cellmap, words, dies_within, seed):
        self.cellmap, self.words, self.dies_within = cellmap, words, dies_within
        self.random = random.Random(seed)
        self.runs = self.kills = 0
        self.problems, self.stopped = [], threading.Event()
        self.thread = threading.Thread(target=self.loop)
        self.thread.start()

    def loop(self):
        while not self.stopped.is_set():
            self.once()
            self.stopped.wait(0.05)

    def once(self):
        process = self.cellmap.start(*self.words)
        self.runs += 1
        try:
            # About half of those that come to an end are let to.
            process.wait(self.random.uniform(0, 2 * self.dies_within))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            self.kills += 1
        _, errors = process.communicate()
        if process.returncode not in (*ENDINGS, -signal.SIGKILL):
            self.problems.append(f"{self.words[0]}: exit {process.returncode}: {errors[-600:]}")

    def stop(self):
        self.stopped.set()
        self.thread.join()


class Cloud:
    """The deployment on its server, as Nova and cellmap reach it."""

    def __init__(self, program, server, folder, work):
        self.server, self.folder = server, folder
        original = (folder / "nova.conf").read_text()
        self.nova, self.base = folder / "loop.conf", work / "loop-base.conf"
        self.nova.write_text(
            original.replace("sqlite:///nova_api.sqlite", f"{server.admin}/nova_api")
            .replace("sqlite:///nova_cell0.sqlite", f"{server.admin}/nova_cell0"))
        # Templates: Nova writes into the cells, and cellmap reads the same ones as one who may only read.
        self.base.write_text(original.replace(
            "sqlite:///nova_cell0.sqlite", f"{server.reader}/nova_cell0"))
        for row in self.query("SELECT id, database_connection FROM cell_mappings"):
            database = row[1].rsplit("/", 1)[1]
            self.execute("UPDATE cell_mappings SET database_connection ="
                         f" '{TEMPLATE.format(database=database)}' WHERE id = {row[0]}")
        self.cellmap = Cellmap(program, work / "store of the loop", folder, base=self.base,
                               api=f"{server.reader}/nova_api")
        self.api = work / "api.address"
        self.api.write_text(f"{server.admin}/nova_api\n")

    def execute(self, sql):
        self.server.execute(sql, "nova_api")

    def query(self, sql):
        return self.server.query(sql, "nova_api")

    def rows(self):
        """The mappings by UUID, without Nova's marker rows."""
        answers = self.query(
            "SELECT m.instance_uuid, c.uuid, m.project_id, m.user_id, m.queued_for_delete"
            " FROM instance_mappings m LEFT JOIN cell_mappings c ON c.id = m.cell_id"
            f" WHERE m.instance_uuid <> '{CELL0}' AND m.project_id <> 'INSTANCE_MIGRATION_MARKER'")
        return {row[0]: dict(zip(FIELDS, (row[1], row[2], row[3], {
            None: None, "0": False, "1": True}[row[4]]))) for row in answers}

    def at_rest(self):
        """Instances of the cells that nobody is at work on."""
        return {name for (database,) in self.query("SHOW DATABASES LIKE 'nova\\_cell%'")
                for name, in self.server.query(
                    "SELECT uuid FROM instances WHERE deleted = 0 AND vm_state = 'active'"
                    " AND task_state IS NULL", database)}

    def map(self):
        lines = [json.loads(line) for line in self.cellmap.run(
            "instance", "list", "--json", "--limit", "0").splitlines()]
        return {line["instance"]: {field: line[field] for field in FIELDS}
                for line in lines if "instance" in line}

    def words(self, verb, *more):
        return (verb, *more, "--base", str(self.base), "--reason", "loop")

    @property
    def follow(self):
        return self.words("adopt", f"@{self.api}", "--follow", "--interval", "1")

    @property
    def publish(self):
        return self.words("publish", f"@{self.api}")

    @property
    def reconcile(self):
        return self.words("reconcile", "--settle", "1s", "--api", f"@{self.api}", "--limit", "1000",
                          *(word for kind in ("missing", "no-cell", "wrong-cell")
                            for word in ("--apply", kind)))


def work(cloud, release, seconds, seed):
    """Processes that boot and delete; what each says is left at its end."""
    return [subprocess.Popen(
        [str(release.environment / "bin" / "python"), str(release.script("nova_loop.py")),
         str(cloud.nova), str(seconds), f"{seed} {number}", str(number)], text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE) for number in range(WORKERS)]


def by_hand(suite, cloud, number, rows, chance):
    """An UPDATE in the API database, which leaves the row's times alone: whoever follows sees it, and
    `publish` doesn't set it back."""
    instance = chance.choice(sorted(rows))
    cloud.execute(f"UPDATE instance_mappings SET user_id = 'by-hand-{number}'"
                  f" WHERE instance_uuid = '{instance}'")
    end, said = time.monotonic() + PATIENCE, {}
    while time.monotonic() < end and said.get("user") != f"by-hand-{number}":
        time.sleep(0.2)
        said = json.loads(cloud.cellmap.run("instance", "show", instance, "--json"))
    suite.check(said.get("user") == f"by-hand-{number}" and said.get("observed") is True
                and bool(said["observed_to"]), f"loop: an UPDATE by hand: {said}")
    return instance, f"by-hand-{number}"


def journalled(suite, cloud, work):
    """The entries of each instance, in order; each of them a change of what stood before."""
    path = work / "loop.jsonl"
    cloud.cellmap.run("audit", "export", str(path))
    entries, state = collections.defaultdict(list), {}
    for line in map(json.loads, path.read_text().splitlines()):
        kind, _, name = line.get("entity", "").partition(" ")
        if kind != "instance" or line["event"] == "instance host seen":
            continue
        before, after = line.get("before", {}), line.get("after", {})
        known = state.setdefault(name, {})
        suite.check(before != after, f"loop: {line['position']} changes nothing of {name}")
        suite.check(all(known.get(field) == value for field, value in before.items()),
                    f"loop: {line['position']}: {before} of {name}, which was {known}")
        if line["event"] == "instance unmapped":
            known = state[name] = {}
        for field in before.keys() - after.keys():
            known.pop(field, None)
        known.update(after)
        entries[name].append(line)
    return entries


def once_each(suite, left, entries):
    """Each change that is left of a server of the loop is in the journal once."""
    for instance, row in left.items():
        mine = entries[instance]
        cells = [line["after"]["cell"] for line in mine if line.get("after", {}).get("cell")]
        # The first is as it was mapped: what came and went between two readings needn't have been seen,
        # the mark of one that was deleted before the first of them included.
        marks = [line["after"]["queued_for_delete"] for line in mine
                 if line.get("after", {}).get("queued_for_delete") is not None]
        events = collections.Counter(line["event"] for line in mine)
        what = f"loop: {instance}: {dict(events)} of {row}"
        if row is None:
            suite.check(events["instance mapped"] == events["instance unmapped"] <= 1, what)
            continue
        suite.check(events["instance mapped"] == 1 and events["instance unmapped"] == 0, what)
        suite.check(cells == [row["cell"]], f"{what}: cells {cells}")
        marked = [mark for mark in marks[:1] if mark] + marks[1:]
        suite.check(bool(marks) and len(marked) <= row.get("marks", 0)
                    and all(one != other for one, other in zip(marks, marks[1:]))
                    and marks[-1] == row["queued_for_delete"], f"{what}: marks {marks}")


def run(suite, program, release, server, folder, work_folder, seconds, seed):
    """The loop, for so many seconds, and then what is left of it."""
    cloud, before = Cloud(program, server, folder, work_folder), suite.passed + suite.failed
    chance = random.Random(seed)
    try:
        cloud.cellmap.init()
        cloud.cellmap.run(*cloud.words("adopt", f"@{cloud.api}"))
        at_first = cloud.rows()
        # Mappings that somebody deletes: their instances are in cells, and found there again.
        gone = chance.sample(sorted(
            name for name in cloud.at_rest() if name in at_first and at_first[name]["user"]
            and at_first[name]["queued_for_delete"] is False), TAKEN_OUT)
        rest = {name: row for name, row in at_first.items() if name not in gone and row["cell"]}
        workers = work(cloud, release, seconds, seed)
        beside = [Beside(cloud.cellmap, cloud.follow, 4, f"{seed} follow"),
                  Beside(cloud.cellmap, cloud.publish, 0.4, f"{seed} publish"),
                  Beside(cloud.cellmap, cloud.reconcile, 2, f"{seed} reconcile")]
        hands, end = {}, time.monotonic() + seconds
        cloud.execute("DELETE FROM instance_mappings WHERE instance_uuid IN ("
                      + ", ".join(f"'{name}'" for name in gone) + ")")
        try:
            while time.monotonic() < end:
                instance, user = by_hand(suite, cloud, len(hands), rest.keys() - hands.keys(), chance)
                hands[instance] = user
                time.sleep(3)
            said = [worker.communicate() for worker in workers]
        finally:
            for one in beside:
                one.stop()
            for worker in workers:
                worker.kill()
        left = {}
        for worker, (output, errors) in zip(workers, said):
            suite.check(worker.returncode == 0, f"loop: {errors[-1500:]}")
            left.update(json.loads(output.splitlines()[-1]) if worker.returncode == 0 else {})
        for one in beside:
            suite.check(not one.problems, f"loop: {one.problems[:2]}")
            suite.check(one.kills > 0, f"loop: {one.words[0]} was never killed")
        settle(suite, cloud)
        judge(suite, cloud, at_first, rest, hands, left)
        once_each(suite, left, journalled(suite, cloud, work_folder))
        cloud.cellmap.verify()
        print(f"loop of {seconds} s: {len(left)} servers, {len(hands)} changes by hand, "
              f"{suite.passed + suite.failed - before} checks; runs and kills: " + ", ".join(
                  f"{one.words[0]} {one.runs} and {one.kills}" for one in beside), flush=True)
    except (CommandFailed, subprocess.CalledProcessError, json.JSONDecodeError, KeyError,
            ValueError) as problem:
        suite.check(False, f"loop: {problem!r}"[-2000:])


def settle(suite, cloud):
    """Each command once more, undisturbed, in the order in which one feeds the next."""
    cloud.cellmap.run(*cloud.follow, "--rounds", "1")
    cloud.cellmap.run(*cloud.reconcile, expected=(0, 1))
    cloud.cellmap.run(*cloud.publish, expected=(0, 5))
    cloud.cellmap.run(*cloud.follow, "--rounds", "1")
    said = json.loads(cloud.cellmap.run(*cloud.follow, "--rounds", "1", "--json"))
    suite.check(said["changed"] is False, f"loop: still something to follow: {said}")


def judge(suite, cloud, at_first, rest, hands, left):
    """What is in the database, and in the map."""
    rows, known = cloud.rows(), cloud.map()
    suite.check(rows == known, "loop: the map and the database differ: " + str(
        [(name, rows.get(name), known.get(name)) for name in rows.keys() | known.keys()
         if rows.get(name) != known.get(name)][:3]))
    for instance, row in left.items():
        right = row and {field: row[field] for field in FIELDS}
        suite.check(rows.get(instance) == right, f"loop: {rows.get(instance)} instead of {right}")
    for instance, row in at_first.items():
        right = dict(row, user=hands[instance]) if instance in hands else row
        suite.check(rows.get(instance) == right,
                    f"loop: {instance}: {rows.get(instance)} instead of {right}")
