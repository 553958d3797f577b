"""A store under test: commands run on it, killed or not, and a second implementation reads it."""
import hashlib
import os
import pathlib
import signal
import subprocess
import sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "Tests" / "JournalTests" / "Vectors"))
import journal_reference  # noqa: E402

WORK = ROOT / ".build" / "faults"


class Wrong(Exception):
    """Something that must hold after a kill doesn't."""


def require(holds, what):
    if not holds:
        raise Wrong(what)


class Store:
    """One store, worked on by processes of the command that may be killed."""

    def __init__(self, program, folder, cloud):
        self.program, self.folder, self.cloud = program, folder, cloud
        self.kills = 0

    def start(self, *arguments, under=()):
        """Starts a command, under another program such as strace if one is given."""
        environment = {**os.environ, "CELLMAP_BASE_DIRECTORY": str(self.cloud)}
        return subprocess.Popen(
            [*under, str(self.program), "--store", str(self.folder), *arguments], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment, start_new_session=True)

    def run(self, *arguments, expected=(0,)):
        process = self.start(*arguments)
        output, errors = process.communicate()
        require(process.returncode in expected,
                f"{' '.join(arguments)}: exit {process.returncode}: {errors.strip()[-500:]}")
        return output

    def kill(self, delay, *arguments, expected=(0,)):
        """Starts a command and kills it, its children too, if it still runs after the delay.

        Returns what it printed, or nothing where it was killed.
        """
        process = self.start(*arguments)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        if process.returncode == -signal.SIGKILL:
            self.kills += 1
            return None
        require(process.returncode in expected,
                f"exit {process.returncode}: {errors.strip()[-500:]}")
        return output

    def entries(self):
        """The entries, in order; the journal is verified on the way."""
        verifier = journal_reference.Verifier(self.folder / "journal.lmdb")
        try:
            verifier.run()
        except subprocess.CalledProcessError as error:
            raise Wrong(f"the journal can't be dumped: {error.stderr.strip()}") from error
        head = self.folder / "HEAD"
        if head.exists() and not verifier.findings:
            self.check_head(verifier, head.read_bytes())
        require(not verifier.findings, f"the reference finds: {verifier.findings[:3]}")
        return [self.entry(value) for _, value in
                journal_reference.dump(verifier.path, "entries")]

    @staticmethod
    def entry(value):
        """What is compared of an entry: all its bytes, by their digest, and its request id."""
        data = value[:journal_reference.form.entry_length(value)]
        return (hashlib.sha256(data).hexdigest(),
                journal_reference.form.decode_entry(data)["request"])

    @staticmethod
    def check_head(verifier, data):
        """A witness may be behind after a kill, but never ahead and never of another root."""
        form = journal_reference.form
        for at in (0, form.SLOT_BYTES):
            slot = form.decode_slot(data[at:at + form.SLOT_BYTES])
            if slot:
                root = verifier.roots.get(slot["index"])
                if root is None or root.hex() != slot["root"]:
                    verifier.finding(f"HEAD {slot['index']} is not of this journal")

    def verify(self):
        """The store serves, making what is derived again by itself; then all of it is checked."""
        self.run("status")
        self.run("audit", "verify")


def change(instance, request):
    return ("instance", "delete-mark", instance, "--reason", "fault test",
            "--request-id", request, "--json")


def requests_of(entries):
    return [request for _, request in entries]
