internal import Glibc

/// Folders that are filled under a name of their own and get their place once they are whole.
enum WorkFolder {
  /// Folders within folders, of ours.
  private static let maximumDepth = 4

  /// Makes an empty folder of mode 0700; what was there is thrown away.
  static func renew(_ path: String) throws(FileError) {
    try remove(path)
    guard unsafe mkdir(path, 0o700) == 0 else { throw FileError("mkdir", path, code: errno) }
  }

  /// Removes a file, or a folder and what is in it; no link is followed. One that isn't there is no
  /// error.
  static func remove(_ path: String, depth: Int = 0) throws(FileError) {
    var status = stat()
    guard unsafe lstat(path, &status) == 0 else {
      if errno == ENOENT { return }
      throw FileError("lstat", path, code: errno)
    }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      guard unsafe unlink(path) == 0 else { throw FileError("unlink", path, code: errno) }
      return
    }
    guard depth < maximumDepth else { throw FileError("rmdir", path, code: ENOTEMPTY) }
    for name in try SmallFile.names(in: path) { try remove(path + "/" + name, depth: depth + 1) }
    guard unsafe rmdir(path) == 0 else { throw FileError("rmdir", path, code: errno) }
  }
}
