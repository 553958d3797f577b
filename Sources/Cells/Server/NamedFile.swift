internal import Glibc
internal import Journal

/// A file that an option of an address names; looked at on a thread that may be left behind, since a
/// dead network file system answers nobody.
struct NamedFile {
  let option: String
  let path: String

  /// Refuses what has no end to be read to: a client library would wait for ever.
  ///
  /// What isn't there is left to the library's own word.
  ///
  /// - Throws: `optionUnusable` for a pipe or a socket.
  func requireNoPipe() throws(DatabaseError) {
    var status = stat()
    guard unsafe stat(path, &status) == 0 else { return }
    try requireNoPipe(status)
  }

  private func requireNoPipe(_ status: stat) throws(DatabaseError) {
    let kind = status.st_mode & S_IFMT
    if kind == S_IFIFO || kind == S_IFSOCK { throw unusable("is a pipe or a socket, and no file") }
  }

  /// The whole file.
  ///
  /// - Throws: `optionUnusable` for anything but a regular file of at most `limit` bytes.
  func contents(atMost limit: Int) throws(DatabaseError) -> Secret {
    // Opening a pipe would wait for its other end.
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw unreadable(errno) }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw unreadable(errno) }
    try requireNoPipe(status)
    guard status.st_mode & S_IFMT == S_IFREG else { throw unusable("is no file") }
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: limit + 1, alignment: 1)
    var count = 0
    defer {
      unsafe explicit_bzero(bytes.baseAddress!, count)
      unsafe bytes.deallocate()
    }
    while count <= limit {
      let part = unsafe read(descriptor, bytes.baseAddress! + count, limit + 1 - count)
      if part == 0 { break }
      if part < 0, errno == EINTR { continue }
      guard part > 0 else { throw unreadable(errno) }
      count += part
    }
    guard count <= limit else { throw unusable("has more than \(limit) bytes") }
    return unsafe Secret(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
  }

  private func unreadable(_ code: Int32) -> DatabaseError {
    unusable("can't be read (\(unsafe String(cString: strerror(code))))")
  }

  private func unusable(_ why: String) -> DatabaseError {
    .optionUnusable(name: option, reason: "'\(path)' \(why)")
  }
}
