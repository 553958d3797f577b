public import Journal

// The tables beside the map itself: evidence of cells, requests, what is gone, epochs.

/// What a piece of evidence about a cell is.
public enum IdentityKind: UInt8, Sendable {
  /// What the server says of itself; its UUID is zero.
  case server = 0
  /// `services.uuid`.
  case service = 1
  /// `compute_nodes.uuid`.
  case computeNode = 2
}

enum IdentityTable: IndexTable {
  struct Key: Hashable, Comparable, Sendable {
    var cell: CellID
    var kind: IdentityKind
    var uuid: UUID128

    static func < (left: Self, right: Self) -> Bool {
      if left.cell != right.cell { return left.cell < right.cell }
      if left.kind != right.kind { return left.kind.rawValue < right.kind.rawValue }
      return left.uuid < right.uuid
    }
  }

  struct Row: Hashable, Sendable {
    var server: ByteText?
    /// The index of the entry that recorded it first.
    var recordedAt: UInt64
  }

  static let number = 5
  static let name = "identity"
  static let keyColumns = ["cell", "kind", "uuid"]
  static let valueColumns = ["server", "recorded_at"]

  static func bind(_ key: Key, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(key.cell.uuid)
    try binder.add(Int64(key.kind.rawValue))
    try binder.add(key.uuid)
  }
  static func bind(_ row: Row, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(row.server)
    try binder.add(number: row.recordedAt)
  }
  static func readKey(_ reader: inout RowReader) throws(ProjectionError) -> Key {
    let cell = CellID(try reader.uuid())
    guard let kind = IdentityKind(rawValue: UInt8(truncatingIfNeeded: try reader.integer())) else {
      throw reader.unreadable("a kind of evidence")
    }
    return Key(cell: cell, kind: kind, uuid: try reader.uuid())
  }
  static func readRow(_ reader: inout RowReader) throws(ProjectionError) -> Row {
    Row(server: try reader.textIfPresent(), recordedAt: try reader.number())
  }
}

enum RequestTable: IndexTable {
  static let number = 6
  static let name = "request"
  static let keyColumns = ["id"]
  static let valueColumns = [
    "content", "first_index", "last_index", "is_bulk", "finished_cells", "finished_hosts",
    "finished_instances",
  ]

  static func bind(_ key: RequestID, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(key.uuid)
  }
  static func bind(_ row: RequestRow, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(blob: row.content.bytes)
    try binder.add(number: row.first)
    try binder.add(number: row.last)
    try binder.add(flag: row.isBulk)
    try binder.add(number: row.finished?.cells)
    try binder.add(number: row.finished?.hosts)
    try binder.add(number: row.finished?.instances)
  }
  static func readKey(_ reader: inout RowReader) throws(ProjectionError) -> RequestID {
    RequestID(try reader.uuid())
  }
  static func readRow(_ reader: inout RowReader) throws(ProjectionError) -> RequestRow {
    var row = RequestRow(
      content: try reader.digest(), first: try reader.number(), last: try reader.number())
    row.isBulk = try reader.flagIfPresent() ?? false
    let cells = try reader.numberIfPresent()
    let hosts = try reader.numberIfPresent()
    let instances = try reader.numberIfPresent()
    if let cells, let hosts, let instances {
      row.finished = ChangeCounts(cells: cells, hosts: hosts, instances: instances)
    }
    return row
  }
}

/// An entity as a key of a table.
struct EntityTableKey: Hashable, Comparable, Sendable {
  var kind: EntityKey.Kind
  /// The UUID's 16 bytes, or the host's name.
  var bytes: [UInt8]

  init(kind: EntityKey.Kind, bytes: [UInt8]) {
    self.kind = kind
    self.bytes = bytes
  }

  init(_ entity: EntityKey) {
    kind = entity.kind
    bytes =
      switch entity {
      case .store: []
      case .cell(let id): id.uuid.bytes
      case .instance(let id): id.uuid.bytes
      case .host(let name): Array(name.string.utf8)
      }
  }

  static func < (left: Self, right: Self) -> Bool {
    left.kind == right.kind
      ? left.bytes.lexicographicallyPrecedes(right.bytes)
      : left.kind.rawValue < right.kind.rawValue
  }

  /// The entity; nil for bytes that are none's.
  var entity: EntityKey? {
    switch kind {
    case .store: return .store
    case .host: return ByteText(utf8: bytes).map { .host($0) }
    case .cell: return UUID128(bytes: bytes).map { .cell(CellID($0)) }
    case .instance: return UUID128(bytes: bytes).map { .instance(InstanceID($0)) }
    }
  }
}

/// Entities that are gone, with the entry that took them away.
enum DepartedTable: IndexTable {
  typealias Key = EntityTableKey

  static let number = 7
  static let name = "departed"
  static let keyColumns = ["kind", "key"]
  static let valueColumns = ["last_index"]

  static func bind(_ key: Key, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(Int64(key.kind.rawValue))
    try binder.add(blob: key.bytes)
  }
  static func bind(_ row: UInt64, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(number: row)
  }
  static func readKey(_ reader: inout RowReader) throws(ProjectionError) -> Key {
    Key(kind: try reader.entityKind(), bytes: try reader.blob())
  }
  static func readRow(_ reader: inout RowReader) throws(ProjectionError) -> UInt64 {
    try reader.number()
  }
}

/// What the index remembers of an epoch.
public struct EpochRow: Hashable, Sendable {
  public var id: EpochID
  public var cause: EpochOpening.Cause
  /// The index of the entry that opened it.
  public var first: UInt64
  /// The last index it shares with what was there before.
  public var commonIndex: UInt64
}

enum EpochTable: IndexTable {
  static let number = 8
  static let name = "epoch"
  static let keyColumns = ["epoch"]
  static let valueColumns = ["id", "cause", "first_index", "common_index"]

  static func bind(_ key: UInt32, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(Int64(key))
  }
  static func bind(_ row: EpochRow, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(row.id.uuid)
    try binder.add(Int64(row.cause.rawValue))
    try binder.add(number: row.first)
    try binder.add(number: row.commonIndex)
  }
  static func readKey(_ reader: inout RowReader) throws(ProjectionError) -> UInt32 {
    UInt32(truncatingIfNeeded: try reader.integer())
  }
  static func readRow(_ reader: inout RowReader) throws(ProjectionError) -> EpochRow {
    let id = EpochID(try reader.uuid())
    let number = UInt8(truncatingIfNeeded: try reader.integer())
    guard let cause = EpochOpening.Cause(rawValue: number) else {
      throw reader.unreadable("a cause of an epoch")
    }
    return EpochRow(
      id: id, cause: cause, first: try reader.number(), commonIndex: try reader.number())
  }
}

/// What the cells couldn't decide, open and decided.
enum ConflictTable: IndexTable {
  typealias Key = EntityTableKey

  static let number = 9
  static let name = "conflict"
  static let keyColumns = ["kind", "key"]
  static let valueColumns = ["rule", "evidence", "decision", "found_at", "changed_at"]

  static func bind(_ key: Key, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(Int64(key.kind.rawValue))
    try binder.add(blob: key.bytes)
  }
  static func bind(_ row: ConflictRow, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(row.record.kind)
    try binder.add(row.record.evidence)
    try binder.add(row.record.decision)
    try binder.add(number: row.record.foundAt)
    try binder.add(number: row.changedAt)
  }
  static func readKey(_ reader: inout RowReader) throws(ProjectionError) -> Key {
    Key(kind: try reader.entityKind(), bytes: try reader.blob())
  }
  static func readRow(_ reader: inout RowReader) throws(ProjectionError) -> ConflictRow {
    let record = ConflictRecord(
      kind: try reader.text(), evidence: try reader.text(),
      decision: try reader.textIfPresent(), foundAt: try reader.number())
    return ConflictRow(record: record, changedAt: try reader.number())
  }
}

extension RowReader {
  fileprivate mutating func entityKind() throws(ProjectionError) -> EntityKey.Kind {
    let number = UInt8(truncatingIfNeeded: try integer())
    guard let kind = EntityKey.Kind(rawValue: number) else { throw unreadable("a kind of entity") }
    return kind
  }
}
