internal import Glibc
internal import Synchronization

/// A file that shows that someone works at something: it is there, and locked, until the work ends.
///
/// The lock belongs to this opening of the file: every other one sees it, in this process too, and it
/// ends with the process at the latest.
@safe public final class WorkMark: Sendable {
  public let path: String
  private let descriptor: Int32
  private let stays = Atomic<Bool>(false)
  private static let byte = 0

  private init(path: String, descriptor: Int32) {
    self.path = path
    self.descriptor = descriptor
  }

  /// The file is gone before the lock is.
  deinit {
    if !stays.load(ordering: .relaxed) { unsafe unlink(path) }
    close(descriptor)
  }

  /// Writes a word into the file, which is on disk with its name once this returns.
  ///
  /// - Throws: `file`.
  func note(_ text: String) throws(JournalError) {
    do throws(FileError) {
      guard ftruncate(descriptor, 0) == 0 else { throw FileError("ftruncate", path, code: errno) }
      try SmallFile.write(Array(text.utf8), to: descriptor, path: path)
      guard fsync(descriptor) == 0 else { throw FileError("fsync", path, code: errno) }
      try SmallFile.syncDirectory(of: path)
    } catch {
      throw .file(error)
    }
  }

  /// Leaves the file where it is; the lock ends as always.
  func leave() { stays.store(true, ordering: .relaxed) }

  /// Makes the file, or takes over one that was left.
  ///
  /// - Returns: nil if someone works there.
  /// - Throws: `file`.
  public static func take(_ path: String) throws(JournalError) -> WorkMark? {
    while true {
      let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
      guard descriptor >= 0 else { throw .file(FileError("open", path, code: errno)) }
      do throws(JournalError) {
        guard try OpenFileLock.set(.exclusive, byte: byte, of: descriptor, path: path) else {
          close(descriptor)
          return nil
        }
      } catch {
        close(descriptor)
        throw error
      }
      // Whoever had it may have removed the file between its opening and its lock.
      var status = stat()
      if unsafe fstat(descriptor, &status) == 0, status.st_nlink > 0 {
        return WorkMark(path: path, descriptor: descriptor)
      }
      close(descriptor)
    }
  }

  /// Whether someone works there.
  public static func isTaken(_ path: String) -> Bool {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    return OpenFileLock.isTaken(byte: byte, of: descriptor)
  }
}
