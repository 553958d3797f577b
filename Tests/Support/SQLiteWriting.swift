import Projections

extension SQLiteConnection {
  /// A connection that waits for the locks of others, as Nova's do; longer than a test takes.
  static func writer(of path: String, mode: Mode = .readWrite) throws -> SQLiteConnection {
    let connection = try SQLiteConnection(path: path, mode: mode)
    connection.deadline = .now + .seconds(600)
    return connection
  }

  /// Runs SQL on a file, which is made if it is missing.
  static func write(_ sql: String, to path: String) throws {
    try writer(of: path, mode: .readWriteCreate).execute(sql)
  }
}
