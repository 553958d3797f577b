import Foundation
import Journal
import Projections
import Registry
import TestSupport
import Testing

/// Entries undone by new ones, through the registry.
@Suite struct ReversalTests {
  @discardableResult
  private func revert(_ store: TestStore, _ indexes: ClosedRange<UInt64>) throws -> Outcome {
    let plan = try store.plan(undoing: indexes)
    #expect(plan.refused.isEmpty && !plan.isBulk())
    return try store.submit(.revert(plan.commands()[0].reversal))
  }

  private func head(_ store: TestStore) throws -> UInt64 {
    try store.journal.refresh().position.index
  }

  @Test func `all that entries changed becomes what it was, and a second revert brings it back`()
    throws
  {
    try withStore { store in
      let (one, two, three) = (CellID.number(1), CellID.number(2), CellID.number(3))
      for (id, name) in [(one, "one"), (two, "two")] as [(CellID, ByteText)] {
        try store.submit(
          .addCell(
            id: id,
            CellDraft(
              name: name,
              addresses: AddressDraft(
                database: databaseAddress("mysql://nova:secret@\(name)/nova"),
                queue: queueAddress("rabbit://nova:secret@\(name):5672/")))))
      }
      try store.submit(.mapHost("host", to: one))
      try store.map(.number(1), to: one)
      try store.map(.number(2), to: nil)
      try store.map(.number(3), to: two)
      let before = try store.content()
      let start = try head(store) + 1
      // Names are exchanged, an address changed, a cell comes with a host and an instance.
      try store.submit(.renameCell(one, to: "other"))
      try store.submit(.renameCell(two, to: "one"))
      try store.submit(
        .setCellAddresses(
          one, AddressDraft(database: databaseAddress("mysql://nova:new@one/nova"))))
      try store.submit(.disableCell(two))
      try store.submit(.setCoverage(two, true))
      try store.addCell(three, "three")
      try store.submit(.unmapHost("host"))
      try store.submit(.mapHost("host", to: three))
      try store.map(.number(9), to: three)
      try store.submit(.remapInstance(.number(1), to: three))
      try store.submit(.markForDeletion(.number(3), true))
      try store.submit(.setOwner(.number(3), InstanceOwner(project: "else", user: "user")))
      try store.submit(.unmapInstance(.number(2)))
      let after = try store.content()
      let end = try head(store)
      #expect(before != after)

      let outcome = try revert(store, start...end)
      #expect(outcome.changed == 8)
      #expect(try store.content() == before)
      let reader = try store.caughtUpIndex()
      // The whole address of then, secret and all, under the seal of then.
      let address = try #require(try reader.cell(one)?.record.database)
      #expect(
        String(decoding: try store.keys.open(address, of: one, .database), as: UTF8.self)
          == "mysql://nova:secret@one/nova")
      #expect(try reader.cell(three) == nil)
      let entries = try #require(outcome.entries)
      for index in entries {
        let entry = try #require(try store.journal.entry(at: index))
        #expect(entry.draft.authorship.reason == TestStore.author.reason)
      }
      try revert(store, entries)
      #expect(try store.content() == after)
      try store.expectIndexEqualsReplay()
    }
  }

  @Test func `what was changed since is refused, named with the entry, and nothing is done`() throws
  {
    try withStore { store in
      try store.addCell(.number(1))
      try store.addCell(.number(2))
      for number in 1...3 as ClosedRange<UInt64> { try store.map(.number(number), to: .number(1)) }
      let start = try head(store) + 1
      for number in 1...3 as ClosedRange<UInt64> {
        try store.submit(.remapInstance(.number(number), to: .number(2)))
      }
      let end = try head(store)
      let later = try store.submit(.markForDeletion(.number(2), true))
      let changed = try store.plan(undoing: start...end)
      #expect(changed.refused.map(\.entity) == [.instance(.number(2))])
      #expect(changed.refused.map(\.entry) == [later.position])
      #expect(changed.steps.count == 2)
      // A plan of before a change that came between: the registry looks again.
      let old = try store.plan(undoing: later.position.index...later.position.index)
      let last = try store.submit(.setOwner(.number(2), InstanceOwner(project: "q", user: "u")))
      expectRefusal(
        .changedSince(
          .instance(.number(2)), entry: last.position.index, undone: later.position)
      ) { try store.submit(.revert(old.commands()[0].reversal)) }
      #expect(try head(store) == last.position.index)
      // A sighting is no change, and stays.
      try store.submit(
        .recordSighting(.number(1), HostSighting(host: "h", at: .now, source: "test")))
      let map = try store.caughtUpIndex()
      try revert(store, start...start)
      #expect(try store.caughtUpIndex().instance(.number(1))?.record.cell == .number(1))
      #expect(try store.caughtUpIndex().instance(.number(1))?.record.lastSeen?.host == "h")
      _ = map
    }
  }

  @Test
  func `given again under its request it repeats its answer, and undone twice nothing is left`()
    throws
  {
    try withStore { store in
      try store.addCell(.number(1))
      let made = try store.map(.number(1), to: .number(1))
      let index = made.position.index
      let request = RequestID.fresh()
      let first = try store.plan(undoing: index...index)
      let done = try store.submit(.revert(first.commands()[0].reversal), request)
      #expect(done.entries?.count == 1)
      let again = try store.plan(undoing: index...index)
      #expect(again.isEmpty && again.asBefore == 1)
      let repeated = try store.submit(.revert(again.commands()[0].reversal), request)
      #expect(repeated.isRepeated && repeated.entries == done.entries)
      let fresh = try store.submit(.revert(again.commands()[0].reversal))
      #expect(fresh.entries == nil && !fresh.isRepeated)
      // Another range under the same id is another command.
      let other = try store.plan(undoing: index - 1...index)
      expectRefusal(.requestReused(request)) {
        try store.submit(.revert(other.commands()[0].reversal), request)
      }
    }
  }

  @Test func `a rule that stands against it is named, and nothing is done`() throws {
    try withStore { store in
      try store.addCell(.number(1), "one")
      let removed = try store.submit(.removeCell(.number(1)))
      let free = try head(store)
      // The name went to another cell meanwhile.
      try store.addCell(.number(2), "one")
      let before = try head(store)
      let plan = try store.plan(undoing: removed.position.index...free)
      expectRefusal(
        .cantRevert(
          .cell(.number(1)),
          why: "The name one is that of cell \(CellID.number(2)). Rename that cell first.")
      ) { try store.submit(.revert(plan.commands()[0].reversal)) }
      // A cell that is used can't go again.
      let added = before
      try store.map(.number(5), to: .number(2))
      let used = try store.plan(undoing: added...added)
      expectRefusal(
        .cantRevert(
          .cell(.number(2)),
          why: "Cell \(CellID.number(2)) has 0 hosts and 1 instance mappings. Move them first.")
      ) { try store.submit(.revert(used.commands()[0].reversal)) }
      #expect(try head(store) == before + 1)
    }
  }

  @Test(arguments: [100, 2])
  func `what only lacks a cell that can't come back isn't named beside it, in however many commits`(
    size: Int
  ) throws {
    try withStore { store in
      let cell = CellID.number(1)
      try store.addCell(cell, "one")
      for host in ["a", "b", "c"] as [ByteText] { try store.submit(.mapHost(host, to: cell)) }
      for number in 1...3 as ClosedRange<UInt64> { try store.map(.number(number), to: cell) }
      let start = try head(store) + 1
      for host in ["a", "b", "c"] as [ByteText] { try store.submit(.unmapHost(host)) }
      for number in 1...3 as ClosedRange<UInt64> {
        try store.submit(.unmapInstance(.number(number)))
      }
      try store.submit(.removeCell(cell))
      let end = try head(store)
      try store.addCell(.number(2), "one")
      let plan = try store.plan(undoing: start...end)
      #expect(plan.commands(size: size).count == (size == 2 ? 5 : 1))
      let taken = Refusal.cantRevert(
        .cell(cell),
        why: "The name one is that of cell \(CellID.number(2)). Rename that cell first.")
      #expect(try store.refusals(of: plan, size: size) == [taken])
      // What was changed after the plan was made refuses its commit, beside what was found before.
      let later = try store.map(.number(3), to: .number(2)).position.index
      let changedSince = Refusal.changedSince(
        .instance(.number(3)), entry: later, undone: plan.last)
      #expect(
        try store.refusals(of: plan, size: size)
          == (size == 2 ? [taken, changedSince] : [changedSince]))
      // The same where it can't come back since it came, and went, later.
      try store.addCell(cell, "other")
      try store.submit(.removeCell(cell))
      let changed = try store.plan(undoing: start...end)
      #expect(changed.refused.map(\.entity) == [.cell(cell), .instance(.number(3))])
      #expect(changed.steps.count == 5)
      #expect(try store.refusals(of: changed, size: size) == [])
    }
  }

  @Test func `many things take several commits, each with its range of keys`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      let start = try head(store) + 1
      let states = (1...30 as ClosedRange<UInt64>).map { number in
        Observation.State.instance(
          .number(number), InstanceRecord(cell: .number(1), owner: .sample))
      }
      try store.submit(
        bulk: "take", .take(states.map { Observation($0, evidence: nil) }), .fresh())
      try store.addCell(.number(2))
      try store.submit(.mapHost("host", to: .number(2)))
      let end = try head(store)
      let plan = try store.plan(undoing: start...end)
      #expect(plan.isBulk(size: 8))
      let commands = plan.commands(size: 8)
      #expect(commands.map(\.reversal.items.count) == [1, 8, 8, 8, 6, 1])
      let request = RequestID.fresh()
      for (reversal, chunk) in commands {
        try store.submit(bulk: plan.title, .revert(reversal), request, chunk: chunk)
      }
      try store.submit(
        bulk: plan.title, .finishRequest(ChangeCounts(cells: 1, hosts: 1, instances: 30)), request)
      #expect(try store.caughtUpIndex().countInstances() == 0)
      #expect(try store.caughtUpIndex().cell(.number(2)) == nil)
      let left = try store.plan(undoing: start...end)
      #expect(left.isEmpty && left.isBulk(size: 8), "the same command, whatever is left of it")
    }
  }

  @Test func `a conflict that was decided is open again`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      try store.map(.number(1), to: .number(1))
      let entity = EntityKey.instance(.number(1))
      let found = FoundConflict(kind: "two cells", evidence: "[]")
      try store.take(.conflict(entity, found))
      let decided = try store.submit(
        .resolveConflict(entity, decision: "unmapped", making: .instance(.number(1), nil)))
      let entries = try #require(decided.entries)
      let plan = try store.plan(undoing: entries)
      #expect(plan.reopened == [entity])
      try store.submit(.revert(plan.commands()[0].reversal))
      let reader = try store.caughtUpIndex()
      #expect(try reader.conflict(of: entity)?.record.decision == nil)
      #expect(try reader.instance(.number(1))?.record.cell == .number(1))
    }
  }

  @Test func `other keys since stand against nothing, and stay`() throws {
    try withStore { store in
      let cell = CellID.number(1)
      try store.submit(
        .addCell(
          id: cell,
          CellDraft(
            name: "one",
            addresses: AddressDraft(
              database: databaseAddress("mysql://nova:old@db/nova"),
              queue: queueAddress("rabbit://nova:word@q/")))))
      func record() throws -> CellRecord {
        try #require(try store.caughtUpIndex().cell(cell)?.record)
      }
      let renamed = try store.submit(.renameCell(cell, to: "two")).position.index
      try store.submit(.resealCell(cell))
      let resealed = try record()
      try revert(store, renamed...renamed)
      #expect(try record().name == "one" && record().database == resealed.database)
      let moved = try store.submit(
        .setCellAddresses(
          cell, AddressDraft(database: databaseAddress("mysql://nova:new@db/nova")))
      ).position.index
      try store.submit(.resealCell(cell))
      let newest = try #require(try record().queue)
      #expect(newest.key != resealed.queue?.key)
      // What it was sealed by then serves again, as long as that key is there.
      try revert(store, moved...moved)
      #expect(try record().database == resealed.database)
      // Of two addresses only the one that was changed comes back under its old key.
      #expect(try record().queue?.key == newest.key)
      // Keys that change after the plan was made are no surprise that it may pass over.
      let disabled = try store.submit(.disableCell(cell)).position
      let plan = try store.plan(undoing: disabled.index...disabled.index)
      let keys = try #require(try store.submit(.resealCell(cell)).entries)
      expectRefusal(
        .changedSince(.cell(cell), entry: keys.upperBound, undone: disabled)
      ) { try store.submit(.revert(plan.commands()[0].reversal)) }
      try revert(store, disabled.index...disabled.index)
      #expect(try record().disabled == false)
      try store.expectIndexEqualsReplay()
    }
  }

  @Test func `what was only found out or noted stays, and is counted`() throws {
    try withStore { store in
      try store.addCell(.number(1))
      try store.map(.number(1), to: .number(1))
      let start = try head(store) + 1
      try store.submit(
        .recordSighting(.number(1), HostSighting(host: "h", at: .now, source: "test")))
      try store.submit(
        .recordIdentity(
          .number(1), CellIdentity(services: [UUID128(high: 1, low: 1)], computeNodes: [])))
      let plan = try store.plan(undoing: start...(head(store)))
      #expect(plan.isEmpty)
      #expect(plan.staying == [.instanceHostSeen: 1, .cellIdentityRecorded: 1])
    }
  }
}

extension TestStore {
  /// What the map holds of everything, with seals but without where instances were seen.
  func content() throws -> [EntityKey: [RecordField]] {
    try registry.waitUntilProjected()
    let history = try MapHistory(of: journal)
    var entities: Set<EntityKey> = []
    try history.forEachStep(in: 1...history.head.index) { step in
      entities.insert(step.entry.event.entity)
      return .more
    }
    return try history.rows(of: Array(entities), at: history.head.index).mapValues { row in
      row.fields.filter { !$0.name.hasPrefix("last_known") }
    }
  }

  func plan(undoing indexes: ClosedRange<UInt64>) throws -> ReversalPlan {
    let history = try MapHistory(of: journal)
    let map = LiveMap(over: try caughtUpIndex())
    _ = try map.readHead(of: journal)
    return try #require(try ReversalPlan(of: indexes, history, map: map))
  }

  /// The rules that stand against a plan.
  func refusals(
    of plan: ReversalPlan, size: Int = ReversalPlan.thingsOfOneCommit
  ) throws -> [Refusal] {
    let map = LiveMap(over: try caughtUpIndex())
    let head = try map.readHead(of: journal).position.index
    return try ChangePreview(map: map, head: head, keys: keys).refusals(of: plan, size: size)
  }
}
