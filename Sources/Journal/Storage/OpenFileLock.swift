internal import CLMDB
internal import Glibc

/// Locks on single bytes of a file that belong to one opening of it (fcntl(2), "Open file
/// description locks"): they exclude other openings in the same process as well, and end with the
/// descriptor.
enum OpenFileLock {
  enum Kind {
    case shared, exclusive, none

    fileprivate var value: Int16 {
      switch self {
      case .shared: Int16(F_RDLCK)
      case .exclusive: Int16(F_WRLCK)
      case .none: Int16(F_UNLCK)
      }
    }
  }

  /// Takes or gives back a lock on a byte, without waiting; false if another opening has it.
  static func set(
    _ kind: Kind, byte: Int, of descriptor: Int32, path: String
  ) throws(JournalError) -> Bool {
    var lock = description(kind, byte)
    while unsafe fcntl(descriptor, CLMDB_F_OFD_SETLK, &lock) != 0 {
      if errno == EINTR { continue }
      if errno == EAGAIN || errno == EACCES { return false }
      throw .file(FileError("fcntl", path, code: errno))
    }
    return true
  }

  /// Whether another opening holds any lock on a byte.
  static func isTaken(byte: Int, of descriptor: Int32) -> Bool {
    var lock = description(.exclusive, byte)
    guard unsafe fcntl(descriptor, CLMDB_F_OFD_GETLK, &lock) == 0 else { return false }
    return lock.l_type != Int16(F_UNLCK)
  }

  private static func description(_ kind: Kind, _ byte: Int) -> flock {
    var lock = flock()
    lock.l_type = kind.value
    lock.l_whence = Int16(SEEK_SET)
    lock.l_start = off_t(byte)
    lock.l_len = 1
    return lock
  }
}
