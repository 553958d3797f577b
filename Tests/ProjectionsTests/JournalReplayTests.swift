import Foundation
import Journal
import Projections
import TestSupport
import Testing

@Suite struct JournalReplayTests {
  private let authorship = Authorship(
    actor: "alice", program: "cellmap 1.0", reason: "a test", observedAt: .now)

  private func drafts(_ changes: some Sequence<EntryChange>) -> [EntryDraft] {
    changes.map { EntryDraft(event: $0.event, authorship: authorship, request: $0.request) }
  }

  /// A store whose journal holds the first `count` entries of `history`.
  private func withStore(
    _ history: RandomHistory, count: Int, _ body: (EventJournal, IndexGenerations) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      let journal = try makeJournal(of: history, count: count, in: folder + "/store")
      try body(journal, IndexGenerations(folder: folder + "/store"))
    }
  }

  /// Ends with the lease of the beginning given back.
  private func makeJournal(
    of history: RandomHistory, count: Int, in folder: String
  ) throws -> EventJournal {
    try StoreBeginning(folder, store: history.store)
      .finish(drafts(history.changes.prefix(count)))
  }

  @Test func `replays a journal beside the index that serves, catches up and switches`() throws {
    let history = RandomHistory(seed: 61, count: 3_000)
    try withStore(history, count: 2_000) { (journal, generations) throws in
      #expect(throws: ProjectionError.fault(.noCurrent)) { try generations.current() }
      var reports: [UInt64] = []
      let first = try generations.replay(journal) { reports.append($0) }
      #expect(first == 1)
      // Half of the work is to set entries aside, and half to load them.
      #expect(reports.first == 1_000 && reports == reports.sorted())
      #expect(reports.last.map { (1_900...2_000).contains($0) } == true)
      let lease = try journal.lock.acquire(command: "test")
      _ = try journal.append(
        drafts(history.changes[2_000...]), expecting: Position(epoch: 1, index: 2_000),
        under: lease)
      let checkpoint = try generations.catchUp(first, with: journal)
      #expect(checkpoint.position == journal.head.position)
      #expect(checkpoint.root == journal.head.root)
      try generations.switchCurrent(to: first)

      let second = try generations.replay(journal)
      #expect(second == 2)
      let reader = try generations.open(store: journal.store).reader
      #expect(reader.path == generations.path(of: 1))
      let again = try IndexReader(path: generations.path(of: second))
      #expect(try reader.checkIndex() == again.checkIndex())
      #expect(try reader.checkpoint() == again.checkpoint())
      try IndexGenerations.compare(
        try reader.checkpoint(), at: reader.path, head: 3_000, root: journal.root(at: 3_000))
      for (id, row) in history.instances { #expect(try reader.instance(id) == row) }
    }
  }

  @Test func `replays to a position, into any file`() throws {
    let history = RandomHistory(seed: 62, count: 1_000)
    try withStore(history, count: 1_000) { (journal, generations) throws in
      let path = generations.folder + "/at-300"
      let checkpoint = try IndexReplay.run(
        journal, upTo: 300, into: path, scratch: generations.folder)
      #expect(checkpoint.position == Position(epoch: 1, index: 300))
      #expect(checkpoint.root == (try journal.root(at: 300)))
      let live = generations.folder + "/live"
      let projector = try IndexProjector.create(at: live, store: history.store)
      try project(Array(history.changes.prefix(300)), with: projector)
      #expect(try IndexReader(path: path).checkIndex() == IndexReader(path: live).checkIndex())
      #expect(try generations.numbers().isEmpty)
    }
  }

  @Test func `leaves no file behind when it can't go on`() throws {
    let history = RandomHistory(seed: 63, count: 50)
    try withStore(history, count: 50) { (journal, generations) throws in
      let path = journal.files.journal
      var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      let name = Data("alice".utf8)
      while let range = bytes.range(of: name) { bytes[range.lowerBound] ^= 1 }
      let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
      try handle.write(contentsOf: bytes)
      try handle.synchronize()
      #expect(throws: ProjectionError.self) { try generations.replay(journal) }
      #expect(try generations.numbers().isEmpty)
    }
  }
}
