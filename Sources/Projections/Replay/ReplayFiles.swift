internal import Glibc
internal import Journal

/// The files of an index that is being made.
enum ReplayFiles {
  /// Behind the index's name: the entries that are set aside. It is there until the index is whole.
  static let spillSuffix = "-spill"

  static func spillPath(of path: String) -> String { path + spillSuffix }

  /// Behind the index's name: locked while a process makes it (`WorkMark`). The process that waits for a
  /// new generation has a mark of its own, and may die before the one that makes it.
  private static func markPath(of path: String) -> String { path + "-making" }

  /// Whether a replay has begun to make the file at `path`, and hasn't come to its end.
  ///
  /// - Throws: `fileExists` for what is no replay's: an index without its entries set aside, and any other
  ///   file under one of the names that belong to the index.
  static func isUnfinished(_ path: String) throws(ProjectionError) -> Bool {
    let spill = spillPath(of: path)
    if isThere(spill) {
      guard SpillFile.isOne(at: spill) else { throw .fileExists(path: spill) }
      return true
    }
    for name in [path, path + "-journal", path + "-wal", path + "-shm"] where isThere(name) {
      throw .fileExists(path: name)
    }
    return false
  }

  /// Whether a replay has left the file of a generation for the next one.
  static func isLeft(_ path: String) -> Bool {
    isThere(spillPath(of: path)) && SpillFile.isOne(at: spillPath(of: path))
  }

  private static func isThere(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

  static func isBeingMade(_ path: String) -> Bool { WorkMark.isTaken(markPath(of: path)) }

  /// Keeps others from making the same file, as long as what is returned lives.
  ///
  /// - Throws: `busy` if another process makes it; `fileExists` if another's file has the name of the mark;
  ///   `journal` if no file can be made beside it.
  static func take(_ path: String) throws(ProjectionError) -> WorkMark {
    let name = markPath(of: path)
    if FileSize.isPositive(name) { throw .fileExists(path: name) }
    let mark = try reading { () throws(JournalError) in try WorkMark.take(name) }
    guard let mark else { throw .busy(operation: "replay", path: path) }
    return mark
  }

  /// Removes the index at `path` with all that belongs to it; what isn't there is passed over.
  ///
  /// - Throws: `file`.
  static func remove(_ path: String) throws(ProjectionError) {
    for suffix in ["-wal", "-shm", "-journal", ""] { try removeFile(path + suffix) }
    try removeSpill(of: path)
  }

  /// Says that the index at `path` is whole.
  static func removeSpill(of path: String) throws(ProjectionError) {
    try removeFile(spillPath(of: path))
  }

  /// Removes the mark of a process that was killed.
  static func removeMark(of path: String) throws(ProjectionError) {
    try removeFile(markPath(of: path))
  }

  private static func removeFile(_ path: String) throws(ProjectionError) {
    if unsafe unlink(path) != 0, errno != ENOENT {
      throw .file(FileError("unlink", path, code: errno))
    }
  }
}
