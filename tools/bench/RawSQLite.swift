import GRDBSQLite

/// SQLite as its own documentation has it: prepared statements, values bound without a copy.
final class RawSQLite {
  private(set) var handle: OpaquePointer?
  private var walPages: UnsafeMutablePointer<Int32>

  init(path: String, readOnly: Bool = false) throws {
    walPages = .allocate(capacity: 1)
    walPages.initialize(to: 0)
    let mode = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    try check(sqlite3_open_v2(path, &handle, mode | SQLITE_OPEN_NOMUTEX, nil))
    sqlite3_wal_hook(
      handle,
      { box, _, _, pages in
        box?.assumingMemoryBound(to: Int32.self).pointee = pages
        return SQLITE_OK
      }, walPages)
  }

  deinit {
    sqlite3_close_v2(handle)
    walPages.deallocate()
  }

  func execute(_ sql: String) throws { try check(sqlite3_exec(handle, sql, nil, nil, nil)) }

  func prepare(_ sql: String) throws -> RawStatement { try RawStatement(sql, on: self) }

  /// Moves the WAL into the file once it has as many pages as this code allows it.
  func checkpointIfLong() throws {
    guard walPages.pointee >= 16_384 else { return }
    walPages.pointee = 0
    try check(
      sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_PASSIVE, nil, nil))
  }

  func check(_ code: Int32) throws {
    guard code == SQLITE_OK else { throw BenchError.library("SQLite", code) }
  }
}

/// A prepared statement.
final class RawStatement {
  let handle: OpaquePointer?
  private let connection: RawSQLite
  private let columns: Int32

  init(_ sql: String, on connection: RawSQLite) throws {
    var prepared: OpaquePointer?
    try connection.check(
      sqlite3_prepare_v3(
        connection.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil))
    handle = prepared
    self.connection = connection
    columns = sqlite3_column_count(prepared)
  }

  deinit { sqlite3_finalize(handle) }

  func run() throws {
    let code = sqlite3_step(handle)
    guard code == SQLITE_DONE else { throw BenchError.library("SQLite", code) }
    sqlite3_reset(handle)
  }
}

/// Rows of a table, as the bytes and numbers that are bound; one buffer for all texts and blobs.
struct RawRows {
  enum Value {
    case null
    case integer(Int64)
    case text(Int, Int32)
    case blob(Int, Int32)
  }

  private(set) var values: [Value] = []
  private(set) var bytes: [UInt8] = []
  private(set) var columns = 0

  var count: Int { columns == 0 ? 0 : values.count / columns }

  /// The rows that a query gives.
  init(_ sql: String, of connection: RawSQLite) throws {
    let statement = try connection.prepare(sql)
    columns = Int(sqlite3_column_count(statement.handle))
    while sqlite3_step(statement.handle) == SQLITE_ROW {
      for column in 0..<Int32(columns) { add(statement.handle, column) }
    }
  }

  private mutating func add(_ statement: OpaquePointer?, _ column: Int32) {
    switch sqlite3_column_type(statement, column) {
    case SQLITE_INTEGER: values.append(.integer(sqlite3_column_int64(statement, column)))
    case SQLITE_NULL: values.append(.null)
    case let type:
      let start = bytes.count
      let size = sqlite3_column_bytes(statement, column)
      if let source = sqlite3_column_blob(statement, column) {
        bytes.append(contentsOf: UnsafeRawBufferPointer(start: source, count: Int(size)))
      }
      values.append(type == SQLITE_TEXT ? .text(start, size) : .blob(start, size))
    }
  }

  /// Runs a statement once for each row in a range, its parameters in the order of the columns.
  func run(_ statement: RawStatement, rows: Range<Int>) throws {
    try bytes.withUnsafeBytes { buffer in
      for row in rows {
        for column in 0..<columns {
          let place = Int32(column + 1)
          switch values[row * columns + column] {
          case .null: sqlite3_bind_null(statement.handle, place)
          case .integer(let value): sqlite3_bind_int64(statement.handle, place, value)
          case .text(let start, let size):
            sqlite3_bind_text(
              statement.handle, place,
              (buffer.baseAddress! + start).assumingMemoryBound(to: CChar.self), size, nil)
          case .blob(let start, let size):
            sqlite3_bind_blob(statement.handle, place, buffer.baseAddress! + start, size, nil)
          }
        }
        try statement.run()
      }
    }
  }
}
