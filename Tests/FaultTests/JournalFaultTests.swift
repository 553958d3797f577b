import Foundation
import Journal
import Projections
import Router
import TestSupport
import Testing

/// Damage to the journal and its witness that is there when the store is opened.
@Suite(.waiting) struct JournalFaultTests {
  /// Every command ends with 4, in one line that names the thing; none dies.
  private func expectIntegrity(
    _ sample: SampleStore, naming words: [String], statuses: Set<Int32> = [4], _ note: String,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let instance = try #require(try sample.cloud.expectedCells().keys.first)
    for command in [
      ["status"], ["route", instance], addCell("new"), ["replay"],
      ["audit", "verify"],
    ] {
      let answer = try Cellmap.run(command + ["--store", sample.store])
      let about: Comment = "\(note), \(command): \(answer.summary)"
      #expect(
        answer.status.map { statuses.contains($0) } == true, about, sourceLocation: sourceLocation)
      #expect(
        words.contains { answer.errors.contains($0) }, about, sourceLocation: sourceLocation)
      #expect(
        answer.errors.split(separator: "\n").count == 1, about, sourceLocation: sourceLocation)
    }
  }

  @Test func `a truncated or emptied journal is exit 4, and whole again once it is back`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let journal = try StoredFile(sample.journalPath)
      let size = journal.sound.count
      for length in [0, 100, 8_192, size / 2, size - 1] {
        try journal.put(journal.sound.prefix(length))
        try expectIntegrity(
          sample, naming: ["truncated", "damaged"], "\(length) of \(size) bytes")
      }
      try journal.restore()
      #expect(try sample.wrongRoutes() == [])
      try expectDone(sample.map(UUID()))
      try expectDone(["audit", "verify", "--store", sample.store])
    }
  }

  @Test func `a journal that is gone is exit 4, and init makes none in its place`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      unlink(sample.journalPath)
      try expectIntegrity(sample, naming: ["no journal"], "deleted")
      let made = try Cellmap.run("init", "--store", sample.store)
      #expect(made.status == 4, "\(made.summary)")
    }
  }

  @Test func `another store's journal is refused`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let other = folder + "/other"
      try expectDone(["init", "--store", other])
      let journal = try StoredFile(sample.journalPath)
      try journal.put(try StoredFile(other + "/journal.lmdb").sound)
      try expectIntegrity(sample, naming: ["belongs to store"], "swapped")
      unlink(sample.headPath)
      for command in [["status"], addCell("new")] {
        let answer = try Cellmap.run(command + ["--store", sample.store])
        #expect(answer.status == 4, "\(answer.summary)")
        #expect(answer.errors.contains("belongs to the store"), "\(answer.summary)")
      }
    }
  }

  @Test func `an older copy of the journal is exit 4 by HEAD, and by the index without it`() throws
  {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let journal = try StoredFile(sample.journalPath)
      for _ in 1...2 { try expectDone(sample.map(UUID())) }
      try journal.restore()
      unlink(sample.store + "/journal.lmdb-lock")
      try expectIntegrity(sample, naming: ["older copy"], "HEAD is newer")
      unlink(sample.headPath)
      for command in [["status"], addCell("new")] {
        let answer = try Cellmap.run(command + ["--store", sample.store])
        #expect(answer.status == 4 && answer.errors.contains("lost entries"), "\(answer.summary)")
      }
    }
  }

  @Test func `a damaged HEAD costs nothing while the journal is whole`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let head = try StoredFile(sample.headPath)
      for slots in [0..<512, 512..<1_024, 0..<1_024] {
        var bytes = try StoredFile(sample.headPath).sound
        for place in slots { bytes[place] ^= 0x5A }
        try head.put(bytes)
        try expectDone(["status", "--store", sample.store])
        try expectDone(sample.map(UUID()))
        try expectDone(["audit", "verify", "--store", sample.store])
      }
      for length in [0, 100] {
        try head.put(head.sound.prefix(length))
        try expectDone(["status", "--store", sample.store])
      }
      unlink(sample.headPath)
      try expectDone(sample.map(UUID()))
      #expect(FileManager.default.fileExists(atPath: sample.headPath))
    }
  }

  @Test func `damage in an old entry is found where both witnesses in HEAD are lost`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 300)
      let journal = try StoredFile(sample.journalPath)
      let entry = try StoreContent(of: sample.store).entries[9].encoded()
      try journal.put(
        try #require(journal.flippedEverywhere(entry, byte: entry.count - 1, bit: 0)))
      try expectDone(["status", "--store", sample.store])
      let verified = try Cellmap.run("audit", "verify", "--store", sample.store)
      #expect(verified.status == 4 && verified.errors.contains("Entry 10"), "\(verified.summary)")
      let replay = try Cellmap.run("replay", "--store", sample.store)
      #expect(replay.status == 4 && replay.errors.contains("Entry 10"), "\(replay.summary)")
      unlink(sample.headPath)
      try expectIntegrity(sample, naming: ["Entry 10"], "without HEAD")
    }
  }

  @Test func `400 flipped bits never end the process, and never give another map`() async {
    await #expect(processExitsWith: .success) {
      var chance = Chance()
      try withTemporaryFolder { folder in
        let sample = try SampleStore(in: folder, instances: 300)
        let content = try StoreContent(of: sample.store)
        let expected = content.instances()
        let journal = try StoredFile(sample.journalPath)
        var outcomes: [String: Int] = [:]
        for round in 1...400 {
          // Half of them where they hurt most: in the heads of pages.
          let page = Int.random(in: 0..<journal.sound.count / 4_096, using: &chance)
          let isHead = Bool.random(using: &chance)
          let offset = Int.random(in: 0..<(isHead ? 160 : 4_096), using: &chance)
          let byte = page * 4_096 + offset
          let note: Comment = "seed \(chance.seed), round \(round), byte \(byte)"
          try journal.put(
            journal.flipped(byte: byte, bit: UInt8.random(in: 0..<8, using: &chance)))
          outcomes[try outcome(sample, content, expected, note), default: 0] += 1
        }
        print("flips of the journal: \(outcomes), seed \(chance.seed)")
      }
    }
  }

  @Test func `verify finds each flipped bit of an entry, a tile or a root`() throws {
    var chance = Chance()
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 300)
      let content = try StoreContent(of: sample.store)
      let journal = try StoredFile(sample.journalPath)
      for round in 1...90 {
        let place = Int.random(
          in: 0..<(round % 3 == 1 ? 256 : content.entries.count), using: &chance)
        let pattern: [UInt8] =
          switch round % 3 {
          case 0: try content.entries[place].encoded()
          case 1: content.digests[place].bytes
          default: try EventJournal.open(sample.store).root(at: UInt64(place + 1)).bytes
          }
        let byte = Int.random(in: 0..<pattern.count, using: &chance)
        guard
          let bytes = journal.flippedEverywhere(
            pattern, byte: byte, bit: UInt8.random(in: 0..<8, using: &chance))
        else { continue }  // A root within a commit is computed, and stands nowhere.
        try journal.put(bytes)
        #expect(throws: JournalError.self, "seed \(chance.seed), round \(round), \(place) \(byte)")
        {
          try EventJournal.open(sample.store).verify()
        }
        try journal.restore()
      }
      try journal.restore()
      try expectDone(["audit", "verify", "--store", sample.store])
    }
  }
}

/// What becomes of a damaged journal: refused when it is opened, found by verify, or harmless. Routes
/// are right or refused in each case.
private func outcome(
  _ sample: SampleStore, _ content: StoreContent, _ expected: [InstanceID: InstanceRecord],
  _ note: Comment
) throws -> String {
  let journal: EventJournal
  do throws(JournalError) { journal = try EventJournal.open(sample.store) } catch {
    let honest: [JournalError.Category] = [.integrity, .notAStore, .newerFormat]
    #expect(honest.contains(error.category), note)
    return "refused at open"
  }
  #expect(journal.head.position == content.head, note)
  if let router = try? sample.router() {
    for (id, record) in expected {
      guard let mapping = try? router.mapping(of: id) else { continue }
      #expect(mapping.cell == record.cell, note)
    }
  }
  do throws(JournalError) { _ = try journal.verify() } catch { return "found by verify" }
  #expect(try journal.entries(after: 0, limit: .max) == content.entries, note)
  return "harmless"
}
