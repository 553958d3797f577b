internal import Glibc

/// The backups that the keys of a store went into, as far as the store knows: `keys/copies`, a line for
/// each, which is no part of any backup.
public enum KeyCopies {
  /// A backup with keys.
  public struct Copy: Hashable, Sendable {
    public let path: String
    public let madeAt: Timestamp
  }

  private static let name = "copies"
  /// Tens of thousands of lines.
  private static let maximumBytes = 16 << 20

  /// Notes a backup. What can't be noted isn't known later, which is said then.
  static func note(_ path: String, in folder: String) {
    let line = JSONValue.object([
      "path": .text(absolute(path)), "made_at": .printed(Timestamp.now),
    ]).line
    let file = unsafe open(
      "\(folder)/\(name)", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { return }
    defer { close(file) }
    try? SmallFile.write(Array((line + "\n").utf8), to: file, path: name)
    fsync(file)
  }

  private static func absolute(_ path: String) -> String {
    guard let real = unsafe realpath(path, nil) else { return path }
    defer { unsafe free(real) }
    return unsafe String(cString: real)
  }

  /// The backups that were noted, oldest first; a line that can't be read is passed over.
  public static func all(in folder: String) -> [Copy] {
    guard let bytes = try? SmallFile.read("\(folder)/\(name)", limit: maximumBytes) else {
      return []
    }
    return bytes.split(separator: UInt8(ascii: "\n")).compactMap { line in
      guard let value = try? JSONValue(parsing: Array(line)), let path = value["path"]?.string,
        let madeAt = value["made_at"]?.string.flatMap({ Timestamp($0) })
      else { return nil }
      return Copy(path: path, madeAt: madeAt)
    }
  }

  /// Whether a backup holds a data key of a cell or a project; nil if it isn't where it was made.
  public static func holds(_ copy: Copy, _ key: KeyID) -> Bool? {
    guard FileIdentity(ofPath: copy.path) != nil else { return nil }
    let folder = copy.path + "/keys"
    return [DataKey.path(of: key, in: folder), OwnerKey.path(of: key, in: folder)].contains {
      FileIdentity(ofPath: $0) != nil
    }
  }
}
