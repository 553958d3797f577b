import Foundation
public import Journal
import TestServers

/// A store of Tests/JournalTests/Vectors that was made once, by an earlier program, and never again.
public struct FormatFixture: Decodable {
  public let store: String
  public let position: String
  public let entries: UInt64
  public let root: String
  public let index_digest: String

  /// Which of them.
  public enum Name: String, Sendable {
    /// Each kind of event that format 1 had, two epochs, more entries than a tile has; without keys.
    case plain = "format-1"
    /// Owners of instances sealed by keys of their projects, one of them shredded.
    case sealed = "sealed-1"
    /// The first tile of entries in an archive.
    case archived = "archived-1"
  }

  private static func folder(_ name: Name) -> URL {
    Checkout.file("Tests/JournalTests/Vectors/" + name.rawValue)
  }

  /// What it has to say.
  public static func expected(of name: Name = .plain) throws -> FormatFixture {
    try JSONDecoder().decode(
      FormatFixture.self, from: Data(contentsOf: folder(name).appending(path: "expected.json")))
  }

  /// Copies it into a folder of mode 0700 that is there and empty.
  public static func copy(_ name: Name, into directory: String) throws {
    let manager = FileManager.default
    let paths = try manager.subpathsOfDirectory(atPath: folder(name).path).sorted()
    for path in paths where path != "expected.json" {
      let (source, copy) = (folder(name).appending(path: path), directory + "/" + path)
      // What a checkout makes of their modes is its own affair.
      if try source.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true {
        try manager.createDirectory(
          atPath: copy, withIntermediateDirectories: false,
          attributes: [.posixPermissions: 0o700])
      } else {
        try Data(contentsOf: source).write(to: URL(filePath: copy))
        chmod(copy, 0o600)
      }
    }
  }

  /// The plain one, opened in a folder of mode 0700 that is there and empty.
  public static func open(in directory: String) throws -> EventJournal {
    try copy(.plain, into: directory)
    return try EventJournal.open(directory)
  }
}
