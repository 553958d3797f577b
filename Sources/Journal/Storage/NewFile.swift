internal import Glibc

/// A file that is written from the beginning to the end, and has its name only once it is whole and on
/// disk; mode 0600.
///
/// It is written as `PATH.new`; let go of before `finish`, that is removed, and killed, it is thrown away
/// by the next one of that name. One thread writes it.
@safe public final class NewFile {
  public let path: String
  private let replaces: Bool
  private let descriptor: Int32
  private var buffer: [UInt8] = []
  private var isFinished = false
  private var temporary: String { path + ".new" }

  private static let bufferBytes = 1 << 20

  /// Begins a file.
  ///
  /// - Parameter replaces: Whether a file of that name may be replaced; else it is an error (`EEXIST`).
  /// - Throws: `FileError`.
  public init(_ path: String, replaces: Bool = false) throws(FileError) {
    self.path = path
    self.replaces = replaces
    if !replaces, FileIdentity(ofPath: path) != nil {
      throw FileError("open", path, code: EEXIST)
    }
    // One that is left from a crash, or laid there by someone else, is never written into.
    unsafe unlink(path + ".new")
    descriptor = unsafe open(path + ".new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw FileError("open", path + ".new", code: errno) }
  }

  deinit {
    close(descriptor)
    if !isFinished { unsafe unlink(temporary) }
  }

  /// Appends bytes.
  ///
  /// - Throws: `FileError`; the file is of no use then.
  public func write(_ bytes: some Sequence<UInt8>) throws(FileError) {
    buffer.append(contentsOf: bytes)
    if buffer.count >= Self.bufferBytes { try flush() }
  }

  private func flush() throws(FileError) {
    try SmallFile.write(buffer, to: descriptor, path: temporary)
    buffer.removeAll(keepingCapacity: true)
  }

  /// Gives the file its name; it is on disk once this returns.
  ///
  /// - Throws: `FileError`; `EEXIST` if something has got that name meanwhile and may not be replaced.
  public func finish() throws(FileError) {
    try flush()
    guard fsync(descriptor) == 0 else { throw FileError("fsync", temporary, code: errno) }
    if replaces {
      guard unsafe rename(temporary, path) == 0 else {
        throw FileError("rename", path, code: errno)
      }
    } else {
      guard unsafe link(temporary, path) == 0 else { throw FileError("link", path, code: errno) }
      unsafe unlink(temporary)
    }
    isFinished = true
    try SmallFile.syncDirectory(of: path)
  }
}
