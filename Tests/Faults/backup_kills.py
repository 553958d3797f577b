"""Kills `backup create`, `backup restore` and `audit import` at each system call that changes something on
disk, and looks at what is left: no backup or a whole one; the old store, byte for byte, or the new one; no
store or that of the export.

strace delivers SIGKILL when a process enters its n-th call of a kind, n = 1, 2, 3 … until a run is not
killed any more; so every state between two calls is looked at, but for plain writes, of which there are
so many that some are passed over.
"""
import concurrent.futures
import functools
import itertools
import os
import shutil

from fault_store import WORK, Store, Wrong, journal_reference, require

# The calls, and how many lie between two that are tried.
CALLS = [("rename", 1), ("link", 1), ("unlink", 1), ("mkdir", 1), ("rmdir", 1), ("fsync", 1),
         ("fdatasync", 2), ("ftruncate", 1), ("fallocate", 1), ("writev", 3), ("write", 5),
         ("pwrite64", 17)]
KINDS = ["create", "restore new", "restore over", "import"]
# Up to which entry, of about 1,500.
KEPT = 900


def entries(folder):
    """The entries of a journal, checked by the second implementation; HEAD is left to verify."""
    verifier = journal_reference.Verifier(folder / "journal.lmdb")
    verifier.run()
    require(not verifier.findings, f"the reference finds: {verifier.findings[:3]}")
    return [Store.entry(value) for _, value in journal_reference.dump(verifier.path, "entries")]


def killed(store, call, number, arguments):
    """Runs a command of which a process is killed at its n-th call; gives whether one was."""
    log = store.folder.with_name(store.folder.name + ".log")
    under = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={call}",
             "-e", f"inject={call}:signal=KILL:when={number}"]
    store.start(*arguments, under=under).communicate()
    met = "killed by SIGKILL" in log.read_text()
    log.unlink()
    return met


def check_create(store, backup, words, before):
    if backup.exists():
        require(entries(backup) == before, "a backup of something else")
    else:
        store.run(*words)
        left = [path.name for path in WORK.glob(backup.name + ".*")]
        require(not left, f"left behind: {left}")
    require(entries(store.folder) == before, "the store changed")


def check_restore(store, words, before):
    if not (store.folder / "journal.lmdb").exists():
        require(not before, "the journal is gone")
        store.run(*words)
    left = entries(store.folder)
    if left == before:
        store.verify()
        store.run(*words)
        left = entries(store.folder)
    require(len(left) == KEPT + 1, f"{len(left)} entries")
    require(not before or left[:KEPT] == before[:KEPT], "entries are changed")
    store.verify()


def check_import(store, words, exported):
    if not (store.folder / "journal.lmdb").exists():
        store.run("status", expected=(6,))
        store.run(*words)
    require(entries(store.folder) == exported, "a store of something else")
    require((store.folder / "IMPORTED").exists(), "the store doesn't know that it was imported")
    store.verify()


def one(campaign, kind, call, number):
    """One kill; gives whether a process met it, and what is wrong."""
    name = f"backup {kind} {call} {number}"
    store = (campaign.store(name) if kind in ("restore new", "import")
             else campaign.copy("adopted", name))
    backup = WORK / f"{name}.copy"
    try:
        before = entries(store.folder) if store.folder.exists() else []
        words = {
            "create": ("backup", "create", str(backup)),
            "import": ("audit", "import", str(WORK / "exported")),
        }.get(kind, ("backup", "restore", str(WORK / "backup"), "--to", str(KEPT),
                     "--reason", "fault test"))
        met = killed(store, call, number, words)
        if kind == "create":
            check_create(store, backup, words, before)
        elif kind == "import":
            check_import(store, words, campaign.exported)
        else:
            check_restore(store, words, before)
    except Wrong as wrong:
        return True, f"{name}: {wrong}"
    shutil.rmtree(store.folder, ignore_errors=True)
    shutil.rmtree(backup, ignore_errors=True)
    return met, None


def until_missed(step, one):
    """Calls one(n) with n = 1, 1 + step, … until it meets no call to kill at, or is wrong too often."""
    met_count, failed = 0, 0
    for number in itertools.count(1, step):
        met, wrong = one(number)
        met_count += met
        if wrong:
            failed += 1
            print(f"  FAILED: {wrong}", flush=True)
        if not met or failed > 3:
            return met_count, failed


def kill_all(what, cases):
    """Goes through (step, one) side by side, as until_missed; returns how many things were wrong."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(lambda case: until_missed(*case), cases))
    met, failed = sum(count for count, _ in results), sum(count for _, count in results)
    print(f"{met} kills of {what}: {failed} failed", flush=True)
    return failed + (met == 0)


def run(campaign):
    adopted = campaign.store("adopted")
    adopted.run("backup", "create", str(WORK / "backup"))
    adopted.run("audit", "export", str(WORK / "exported"))
    campaign.exported = entries(adopted.folder)
    return kill_all("backups, restores and imports", [
        (step, functools.partial(one, campaign, kind, call))
        for kind, (call, step) in itertools.product(KINDS, CALLS)])
