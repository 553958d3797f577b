"""Makes each system call on the store's files fail in its turn, once or from then on, and looks at
what is left: the loop goes on until a run meets no failure.

A failed change is refused or undecided, never half done, and its message is one line; given again
under its request id it counts once. A failed write or sync of the journal is never acknowledged.
"""
import concurrent.futures
import itertools
import os
import shutil
import uuid

from fault_store import WORK, Wrong, change, require, requests_of

# What a change calls on these files, and how many calls lie between two that are tried: one reads the
# index dozens of times. Reads fail once each, what writes also from a call on.
WRITES = ["writev", "pwrite64", "fdatasync", "ftruncate", "fallocate"]
CASES = [(["journal.lmdb"], call, 1) for call in ["writev", "pwrite64", "fdatasync"]] + [
    (["journal.lmdb"], "pread64", 5), (["HEAD"], "read", 1), (["LOCK"], "pwrite64", 1),
    (["HEAD"], "pwrite64", 1), (["HEAD"], "fdatasync", 1), (["HEAD"], "fallocate", 1),
    (["index-1.sqlite", "index-1.sqlite-wal"], "pwrite64", 2),
    (["index-1.sqlite", "index-1.sqlite-wal"], "pread64", 25)]
DONE, STORAGE, OUTCOME_UNKNOWN = 0, 6, 10
ALLOWED = {DONE, 4, STORAGE, OUTCOME_UNKNOWN}
# About every other change has pages side by side.
MOST_STEPS = 40


def inject(store, files, call, which, log, arguments):
    """Runs a command in which one call fails; gives exit code, errors, and whether one did."""
    paths = itertools.chain.from_iterable(["-P", str(store.folder / name)] for name in files)
    under = ["strace", "-f", "-qq", "-o", str(log), *paths, "-e", f"trace={call}",
             "-e", f"inject={call}:error=EIO:when={which}"]
    process = store.start(*arguments, under=under)
    _, errors = process.communicate()
    return process.returncode, errors, "INJECTED" in log.read_text()


def with_adjacent_pages(campaign):
    """Makes the store "adjacent", whose next change writes pages side by side: only there LMDB calls
    writev, and where free pages lie differs from change to change. Equal changes of equal stores take
    equal pages, so what a traced change of a copy calls, the changes that fail call as well."""
    store = campaign.copy("adopted", "adjacent")
    for instance in campaign.live[1:MOST_STEPS]:
        trial, log = campaign.copy("adjacent", "adjacent trial"), WORK / "adjacent trial.log"
        process = trial.start(
            *change(campaign.live[0], str(uuid.uuid4())),
            under=["strace", "-f", "-qq", "-o", str(log), "-P", str(trial.folder / "journal.lmdb"),
                   "-e", "trace=writev"])
        process.communicate()
        found = process.returncode == DONE and "writev(" in log.read_text()
        shutil.rmtree(trial.folder)
        log.unlink()
        if found:
            return
        store.run(*change(instance, str(uuid.uuid4())))
    raise Wrong(f"none of {MOST_STEPS} changes wrote pages side by side")


def one(campaign, case, number, lasts):
    """One failing call; gives whether the run met it, and what is wrong."""
    files, call, _ = case
    name = f"error {files[0]} {call} {number}{'+' if lasts else ''}"
    store = campaign.copy("adjacent" if call == "writev" else "adopted", name)
    log = WORK / f"{name}.log"
    before, request = store.entries(), str(uuid.uuid4())
    words = change(campaign.live[0], request)
    try:
        code, errors, met = inject(
            store, files, call, f"{number}{'+' if lasts else ''}", log, words)
        require(code in ALLOWED, f"exit {code}: {errors.strip()[-300:]}")
        if code != DONE:
            require(errors.count("\n") == 1, f"more than one line: {errors}")
        if met and files == ["journal.lmdb"] and call in WRITES:
            require(code in (STORAGE, OUTCOME_UNKNOWN), f"acknowledged, exit {code}: {errors}")
            require(code == OUTCOME_UNKNOWN, f"nothing may be said of the outcome: exit {code}")
        left = store.entries()
        require(left[:len(before)] == before, "entries of before are gone")
        new = requests_of(left[len(before):])
        require(new in ([request], [] if code != DONE else [request]), f"exit {code}, {new}")
        store.run(*words)
        require(requests_of(store.entries()[len(before):]) == [request], "not made once")
        store.verify()
    except Wrong as wrong:
        return met_or_not(log), f"{name}: {wrong}"
    shutil.rmtree(store.folder)
    log.unlink()
    return met, None


def met_or_not(log):
    return log.exists() and "INJECTED" in log.read_text()


def loop(campaign, case):
    """The n-th call fails, n = 1, 2, 3 … until the run completes untouched."""
    met_count, failed = 0, 0
    for lasts in (False, True) if case[1] in WRITES else (False,):
        for number in itertools.count(1, case[2]):
            met, wrong = one(campaign, case, number, lasts)
            met_count += met
            if wrong:
                failed += 1
                print(f"  FAILED: {wrong}", flush=True)
            if not met:
                break
    return met_count, failed


def run(campaign):
    with_adjacent_pages(campaign)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        results = list(pool.map(lambda case: loop(campaign, case), CASES))
    met, failed = sum(count for count, _ in results), sum(count for _, count in results)
    print(f"{met} failing system calls: {failed} failed", flush=True)
    # A case that no call met would test nothing.
    idle = [case for case, (count, _) in zip(CASES, results) if not count]
    for files, call, _ in idle:
        print(f"  FAILED: no {call} on {files[0]} was met", flush=True)
    return failed + len(idle)
