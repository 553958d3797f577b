import Journal
import Projections
import Registry
import Testing

@Suite struct RequestTests {
  private let change = Change.mapInstance(
    .number(1), InstanceDraft(cell: nil, owner: .sample))

  private func same(_ answer: Outcome, as first: Outcome) -> Bool {
    answer.isRepeated && answer.entries == first.entries && answer.entity == first.entity
      && answer.finished == first.finished
  }

  @Test func `the same id and content give the first answer again`() throws {
    try withStore { store in
      let id = RequestID.fresh()
      let first = try store.submit(change, id)
      try store.submit(.markForDeletion(.number(1), true))
      #expect(same(try store.submit(change, id), as: first))
      #expect(store.journal.head.position.index == 4)
    }
  }

  @Test func `the first answer outlives the registry, the index and the instance`() throws {
    try withStoreFolder { folder in
      let id = RequestID.fresh()
      let store = try makeStore(folder)
      let first = try store.submit(change, id)
      try store.submit(.unmapInstance(.number(1)))
      try store.registry.close()
      let again = try TestStore(opening: folder)
      #expect(same(try again.submit(change, id), as: first))
      let number = try again.index.replay(again.journal)
      try again.registry.close()
      try again.index.switchCurrent(to: number)
      let replayed = try TestStore(opening: folder)
      #expect(same(try replayed.submit(change, id), as: first))
      #expect(replayed.journal.head.position.index == 4)
      try replayed.registry.close()
    }
  }

  @Test func `the same id with other content is refused`() throws {
    try withStore { store in
      let id = RequestID.fresh()
      try store.submit(change, id)
      let others: [(Change, [Guard])] = [
        (.mapInstance(.number(2), InstanceDraft(cell: nil, owner: .sample)), []),
        (.mapInstance(.number(1), InstanceDraft(cell: .cell0, owner: .sample)), []),
        (
          .mapInstance(.number(1), InstanceDraft(cell: nil, owner: .sample, isTest: true)), []
        ),
        (change, [Guard(.instance(.number(1)), .exists)]),
        (.unmapInstance(.number(1)), []),
      ]
      for (other, guards) in others {
        expectRefusal(.requestReused(id)) { try store.submit(other, id, guards: guards) }
      }
      try store.registry.waitUntilProjected()
      expectRefusal(.requestReused(id)) { try store.submit(.unmapInstance(.number(1)), id) }
    }
  }

  @Test func `clear secrets are content`() throws {
    try withStore { store in
      let id = RequestID.fresh()
      func change(_ password: String) throws -> Change {
        let address = try databaseAddress("mysql+pymysql://nova:\(password)@db/cell")
        return .addCell(
          id: .number(1), CellDraft(name: nil, addresses: AddressDraft(database: address)))
      }
      let first = try store.submit(change("one"), id)
      #expect(same(try store.submit(change("one"), id), as: first))
      expectRefusal(.requestReused(id)) { try store.submit(change("two"), id) }
    }
  }

  @Test func `refusals and no-ops are not recorded`() throws {
    try withStore { store in
      let id = RequestID.fresh()
      expectRefusal(.unknownInstance(.number(1))) {
        try store.submit(.unmapInstance(.number(1)), id)
      }
      let first = try store.submit(change, id)
      #expect(!first.isRepeated && first.entries == 3...3)
      let second = RequestID.fresh()
      let nothing = try store.submit(.markForDeletion(.number(1), false), second)
      #expect(nothing.entries == nil)
      #expect(try store.submit(.markForDeletion(.number(1), true), second).entries == 4...4)
    }
  }

  @Test func `refuses the id that stands for none`() throws {
    try withStore { store in
      let what = "The request id 00000000-0000-0000-0000-000000000000"
      expectRefusal(.badName(what: what, why: "stands for no request")) {
        try store.submit(change, RequestID.none)
      }
    }
  }

  @Test func `a bulk command goes on where it ended, and repeats its counts once finished`() throws
  {
    try withStoreFolder { folder in
      let id = RequestID.fresh()
      let title: ByteText = "adopt something"
      let states = (1...6).map {
        Observation.State.instance(.number($0), InstanceRecord(cell: nil, owner: .sample))
      }
      func chunk(_ range: Range<Int>) -> (Change, KeyRange) {
        let observations = states[range].map { Observation($0, evidence: nil) }
        let keys = KeyRange(
          kind: .instance, first: ByteText("\(range.lowerBound)"),
          last: ByteText("\(range.upperBound)"))
        return (.take(observations), keys)
      }
      let counts = ChangeCounts(instances: 6)
      let store = try makeStore(folder)
      #expect(
        try store.submit(bulk: title, chunk(0..<3).0, id, chunk: chunk(0..<3).1).entries == 3...5)
      try store.registry.close()

      let again = try TestStore(opening: folder)
      #expect(
        try again.submit(bulk: title, chunk(0..<3).0, id, chunk: chunk(0..<3).1).entries == nil)
      #expect(
        try again.submit(bulk: title, chunk(3..<6).0, id, chunk: chunk(3..<6).1).entries == 6...8)
      expectRefusal(.requestReused(id)) { try again.submit(change, id) }
      expectRefusal(.requestReused(id)) {
        try again.submit(bulk: "another", chunk(0..<3).0, id)
      }
      let finished = try again.submit(bulk: title, .finishRequest(counts), id)
      #expect(finished.finished == counts && !finished.isRepeated)
      let repeated = try again.submit(bulk: title, .finishRequest(ChangeCounts()), id)
      #expect(repeated.finished == counts && repeated.isRepeated)
      #expect(repeated.entries == 3...9)
      let late = try again.submit(bulk: title, .take([]), id)
      #expect(late.finished == counts && late.isRepeated)
      let entry = try #require(try again.journal.entry(at: 6))
      #expect(entry.draft.request.chunk == chunk(3..<6).1)
      try again.expectIndexEqualsReplay()
      let earlier = try MapRegistry.earlierAnswer(
        toBulk: title, under: id, in: try again.caughtUpIndex(),
        at: again.journal.head.position, keys: again.keys)
      #expect(earlier?.finished == counts)
      try again.registry.close()
    }
  }
}

@Suite struct GuardTests {
  private let instance = EntityKey.instance(.number(1))

  private func position(_ index: UInt64) -> Position { Position(epoch: 1, index: index) }

  private func expectGuard(
    _ condition: Guard.Condition, fails entry: UInt64?, _ store: TestStore
  ) throws {
    let condition = Guard(instance, condition)
    let change = Change.addCell(id: nil, CellDraft(name: nil, addresses: AddressDraft()))
    if let entry {
      expectRefusal(.guardFailed(condition, entry: entry)) {
        try store.submit(change, guards: [condition])
      }
    } else {
      try store.submit(change, guards: [condition])
    }
  }

  /// Before it is mapped, while it is, and after, on the overlay and on the index.
  @Test(arguments: [false, true])
  func `holds or names the entry that came first`(isProjected: Bool) throws {
    try withStore { store in
      func settle() throws { if isProjected { try store.registry.waitUntilProjected() } }
      try expectGuard(.exists, fails: 0, store)
      try expectGuard(.unchanged(since: position(2)), fails: 0, store)
      try expectGuard(.absent, fails: nil, store)
      let mapped = try #require(try store.map(.number(1), to: nil).entries).lowerBound
      try settle()
      try expectGuard(.absent, fails: mapped, store)
      try expectGuard(.exists, fails: nil, store)
      try expectGuard(.unchanged(since: position(mapped)), fails: nil, store)
      try expectGuard(.unchanged(since: position(mapped - 1)), fails: mapped, store)
      let gone = try #require(try store.submit(.unmapInstance(.number(1))).entries).lowerBound
      try settle()
      try expectGuard(.exists, fails: gone, store)
      try expectGuard(.unchanged(since: position(gone)), fails: gone, store)
      try expectGuard(.absent, fails: nil, store)
    }
  }

  @Test func `a position that this store never had is refused, not compared`() throws {
    try withStore { store in
      let mapped = try #require(try store.map(.number(1), to: nil).entries).lowerBound
      for isProjected in [false, true] {
        if isProjected { try store.registry.waitUntilProjected() }
        let head = Position(epoch: 1, index: mapped)
        for (given, entry) in [
          (Position(epoch: 1, index: mapped + 1), nil),
          (Position(epoch: 2, index: mapped), head),
          (Position(epoch: 2, index: mapped + 1), nil), (Position.start, nil),
          (Position(epoch: 7, index: 2), Position(epoch: 1, index: 2)),
        ] as [(Position, Position?)] {
          expectRefusal(.notAPosition(given, entry: entry, head: head)) {
            try store.submit(
              .unmapInstance(.number(1)), guards: [Guard(instance, .unchanged(since: given))])
          }
        }
      }
    }
  }

  @Test func `a guard of a history that was left is refused, before and after it is projected`()
    throws
  {
    try withStore { store in
      let mapped = try #require(try store.map(.number(1), to: nil).entries).lowerBound
      try store.registry.waitUntilProjected()
      let opened = try store.openEpoch(2)
      for isProjected in [false, true] {
        if isProjected { try store.registry.projectTail() }
        let head = Position(epoch: 2, index: opened)
        let left = Position(epoch: 1, index: opened)
        expectRefusal(.notAPosition(left, entry: head, head: head)) {
          try store.submit(
            .unmapInstance(.number(1)), guards: [Guard(instance, .unchanged(since: left))])
        }
        // What was read before the epoch began is of both histories.
        let common = Guard(instance, .unchanged(since: position(mapped)))
        #expect(
          try store.submit(.enableCell(.cell0, force: false), guards: [common]).entries == nil)
      }
    }
  }

  @Test func `a guard on a removed cell or host names the entry that took it away`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      try store.submit(.mapHost("compute-1", to: .number(1)))
      try store.submit(.unmapHost("compute-1"))
      try store.submit(.removeCell(.number(1)))
      for (entity, entry) in [
        (EntityKey.host("compute-1"), 5), (.cell(.number(1)), 6),
      ] as [(EntityKey, UInt64)] {
        let exists = Guard(entity, .exists)
        expectRefusal(.guardFailed(exists, entry: entry)) {
          try store.submit(
            .mapInstance(.number(1), .init(cell: nil, owner: .sample)), guards: [exists])
        }
      }
    }
  }
}
