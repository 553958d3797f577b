import Foundation
public import Journal
import TestServers

/// The journal of Tests/JournalTests/Vectors/format-1: made once, by the first format, and never again.
public struct FormatFixture: Decodable {
  public let store: String
  public let position: String
  public let entries: UInt64
  public let root: String
  public let index_digest: String

  private static let folder = Checkout.file("Tests/JournalTests/Vectors/format-1")

  /// What it has to say.
  public static func expected() throws -> FormatFixture {
    try JSONDecoder().decode(
      FormatFixture.self, from: Data(contentsOf: folder.appending(path: "expected.json")))
  }

  /// A store of the fixture in a folder of mode 0700 that is there and empty.
  public static func open(in directory: String) throws -> EventJournal {
    for name in ["journal.lmdb", "HEAD"] {
      let path = directory + "/" + name
      try Data(contentsOf: folder.appending(path: name)).write(to: URL(filePath: path))
      chmod(path, 0o600)
    }
    return try EventJournal.open(directory)
  }
}
