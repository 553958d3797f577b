internal import Glibc

/// What stands at a path where a SQLite database is to be, looked at before it is opened: SQLite
/// opens a pipe, and waits there for ever.
enum SQLiteFile {
  enum Refusal: Error {
    case missing
    /// The system's code.
    case refused(Int32)
    /// A pipe, a folder, a device.
    case notRegular
  }

  /// The status of a regular file.
  static func status(at path: String) throws(Refusal) -> stat {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else {
      let code = errno
      throw code == ENOENT || code == ENOTDIR ? .missing : .refused(code)
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw .notRegular }
    return status
  }
}
