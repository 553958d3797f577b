/// The paths of a store's files.
public struct StoreFiles: Equatable, Sendable {
  public let directory: String

  /// - Parameter directory: The store's directory; slashes at its end don't count.
  public init(_ directory: String) {
    var path = directory[...]
    while path.utf8.count > 1, path.hasSuffix("/") { path = path.dropLast() }
    self.directory = String(path)
  }

  public var lock: String { path("LOCK") }
  public var journal: String { path("journal.lmdb") }
  /// LMDB's own lock file.
  public var journalLock: String { path("journal.lmdb-lock") }
  public var head: String { path("HEAD") }
  /// Names the generation of the index that is used.
  public var current: String { path("CURRENT") }
  public var keys: String { path("keys") }
  public var archive: String { path("archive") }

  /// Up to where the journal was verified.
  var verified: String { path("VERIFIED") }
  /// The store was made of an export, and nothing was written into it since.
  var imported: String { path("IMPORTED") }

  /// What a backup says of itself; where it is, there is no store but a backup.
  var manifest: String { path("backup.json") }
  /// Where a journal is made that shall take the place of the store's.
  var restoring: String { path("restoring") }

  /// Where a journal without archived entries is made.
  var archiving: String { path("archiving") }

  /// A store that is being made: until its journal is in place, all of it is thrown away.
  var beginning: String { path("BEGINNING") }
  var newJournal: String { path("journal.lmdb.new") }

  public func path(_ name: String) -> String {
    directory == "/" ? "/" + name : directory + "/" + name
  }
}
