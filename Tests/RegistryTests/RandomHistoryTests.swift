import Journal
import Projections
import Registry
import Testing

/// A generator that gives the same numbers for the same seed (SplitMix64).
private struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}

/// Commands that often meet: few cells, hosts and instances.
private struct RandomCommands {
  var random: SeededGenerator

  mutating func number(_ bound: UInt64) -> UInt64 { random.next() % bound }

  private mutating func cell() -> CellID { number(8) == 0 ? .cell0 : .number(number(5)) }
  private mutating func instance() -> InstanceID { .number(number(25)) }
  private mutating func host() -> ByteText { ByteText("compute-\(number(6))") }
  private mutating func owner() -> InstanceOwner {
    InstanceOwner(project: "project", user: ByteText("user-\(number(2))"))
  }
  private mutating func name() -> ByteText? {
    [nil, "one", "caf\u{E9}", "cafe\u{301}", "' OR 1=1"][Int(number(5))]
  }

  mutating func change() -> Change {
    switch number(20) {
    case 0, 1:
      .addCell(id: .number(number(5)), CellDraft(name: name(), addresses: AddressDraft()))
    case 2: .renameCell(cell(), to: name())
    case 3: number(3) == 0 ? .disableCell(cell()) : .enableCell(cell(), force: true)
    case 4: number(4) == 0 ? .beginRemovingCell(cell()) : .setCoverage(cell(), number(2) == 0)
    case 5: .removeCell(cell())
    case 6: .mapHost(host(), to: cell())
    case 7: .unmapHost(host())
    case 8, 9, 10:
      .mapInstance(
        instance(),
        InstanceDraft(
          cell: number(4) == 0 ? nil : cell(), owner: owner(), isTest: number(4) == 0))
    case 11, 12: .remapInstance(instance(), to: number(4) == 0 ? nil : cell())
    case 13: .setOwner(instance(), owner())
    case 14: .markForDeletion(instance(), number(2) == 0)
    case 15: .unmapInstance(instance())
    case 16:
      .recordSighting(
        instance(),
        HostSighting(
          host: host(), at: Timestamp(microseconds: Int64(number(1 << 40))), source: "test"))
    default: .take((0...number(5)).map { _ in observation() })
    }
  }

  private mutating func observation() -> Observation {
    let record = InstanceRecord(
      cell: number(4) == 0 ? nil : cell(), owner: owner(), isQueuedForDelete: number(2) == 0)
    return Observation(.instance(instance(), number(6) == 0 ? nil : record), evidence: nil)
  }
}

@Suite struct RandomHistoryTests {
  @Test(arguments: [1, 2, 3, UInt64.random(in: 0 ... .max)])
  func `the index, a replay and the reference model agree`(seed: UInt64) throws {
    try withStoreFolder { folder in
      var commands = RandomCommands(random: SeededGenerator(state: seed))
      var reference = ReferenceMap()
      var store = try makeStore(folder)
      for step in 0..<400 {
        let change = commands.change()
        let request = RequestID.fresh()
        let before = store.journal.head.position.index
        let expected = reference.apply(change)
        var found: Outcome?
        do {
          var bulk: BulkMark?
          if case .take = change { bulk = BulkMark(title: "take", chunk: nil) }
          found = try store.submit(change, request, bulk: bulk)
        } catch RegistryError.refused {
          found = nil
        }
        try check(found, is: expected, after: before, "seed \(seed), step \(step), \(change)")
        if let entries = found?.entries { reference.requests[request] = entries }
        switch commands.number(60) {
        case 0: try store.registry.waitUntilProjected()
        case 1:
          try store.registry.close()
          store = try TestStore(opening: folder)
        default: break
        }
      }
      try store.expectIndexEqualsReplay()
      try compare(store.caughtUpIndex(), with: reference, "seed \(seed)")
      try store.registry.close()
    }
  }

  // The second renames a cell to another spelling of the same letters.
  @Test(arguments: [5, 3_792_997_373_919_258_486, UInt64.random(in: 0 ... .max)])
  func `the end of a random history is undone, and its undoing too`(seed: UInt64) throws {
    try withStore { store in
      var commands = RandomCommands(random: SeededGenerator(state: seed))
      func make(_ count: Int) throws {
        for _ in 0..<count {
          let change = commands.change()
          var bulk: BulkMark?
          if case .take = change { bulk = BulkMark(title: "take", chunk: nil) }
          do { try store.submit(change, bulk: bulk) } catch RegistryError.refused { continue }
        }
      }
      for round in 0..<5 {
        try make(40)
        let before = try store.content()
        let start = store.journal.head.position.index + 1
        try make(25)
        let after = try store.content()
        let end = store.journal.head.position.index
        guard start <= end else { continue }
        let note: Comment = "seed \(seed), round \(round)"
        guard let undone = try undo(start...end, store, note) else { continue }
        #expect(try store.content() == before, note)
        guard try undo(undone, store, note) != nil else { continue }
        #expect(try store.content() == after, note)
      }
      try store.expectIndexEqualsReplay()
    }
  }

  /// The entries that undo others; nil if there are none, or a rule stands against it.
  private func undo(
    _ indexes: ClosedRange<UInt64>, _ store: TestStore, _ note: Comment
  ) throws -> ClosedRange<UInt64>? {
    let plan = try store.plan(undoing: indexes)
    #expect(plan.refused.isEmpty, note)
    let refusals = try store.refusals(of: plan)
    let head = store.journal.head.position
    do {
      let entries = try store.submit(.revert(plan.commands()[0].reversal)).entries
      #expect(refusals == [], note)
      return entries
    } catch RegistryError.refused(let refusal) {
      // Asked beforehand, it was the first.
      #expect(refusals.first == refusal, note)
      guard case .cantRevert(_, let why) = refusal else { throw RegistryError.refused(refusal) }
      // A cell that is on its way out takes nothing, though it had something once.
      #expect(why.contains("being removed"), note)
      #expect(store.journal.head.position == head, note)
      return nil
    }
  }

  private func check(
    _ found: Outcome?, is expected: ReferenceMap.Answer, after head: UInt64, _ comment: Comment
  ) throws {
    switch expected {
    case .refused: #expect(found == nil, comment)
    case .nothing: #expect(found != nil && found?.entries == nil, comment)
    case .entries(let count): #expect(found?.entries == head + 1...head + UInt64(count), comment)
    }
  }

  private func compare(
    _ index: IndexReader, with reference: ReferenceMap, _ comment: Comment
  ) throws {
    let cells = try index.allCells().mapValues { row in
      ReferenceMap.Cell(
        name: row.record.name, isDisabled: row.record.disabled ?? false,
        isBeingRemoved: row.record.isBeingRemoved, isCovered: row.record.isCovered)
    }
    #expect(cells == reference.cells, comment)
    var hosts: [ByteText: CellID] = [:]
    for (name, row) in try index.hosts() { hosts[name] = row.record.cell }
    #expect(hosts == reference.hosts, comment)
    #expect(try index.countInstances() == UInt64(reference.instances.count), comment)
    for (id, instance) in reference.instances {
      let record = try #require(try index.instance(id), comment).record
      #expect(
        ReferenceMap.Instance(
          cell: record.cell, owner: record.owner, isQueued: record.isQueuedForDelete ?? false,
          seen: record.lastSeen) == instance, comment)
    }
    for (id, entries) in reference.requests {
      let row = try #require(try index.request(id), comment)
      #expect(row.first...row.last == entries, comment)
    }
  }
}
