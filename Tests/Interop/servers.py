"""One deployment in SQLite, on MariaDB and on PostgreSQL: the same answers, byte for byte."""
import contextlib
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

from cellmap_command import Cellmap
from nova_servers import whole_seconds

HERE = pathlib.Path(__file__).resolve().parent
TESTBED = HERE.parent.parent / "tools" / "testbed"
PASSWORD = "r3ad%2Fer-pass"
ADMIN_PASSWORD = "adm1n-pass"
# Orders and filters of lists, each gone through page by page.
LISTS = [
    (), ("--sort", "created_at:desc"), ("--sort", "display_name,host:desc", "--deleted"),
    ("--sort", "project,updated_at"), ("--sort", "launched_at:desc", "--vm-state", "active"),
    ("--name", "server-1", "--hidden"),
]


class Server:
    """A private server of tools/testbed with the deployment's databases on it."""

    def __init__(self, engine, folder):
        self.engine, self.folder = engine, folder
        script = subprocess.run(
            [str(TESTBED / engine), "start", str(folder)], check=True, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout
        self.values = dict(line.split("=", 1) for line in script.splitlines())
        scheme = "mysql+pymysql" if engine == "mariadb" else "postgresql+psycopg2"
        place = f"127.0.0.1:{self.values['port']}"
        self.admin = f"{scheme}://admin:{ADMIN_PASSWORD}@{place}"
        self.reader = f"{scheme}://reader:{PASSWORD}@{place}"

    def stop(self):
        subprocess.run([str(TESTBED / self.engine), "stop", str(self.folder)], check=True)

    def _client(self, database):
        if self.engine == "mariadb":
            return ["mariadb", "--no-defaults", "--user=root", "--batch", "--skip-column-names",
                    f"--socket={self.values['socket']}"] + ([database] if database else [])
        return ["psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1",
                f"--host={self.values['socket']}", f"--port={self.values['port']}",
                "--username=postgres", database or "postgres"]

    def execute(self, sql, database=None):
        subprocess.run(self._client(database), input=sql, check=True, text=True,
                       stdout=subprocess.DEVNULL)

    def query(self, sql, database):
        """The rows of an answer, as MariaDB's client writes them: texts, and None for NULL."""
        done = subprocess.run(self._client(database), input=sql, check=True, text=True,
                              stdout=subprocess.PIPE)
        return [[None if value == "NULL" else value for value in line.split("\t")]
                for line in done.stdout.splitlines()]

    def make_databases(self, names):
        clear = PASSWORD.replace("%2F", "/")
        if self.engine == "mariadb":
            self.execute(
                f"CREATE USER admin IDENTIFIED BY '{ADMIN_PASSWORD}'; GRANT ALL ON *.* TO admin;"
                f"CREATE USER reader IDENTIFIED BY '{clear}'; GRANT SELECT ON *.* TO reader;"
                + "".join(f"CREATE DATABASE {name} CHARACTER SET utf8mb3;" for name in names))
            return
        self.execute(f"CREATE ROLE admin SUPERUSER LOGIN PASSWORD '{ADMIN_PASSWORD}';"
                     f"CREATE ROLE reader LOGIN PASSWORD '{clear}';"
                     "GRANT pg_read_all_data TO reader;")
        for name in names:
            self.execute(f"CREATE DATABASE {name} OWNER admin")


@contextlib.contextmanager
def copied(engine, folder):
    """A server with a copy of the deployment, in memory where the system has a place for that: a
    server waits for the disk with each of a few hundred tables."""
    memory = pathlib.Path("/dev/shm")
    with tempfile.TemporaryDirectory(
            prefix=f"cellmap-{engine}-", dir=memory if memory.is_dir() else None) as place:
        # The server's own user has to come to its folder.
        pathlib.Path(place).chmod(0o711)
        server = Server(engine, pathlib.Path(place) / "server")
        try:
            server.make_databases(sorted(path.stem for path in folder.glob("nova_*.sqlite")))
            subprocess.run(
                [sys.executable, str(HERE / "nova_servers.py"), "copy", str(folder), server.admin,
                 server.reader], check=True, stdin=subprocess.DEVNULL)
            yield server
        finally:
            server.stop()


def compare(suite, program, cloud, work, afterwards):
    """Adopts the cloud from each engine and compares what is said of every instance; then each server
    is left to `afterwards`."""
    folder = work / "cloud on servers"
    shutil.copytree(cloud, folder)
    whole_seconds(folder)
    instances = [json.loads(line)["instance"]
                 for line in (folder / "expected-routes.jsonl").read_text().splitlines()]
    command = Cellmap(program, work / "store of sqlite", folder)
    answers = {"sqlite": answers_of(command, instances)}
    globals_ = {"sqlite": global_tables(command, "sqlite")}
    for engine in ("mariadb", "postgresql"):
        with copied(engine, folder) as server:
            base = work / f"{engine}.conf"
            original = (folder / "nova.conf").read_text()
            base.write_text(original.replace(
                "sqlite:///nova_cell0.sqlite", f"{server.reader}/nova_cell0"))
            command = Cellmap(program, work / f"store of {engine}", folder, base=base,
                              api=f"{server.reader}/nova_api")
            answers[engine] = answers_of(command, instances)
            globals_[engine] = global_tables(command, engine)
            for secret in (PASSWORD, PASSWORD.replace("%2F", "/")):
                said = "\n".join(command.said)
                suite.check(secret not in said, f"{engine}: a password was said")
            afterwards(server, folder)
    for engine in ("mariadb", "postgresql"):
        for line, right in zip(answers[engine], answers["sqlite"]):
            suite.check(line == right, f"{engine}: {line}\n    SQLite: {right}")
        suite.check(len(answers[engine]) == len(answers["sqlite"]), f"{engine}: as many answers")
        for table, rows in globals_["sqlite"].items():
            suite.check(rows == globals_[engine][table] and rows != [], f"{engine}: {table}: " + str(
                [pair for pair in zip(rows, globals_[engine][table]) if pair[0] != pair[1]][:1]))
    print(f"SQLite, MariaDB and PostgreSQL: {len(answers['sqlite'])} answers each", flush=True)


def global_tables(cellmap, engine):
    """What is published of request specs, flavors and key pairs, read of the engine's cells, into an API
    database that has none."""
    path = cellmap.cloud / f"{engine}-globals.sqlite"
    shutil.copy(cellmap.cloud / "nova_api.sqlite", path)
    database = sqlite3.connect(path)
    for table in ("request_specs", "flavor_extra_specs", "flavors", "key_pairs"):
        database.execute(f"DELETE FROM {table}")
    database.commit()
    cellmap.run("publish", f"sqlite:///{path.name}", "--base-directory", str(cellmap.cloud), "--base",
                str(cellmap.base), "--reason", "interoperability", "--request-specs", "--flavors",
                "--keypairs")
    rows = {}
    for table in ("request_specs", "flavors", "flavor_extra_specs", "key_pairs"):
        # Made now, so the times differ.
        columns = ", ".join(f'"{row[1]}"' for row in database.execute(f"PRAGMA table_info({table})")
                            if row[1] not in ("created_at", "updated_at"))
        rows[table] = database.execute(
            f"SELECT {columns} FROM {table} ORDER BY {columns}").fetchall()
    database.close()
    return rows


def answers_of(cellmap, instances):
    """The lines that the command prints, but for what can't be equal."""
    cellmap.init()
    cellmap.adopt()
    lines = cellmap.masked_routes(instances).splitlines()
    for instance in instances[::9]:
        answer = json.loads(cellmap.run("instance", "show", instance, "--json"))
        if answer["cell"]:
            lines += cellmap.run(
                "instance", "show", instance, "--live", "--json", "--base-directory",
                str(cellmap.cloud), "--base", str(cellmap.base)).splitlines()
    for options in LISTS:
        lines += cellmap.live_lists(*options, limit=400)
    return [comparable(line) for line in lines]


def comparable(line):
    """The line without what is the engine's (the address), the store's (a token of a page), or the
    run's own (the time of adoption)."""
    line = re.sub(r'"next":"[^"]*"', '"next":"…"', line)
    line = re.sub(r'"last_known_host_at":"[^"]*"', '"last_known_host_at":"…"', line)
    return re.sub(r'"database":"[^"]*"', '"database":"…"', line)
