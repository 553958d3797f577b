import Foundation
import Journal
import Projections
import Registry
import Synchronization
import Testing

@Suite struct GroupCommitTests {
  @Test func `64 threads at once lose nothing, keep their order, and share commits`() throws {
    try withStore { store in
      let each = 10
      let ready = Mutex(0)
      let answers = inParallel(64) { thread -> [(RequestID, InstanceID, Outcome?)] in
        ready.withLock { $0 += 1 }
        while ready.withLock(\.self) < 64 { usleep(200) }
        return (0..<each).map { step in
          let id = InstanceID.number(UInt64(thread * 1000 + step))
          let request = RequestID.fresh()
          let change = Change.mapInstance(id, InstanceDraft(cell: .cell0, owner: .sample))
          return (
            request, id,
            try? store.registry.submit(Command(change, by: TestStore.author, request: request))
          )
        }
      }
      var indexes: [UInt64] = []
      for thread in answers {
        var last: UInt64 = 0
        for (request, id, outcome) in thread {
          let outcome = try #require(outcome)
          let entries = try #require(outcome.entries)
          #expect(entries.count == 1 && entries.lowerBound > last)
          #expect(outcome.position.index >= entries.upperBound)
          last = entries.lowerBound
          indexes.append(last)
          let draft = try #require(try store.journal.entry(at: last)).draft
          let record = InstanceRecord(cell: .cell0, owner: .sample)
          #expect(draft.event == .instance(id, .mapped(record)))
          #expect(draft.request.id == request && draft.authorship == TestStore.author)
        }
      }
      #expect(indexes.sorted() == Array(3...UInt64(2 + 64 * each)))
      let commits = try store.journal.verify().commits
      #expect(commits < UInt64(64 * each / 2), "\(commits) commits")
      try store.expectIndexEqualsReplay()
    }
  }

  @Test func `one request id from many threads is one change`() throws {
    try withStore { store in
      let request = RequestID.fresh()
      let answers = inParallel(16) { _ in
        try? store.registry.submit(
          Command(
            .mapInstance(.number(1), InstanceDraft(cell: nil, owner: .sample)),
            by: TestStore.author, request: request))
      }
      #expect(answers.allSatisfy { $0?.entries == 3...3 })
      #expect(answers.filter { $0?.isRepeated == false }.count == 1)
    }
  }

  @Test func `a removal among other commands begins its own group and counts rightly`() throws {
    try withStore { store in
      for round in 0..<20 as Range<UInt64> {
        let cell = try store.addCell(.number(round + 1))
        let answers = inParallel(8) { thread -> Result<Outcome, RegistryError> in
          let change: Change =
            thread == 4
            ? .removeCell(cell)
            : .mapInstance(
              .number(round * 100 + UInt64(thread)), InstanceDraft(cell: cell, owner: .sample))
          return Result { () throws(RegistryError) in
            try store.registry.submit(
              Command(change, by: TestStore.author, request: .fresh()))
          }
        }
        let mapped = answers.enumerated().filter {
          if $0.offset != 4, case .success = $0.element { true } else { false }
        }.count
        switch answers[4] {
        case .success: #expect(mapped == 0)
        case .failure(.refused(.cellNotEmpty(_, 0, let instances))):
          #expect(instances > 0 && instances <= mapped)
        case .failure(let error): Issue.record("\(error)")
        }
      }
      try store.expectIndexEqualsReplay()
    }
  }

  @Test func `a burst beyond the overlay waits for the index and goes on`() throws {
    try withStore { store in
      let count = Overlay.capacity + 4000
      for start in stride(from: 0, to: count, by: 2000) {
        let observations = (start..<start + 2000).map {
          Observation(
            .instance(.number(UInt64($0)), InstanceRecord(cell: nil, owner: .sample)),
            evidence: nil)
        }
        try store.submit(bulk: "burst", .take(observations), RequestID(UUID128(high: 1, low: 1)))
      }
      #expect(try store.caughtUpIndex().countInstances() >= UInt64(count))
    }
  }

  @Test func `closing lets commands in flight finish, and refuses later ones`() throws {
    try withStoreFolder { folder in
      let store = try makeStore(folder)
      let answers = inParallel(17) { thread -> [Result<Outcome, RegistryError>] in
        if thread == 16 {
          usleep(20_000)
          return [
            Result { () throws(RegistryError) in
              try store.registry.close()
              return Outcome(position: .start, entries: nil)
            }
          ]
        }
        return (0..<200).map { step in
          Result { () throws(RegistryError) in
            try store.registry.submit(
              Command(
                .mapInstance(
                  .number(UInt64(thread * 1000 + step)), InstanceDraft(cell: nil, owner: .sample)),
                by: TestStore.author, request: .fresh()))
          }
        }
      }
      var accepted: UInt64 = 0
      for answer in answers[..<16].joined() {
        switch answer {
        case .success: accepted += 1
        case .failure(.closed): continue
        case .failure(let error): Issue.record("\(error)")
        }
      }
      #expect(try answers[16][0].get().position == .start)
      let again = try TestStore(opening: folder)
      #expect(again.journal.head.position.index == 2 + accepted)
      let index = try again.index.open(store: again.journal.store).reader
      #expect(try index.checkpoint().position.index == 2 + accepted)
      try again.registry.close()
    }
  }

  @Test func `closing twice is the same as once`() throws {
    try withStoreFolder { folder in
      let store = try makeStore(folder)
      try store.map(.number(1), to: nil)
      try store.registry.close()
      try store.registry.close()
      #expect(throws: RegistryError.self) { try store.map(.number(2), to: nil) }
    }
  }
}
