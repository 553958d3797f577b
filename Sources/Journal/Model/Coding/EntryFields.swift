/// What stands in an entry's fields, by the names of docs/journal-format.md, as JSON.
///
/// Bytes are left out: they are sealed, and stand in the entry.
indirect enum FieldForm: Sendable {
  case text, bytes, uuid, uuids, digest, time, flag, mark, number
  case fields([UInt8: NamedField])
}

struct NamedField: Sendable {
  let name: String
  let form: FieldForm

  init(_ name: String, _ form: FieldForm) {
    self.name = name
    self.form = form
  }
}

/// The lists of fields, each with the tags of its own.
enum FieldList {
  static let row: [UInt8: NamedField] = [
    0x0E: NamedField("row_number", .number), 0x0F: NamedField("row_created_at", .time),
  ]
  static let address: FieldForm = .fields([
    0x01: NamedField("public", .text), 0x02: NamedField("key", .uuid),
    0x03: NamedField("sealed", .bytes),
  ])
  static let personal: FieldForm = .fields([
    0x01: NamedField("clear", .text), 0x02: NamedField("key", .uuid),
    0x03: NamedField("sealed", .bytes),
  ])
  static let sighting: [UInt8: NamedField] = [
    0x01: NamedField("host", .text), 0x02: NamedField("at", .time), 0x03: NamedField("by", .text),
  ]
  static let counts: [UInt8: NamedField] = [
    0x03: NamedField("cells", .number), 0x04: NamedField("hosts", .number),
    0x05: NamedField("instances", .number),
  ]

  static let cellRecord: [UInt8: NamedField] = row.merging([
    0x01: NamedField("name", .text), 0x02: NamedField("database", address),
    0x03: NamedField("queue", address), 0x04: NamedField("options", .text),
    0x05: NamedField("disabled", .flag), 0x06: NamedField("removing", .mark),
    0x07: NamedField("covered", .mark),
  ]) { $1 }
  static let hostRecord: [UInt8: NamedField] = row.merging([0x01: NamedField("cell", .uuid)]) { $1 }
  static let instanceRecord: [UInt8: NamedField] = row.merging([
    0x01: NamedField("cell", .uuid), 0x02: NamedField("project", personal),
    0x03: NamedField("user", personal), 0x04: NamedField("queued_for_delete", .flag),
    0x05: NamedField("last_seen", .fields(sighting)),
  ]) { $1 }

  /// The fields of an entry, but for the records before and after.
  private static let entry: [UInt8: NamedField] = [
    0x01: NamedField("actor", .text), 0x02: NamedField("program", .text),
    0x03: NamedField("reason", .text), 0x04: NamedField("correlation", .text),
    0x05: NamedField("observed", .mark), 0x06: NamedField("request_content", .digest),
    0x07: NamedField(
      "chunk",
      .fields([
        0x01: NamedField("kind_of_entity", .number), 0x02: NamedField("first_key", .text),
        0x03: NamedField("last_key", .text),
      ])),
    0x08: NamedField(
      "evidence",
      .fields([
        0x01: NamedField("source", .text), 0x02: NamedField("cell", .uuid),
        0x03: NamedField("table", .text), 0x04: NamedField("row_key", .text),
        0x05: NamedField("row_digest", .digest), 0x06: NamedField("read_at", .time),
      ])),
    0x10: NamedField("host", .text),
    0x22: NamedField(
      "identity",
      .fields([
        0x01: NamedField("services", .uuids), 0x02: NamedField("compute_nodes", .uuids),
        0x03: NamedField("server", .text), 0x04: NamedField("replaces", .mark),
      ])),
    0x23: NamedField(
      "probe", .fields([0x01: NamedField("passed", .mark), 0x02: NamedField("report", .text)])),
    0x24: NamedField("key", .uuid),
    0x25: NamedField("sighting", .fields(sighting)),
    0x26: NamedField(
      "conflict",
      .fields([
        0x01: NamedField("kind", .text), 0x02: NamedField("evidence", .text),
        0x03: NamedField("decision", .text),
      ])),
    0x27: NamedField(
      "epoch",
      .fields([
        0x01: NamedField("store", .uuid), 0x02: NamedField("number", .number),
        0x03: NamedField("id", .uuid), 0x04: NamedField("cause", .number),
        0x05: NamedField("common_index", .number), 0x06: NamedField("common_root", .digest),
        0x07: NamedField("left_index", .number), 0x08: NamedField("left_root", .digest),
        0x09: NamedField("seals_owners", .mark),
      ])),
    0x28: NamedField(
      "transfer",
      .fields(
        counts.merging([
          0x01: NamedField("database", .text), 0x02: NamedField("snapshot_at", .time),
        ]) { $1 })),
    0x29: NamedField(
      "scan",
      .fields([
        0x01: NamedField("scan", .uuid), 0x02: NamedField("cell", .uuid),
        0x03: NamedField("rows", .number), 0x04: NamedField("digest", .digest),
      ])),
    0x2A: NamedField("counts", .fields(counts)),
    0x2B: NamedField(
      "archive",
      .fields([
        0x01: NamedField("index", .number), 0x02: NamedField("root", .digest),
        0x03: NamedField("file", .text), 0x04: NamedField("file_digest", .digest),
      ])),
  ]

  private static func withRecord(_ record: [UInt8: NamedField]) -> [UInt8: NamedField] {
    entry.merging([
      0x20: NamedField("before", .fields(record)), 0x21: NamedField("after", .fields(record)),
    ]) { $1 }
  }

  private static let ofKinds: [EntityKey.Kind: [UInt8: NamedField]] = [
    .store: entry, .cell: withRecord(cellRecord), .host: withRecord(hostRecord),
    .instance: withRecord(instanceRecord),
  ]

  /// The fields of entries about a kind of entity.
  static func ofEntries(about kind: EntityKey.Kind) -> [UInt8: NamedField] {
    guard let list = ofKinds[kind] else { preconditionFailure("a list for each kind") }
    return list
  }
}

extension Entry {
  /// What an entry's fields say, by name; bytes are left out.
  ///
  /// - Parameter bytes: Those of an entry whose event this program knows.
  /// - Throws: `malformed`.
  static func fields(
    of bytes: [UInt8], at start: Int, _ header: EntryHeader
  ) throws(EntryError) -> [String: JSONValue] {
    try object(
      FieldReader(
        bytes, from: start + EntryHeader.length, to: start + Int(header.entryLength)),
      of: bytes, FieldList.ofEntries(about: header.entityKind))
  }

  private static func object(
    _ reader: FieldReader, of bytes: [UInt8], _ list: [UInt8: NamedField]
  ) throws(EntryError) -> [String: JSONValue] {
    var reader = reader
    var members: [String: JSONValue] = [:]
    while !reader.isAtEnd {
      let (tag, range) = try reader.nextField()
      guard let field = list[tag] else { throw .malformed("field \(tag) is unknown here") }
      members[field.name] = try value(of: field.form, bytes, range)
    }
    return members
  }

  /// nil for what is left out.
  private static func value(
    of form: FieldForm, _ bytes: [UInt8], _ range: Range<Int>
  ) throws(EntryError) -> JSONValue? {
    let start = range.lowerBound
    switch form {
    case .bytes: return nil
    case .text: return .text(String(decoding: bytes[range], as: UTF8.self))
    case .mark: return .flag(true)
    case .number: return .number(bytes[range].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    case .flag:
      guard range.count == 1 else { throw .malformed("a flag of \(range.count) bytes") }
      return .flag(bytes[start] == 1)
    case .time:
      guard range.count == 8 else { throw .malformed("a time of \(range.count) bytes") }
      return .printed(Timestamp(microseconds: Int64(bitPattern: bytes.bigEndianWord(at: start))))
    case .digest: return .printed(Digest(bytes: bytes[range]))
    case .uuid: return .printed(UUID128(bytes: bytes[range]))
    case .uuids:
      return .list(
        stride(from: start, to: range.upperBound, by: 16).map { place in
          .printed(UUID128(bytes: bytes[place..<min(place + 16, range.upperBound)]))
        })
    case .fields(let list):
      return .object(
        try object(
          FieldReader(bytes, from: start, to: range.upperBound), of: bytes, list))
    }
  }
}
