import Foundation
@testable import Journal
import Testing

@Suite struct JournalBackupTests {
  private func names(_ folder: String) throws -> Set<String> {
    Set(try FileManager.default.contentsOfDirectory(atPath: folder))
  }

  private func mode(_ path: String) throws -> Int {
    let attributes = try FileManager.default.attributesOfItem(atPath: path)
    return (attributes[.posixPermissions] as? Int) ?? 0
  }

  @Test(arguments: [2, 255, 256, 257, 512, 1_300])
  func `holds every entry, tile and root of the journal as it is`(count: Int) throws {
    try withBackupFolder(entries: count) { folder, journal in
      let backup = try createBackup(of: journal, at: folder + "/b")
      #expect(backup.journal.head.position == journal.head.position)
      #expect(backup.journal.head.root == journal.head.root)
      #expect(try records(of: backup.journal) == records(of: journal))
      #expect(try backup.journal.verify().commits == journal.verify().commits)
    }
  }

  @Test func `the manifest says what is in it, in a private folder`() throws {
    try withBackupFolder(entries: 10) { folder, journal in
      let backup = try createBackup(of: journal, at: folder + "/b/")
      let manifest = backup.manifest
      #expect(backup.path == folder + "/b")
      #expect(try names(folder) == ["s", "b"])
      #expect(try names(folder + "/b") == ["journal.lmdb", "HEAD", "backup.json"])
      #expect(manifest.store == journal.store && manifest.position == journal.head.position)
      #expect(manifest.root == journal.head.root && manifest.program == "tests/1")
      #expect(manifest.orderedAt == journal.head.orderedAt && !manifest.hasKeys)
      #expect(try mode(folder + "/b") == 0o700)
      for name in try names(folder + "/b") { #expect(try mode(folder + "/b/" + name) == 0o600) }
    }
  }

  @Test func `what is there already is never written over`() throws {
    try withBackupFolder(entries: 3) { folder, journal in
      try Data("mine".utf8).write(to: URL(filePath: folder + "/file"))
      try FileManager.default.createDirectory(
        atPath: folder + "/empty", withIntermediateDirectories: false)
      for name in ["file", "empty", "s"] {
        #expect(throws: BackupError.targetExists(path: folder + "/" + name)) {
          try createBackup(of: journal, at: folder + "/" + name)
        }
      }
      #expect(try names(folder) == ["s", "file", "empty"])
    }
  }

  @Test func `one that is being made is left alone, and what a killed one left goes`() throws {
    try withBackupFolder(entries: 3) { folder, journal in
      let target = folder + "/b"
      try FileManager.default.createDirectory(
        atPath: target + ".new", withIntermediateDirectories: false)
      try Data("half".utf8).write(to: URL(filePath: target + ".new/journal.lmdb"))
      do {
        let mark = try #require(try WorkMark.take(target + ".making"))
        #expect(throws: BackupError.beingMade(path: target)) {
          try createBackup(of: journal, at: target)
        }
        JournalBackup.removeAbandoned(target)
        #expect(try names(target + ".new") == ["journal.lmdb"])
        withExtendedLifetime(mark) {}
      }
      try Data().write(to: URL(filePath: target + ".making"))
      JournalBackup.removeAbandoned(target)
      #expect(try names(folder) == ["s"])
      try FileManager.default.createDirectory(
        atPath: target + ".new", withIntermediateDirectories: false)
      try Data("half".utf8).write(to: URL(filePath: target + ".new/journal.lmdb"))
      _ = try createBackup(of: journal, at: target)
      #expect(try names(folder) == ["s", "b"])
    }
  }

  @Test func `a damaged store gives no backup`() throws {
    try withBackupFolder(entries: 600) { folder, journal in
      let path = journal.files.journal
      var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
      let entry = try #require(try journal.entry(at: 9)).encoded()
      var start = 0
      while let found = Data(bytes).range(of: Data(entry), in: start..<bytes.count) {
        bytes[found.upperBound - 1] ^= 1
        start = found.upperBound
      }
      try #require(start > 0)
      let file = try FileHandle(forWritingTo: URL(filePath: path))
      try file.write(contentsOf: Data(bytes))
      try file.close()
      #expect(
        throws: BackupError.journal(
          .damagedEntry(index: 9, what: "its digest is not that in the tree"))
      ) { try createBackup(of: journal, at: folder + "/b") }
      #expect(try names(folder) == ["s"])
    }
  }

  @Test func `a missing or changed file, or one of another length, is found`() throws {
    try withBackupFolder(entries: 40) { folder, journal in
      _ = try KeyRing.create(in: journal.files.keys, store: journal.store)
      let target = folder + "/b"
      _ = try createBackup(of: journal, at: target, withKeys: true)
      for name in ["journal.lmdb", "HEAD", "backup.json", "keys/master", "keys/hmac"] {
        let url = URL(filePath: target + "/" + name)
        let sound = try Data(contentsOf: url)
        var wrong = [sound.dropLast(), sound + [0], Data()]
        let step = name == "backup.json" ? 1 : max(1, sound.count / 60)
        for place in stride(from: 0, to: sound.count, by: step) {
          var bytes = sound
          bytes[place] ^= 1 << UInt8(place % 8)
          wrong.append(bytes)
        }
        for (number, bytes) in wrong.enumerated() {
          try bytes.write(to: url)
          #expect(throws: BackupError.self, "\(name), \(number)") { try JournalBackup.open(target) }
        }
        try FileManager.default.removeItem(at: url)
        #expect(throws: BackupError.self, "\(name) is missing") { try JournalBackup.open(target) }
        try sound.write(to: url)
        _ = try JournalBackup.open(target)
      }
    }
  }

  @Test func `reading a backup writes nothing into it`() throws {
    try withBackupFolder(entries: 40) { folder, journal in
      let made = try createBackup(of: journal, at: folder + "/b").manifest
      _ = try restore(folder + "/b", into: folder + "/n")
      #expect(try names(folder + "/b") == ["journal.lmdb", "HEAD", "backup.json"])
      #expect(try JournalBackup.open(folder + "/b").manifest == made)
    }
  }

  @Test func `a backup is not taken for a store`() throws {
    try withBackupFolder(entries: 3) { folder, journal in
      _ = try createBackup(of: journal, at: folder + "/b")
      #expect(throws: JournalError.self) { try EventJournal.open(folder + "/b") }
      #expect(throws: JournalError.self) { try StoreBeginning(folder + "/b") }
      #expect(try names(folder + "/b") == ["journal.lmdb", "HEAD", "backup.json"])
      #expect(throws: BackupError.self) { try JournalBackup.open(folder + "/s") }
      #expect(throws: BackupError.self) { try JournalBackup.open(folder + "/none") }
    }
  }

  @Test func `keys go in only when they are asked for, and open there`() throws {
    try withBackupFolder(entries: 3) { folder, journal in
      #expect(throws: BackupError.keys(.missing(journal.files.keys + "/master"))) {
        try createBackup(of: journal, at: folder + "/x", withKeys: true)
      }
      let keys = try KeyRing.create(in: journal.files.keys, store: journal.store)
      let sealed = try keys.seal(Array("secret".utf8), publicForm: "s", of: .cell0, .database)
      let backup = try createBackup(of: journal, at: folder + "/b", withKeys: true)
      #expect(backup.manifest.hasKeys)
      let copied = try KeyRing.open(in: folder + "/b/keys", store: journal.store)
      #expect(try copied.open(sealed, of: .cell0, .database) == Array("secret".utf8))
      #expect(try mode(folder + "/b/keys") == 0o700)
      #expect(try mode(folder + "/b/keys/master") == 0o600)
      #expect(try names(folder) == ["s", "b"])
    }
  }
}

// MARK: Support

/// A journal of so many entries in commits of several lengths, in `s` of a folder.
func withBackupFolder<Result>(
  entries: Int, _ body: (String, EventJournal) throws -> Result
) throws -> Result {
  try withTemporaryDirectory { folder in
    let journal = try makeJournal(folder + "/s")
    var next = 2
    var length = 1
    while next < entries {
      let end = min(entries, next + length)
      try journal.appendNow(Drafts.mappings(next..<end))
      (next, length) = (end, length * 3 % 200 + 1)
    }
    return try body(folder, journal)
  }
}

@discardableResult
func createBackup(
  of journal: EventJournal, at path: String, withKeys: Bool = false
) throws -> JournalBackup {
  try JournalBackup.create(of: journal, at: path, withKeys: withKeys, program: "tests/1")
}

@discardableResult
func restore(
  _ path: String, into directory: String, to moment: PastMoment? = nil
) throws -> RestoredStore {
  let backup = try JournalBackup.open(path)
  return try backup.restore(into: directory, to: moment, command: "test") { plan in
    Drafts.draft(
      .store(
        .epochOpened(
          EpochOpening(
            store: backup.manifest.store, epoch: plan.epoch, id: EpochID(.random()),
            cause: .restored, commonIndex: plan.common.position.index,
            commonRoot: plan.common.root, leftIndex: plan.left.position.index,
            leftRoot: plan.left.root))))
  }
}

/// Entries as they stand in a journal.
func records(of journal: EventJournal, through last: UInt64 = .max) throws -> [[UInt8]] {
  var records: [[UInt8]] = []
  try journal.forEachEntry(after: 0) { header, bytes, start in
    guard header.position.index <= last else { return }
    records.append(Array(bytes[start..<start + Int(header.entryLength)]))
  }
  return records
}
