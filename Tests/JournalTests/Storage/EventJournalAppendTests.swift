import Foundation
@testable import Journal
import Synchronization
import Testing

@Suite struct EventJournalAppendTests {
  @Test func `a new store has its first entries in epoch 1`() throws {
    try withTemporaryJournal { journal in
      #expect(journal.head.position == Position(epoch: 1, index: 2))
      let entries = try journal.entries(after: 0, limit: 10)
      #expect(entries.map(\.position.index) == [1, 2])
      #expect(entries.map(\.draft) == Drafts.first(of: journal.store).replacingID(from: entries))
      #expect(try journal.verify().commits == 1)
    }
  }

  @Test func `what was appended is there after opening again, byte for byte`() throws {
    try withTemporaryDirectory { folder in
      var bytes: [[UInt8]] = []
      var head: EventJournal.Head?
      do {
        let journal = try makeJournal(folder + "/s")
        for round in 0..<40 {
          head = try journal.appendNow(Drafts.mappings(round * 20..<round * 20 + round + 1))
        }
        bytes = try journal.entries(after: 0, limit: .max).map { try $0.encoded() }
      }
      let journal = try EventJournal.open(folder + "/s")
      #expect(journal.head.position == head?.position)
      #expect(journal.head.root == head?.root)
      #expect(try journal.entries(after: 0, limit: .max).map { try $0.encoded() } == bytes)
      #expect(try journal.verify().head.position.index == UInt64(bytes.count))
      #expect(TreeFrontier.root(of: bytes.map { TreeHash.leaf($0) }) == journal.head.root)
    }
  }

  @Test func `tiles are written as they complete, over many sizes`() throws {
    try withTemporaryJournal { journal in
      for size in [1, 252, 1, 1, 1, 255, 257, 600, 1500, 3] {
        try journal.appendNow(Drafts.mappings(0..<size))
        let again = try EventJournal.open(journal.files.directory)
        #expect(again.head.root == journal.head.root)
        #expect(again.head.position == journal.head.position)
      }
      let verification = try journal.verify()
      #expect(verification.tiles == journal.head.position.index / 256)
      #expect(verification.commits == 11)
    }
  }

  @Test func `refuses a decision made before another writer's entry`() throws {
    try withTemporaryJournal { journal in
      let before = journal.head.position
      let after = try journal.appendNow([Drafts.mapping(1)]).position
      let lease = try journal.lock.acquire(command: "test")
      #expect(throws: JournalError.staleHead(expected: before, actual: after)) {
        try journal.append([Drafts.mapping(2)], expecting: before, under: lease)
      }
      #expect(try journal.refresh().position == after)
    }
  }

  @Test func `HEAD follows after a refused append, whoever wrote it before`() throws {
    try withTemporaryJournal { first in
      let second = try EventJournal.open(first.files.directory)
      for number in 1...7 { try second.appendNow([Drafts.mapping(number)]) }
      let lease = try first.lock.acquire(command: "test")
      let head = try first.refresh().position
      #expect(throws: JournalError.self) {
        try first.append([Drafts.mapping(8)], expecting: .start, under: lease)
      }
      let after = try first.append([Drafts.mapping(8)], expecting: head, under: lease).position
      #expect(try HeadSlots.read(first.files.head)?.position == after)
    }
  }

  @Test func `two openings in one process see each other and interleave`() throws {
    try withTemporaryJournal { first in
      let second = try EventJournal.open(first.files.directory)
      for round in 0..<20 {
        let stamp = second.head.transactionID
        #expect(second.lastTransactionID == stamp)
        let head = try first.appendNow([Drafts.mapping(round)])
        #expect(second.lastTransactionID != stamp)
        #expect(try second.refresh() == head)
        let changes = try second.changes(after: head.position.index - 1, limit: 5)
        #expect(changes.map(\.position) == [head.position])
        let other = try second.appendNow([Drafts.mapping(1000 + round)])
        #expect(try first.refresh() == other)
      }
      #expect(try first.verify().head == first.head)
    }
  }

  @Test func `survives the loss of LMDB's lock file`() throws {
    try withTemporaryJournal { first in
      try first.appendNow([Drafts.mapping(1)])
      try FileManager.default.removeItem(atPath: first.files.journalLock)
      let second = try EventJournal.open(first.files.directory)
      for round in 0..<10 {
        try second.appendNow([Drafts.mapping(10 + round)])
        try first.appendNow([Drafts.mapping(100 + round)])
      }
      #expect(try first.verify().head.position.index == 23)
    }
  }

  @Test func `the map grows when it is too small`() throws {
    var options = EventJournal.Options()
    options.mapSizeBytes = 1 << 20
    try withTemporaryJournal(options: options) { journal in
      for round in 0..<60 {
        try journal.appendNow(Drafts.mappings(round * 500..<round * 500 + 500))
      }
      #expect(try journal.verify().head.position.index == 30_002)
    }
  }

  @Test func `the order time never steps back, the observed time may`() throws {
    try withTemporaryJournal { journal in
      let draft = Drafts.mapping(1)
      var authorship = draft.authorship
      authorship.observedAt = Timestamp(microseconds: 5)
      let early = EntryDraft(event: draft.event, authorship: authorship, request: draft.request)
      let before = journal.head.orderedAt
      try journal.appendNow([early])
      let entry = try #require(try journal.entry(at: 3))
      #expect(entry.orderedAt == before)
      #expect(entry.draft.authorship.observedAt == Timestamp(microseconds: 5))
    }
  }

  @Test func `an opening begins the next epoch and the index goes on`() throws {
    try withTemporaryJournal { journal in
      let opening = Drafts.opening(of: journal.store, epoch: 4)
      let head = try journal.appendNow([Drafts.mapping(1), opening, Drafts.mapping(2)])
      #expect(head.position == Position(epoch: 4, index: 5))
      #expect(try journal.entry(at: 3)?.position == Position(epoch: 1, index: 3))
      #expect(try journal.entry(at: 4)?.position == Position(epoch: 4, index: 4))
      #expect(try EventJournal.open(journal.files.directory).head.position == head.position)
      _ = try journal.verify()
    }
  }

  @Test func `entries as long as they may be are kept in order among short ones`() throws {
    try withTemporaryJournal { journal in
      for length in [1, 1900, 2000, 2040, 4096, 5000, 40_000, 65_000] {
        let text = ByteText(String(repeating: "x", count: length))
        try journal.appendNow([Drafts.mapping(length, project: text), Drafts.mapping(0)])
      }
      #expect(try journal.entries(after: 0, limit: .max).count == 18)
      _ = try journal.verify()
      let long = Drafts.mapping(1, project: ByteText(String(repeating: "x", count: 66_000)))
      #expect(throws: JournalError.self) { try journal.appendNow([Drafts.mapping(2), long]) }
      #expect(try journal.refresh().position.index == 18)
      try journal.appendNow([Drafts.mapping(3)])
      _ = try journal.verify()
    }
  }

  @Test func `proves entries and beginnings from its tiles`() throws {
    try withTemporaryJournal { journal in
      try journal.appendNow(Drafts.mappings(0..<1400))
      let old = journal.head
      try journal.appendNow(Drafts.mappings(0..<333))
      let new = journal.head
      for index in [1, 2, 255, 256, 257, 1402, 1403, 1735] as [UInt64] {
        let entry = try #require(try journal.entry(at: index))
        let path = try journal.inclusionProof(ofEntry: index, in: new.position.index)
        #expect(
          TreeProof.verifiesInclusion(
            ofLeaf: index - 1, hash: TreeHash.leaf(try entry.encoded()), in: new.position.index,
            root: new.root, path: path))
      }
      let path = try journal.consistencyProof(from: old.position.index, to: new.position.index)
      #expect(
        TreeProof.verifiesConsistency(
          from: old.position.index, root: old.root, to: new.position.index, root: new.root,
          path: path))
    }
  }

  @Test func `nothing is read beyond the head, and nothing before it is absent`() throws {
    try withTemporaryJournal { journal in
      let beyond = try journal.entry(at: 3)
      #expect(beyond == nil)
      #expect(try journal.entry(at: 0) == nil)
      #expect(try journal.entries(after: 2, limit: 5).isEmpty)
      #expect(try journal.entries(after: 99, limit: 5).isEmpty)
      #expect(try journal.entries(after: 1, limit: 5).count == 1)
    }
  }

  @Test func `a reader keeps up with a writer in another thread`() throws {
    try withTemporaryJournal { writer in
      let reader = try EventJournal.open(writer.files.directory)
      let thread = Thread {
        for round in 0..<300 { _ = try? writer.appendNow(Drafts.mappings(round..<round + 3)) }
      }
      thread.start()
      var seen: UInt64 = 2
      while seen < 902 {
        let head = try reader.refresh()
        let changes = try reader.changes(after: seen, limit: 1000)
        #expect(changes.map(\.position.index) == Array(seen + 1..<head.position.index + 1))
        seen = head.position.index
      }
      #expect(try reader.verify().head.position.index == 902)
    }
  }

  @Test func `a reader far behind catches up with a writer that doesn't pause`() throws {
    try withTemporaryJournal { writer in
      let reader = try EventJournal.open(writer.files.directory)
      let finished = Atomic(false)
      let thread = Thread {
        for _ in 0..<60 { _ = try? writer.appendNow(Drafts.mappings(0..<200)) }
        finished.store(true, ordering: .releasing)
      }
      thread.start()
      var readings = 0
      while !finished.load(ordering: .acquiring) {
        _ = try reader.refresh()
        readings += 1
      }
      #expect(readings > 1)
      #expect(try reader.refresh().position.index == 12_002)
    }
  }

  @Test func `an event of a newer program is verified, and not read`() throws {
    try withTemporaryJournal { journal in
      try journal.appendNow([Drafts.mapping(1)])
      var bytes = try #require(try journal.entry(at: 3)).encoded()
      (bytes[2], bytes[3], bytes[23]) = (0x77, 0x77, 4)
      try journal.appendRaw(bytes)
      #expect(try journal.refresh().position.index == 4)
      #expect(try journal.verify().head.position.index == 4)
      #expect(
        throws: JournalError.newerEvent(
          .unknownEvent(kind: 0x7777, schemaVersion: 1, index: 4))
      ) { try journal.changes(after: 0, limit: 10) }
      try journal.appendNow([Drafts.mapping(2)])
      #expect(try journal.entry(at: 5)?.position.index == 5)
    }
  }

  @Test func `writing without this store's lease is a bug of the caller`() async {
    await #expect(processExitsWith: .failure) {
      try withTemporaryJournal { journal in
        let lease = try journal.lock.acquire(command: "test")
        lease.release()
        _ = try journal.append(
          [Drafts.mapping(1)], expecting: journal.head.position, under: lease)
      }
    }
  }

  @Test func `a batch of nothing is a bug of the caller`() async {
    await #expect(processExitsWith: .failure) {
      try withTemporaryJournal { journal in _ = try journal.appendNow([]) }
    }
  }
}

extension EventJournal {
  /// Appends bytes as another program would: straight through LMDB.
  fileprivate func appendRaw(_ bytes: [UInt8]) throws {
    var leaves = try entries(after: 0, limit: .max).map { TreeHash.leaf(try $0.encoded()) }
    leaves.append(TreeHash.leaf(bytes))
    let value = bytes + TreeFrontier.root(of: leaves).bytes
    let environment = try LMDBEnvironment.shared(files.journal)
    try environment.write(after: lastTransactionID, growthBytes: 0, checksPlace: true) {
      (transaction) throws(LMDBError) in
      let entries = try transaction.database("entries", create: false)
      try transaction.append(
        UInt64(leaves.count), value, in: 0..<value.count, to: entries)
    }
  }
}

extension [EntryDraft] {
  /// The drafts with the random epoch id of what was written.
  fileprivate func replacingID(from entries: [Entry]) -> [EntryDraft] {
    enumerated().map { number, draft in
      guard case .store(.epochOpened(var opening)) = draft.event,
        case .store(.epochOpened(let written)) = entries[number].event
      else { return draft }
      opening.id = written.id
      return EntryDraft(
        event: .store(.epochOpened(opening)), authorship: draft.authorship,
        request: draft.request, evidence: draft.evidence)
    }
  }
}
