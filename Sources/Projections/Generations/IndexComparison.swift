public import Journal

/// The first row in which an index is not what a replay makes of the journal.
public struct IndexDifference: Hashable, Sendable {
  /// What is wrong with the index that was looked at.
  public enum What: Hashable, Sendable {
    /// It lacks the row.
    case missing
    /// It has a row that should not be there.
    case surplus
    /// The row has other content.
    case differs
    /// The row is not what its own checksum says.
    case damaged
    /// All rows agree, and a bucket counts others.
    case bucket(Int)
  }

  /// The table, as docs/index-format.md has it.
  public let table: String
  /// The row's key, as people write it.
  public let key: String
  /// What the row is about; nil for a request, an epoch, or a bucket.
  public let entity: EntityKey?
  public let what: What
  /// The parts that differ, from what the index says to what the journal says; empty where the row
  /// can't be read, or isn't one of a cell, a host or an instance.
  public let changes: [FieldChange]
  /// The entry that makes the row what the journal says, as far as the row itself tells; nil for a
  /// surplus one.
  public let entry: UInt64?
}

/// Compares two indexes row by row, in the order of their tables and keys.
public enum IndexComparison {
  /// The first difference of the index at `path` from a replay that has come to the same entry; nil if
  /// there is none.
  ///
  /// Reads both whole: about a second for each million rows. The first is not believed: rows that are
  /// not what their checksums say are differences.
  ///
  /// - Throws: `damaged` for the replay, or what SQLite says of either.
  public static func firstDifference(
    of index: IndexReader, from replay: IndexReader
  ) throws(ProjectionError) -> IndexDifference? {
    try index.withSnapshot { () throws(ProjectionError) in
      if let found = try differ(CellTable.self, index, replay) { return found }
      if let found = try differ(HostTable.self, index, replay) { return found }
      if let found = try differ(InstanceTable.self, index, replay) { return found }
      if let found = try differ(IdentityTable.self, index, replay) { return found }
      if let found = try differ(ConflictTable.self, index, replay) { return found }
      if let found = try differ(DepartedTable.self, index, replay) { return found }
      if let found = try differ(RequestTable.self, index, replay) { return found }
      if let found = try differ(EpochTable.self, index, replay) { return found }
      let (one, other) = (
        try IndexBuckets.read(from: index.connection),
        try IndexBuckets.read(from: replay.connection)
      )
      for number in one.values.indices where one.values[number] != other.values[number] {
        return IndexDifference(
          table: "bucket", key: "\(number)", entity: nil, what: .bucket(number), changes: [],
          entry: nil)
      }
      return nil
    }
  }

  private static func differ<Table: ComparedTable>(
    _ table: Table.Type, _ index: IndexReader, _ replay: IndexReader
  ) throws(ProjectionError) -> IndexDifference? {
    var one = try RowWalk<Table>(index.connection)
    var other = try RowWalk<Table>(replay.connection)
    while true {
      switch (one.row, other.row) {
      case (nil, nil): return nil
      case (let found?, nil): return difference(table, found, nil)
      case (nil, let expected?): return difference(table, nil, expected)
      case (let found?, let expected?):
        if !found.isSound || found.key != expected.key || found.hash != expected.hash {
          if found.key == expected.key { return difference(table, found, expected) }
          return found.key < expected.key
            ? difference(table, found, nil) : difference(table, nil, expected)
        }
      }
      try one.step()
      try other.step()
    }
  }

  private static func difference<Table: ComparedTable>(
    _ table: Table.Type, _ found: WalkedRow<Table>?, _ expected: WalkedRow<Table>?
  ) -> IndexDifference? {
    guard let key = found?.key ?? expected?.key else { return nil }
    let what: IndexDifference.What =
      found?.isSound == false
      ? .damaged : found == nil ? .missing : expected == nil ? .surplus : .differs
    let (from, to) = (
      found?.row.flatMap { Table.entityRow($0) }, expected?.row.flatMap { Table.entityRow($0) }
    )
    return IndexDifference(
      table: Table.name, key: Table.describe(key), entity: Table.entity(of: key), what: what,
      changes: EntityRow.changes(from: from, to: to),
      entry: expected?.row.map { Table.lastEntry(of: key, $0) })
  }
}

/// A row on a walk.
private struct WalkedRow<Table: ComparedTable> {
  let key: Table.Key
  /// nil if it can't be read.
  let row: Table.Row?
  let hash: RowHash
  /// It is what its checksum says.
  let isSound: Bool
}

/// The rows of a table in the order of their keys.
private struct RowWalk<Table: ComparedTable> {
  private let statement: SQLiteStatement
  private(set) var row: WalkedRow<Table>?

  init(_ connection: SQLiteConnection) throws(ProjectionError) {
    statement = try connection.prepare(
      "SELECT \(Table.columnList) FROM \(Table.name) "
        + "ORDER BY \(Table.keyColumns.joined(separator: ", "))")
    try step()
  }

  mutating func step() throws(ProjectionError) {
    guard try statement.step() else {
      row = nil
      return
    }
    let columns = Table.hashedColumnCount
    let hash = try statement.rowHash(columns: columns, table: Table.number)
    let isSound = try statement.integer(columns) == hash.checksum
    var reader = RowReader(statement)
    let key = try Table.readKey(&reader)
    var read: Table.Row?
    do throws(ProjectionError) { read = try Table.readRow(&reader) } catch {
      guard !isSound else { throw error }
    }
    row = WalkedRow(key: key, row: read, hash: hash, isSound: isSound)
  }
}

/// A table whose differences are told.
private protocol ComparedTable: IndexTable {
  static func describe(_ key: Key) -> String
  static func entity(of key: Key) -> EntityKey?
  static func entityRow(_ row: Row) -> EntityRow?
  /// The last entry that the row tells of.
  static func lastEntry(of key: Key, _ row: Row) -> UInt64
}

extension ComparedTable {
  static func describe(_ key: Key) -> String { entity(of: key)?.description ?? "\(key)" }
  static func entityRow(_ row: Row) -> EntityRow? { nil }
}

extension CellTable: ComparedTable {
  static func entity(of key: CellID) -> EntityKey? { .cell(key) }
  static func entityRow(_ row: CellRow) -> EntityRow? { .cell(row) }
  static func lastEntry(of key: CellID, _ row: CellRow) -> UInt64 { row.changedAt }
}

extension HostTable: ComparedTable {
  static func entity(of key: ByteText) -> EntityKey? { .host(key) }
  static func entityRow(_ row: HostRow) -> EntityRow? { .host(row) }
  static func lastEntry(of key: ByteText, _ row: HostRow) -> UInt64 { row.changedAt }
}

extension InstanceTable: ComparedTable {
  static func entity(of key: InstanceID) -> EntityKey? { .instance(key) }
  static func entityRow(_ row: InstanceRow) -> EntityRow? { .instance(row) }
  static func lastEntry(of key: InstanceID, _ row: InstanceRow) -> UInt64 { row.changedAt }
}

extension IdentityTable: ComparedTable {
  static func describe(_ key: Key) -> String { "\(key.uuid) of cell \(key.cell)" }
  static func entity(of key: Key) -> EntityKey? { .cell(key.cell) }
  static func lastEntry(of key: Key, _ row: Row) -> UInt64 { row.recordedAt }
}

extension ConflictTable: ComparedTable {
  static func entity(of key: EntityTableKey) -> EntityKey? { key.entity }
  static func lastEntry(of key: EntityTableKey, _ row: Row) -> UInt64 { row.changedAt }
}

extension DepartedTable: ComparedTable {
  static func entity(of key: EntityTableKey) -> EntityKey? { key.entity }
  static func lastEntry(of key: EntityTableKey, _ row: UInt64) -> UInt64 { row }
}

extension RequestTable: ComparedTable {
  static func entity(of key: RequestID) -> EntityKey? { nil }
  static func lastEntry(of key: RequestID, _ row: RequestRow) -> UInt64 { row.last }
}

extension EpochTable: ComparedTable {
  static func entity(of key: Key) -> EntityKey? { nil }
  static func lastEntry(of key: Key, _ row: Row) -> UInt64 { row.first }
}
