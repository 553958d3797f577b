internal import Glibc

/// How long a file is, and the SHA-256 of its bytes.
public struct FileDigest: Hashable, Sendable {
  public let bytes: UInt64
  public let sha256: Digest

  private static let chunkBytes = 1 << 20

  /// Reads a whole file, a megabyte at a time.
  ///
  /// - Throws: `FileError`.
  init(of path: String) throws(FileError) {
    let file = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else { throw FileError("open", path, code: errno) }
    defer { close(file) }
    var buffer = [UInt8](repeating: 0, count: Self.chunkBytes)
    var hash = RunningDigest()
    var length: UInt64 = 0
    while true {
      let count = unsafe read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw FileError("read", path, code: errno) }
      guard count > 0 else { break }
      hash.add(buffer[0..<count])
      length += UInt64(count)
    }
    self.init(bytes: length, sha256: hash.digest)
  }

  init(bytes: UInt64, sha256: Digest) {
    self.bytes = bytes
    self.sha256 = sha256
  }
}
