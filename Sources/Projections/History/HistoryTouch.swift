internal import Journal

/// That an entry is about a thing: what the history file holds of each entry, and all of it.
///
/// The thing is a 64-bit hash: half the size of a UUID, and neither a name nor a UUID is in the file.
/// Two things that share a hash are told apart by the entries themselves.
struct HistoryTouch: Comparable, Sendable {
  /// The hash, as SQLite keeps and orders it.
  let entity: Int64
  let entry: UInt64

  @inline(__always)
  static func < (left: Self, right: Self) -> Bool {
    left.entity == right.entity ? left.entry < right.entry : left.entity < right.entity
  }

  /// The hash of the row, as it is summed in its bucket.
  @inline(__always)
  var hash: RowHash {
    var hasher = RowHasher(table: 3)
    hasher.add(entity)
    hasher.add(Int64(bitPattern: entry))
    return hasher.finish()
  }

  /// The bucket of a hash: its first 14 bits.
  @inline(__always)
  static func bucket(of entity: Int64) -> Int { Int(UInt64(bitPattern: entity) >> 50) }
  static let buckets = 1 << 14

  /// The first and the last hash of a bucket.
  static func range(ofBucket number: Int) -> ClosedRange<Int64> {
    let first = UInt64(number) << 50
    return Int64(bitPattern: first)...Int64(bitPattern: first | (1 << 50 - 1))
  }
}

extension HistoryTouch {
  /// The hash of a thing.
  static func mark(of entity: EntityKey) -> Int64 {
    switch entity {
    case .store: mark(.store, .zero)
    case .cell(let id): mark(.cell, id.uuid)
    case .instance(let id): mark(.instance, id.uuid)
    case .host(let name): mark(ofHost: name)
    }
  }

  @inline(__always)
  private static func mark(_ kind: EntityKey.Kind, _ uuid: UUID128) -> Int64 {
    var hasher = RowHasher(table: 1)
    hasher.add(Int64(kind.rawValue))
    hasher.add(key: (uuid.high, uuid.low))
    return hasher.finish().checksum
  }

  private static func mark(ofHost name: ByteText) -> Int64 {
    var hasher = RowHasher(table: 1)
    hasher.add(Int64(EntityKey.Kind.host.rawValue))
    let bytes = unsafe name.string.utf8Span.span.bytes
    hasher.add(text: bytes)
    return hasher.finish().checksum
  }

  /// The hash under which the entries stand that brought a thing of a kind into the map: the cells and
  /// hosts of any moment are found by it.
  static func catalogue(of kind: EntityKey.Kind) -> Int64 {
    var hasher = RowHasher(table: 2)
    hasher.add(Int64(kind.rawValue))
    return hasher.finish().checksum
  }

  /// Adds what an entry, given as the journal's bytes, touches.
  ///
  /// - Throws: `unreadableEntry` for an event about a host of a newer program.
  // Hot path: at most 100 ns for an entry about an instance.
  static func add(
    _ header: EntryHeader, _ bytes: [UInt8], at start: Int, to touches: inout [HistoryTouch]
  ) throws(ProjectionError) {
    let index = header.position.index
    let entity: Int64
    switch header.entityKind {
    case .host:
      let change = try IndexReplay.change(bytes, at: start, index)
      entity = mark(of: change.event.entity)
    case .store, .cell, .instance: entity = mark(header.entityKind, header.entityKey)
    }
    touches.append(HistoryTouch(entity: entity, entry: index))
    switch EventKind(rawValue: header.kind) {
    case .cellAdded: touches.append(HistoryTouch(entity: catalogue(of: .cell), entry: index))
    case .hostMapped: touches.append(HistoryTouch(entity: catalogue(of: .host), entry: index))
    default: break
    }
  }
}
