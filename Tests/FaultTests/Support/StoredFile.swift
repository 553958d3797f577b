import Foundation
import Testing

/// A file of a store that a test damages in place, so that its mode stays as it was.
struct StoredFile {
  let path: String
  let sound: [UInt8]

  init(_ path: String) throws {
    self.path = path
    sound = [UInt8](try Data(contentsOf: URL(filePath: path)))
  }

  func put(_ bytes: some Sequence<UInt8>) throws {
    let handle = try FileHandle(forWritingTo: URL(filePath: path))
    try handle.truncate(atOffset: 0)
    try handle.write(contentsOf: Data(bytes))
    try handle.close()
  }

  func restore() throws { try put(sound) }

  /// The sound bytes with one bit changed.
  func flipped(byte: Int, bit: UInt8) -> [UInt8] {
    var bytes = sound
    bytes[byte] ^= 1 << bit
    return bytes
  }

  /// The sound bytes with a bit changed in each copy of `pattern`: LMDB leaves some in old pages.
  func flippedEverywhere(_ pattern: [UInt8], byte: Int, bit: UInt8) -> [UInt8]? {
    var data = Data(sound)
    var start = 0
    var count = 0
    while let found = data.range(of: Data(pattern), in: start..<data.count) {
      data[found.lowerBound + byte] ^= 1 << bit
      count += 1
      start = found.upperBound
    }
    return count == 0 ? nil : [UInt8](data)
  }
}

extension SampleStore {
  var journalPath: String { store + "/journal.lmdb" }
  var headPath: String { store + "/HEAD" }
  var currentPath: String { store + "/CURRENT" }

  /// The path of the index that serves.
  func indexPath() throws -> String {
    let status = try expectDone(["status", "--store", store, "--json"])
    return store + "/" + (status.object["index"] as? String ?? "")
  }

  /// Removes the index's WAL; what it held is lost to the index.
  func removeLog(of index: String) {
    for suffix in ["-wal", "-shm"] { unlink(index + suffix) }
  }

  /// Asks for every instance that the cloud has; a wrong cell or a false absence is in the result.
  func wrongRoutes() throws -> [String] {
    let expected = try cloud.expectedCells()
    let answer = try Cellmap.run(
      ["route"] + expected.keys
        + ["--store", store, "--json", "--base", cloud.folder + "/nova.conf", "--base-directory"]
        + [cloud.folder])
    var wrong: [String] = []
    let lines = answer.output.split(separator: "\n")
    if lines.count != expected.count { wrong.append("\(lines.count) lines: \(answer.errors)") }
    for line in lines {
      let object =
        (try? JSONSerialization.jsonObject(with: Data(line.utf8))) as? [String: Any] ?? [:]
      let instance = object["instance"] as? String ?? ""
      if object["cell_name"] as? String != expected[instance] ?? nil { wrong.append("\(line)") }
    }
    return wrong
  }
}
