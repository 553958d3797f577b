"""Changes exports in every way that changes what they say, and asks tools/verify-export, in this process.

Bytes, lines lost, doubled, swapped, moved, cut off; readable members that lie; entries changed with every
digest behind them made again, up to a whole export of another history, which only the checkpoint that
was kept can tell. And one change that nothing can tell, as docs/threat-model.md says: where commits ended.
"""
import base64
import functools
import hashlib
import importlib.machinery
import importlib.util
import io
import json
import random
import subprocess
import sys

from fault_store import ROOT, WORK, Store

CASES = 1500
# The example store has as many instances; its export is small, and its tree has several levels.
INSTANCES = 40


def load_checker():
    """tools/verify-export as a module; each signature is asked of openssl once."""
    path = str(ROOT / "tools" / "verify-export")
    loader = importlib.machinery.SourceFileLoader("verify_export", path)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("verify_export", loader))
    loader.exec_module(module)
    module.openssl_accepts = functools.lru_cache(None)(module.openssl_accepts)
    return module


class Sample:
    """An export, line by line, the checkpoint that was kept of its store, and the keys that sign."""

    def __init__(self, checker, store, name, *options):
        self.checker = checker
        path = WORK / name
        store.run("audit", "export", str(path), *options)
        self.lines = path.read_bytes().splitlines(keepends=True)
        keys = store.run("audit", "checkpoint", "--keys", "--json")
        self.keys = checker.keys_of(json.loads(keys)["key"])
        self.kept = checker.Checkpoint(store.run("audit", "checkpoint").encode())
        self.has_proofs = "--proofs" in options

    def accepts(self, data, with_checkpoint=True):
        """Whether the bytes are taken for an export of the store's history."""
        kept = self.kept if with_checkpoint else None
        # A key that has nothing to check is refused.
        keys = self.keys if with_checkpoint or self.has_proofs else ()
        try:
            self.checker.check_export(self.checker.lines_of(io.BytesIO(data)), keys, kept)
        except (self.checker.Wrong, self.checker.Unusable):
            return False
        return True


def ended(lines):
    """Lines without an end, with one that fits them."""
    entries = len(lines) - 1
    digest = hashlib.sha256(b"".join(lines)).hexdigest()
    end = {"entries": entries, "kind": "cellmap export end", "sha256": digest}
    return lines + [line_of(end)]


def line_of(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def byte_changed(sample, rng):
    data = bytearray(b"".join(sample.lines))
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def edge_changed(sample, rng):
    """A byte of the first or the last line is another."""
    lines = list(sample.lines)
    at = rng.choice([0, -1])
    line = bytearray(lines[at])
    line[rng.randrange(len(line))] ^= 1 << rng.randrange(8)
    lines[at] = bytes(line)
    return b"".join(lines)


def root_forged(sample, rng):
    """The root behind a commit is another or gone, and the end fits."""
    lines = list(sample.lines[:-1])
    at = rng.choice([at for at in range(1, len(lines)) if "root" in json.loads(lines[at])])
    value = json.loads(lines[at])
    if at == len(lines) - 1 and rng.random() < 0.5:
        del value["root"]
    else:
        value["root"] = format(int(value["root"], 16) ^ 1 << rng.randrange(256), "064x")
    lines[at] = line_of(value)
    return b"".join(ended(lines))


def byte_lost(sample, rng):
    data = b"".join(sample.lines)
    at = rng.randrange(len(data))
    return data[:at] + data[at + 1:]


def byte_added(sample, rng):
    data = b"".join(sample.lines)
    at = rng.randrange(len(data) + 1)
    return data[:at] + bytes([rng.randrange(256)]) + data[at:]


def cut(sample, rng):
    data = b"".join(sample.lines)
    return data[:rng.randrange(len(data))]


def line_lost(sample, rng, fits=False):
    lines = list(sample.lines[:-1] if fits else sample.lines)
    del lines[rng.randrange(1, len(lines))]
    return b"".join(ended(lines) if fits else lines)


def line_doubled(sample, rng, fits=False):
    lines = list(sample.lines[:-1] if fits else sample.lines)
    at = rng.randrange(1, len(lines))
    lines.insert(rng.randrange(1, len(lines) + 1), lines[at])
    return b"".join(ended(lines) if fits else lines)


def lines_swapped(sample, rng, fits=False):
    lines = list(sample.lines[:-1] if fits else sample.lines)
    one, other = rng.sample(range(1, len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    return b"".join(ended(lines) if fits else lines)


def shortened(sample, rng):
    """The last lines are gone, and the end fits."""
    return b"".join(ended(sample.lines[:rng.randrange(2, len(sample.lines) - 1)]))


def lied(sample, rng):
    """A readable member says something else, and the end fits."""
    lines = list(sample.lines[:-1])
    at = rng.randrange(1, len(lines))
    value = json.loads(lines[at])
    name = rng.choice([name for name in sorted(value) if name not in ("entry", "proof", "root")])
    value[name] = rng.choice(["mallory", None, 7, {}])
    lines[at] = line_of(value)
    return b"".join(ended(lines))


def header_lied(sample, rng):
    lines = list(sample.lines[:-1])
    value = json.loads(lines[0])
    name = rng.choice(["store", "position", "root", "first", "entities", "complete", "proofs"])
    # A number that Python itself refuses to read is as wrong as another one.
    position = rng.choice(["1:7", "1:" + "9" * 5000, 7])
    value[name] = {
        "store": "00000000-0000-4000-8000-000000000000", "position": position, "root": "ab" * 32, "first": 2,
        "entities": ["store"], "complete": not value["complete"], "proofs": not value["proofs"],
    }[name]
    lines[0] = line_of(value)
    return b"".join(ended(lines))


def proof_forged(sample, rng):
    """A node of a proof is another, and the end fits."""
    lines = list(sample.lines[:-1])
    at = rng.randrange(1, len(lines))
    value = json.loads(lines[at])
    if not value.get("proof"):
        return lied(sample, rng)
    path = value["proof"]
    node = rng.randrange(len(path))
    path[node] = format(int(path[node], 16) ^ 1 << rng.randrange(256), "064x")
    lines[at] = line_of(value)
    return b"".join(ended(lines))


def forged(sample, rng, mends_roots=False):
    """An entry says something else, with its digest, and the end fits; and the roots, if asked for."""
    form, checker = sample.checker.form, sample.checker
    lines = list(sample.lines[:-1])
    target = rng.randrange(1, len(lines))
    header, tree = json.loads(lines[0]), form.GrowingTree()
    for at in range(1, len(lines)):
        value = json.loads(lines[at])
        data = base64.b64decode(value["entry"])
        if at == target:
            entry = form.decode_entry(data)
            entry["fields"]["actor"] = "mallory"
            data = form.encode_entry(entry)
            kept = {name: value[name] for name in ("root", "proof") if name in value}
            value = {**checker.readable(entry, data), **kept,
                     "entry": base64.b64encode(data).decode()}
        tree.add(form.leaf_hash(data))
        if mends_roots and "root" in value:
            value["root"] = tree.root.hex()
        lines[at] = line_of(value)
    if mends_roots:
        header["root"], header["checkpoint"] = tree.root.hex(), None
        lines[0] = line_of(header)
    return b"".join(ended(lines))


def retyped(sample, rng):
    """A member has a value of another type that is equal to Python, and the end fits."""
    lines = list(sample.lines[:-1])
    at = rng.randrange(len(lines))
    value = json.loads(lines[at])
    holder, name = rng.choice(list(plain_places(value)))
    old = holder[name]
    if isinstance(old, bool):
        holder[name] = rng.choice([int(old), float(old)])
    else:
        holder[name] = rng.choice([float(old)] + ([bool(old)] if old in (0, 1) else []))
    lines[at] = line_of(value)
    return b"".join(ended(lines))


def plain_places(value):
    """Where the numbers and flags of a line are, also within its members."""
    for name in sorted(value):
        if isinstance(value[name], dict):
            yield from plain_places(value[name])
        elif isinstance(value[name], (bool, int)):
            yield value, name


def reformed(sample, rng):
    """A line says the same in another form, and the end fits."""
    lines = list(sample.lines[:-1])
    at = rng.randrange(len(lines))
    value, line = json.loads(lines[at]), lines[at][:-1]
    backwards = dict(sorted(value.items(), reverse=True))
    lines[at] = rng.choice([
        line + b"\r", line + b" ", b" " + line, line[:1] + b"\t" + line[1:],
        json.dumps(value, sort_keys=True).encode(),
        json.dumps(backwards, separators=(",", ":"), ensure_ascii=False).encode(),
        b'{"\\u%04x' % line[2] + line[3:],
        line_of({**value, "root" if "root" not in value else "proof" if "proof" not in value else "": None})[:-1],
    ]) + b"\n"
    return b"".join(ended(lines))


def commit_end_changed(sample, rng):
    """A commit in the middle has lost its end, or got one that is none, and the end of the file fits.

    What was committed together is no part of the tree: nobody can tell this.
    """
    form, tree = sample.checker.form, sample.checker.form.GrowingTree()
    lines = list(sample.lines[:-1])
    values = [json.loads(line) for line in lines]
    at = rng.randrange(1, len(lines) - 1)
    for value in values[1:at + 1]:
        tree.add(form.leaf_hash(base64.b64decode(value["entry"])))
    if values[at].pop("root", None) is None:
        values[at]["root"] = tree.root.hex()
    lines[at] = line_of(values[at])
    return b"".join(ended(lines))


KINDS = [byte_changed, edge_changed, root_forged, byte_lost, byte_added, cut, line_lost, line_doubled, lines_swapped, shortened, lied,
         header_lied, proof_forged, forged, retyped, reformed] + [
             functools.partial(kind, fits=True)
             for kind in (line_lost, line_doubled, lines_swapped)]


def run(campaign, cases=CASES):
    store = prepared(campaign)
    checker, failed, done = load_checker(), 0, 0
    samples = [Sample(checker, store, "export"), Sample(checker, store, "proven", "--proofs")]
    for sample in samples:
        if not sample.accepts(b"".join(sample.lines)):
            print("  FAILED: the export itself is not taken", flush=True)
            return 1
    for number in range(cases):
        rng = random.Random(f"{campaign.seed} tampering {number}")
        sample, kind = samples[number % 2], KINDS[number // 2 % len(KINDS)]
        data = kind(sample, rng)
        if data == b"".join(sample.lines):
            continue
        done += 1
        if sample.accepts(data, with_checkpoint=False):
            failed += 1
            print(f"  FAILED: case {number}, {kind}: is taken", flush=True)
    # A whole other history agrees with itself; what was kept elsewhere tells it.
    for number in range(max(20, cases // 50)):
        rng = random.Random(f"{campaign.seed} rewriting {number}")
        data = forged(samples[0], rng, mends_roots=True)
        done += 1
        if not samples[0].accepts(data, with_checkpoint=False) or samples[0].accepts(data):
            failed += 1
            print(f"  FAILED: rewriting {number} is not told by the checkpoint alone", flush=True)
    # What the documents say that nothing finds.
    for number in range(max(20, cases // 50)):
        rng = random.Random(f"{campaign.seed} commits {number}")
        if not samples[number % 2].accepts(commit_end_changed(samples[number % 2], rng)):
            failed += 1
            print(f"  FAILED: case {number} of ends of commits is told, and docs/threat-model.md says that "
                  "nothing tells it", flush=True)
    print(f"{done} changed exports: {failed} taken", flush=True)
    return failed + (done < cases * 9 // 10)


def prepared(campaign):
    """A small store of its own, with commits of several sizes."""
    cloud = WORK / "small-cloud"
    subprocess.run([sys.executable, str(ROOT / "tools" / "testbed" / "sample-cloud"), str(cloud),
                    "--instances", str(INSTANCES), "--cells", "2", "--hosts", "2"], check=True,
                   stdout=subprocess.DEVNULL)
    store = Store(campaign.program, WORK / "tampering", cloud)
    store.run("init")
    store.run("adopt", "sqlite:///nova_api.sqlite", "--reason", "fault test")
    for old, new in (("cell1", "one"), ("one", "two"), ("two", "cell1")):
        store.run("cell", "rename", old, new, "--reason", "fault test")
    store.run("audit", "checkpoint")
    return store
