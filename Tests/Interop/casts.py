"""Casts and calls of cellmap, received by the real oslo.messaging on a private RabbitMQ."""
import json
import pathlib
import subprocess
import sys
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
SERVER = HERE / "rpc_server.py"
BROKER = HERE.parent.parent / "tools" / "testbed" / "rabbitmq"
# The sample cloud's cells, each with its own virtual host and way of declaring queues.
DURABILITIES = {"cell1": "transient", "cell2": "durable", "cell3": "quorum"}


class Child:
    """A program that prints JSON lines and ends with its input; its errors go to a file."""

    def __init__(self, log, *words):
        with open(log, "ab") as errors:
            self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=errors, text=True)

    def line(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args[1]} ended")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def check_casts(suite, cellmap, expected):
    """An adopted sample cloud, whose cells get the broker's virtual hosts for their queues."""
    log = cellmap.store.parent / "casts.log"
    with Child(log, sys.executable, str(BROKER), "run") as process:
        broker = process.line()
        password = urllib.parse.quote(broker["password"], safe="")
        suite.broker_passwords = [broker["password"], password]
        primitive = subprocess.run([sys.executable, str(SERVER), "instance"], check=True,
                                   stdout=subprocess.PIPE, text=True).stdout
        for cell, durability in DURABILITIES.items():
            cellmap.queue(cell, f"rabbit://nova:{password}@127.0.0.1:{broker['port']}/{cell}")
            # kombu can't connect with some special characters in a password, however encoded.
            url = (f"rabbit://{broker['plain_user']}:{broker['plain_password']}"
                   f"@127.0.0.1:{broker['port']}/{cell}")
            route = next(route for route in expected
                         if route["cell_name"] == cell and route["host"] and
                         not route["deleted"] and not route["queued_for_delete"])
            with Child(log, sys.executable, str(SERVER), "serve", url, route["host"],
                       durability) as server:
                server.line()
                queue = declared(broker, cell, "compute." + route["host"])
                suite.check(queue == (durability != "transient",
                                      "quorum" if durability == "quorum" else "classic"),
                            f"{durability}: the server declared its queue as {queue}")
                one_cell(suite, cellmap, server, cell, route, primitive, durability)


def declared(broker, virtual_host, queue):
    """Whether a queue is durable, and of which type."""
    listed = subprocess.run(
        [sys.executable, str(BROKER), "ctl", broker["folder"], "list_queues", "-p", virtual_host,
         "--formatter", "json", "name", "durable", "type"], check=True, stdout=subprocess.PIPE)
    found = next(item for item in json.loads(listed.stdout) if item["name"] == queue)
    return found["durable"], found["type"]


def one_cell(suite, cellmap, server, cell, route, primitive, durability):
    def same(found, right, what):
        suite.check(found == right, f"{durability}: {what}: {found} instead of {right}")

    answer = cellmap.cast(route["instance"], "ping")
    same(answer["host"], route["host"], "the host of the cast")
    same(server.line(), {"method": "ping", "arg": "cellmap",
                         "answer": {"service": "compute", "arg": "cellmap"}}, "the ping")
    answer = cellmap.cast(
        route["instance"], "reboot_instance", "-", "--version", "6.0", "--unsafe-method",
        "--reason", "interoperability", "--context", str(context_file(cellmap)),
        given=primitive)
    same(server.line(), {
        "method": "reboot_instance", "is_instance": True,
        "uuid": "6d0f4b3e-2b5f-4a7e-9f4e-52a3a7f1b6c1", "vm_state": "active",
        "metadata": {"key": "va\"lue\\"}, "launched_at": "None",
        "changes": ["display_name", "launched_at", "metadata", "uuid", "vm_state"],
        "block_device_info": None, "reboot_type": "HARD", "context": "RequestContext",
        "user_id": "the user", "request_id": "req-" + answer["request"],
    }, "the cast")
    report = cellmap.probe(cell)
    host = next(host for host in report["hosts"] if host["host"] == route["host"])
    same(host["answers"], True, "the answer to a call")
    same(server.line()["method"], "ping", "the call")


def context_file(cellmap):
    path = cellmap.store.parent / "context.json"
    path.write_text(json.dumps({"user_id": "the user", "is_admin": True, "roles": ["admin"]}))
    return path
