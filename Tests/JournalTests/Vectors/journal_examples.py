"""The entries of the vectors: one journal with each kind of event and each form of field, and
damaged entries that a reader must refuse."""
import itertools
import uuid

import journal_format as form

NOTHING = form.NO_LEAVES.hex()
STORE = "c0ffee00-1234-4abc-8def-0123456789ab"
ZERO = "00000000-0000-0000-0000-000000000000"
CELL0, CELL = ZERO, "07158ab7-95f3-4183-9b69-13cd87684f34"
OTHER_CELL = "f45ed8c5-5d5c-4422-a399-227ae1d6f9f5"
INSTANCE = "3f1bf34e-8bc4-45fb-b684-954450383687"
KEY = "5dbb1eaa-0353-4f6b-87c4-6f1430025fbf"
BEGINNING = 1_767_225_600_000_000  # 2026-01-01T00:00:00Z

STEP = 1_234_567
STORE_KIND, CELL_KIND, HOST_KIND, INSTANCE_KIND = range(4)


class Journal:
    """Gives the entries their places and times."""

    def __init__(self):
        self.commits, self.epoch, self.observed = [], 0, BEGINNING
        self.indexes, self.order = itertools.count(1), -1 << 63

    def commit(self, *events):
        self.commits.append([self.entry(*event) for event in events])

    def entry(self, kind, entity_kind, entity, fields):
        if kind == 0x0501:
            self.epoch += 1
            fields["epoch"]["number"] = self.epoch
        index = next(self.indexes)
        self.observed += STEP
        self.order = max(self.order, self.observed)
        return {
            "version": 2 if "seals owners" in fields.get("epoch", {}) else 1, "kind": kind,
            "epoch": self.epoch, "entity kind": entity_kind,
            "index": index, "observed": self.observed, "order": self.order,
            "request": str(uuid.UUID(int=(0x019B << 112) | (7 << 76) | (2 << 62) | index)),
            "entity": entity,
            "fields": {"actor": "ada", "program": "cellmap 0.1.0", **fields}}


def address(public):
    return {"public": public, "key": KEY, "sealed": "00112233445566778899aabb" + "c5" * 40}


def clear(text):
    return {"clear": text}


def epoch_opened(cause, common, common_root, left, left_root):
    return (0x0501, STORE_KIND, ZERO, {"epoch": {
        "store": STORE, "number": 0, "id": "9b29b54b-e587-4d21-9f8c-e97adb34fa8d",
        "cause": cause, "common index": common, "common root": common_root, "left index": left,
        "left root": left_root}})


def example_commits():
    journal = Journal()
    journal.commit(
        epoch_opened(1, 0, NOTHING, 0, NOTHING),
        (0x0101, CELL_KIND, CELL0, {"after": {
            "name": "cell0", "disabled": 0, "covered": True}}))
    cell_events(journal)
    host_events(journal)
    instance_events(journal)
    store_events(journal)
    journal.commit(epoch_opened(2, 20, "ab" * 32, 29, "cd" * 32))
    return journal.commits


def cell_events(journal):
    record = {
        "name": "cell1", "database": address("mysql+pymysql://nova:***@db1/nova_cell1"),
        "queue": address("rabbit://nova:***@mq1:5672,nova:***@mq2:5672/cell1"),
        "options": "ssl=1&ssl_ca_file=/etc/ca.pem", "disabled": 0, "row number": 2,
        "row created at": BEGINNING}
    journal.commit(
        (0x0101, CELL_KIND, CELL, {
            "reason": "r" * 200, "correlation": "CHG-17 \u00e9 \u65e5\u672c", "observed": True,
            "request content": "5a" * 32,
            "chunk": {"kind of entity": 1, "first key": "", "last key": CELL},
            "evidence": {
                "source": "nova_api", "cell": CELL, "table": "cell_mappings", "row key": "2",
                "row digest": "a5" * 32, "read at": BEGINNING},
            "after": record}))
    # NULL, "no" and empty text are three things: absent, 0 and no bytes.
    journal.commit(
        (0x0101, CELL_KIND, OTHER_CELL, {"after": {"name": ""}}),
        (0x0102, CELL_KIND, OTHER_CELL, {"before": {"name": ""}, "after": {"name": "cell2"}}),
        (0x0103, CELL_KIND, CELL, {
            "before": {"database": record["database"], "queue": record["queue"],
                       "options": record["options"]},
            "after": {"database": address("{scheme}://{username}:{password}@db2/nova_cell1"),
                      "queue": address("rabbit://nova:***@[2001:db8::1]:5672/cell1")}}),
        (0x0104, CELL_KIND, CELL, {"before": {"disabled": 0},
                                   "after": {"disabled": 1, "removing": True}}),
        (0x0106, CELL_KIND, CELL, {"identity": {
            "services": [KEY, INSTANCE], "compute nodes": [STORE], "server": "mariadb 7",
            "replaces": True}}),
        (0x0107, CELL_KIND, CELL, {"probe": {"passed": True, "report": '{"known":3}'}}),
        (0x0107, CELL_KIND, CELL, {"probe": {"report": "{}"}}),
        (0x0108, CELL_KIND, CELL, {"before": {}, "after": {"covered": True}}),
        (0x0109, CELL_KIND, OTHER_CELL, {
            "before": {}, "after": {"row number": 256, "row created at": -1}}),
        (0x010A, CELL_KIND, CELL, {"before": {"database": address("sqlite:///a.sqlite")},
                                   "after": {"database": address("sqlite:///a.sqlite")}}),
        (0x010B, CELL_KIND, CELL, {"key": KEY}),
        (0x0105, CELL_KIND, OTHER_CELL, {"before": {
            "name": "cell2", "row number": 256, "row created at": -1}}))


def host_events(journal):
    journal.commit(
        (0x0201, HOST_KIND, ZERO, {"host": "compute-1", "after": {
            "cell": CELL, "row number": 1, "row created at": BEGINNING}}),
        (0x0203, HOST_KIND, ZERO, {
            "host": "compute-1", "before": {"row number": 1}, "after": {"row number": 65535}}),
        (0x0202, HOST_KIND, ZERO, {"host": "compute-1", "before": {
            "cell": CELL, "row number": 65535}}))


def instance_events(journal):
    sealed = {"key": KEY, "sealed": "ff" * 45}
    journal.commit(
        (0x0301, INSTANCE_KIND, INSTANCE, {"after": {
            "project": clear("4d4d3a0afdf04a919bce358ff6709501"), "queued for delete": 0}}))
    journal.commit(
        (0x0302, INSTANCE_KIND, INSTANCE, {"before": {}, "after": {"cell": CELL}}),
        (0x0303, INSTANCE_KIND, INSTANCE, {
            "before": {"project": clear("4d4d3a0afdf04a919bce358ff6709501")},
            "after": {"project": sealed, "user": {"key": KEY}}}),
        (0x0304, INSTANCE_KIND, INSTANCE, {
            "before": {"queued for delete": 0}, "after": {"queued for delete": 1}}),
        (0x0306, INSTANCE_KIND, INSTANCE, {"sighting": {
            "host": "compute-1", "at": BEGINNING + 1, "by": "scan"}}),
        (0x0307, INSTANCE_KIND, INSTANCE, {"before": {}, "after": {
            "row number": (1 << 64) - 1}}),
        (0x0305, INSTANCE_KIND, INSTANCE, {"before": {
            "cell": CELL, "project": sealed, "user": clear(""), "queued for delete": 1,
            "last seen": {"host": "compute-1", "at": BEGINNING + 1, "by": "scan"},
            "row number": (1 << 64) - 1}}))
    # A clock that went back: the order time stays where it was.
    for observed, cell in ((BEGINNING - 5, CELL), (-1, OTHER_CELL)):
        journal.observed = observed - STEP
        journal.commit((0x0301, INSTANCE_KIND, OTHER_CELL, {"after": {"cell": cell}}))
    journal.observed = journal.order


def store_events(journal):
    counted = {"cells": 0, "hosts": 255, "instances": 1_000_000}
    scan = {"scan": KEY, "cell": CELL, "rows": 0, "digest": "00" * 32}
    journal.commit(
        (0x0401, INSTANCE_KIND, INSTANCE, {"conflict": {
            "kind": "two cells", "evidence": '{"rows":[]}'}}),
        (0x0402, INSTANCE_KIND, INSTANCE, {"conflict": {
            "kind": "two cells", "decision": "cell1"}}),
        (0x0502, STORE_KIND, ZERO, {"transfer": {
            "database": "sqlite:///nova_api.sqlite", "snapshot at": BEGINNING, **counted}}),
        (0x0503, STORE_KIND, ZERO, {"transfer": {
            "database": "mysql://nova:***@db/nova_api", "snapshot at": BEGINNING, **counted}}),
        (0x0504, STORE_KIND, ZERO, {"scan": scan}),
        (0x0505, STORE_KIND, ZERO, {"scan": {**scan, "rows": 1505, "digest": "0f" * 32}}),
        (0x0506, STORE_KIND, ZERO, {"counts": counted}),
        (0x0507, STORE_KIND, ZERO, {"archive": {
            "index": 10, "root": "1e" * 32, "file": "archive/1", "file digest": "2d" * 32}}),
        (0x0508, STORE_KIND, ZERO, {"key": KEY}))
    kind, about, entity, fields = epoch_opened(4, 0, NOTHING, 0, NOTHING)
    fields["epoch"]["seals owners"] = True
    journal.commit((kind, about, entity, fields))


def refused_entries():
    """Damaged entries: why each must be refused, and its bytes."""
    sound = {
        "version": 1, "kind": 0x0104, "epoch": 1, "entity kind": CELL_KIND, "index": 9,
        "observed": BEGINNING, "order": BEGINNING, "request": KEY, "entity": CELL,
        "fields": {"actor": "ada", "program": "p", "before": {}, "after": {"disabled": 1}}}
    data = form.encode_entry(sound)
    start = data[:form.FIXED_BYTES]

    def fields(hexadecimal):
        tail = bytes.fromhex(hexadecimal)
        return start[:4] + (form.FIXED_BYTES + len(tail)).to_bytes(4, "big") + start[8:] + tail

    def changed(offset, byte):
        return data[:offset] + bytes([byte]) + data[offset + 1:]

    actor, program = "0103616461", "020170"
    assert fields(actor + program + "2000" + "2103050101") == data
    yield "no bytes", b""
    yield "shorter than the fixed part", data[:71]
    yield "shorter than it says", data[:-1]
    yield "layout 2", changed(0, 2)
    yield "layout 0", changed(0, 0)
    yield "a reserved byte that is not zero", changed(13, 1)
    yield "another reserved byte that is not zero", changed(15, 128)
    yield "kind of entity 4", changed(12, 4)
    yield "no actor", fields(program + "2000" + "2103050101")
    yield "no program", fields(actor + "2000" + "2103050101")
    yield "tags that descend", fields(program + actor + "2000" + "2103050101")
    yield "a tag twice", fields(actor + actor + program + "2000" + "2103050101")
    yield "an unknown tag", fields(actor + program + "0900" + "2000" + "2103050101")
    yield "a tag of another event", fields(actor + program + "2000" + "2103050101" + "2400")
    yield "a field that the event doesn't touch", fields(actor + program + "2000" + "2103010161")
    yield "a tag of another record", fields(actor + program + "2000" + "210308010131")
    yield "a length with more bytes than it needs", fields("01830061" + "6461" + program)
    yield "a length without an end", fields(actor + program + "20ffffffffffffff")
    yield "a length past the end", fields(actor + program + "2000" + "2104050101")
    yield "a tag without a length", fields(actor + program + "2000" + "21")
    yield "a flag of 2", fields(actor + program + "2000" + "2103050102")
    yield "a flag of two bytes", fields(actor + program + "2000" + "210405020001")
    yield "a mark with a byte", fields(actor + program + "050101" + "2000" + "2103050101")
    yield "a number with a leading zero", fields(actor + program + "2000" + "21040e020001")
    yield "a number of nine bytes", fields(actor + program + "2000" + "210b0e09" + "01" * 9)
    yield "a time of seven bytes", fields(actor + program + "2000" + "21090f07" + "00" * 7)
    yield "a digest of 31 bytes", fields(actor + program + "061f" + "00" * 31 + "2000")
    yield "a UUID of 15 bytes", fields(actor + program + "0811020f" + "00" * 15)
    yield "text that is not UTF-8", fields("0103ff6461" + program + "2000" + "2103050101")
    yield "text with a surrogate", fields("0103eda080" + program + "2000" + "2103050101")
