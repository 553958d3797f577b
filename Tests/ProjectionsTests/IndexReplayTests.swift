import Foundation
import Journal
import Projections
import TestSupport
import Testing

@Suite struct IndexReplayTests {
  /// The bytes of a history's entries, each with an author, a reason and evidence.
  private func encoded(_ history: RandomHistory) throws -> [[UInt8]] {
    try history.changes.map { change in
      let authorship = Authorship(
        actor: "alice", program: "cellmap 1.0", reason: "a test",
        observedAt: Timestamp(microseconds: Int64(change.position.index)))
      let evidence = Evidence(
        source: "sqlite:///cell1", cell: .cell0, table: "instances", rowKey: "5",
        rowDigest: RandomHistory.root(5), readAt: Timestamp(microseconds: 5))
      let draft = EntryDraft(
        event: change.event, authorship: authorship, request: change.request, evidence: evidence)
      return try Entry(
        position: change.position, orderedAt: authorship.observedAt, draft: draft
      ).encoded()
    }
  }

  private func replay(
    _ entries: some Sequence<[UInt8]>, of history: RandomHistory, into path: String,
    memoryBytes: Int = IndexReplay.defaultMemoryBytes
  ) throws -> IndexCheckpoint {
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent().path
    let replay = try IndexReplay(
      store: history.store, into: path, entries: UInt64(history.changes.count), scratch: folder,
      memoryBytes: memoryBytes)
    for entry in entries { try replay.add([1, 2, 3] + entry + [4], at: 3) }
    return try replay.finish(root: RandomHistory.root(replay.lastPosition.index))
  }

  @Test(arguments: [UInt64(41), 42, 43], [0, 10_000, 1 << 30])
  func `gives the same index as the live projector`(seed: UInt64, memoryBytes: Int) throws {
    let history = RandomHistory(seed: seed, count: 3_000)
    try withTemporaryFolder { folder in
      try makeIndex(of: history, at: folder + "/live")
      let checkpoint = try replay(
        encoded(history), of: history, into: folder + "/again", memoryBytes: memoryBytes)
      let live = try IndexReader(path: folder + "/live")
      let again = try IndexReader(path: folder + "/again")
      #expect(try live.checkIndex() == again.checkIndex(), "seed \(seed)")
      #expect(try again.checkpoint() == checkpoint)
      #expect(try live.checkpoint() == checkpoint)
      for (id, row) in history.instances { #expect(try again.instance(id) == row) }
      for (entity, index) in history.departed {
        #expect(try again.departure(of: entity) == index)
      }
      #expect(again.store == history.store)
    }
  }

  // Of all instances in one partition, parts of it and of those are made.
  @Test(arguments: [12, 30, 64, 100], [0, 10_000, 200_000])
  func `gives the same index for UUIDs that share their first bits`(
    sharedBits: Int, memoryBytes: Int
  ) throws {
    let history = RandomHistory(seed: 51, count: 3_000, sharedBits: sharedBits)
    try withTemporaryFolder { folder in
      try makeIndex(of: history, at: folder + "/live")
      let checkpoint = try replay(
        encoded(history), of: history, into: folder + "/again", memoryBytes: memoryBytes)
      let again = try IndexReader(path: folder + "/again")
      #expect(try again.checkIndex() == IndexReader(path: folder + "/live").checkIndex())
      #expect(try again.checkpoint() == checkpoint)
    }
  }

  @Test func `leaves nothing in the folder but the index`() throws {
    let history = RandomHistory(seed: 44, count: 500)
    try withTemporaryFolder { folder in
      _ = try replay(encoded(history), of: history, into: folder + "/i", memoryBytes: 0)
      let names = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(Set(names) == ["i", "i-wal", "i-shm"])
    }
  }

  @Test func `the live projector goes on where replay to a position ended`() throws {
    let history = RandomHistory(seed: 45, count: 2_000)
    try withTemporaryFolder { folder in
      try makeIndex(of: history, at: folder + "/live")
      let checkpoint = try replay(
        encoded(history).prefix(700), of: history, into: folder + "/again")
      #expect(checkpoint.position == Position(epoch: 1, index: 700))
      let projector = try IndexProjector(path: folder + "/again")
      try project(Array(history.changes[700...]), with: projector)
      #expect(
        try IndexReader(path: folder + "/again").checkIndex()
          == IndexReader(path: folder + "/live").checkIndex())
    }
  }

  @Test func `replays an empty journal`() throws {
    let history = RandomHistory(seed: 46, count: 2)
    try withTemporaryFolder { folder in
      #expect(try replay([], of: history, into: folder + "/i") == .start)
      let projector = try IndexProjector(path: folder + "/i")
      try project(history.changes, with: projector)
      _ = try IndexReader(path: folder + "/i").checkIndex()
    }
  }

  @Test func `stops at a gap, naming what it awaits`() throws {
    let history = RandomHistory(seed: 47, count: 50)
    try withTemporaryFolder { folder in
      let path = folder + "/i"
      var entries = try encoded(history)
      entries.remove(at: 20)
      #expect(throws: ProjectionError.outOfOrder(path: path, expected: 21, found: 22)) {
        try replay(entries, of: history, into: path)
      }
    }
  }

  @Test func `stops at an event of a newer program, naming position, kind and version`() throws {
    let history = RandomHistory(seed: 48, count: 50)
    try withTemporaryFolder { folder in
      var entries = try encoded(history)
      entries[30][1] = 7
      let kind = UInt16(entries[30][2]) << 8 | UInt16(entries[30][3])
      #expect(
        throws: ProjectionError.unreadableEntry(
          index: 31, .unknownEvent(kind: kind, schemaVersion: 7, index: 31))
      ) { try replay(entries, of: history, into: folder + "/i") }
    }
  }

  @Test func `names a malformed entry that was set aside`() throws {
    let history = RandomHistory(seed: 49, count: 200)
    try withTemporaryFolder { folder in
      var entries = try encoded(history)
      let place = try #require(
        history.changes.firstIndex {
          if case .instance(_, .mapped) = $0.event { true } else { false }
        })
      entries[place][entries[place].count - 1] ^= 0xFF
      let error = #expect(throws: ProjectionError.self) {
        try replay(entries, of: history, into: folder + "/i")
      }
      guard case .unreadableEntry(let index, _) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(index == UInt64(place + 1))
    }
  }

  @Test func `refuses to replay over a file that exists`() throws {
    let history = RandomHistory(seed: 50, count: 10)
    try withTemporaryFolder { folder in
      try makeIndex(of: history, at: folder + "/i")
      #expect(throws: ProjectionError.fileExists(path: folder + "/i")) {
        try IndexReplay(store: history.store, into: folder + "/i", entries: 1, scratch: folder)
      }
    }
  }
}
