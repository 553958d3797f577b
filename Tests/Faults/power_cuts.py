"""Records what commands write, and puts the store together as a power cut may leave it.

Every write, truncation and sync is taken down by strace. At each point a file holds what was synced,
and any part of what was written since, in sectors of 512 bytes; names are those of the last synced
directory and a beginning of what was done to it since. Of these states some are chosen at random,
with the extremes among them, and each must hold every entry that was acknowledged at that point.
"""
import concurrent.futures
import os
import random
import re
import shutil
import uuid

from fault_store import WORK, Wrong, change, require

SECTOR = 512
# States that are looked at, and those of a disk that lies about syncs, of which some must be found bad:
# else this campaign finds nothing.
STATES, CANARIES = 320, 24
# What LMDB and SQLite keep for running processes alone; after a power cut nobody runs.
VOLATILE = ("-lock", "-shm")
CALLS = ("openat,mkdir,unlink,rename,renameat,renameat2,rmdir,lseek,write,pwrite64,writev,"
         "ftruncate,fallocate,fsync,fdatasync")


class File:
    """One file: what is on disk for certain, and what was done to it since."""

    def __init__(self):
        self.synced, self.pending = b"", []

    def sync(self):
        self.synced, self.pending = self.content(range(len(self.pending))), []

    def content(self, chosen, sectors=None):
        """The synced bytes with some of what came since; `sectors` chooses within a write."""
        data = bytearray(self.synced)
        for number in chosen:
            kind, offset, value = self.pending[number]
            if kind == "size":
                if offset < len(data):
                    del data[offset:]
                data.extend(bytes(offset - len(data)))
                continue
            data.extend(bytes(max(0, offset + len(value) - len(data))))
            for start in range(0, len(value), SECTOR):
                if sectors is None or sectors():
                    part = value[start:start + SECTOR]
                    data[offset + start:offset + start + len(part)] = part
        return bytes(data)


class Disk:
    """The files of one folder, as the recorded calls leave them."""

    def __init__(self, folder, is_honest=True):
        self.folder, self.live, self.synced_names, self.name_changes = str(folder), {}, {}, []
        self.places, self.is_honest = {}, is_honest

    def name(self, path):
        """The name within the folder; None for a path that isn't in it."""
        path = os.path.normpath(os.path.join(self.folder, "..", path))
        return os.path.relpath(path, self.folder) if path.startswith(self.folder) else None

    def change_names(self, name, file):
        if file is None:
            self.live.pop(name, None)
        else:
            self.live[name] = file
        self.name_changes.append((name, file))

    def apply(self, call, handle, path, arguments, flags):
        """Takes in one call; says whether there is a new state to look at."""
        name = self.name(path) if path else None
        if name is None or name.endswith(VOLATILE):
            return False
        file = self.live.get(name)
        if call == "openat":
            if file is None and "O_CREAT" in flags:
                self.change_names(name, File())
            elif file and "O_TRUNC" in flags:
                file.pending.append(("size", 0, b""))
            self.places.pop(handle, None)
        elif call == "mkdir":
            self.change_names(name, "folder")
        elif call in ("unlink", "rmdir"):
            self.change_names(name, None)
        elif call == "rename":
            target = self.name(arguments)
            self.change_names(target, file)
            self.change_names(name, None)
        elif call == "lseek":
            self.places[handle] = arguments
            return False
        elif call in ("write", "pwrite64", "writev"):
            offset, data, is_synced = arguments
            offset = self.places.get(handle, 0) if offset is None else offset
            if call != "pwrite64":
                self.places[handle] = offset + len(data)
            file.pending.append(("write", offset, data))
            if is_synced and self.is_honest:
                self.sync_write(file)
        elif call in ("ftruncate", "fallocate"):
            size = arguments
            if call == "ftruncate" or size > len(file.content(range(len(file.pending)))):
                file.pending.append(("size", size, b""))
        elif isinstance(file, File):
            if self.is_honest:
                file.sync()
        else:
            self.synced_names = dict(self.live)
            self.name_changes = []
        return True

    @staticmethod
    def sync_write(file):
        """A write through O_DSYNC: it is on disk, what was written elsewhere may not be."""
        last = file.pending.pop()
        kept, file.pending = file.pending, [last]
        file.sync()
        file.pending = kept

    def state(self, rng, how):
        """One legal state: the content of each name."""
        count = {"none": 0, "all": len(self.name_changes)}.get(
            how, rng.randint(0, len(self.name_changes)))
        names = dict(self.synced_names)
        for name, file in self.name_changes[:count]:
            if file is None:
                names.pop(name, None)
            else:
                names[name] = file
        return {name: None if file == "folder" else self.some(file, rng, how)
                for name, file in sorted(names.items())}

    @staticmethod
    def some(file, rng, how):
        everything = range(len(file.pending))
        if how in ("none", "all"):
            return file.content(everything if how == "all" else ())
        share = rng.random()
        chosen = [number for number in everything if rng.random() < share]
        return file.content(chosen, (lambda: rng.random() < 0.7) if how == "torn" else None)


def text(hexadecimal):
    return bytes.fromhex(hexadecimal.replace("\\x", ""))


PATH = re.compile(r'^(\d+)<((?:\\x..)*)>')
STRING = re.compile(r'"((?:\\x..)*)"')


def calls(log, cwd):
    """The recorded calls that succeeded: name, handle, path, arguments and flags of `Disk.apply`."""
    synced = set()
    for line in log.read_text().splitlines():
        found = re.match(r"^\d+ +(\w+)\((.*)\) += (\d+)", line)
        if not found:
            require("<unfinished" not in line or "resumed" not in line, f"cut: {line[:80]}")
            continue
        call, words, result = found.groups()
        on = PATH.match(words)
        handle, path = (int(on[1]), text(on[2]).decode()) if on else (None, None)
        strings = [text(one) for one in STRING.findall(words)]
        if call == "openat":
            opened = re.search(r"= (\d+)<((?:\\x..)*)>", line)
            handle, path = int(opened[1]), text(opened[2]).decode()
            (synced.add if "O_DSYNC" in words else synced.discard)(handle)
            yield call, handle, path, None, words
        elif call in ("mkdir", "unlink", "rmdir"):
            yield call, None, os.path.join(cwd, strings[0].decode()), None, words
        elif call.startswith("rename"):
            yield ("rename", None, os.path.join(cwd, strings[0].decode()),
                   os.path.join(cwd, strings[1].decode()), words)
        elif call == "lseek":
            yield call, handle, path, int(result), words
        elif call in ("write", "pwrite64", "writev"):
            data = b"".join(strings)[:int(result)]
            offset = int(words.rsplit(", ", 1)[1]) if call == "pwrite64" else None
            yield call, handle, path, (offset, data, handle in synced), words
        elif call in ("ftruncate", "fallocate"):
            numbers = [int(number) for number in re.findall(r", (\d+)", words)]
            yield call, handle, path, sum(numbers[-2:]) if call == "fallocate" else numbers[-1], words
        else:
            yield call, handle, path, None, words


def check(campaign, number, state, acknowledged, in_flight, is_made):
    """What must hold of a state; gives what is wrong, or nothing."""
    name = f"cut {number}"
    store = campaign.store(name)
    for path, content in state.items():
        target = store.folder if path == "." else store.folder / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if content is None:
            target.mkdir(mode=0o700, exist_ok=True)
        else:
            target.write_bytes(content)
            target.chmod(0o600)
    try:
        if not is_made:
            store.run("init", expected=(0, 9))
        entries = store.entries()
        allowed = [acknowledged, in_flight] if is_made else [entries]
        require(entries in allowed, f"{len(entries)} entries; {len(acknowledged)} were acknowledged")
        store.verify()
    except Wrong as wrong:
        return f"{name}: {wrong}"
    if store.folder.exists():
        shutil.rmtree(store.folder)
    return None


def record(store, log, *arguments):
    under = ["strace", "-f", "-y", "-v", "-xx", "-qq", "-s", "16777216", "-o", str(log), "-e",
             f"trace={CALLS}"]
    process = store.start(*arguments, under=under)
    _, errors = process.communicate()
    require(process.returncode == 0, f"{arguments}: {errors}")


def states(campaign, rng, is_honest):
    """Runs commands one after the other and gives the states that a cut may leave in each."""
    store = campaign.store("recorded")
    shutil.rmtree(store.folder, ignore_errors=True)
    disk, acknowledged, is_made = Disk(store.folder, is_honest), [], False
    instance = campaign.live[0]
    commands = [
        ("init",),
        ("cell", "add", "one", "--database", "sqlite:///one.sqlite", "--queue", "none:///",
         "--reason", "fault test"),
        ("instance", "map", instance, "--cell", "one", "--project", "p", "--reason", "fault test"),
        change(instance, str(uuid.UUID(int=7))), ("replay",),
        ("instance", "unmap", instance, "--reason", "fault test")]
    for arguments in commands:
        log = WORK / "recorded.log"
        record(store, log, *arguments)
        after = store.entries()
        for call in calls(log, os.getcwd()):
            if not disk.apply(*call):
                continue
            for how in {"none", "all", rng.choice(["some", "torn"]), rng.choice(["some", "torn"])}:
                yield disk.state(rng, how), acknowledged, after, is_made
        acknowledged, is_made = after, True
        for how in ("none", "all", "some", "torn"):
            yield disk.state(rng, how), acknowledged, after, True


def chosen_states(campaign, rng, count, is_honest):
    """Some of the different states, at random."""
    different = {}
    for item in states(campaign, rng, is_honest):
        different.setdefault((tuple(item[0].items()), len(item[1]), item[3]), item)
    return rng.sample(list(different.values()), min(count, len(different)))


def wrong_states(campaign, chosen):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        found = pool.map(lambda item: check(campaign, item[0], *item[1]), enumerate(chosen))
        return [wrong for wrong in found if wrong]


def run(campaign):
    rng = random.Random(f"{campaign.seed} cuts")
    canaries = chosen_states(campaign, rng, CANARIES, is_honest=False)
    caught = len(wrong_states(campaign, canaries))
    for folder in WORK.glob("cut *"):
        shutil.rmtree(folder)
    chosen = chosen_states(campaign, rng, STATES, is_honest=True)
    wrong = wrong_states(campaign, chosen)
    for one in wrong:
        print(f"  FAILED: {one}")
    print(f"{len(chosen)} states after a power cut: {len(wrong)} failed; of {len(canaries)} on a "
          f"disk that lies {caught} were caught", flush=True)
    return len(wrong) + (0 if caught else 1)
