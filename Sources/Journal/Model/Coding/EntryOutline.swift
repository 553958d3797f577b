/// What sorts an entry without reading its event: what it is about, and whose request it belongs to.
///
/// Replay reads each entry once in the journal's order, sets most of them aside by what they are
/// about, and decodes their events later.
public struct EntryOutline: Sendable {
  public let header: EntryHeader
  /// The digest of the command; nil on all but the first entry of a commit.
  public let content: Digest?
  /// The entry begins a commit of a bulk command.
  public let beginsChunk: Bool
  private let start: Int
  /// Where the event's own fields begin.
  private let eventFields: Int
  private let end: Int

  /// Reads the outline of an entry that begins at `start`.
  ///
  /// - Throws: As `Entry.init(decoding:at:)`, but for what is wrong within the event.
  // Hot path: at most 100 ns, no allocation.
  public init(_ bytes: [UInt8], at start: Int = 0) throws(EntryError) {
    self.start = start
    header = try EntryHeader(bytes, at: start)
    guard let kind = EventKind(rawValue: header.kind), header.schemaVersion >= 1,
      header.schemaVersion <= kind.schemaVersion
    else {
      throw .unknownEvent(
        kind: header.kind, schemaVersion: header.schemaVersion, index: header.position.index)
    }
    end = start + Int(header.entryLength)
    var reader = FieldReader(bytes, from: start + EntryHeader.length, to: end)
    try reader.skip(below: .requestContent)
    content = try reader.digest(.requestContent)
    let chunk = reader.place
    try reader.skip(below: .evidence)
    beginsChunk = reader.place != chunk
    try reader.skip(below: .entityName)
    eventFields = reader.place
  }

  /// Appends an entry with the same place, request id and event, and without author, reason,
  /// evidence and digest: `Entry.change(decoding:at:)` reads it.
  ///
  /// - Parameter bytes: Those that the outline was read from.
  public func appendChange(of bytes: [UInt8], to buffer: inout [UInt8]) {
    let lengthPlace = buffer.count + 4
    buffer.append(contentsOf: bytes[start..<start + EntryHeader.length])
    buffer.append(contentsOf: bytes[eventFields..<end])
    let length = EntryHeader.length + end - eventFields
    for offset in 0..<4 {
      buffer[lengthPlace + offset] = UInt8(truncatingIfNeeded: length >> (24 - 8 * offset))
    }
  }
}
