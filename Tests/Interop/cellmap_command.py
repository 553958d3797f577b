"""The calls of the cellmap command that the suite makes: all of them, and only here."""
import json
import os
import subprocess


class CommandFailed(Exception):
    """The command ended with another exit code than the one that is right."""


class Cellmap:
    """The command on one store, for a cloud whose databases lie in one folder."""

    def __init__(self, program, store, cloud, base=None, api="sqlite:///nova_api.sqlite"):
        self.program, self.store, self.cloud = program, store, cloud
        self.base, self.api = base or cloud / "nova.conf", api
        # Everything that the command said without being asked for secrets; searched for them.
        self.said = []

    @property
    def _environment(self):
        return {name: value for name, value in os.environ.items()
                if not name.startswith(("CELLMAP_", "OS_"))}

    def start(self, *arguments):
        """The command as a process group of its own, to be killed as one."""
        return subprocess.Popen(
            [str(self.program), "--store", str(self.store), *arguments], text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=self._environment, start_new_session=True)

    def run(self, *arguments, given="", expected=0, revealing=False):
        done = subprocess.run(
            [str(self.program), "--store", str(self.store), *arguments], input=given, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self._environment, check=False)
        self.said.append(done.stderr if revealing else done.stdout + done.stderr)
        if done.returncode not in (expected if isinstance(expected, tuple) else (expected,)):
            raise CommandFailed(
                f"cellmap {' '.join(arguments)}: exit {done.returncode} instead of {expected}\n"
                + done.stderr[-2000:])
        return done.stdout

    def init(self):
        self.run("init")

    def adopt(self):
        self.run("adopt", "-", "--base-directory", str(self.cloud), "--base", str(self.base),
                 "--reason", "interoperability", given=self.api + "\n")

    def publish(self, folder, *options):
        """Writes the map into the API database of another folder; its answer."""
        return json.loads(self.run(
            "publish", "sqlite:///nova_api.sqlite", "--base-directory", str(folder), "--reason",
            "interoperability", "--json", *options))

    def rebuild(self, cells, *options):
        """Makes a store from the cells alone; what the command says of it."""
        return json.loads(self.run(
            "rebuild", "--cells", str(cells), "--base-directory", str(self.cloud), "--base",
            str(self.base), "--reason", "interoperability", "--json", *options))

    def doctor(self):
        """The lines of an examination of Nova's own map, the summary last; a life leaves findings."""
        output = self.run("doctor", "--nova-conf", str(self.cloud / "nova.conf"), "--json",
                          "--base-directory", str(self.cloud), expected=1)
        return [json.loads(line) for line in output.splitlines()]

    def routes(self, instances):
        """The route of each instance, by its UUID, addresses revealed."""
        output = self.run(
            "route", "--reveal", "--json", "--deadline", "60000", "-",
            "--base-directory", str(self.cloud), "--base", str(self.base),
            given="".join(f"{instance}\n" for instance in instances), revealing=True)
        answers = [json.loads(line) for line in output.splitlines()]
        return {answer["instance"]: answer for answer in answers}

    def masked_routes(self, instances):
        return self.run(
            "route", "--json", "--deadline", "60000", "-", "--base-directory", str(self.cloud),
            "--base", str(self.base),
            given="".join(f"{instance}\n" for instance in instances))

    def live_lists(self, *options, limit):
        """Every page of a list over all cells; the last line of each says what became of the cells."""
        pages, token = [], []
        while token is not None:
            lines = self.run(
                "instance", "list", "--live", "--json", "--deadline", "60000", "--limit", str(limit),
                "--base-directory", str(self.cloud), "--base", str(self.base), *options,
                *token).splitlines()
            pages += lines
            summary = json.loads(lines[-1])
            if any(cell["outcome"] != "answered" for cell in summary["cells"]):
                raise CommandFailed(f"a cell didn't answer: {lines[-1]}")
            following = summary["next"]
            token = following and ["--page-token", following]
        return pages

    def replay(self):
        self.run("replay")

    def verify(self):
        self.run("audit", "verify")

    def queue(self, cell, address):
        self.run("cell", "address", cell, "--queue", "-", "--reason", "interoperability",
                 given=address + "\n")

    def cast(self, instance, *words, given=""):
        return json.loads(self.run(
            "cast", instance, *words, "--json", "--base-directory", str(self.cloud), given=given))

    def probe(self, cell):
        """The report on a cell of which one host alone answers."""
        return json.loads(self.run(
            "cell", "probe", cell, "--json", "--deadline", "3000", "--base-directory",
            str(self.cloud), expected=8))
