internal import Glibc

/// What a file system says of a file's size.
enum FileSize {
  /// Whether there is a file with at least one byte at `path`.
  static func isPositive(_ path: String) -> Bool {
    var status = stat()
    return unsafe stat(path, &status) == 0 && status.st_size > 0
  }
}
