import Foundation

/// Gives `body` the path of a new folder and removes it afterwards.
public func withTemporaryFolder<Result>(
  named name: String = "folder", _ body: (String) throws -> Result
) throws -> Result {
  let base = FileManager.default.temporaryDirectory
    .appendingPathComponent("cellmap-test-\(UUID().uuidString)")
  let folder = base.appendingPathComponent(name)
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: base) }
  return try body(folder.path)
}
