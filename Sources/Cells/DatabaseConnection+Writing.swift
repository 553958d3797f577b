public import Journal
internal import Projections

extension DatabaseConnection {
  /// Opens a database for reading and writing; a relative path is taken from `folder`.
  ///
  /// Nothing but `change` writes, and only within `transaction`.
  ///
  /// - Throws: As `open`; what the engine says of a file or a server that takes no writes.
  public static func openForWriting(
    _ address: DatabaseAddress, relativeTo folder: String, until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> DatabaseConnection {
    switch address.place {
    case .file(let path):
      let isAbsolute = path.string.utf8.first == UInt8(ascii: "/")
      let whole = isAbsolute ? path.string : folder + "/" + path.string
      let connection = try sqlite(at: whole, mode: .readWrite)
      connection.deadline = deadline
      return .sqlite(connection)
    case .memory, .servers, .socket:
      let opened = try open(address, relativeTo: folder, until: deadline)
      if case .server(let connection) = opened { try connection.allowWriting() }
      return opened
    }
  }

  /// Runs `body` within one transaction, which is on disk once this returns.
  ///
  /// Blocks until `deadline` at most. After a throw nothing of it is written, unless the connection
  /// was lost while it was committed: then either all of it is, or nothing.
  public func transaction<Result>(
    until deadline: ContinuousClock.Instant, _ body: () throws(DatabaseError) -> Result
  ) throws(DatabaseError) -> Result {
    switch self {
    case .sqlite(let connection): connection.deadline = deadline
    case .server(let connection): try connection.begin(until: deadline)
    }
    // SQLite takes its one place for writing at once: a reader that wants it later may never get it.
    try run(dialect == .sqlite ? "BEGIN IMMEDIATE" : "BEGIN")
    do throws(DatabaseError) {
      let result = try body()
      try run("COMMIT")
      return result
    } catch {
      try? run("ROLLBACK")
      throw error
    }
  }

  /// Runs a statement within a transaction, and returns how many rows it has written.
  public func change(_ statement: SQLQuery) throws(DatabaseError) -> UInt64 {
    switch self {
    case .sqlite(let connection):
      var ignored = 0
      try connection.forEachRow(of: statement) { (_) throws(DatabaseError) in ignored += 1 }
      do throws(ProjectionError) {
        return UInt64(try connection.integer("SELECT changes()") ?? 0)
      } catch {
        throw .file(error)
      }
    case .server(let connection): return try connection.change(statement)
    }
  }

  private func run(_ words: String) throws(DatabaseError) {
    switch self {
    case .sqlite(let connection):
      do throws(ProjectionError) { try connection.execute(words) } catch { throw .file(error) }
    case .server(let connection): try connection.run(words)
    }
  }
}

extension DatabaseError {
  /// The database broke a transaction off in favour of another one; it may be tried again.
  ///
  /// Source: MariaDB's error codes 1205 and 1213, PostgreSQL's SQLSTATE class 40.
  public var isDeadlock: Bool {
    switch self {
    case .failed(_, _, let code):
      ["1205", "1213", "SQLSTATE 40001", "SQLSTATE 40P01"].contains(code)
    case .file(.busy): true
    default: false
    }
  }

  /// The database refused what one row holds, or its key; other rows may do.
  ///
  /// Source: MariaDB's numbers for data that don't fit and for broken constraints, PostgreSQL's
  /// classes 22 and 23, SQLite's SQLITE_CONSTRAINT.
  public var isOfOneRow: Bool {
    switch self {
    case .failed(_, _, let code):
      ["1048", "1062", "1264", "1265", "1292", "1366", "1406", "1452", "4025"].contains(code)
        || code.hasPrefix("SQLSTATE 22") || code.hasPrefix("SQLSTATE 23")
    case .file(.sqlite(code: 19, _, _, _)): true
    default: false
    }
  }
}
