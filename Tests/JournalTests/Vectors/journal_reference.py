#!/usr/bin/env python3
"""Computes the journal's test vectors, and verifies journals, without any of the Swift code.

  journal_reference.py --write          writes entries.json, tree.json and head.json beside itself
  journal_reference.py --check          computes them again and compares
  journal_reference.py --encode         description of an entry (JSON) in, its bytes out (hex)
  journal_reference.py --decode         bytes (hex) in, description out
  journal_reference.py --verify JOURNAL [--head HEAD]
                                        reads a journal.lmdb through mdb_dump (lmdb-utils), and the
                                        files in archive/ beside it, and checks every entry,
                                        root, tile and the HEAD
  journal_reference.py --entry INDEX JOURNAL
                                        shows one entry of it

The formats are docs/journal-format.md and docs/archive-format.md; how they are read is
journal_format.py and archive_format.py.
"""
import argparse
import datetime
import hashlib
import json
import pathlib
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
import archive_format  # noqa: E402
import journal_format as form  # noqa: E402
from journal_examples import example_commits, refused_entries  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
MAIN, ENTRIES, TILES = None, "entries", "tiles"


# --- Vectors ------------------------------------------------------------------------------------

def entry_vectors():
    """A whole small journal that has every kind of event; and entries that a reader must refuse."""
    tree, vectors, commit_end = form.GrowingTree(), [], []
    for commit in example_commits():
        for entry in commit:
            data = form.encode_entry(entry)
            assert form.decode_entry(data) == entry
            tree.add(form.leaf_hash(data))
            vectors.append({
                "name": form.KINDS[entry["kind"]][0], "entry": entry, "bytes": data.hex(),
                "digest": form.leaf_hash(data).hex()})
        vectors[-1]["root"] = tree.root.hex()
        commit_end.append(tree.size)
    refused = []
    for why, data in refused_entries():
        try:
            form.decode_entry(data)
        except (form.FormatError, ValueError):
            refused.append({"why": why, "bytes": data.hex()})
        else:
            raise AssertionError(f"not refused: {why}")
    return {
        "about": "A journal, entry by entry; `root` is the root behind the last entry of a commit."
                 " Numbers that JSON can't hold exactly are text. `refused` may not be read.",
        "entries": vectors, "commits": commit_end, "refused": refused}


ROOT_SIZES = [*range(0, 18), 31, 32, 33, 127, 128, 129, 255, 256, 257, 511, 512, 513, 767, 768,
              1000, 1023, 1024, 1025, 2047, 2048, 2049, 4096, 65535, 65536, 65537, 70000]
INCLUSIONS = [(1, 0), (2, 0), (2, 1), (3, 2), (7, 0), (7, 3), (7, 6), (8, 5), (256, 0), (256, 255),
              (257, 0), (257, 256), (300, 44), (300, 299), (1024, 512), (1500, 1279), (1500, 1499)]
CONSISTENCIES = [(1, 1), (1, 2), (2, 3), (3, 7), (4, 7), (6, 7), (7, 7), (4, 8), (6, 8), (255, 256),
                 (256, 257), (256, 512), (257, 1000), (300, 1500), (1024, 1500), (1499, 1500)]


def tree_vectors():
    """Leaf i of this tree is the leaf hash of the 8 bytes of i, big-endian."""
    tree, leaves, roots, records = form.GrowingTree(), [], [], []
    for size in range(max(ROOT_SIZES) + 1):
        if size in ROOT_SIZES:
            roots.append({"size": size, "root": tree.root.hex()})
        leaf = form.leaf_hash(struct.pack(">Q", size))
        for value in tree.add(leaf):
            if size < 2304:
                records.append({
                    "key": len(records), "bytes": len(value),
                    "sha256": hashlib.sha256(value).hexdigest()})
        leaves.append(leaf)
    for entry in roots:
        if entry["size"] <= 4096:
            assert entry["root"] == form.root_of(leaves[:entry["size"]]).hex()
    tiles = [*range(0, 18), 255, 256, 257, 1000, 65535, 1 << 20, (1 << 32) + 5, (1 << 52) - 1]
    return {
        "about": tree_vectors.__doc__,
        "roots": roots,
        "inclusion": [
            {"size": size, "leaf": leaf,
             "path": [node.hex() for node in form.inclusion_proof(leaf, leaves[:size])]}
            for size, leaf in INCLUSIONS],
        "consistency": [
            {"old": old, "new": new,
             "path": [node.hex() for node in form.consistency_proof(old, leaves[:new])]}
            for old, new in CONSISTENCIES],
        "tile keys": [{"tile": tile, "key": form.tile_key(tile)} for tile in tiles],
        "tile records": records}


def head_vectors():
    """HEAD slots; the index of `serves` in `slots` is the slot that counts, null if none does."""
    store = "c0ffee00-1234-4abc-8def-0123456789ab"
    root = form.root_of([form.leaf_hash(b"one")])
    first = form.encode_slot(1, store, 1, root, 1_767_225_600_000_000, 1)
    second = form.encode_slot(7, store, (1 << 64) - 1, root, -1, 2)
    torn = second[:100] + first[100:]
    flipped = bytes([first[0]]) + bytes([first[1] ^ 1]) + first[2:]
    tailed = first[:-1] + b"\1"
    cases = [("first slot only", first, bytes(form.SLOT_BYTES)), ("both", first, second),
             ("both, newer first", second, first), ("newer one torn", first, torn),
             ("older one flipped", flipped, second), ("both bad", flipped, torn),
             ("bytes behind the checksum", tailed, bytes(form.SLOT_BYTES))]
    vectors = []
    for name, *slots in cases:
        read = [form.decode_slot(slot) for slot in slots]
        valid = [number for number in (0, 1) if read[number]]
        serves = max(valid, key=lambda number: read[number]["sequence"], default=None)
        vectors.append({
            "name": name, "file": b"".join(slots).hex(), "serves": serves,
            "head": None if serves is None else textual(read[serves])})
    return {"about": head_vectors.__doc__, "heads": vectors}


def textual(value):
    """The same value with integers beyond 2^53 as text, since JSON readers may round them."""
    if isinstance(value, dict):
        return {key: textual(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [textual(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 1 << 53:
        return str(value)
    return value


def vector_files():
    made = {"entries.json": entry_vectors(), "tree.json": tree_vectors(),
            "head.json": head_vectors()}
    return {name: json.dumps(textual(value), indent=1, ensure_ascii=True) + "\n"
            for name, value in made.items()}


def write_vectors():
    for name, text in vector_files().items():
        (HERE / name).write_text(text)
    return 0


def check_vectors():
    stale = [name for name, text in vector_files().items()
             if not (HERE / name).is_file() or (HERE / name).read_text() != text]
    print(f"differs from what the reference computes: {', '.join(stale)}" if stale
          else "the vectors are what the reference computes")
    return 1 if stale else 0


# --- Verifying a journal ------------------------------------------------------------------------

def dump(path, database):
    """The records of one database of the LMDB file, in the order of their keys."""
    command = ["mdb_dump", "-n"] + (["-s", database] if database else []) + [str(path)]
    lines = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True).stdout.splitlines()
    data = [line[1:] for line in lines if line.startswith(" ")]
    return [(bytes.fromhex(key), bytes.fromhex(value))
            for key, value in zip(data[::2], data[1::2])]


class Verifier:
    """Reads a journal from its first to its last entry and names what is not as documented."""

    def __init__(self, path):
        self.path, self.findings, self.tree = path, [], form.GrowingTree()
        self.commits, self.epoch, self.order = 0, 0, None
        self.tile_records, self.roots, self.archives, self.told = [], {}, [], {}

    def finding(self, text):
        self.findings.append(text)

    def run(self):
        try:
            values = self.read_store_record()
        except (form.FormatError, OSError) as problem:
            return self.finding(str(problem))
        for number, (key, value) in enumerate(values, 1):
            try:
                self.read_entry(number, key, value, last=number == len(values))
            except (form.FormatError, ValueError) as problem:
                self.finding(f"entry {number}: {problem}")
                return
        self.read_tiles()
        self.compare_archives()

    def read_store_record(self):
        """Every entry's record under its key, those of the archives first."""
        main = dict(dump(self.path, MAIN))
        record = main.get(b"store", b"")
        if len(record) != 28:
            raise form.FormatError("no record `store` of 28 bytes")
        version, self.store, first = struct.unpack(">I16sQ", record)
        values = dump(self.path, ENTRIES)
        if (version, first) == (1, 1) and b"archive" not in main:
            return values
        if version != 1 or b"archive" not in main:
            raise form.FormatError(f"format version {version}, first index {first}")
        self.archives = archive_format.read_all(
            main[b"archive"], pathlib.Path(self.path).parent, self.store)
        archived = [record for archive in self.archives for record in archive.records]
        if first != len(archived):
            raise form.FormatError(f"first index {first} behind {len(archived)} archived entries")
        if values[:1] != [(struct.pack(">Q", first), archived[-1])]:
            raise form.FormatError(f"entry {first} is not the same in the journal and its archive")
        return [(struct.pack(">Q", at), record)
                for at, record in enumerate(archived, 1)] + values[1:]

    def read_entry(self, number, key, value, last):
        if key != struct.pack(">Q", number):
            raise form.FormatError(f"key {key.hex()}")
        length = form.entry_length(value)
        data, root = value[:length], value[length:]
        entry = form.decode_entry(data)
        if entry["index"] != number:
            raise form.FormatError(f"says that it is entry {entry['index']}")
        self.check_epoch(number, entry)
        if "archive" in entry["fields"]:
            self.told[entry["fields"]["archive"]["index"]] = entry["fields"]["archive"]
        expected = max(entry["observed"], self.order if self.order is not None else -1 << 63)
        if entry["order"] != expected:
            raise form.FormatError("its order time is neither its own nor the one before")
        self.order = entry["order"]
        self.tile_records += self.tree.add(form.leaf_hash(data))
        self.roots[number] = self.tree.root
        if len(root) not in (0, form.ROOT_BYTES) or (last and not root):
            raise form.FormatError(f"{len(root)} bytes behind it")
        if root:
            self.commits += 1
            if root != self.tree.root:
                raise form.FormatError("the root behind it is not the root of the entries")

    def check_epoch(self, number, entry):
        opens = entry["kind"] == 0x0501
        if entry["epoch"] != self.epoch + (1 if opens else 0):
            raise form.FormatError(f"epoch {entry['epoch']} after epoch {self.epoch}")
        self.epoch = entry["epoch"]
        if opens and number == 1:
            opened = entry["fields"]["epoch"]
            nothing = form.NO_LEAVES.hex()
            if (opened["common index"], opened["left index"]) != (0, 0) or \
                    (opened["common root"], opened["left root"]) != (nothing, nothing):
                raise form.FormatError("does not begin with the root of no leaves")

    def read_tiles(self):
        """Of archived tiles the roots alone are in the journal: under the keys that they always had."""
        archived = sum(len(archive.tiles) for archive in self.archives)
        gone = {form.tile_key(tile) for tile in range(archived)}
        expected = [(struct.pack(">Q", at), value)
                    for at, value in enumerate(self.tile_records) if at not in gone]
        found = dump(self.path, TILES)
        if [key for key, _ in found] != [key for key, _ in expected]:
            self.finding(f"{len(found)} records in `tiles` instead of {len(expected)}, or under "
                         "other keys")
        for (key, value), (_, right) in zip(found, expected):
            if value != right:
                self.finding(f"record {int.from_bytes(key, 'big')} of `tiles` is not made of the "
                             "entries")

    def compare_archives(self):
        """Leaf hashes, root and digest of each file are those of the tree and of the entry that tells."""
        tile = 0
        for archive in self.archives:
            for leaves in archive.tiles:
                if leaves != self.tile_records[form.tile_key(tile)]:
                    self.finding(f"{archive.path.name}: tile {tile} is not made of the entries")
                tile += 1
            if archive.root != self.roots[archive.last]:
                self.finding(f"{archive.path.name}: its root is not that of entry {archive.last}")
            told = self.told.get(archive.last)
            if told is None or told["file digest"] != archive.digest.hex() or \
                    told["root"] != archive.root.hex():
                self.finding(f"{archive.path.name}: no entry tells of it, or another root or digest")

    def read_head(self, path):
        data = pathlib.Path(path).read_bytes()
        slots = [form.decode_slot(data[at:at + form.SLOT_BYTES]) for at in (0, form.SLOT_BYTES)]
        valid = [slot for slot in slots if slot]
        if not valid:
            return self.finding("HEAD: no valid slot")
        head = max(valid, key=lambda slot: slot["sequence"])
        root = self.roots.get(head["index"])
        if root is None:
            self.finding(f"HEAD names entry {head['index']}, which the journal doesn't have")
        elif root.hex() != head["root"]:
            self.finding(f"HEAD's root of entry {head['index']} is not the journal's")


def verify(journal, head):
    verifier = Verifier(journal)
    verifier.run()
    if head and not verifier.findings:
        verifier.read_head(head)
    print("\n".join(verifier.findings or [
        f"{verifier.tree.size} entries"
        + "".join(f" ({archive.last} archived)" for archive in verifier.archives[-1:])
        + f" in {verifier.commits} commits, epoch {verifier.epoch}, "
        f"{len(verifier.tile_records)} tile records, root {verifier.tree.root.hex()}: all as "
        "documented"]))
    return 1 if verifier.findings else 0


def show_entry(index, journal):
    """Prints an entry for people: kinds by name, times as text, the digest computed here."""
    for key, value in Verifier(journal).read_store_record():
        if key == struct.pack(">Q", index):
            break
    else:
        print(f"{journal} has no entry {index}", file=sys.stderr)
        return 1
    data = value[:form.entry_length(value)]
    entry = form.decode_entry(data)
    kind = form.KINDS[entry["kind"]][0] if entry["kind"] in form.KINDS else entry["kind"]
    lines = {
        "position": f"{entry['epoch']}:{entry['index']}", "event": kind,
        "about": f"{['store', 'cell', 'host', 'instance'][entry['entity kind']]} "
                 f"{entry['fields'].get('host', entry['entity'])}",
        "observed": moment(entry["observed"]), "request": entry["request"]}
    lines.update(entry.get("fields", {}))
    lines["digest"] = form.leaf_hash(data).hex()
    for name, content in lines.items():
        if isinstance(content, dict):
            content = json.dumps(timed(content), ensure_ascii=False)
        print(f"  {name:15} {content}")
    return 0


def moment(microseconds):
    start = datetime.datetime(1970, 1, 1)
    return f"{start + datetime.timedelta(microseconds=microseconds)} UTC"


def timed(fields):
    return {name: moment(value) if name in ("at", "read at", "row created at") else
            timed(value) if isinstance(value, dict) else value for name, value in fields.items()}


def numbers(value):
    """Undoes `textual` where a number is meant, in a description given by hand."""
    return {key: int(inner) if key in ("index", "observed", "order") else inner
            for key, inner in value.items()}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verb = parser.add_mutually_exclusive_group(required=True)
    for name in ("--write", "--check", "--encode", "--decode"):
        verb.add_argument(name, action="store_true", help=argparse.SUPPRESS)
    verb.add_argument("--verify", metavar="JOURNAL", help=argparse.SUPPRESS)
    parser.add_argument("--head", metavar="HEAD", help=argparse.SUPPRESS)
    verb.add_argument("--entry", type=int, metavar="INDEX", help=argparse.SUPPRESS)
    parser.add_argument("journal", nargs="?", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.entry is not None:
        if not given.journal:
            parser.error("--entry wants the journal")
        return show_entry(given.entry, given.journal)
    if given.write:
        return write_vectors()
    if given.check:
        return check_vectors()
    if given.encode:
        print(form.encode_entry(numbers(json.load(sys.stdin))).hex())
        return 0
    if given.decode:
        entry = form.decode_entry(bytes.fromhex(sys.stdin.read().strip()))
        print(json.dumps(textual(entry), indent=1))
        return 0
    return verify(given.verify, given.head)


if __name__ == "__main__":
    sys.exit(main())
