import Foundation
@testable import Journal
import Testing

@Suite struct EventJournalVerifyTests {
  private static func point(_ journal: EventJournal) -> VerifiedPoint {
    VerifiedPoint(
      store: journal.store, position: journal.head.position, root: journal.head.root,
      verifiedAt: .now, fullAt: .now, fullPosition: journal.head.position)
  }

  @Test func `goes on from the last verification, a tile at the most before it`() throws {
    try withTemporaryJournal { journal in
      try journal.appendNow(Drafts.mappings(0..<700))
      let full = try journal.verify()
      #expect(full.firstRead == 1 && full.commits == 2 && full.tiles == 2)
      let point = Self.point(journal)
      try journal.appendNow(Drafts.mappings(0..<900))
      try journal.appendNow(Drafts.mappings(0..<3))
      let next = try journal.verify(after: point)
      #expect(next.firstRead == 513 && next.commits == 3 && next.head == journal.head)
    }
  }

  @Test func `many tiles are checked side by side, and the first thing wrong is named`() throws {
    try withTemporaryDirectory { folder in
      let journal = try makeJournal(folder + "/s")
      for _ in 0..<3 { try journal.appendNow(Drafts.mappings(0..<5000)) }
      #expect(try journal.verify().tiles == 58)
      var content = try JournalRecords(of: journal)
      for index in [9000, 4100, 12_000] { content.entries[index - 1][80] ^= 1 }
      try content.write(to: folder + "/s")
      let damaged = try EventJournal.open(folder + "/s")
      let error = #expect(throws: JournalError.self) { try damaged.verify() }
      guard case .damagedEntry(4100, _)? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
    }
  }

  @Test func `what was read before is not read again, and a full run finds it`() throws {
    try withTemporaryDirectory { folder in
      let journal = try makeJournal(folder + "/s")
      try journal.appendNow(Drafts.mappings(0..<700))
      let point = Self.point(journal)
      var content = try JournalRecords(of: journal)
      content.entries[99][80] ^= 1
      try content.write(to: folder + "/s")
      let damaged = try EventJournal.open(folder + "/s")
      #expect(try damaged.verify(after: point).firstRead == 513)
      #expect(throws: JournalError.self) { try damaged.verify() }
      // The tree above the tiles is looked at each time.
      content = try JournalRecords(of: journal)
      content.tiles[1][0] ^= 1
      try content.write(to: folder + "/s")
      let other = try EventJournal.open(folder + "/s")
      #expect(throws: JournalError.self) { try other.verify(after: point) }
    }
  }

  @Test func `a rewritten history is not that of the last verification`() throws {
    try withTemporaryDirectory { folder in
      let journal = try makeJournal(folder + "/s")
      try journal.appendNow(Drafts.mappings(0..<300))
      let point = Self.point(journal)
      let kept = try journal.checkpoint()
      try JournalRecords(of: journal).rewritten(changing: 100, in: folder + "/s")
      let rewritten = try EventJournal.open(folder + "/s")
      #expect(try rewritten.verify().head.position == point.position)
      #expect(throws: JournalError.divergedFromWitness(witness: point.position)) {
        try rewritten.verify(after: point)
      }
      guard case .rewritten = try rewritten.compare(with: kept) else {
        Issue.record("the rewriting is not found against a checkpoint")
        return
      }
    }
  }

  @Test func `a history that was openly left is read in full`() throws {
    try withTemporaryJournal { journal in
      try journal.appendNow(Drafts.mappings(0..<300))
      let head = journal.head
      let point = VerifiedPoint(
        store: journal.store, position: Position(epoch: 1, index: 400), root: TreeHash.leaf([1]),
        verifiedAt: .now, fullAt: .now, fullPosition: Position(epoch: 1, index: 400))
      #expect(throws: JournalError.self) { try journal.verify(after: point) }
      let opening = EpochOpening(
        store: journal.store, epoch: 2, id: EpochID(.random()), cause: .restored,
        commonIndex: head.position.index, commonRoot: head.root, leftIndex: 400,
        leftRoot: TreeHash.leaf([1]))
      try journal.appendNow([Drafts.draft(.store(.epochOpened(opening)))])
      #expect(try journal.verify(after: point).firstRead == 1)
    }
  }

  @Test func `goes through beside a writer`() async throws {
    let folder =
      FileManager.default.temporaryDirectory.path + "/cellmap-verify-\(UUID().uuidString)"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let journal = try makeJournal(folder + "/s")
    try journal.appendNow(Drafts.mappings(0..<3000))
    async let written: Void = {
      for _ in 0..<60 { try journal.appendNow(Drafts.mappings(0..<90)) }
    }()
    var last: UInt64 = 0
    for _ in 0..<6 {
      let verified = try EventJournal.open(folder + "/s").verify()
      #expect(verified.head.position.index >= last)
      last = verified.head.position.index
    }
    try await written
    #expect(try journal.verify().head.position.index == 3002 + 60 * 90)
  }

  @Test func `the point is kept in the store, and a damaged one counts for nothing`() throws {
    try withTemporaryJournal { journal in
      let point = Self.point(journal)
      #expect(VerifiedPoint.read(journal.files) == nil)
      try point.write(journal.files)
      let read = try #require(VerifiedPoint.read(journal.files))
      #expect(read.position == point.position && read.root == point.root)
      let path = URL(filePath: journal.files.verified)
      let sound = try Data(contentsOf: path)
      for place in sound.indices {
        var changed = sound
        changed[place] ^= 1
        try changed.write(to: path)
        #expect(VerifiedPoint.read(journal.files) == nil, "byte \(place)")
      }
    }
  }
}
