internal import GRDBSQLite

extension SQLiteConnection {
  /// Opens a file of ours to read it, without ever writing to it or its folder.
  ///
  /// In a folder that can't be written and has no WAL, the file is read as it stands (`Mode.immutable`).
  ///
  /// - Parameter check: Throws unless the file is one of the kind that is wanted.
  /// - Throws: `sqlite` if it can't be opened; what `check` throws.
  static func reading(
    _ path: String, check: (SQLiteConnection) throws(ProjectionError) -> Void
  ) throws(ProjectionError) -> SQLiteConnection {
    do throws(ProjectionError) {
      return try BusyWait.retrying { () throws(ProjectionError) in
        let connection = try SQLiteConnection(path: path, mode: .readOnly, holdsIndex: true)
        try check(connection)
        return connection
      }
    } catch {
      // Which of the two it is depends on whether the file or the folder refuses first.
      guard case .sqlite(let code, _, _, _) = error,
        code == SQLITE_CANTOPEN || code == SQLITE_READONLY, !FileSize.isPositive(path + "-wal"),
        FileSize.isPositive(path)
      else { throw error }
      let connection = try SQLiteConnection(path: path, mode: .immutable, holdsIndex: true)
      try check(connection)
      return connection
    }
  }
}
