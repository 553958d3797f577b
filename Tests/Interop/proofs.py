"""Compares trees and proofs with pymerkle, an implementation of RFC 9162's tree that others wrote.

pymerkle takes proofs of inclusion as they are. Its proofs of consistency have another form than the RFC's:
there the roots at both ends are compared, and the path with tools/verify-export.
"""
import base64
import importlib.machinery
import importlib.util
import json
import pathlib
import random

from pymerkle import InclusionProof, InmemoryTree, InvalidProof

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROOFS = 12


def check_proofs(suite, cellmap, folder, seed):
    """Of a store of some hundred entries: its roots, and proofs at random places; forged ones too."""
    rng, checker = random.Random(seed), load_checker()
    path = folder / "proofs.jsonl"
    path.unlink(missing_ok=True)
    cellmap.run("audit", "export", str(path))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    tree = InmemoryTree(algorithm="sha256")
    for line in lines[1:-1]:
        tree.append_entry(base64.b64decode(line["entry"]))
        if "root" in line:
            suite.check(tree.get_root().hex() == line["root"], f"root of {tree.get_size()} entries")
    count = tree.get_size()
    suite.check(tree.get_root().hex() == lines[0]["root"], "the export's root")
    for _ in range(PROOFS):
        size = rng.randint(2, count)
        inclusion(suite, cellmap, tree, rng.randint(1, size), size)
        consistency(suite, cellmap, checker, tree, rng.randint(1, size), size)
    print(f"proofs: {PROOFS} of each kind among {count} entries, seed {seed}, with pymerkle", flush=True)


def inclusion(suite, cellmap, tree, index, size):
    said = json.loads(cellmap.run("audit", "prove", str(index), "--in", str(size), "--json"))
    name = f"the inclusion of {index} in {size}"
    root, path = bytes.fromhex(said["root"]), [bytes.fromhex(node) for node in said["path"]]
    leaf = bytes.fromhex(said["digest"])
    suite.check(tree.get_leaf(index) == leaf and tree.get_root(size) == root, f"{name}: leaf and root")
    suite.check(accepts(tree, index, size, leaf, path, root), f"{name} is refused")
    for at in range(len(path)):
        forged = path[:at] + [bytes([path[at][0] ^ 1]) + path[at][1:]] + path[at + 1:]
        suite.check(not accepts(tree, index, size, leaf, forged, root), f"{name}, forged, is taken")
        short = path[:at] + path[at + 1:]
        suite.check(not accepts(tree, index, size, leaf, short, root), f"{name}, shortened, is taken")


def accepts(tree, index, size, leaf, path, root):
    """Whether pymerkle takes a path; which side each node is on follows from the place alone."""
    rule = tree.prove_inclusion(index, size).rule
    try:
        proof = InclusionProof("sha256", True, size, index, rule, [leaf] + path)
        proof.verify(leaf, root, index=index, size=size)
    except (InvalidProof, IndexError, ValueError):
        return False
    return True


def consistency(suite, cellmap, checker, tree, first, second):
    said = json.loads(cellmap.run("audit", "prove", str(first), str(second), "--json"))
    name = f"the consistency of {first} and {second}"
    roots = bytes.fromhex(said["first_root"]), bytes.fromhex(said["second_root"])
    path = [bytes.fromhex(node) for node in said["path"]]
    suite.check(roots == (tree.get_root(first), tree.get_root(second)), f"{name}: its roots")
    suite.check(checker.roots_of_consistency(first, second, roots[0], path) == roots, f"{name} is refused")
    for forged in checker.forgeries(path):
        suite.check(checker.roots_of_consistency(first, second, roots[0], forged) != roots,
                    f"{name}, forged, is taken")


def load_checker():
    path = str(ROOT / "tools" / "verify-export")
    loader = importlib.machinery.SourceFileLoader("verify_export", path)
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("verify_export", loader))
    loader.exec_module(module)
    return module
