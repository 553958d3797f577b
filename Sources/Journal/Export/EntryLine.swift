/// An entry as a line of an export: readable members, and its bytes, which alone count.
struct EntryLine {
  /// The bytes of the entry.
  let entry: [UInt8]
  let header: EntryHeader
  let digest: Digest
  /// The root behind it, if it is the last of its commit.
  var root: Digest?
  /// The path of its proof, if it was asked for.
  var path: [Digest]?

  /// An entry from a buffer, with what stands behind it.
  ///
  /// - Throws: `malformed`, `newerFormat`.
  init(_ bytes: [UInt8], in record: Range<Int>) throws(EntryError) {
    header = try EntryHeader(bytes, at: record.lowerBound)
    let end = record.lowerBound + Int(header.entryLength)
    entry = Array(bytes[record.lowerBound..<end])
    digest = TreeHash.leaf(entry)
    switch record.upperBound - end {
    case 0: root = nil
    case 32: root = bytes.digest(at: end)
    default: throw .malformed("\(record.upperBound - end) bytes stand behind it")
    }
  }

  var index: UInt64 { header.position.index }

  /// The event's name; `kind N` for one of a newer program.
  var event: String { EventKind(rawValue: header.kind)?.name ?? "kind \(header.kind)" }

  /// Whether this program knows the event.
  var isKnown: Bool {
    EventKind(rawValue: header.kind).map { header.schemaVersion <= $0.schemaVersion } == true
      && header.schemaVersion >= 1
  }

  /// What the entry is about; nil for a host in an event that isn't known.
  func entity(_ fields: [String: JSONValue]) -> String? {
    switch header.entityKind {
    case .store: "store"
    case .cell: "cell \(header.entityKey)"
    case .instance: "instance \(header.entityKey)"
    case .host: fields["host"]?.string.map { "host \($0)" }
    }
  }

  /// What people and programs read, without the bytes.
  ///
  /// - Throws: `malformed` for an entry that can't be decoded.
  func readable() throws(EntryError) -> [String: JSONValue] {
    var members: [String: JSONValue] = [:]
    if isKnown {
      // Decoded for its checks: a field that breaks the format is refused.
      _ = try Entry(decoding: entry)
      members = try Entry.fields(of: entry, at: 0, header)
    }
    members["entity"] = .text(entity(members))
    members["event"] = .text(event)
    members["position"] = .printed(header.position)
    members["observed_at"] = .printed(header.observedAt)
    members["ordered_at"] = .printed(header.orderedAt)
    members["request"] = .printed(header.request)
    members["version"] = .number(header.schemaVersion)
    members["digest"] = .printed(digest)
    return members
  }

  /// The line, without its end.
  ///
  /// - Throws: `malformed` for an entry that can't be decoded.
  func text() throws(EntryError) -> String {
    var members = try readable()
    members["entry"] = .text(Base64.standard.text(of: entry))
    if let root { members["root"] = .printed(root) }
    if let path { members["proof"] = .list(path.map { .printed($0) }) }
    return JSONValue.object(members).line
  }
}

extension EntryLine {
  /// Reads a line, which has to be exactly what `text()` makes of the bytes in it.
  ///
  /// - Throws: `malformed`; `newerFormat` or `unknownEvent` for what a newer program wrote.
  init(parsing line: [UInt8]) throws(EntryError) {
    let value: JSONValue
    do throws(JSONError) { value = try JSONValue(parsing: line) } catch {
      throw .malformed("it \(error)")
    }
    guard let text = value["entry"]?.string, var bytes = Base64.standard.bytes(of: text) else {
      throw .malformed("it holds no entry in base64")
    }
    let length = bytes.count
    if let text = value["root"] {
      guard let root = text.string.flatMap({ Digest(hexadecimal: $0) }) else {
        throw .malformed("its root is no digest")
      }
      root.append(to: &bytes)
    }
    try self.init(bytes, in: 0..<bytes.count)
    guard entry.count == length else {
      throw .malformed("the entry in it has \(length) bytes of \(entry.count)")
    }
    guard isKnown else {
      throw .unknownEvent(
        kind: header.kind, schemaVersion: header.schemaVersion, index: header.position.index)
    }
    path = try EntryLine.path(value["proof"])
    guard Array(try self.text().utf8) == line else {
      throw .malformed("what it says is not what the entry in it says")
    }
  }

  private static func path(_ value: JSONValue?) throws(EntryError) -> [Digest]? {
    guard let value else { return nil }
    guard case .list(let items) = value else { throw .malformed("its proof is no list") }
    var path: [Digest] = []
    for item in items {
      guard let node = item.string.flatMap({ Digest(hexadecimal: $0) }) else {
        throw .malformed("its proof is no list of digests")
      }
      path.append(node)
    }
    return path
  }
}
