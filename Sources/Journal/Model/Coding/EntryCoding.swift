// An entry as bytes: the fixed part, then fields. docs/journal-format.md has every byte.

extension Entry {
  /// Appends the entry's bytes: the one form that it has.
  ///
  /// - Throws: `malformed` if the entry would be longer than `EntryHeader.maximumEntryLength`; what
  ///   was appended is taken back.
  // Hot path: at most 300 ns, no allocation once the buffer has its size.
  public func append(to buffer: inout [UInt8]) throws(EntryError) {
    try draft.append(to: &buffer, at: position, orderedAt: orderedAt)
  }

  /// The entry's bytes.
  public func encoded() throws(EntryError) -> [UInt8] {
    var bytes: [UInt8] = []
    try append(to: &bytes)
    return bytes
  }

  /// Reads an entry that begins at `start` and takes up `EntryHeader.entryLength` bytes.
  ///
  /// - Throws: `malformed`, `newerFormat`, or `unknownEvent` if only the event is from a newer
  ///   program.
  public init(decoding bytes: [UInt8], at start: Int = 0) throws(EntryError) {
    let header = try EntryHeader(bytes, at: start)
    var reader = FieldReader(
      bytes, from: start + EntryHeader.length, to: start + Int(header.entryLength))
    var authorship = Authorship(
      actor: try reader.text(.actor).required(.actor),
      program: try reader.text(.program).required(.program), observedAt: header.observedAt)
    authorship.reason = try reader.text(.reason)
    authorship.correlation = try reader.text(.correlation)
    authorship.isObserved = try reader.mark(.observed)
    var request = RequestMark(id: header.request)
    request.content = try reader.digest(.requestContent)
    request.chunk = try reader.chunk()
    let evidence = try reader.evidence()
    let event = try Entry.event(header, &reader)
    self.init(
      position: header.position, orderedAt: header.orderedAt,
      draft: EntryDraft(
        event: event, authorship: authorship, request: request, evidence: evidence))
  }

  /// What a projection needs of an entry's bytes: the event and the request, without the author.
  ///
  /// - Throws: As `init(decoding:)`.
  // Hot path: replay reads millions of these.
  public static func change(
    decoding bytes: [UInt8], at start: Int = 0
  ) throws(EntryError) -> EntryChange {
    let header = try EntryHeader(bytes, at: start)
    var reader = FieldReader(
      bytes, from: start + EntryHeader.length, to: start + Int(header.entryLength))
    try reader.skip(below: .requestContent)
    var request = RequestMark(id: header.request)
    request.content = try reader.digest(.requestContent)
    request.chunk = try reader.chunk()
    try reader.skip(below: .entityName)
    return EntryChange(
      position: header.position, request: request, event: try event(header, &reader))
  }

  private static func event(
    _ header: EntryHeader, _ reader: inout FieldReader
  ) throws(EntryError) -> Event {
    guard let kind = EventKind(rawValue: header.kind), header.schemaVersion >= 1,
      header.schemaVersion <= kind.schemaVersion
    else {
      throw .unknownEvent(
        kind: header.kind, schemaVersion: header.schemaVersion, index: header.position.index)
    }
    let event = try reader.event(kind, entity: header.entityKind, key: header.entityKey)
    try reader.finish()
    guard event.schemaVersion == header.schemaVersion else { throw .malformed("its version") }
    guard event.entity.kind == header.entityKind, event.entity.fixedKey == header.entityKey else {
      throw .malformed("the key of its entity")
    }
    return event
  }
}

/// The part of an entry that changes the map.
public struct EntryChange: Hashable, Sendable {
  public let position: Position
  public let request: RequestMark
  public let event: Event

  public init(position: Position, request: RequestMark, event: Event) {
    self.position = position
    self.request = request
    self.event = event
  }
}

extension Entry {
  /// The part of the entry that changes the map.
  public var change: EntryChange {
    EntryChange(position: position, request: draft.request, event: draft.event)
  }
}

extension EntryDraft {
  /// Appends the bytes that the draft has as the entry at a place.
  ///
  /// - Throws: As `Entry.append(to:)`.
  // Hot path: at most 300 ns, no allocation once the buffer has its size.
  public func append(
    to buffer: inout [UInt8], at position: Position, orderedAt: Timestamp
  ) throws(EntryError) {
    let start = buffer.count
    let kind = event.kind
    let entity = event.entity
    EntryHeader(
      schemaVersion: event.schemaVersion, kind: kind.rawValue, entryLength: 0, position: position,
      entityKind: entity.kind, observedAt: authorship.observedAt, orderedAt: orderedAt,
      request: request.id, entityKey: entity.fixedKey
    ).append(to: &buffer)
    // Swapped, not assigned: a second reference would make each entry copy the buffer.
    var writer = FieldWriter()
    swap(&writer.bytes, &buffer)
    writer.authorship(authorship)
    writer.digest(.requestContent, request.content)
    writer.chunk(request.chunk)
    writer.evidence(evidence)
    writer.event(event)
    swap(&writer.bytes, &buffer)
    let length = buffer.count - start
    guard length <= EntryHeader.maximumEntryLength else {
      buffer.removeLast(length)
      throw .malformed(
        "it would have \(length) bytes of at most \(EntryHeader.maximumEntryLength)")
    }
    for offset in 0..<4 {
      buffer[start + 4 + offset] = UInt8(truncatingIfNeeded: length >> (24 - 8 * offset))
    }
  }
}

extension EntityKey {
  /// The key in an entry's fixed part: the UUID of a cell or an instance, zero for others.
  var fixedKey: UUID128 {
    switch self {
    case .cell(let id): id.uuid
    case .instance(let id): id.uuid
    case .store, .host: .zero
    }
  }
}

extension FieldWriter {
  fileprivate mutating func authorship(_ authorship: Authorship) {
    text(.actor, authorship.actor)
    text(.program, authorship.program)
    text(.reason, authorship.reason)
    text(.correlation, authorship.correlation)
    mark(.observed, authorship.isObserved)
  }

  fileprivate mutating func chunk(_ chunk: KeyRange?) {
    guard let chunk else { return }
    nested(.chunk) { writer in
      writer.number(.chunkKind, UInt64(chunk.kind.rawValue))
      writer.text(.chunkFirst, chunk.first)
      writer.text(.chunkLast, chunk.last)
    }
  }

  fileprivate mutating func evidence(_ evidence: Evidence?) {
    guard let evidence else { return }
    nested(.evidence) { writer in
      writer.text(.evidenceSource, evidence.source)
      writer.uuid(.evidenceCell, evidence.cell?.uuid)
      writer.text(.evidenceTable, evidence.table)
      writer.text(.evidenceRowKey, evidence.rowKey)
      writer.digest(.evidenceRowDigest, evidence.rowDigest)
      writer.time(.evidenceReadAt, evidence.readAt)
    }
  }
}

extension FieldReader {
  fileprivate mutating func chunk() throws(EntryError) -> KeyRange? {
    try nested(.chunk) { (reader) throws(EntryError) in
      let number = try reader.number(.chunkKind).required(.chunkKind)
      guard let raw = UInt8(exactly: number), let kind = EntityKey.Kind(rawValue: raw) else {
        throw .malformed("the kind of a chunk")
      }
      return KeyRange(
        kind: kind, first: try reader.text(.chunkFirst).required(.chunkFirst),
        last: try reader.text(.chunkLast).required(.chunkLast))
    }
  }

  fileprivate mutating func evidence() throws(EntryError) -> Evidence? {
    try nested(.evidence) { (reader) throws(EntryError) in
      Evidence(
        source: try reader.text(.evidenceSource).required(.evidenceSource),
        cell: try reader.uuid(.evidenceCell).map { CellID($0) },
        table: try reader.text(.evidenceTable).required(.evidenceTable),
        rowKey: try reader.text(.evidenceRowKey).required(.evidenceRowKey),
        rowDigest: try reader.digest(.evidenceRowDigest).required(.evidenceRowDigest),
        readAt: try reader.time(.evidenceReadAt).required(.evidenceReadAt))
    }
  }
}
