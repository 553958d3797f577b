"""Files of archived entries, written from docs/archive-format.md alone. Field names are those of the page."""
import hashlib
import struct

import journal_format as form

MAGIC, FORMAT, HEADER_BYTES = b"CELLARCH", 1, 80
DIGEST_BYTES = 32
NAMED_BYTES = 8 + DIGEST_BYTES


class Archive:
    """One file: `first` to `last`, the records of its entries, and the leaf hashes of its tiles."""

    def __init__(self, path, first, last, digest, store):
        self.path, self.first, self.last, self.digest = path, first, last, digest
        self.records, self.tiles = [], []
        data = path.read_bytes()
        if hashlib.sha256(data).digest() != digest:
            raise self.error("has another SHA-256 than the journal says")
        if len(data) < HEADER_BYTES + 8 + DIGEST_BYTES or (last - first + 1) % form.TILE_LEAVES:
            raise self.error("is too short, or not of whole tiles")
        self.read_header(data, store)
        self.read_blocks(data)

    def error(self, what):
        return form.FormatError(f"{self.path.name} {what}")

    def read_header(self, data, store):
        magic, version, zero, owner, first, last, self.root = struct.unpack(
            ">8sII16sQQ32s", data[:HEADER_BYTES])
        if (magic, version, zero) != (MAGIC, FORMAT, 0):
            raise self.error("has no header of this format")
        if (owner, first, last) != (store, self.first, self.last):
            raise self.error("is of another store, or of other entries")
        if hashlib.sha256(data[:-DIGEST_BYTES]).digest() != data[-DIGEST_BYTES:]:
            raise self.error("has another SHA-256 than it says at its end")

    def read_blocks(self, data):
        count = (self.last - self.first + 1) // form.TILE_LEAVES
        end = len(data) - DIGEST_BYTES - 8
        table = struct.unpack(">Q", data[end:end + 8])[0]
        if table != end - 8 * count:
            raise self.error("has its table elsewhere")
        starts = struct.unpack(f">{count}Q", data[table:end])
        place = HEADER_BYTES
        for start in starts:
            if start != place:
                raise self.error(f"has a gap at byte {place}")
            leaves = data[place:place + form.TILE_LEAVES * DIGEST_BYTES]
            self.tiles.append(leaves)
            place += len(leaves)
            for _ in range(form.TILE_LEAVES):
                length = struct.unpack(">I", data[place:place + 4])[0]
                if length > table - place - 4:
                    raise self.error(f"has an entry beyond its end at byte {place}")
                self.records.append(data[place + 4:place + 4 + length])
                place += 4 + length
        if place != table:
            raise self.error("has bytes between its blocks and its table")


def read_all(named, folder, store):
    """The files that the journal's record `archive` names, oldest first."""
    if not named or len(named) % NAMED_BYTES:
        raise form.FormatError(f"a record `archive` of {len(named)} bytes")
    archives, first = [], 1
    for at in range(0, len(named), NAMED_BYTES):
        last = struct.unpack(">Q", named[at:at + 8])[0]
        path = folder / "archive" / f"entries-{first}-{last}"
        archives.append(Archive(path, first, last, named[at + 8:at + NAMED_BYTES], store))
        first = last + 1
    return archives
