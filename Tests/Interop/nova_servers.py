#!/usr/bin/env python3
"""Copies a deployment of Nova's from SQLite to a server, with Nova's own migrations and tables.

  nova_servers.py copy FOLDER ADMIN-URL READER-URL

FOLDER has nova_api.sqlite and nova_cell0.sqlite … Databases of the same names must be there, empty.
ADMIN-URL and READER-URL are addresses up to the name of the database; the cells of the copy are
named by the reader's. Runs in the virtual environment of `tools/setup --interop`.
"""
import pathlib
import sqlite3
import subprocess
import sys

sys.dont_write_bytecode = True

CONFIGURATION = """\
[DEFAULT]
host = api
state_path = {folder}
default_log_levels = nova=ERROR,alembic=ERROR,oslo=ERROR
[api_database]
connection = {admin}/nova_api
[database]
connection = {admin}/{main}
[oslo_concurrency]
lock_path = {folder}/locks
"""


def migrate(folder, admin, main, *command):
    path = folder / f"{main}-migration.conf"
    path.write_text(CONFIGURATION.format(folder=folder, admin=admin, main=main))
    program = pathlib.Path(sys.executable).parent / "nova-manage"
    done = subprocess.run(
        [str(program), "--config-file", str(path), *command], cwd=folder, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    path.unlink()
    if done.returncode:
        sys.exit(f"nova-manage {' '.join(command)}: exit {done.returncode}\n{done.stdout}")


def copy_rows(source, target, metadata):
    """Every row of every table that the copy has too, typed as Nova's models say."""
    import sqlalchemy
    read, write = sqlalchemy.create_engine(source), sqlalchemy.create_engine(target)
    there = sqlalchemy.inspect(read).get_table_names()
    with read.connect() as old, write.begin() as new:
        new.execute(sqlalchemy.text(
            "SET FOREIGN_KEY_CHECKS = 0" if write.dialect.name == "mysql"
            else "SET session_replication_role = replica"))
        for table in metadata.sorted_tables:
            if table.name not in there:
                continue
            new.execute(table.delete())
            rows = [dict(row._mapping) for row in old.execute(table.select())]
            if rows:
                new.execute(table.insert(), rows)


def name_cells(target, reader):
    """The cells' databases are the copies; one stays a template, as it was."""
    import sqlalchemy
    with sqlalchemy.create_engine(target).begin() as database:
        rows = database.execute(sqlalchemy.text(
            "SELECT id, database_connection FROM cell_mappings")).fetchall()
        for number, address in rows:
            name = address.rsplit("/", 1)[1].removesuffix(".sqlite")
            place = ("{scheme}://{username}:{password}@{hostname}:{port}"
                     if address.startswith("{") else reader)
            database.execute(
                sqlalchemy.text("UPDATE cell_mappings SET database_connection = :a WHERE id = :i"),
                {"a": f"{place}/{name}", "i": number})


def copy(folder, admin, reader):
    from nova.db.api import models as api_models
    from nova.db.main import models as main_models
    cells = sorted(path.stem for path in folder.glob("nova_cell*.sqlite"))
    migrate(folder, admin, cells[0], "api_db", "sync")
    for cell in cells:
        migrate(folder, admin, cell, "db", "sync", "--local_cell")
    copy_rows(f"sqlite:///{folder}/nova_api.sqlite", f"{admin}/nova_api",
              api_models.BASE.metadata)
    for cell in cells:
        copy_rows(f"sqlite:///{folder}/{cell}.sqlite", f"{admin}/{cell}",
                  main_models.BASE.metadata)
    name_cells(f"{admin}/nova_api", reader)


def whole_seconds(folder):
    """MariaDB's DATETIME has none of the fractions that SQLite keeps: they go from the source."""
    for path in folder.glob("nova_*.sqlite"):
        with sqlite3.connect(path) as database:
            tables = [name for name, in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                for column in database.execute(f"PRAGMA table_info({table})").fetchall():
                    if column[2].upper() == "DATETIME":
                        name = f'"{column[1]}"'
                        database.execute(
                            f"UPDATE {table} SET {name} = substr({name}, 1, 19) || '.000000'"
                            f" WHERE {name} IS NOT NULL")
        database.close()


if __name__ == "__main__":
    verb, folder, admin, reader = sys.argv[1], pathlib.Path(sys.argv[2]), *sys.argv[3:]
    {"copy": copy}[verb](folder.resolve(), admin, reader)
