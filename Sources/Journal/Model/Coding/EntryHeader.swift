/// The fixed part of an entry: the first 72 bytes, all integers most significant byte first.
public struct EntryHeader: Hashable, Sendable {
  /// The version of the layout that this program writes.
  public static let format: UInt8 = 1
  /// Bytes of the fixed part.
  public static let length = 72
  /// An entry is at most this long; a command that would need more is refused.
  public static let maximumEntryLength = 64 * 1024

  public var schemaVersion: UInt8
  /// A raw number, since a newer program may have written a kind that is unknown here.
  public var kind: UInt16
  /// Bytes of the whole entry.
  public var entryLength: UInt32
  public var position: Position
  public var entityKind: EntityKey.Kind
  public var observedAt: Timestamp
  public var orderedAt: Timestamp
  public var request: RequestID
  /// The UUID of the cell or instance; zero for others.
  public var entityKey: UUID128

  /// Appends the 72 bytes.
  func append(to bytes: inout [UInt8]) {
    let first =
      UInt64(EntryHeader.format) << 56 | UInt64(schemaVersion) << 48 | UInt64(kind) << 32
      | UInt64(entryLength)
    bytes.append(bigEndianWords: [
      first, UInt64(position.epoch) << 32 | UInt64(entityKind.rawValue) << 24, position.index,
      UInt64(bitPattern: observedAt.microseconds), UInt64(bitPattern: orderedAt.microseconds),
      request.uuid.high, request.uuid.low, entityKey.high, entityKey.low,
    ])
  }

  /// Reads the fixed part of an entry that begins at `start`; the entry may be followed by more.
  ///
  /// - Throws: `malformed` for bytes that are no entry, `newerFormat` for a newer layout.
  public init(_ bytes: [UInt8], at start: Int = 0) throws(EntryError) {
    guard start >= 0, bytes.count - start >= EntryHeader.length else {
      throw .malformed("it is shorter than its fixed part")
    }
    guard bytes[start] == EntryHeader.format else {
      throw bytes[start] > EntryHeader.format
        ? .newerFormat(bytes[start]) : .malformed("format \(bytes[start])")
    }
    let first = bytes.bigEndianWord(at: start)
    schemaVersion = bytes[start + 1]
    kind = UInt16(truncatingIfNeeded: first >> 32)
    entryLength = UInt32(truncatingIfNeeded: first)
    let second = bytes.bigEndianWord(at: start + 8)
    position = Position(
      epoch: UInt32(truncatingIfNeeded: second >> 32), index: bytes.bigEndianWord(at: start + 16))
    guard let entityKind = EntityKey.Kind(rawValue: bytes[start + 12]), second & 0xFF_FFFF == 0,
      entryLength >= EntryHeader.length, entryLength <= EntryHeader.maximumEntryLength,
      Int(entryLength) <= bytes.count - start
    else { throw .malformed("its fixed part") }
    self.entityKind = entityKind
    observedAt = Timestamp(microseconds: Int64(bitPattern: bytes.bigEndianWord(at: start + 24)))
    orderedAt = Timestamp(microseconds: Int64(bitPattern: bytes.bigEndianWord(at: start + 32)))
    request = RequestID(
      UUID128(
        high: bytes.bigEndianWord(at: start + 40), low: bytes.bigEndianWord(at: start + 48)))
    entityKey = UUID128(
      high: bytes.bigEndianWord(at: start + 56), low: bytes.bigEndianWord(at: start + 64))
  }

  /// The length of an entry whose fixed part was read before.
  public static func entryLength(of bytes: [UInt8], at start: Int) -> Int {
    Int(UInt32(truncatingIfNeeded: bytes.bigEndianWord(at: start)))
  }

  /// The UUID of the cell or instance of an entry whose fixed part was read before.
  public static func entityKey(of bytes: [UInt8], at start: Int) -> UUID128 {
    UUID128(high: bytes.bigEndianWord(at: start + 56), low: bytes.bigEndianWord(at: start + 64))
  }

  init(
    schemaVersion: UInt8, kind: UInt16, entryLength: UInt32, position: Position,
    entityKind: EntityKey.Kind, observedAt: Timestamp, orderedAt: Timestamp, request: RequestID,
    entityKey: UUID128
  ) {
    self.schemaVersion = schemaVersion
    self.kind = kind
    self.entryLength = entryLength
    self.position = position
    self.entityKind = entityKind
    self.observedAt = observedAt
    self.orderedAt = orderedAt
    self.request = request
    self.entityKey = entityKey
  }
}
