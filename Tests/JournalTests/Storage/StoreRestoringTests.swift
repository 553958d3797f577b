import Foundation
@testable import Journal
import Testing

@Suite struct StoreRestoringTests {
  private func opening(of journal: EventJournal, at index: UInt64) throws -> EpochOpening {
    let entry = try #require(try journal.entry(at: index))
    guard case .store(.epochOpened(let opening)) = entry.event else {
      throw CocoaError(.featureUnsupported)
    }
    return opening
  }

  private func names(_ folder: String) throws -> Set<String> {
    Set(try FileManager.default.contentsOfDirectory(atPath: folder))
  }

  @Test(arguments: [2, 3, 254, 255, 256, 257, 511, 512, 513, 700] as [UInt64])
  func `keeps the entries up to one, opens an epoch behind it, and goes on`(last: UInt64) throws {
    try withBackupFolder(entries: 700) { folder, journal in
      try createBackup(of: journal, at: folder + "/b")
      let restored = try restore(folder + "/b", into: folder + "/n", to: .index(last))
      let new = try EventJournal.open(folder + "/n")
      #expect(new.head.position == Position(epoch: 2, index: last + 1))
      #expect(restored.head.position == new.head.position && restored.head.root == new.head.root)
      #expect(try records(of: new, through: last) == records(of: journal, through: last))
      #expect(try new.root(at: last) == journal.root(at: last))
      let opening = try opening(of: new, at: last + 1)
      #expect(opening.store == journal.store && opening.epoch == 2 && opening.cause == .restored)
      #expect(opening.commonIndex == last)
      #expect(try opening.commonRoot == journal.root(at: last))
      #expect(opening.leftIndex == 700 && opening.leftRoot == journal.head.root)
      try new.appendNow(Drafts.mappings(9_000..<9_300))
      #expect(new.head.position == Position(epoch: 2, index: last + 301))
      #expect(try EventJournal.open(folder + "/n").verify().head.position == new.head.position)
      #expect(try names(folder + "/n") == ["LOCK", "HEAD", "journal.lmdb", "journal.lmdb-lock"])
    }
  }

  @Test func `goes to the last entry that is not later than a time`() throws {
    try withTemporaryDirectory { folder in
      let journal = try makeJournal(folder + "/s")
      var times: [Timestamp] = []
      for number in 0..<300 {
        // Several entries of one time, and a clock that steps back: the order time doesn't.
        let seconds = Int64(4_000_000_000 + number / 3 * 10 - (number % 7 == 0 ? 60 : 0))
        var authorship = Drafts.authorship
        authorship.observedAt = Timestamp(microseconds: seconds * 1_000_000)
        let mapping = Drafts.mapping(number)
        try journal.appendNow([
          EntryDraft(event: mapping.event, authorship: authorship, request: mapping.request)
        ])
        times.append(journal.head.orderedAt)
      }
      let backup = try createBackup(of: journal, at: folder + "/b")
      for place in [0, 1, 2, 3, 100, 250, 299] {
        for shift in [-1, 0, 1] as [Int64] {
          let time = Timestamp(microseconds: times[place].microseconds + shift)
          let expected = 2 + times.count { $0 <= time }
          let plan = try backup.plan(to: .time(time), leaving: nil)
          #expect(plan.target.index == UInt64(expected), "\(place) \(shift)")
        }
      }
      #expect(throws: BackupError.self) {
        try backup.plan(to: .time(Timestamp(microseconds: 0)), leaving: nil)
      }
      try restore(folder + "/b", into: folder + "/n", to: .time(times[100]))
      let new = try EventJournal.open(folder + "/n")
      #expect(new.head.orderedAt >= times[100])
    }
  }

  @Test func `refuses a place that the backup doesn't have, and makes no folder for it`() throws {
    try withBackupFolder(entries: 20) { folder, journal in
      try createBackup(of: journal, at: folder + "/b")
      for moment in ["0", "1", "21", "2:10", "1:1", "1:21", "1970-01-01T00:00:00Z"] {
        #expect(throws: BackupError.self, "\(moment)") {
          try restore(folder + "/b", into: folder + "/n", to: PastMoment(moment))
        }
      }
      #expect(try names(folder) == ["s", "b"])
      for moment in ["", "x", "-1", "1:", "1:2:3", "99999999999999999999", "2026-01-01"] {
        #expect(PastMoment(moment) == nil)
      }
      try restore(folder + "/b", into: folder + "/n", to: PastMoment("1:10"))
      try createBackup(of: EventJournal.open(folder + "/n"), at: folder + "/c")
      #expect(throws: BackupError.self) {
        try restore(folder + "/c", into: folder + "/m", to: PastMoment("1:11"))
      }
      try restore(folder + "/c", into: folder + "/m", to: PastMoment("2:11"))
      let newest = try EventJournal.open(folder + "/m")
      #expect(newest.head.position == Position(epoch: 3, index: 12))
    }
  }

  @Test func `sets the journal of a store aside, and takes its place`() throws {
    try withBackupFolder(entries: 50) { folder, first in
      try createBackup(of: first, at: folder + "/b")
      try first.appendNow(Drafts.mappings(800..<830))
      let (head, root, old) = (first.head.position, first.head.root, try records(of: first))
      try withStoreClosed(folder) { store in
        let restored = try restore(folder + "/b", into: store, to: .index(30))
        #expect(restored.plan.droppedOf == .store && restored.plan.dropped?.count == 50)
        #expect(restored.setAside == store + "/left-at-1-80")
        let new = try EventJournal.open(store)
        #expect(new.head.position == Position(epoch: 2, index: 31))
        let opening = try opening(of: new, at: 31)
        #expect(opening.leftIndex == 80 && opening.leftRoot == root && opening.commonIndex == 30)
        let left = try EventJournal.open(store + "/left-at-1-80")
        #expect(left.head.position == head)
        #expect(try records(of: left) == old)
        #expect(!(try names(store)).contains("restoring"))
        #expect(try new.verify().head.position == new.head.position)
      }
      try withStoreClosed(folder) { store in
        let again = try restore(folder + "/b", into: store)
        #expect(again.head.position == Position(epoch: 3, index: 51))
        #expect(again.setAside == store + "/left-at-2-31")
        // The store's own history leaves the backup's at 30.
        #expect(again.plan.common.position.index == 50 && again.plan.left.position.index == 50)
        #expect(again.plan.dropped?.count == 1)
      }
    }
  }

  @Test func `a history that left the backup's is common with it only up to there`() throws {
    try withBackupFolder(entries: 50) { folder, journal in
      try createBackup(of: journal, at: folder + "/b")
      try withStoreClosed(folder) { store in
        try restore(folder + "/b", into: store, to: .index(20))
      }
      try EventJournal.open(folder + "/s").appendNow(Drafts.mappings(700..<800))
      try withStoreClosed(folder) { store in
        let restored = try restore(folder + "/b", into: store)
        let opening = try opening(of: EventJournal.open(store), at: 51)
        #expect(opening.epoch == 3 && opening.commonIndex == 20 && opening.leftIndex == 121)
        #expect(try opening.commonRoot == EventJournal.open(store).root(at: 20))
        #expect(restored.plan.dropped?.count == 101 && restored.plan.droppedOf == .store)
      }
    }
  }

  @Test func `never touches a store that somebody has open`() throws {
    try withBackupFolder(entries: 50) { folder, journal in
      try createBackup(of: journal, at: folder + "/b")
      let before = try names(folder + "/s")
      #expect(throws: BackupError.journal(.inUse(path: folder + "/s/LOCK"))) {
        try restore(folder + "/b", into: folder + "/s")
      }
      #expect(try names(folder + "/s") == before)
      try journal.appendNow(Drafts.mappings(900..<901))
      _ = try journal.verify()
    }
  }

  @Test func `refuses another store's folder, and a folder of somebody's`() throws {
    try withBackupFolder(entries: 20) { folder, journal in
      try createBackup(of: journal, at: folder + "/b")
      let other = try makeJournal(folder + "/o").store
      #expect(
        throws: BackupError.otherStore(
          path: folder + "/o", found: other, backup: journal.store)
      ) { try restore(folder + "/b", into: folder + "/o") }
      #expect(throws: BackupError.self) { try restore(folder + "/b", into: folder) }
      #expect(throws: BackupError.self) { try restore(folder + "/b", into: folder + "/b") }
      #expect(try EventJournal.open(folder + "/o").head.position.index == 2)
      #expect(try names(folder) == ["s", "b", "o"])
    }
  }

  @Test(arguments: ["zeros", "short", "gone", "older"])
  func `takes the place of a store whose journal is no good`(damage: String) throws {
    try withBackupFolder(entries: 50) { folder, first in
      try createBackup(of: first, at: folder + "/b")
      let older = try Data(contentsOf: URL(filePath: folder + "/s/journal.lmdb"))
      try first.appendNow(Drafts.mappings(800..<830))
      let root = first.head.root
      try withStoreClosed(folder) { store in
        let url = URL(filePath: store + "/journal.lmdb")
        let sound = try Data(contentsOf: url)
        switch damage {
        case "zeros": try put(Data(count: sound.count), into: url)
        case "short": try put(sound.prefix(9_000), into: url)
        case "older": try put(older, into: url)
        default: try FileManager.default.removeItem(at: url)
        }
        #expect(throws: JournalError.self) { try EventJournal.open(store) }
        let restored = try restore(folder + "/b", into: store, to: .index(40))
        // HEAD still says how far the store had been.
        #expect(restored.plan.left.position == Position(epoch: 1, index: 80))
        #expect(restored.plan.left.root == root)
        #expect(restored.plan.dropped?.count == 10 && restored.plan.droppedOf == .backup)
        let aside = try #require(restored.setAside)
        #expect(try names(aside).contains("HEAD"))
        #expect(try names(aside).contains("journal.lmdb") == (damage != "gone"))
        #expect(try EventJournal.open(store).verify().head.position.index == 41)
      }
    }
  }

  @Test func `ended between journal and HEAD, the new store is whole`() throws {
    try withBackupFolder(entries: 300) { folder, first in
      try createBackup(of: first, at: folder + "/b")
      try first.appendNow(Drafts.mappings(800..<830))
      try withStoreClosed(folder) { store in
        for last in [40, 299] as [UInt64] {
          let head = try Data(contentsOf: URL(filePath: store + "/HEAD"))
          try restore(folder + "/b", into: store, to: .index(last))
          try put(head, into: URL(filePath: store + "/HEAD"))
          let new = try EventJournal.open(store)
          let position = new.head.position
          #expect(try new.verify().head.position == position)
          try new.appendNow(Drafts.mappings(900..<901))
          #expect(try HeadSlots.read(store + "/HEAD")?.position.epoch == position.epoch)
          _ = try EventJournal.open(store).verify()
        }
      }
    }
  }

  @Test func `HEAD of more than a restore knew of is a step back`() throws {
    try withBackupFolder(entries: 60) { folder, first in
      try createBackup(of: first, at: folder + "/b")
      try first.appendNow(Drafts.mappings(800..<830))
      let head = try Data(contentsOf: URL(filePath: folder + "/s/HEAD"))
      try restore(folder + "/b", into: folder + "/n", to: .index(40))
      try put(head, into: URL(filePath: folder + "/n/HEAD"))
      #expect(
        throws: JournalError.steppedBack(
          journal: Position(epoch: 2, index: 41), witness: Position(epoch: 1, index: 90))
      ) { try EventJournal.open(folder + "/n") }
    }
  }

  @Test func `keys come with the backup, and those that are there stay`() throws {
    try withBackupFolder(entries: 20) { folder, journal in
      _ = try KeyRing.create(in: journal.files.keys, store: journal.store)
      try createBackup(of: journal, at: folder + "/b", withKeys: true)
      try createBackup(of: journal, at: folder + "/bare")
      let master = try Data(contentsOf: URL(filePath: folder + "/s/keys/master"))
      #expect(try restore(folder + "/b", into: folder + "/n").keys == .backup)
      #expect(try Data(contentsOf: URL(filePath: folder + "/n/keys/master")) == master)
      #expect(try restore(folder + "/bare", into: folder + "/m").keys == .none)
      #expect(!(try names(folder + "/m")).contains("keys"))
      try Data("newer".utf8).write(to: URL(filePath: folder + "/n/keys/master"))
      #expect(try restore(folder + "/b", into: folder + "/n").keys == .store)
      #expect(try Data(contentsOf: URL(filePath: folder + "/n/keys/master")) == Data("newer".utf8))
    }
  }

  // MARK: Support

  /// Gives `body` the path of the store once the journal that `withBackupFolder` opened can't be in
  /// the way: a copy of its folder is, in its place.
  private func withStoreClosed(
    _ folder: String, _ body: (String) throws -> Void
  ) throws {
    let (store, copy) = (folder + "/s", folder + "/s.copy")
    try FileManager.default.copyItem(atPath: store, toPath: copy)
    try FileManager.default.removeItem(atPath: store)
    try FileManager.default.moveItem(atPath: copy, toPath: store)
    try body(store)
  }

  private func put(_ bytes: Data, into url: URL) throws {
    let file = try FileHandle(forWritingTo: url)
    try file.truncate(atOffset: 0)
    try file.write(contentsOf: bytes)
    try file.close()
  }
}
