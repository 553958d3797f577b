import Foundation
import Glibc

/// A small file system in memory, mounted at a folder; needs root.
struct SmallDisk {
  let folder: String
  private var filler: String { folder + "/filler" }

  static var isPossible: Bool { getuid() == 0 }

  /// Bytes that are free.
  var freeBytes: Int {
    var status = statvfs()
    return statvfs(folder, &status) == 0 ? Int(status.f_bavail) * Int(status.f_bsize) : 0
  }

  /// Leaves so many bytes free, by a file that takes up the rest.
  func leaveFree(_ bytes: Int) throws {
    unlink(filler)
    let count = max(0, freeBytes - bytes)
    try Data(repeating: 1, count: count).write(to: URL(filePath: filler))
  }

  /// A process that is just being made may have the file open still, and would keep the space of a removed one.
  func makeRoom() {
    truncate(filler, 0)
    unlink(filler)
  }

  func makeReadOnly() -> Bool {
    mount("tmpfs", folder, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), "mode=0700") == 0
  }
}

/// Gives `body` a small file system, and unmounts it; does nothing where mounting is forbidden.
func withSmallDisk(
  in folder: String, kibibytes: Int, _ body: (SmallDisk) throws -> Void
) throws {
  let path = folder + "/disk"
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  guard mount("tmpfs", path, "tmpfs", 0, "size=\(kibibytes)k,mode=0700") == 0 else { return }
  defer { umount2(path, Int32(MNT_DETACH)) }
  try body(SmallDisk(folder: path))
}
