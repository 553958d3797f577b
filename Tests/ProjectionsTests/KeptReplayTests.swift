import Foundation
import Glibc
import Journal
import Projections
import TestSupport
import Testing

/// Replays that are killed: the next one goes on, and gives the index that an undisturbed one gives.
@Suite struct KeptReplayTests {
  private let authorship = Authorship(
    actor: "alice", program: "cellmap 1.0", reason: "a test", observedAt: .now)
  private static let entries = 1_100

  private func withJournal(
    seed: UInt64, sharedBits: Int = 0, _ body: (EventJournal, _ folder: String) throws -> Void
  ) throws {
    let history = RandomHistory(seed: seed, count: Self.entries, sharedBits: sharedBits)
    try withTemporaryFolder { folder in
      let drafts = history.changes.map {
        EntryDraft(event: $0.event, authorship: authorship, request: $0.request)
      }
      let journal = try StoreBeginning(folder + "/store", store: history.store).finish(drafts)
      try body(journal, folder)
    }
  }

  /// Replays so that there are marks after each few entries and each partition.
  private func replay(
    _ journal: EventJournal, upTo index: UInt64? = nil, into path: String,
    _ progress: (UInt64) -> Void = { _ in }
  ) throws -> (checkpoint: IndexCheckpoint, beginning: IndexReplay.Beginning?) {
    var beginning: IndexReplay.Beginning?
    let checkpoint = try IndexReplay.runKept(
      journal, upTo: index, into: path, memoryBytes: 2_000, instances: 1,
      began: { beginning = $0 }, progress: progress)
    return (checkpoint, beginning)
  }

  /// What a process that is killed now leaves: the files as they are.
  private func copy(_ path: String, to copy: String) throws {
    for suffix in ["", "-journal", "-wal", "-shm", "-spill"]
    where access(path + suffix, F_OK) == 0 {
      try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix)
    }
  }

  private func names(_ folder: String) throws -> Set<String> {
    Set(try FileManager.default.contentsOfDirectory(atPath: folder))
  }

  @Test(arguments: [0, 2, 30])
  func `goes on from wherever it was killed, to the same index`(sharedBits: Int) throws {
    try withJournal(seed: 71, sharedBits: sharedBits) { journal, folder in
      let whole = try IndexReplay.run(journal, into: folder + "/whole", scratch: folder)
      let digest = try IndexReader(path: folder + "/whole").checkIndex()
      var reports: [UInt64] = []
      let undisturbed = try replay(journal, into: folder + "/kept") { done in
        #expect(throws: Never.self) {
          try copy(folder + "/kept", to: folder + "/killed-\(reports.count)")
        }
        reports.append(done)
      }
      #expect(undisturbed.beginning == .new && undisturbed.checkpoint == whole)
      #expect(try IndexReader(path: folder + "/kept").checkIndex() == digest)
      #expect(reports.count > 20 && reports == reports.sorted())
      var positions: [UInt64] = []
      for number in stride(from: reports.count - 1, through: 0, by: -3).reversed() {
        let path = folder + "/killed-\(number)"
        let again = try replay(journal, into: path)
        guard case .goesOn(let position)? = again.beginning else {
          Issue.record("killed at \(number): \(String(describing: again.beginning))")
          continue
        }
        positions.append(position.index)
        #expect(again.checkpoint == whole)
        #expect(try IndexReader(path: path).checkIndex() == digest, "killed at \(number)")
        for suffix in ["-spill", "-making"] { #expect(access(path + suffix, F_OK) != 0) }
      }
      #expect(positions == positions.sorted() && Set(positions).count > 2, "\(positions)")
      #expect(positions.last == UInt64(Self.entries))
    }
  }

  @Test func `killed again and again, it comes to its end`() throws {
    try withJournal(seed: 72) { journal, folder in
      _ = try IndexReplay.run(journal, into: folder + "/whole", scratch: folder)
      var (run, isKilled) = (0, true)
      while isKilled {
        isKilled = false
        var calls = 0
        let path = folder + "/run-\(run)"
        _ = try replay(journal, into: path) { _ in
          calls += 1
          guard calls == 3 else { return }
          isKilled = true
          #expect(throws: Never.self) { try copy(path, to: folder + "/run-\(run + 1)") }
        }
        if isKilled { run += 1 }
      }
      #expect(run > 5)
      #expect(
        try IndexReader(path: folder + "/run-\(run)").checkIndex()
          == IndexReader(path: folder + "/whole").checkIndex())
    }
  }

  /// A file as a replay leaves it that is killed while it loads, or while it reads.
  private func leave(
    _ journal: EventJournal, at path: String, isLoading: Bool
  ) throws {
    var isCopied = false
    _ = try replay(journal, into: path + "-whole") { done in
      guard !isCopied, (done > UInt64(Self.entries) * 3 / 4) == isLoading, done > 120 else {
        return
      }
      isCopied = true
      #expect(throws: Never.self) { try copy(path + "-whole", to: path) }
    }
    try #require(isCopied)
  }

  @Test(arguments: [false, true])
  func `begins anew where what was left is not whole, or of another journal`(
    isLoading: Bool
  ) throws {
    try withJournal(seed: 73) { journal, folder in
      _ = try IndexReplay.run(journal, into: folder + "/whole", scratch: folder)
      let digest = try IndexReader(path: folder + "/whole").checkIndex()
      let path = folder + "/left"
      try leave(journal, at: path, isLoading: isLoading)
      let faults: [(String, (String) throws -> Void)] = [
        ("a shorter file of entries", { _ = truncate($0 + "-spill", 5_000) }),
        ("another byte in it", { try change($0 + "-spill", at: 4_000) }),
        ("no index", { _ = unlink($0) }),
        ("an empty index", { _ = truncate($0, 0) }),
        (
          "another start of the machine",
          { try execute("UPDATE unfinished SET boot = 'another'", $0) }
        ),
        ("no mark", { try execute("DELETE FROM unfinished", $0) }),
        ("another version", { try execute("PRAGMA user_version=2", $0) }),
      ]
      for (place, (what, fault)) in faults.enumerated() {
        let damaged = folder + "/damaged-\(place)"
        try copy(path, to: damaged)
        try fault(damaged)
        let made = try replay(journal, into: damaged)
        guard case .anew? = made.beginning else {
          Issue.record("\(what): \(String(describing: made.beginning))")
          continue
        }
        #expect(try IndexReader(path: damaged).checkIndex() == digest, "\(what)")
      }
      try copy(path, to: folder + "/earlier")
      let earlier = try replay(journal, upTo: 150, into: folder + "/earlier")
      #expect(earlier.checkpoint.position.index == 150)
      #expect(earlier.beginning == .anew(why: "it was to another entry"))
      try withJournal(seed: 74) { other, _ in
        let made = try replay(other, into: path)
        guard case .anew? = made.beginning else {
          Issue.record("another journal")
          return
        }
      }
    }
  }

  private func change(_ path: String, at place: Int) throws {
    var bytes = try Data(contentsOf: URL(filePath: path))
    bytes[place] ^= 1
    try bytes.write(to: URL(filePath: path))
  }

  private func execute(_ sql: String, _ path: String) throws {
    try SQLiteConnection(path: path, mode: .readWrite).execute(sql)
  }

  @Test func `takes in what came after it was killed`() throws {
    try withJournal(seed: 75) { journal, folder in
      let (reading, loading) = (folder + "/reading", folder + "/loading")
      try leave(journal, at: reading, isLoading: false)
      try leave(journal, at: loading, isLoading: true)
      let lease = try journal.lock.acquire(command: "test")
      let draft = EntryDraft(
        event: .cell(CellID(.random()), .added(CellRecord(name: "late"))), authorship: authorship,
        request: RequestMark(id: RequestID(.random())))
      _ = try journal.append([draft], expecting: journal.head.position, under: lease)
      lease.release()
      // Once instances are loaded, what comes later is the live projector's.
      for (path, last) in [(reading, Self.entries + 1), (loading, Self.entries)] {
        let made = try replay(journal, into: path)
        #expect(made.checkpoint.position.index == UInt64(last))
        let again = "\(path)-again"
        _ = try IndexReplay.run(journal, upTo: UInt64(last), into: again, scratch: folder)
        #expect(
          try IndexReader(path: path).checkIndex() == IndexReader(path: again).checkIndex())
      }
    }
  }

  @Test func `a file that is no replay's stays, and one that another makes too`() throws {
    try withJournal(seed: 76) { journal, folder in
      let path = folder + "/mine"
      try Data("my own".utf8).write(to: URL(filePath: path))
      #expect(throws: ProjectionError.fileExists(path: path)) { try replay(journal, into: path) }
      for suffix in ["-spill", "-making", "-journal"] {
        // Beside a file of that name, and without one.
        for (place, other) in [path, folder + "/none"].enumerated() {
          try Data("x".utf8).write(to: URL(filePath: other + suffix))
          #expect {
            _ = try replay(journal, into: other)
          } throws: { error in
            let expected = place == 0 && suffix == "-journal" ? other : other + suffix
            return error as? ProjectionError == .fileExists(path: expected)
          }
          #expect(try String(contentsOfFile: other + suffix, encoding: .utf8) == "x")
          unlink(other + suffix)
        }
      }
      #expect(try String(contentsOfFile: path, encoding: .utf8) == "my own")
      let other = folder + "/other"
      try leave(journal, at: other, isLoading: false)
      let before = try names(folder)
      let mark = try #require(try WorkMark.take(other + "-making"))
      #expect(throws: ProjectionError.busy(operation: "replay", path: other)) {
        try replay(journal, into: other)
      }
      #expect(try names(folder) == before.union(["other-making"]))
      withExtendedLifetime(mark) {}
    }
  }

  /// The first page is there, and the journal that takes it back: killed between the write and the commit.
  @Test func `killed at the first write of all, it begins anew`() throws {
    try withJournal(seed: 80) { journal, folder in
      let path = folder + "/begun"
      let whole = try replay(journal, into: folder + "/whole").checkpoint
      try Data(contentsOf: URL(filePath: folder + "/whole")).prefix(4_096)
        .write(to: URL(filePath: path))
      try Data().write(to: URL(filePath: path + "-spill"))
      // Source: "The Rollback Journal", SQLite's file format: no page yet, of a file that was empty.
      let header: [UInt8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]
      let numbers: [UInt32] = [0, 0, 0, 512, 4_096]
      var rollback = Data(header)
      for number in numbers {
        withUnsafeBytes(of: number.bigEndian) { rollback.append(contentsOf: $0) }
      }
      rollback.append(Data(count: 512 - rollback.count))
      try rollback.write(to: URL(filePath: path + "-journal"))
      let made = try replay(journal, into: path)
      #expect(made.checkpoint == whole && made.beginning == .anew(why: "it had only begun"))
    }
  }

  /// The generation of that number is the next one, and is gone on with.
  private func makeLeft(
    _ number: UInt64, of journal: EventJournal, _ generations: IndexGenerations
  ) throws {
    let held = try generations.reserve()
    #expect(held.number == number)
    #expect(try generations.reserve().number == number + 1)
    var beginning: IndexReplay.Beginning?
    try generations.make(number, from: journal, began: { beginning = $0 })
    guard case .goesOn? = beginning else {
      Issue.record("\(String(describing: beginning))")
      return
    }
    withExtendedLifetime(held) {}
  }

  @Test func `a generation that was left unfinished is the next one, or is pruned`() throws {
    try withJournal(seed: 77) { journal, folder in
      let generations = IndexGenerations(folder: folder + "/store")
      try generations.switchCurrent(to: generations.replay(journal))
      try leave(journal, at: folder + "/left", isLoading: true)
      try copy(folder + "/left", to: generations.path(of: 4))
      try Data().write(to: URL(filePath: generations.path(of: 4) + "-making"))
      let found = try generations.found(store: journal.store).first { $0.number == 4 }
      guard case .unfinished? = found?.content else {
        Issue.record("\(String(describing: found))")
        return
      }
      try makeLeft(4, of: journal, generations)
      #expect(
        try IndexReader(path: generations.path(of: 4)).checkIndex()
          == generations.open(store: journal.store).reader.checkIndex())
      try copy(folder + "/left", to: generations.path(of: 7))
      try Data().write(to: URL(filePath: generations.path(of: 7) + "-making"))
      let pruned = try generations.prune(keeping: 0, store: journal.store).map(\.number)
      #expect(pruned == [4, 7])
      #expect(!(try names(folder + "/store")).contains { $0.hasPrefix("index-7") })
    }
  }
}
