import Foundation
import Glibc
import Journal

/// A folder of one process in the system's folder for temporary files, for a store that is thrown away: with keys,
/// and with what was read of cells.
///
/// A killed process leaves its folder; the next one that makes such a folder removes it.
final class TrialFolder {
  /// Where the store is made.
  var store: String { path + "/store" }
  private let path: String
  /// Locked as long as this process lives.
  private let mark: Int32

  private static let parent = FileManager.default.temporaryDirectory.path
  private static let prefix = "cellmap-trial-"
  private static let markName = "in-use"

  init() throws(CommandFailure) {
    Self.removeKilled()
    path = "\(Self.parent)/\(Self.prefix)\(UUID128.random())"
    let mark = path + "/" + Self.markName
    guard mkdir(path, 0o700) == 0 else { throw Self.failure("make", path) }
    self.mark = open(mark + ".new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    // It has its name only once it is locked.
    guard self.mark >= 0, flock(self.mark, LOCK_EX | LOCK_NB) == 0,
      rename(mark + ".new", mark) == 0
    else { throw Self.failure("make", mark) }
  }

  func remove() {
    try? FileManager.default.removeItem(atPath: path)
    close(mark)
  }

  private static func removeKilled() {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: parent)) ?? []
    for name in names where name.hasPrefix(prefix) {
      guard UUID128(String(name.dropFirst(prefix.count))) != nil else { continue }
      let path = parent + "/" + name
      guard isOwn(path) else { continue }
      let mark = open(path + "/" + markName, O_RDWR | O_NOFOLLOW | O_CLOEXEC)
      guard mark >= 0 else { continue }
      defer { close(mark) }
      if flock(mark, LOCK_EX | LOCK_NB) == 0 { try? FileManager.default.removeItem(atPath: path) }
    }
  }

  /// Whether nobody else can have put anything there.
  private static func isOwn(_ path: String) -> Bool {
    var status = stat()
    guard lstat(path, &status) == 0 else { return false }
    return status.st_mode & S_IFMT == S_IFDIR && status.st_uid == geteuid()
      && status.st_mode & 0o077 == 0
  }

  private static func failure(_ deed: String, _ path: String) -> CommandFailure {
    CommandFailure(.storage, "Can't \(deed) '\(path)': \(String(cString: strerror(errno))).")
  }
}
