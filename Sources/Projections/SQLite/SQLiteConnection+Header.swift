internal import GRDBSQLite

extension SQLiteConnection {
  /// The first `count` bytes of the file, fewer if it is shorter; nil if they can't be read.
  ///
  /// Read through the descriptor that SQLite has open: opening and closing the file a second time
  /// would drop the locks that this process holds on it (POSIX record locks). Takes no lock, and
  /// needs no statement, which in a WAL database would make its `-wal` and `-shm` files.
  ///
  /// Source: `SQLITE_FCNTL_FILE_POINTER`, and `xRead` of `sqlite3_io_methods`, which fills what a
  /// short read leaves with zeros.
  public func fileHeader(count: Int) -> [UInt8]? {
    var file: UnsafeMutablePointer<sqlite3_file>?
    let code = unsafe withUnsafeMutablePointer(to: &file) { place in
      unsafe sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, place)
    }
    guard code == SQLITE_OK, let file = unsafe file,
      let methods = unsafe file.pointee.pMethods, let size = unsafe methods.pointee.xFileSize,
      let read = unsafe methods.pointee.xRead
    else { return nil }
    var length: sqlite3_int64 = 0
    guard unsafe size(file, &length) == SQLITE_OK else { return nil }
    let wanted = min(count, Int(clamping: length))
    var bytes = [UInt8](repeating: 0, count: wanted)
    let result = unsafe bytes.withUnsafeMutableBytes { buffer in
      unsafe buffer.isEmpty
        ? SQLITE_OK : read(file, buffer.baseAddress, Int32(buffer.count), 0)
    }
    return result == SQLITE_OK ? bytes : nil
  }
}
