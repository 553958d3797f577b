"""The journal's entries, tree, tiles and HEAD, written from docs/journal-format.md alone.

A second implementation, which shares nothing with the Swift code: where both agree, the page says
enough. Section names below are those of the page.
"""
import hashlib
import struct
import uuid

FIXED_BYTES = 72
LONGEST_ENTRY = 65_536
TILE_LEAVES = 256
ROOT_BYTES = 32


class FormatError(Exception):
    """The bytes, or the description, are not what the page says."""


# --- An entry: the fields -----------------------------------------------------------------------

ADDRESS = {0x01: ("public", "text"), 0x02: ("key", "uuid"), 0x03: ("sealed", "bytes")}
PERSONAL = {0x01: ("clear", "text"), 0x02: ("key", "uuid"), 0x03: ("sealed", "bytes")}
SIGHTING = {0x01: ("host", "text"), 0x02: ("at", "time"), 0x03: ("by", "text")}
ROW = {0x0E: ("row number", "number"), 0x0F: ("row created at", "time")}

RECORDS = {
    1: {0x01: ("name", "text"), 0x02: ("database", ADDRESS), 0x03: ("queue", ADDRESS),
        0x04: ("options", "text"), 0x05: ("disabled", "flag"), 0x06: ("removing", "mark"),
        0x07: ("covered", "mark"), **ROW},
    2: {0x01: ("cell", "uuid"), **ROW},
    3: {0x01: ("cell", "uuid"), 0x02: ("project", PERSONAL), 0x03: ("user", PERSONAL),
        0x04: ("queued for delete", "flag"), 0x05: ("last seen", SIGHTING), **ROW},
}

COUNTED = {0x03: ("cells", "number"), 0x04: ("hosts", "number"), 0x05: ("instances", "number")}
CHUNK = {0x01: ("kind of entity", "number"), 0x02: ("first key", "text"),
         0x03: ("last key", "text")}
EVIDENCE = {0x01: ("source", "text"), 0x02: ("cell", "uuid"), 0x03: ("table", "text"),
            0x04: ("row key", "text"), 0x05: ("row digest", "digest"), 0x06: ("read at", "time")}
IDENTITY = {0x01: ("services", "uuids"), 0x02: ("compute nodes", "uuids"),
            0x03: ("server", "text"), 0x04: ("replaces", "mark")}
PROBE = {0x01: ("passed", "mark"), 0x02: ("report", "text")}
CONFLICT = {0x01: ("kind", "text"), 0x02: ("evidence", "text"), 0x03: ("decision", "text")}
EPOCH = {0x01: ("store", "uuid"), 0x02: ("number", "number"), 0x03: ("id", "uuid"),
         0x04: ("cause", "number"), 0x05: ("common index", "number"),
         0x06: ("common root", "digest"), 0x07: ("left index", "number"),
         0x08: ("left root", "digest")}
# From version 2 of the event on, where it is the whole difference.
SEALING_EPOCH = {**EPOCH, 0x09: ("seals owners", "mark")}
TRANSFER = {0x01: ("database", "text"), 0x02: ("snapshot at", "time"), **COUNTED}
SCAN = {0x01: ("scan", "uuid"), 0x02: ("cell", "uuid"), 0x03: ("rows", "number"),
        0x04: ("digest", "digest")}
ARCHIVE = {0x01: ("index", "number"), 0x02: ("root", "digest"), 0x03: ("file", "text"),
           0x04: ("file digest", "digest")}

# What every entry may carry; what an event carries besides is in KINDS.
COMMON = {
    0x01: ("actor", "text"), 0x02: ("program", "text"), 0x03: ("reason", "text"),
    0x04: ("correlation", "text"), 0x05: ("observed", "mark"),
    0x06: ("request content", "digest"), 0x07: ("chunk", CHUNK), 0x08: ("evidence", EVIDENCE),
}

OWN = {
    "host": (0x10, "text"), "before": (0x20, "record"), "after": (0x21, "record"),
    "identity": (0x22, IDENTITY), "probe": (0x23, PROBE), "key": (0x24, "uuid"),
    "sighting": (0x25, SIGHTING), "conflict": (0x26, CONFLICT), "epoch": (0x27, EPOCH),
    "transfer": (0x28, TRANSFER), "scan": (0x29, SCAN), "counts": (0x2A, COUNTED),
    "archive": (0x2B, ARCHIVE),
}

ADDRESSES = ["database", "queue", "options"]
NOVA_ROW = ["row number", "row created at"]

# Kinds of events: number to name, the fields of its own, and which fields of a record `before` and
# `after` may hold, if not the whole.
KINDS = {
    0x0101: ("cell added", ["after"], None),
    0x0102: ("cell renamed", ["before", "after"], ["name"]),
    0x0103: ("cell addresses changed", ["before", "after"], ADDRESSES),
    0x0104: ("cell availability changed", ["before", "after"], ["disabled", "removing"]),
    0x0105: ("cell removed", ["before"], None),
    0x0106: ("cell identity recorded", ["identity"], None),
    0x0107: ("cell probed", ["probe"], None),
    0x0108: ("cell coverage changed", ["before", "after"], ["covered"]),
    0x0109: ("cell row recorded", ["before", "after"], NOVA_ROW),
    0x010A: ("cell address resealed", ["before", "after"], ["database", "queue"]),
    0x010B: ("cell key shredded", ["key"], None),
    0x0201: ("host mapped", ["host", "after"], None),
    0x0202: ("host unmapped", ["host", "before"], None),
    0x0203: ("host row recorded", ["host", "before", "after"], NOVA_ROW),
    0x0301: ("instance mapped", ["after"], None),
    0x0302: ("instance moved", ["before", "after"], ["cell"]),
    0x0303: ("instance owner changed", ["before", "after"], ["project", "user"]),
    0x0304: ("instance deletion mark changed", ["before", "after"], ["queued for delete"]),
    0x0305: ("instance unmapped", ["before"], None),
    0x0306: ("instance host seen", ["sighting"], None),
    0x0307: ("instance row recorded", ["before", "after"], NOVA_ROW),
    0x0401: ("conflict found", ["conflict"], None),
    0x0402: ("conflict resolved", ["conflict"], None),
    0x0501: ("epoch opened", ["epoch"], None),
    0x0502: ("adopted", ["transfer"], None),
    0x0503: ("published", ["transfer"], None),
    0x0504: ("scan started", ["scan"], None),
    0x0505: ("scan finished", ["scan"], None),
    0x0506: ("request finished", ["counts"], None),
    0x0507: ("archived", ["archive"], None),
    0x0508: ("owner key shredded", ["key"], None),
}


# The newest version of an event's fields, where it isn't 1.
VERSIONS = {0x0501: 2}


def schema_of(kind, entity, version=1):
    """The fields that an entry of this kind about such an entity may carry."""
    schema = dict(COMMON)
    _, names, touched = KINDS[kind]
    for name in names:
        tag, form = OWN[name]
        if form == "record":
            if entity not in RECORDS:
                raise FormatError(f"no record of entity kind {entity}")
            form = {inner: field for inner, field in RECORDS[entity].items()
                    if touched is None or field[0] in touched}
        schema[tag] = (name, SEALING_EPOCH if name == "epoch" and version > 1 else form)
    return schema


def leb128(number):
    encoded = bytearray()
    while True:
        number, low = number >> 7, number & 0x7F
        encoded.append(low | (0x80 if number else 0))
        if not number:
            return bytes(encoded)


def read_leb128(data, at):
    number = shift = 0
    while True:
        if at >= len(data) or shift > 28:
            raise FormatError("a length runs past the end")
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            if byte == 0 and shift > 7:
                raise FormatError("a length has more bytes than it needs")
            return number, at


def encode_value(form, value):
    if isinstance(form, dict):
        return encode_fields(form, value)
    if form == "text":
        return value.encode("utf-8")
    if form in ("bytes", "digest"):
        return bytes.fromhex(value)
    if form == "uuid":
        return uuid.UUID(value).bytes
    if form == "uuids":
        return b"".join(uuid.UUID(one).bytes for one in value)
    if form == "time":
        return struct.pack(">q", value)
    if form == "flag":
        return bytes([value])
    if form == "mark":
        return b""
    assert form == "number"
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def decode_value(form, data):
    if isinstance(form, dict):
        return decode_fields(form, data)
    if form == "text":
        return data.decode("utf-8")
    if form in ("bytes", "digest"):
        if form == "digest" and len(data) != 32:
            raise FormatError("a digest is not 32 bytes")
        return data.hex()
    if form in ("uuid", "uuids"):
        if len(data) % 16 or not data or (form == "uuid" and len(data) != 16):
            raise FormatError("a UUID is not 16 bytes")
        found = [str(uuid.UUID(bytes=data[at:at + 16])) for at in range(0, len(data), 16)]
        return found if form == "uuids" else found[0]
    if form == "time":
        if len(data) != 8:
            raise FormatError("a time is not 8 bytes")
        return struct.unpack(">q", data)[0]
    if form == "flag":
        if data not in (b"\0", b"\1"):
            raise FormatError("a flag is not 0 or 1")
        return data[0]
    if form == "mark":
        if data:
            raise FormatError("a mark has bytes")
        return True
    if len(data) > 8 or data[:1] == b"\0":
        raise FormatError("a number has more bytes than it needs")
    return int.from_bytes(data, "big")


def encode_fields(schema, values):
    """Fields from a mapping of names to values; a name that is missing is an absent field."""
    encoded, unknown = b"", set(values)
    for tag in sorted(schema):
        name, form = schema[tag]
        if name in values:
            unknown.discard(name)
            value = encode_value(form, values[name])
            encoded += bytes([tag]) + leb128(len(value)) + value
    if unknown:
        raise FormatError(f"no such fields: {sorted(unknown)}")
    return encoded


def decode_fields(schema, data):
    values, at, last = {}, 0, -1
    while at < len(data):
        tag = data[at]
        if tag <= last:
            raise FormatError(f"tag {tag:02X} does not ascend")
        if tag not in schema:
            raise FormatError(f"tag {tag:02X} is not of this entry")
        length, at = read_leb128(data, at + 1)
        if at + length > len(data):
            raise FormatError(f"the value of tag {tag:02X} runs past the end")
        name, form = schema[tag]
        values[name] = decode_value(form, data[at:at + length])
        at, last = at + length, tag
    return values


# --- An entry: the fixed part -------------------------------------------------------------------

FIXED = struct.Struct(">BBHIIB3xQqq16s16s")


def encode_entry(entry):
    """The bytes of an entry that is described by its numbers and its named fields."""
    fields = encode_fields(schema_of(entry["kind"], entry["entity kind"], entry["version"]),
                           entry["fields"])
    length = FIXED_BYTES + len(fields)
    if length > LONGEST_ENTRY:
        raise FormatError(f"an entry of {length} bytes")
    return FIXED.pack(
        1, entry["version"], entry["kind"], length, entry["epoch"], entry["entity kind"],
        entry["index"], entry["observed"], entry["order"], uuid.UUID(entry["request"]).bytes,
        uuid.UUID(entry["entity"]).bytes) + fields


def entry_length(value):
    """The entry's own length, with which the root behind it is told apart."""
    if len(value) < FIXED_BYTES:
        raise FormatError("shorter than the fixed part")
    return struct.unpack_from(">I", value, 4)[0]


def decode_entry(data):
    if len(data) < FIXED_BYTES or data[0] != 1:
        raise FormatError("not an entry of layout 1")
    if data[13:16] != b"\0\0\0":
        raise FormatError("bytes 13 to 15 are not zero")
    _, version, kind, length, epoch, entity_kind, index, observed, order, request, entity = \
        FIXED.unpack_from(data)
    if length != len(data) or length > LONGEST_ENTRY:
        raise FormatError(f"length {length} of an entry of {len(data)} bytes")
    if entity_kind > 3:
        raise FormatError(f"kind of entity {entity_kind}")
    entry = {
        "version": version, "kind": kind, "epoch": epoch, "entity kind": entity_kind,
        "index": index, "observed": observed, "order": order,
        "request": str(uuid.UUID(bytes=request)), "entity": str(uuid.UUID(bytes=entity))}
    if kind in KINDS and 1 <= version <= VERSIONS.get(kind, 1):
        entry["fields"] = decode_fields(schema_of(kind, entity_kind, version), data[FIXED_BYTES:])
        if version > 1 and "seals owners" not in entry["fields"]["epoch"]:
            raise FormatError("version 2 without what is new in it")
        for required in ("actor", "program"):
            if required not in entry["fields"]:
                raise FormatError(f"no {required}")
    return entry


# --- The tree -----------------------------------------------------------------------------------

NO_LEAVES = hashlib.sha256(b"").digest()


def leaf_hash(entry_bytes):
    return hashlib.sha256(b"\0" + entry_bytes).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


def largest_power_below(count):
    return 1 << ((count - 1).bit_length() - 1)


def root_of(leaves):
    """The root by the definition of RFC 9162, section 2.1.1."""
    if not leaves:
        return NO_LEAVES
    if len(leaves) == 1:
        return leaves[0]
    split = largest_power_below(len(leaves))
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


def inclusion_proof(number, leaves):
    """PATH(number, leaves) of RFC 9162, section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    split = largest_power_below(len(leaves))
    if number < split:
        return inclusion_proof(number, leaves[:split]) + [root_of(leaves[split:])]
    return inclusion_proof(number - split, leaves[split:]) + [root_of(leaves[:split])]


def consistency_proof(old_size, leaves, whole=True):
    """SUBPROOF(old_size, leaves, whole) of RFC 9162, section 2.1.4.1."""
    if old_size == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = largest_power_below(len(leaves))
    if old_size <= split:
        return consistency_proof(old_size, leaves[:split], whole) + [root_of(leaves[split:])]
    return consistency_proof(old_size - split, leaves[split:], False) + [root_of(leaves[:split])]


def tile_key(tile):
    """K(t): where tile t begins in `tiles`."""
    return 3 * tile - bin(tile).count("1")


class GrowingTree:
    """The roots of a tree while leaves are added, and the tile records that each leaf completes."""

    def __init__(self):
        self.size, self.open_tile, self.subtrees = 0, [], []

    def add(self, leaf):
        """Adds a leaf; returns the records of `tiles` that it completes, in order of their keys."""
        self.size += 1
        self.open_tile.append(leaf)
        self.merge(0, leaf)
        if self.size % TILE_LEAVES:
            return []
        records = [b"".join(self.open_tile)]
        self.open_tile = []
        records += [root for _, root in self.completed if _ >= 8]
        return records

    def merge(self, level, root):
        self.completed = [(level, root)]
        while self.subtrees and self.subtrees[-1][0] == level:
            root = node_hash(self.subtrees.pop()[1], root)
            level += 1
            self.completed.append((level, root))
        self.subtrees.append((level, root))

    @property
    def root(self):
        if not self.subtrees:
            return NO_LEAVES
        root = self.subtrees[-1][1]
        for _, left in reversed(self.subtrees[:-1]):
            root = node_hash(left, root)
        return root


# --- HEAD ---------------------------------------------------------------------------------------

SLOT_BYTES = 512
SLOT = struct.Struct(">8sII16sQ32sqQ")


def encode_slot(epoch, store, index, root, time, sequence):
    filled = SLOT.pack(
        b"CELLHEAD", 1, epoch, uuid.UUID(store).bytes, index, root, time, sequence)
    return (filled + hashlib.sha256(filled).digest()).ljust(SLOT_BYTES, b"\0")


def decode_slot(data):
    """The slot's numbers, or None if it is not valid."""
    filled = data[:SLOT.size]
    if (len(data) != SLOT_BYTES or data[:8] != b"CELLHEAD"
            or data[SLOT.size:SLOT.size + 32] != hashlib.sha256(filled).digest()
            or any(data[SLOT.size + 32:])):
        return None
    _, version, epoch, store, index, root, time, sequence = SLOT.unpack(filled)
    if version != 1:
        return None
    return {"epoch": epoch, "store": str(uuid.UUID(bytes=store)), "index": index,
            "root": root.hex(), "time": time, "sequence": sequence}
