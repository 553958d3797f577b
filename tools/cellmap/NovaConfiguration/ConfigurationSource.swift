import Glibc
import Journal

/// Finds and reads configuration files.
enum ConfigurationSource {
  /// The largest file that is read; a nova.conf with every option explained is a tenth of it.
  static let limitBytes = 16 << 20

  /// The path itself if it is a file; for a directory its `*.conf` that aren't hidden, in the order
  /// of their names.
  static func files(at path: String) throws(NovaConfigurationError) -> [String] {
    var status = stat()
    guard stat(path, &status) == 0 else { throw unreadable(path) }
    guard status.st_mode & S_IFMT == S_IFDIR else { return [path] }
    guard let directory = opendir(path) else { throw unreadable(path) }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { start in
        start.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasSuffix(".conf") && !name.hasPrefix(".") { names.append(name) }
    }
    names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    return names.map { path.hasSuffix("/") ? path + $0 : "\(path)/\($0)" }
  }

  /// The bytes of a file.
  static func contents(of path: String) throws(NovaConfigurationError) -> [UInt8] {
    do throws(FileError) { return try SmallFile.readGiven(path, limit: limitBytes) } catch {
      if error.isFull { throw .tooLarge(path: path, limitBytes: limitBytes) }
      throw .unreadable(path: path, reason: error.reason)
    }
  }

  private static func unreadable(_ path: String) -> NovaConfigurationError {
    .unreadable(path: path, reason: String(cString: strerror(errno)))
  }
}
