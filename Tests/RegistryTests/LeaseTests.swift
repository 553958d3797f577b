import Foundation
import Journal
import Projections
import Registry
import Synchronization
import Testing

@Suite struct LeaseTests {
  private func command(_ instance: UInt64) -> Command {
    Command(
      .mapInstance(.number(instance), InstanceDraft(cell: nil, owner: .sample)),
      by: TestStore.author, request: .fresh())
  }

  /// Submits a command, and again while others hold the lease for longer than it waits.
  private func submit(_ command: Command, to store: TestStore) throws(RegistryError) -> Outcome {
    let deadline = ContinuousClock.now.advanced(by: .seconds(60))
    while true {
      do throws(RegistryError) {
        return try store.registry.submit(command)
      } catch {
        guard case .journal(.locked(_, _)) = error, ContinuousClock.now < deadline else {
          throw error
        }
      }
    }
  }

  @Test func `two openings of one store write in turns and lose nothing`() throws {
    try withStoreFolder { folder in
      let first = try makeStore(folder)
      let stores = [first, try TestStore(opening: folder)]
      let answers = inParallel(12) { thread -> [Result<Outcome, RegistryError>] in
        (0..<25).map { step in
          Result { () throws(RegistryError) in
            try submit(command(UInt64(thread * 100 + step)), to: stores[thread % 2])
          }
        }
      }
      var indexes: [UInt64] = []
      for (thread, answer) in answers.enumerated() {
        for (step, result) in answer.enumerated() {
          let index = try #require(try result.get().entries).lowerBound
          let entry = try #require(try stores[thread % 2].journal.entry(at: index))
          #expect(entry.event.entity == .instance(.number(UInt64(thread * 100 + step))))
          indexes.append(index)
        }
      }
      #expect(indexes.sorted() == Array(3...302))
      for store in stores {
        try store.registry.close()
      }
      let again = try TestStore(opening: folder)
      #expect(again.journal.head.position.index == 302)
      try again.expectIndexEqualsReplay()
      try again.registry.close()
    }
  }

  @Test func `one opening decides on what another has just written`() throws {
    try withStoreFolder { folder in
      let first = try makeStore(folder)
      let second = try TestStore(opening: folder)
      for number in 1...30 as ClosedRange<UInt64> {
        let (here, there) = number % 2 == 0 ? (first, second) : (second, first)
        try here.map(.number(number), to: nil)
        try there.submit(.markForDeletion(.number(number), true))
        try here.submit(.unmapInstance(.number(number)))
        expectRefusal(.unknownInstance(.number(number))) {
          try there.submit(.unmapInstance(.number(number)))
        }
      }
      try second.expectIndexEqualsReplay()
      try first.registry.close()
      try second.registry.close()
    }
  }

  @Test func `an idle registry holds no lease and no snapshot of the index`() throws {
    try withStore { store in
      try store.map(.number(1), to: nil)
      try store.registry.waitUntilProjected()
      let lease = try StoreLock(store.journal.files.lock).acquire(command: "other")
      lease.release()
      let path = store.index.path(of: try store.index.current().number)
      let connection = try SQLiteConnection(path: path, mode: .readWrite)
      #expect(try connection.integer("PRAGMA wal_checkpoint(TRUNCATE)") == 0)
    }
  }

  /// Lets so many entries gather that the projector gives way to another who waits for the lease.
  private func giveWay(_ store: TestStore) throws {
    let states = (1...10_000 as ClosedRange<UInt64>).map {
      Observation.State.instance(.number($0), InstanceRecord(cell: nil, owner: .sample))
    }
    try store.submit(
      bulk: "bulk", .take(states.map { Observation($0, evidence: nil) }), .fresh())
    try StoreLock(store.journal.files.lock)
      .acquire(command: "other", timeoutMilliseconds: 60_000).release()
  }

  private func expectCaughtUp(_ store: TestStore) throws {
    let index = try store.index.open(store: store.journal.store).reader
    #expect(try index.checkpoint().position == store.journal.head.position)
  }

  @Test func `who waits for the index gets it, though the lease went to another`() throws {
    try withStore { store in
      try giveWay(store)
      try store.registry.waitUntilProjected()
      try expectCaughtUp(store)
    }
  }

  @Test func `closing brings the index up, though the lease went to another`() throws {
    try withStoreFolder { folder in
      let store = try makeStore(folder)
      try giveWay(store)
      try store.registry.close()
      try expectCaughtUp(store)
    }
  }

  @Test func `a refused command leaves the registry idle`() throws {
    try withStore { store in
      expectRefusal(.unknownInstance(.number(1))) {
        try store.submit(.unmapInstance(.number(1)))
      }
      let lease = try StoreLock(store.journal.files.lock).acquire(command: "other")
      lease.release()
    }
  }

  @Test func `a writer that waits comes in between the groups of a busy one`() throws {
    try withStoreFolder { folder in
      let busy = try makeStore(folder)
      let other = try TestStore(opening: folder)
      let isOver = Mutex(false)
      let answers = inParallel(5) { thread -> [UInt64] in
        if thread == 4 {
          defer { isOver.withLock { $0 = true } }
          return (0..<5 as Range<UInt64>).compactMap { step in
            usleep(50_000)
            let before = busy.journal.head.position.index
            guard
              let entry = try? submit(command(1_000_000 + step), to: other).entries?.lowerBound
            else { return nil }
            return entry - before
          }
        }
        var step: UInt64 = 0
        while !isOver.withLock({ $0 }) {
          step += 1
          _ = try? busy.registry.submit(command(UInt64(thread) * 100_000 + step))
        }
        return []
      }
      #expect(answers[4].count == 5)
      // 16 groups of at most 4 commands, and what came before it waited.
      #expect(answers[4].allSatisfy { $0 < 1000 }, "\(answers[4])")
      try busy.registry.close()
      try other.registry.close()
    }
  }

  @Test func `a lease that is held is named after the time-out, and taken once it is free`() throws
  {
    try withStore { store in
      let lock = try StoreLock(store.journal.files.lock)
      let lease = try lock.acquire(command: "a long backup")
      do {
        try store.map(.number(1), to: nil)
        Issue.record("accepted")
      } catch RegistryError.journal(.locked(_, let holder)) {
        #expect(holder?.command == "a long backup")
        #expect(holder?.processID == getpid())
      }
      lease.release()
      #expect(try store.map(.number(1), to: nil).entries == 3...3)
      try store.registry.waitUntilProjected()
    }
  }

  @Test func `a registry that is let go of unclosed gives everything back`() throws {
    try withStoreFolder { folder in
      do {
        let store = try makeStore(folder)
        try store.map(.number(1), to: nil)
      }
      let again = try TestStore(opening: folder)
      let index = try again.index.open(store: again.journal.store).reader
      #expect(try index.checkpoint().position.index == 3)
      try again.map(.number(2), to: nil)
      try again.registry.close()
    }
  }

  @Test func `a tail that a dead writer left is projected by the next`() throws {
    try withStoreFolder { folder in
      let journal = try makeStore(folder).journal
      let lease = try journal.lock.acquire(command: "dies")
      let drafts = (1...50).map { number in
        EntryDraft(
          event: .instance(
            .number(number), .mapped(InstanceRecord(cell: nil, owner: .sample))),
          authorship: TestStore.author, request: RequestMark(id: .fresh(), content: nil))
      }
      _ = try journal.append(drafts, expecting: journal.refresh().position, under: lease)
      lease.release()
      let store = try TestStore(opening: folder)
      expectRefusal(.ownerDiffers(.number(50))) {
        try store.submit(
          .mapInstance(
            .number(50),
            InstanceDraft(cell: nil, owner: InstanceOwner(project: "other", user: nil))))
      }
      try store.expectIndexEqualsReplay()
      #expect(try store.caughtUpIndex().countInstances() == 50)
      try store.registry.close()
    }
  }

  @Test func `an index that was switched to meanwhile is the one that is asked and written`() throws
  {
    try withStore { store in
      try store.map(.number(1), to: nil)
      try store.registry.waitUntilProjected()
      let number = try store.index.replay(store.journal)
      let lease = try StoreLock(store.journal.files.lock).acquire(command: "replay")
      try store.index.switchCurrent(to: number)
      lease.release()
      try store.map(.number(2), to: nil)
      let index = try store.caughtUpIndex()
      #expect(index.path == store.index.path(of: number))
      #expect(try index.checkpoint().position.index == 4)
    }
  }
}
