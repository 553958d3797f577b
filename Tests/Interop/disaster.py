"""A cloud of Nova's own whose API database is lost: rebuilt from its cells, published into a fresh one,
and asked again with Nova's objects."""
import json
import pathlib
import shutil
import sqlite3
import subprocess

from cellmap_command import Cellmap, CommandFailed

HERE = pathlib.Path(__file__).resolve().parent
DELETED_STATES = ("soft-delete",)


class Release:
    """A release of Nova in an environment of its own."""

    def __init__(self, name, environment):
        self.name, self.environment = name, environment

    def python(self, script, *arguments):
        """What a script of this folder prints under the release's Python."""
        # The cloud's own script finds nova-manage beside its Python.
        return subprocess.run(
            [str(self.environment / "bin" / "python"), str(HERE / script), *map(str, arguments)],
            check=True, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE).stdout

    def manage(self, folder, *arguments):
        subprocess.run(
            [str(self.environment / "bin" / "nova-manage"), "--config-file",
             str(folder / "nova.conf"), *arguments], cwd=folder, check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def write_cells(folder, path):
    """The cells as an operator has them written down: their UUIDs, names and addresses."""
    with sqlite3.connect(folder / "nova_api.sqlite") as database:
        rows = database.execute("SELECT uuid, name, database_connection, transport_url, disabled"
                                " FROM cell_mappings ORDER BY id").fetchall()
    database.close()
    # JSON is YAML.
    path.write_text(json.dumps({"cells": [
        {key: value for key, value in (
            ("uuid", row[0]), ("name", row[1]), ("database", row[2]),
            ("queue", None if row[3] == "none:///" else row[3]),
            ("disabled", bool(row[4]))) if value is not None} for row in rows]}))
    path.chmod(0o600)


def being_deleted(folder):
    """The instances whose deletion was accepted; Nova's map_instances takes them for others."""
    found = set()
    for path in folder.glob("nova_cell*.sqlite"):
        with sqlite3.connect(path) as database:
            found.update(row[0] for row in database.execute(
                "SELECT uuid FROM instances WHERE task_state IN ('deleting', 'soft-deleting')"))
        database.close()
    return found


def queued(route, deleting):
    """What the flag should be; None where only the lost database knew."""
    if route["deleted"] or route["state"] in DELETED_STATES or route["instance"] in deleting:
        return True
    return route["queued_for_delete"]


def recover(suite, program, release, cloud, work):
    """The loss, the rebuild, the publication, and Nova's opinion of it."""
    name = f"disaster with Nova {release.name}"
    folder = work / f"cloud of {name}"
    shutil.copytree(cloud, folder)
    before = [json.loads(line)
              for line in (folder / "expected-routes.jsonl").read_text().splitlines()]
    try:
        write_cells(folder, work / "cells.yaml")
        (folder / "nova_api.sqlite").unlink()
        cellmap = Cellmap(program, work / f"store of {name}", folder)
        digests = {path: path.read_bytes() for path in folder.glob("nova_cell*.sqlite")}
        report = cellmap.rebuild(work / "cells.yaml")
        tables = {item["table"]: item for item in report["nova_tables"]}
        release.manage(folder, "api_db", "sync")
        answer = cellmap.publish(
            folder, "--nova-stopped", "--settle", "1", "--request-specs", "--flavors", "--keypairs",
            "--base", str(folder / "nova.conf"))
        suite.check(answer["left"] == 0, f"{name}: {answer['findings'][:3]}")
        for table, key in (("request_specs", "request_specs"), ("flavors", "flavors, flavor_extra_specs"),
                           ("keypairs", "key_pairs")):
            suite.check(answer[table]["new"] == tables[key]["count"] > 0,
                        f"{name}: {table}: {answer[table]}, foretold {tables[key]}")
        again = cellmap.publish(folder, "--request-specs", "--flavors", "--keypairs",
                                "--base", str(folder / "nova.conf"))
        suite.check(again["changed"] is False and again["left"] == 0, f"{name}: again {again}")
        for path, content in digests.items():
            suite.check(path.read_bytes() == content, f"{name}: {path.name} was written")
        routes(suite, name, before, being_deleted(folder),
               release.python("nova_cloud.py", "ask", folder))
        said = json.loads(release.python("nova_after.py", folder).splitlines()[-1])
        suite.check(said["specs"] == said["instances"] > 0 and said["keys"] > 0 and said["hosts"] > 0,
                    f"{name}: {said}")
        for problem in said["problems"]:
            suite.check(False, f"{name}: {problem}")
        suite.passed += said["compared"] - len(said["problems"])
        print(f"{name}: {said['instances']} instances, {said['compared']} comparisons by Nova's "
              "own objects", flush=True)
    except (CommandFailed, subprocess.CalledProcessError, json.JSONDecodeError, KeyError) as problem:
        suite.check(False, f"{name}: {problem} {getattr(problem, 'stderr', '') or ''}"[-1500:])


def routes(suite, name, before, deleting, said):
    """Nova's answers are those of before, save what no cell can know."""
    after = {route["instance"]: route for route in map(json.loads, said.splitlines())}
    for route in before:
        found = after.get(route["instance"])
        if route["cell"] is None:
            suite.check(found is None, f"{name}: {route['instance']} was in no cell")
            continue
        right = dict(route, queued_for_delete=queued(route, deleting))
        if right["queued_for_delete"] is None and found:
            right["queued_for_delete"] = found["queued_for_delete"]
        suite.check(found == right, f"{name}: {found} instead of {right}")
