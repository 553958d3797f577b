import Foundation
@testable import Journal
import Testing

@Suite struct JournalArchivingTests {
  private func entries(_ journal: EventJournal) throws -> [[UInt8]] {
    try journal.entries(after: 0, limit: .max).map { try $0.encoded() }
  }

  @Test(arguments: [[256], [1_024], [256, 512], [512, 768, 1_280]] as [[UInt64]])
  func `whatever was read of the journal is read of journal and archives`(cuts: [UInt64]) throws {
    try withArchives(entries: 1_300, through: cuts) { bed in
      try bed.append(300)
      let whole = try EventJournal.open(bed.whole)
      let short = try EventJournal.open(bed.store)
      let last = whole.head.position.index
      #expect(short.archivedCount == cuts.last && short.archives.map(\.last) == cuts)
      #expect(short.head.position == whole.head.position && short.head.root == whole.head.root)
      #expect(try entries(short) == entries(whole))
      let some = Array(stride(from: UInt64(1), through: last, by: 97)) + [last]
      #expect(
        try short.entries(at: some).map(\.position) == whole.entries(at: some).map(\.position))
      for index in some + [256, 257, 512, 513, 1_280, 1_281] {
        #expect(try short.entryBytes(at: index) == whole.entryBytes(at: index))
        #expect(try short.root(at: index) == whole.root(at: index))
        #expect(
          try short.proveInclusion(of: index, in: last) == whole.proveInclusion(of: index, in: last)
        )
        #expect(
          try short.proveConsistency(from: index, to: last)
            == whole.proveConsistency(from: index, to: last))
      }
      #expect(try short.epochs() == whole.epochs())
      #expect(try short.verify().commits == whole.verify().commits)
      #expect(try short.position(at: .time(whole.head.orderedAt)) == whole.head.position)
    }
  }

  @Test func `the journal's file has what isn't archived, and the roots of all tiles`() throws {
    try withArchives(entries: 2_000, through: []) { bed in
      let before = try FileDigest(of: bed.store + "/journal.lmdb").bytes
      try bed.archive(through: 1_792)
      #expect(try FileDigest(of: bed.store + "/journal.lmdb").bytes * 3 < before)
      let records = try JournalRecords(of: EventJournal.open(bed.store))
      #expect(records.entries.count == 2_003 - 1_792 + 1)
      #expect(Set(records.tiles.map(\.count)) == [32])
      #expect(!FileManager.default.fileExists(atPath: bed.store + "/archiving"))
    }
  }

  @Test(arguments: [253, 254, 509, 510])
  func `the head may stand right behind the archive`(count: Int) throws {
    let cut = UInt64(count + 2) / 256 * 256
    guard cut > 0 else { return }
    try withArchives(entries: count, through: [cut]) { bed in
      try bed.append(3)
      let (whole, short) = (try EventJournal.open(bed.whole), try EventJournal.open(bed.store))
      #expect(try entries(short) == entries(whole))
      _ = try short.verify()
    }
  }

  @Test func `a backup is whole`() throws {
    try withArchives(entries: 900, through: [256, 768]) { bed in
      func records(_ store: String, _ name: String) throws -> JournalRecords {
        let backup = try JournalBackup.create(
          of: EventJournal.open(store), at: bed.folder + "/" + name, withKeys: false,
          program: "tests/1")
        return try JournalRecords(of: backup.journal)
      }
      let (short, whole) = (try records(bed.store, "a"), try records(bed.whole, "b"))
      #expect(short.entries == whole.entries && short.tiles == whole.tiles)
    }
  }

  @Test func `without its file the journal goes on, and what needs it names the file`() throws {
    try withArchives(entries: 900, through: [256, 768]) { bed in
      try FileManager.default.moveItem(atPath: bed.files[0], toPath: bed.folder + "/away")
      let journal = try EventJournal.open(bed.store)
      try journal.appendNow(Drafts.mappings(0..<300))
      #expect(try journal.entries(after: 768, limit: .max).count == 436)
      #expect(try journal.entry(at: 300) != nil)
      let missing = JournalError.archiveMissing(path: bed.files[0])
      #expect(throws: missing) { try journal.entry(at: 3) }
      #expect(throws: missing) { try journal.verify() }
      #expect(throws: missing) { try journal.proveInclusion(of: 3, in: 900) }
      // The journal could not let go of more: nothing is written that says it would.
      #expect(throws: missing) { try JournalArchiving.write(through: 1_024, of: journal) }
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: bed.store + "/archive")
          == ["entries-257-768"])
      #expect(throws: BackupError.journal(missing)) {
        try JournalBackup.create(
          of: journal, at: bed.folder + "/b", withKeys: false, program: "tests/1")
      }
      #expect(missing.category == .integrity && "\(missing)".contains(bed.files[0]))
      try FileManager.default.moveItem(atPath: bed.folder + "/away", toPath: bed.files[0])
      _ = try journal.verify()
    }
  }

  @Test func `broken off behind the entry, it is pending; before it, it is begun again`() throws {
    try withArchives(entries: 900, through: [256]) { bed in
      _ = try JournalArchiving.write(through: 512, of: EventJournal.open(bed.store))
      #expect(try JournalArchiving.pending(of: EventJournal.open(bed.store)) == nil)
      let point = try bed.note(through: 768)
      #expect(try JournalArchiving.pending(of: EventJournal.open(bed.store)) == point)
      _ = try JournalArchiving.shrink(EventJournal.open(bed.store), to: point, command: "t")
      let journal = try EventJournal.open(bed.store)
      #expect(try JournalArchiving.pending(of: journal) == nil && journal.archivedCount == 768)
      #expect(
        try Set(FileManager.default.contentsOfDirectory(atPath: bed.store + "/archive"))
          == ["entries-1-256", "entries-257-768"])
    }
  }

  @Test func `nobody else may have the store open`() throws {
    try withArchives(entries: 900, through: []) { bed in
      let point = try bed.note(through: 256)
      let other = try EventJournal.open(bed.store)
      #expect(throws: JournalError.inUse(path: bed.store + "/LOCK")) {
        try JournalArchiving.shrink(EventJournal.open(bed.store), to: point, command: "t")
      }
      #expect(try other.refresh().position.index == 903 && other.archivedCount == 0)
    }
  }

  @Test func `a process that had the old file open notices`() throws {
    try withArchives(entries: 900, through: []) { bed in
      let point = try bed.note(through: 256)
      let journal = try EventJournal.open(bed.store)
      _ = try JournalArchiving.shrink(journal, to: point, command: "t")
      #expect(throws: JournalError.replaced(path: bed.store + "/journal.lmdb")) {
        try journal.appendNow(Drafts.mappings(0..<1))
      }
    }
  }

  @Test func `HEAD may be of before the archive`() throws {
    try withArchives(entries: 300, through: []) { bed in
      let old = try #require(FileManager.default.contents(atPath: bed.store + "/HEAD"))
      try bed.append(300)
      try bed.archive(through: 512)
      try old.write(to: URL(filePath: bed.store + "/HEAD"))
      chmod(bed.store + "/HEAD", 0o600)
      #expect(try EventJournal.open(bed.store).head.position.index == 603)
    }
  }

  @Test func `the cut is the end of a tile, and all of the moment stays`() throws {
    try withArchives(entries: 900, through: []) { bed in
      let journal = try EventJournal.open(bed.store)
      for (moment, cut) in [(0, 0), (1, 0), (256, 0), (257, 256), (700, 512), (90_000, 768)] {
        #expect(
          try JournalArchiving.cut(before: .index(UInt64(moment)), of: journal) == UInt64(cut))
      }
      let end = journal.head.orderedAt
      #expect(try JournalArchiving.cut(before: .time(end), of: journal) == 0)
      let later = Timestamp(microseconds: end.microseconds + 1)
      #expect(try JournalArchiving.cut(before: .time(later), of: journal) == 768)
    }
  }
}
