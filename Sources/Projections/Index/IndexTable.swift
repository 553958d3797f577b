/// One table of the index: how its rows are bound, read and counted.
///
/// The number seeds the hashes of its rows, so that equal rows of two tables differ; numbers are
/// never used again.
protocol IndexTable {
  associatedtype Key: Hashable & Comparable & Sendable
  associatedtype Row: Hashable & Sendable

  static var number: Int { get }
  static var name: String { get }
  /// The columns of the primary key, which come first in the table.
  static var keyColumns: [String] { get }
  /// The other columns but the last, `checksum`.
  static var valueColumns: [String] { get }
  /// Groups of value columns that are left alone by an update that doesn't change them, because an
  /// index stands on them.
  static var indexedGroups: [[String]] { get }

  /// Binds the columns of the key.
  static func bind(_ key: Key, to binder: inout RowBinder) throws(ProjectionError)
  /// Binds the other columns.
  static func bind(_ row: Row, to binder: inout RowBinder) throws(ProjectionError)
  static func readKey(_ reader: inout RowReader) throws(ProjectionError) -> Key
  static func readRow(_ reader: inout RowReader) throws(ProjectionError) -> Row

  /// Where a row is counted; nil for a table that isn't.
  static func bucket(of key: Key) -> Int?
  /// Which of `indexedGroups` differ, as bits.
  static func changedGroups(_ before: Row, _ after: Row) -> Int
}

extension IndexTable {
  static var indexedGroups: [[String]] { [] }
  static func bucket(of key: Key) -> Int? { IndexBuckets.tableBucket(number) }
  static func changedGroups(_ before: Row, _ after: Row) -> Int { 0 }

  static var columns: [String] { keyColumns + valueColumns }
  /// Columns that the checksum covers.
  static var hashedColumnCount: Int { columns.count }
  static var columnList: String { (columns + ["checksum"]).joined(separator: ", ") }
  /// `a = ?1 AND b = ?2`.
  static var keyCondition: String {
    keyColumns.enumerated().map { "\($1) = ?\($0 + 1)" }.joined(separator: " AND ")
  }
}

/// A row with the hash it had when it was read or written.
struct StoredRow<Row: Hashable & Sendable>: Sendable {
  var row: Row
  var hash: RowHash
}

/// Reads and checks rows of one table.
struct TableReader<Table: IndexTable> {
  private let byKey: SQLiteStatement
  private let hashedColumns = Table.hashedColumnCount

  init(_ connection: SQLiteConnection) throws(ProjectionError) {
    byKey = try connection.prepare(
      "SELECT \(Table.columnList) FROM \(Table.name) WHERE \(Table.keyCondition)")
  }

  /// The row under `key`; nil if there is none, which is not checked here.
  ///
  /// - Throws: `damaged` if the row isn't what its checksum or its key says.
  func row(_ key: Table.Key) throws(ProjectionError) -> StoredRow<Table.Row>? {
    var binder = RowBinder(byKey, table: Table.number)
    try Table.bind(key, to: &binder)
    defer { byKey.reset() }
    guard try byKey.step() else { return nil }
    let found = try checkedRow(of: Table.self, byKey, hashedColumns: hashedColumns)
    guard found.key == key else {
      throw .damaged(path: byKey.connection.path, what: "a row of \(Table.name) under another key")
    }
    return found.stored
  }
}

/// The current row of `statement`, which selects `Table.columnList`, after checking its checksum.
@inline(__always)
func checkedRow<Table: IndexTable>(
  of table: Table.Type, _ statement: SQLiteStatement, hashedColumns: Int
) throws(ProjectionError) -> (key: Table.Key, stored: StoredRow<Table.Row>) {
  let hash = try checkedHash(of: table, statement, hashedColumns: hashedColumns)
  var reader = RowReader(statement)
  let key = try Table.readKey(&reader)
  return (key, StoredRow(row: try Table.readRow(&reader), hash: hash))
}

/// The hash of the current row of `statement` after comparing it with the row's checksum.
@inline(__always)
func checkedHash<Table: IndexTable>(
  of table: Table.Type, _ statement: SQLiteStatement, hashedColumns: Int
) throws(ProjectionError) -> RowHash {
  let hash = try statement.rowHash(columns: hashedColumns, table: Table.number)
  guard try statement.integer(hashedColumns) == hash.checksum else {
    throw .damaged(
      path: statement.connection.path, what: "a row of \(Table.name) with another checksum")
  }
  return hash
}

/// Writes rows of one table.
struct TableWriter<Table: IndexTable> {
  let reader: TableReader<Table>
  private let insertion: SQLiteStatement
  private let deletion: SQLiteStatement
  /// One statement for each combination of changed groups.
  private let updates: [SQLiteStatement]

  init(_ connection: SQLiteConnection) throws(ProjectionError) {
    reader = try TableReader(connection)
    let columns = Table.columns + ["checksum"]
    let places = (1...columns.count).map { "?\($0)" }.joined(separator: ", ")
    insertion = try connection.prepare(
      "INSERT INTO \(Table.name) (\(Table.columnList)) VALUES (\(places))")
    deletion = try connection.prepare("DELETE FROM \(Table.name) WHERE \(Table.keyCondition)")
    var updates: [SQLiteStatement] = []
    for groups in 0..<(1 << Table.indexedGroups.count) {
      updates.append(try connection.prepare(Self.update(changing: groups)))
    }
    self.updates = updates
  }

  private static func update(changing groups: Int) -> String {
    let kept = Table.indexedGroups.enumerated().filter { groups & (1 << $0.offset) == 0 }
    let left = Set(kept.flatMap(\.element))
    let assignments = (Table.columns + ["checksum"]).enumerated()
      .filter { !Table.keyColumns.contains($0.element) && !left.contains($0.element) }
      .map { "\($0.element) = ?\($0.offset + 1)" }
    return "UPDATE \(Table.name) SET \(assignments.joined(separator: ", ")) "
      + "WHERE \(Table.keyCondition)"
  }

  /// Makes the row under `key` be `after`, and the buckets with it.
  func write(
    _ key: Table.Key, from before: StoredRow<Table.Row>?, to after: Table.Row?,
    buckets: inout IndexBuckets
  ) throws(ProjectionError) {
    var added: RowHash?
    if let after {
      let groups = before.map { Table.changedGroups($0.row, after) }
      let statement = groups.map { updates[$0] } ?? insertion
      var binder = RowBinder(statement, table: Table.number)
      try Table.bind(key, to: &binder)
      try Table.bind(after, to: &binder)
      added = try binder.finish()
      try statement.run()
    } else if before != nil {
      var binder = RowBinder(deletion, table: Table.number)
      try Table.bind(key, to: &binder)
      try deletion.run()
    }
    if let bucket = Table.bucket(of: key) {
      buckets.change(bucket, removing: before?.hash, adding: added)
    }
  }
}
