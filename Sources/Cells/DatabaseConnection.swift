public import Journal
public import Projections

/// A connection to a database of Nova's that is no cell's: its API database.
///
/// It belongs to one thread at a time.
public enum DatabaseConnection {
  case sqlite(SQLiteConnection)
  case server(ServerConnection)

  /// Opens a database for reading; a relative path is taken from `folder`.
  ///
  /// - Throws: What the engine refuses; `optionUnusable` for `sqlite://`, which names no file.
  public static func open(
    _ address: DatabaseAddress, relativeTo folder: String, until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> DatabaseConnection {
    switch address.place {
    case .servers, .socket: return .server(try ServerConnection.open(address, until: deadline))
    case .memory:
      throw .optionUnusable(name: "path", reason: "the address names no file")
    case .file(let path):
      let isAbsolute = path.string.utf8.first == UInt8(ascii: "/")
      return try open(file: isAbsolute ? path.string : folder + "/" + path.string)
    }
  }

  /// Opens a SQLite file for reading.
  ///
  /// - Throws: `file`, for a pipe or a folder too.
  public static func open(file path: String) throws(DatabaseError) -> DatabaseConnection {
    .sqlite(try sqlite(at: path, mode: .readOnly))
  }

  /// Opens a SQLite file, if it is one: nothing else is waited for.
  static func sqlite(
    at path: String, mode: SQLiteConnection.Mode
  ) throws(DatabaseError) -> SQLiteConnection {
    do throws(SQLiteFile.Refusal) { _ = try SQLiteFile.status(at: path) } catch {
      // SQLite has its own words for the others.
      if case .notRegular = error {
        throw .file(.sqlite(code: 26, extendedCode: 26, operation: "open the file", path: path))
      }
    }
    do throws(ProjectionError) { return try SQLiteConnection(path: path, mode: mode) } catch {
      throw .file(error)
    }
  }

  /// The dialect that queries of `forEachRow` are written in.
  public var dialect: SQLDialect {
    switch self {
    case .sqlite: .sqlite
    case .server(let connection): connection.dialect
    }
  }

  /// Begins one snapshot, REPEATABLE READ and READ ONLY, that all queries read until the connection
  /// is closed; the first of them takes it.
  public func beginSnapshot() throws(DatabaseError) {
    switch self {
    case .sqlite(let connection):
      do throws(ProjectionError) { try connection.execute("BEGIN") } catch { throw .file(error) }
    case .server(let connection): try connection.beginSnapshot()
    }
  }

  /// Runs a query that is broken off at `deadline`, and gives `body` each of its rows as it comes.
  public func forEachRow(
    of query: SQLQuery, until deadline: ContinuousClock.Instant,
    _ body: (SQLRow) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    switch self {
    case .sqlite(let connection): try connection.forEachRow(of: query, body)
    case .server(let connection):
      try connection.begin(until: deadline)
      try connection.forEachRow(of: query, body)
    }
  }
}
