"""Kills `keys rotate`, `keys shred` (of a cell and of a project) and `archive` at each system call that changes something on disk, and
looks at what is left: every secret that should be readable is, none that shouldn't; no entry is lost or
changed; and the same command, given again, finishes it.

strace delivers SIGKILL as in backup_kills.py.
"""
import functools
import hashlib
import json
import shutil
import uuid

from backup_kills import kill_all, killed
from fault_store import WORK, Store, Wrong, journal_reference, require

# The calls, and how many lie between two that are tried.
CALLS = [("rename", 1), ("unlink", 1), ("fsync", 3), ("fdatasync", 3), ("ftruncate", 1), ("write", 23),
         ("pwrite64", 47)]
ARCHIVE_CALLS = CALLS + [("mkdir", 1), ("rmdir", 1), ("fallocate", 1), ("writev", 3)]
KINDS = ["rotate master", "rotate cell", "shred", "archive"]
CELL = "cell1"
# Entries before this one are archived: whole tiles of 256.
BEFORE = 900


def shown(store, *words):
    return json.loads(store.run(*words, "--json"))


def exported(store, name):
    """The lines of the entries, as everybody reads them: through archive and journal."""
    path = WORK / f"{name}.export"
    path.unlink(missing_ok=True)
    store.run("audit", "export", str(path))
    lines = path.read_bytes().splitlines()[1:-1]
    path.unlink()
    return lines


def address(store, *past):
    """The cell's database, secret and all; nothing if its key is shredded."""
    process = store.start("cell", "show", CELL, "--reveal", "--json", *past)
    output, errors = process.communicate()
    require(process.returncode in (0, 1), f"reveal: {errors.strip()[-300:]}")
    require(process.returncode == 0 or "shredded" in errors, f"reveal: {errors.strip()[-300:]}")
    return json.loads(output)["database"] if process.returncode == 0 else None


def data_keys(store):
    return [key for key in map(json.loads, store.run("keys", "list", "--json").splitlines())
            if key["use"] == "data" and key["cell_name"] == CELL]


def archived(path):
    """The entries of an archive, read as docs/archive-format.md has it and checked against its leaves."""
    form = journal_reference.form
    data = path.read_bytes()
    word = lambda at: int.from_bytes(data[at:at + 8], "big")  # noqa: E731
    require(data[:16] == b"CELLARCH" + bytes([0, 0, 0, 1, 0, 0, 0, 0]), "no archive")
    require(hashlib.sha256(data[:-32]).digest() == data[-32:], "the digest at its end is another")
    tiles, table = (word(40) - word(32) + 1) // 256, word(len(data) - 40)
    starts = [word(table + 8 * tile) for tile in range(tiles)] + [table]
    require(starts[0] == 80 and table + 8 * tiles + 40 == len(data), "its parts are elsewhere")
    entries = []
    for tile, at in enumerate(starts[:-1]):
        leaves, at = at, at + 8192
        for place in range(256):
            length = int.from_bytes(data[at:at + 4], "big")
            value = data[at + 4:at + 4 + length]
            entry = value[:form.entry_length(value)]
            require(form.leaf_hash(entry) == data[leaves + 32 * place:leaves + 32 * place + 32],
                    f"entry {len(entries) + 1} has another leaf hash")
            entries.append(Store.entry(value))
            at += 4 + length
        require(at == starts[tile + 1], "a block ends elsewhere")
    return entries


class Case:
    """A store before its command, and what has to hold of it at every moment."""

    def __init__(self, campaign, kind):
        self.campaign, self.kind = campaign, kind
        self.template = f"keep {kind}"
        store = campaign.copy("adopted", self.template)
        if kind == "shred":
            store.run("keys", "rotate", CELL, "--reason", "fault test")
        self.words = {
            "rotate master": ("keys", "rotate", "--master"),
            "rotate cell": ("keys", "rotate", CELL, "--reason", "fault test"),
            "shred": ("keys", "shred", CELL, "--reason", "fault test"),
            "archive": ("archive", "--before", str(BEFORE), "--reason", "fault test"),
        }[kind]
        self.secret = address(store)
        self.position = shown(store, "status")["position"]
        # The cell as it was at first, under its first key.
        self.past = ("--at", self.position if kind != "shred" else "600")
        require(address(store, *self.past) == self.secret, "the sample has one address")
        self.entries = exported(store, self.template)
        # The journal as a second implementation reads it, before anything is archived.
        self.first = store.entries()[:768]

    def check(self, store, name):
        require(address(store) == self.secret, "the present address can't be read")
        first = address(store, *self.past)
        if self.kind == "shred":
            states = [key["state"] for key in data_keys(store)]
            require(states in (["old", "current"], ["shredded", "current"]), f"states {states}")
            require((first is None) == (states[0] == "shredded"), f"{states}: {first}")
            left = [path.name for path in (store.folder / "keys").glob("shredding-*")]
            require(not left, f"left behind: {left}")
        else:
            require(first == self.secret, "an address of before can't be read")
        if self.kind == "archive":
            self.check_entries(store, name)

    def check_entries(self, store, name):
        entries = exported(store, name)
        require(entries[:len(self.entries)] == self.entries, "entries are lost or changed")

    def finish(self, store, name):
        request = str(uuid.uuid4())
        done = [] if self.kind == "rotate master" else ["--request-id", request]
        if self.kind == "shred" and data_keys(store)[0]["state"] == "shredded":
            return
        store.run(*self.words, *done)
        self.check(store, name)
        self.check_entries(store, name)
        if self.kind == "shred":
            require(address(store, *self.past) is None, "a shredded key opens an address")
        if self.kind == "rotate master":
            require(not (store.folder / "keys" / "master-next").exists(), "a master is left")
        if self.kind == "archive":
            archives = sorted(path.name for path in (store.folder / "archive").iterdir())
            require(archives == ["entries-1-768"], f"archives: {archives}")
            require(not (store.folder / "archiving").exists(), "a work folder is left")
            require(archived(store.folder / "archive" / archives[0]) == self.first,
                    "other entries are archived")
            store.verify()


class ProjectCase:
    """The same of a store that seals owners, whose project is shredded."""

    def __init__(self, campaign):
        self.campaign, self.kind, self.template = campaign, "shred project", "keep shred project"
        store = campaign.store(self.template)
        store.run("init", "--seal-projects")
        store.run(*campaign.adoption(str(uuid.UUID(int=3))))
        self.owners = self.read(store)
        self.project = sorted({owner[0] for owner in self.owners.values()})[0]
        self.words = ("keys", "shred", "--project", self.project, "--reason", "fault test")
        self.entries = exported(store, self.template)
        self.first = store.entries()
        found = [path.name for path in store.folder.rglob("*")
                 if path.is_file() and self.project.encode() in path.read_bytes()]
        require(not found, f"the project stands in clear in {found}")

    @staticmethod
    def read(store):
        lines = map(json.loads, store.run("instance", "list", "--limit", "0", "--json").splitlines())
        return {line["instance"]: (line["project"], line["user"], "key_shredded" in line)
                for line in lines if "instance" in line}

    def is_shredded(self, store):
        keys = [json.loads(line) for line in store.run("keys", "list", "--json").splitlines()]
        return self.project not in [key["project"] for key in keys if key["use"] == "project"]

    def check(self, store, name):
        owners, is_shredded = self.read(store), self.is_shredded(store)
        for instance, owner in self.owners.items():
            expected = (None, None, True) if is_shredded and owner[0] == self.project else owner
            require(owners[instance] == expected,
                    f"{instance}, shredded {is_shredded}: {owners[instance]}")
        left = [path.name for path in (store.folder / "keys").glob("shredding-*")]
        require(not left, f"left behind: {left}")
        entries = store.entries()
        require(entries[:len(self.first)] == self.first, "entries are lost or changed")
        # The key is gone once its entry is there, and not before.
        require(len(entries) - len(self.first) == is_shredded, f"{len(entries)} entries")

    def finish(self, store, name):
        if not self.is_shredded(store):
            store.run(*self.words)
        self.check(store, name)
        require(self.is_shredded(store), "the key is there after all")
        require(exported(store, name)[:len(self.entries)] == self.entries, "an export differs")
        store.verify()


def one(case, call, number):
    name = f"{case.template} {call} {number}"
    store = case.campaign.copy(case.template, name)
    try:
        met = killed(store, call, number, case.words)
        case.check(store, name)
        case.finish(store, name)
    except Wrong as wrong:
        return True, f"{name}: {wrong}"
    shutil.rmtree(store.folder, ignore_errors=True)
    return met, None


def run(campaign):
    cases = [Case(campaign, kind) for kind in KINDS] + [ProjectCase(campaign)]
    return kill_all("rotations, shreddings and archivings", [
        (step, functools.partial(one, case, call)) for case in cases
        for call, step in (ARCHIVE_CALLS if case.kind == "archive" else CALLS)])
