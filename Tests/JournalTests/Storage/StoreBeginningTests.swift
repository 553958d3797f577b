import Foundation
@testable import Journal
import Testing

@Suite struct StoreBeginningTests {
  private func names(_ folder: String) throws -> Set<String> {
    Set(try FileManager.default.contentsOfDirectory(atPath: folder))
  }

  private func mode(_ path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return (attributes[.posixPermissions] as? Int) ?? 0
  }

  @Test func `makes the directory and private files`() throws {
    try withTemporaryDirectory { folder in
      let journal = try makeJournal(folder + "/a store/")
      #expect(try names(folder + "/a store") == ["LOCK", "HEAD", "journal.lmdb"])
      #expect(try mode(folder + "/a store") == 0o700)
      for name in ["LOCK", "HEAD", "journal.lmdb"] {
        #expect(try mode(journal.files.path(name)) == 0o600)
      }
    }
  }

  @Test func `works in an empty directory that is there, such as a mount point`() throws {
    try withTemporaryDirectory { folder in
      try FileManager.default.createDirectory(
        atPath: folder + "/lost+found", withIntermediateDirectories: false)
      #expect(try makeJournal(folder).head.position.index == 2)
    }
  }

  @Test func `refuses a store, and a directory of somebody's`() throws {
    try withTemporaryDirectory { folder in
      _ = try makeJournal(folder + "/s")
      #expect(throws: JournalError.alreadyAStore(path: folder + "/s")) {
        try StoreBeginning(folder + "/s")
      }
      #expect(throws: JournalError.self) { try StoreBeginning(folder) }
      #expect(try names(folder) == ["s"])
      #expect(throws: JournalError.noStore(path: folder)) { try EventJournal.open(folder) }
      #expect(throws: JournalError.noStore(path: folder + "/x")) {
        try EventJournal.open(folder + "/x")
      }
    }
  }

  @Test func `what a broken off attempt left is thrown away`() throws {
    try withTemporaryDirectory { folder in
      let directory = folder + "/s"
      do {
        let beginning = try StoreBeginning(directory)
        try FileManager.default.createDirectory(
          atPath: beginning.files.keys, withIntermediateDirectories: false)
        for name in ["keys/master", "journal.lmdb.new", "journal.lmdb.new-lock", "HEAD"] {
          try Data("rest".utf8).write(to: URL(filePath: beginning.files.path(name)))
        }
      }
      #expect(throws: JournalError.noStore(path: directory)) { try EventJournal.open(directory) }
      let journal = try makeJournal(directory)
      #expect(try names(directory) == ["LOCK", "HEAD", "journal.lmdb"])
      _ = try journal.verify()
    }
  }

  @Test func `an attempt ended before it could say that it begins is thrown away`() throws {
    try withTemporaryDirectory { folder in
      try Data().write(to: URL(filePath: folder + "/BEGINNING.new"))
      #expect(throws: JournalError.noStore(path: folder)) { try EventJournal.open(folder) }
      _ = try makeJournal(folder)
      #expect(try names(folder) == ["LOCK", "HEAD", "journal.lmdb"])
    }
  }

  @Test func `a lost journal is not taken for an empty directory`() throws {
    try withTemporaryDirectory { folder in
      let directory = folder + "/s"
      do { _ = try makeJournal(directory) }
      try FileManager.default.removeItem(atPath: directory + "/journal.lmdb")
      #expect(throws: JournalError.journalLost(path: directory)) {
        try EventJournal.open(directory)
      }
      #expect(throws: JournalError.journalLost(path: directory)) { try StoreBeginning(directory) }
      #expect(try names(directory).contains("HEAD"))
    }
  }

  @Test(arguments: [("", 0o755), ("", 0o770), ("/journal.lmdb", 0o640), ("/HEAD", 0o604)])
  func `refuses a store that others can reach`(name: String, mode: Int) throws {
    try withTemporaryDirectory { folder in
      do { _ = try makeJournal(folder + "/s") }
      try FileManager.default.setAttributes(
        [.posixPermissions: mode], ofItemAtPath: folder + "/s" + name)
      #expect(
        throws: JournalError.unsafePermissions(path: folder + "/s" + name, mode: UInt32(mode))
      ) { try EventJournal.open(folder + "/s") }
    }
  }
}
