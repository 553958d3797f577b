internal import Glibc

/// Why a small file of the store could not be read or written.
public struct FileError: Error, Hashable, CustomStringConvertible {
  /// The C function that failed.
  public let operation: String
  public let path: String
  /// The value of `errno`.
  public let code: Int32

  public init(_ operation: String, _ path: String, code: Int32) {
    self.operation = operation
    self.path = path
    self.code = code
  }

  /// `EEXIST`: something is there already.
  static let exists = EEXIST
  /// The file or a part of its path isn't there.
  public var isMissing: Bool { code == ENOENT || code == ENOTDIR }
  /// The disk, the quota or the size limit is used up.
  public var isFull: Bool { code == ENOSPC || code == EDQUOT || code == EFBIG }

  /// What the system says, in its words.
  public var reason: String { unsafe String(cString: strerror(code)) }

  public var description: String { "\(operation) failed on '\(path)': \(reason).\(advice)" }

  private var advice: String {
    switch code {
    case ENOENT, ENOTDIR: " Look whether its folder is there."
    case EACCES, EPERM: " Give it to the user that runs this, or run this as its owner."
    case EROFS: " The file system is mounted for reading only."
    case ENOSPC, EDQUOT, EFBIG: " Make room there, and give the command again."
    case ESPIPE: " It is a pipe or a device, and should be a file: put back what was there."
    case EIO: " The disk may be failing: look at the system's log."
    case EMFILE, ENFILE: " Raise the limit of open files ('ulimit -n')."
    default: ""
    }
  }
}

/// Whole small files: read at once, replaced at once and durably.
public enum SmallFile {
  /// The bytes of a file. A pipe or a device that was laid in its place isn't waited for: it is an error
  /// (`ESPIPE`).
  ///
  /// - Parameter limit: The most bytes that are read; a longer file is an error (`EFBIG`).
  /// - Throws: `FileError`; the file is as it was.
  public static func read(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
    let file = unsafe open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
    guard file >= 0 else { throw FileError("open", path, code: errno) }
    defer { close(file) }
    var status = stat()
    guard unsafe fstat(file, &status) == 0 else { throw FileError("fstat", path, code: errno) }
    guard status.st_mode & S_IFMT != S_IFIFO, status.st_mode & S_IFMT != S_IFCHR else {
      throw FileError("open", path, code: ESPIPE)
    }
    return try read(file, path, limit)
  }

  /// The bytes of what a person names: a pipe is waited for until it is written to its end.
  ///
  /// - Throws: As `read`.
  public static func readGiven(_ path: String, limit: Int) throws(FileError) -> [UInt8] {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw FileError("open", path, code: errno) }
    defer { close(file) }
    return try read(file, path, limit)
  }

  private static func read(
    _ file: Int32, _ path: String, _ limit: Int
  ) throws(FileError) -> [UInt8] {
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = unsafe Glibc.read(file, &chunk, chunk.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw FileError("read", path, code: errno) }
      guard count > 0 else { return bytes }
      bytes.append(contentsOf: chunk[0..<count])
      guard bytes.count <= limit else { throw FileError("read", path, code: EFBIG) }
    }
  }

  /// Puts bytes in the place of a file: once this returns, the file holds them, also after a power
  /// cut; until then, a reader finds the old bytes or the new, never a mixture.
  ///
  /// Writes `PATH.new`, syncs it, renames it and syncs the directory. The file's mode is 0600.
  ///
  /// - Throws: `FileError`; the file is as it was, or as it shall be.
  public static func replace(_ path: String, with bytes: [UInt8]) throws(FileError) {
    let temporary = path + ".new"
    // One that is left from a crash, or laid there by someone else, is never written into.
    unsafe unlink(temporary)
    let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw FileError("open", temporary, code: errno) }
    do throws(FileError) {
      defer { close(file) }
      try write(bytes, to: file, path: temporary)
      guard fsync(file) == 0 else { throw FileError("fsync", temporary, code: errno) }
    } catch {
      unsafe unlink(temporary)
      throw error
    }
    guard unsafe rename(temporary, path) == 0 else {
      throw FileError("rename", temporary, code: errno)
    }
    try syncDirectory(of: path)
  }

  /// Gives a file or folder another name on the same disk, durably; a file that has it already is
  /// replaced at once.
  ///
  /// - Throws: `FileError`; it has one of the names.
  static func move(_ path: String, to name: String) throws(FileError) {
    guard unsafe rename(path, name) == 0 else { throw FileError("rename", name, code: errno) }
    try syncDirectory(of: name)
  }

  /// Makes a file's content durable, whoever wrote it.
  public static func sync(_ path: String) throws(FileError) {
    let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw FileError("open", path, code: errno) }
    defer { close(file) }
    guard fsync(file) == 0 else { throw FileError("fsync", path, code: errno) }
  }

  /// Makes the names in the directory that holds `path` durable.
  public static func syncDirectory(of path: String) throws(FileError) {
    let slash = path.utf8.lastIndex(of: UInt8(ascii: "/"))
    let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    let file = unsafe open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard file >= 0 else { throw FileError("open", directory, code: errno) }
    defer { close(file) }
    guard fsync(file) == 0 else { throw FileError("fsync", directory, code: errno) }
  }

  static func write(_ bytes: [UInt8], to file: Int32, path: String) throws(FileError) {
    var offset = 0
    while offset < bytes.count {
      let count = unsafe bytes.withUnsafeBytes { buffer in
        unsafe Glibc.write(file, buffer.baseAddress! + offset, buffer.count - offset)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw FileError("write", path, code: count == 0 ? ENOSPC : errno) }
      offset += count
    }
  }

  /// The names in a directory, without `.` and `..`, in no order.
  public static func names(in directory: String) throws(FileError) -> [String] {
    guard let stream = unsafe opendir(directory) else {
      throw FileError("opendir", directory, code: errno)
    }
    defer { unsafe closedir(stream) }
    var names: [String] = []
    while let entry = unsafe readdir(stream) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe String(cString: UnsafeRawPointer(pointer).assumingMemoryBound(to: CChar.self))
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names
  }
}
