"""A cloud that Nova has made and changed, and whose API database is lost: rebuilt from its cells,
published into a fresh one, and asked again with Nova's objects.

All answers are those of before, save what no cell can know: that is named by whoever made it
(nova_life.py), and has to be in the rebuild's report."""
import collections
import json
import pathlib
import shutil
import sqlite3
import subprocess

from cellmap_command import Cellmap, CommandFailed

HERE = pathlib.Path(__file__).resolve().parent
ZERO = "00000000-0000-0000-0000-000000000000"
USERS = [f"user-{number}" for number in range(7)]
LOST, UNMAPPED, FAILED = "in no cell yet", "in a cell, not mapped yet", "a delete that failed"


class Release:
    """A release of Nova in an environment of its own."""

    def __init__(self, name, environment):
        self.name, self.environment = name, environment

    @staticmethod
    def script(name):
        return HERE / name

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


def visible_rows(folder):
    """The live and deleted rows that no move hides, by their UUID: cell's file, row."""
    found = collections.defaultdict(list)
    for path in sorted(folder.glob("nova_cell*.sqlite")):
        database = sqlite3.connect(path)
        database.row_factory = sqlite3.Row
        for row in database.execute(
                "SELECT uuid, project_id, user_id, host, vm_state, task_state, deleted, deleted_at"
                " FROM instances WHERE (hidden IS NULL OR hidden = 0) AND uuid <> ?", (ZERO,)):
            found[row["uuid"]].append((path.name, row))
        database.close()
    return found


def is_on_its_way_out(row):
    """The deletion mark, as far as a cell knows it."""
    return (bool(row["deleted"]) or row["task_state"] in ("deleting", "soft-deleting")
            or row["vm_state"] == "soft-delete" and row["deleted_at"] is not None
            and row["task_state"] != "restoring")


def expected_routes(suite, name, before, unknowable, rows, cells):
    """The routes of before, but for what no cell can know, and for what Nova had not mapped."""
    routes = {}
    for instance, route in before["routes"].items():
        why = unknowable.get(instance, "")
        if route["cell"] is None and why != UNMAPPED:
            suite.check(instance not in rows, f"{name}: {instance} is in no cell")
            continue
        routes[instance] = route = dict(route)
        copies = rows[instance]
        suite.check(len(copies) == (2 if why.startswith("two visible") else 1),
                    f"{name}: {instance}: {why}, {len(copies)} visible copies")
        if why.startswith("two visible"):
            # Behind the first save of the switch Nova's mapping is the old one, and the guest is there.
            target = "nova_cell2.sqlite" if "begin" in why else "nova_cell1.sqlite"
            row = dict(copies)[target]
            route.update(cells[target], host=row["host"], state=row["vm_state"])
        elif why == UNMAPPED:
            (target, row), = copies
            route.update(cells[target], host=row["host"], state=row["vm_state"], deleted=False)
        else:
            (_, row), = copies
        # What map_instances has mapped it took for alive.
        route["queued_for_delete"] = is_on_its_way_out(row)
        if route["queued_for_delete"] != before["routes"][instance]["queued_for_delete"]:
            suite.check(why == FAILED or is_on_its_way_out(row), f"{name}: the mark of {instance}")
    for instance in rows.keys() - before["routes"].keys():
        # What map_instances hadn't come to.
        (target, row), = rows[instance]
        routes[instance] = {
            "instance": instance, "project": row["project_id"], "user": row["user_id"],
            "queued_for_delete": is_on_its_way_out(row), "host": row["host"],
            "state": row["vm_state"], "deleted": bool(row["deleted"]), **cells[target]}
    return routes


def project_answers(project, routes, cells, servers):
    """What Nova answers about a project whose routes are these."""
    mine = [route for route in routes.values() if route["project"] == project]
    counted = [route for route in mine if route["queued_for_delete"] is False]
    return {
        "mappings": sorted(route["instance"] for route in mine),
        "cells": sorted({route["cell"] for route in mine if route["cell"]}),
        "in_down_cells": {cell: sorted(
            route["instance"] for route in mine
            if route["cell"] == cell and not route["queued_for_delete"]) for cell in cells},
        "quota": {user: {"project": {"instances": len(counted)}, "user": {
            "instances": sum(route["user"] == user for route in counted)}} for user in USERS},
        "servers": servers,
    }


def compare(suite, name, said, right):
    """Counts each answer, and shows those that differ."""
    for kind in right:
        suite.check(said[kind].keys() == right[kind].keys(),
                    f"{name}: {kind}: {sorted(said[kind].keys() ^ right[kind].keys())[:5]}")
        for key in right[kind]:
            suite.check(said[kind].get(key) == right[kind][key], f"{name}: {kind} of {key}: "
                        f"{str(said[kind].get(key))[:300]} instead of {str(right[kind][key])[:300]}")


def report_names(suite, name, report, before, routes, unknowable):
    """What the cells can't know is in the report."""
    kinds = collections.Counter(
        why.split(",")[1].split()[0] if "," in why and "two" in why else why
        for why in unknowable.values())
    rules = report["rules"]
    suite.check(rules.get("move finished: target") == kinds["begin"] > 0
                and rules.get("move reverting: source") == kinds["revert"] > 0,
                f"{name}: {rules}, {kinds}")
    suite.check(rules.get("visible beats hidden", 0) > 0, f"{name}: {rules}")
    suite.check(report["complete"] and report["conflict_count"] == 0
                and report["hidden_only"]["count"] == 0, f"{name}: {report['conflicts'][:2]}")
    tables = {item["table"]: item for item in report["nova_tables"]}
    suite.check(tables["build_requests"]["state"] == "lost", f"{name}: {tables['build_requests']}")
    suite.check(tables["instance_mappings"]["count"] == len(routes),
                f"{name}: {tables['instance_mappings']}, {len(routes)} routes")
    failed = {instance for instance, why in unknowable.items() if why == FAILED}
    suite.check(kinds[FAILED] == len(failed) > 0 and failed <= set(report["in_error"]["first"]),
                f"{name}: deletes that failed: {report['in_error']}")
    suite.check(report["in_error"]["count"] == sum(
        route["state"] == "error" and route["cell"] != ZERO and not route["queued_for_delete"]
        for route in routes.values()), f"{name}: {report['in_error']}")
    # One mapping of Nova's own, and a row in each cell that online_data_migrations has gone through.
    suite.check(all(cell["markers"] == 1 for cell in report["cells"]), f"{name}: {report['cells']}")
    return tables


def doctor_counts(suite, name, cellmap, report):
    """`doctor` counts the marker rows of `instance_mappings`, and reads the cells like `rebuild`."""
    said = cellmap.doctor()
    suite.check(said[-1]["findings"].get("marker_row") == 2, f"{name}: {said[-1]['findings']}")
    found = {finding["instance"] for finding in said[:-1] if finding["finding"] == "marker_row"}
    suite.check(ZERO in found and len(found) == 2, f"{name}: {found}")
    return said


def lose(folder, work):
    write_cells(folder, work / "cells.yaml")
    (folder / "nova_api.sqlite").unlink()


def recover(suite, program, release, cloud, work):
    """The life, the loss, the rebuild, the publication, and Nova's opinion of it."""
    name = f"disaster with Nova {release.name}"
    folder = work / f"cloud of {name}"
    shutil.copytree(cloud, folder)
    try:
        unknowable = json.loads(release.python("nova_life.py", "live", folder).splitlines()[-1])
        before = json.loads(release.python("nova_life.py", "say", folder).splitlines()[-1])
        for project, answers in before["projects"].items():
            right = project_answers(project, before["routes"], before["cells"], answers["servers"])
            suite.check(answers == right, f"{name}: Nova's arithmetic: {answers} or {right}")
        cellmap = Cellmap(program, work / f"store of {name}", folder)
        doctor_counts(suite, name, cellmap, None)
        lose(folder, work)
        digests = {path: path.read_bytes() for path in folder.glob("nova_cell*.sqlite")}
        report = cellmap.rebuild(work / "cells.yaml")
        cells = {cell[1].split("/")[-1]: {
            "cell": identifier, "cell_name": cell[0], "database": cell[1], "queue": cell[2]}
            for identifier, cell in before["cells"].items()}
        right = dict(before)
        right["routes"] = expected_routes(
            suite, name, before, unknowable, visible_rows(folder), cells)
        right["hosts"] = {**before["hosts"], **{
            host: cells["nova_cell3.sqlite"]["cell"] for host, why in unknowable.items()
            if why == "out of the map, in its cell"}}
        right["projects"] = {project: project_answers(
            project, right["routes"], before["cells"], answers["servers"])
            for project, answers in before["projects"].items()}
        tables = report_names(suite, name, report, before, right["routes"], unknowable)
        # Those that are visible in two cells are counted in both.
        tables["request_specs"]["count"] -= sum(
            why.startswith("two visible") for why in unknowable.values())
        publish(suite, name, release, cellmap, folder, tables)
        for path, content in digests.items():
            suite.check(path.read_bytes() == content, f"{name}: {path.name} was written")
        compare(suite, name, json.loads(
            release.python("nova_life.py", "say", folder).splitlines()[-1]), right)
        said = json.loads(release.python("nova_after.py", folder).splitlines()[-1])
        suite.check(said["specs"] == said["instances"] > 0 and said["keys"] > 0 and said["hosts"] > 0,
                    f"{name}: {said}")
        for problem in said["problems"]:
            suite.check(False, f"{name}: {problem}")
        suite.add(said["compared"] - len(said["problems"]))
        print(f"{name}: {said['instances']} instances, {len(unknowable)} changes that no cell knows, "
              f"{said['compared']} comparisons by Nova's own objects", flush=True)
    except (CommandFailed, subprocess.CalledProcessError, json.JSONDecodeError, KeyError,
            ValueError) as problem:
        suite.check(False, f"{name}: {problem!r} {getattr(problem, 'stderr', '') or ''}"[-1500:])


def publish(suite, name, release, cellmap, folder, tables):
    """Into a fresh API database; the second time there is nothing to do."""
    release.manage(folder, "api_db", "sync")
    globals_too = ("--request-specs", "--flavors", "--keypairs", "--base", str(folder / "nova.conf"))
    answer = cellmap.publish(folder, "--nova-stopped", "--settle", "1", *globals_too)
    suite.check(answer["left"] == 0, f"{name}: {answer['findings'][:3]}")
    for table, key in (("request_specs", "request_specs"), ("flavors", "flavors, flavor_extra_specs"),
                       ("keypairs", "key_pairs")):
        suite.check(answer[table]["new"] == tables[key]["count"] > 0,
                    f"{name}: {table}: {answer[table]}, foretold {tables[key]}")
    again = cellmap.publish(folder, *globals_too)
    suite.check(again["changed"] is False and again["left"] == 0, f"{name}: again {again}")
