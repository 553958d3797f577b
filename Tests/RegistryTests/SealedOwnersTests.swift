import Foundation
import Journal
import Projections
import Registry
import TestSupport
import Testing

/// A store that seals projects and users.
@Suite struct SealedOwnersTests {
  private let cell = CellID.number(1)
  private let owner = InstanceOwner(project: "project-Canary", user: "user-Canary")
  private let other = InstanceOwner(project: "other", user: "user-Canary")

  private func withCell(_ body: (TestStore) throws -> Void) throws {
    try withStore(sealsOwners: true) { store in
      try store.addCell(cell, "one")
      try body(store)
    }
  }

  @discardableResult
  private func map(
    _ number: UInt64, _ store: TestStore, _ owner: InstanceOwner? = nil
  ) throws -> Outcome {
    try store.submit(
      .mapInstance(.number(number), .init(cell: cell, owner: owner ?? self.owner)))
  }

  private func row(_ number: UInt64, _ store: TestStore) throws -> InstanceRow {
    try #require(try store.caughtUpIndex().instance(.number(number)))
  }

  private func shred(_ project: ByteText, _ store: TestStore) throws -> KeyID {
    let key = try #require(try store.keys.owners.keyID(of: project))
    _ = try KeyRetirement.shred(
      ownerKeys: [key], asked: "project", in: store.journal, by: store.registry
    ) { Command($0, by: TestStore.author, request: .fresh()) }
    return key
  }

  private func observed(_ number: UInt64, _ owner: InstanceOwner) -> Observation.State {
    .instance(.number(number), InstanceRecord(cell: cell, owner: owner))
  }

  @Test func `the first entry says it, and nothing of the store holds an owner in clear`() throws {
    try withCell { store in
      try map(1, store)
      _ = try row(1, store)
      let first = try store.journal.entry(at: 1)
      guard case .store(.epochOpened(let opening))? = first?.event else {
        Issue.record("no epoch")
        return
      }
      #expect(opening.sealsOwners)
      let files = FileManager.default.enumerator(atPath: store.journal.files.directory)
      var count = 0
      while let name = files?.nextObject() as? String {
        let path = store.journal.files.directory + "/" + name
        guard let bytes = FileManager.default.contents(atPath: path) else { continue }
        count += 1
        #expect(bytes.range(of: Data("Canary".utf8)) == nil, "\(name)")
      }
      #expect(count > 5)
    }
  }

  @Test func `equal owners are the same, others are refused, and a retry is answered again`() throws
  {
    try withCell { store in
      let request = RequestID.fresh()
      let change = Change.mapInstance(.number(1), .init(cell: cell, owner: owner))
      let first = try store.submit(change, request)
      #expect(try store.submit(change, request).entries == first.entries)
      #expect(try map(1, store).entries == nil)
      expectRefusal(.ownerDiffers(.number(1))) { try map(1, store, other) }
      try map(2, store)
      #expect(try row(1, store).record.owner == row(2, store).record.owner)
      #expect(try store.keys.owners.opened(row(1, store).record.owner) == owner)
      #expect(try store.submit(.setOwner(.number(1), owner)).entries == nil)
      #expect(try store.submit(.setOwner(.number(1), other)).entries?.count == 1)
      #expect(try store.keys.owners.opened(row(1, store).record.owner) == other)
      try store.expectIndexEqualsReplay()
    }
  }

  @Test func `what is observed twice is no news, and a preview makes no key`() throws {
    try withCell { store in
      let head = store.journal.head.position
      let preview = ChangePreview(
        map: LiveMap(over: try store.caughtUpIndex()), head: head.index, keys: store.keys)
      let events = try preview.events(Observation(observed(1, owner), evidence: nil))
      #expect(events?.count == 1)
      #expect(try store.keys.owners.keyID(of: "project-Canary") == nil)
      #expect(try store.take(observed(1, owner)).changed == 1)
      let again = try store.take(observed(1, owner))
      #expect(again.entries == nil && again.changed == 0 && again.ownersLeft == 0)
    }
  }

  @Test func `the index counts and lists by project and user`() throws {
    try withCell { store in
      for number in UInt64(1)...6 { try map(number, store, number % 3 == 0 ? other : owner) }
      try store.submit(.markForDeletion(.number(1), true))
      try store.submit(
        .mapInstance(
          .number(7), .init(cell: nil, owner: InstanceOwner(project: "third", user: nil))))
      let reader = try store.caughtUpIndex()
      let keys = store.keys.owners
      let ours = try keys.filter(project: "project-Canary", user: nil)
      #expect(try reader.instances(ownedBy: ours, limit: 10).count == 4)
      #expect(try reader.countNotQueued(ownedBy: ours) == 3)
      let user = try keys.filter(project: "other", user: "user-Canary")
      #expect(try reader.countNotQueued(ownedBy: user) == 2)
      #expect(try reader.countNotQueued(ownedBy: keys.filter(project: "x", user: nil)) == 0)
      func count(_ filter: OwnerFilter, _ verdict: OwnerFilter.Verdict) throws -> Int {
        var query = MapInstanceQuery(cell: cell)
        query.owner = filter
        query.includesQueued = true
        if verdict == .yes {
          let keys = [MapOrderKey(.id, isDescending: false)]
          let listed = try reader.instances(query, by: keys, after: nil, limit: 100)
          #expect(listed.allSatisfy { query.verdict($0.row.record) == .yes })
          #expect(try reader.count(query, .yes) == listed.count)
        }
        return try reader.count(query, verdict)
      }
      let anywhere = try keys.filter(project: nil, user: "user-Canary")
      #expect(try count(anywhere, .yes) == 6 && count(ours, .yes) == 4)
      #expect(try count(anywhere, .unknown) == 0 && count(ours, .unknown) == 0)
      try map(8, store, InstanceOwner(project: nil, user: "user-Canary"))
      try map(9, store, InstanceOwner(project: nil, user: "somebody"))
      _ = try store.caughtUpIndex()
      let userOfOther = try keys.filter(project: "other", user: "user-Canary")
      #expect(try count(userOfOther, .unknown) == 1)
      #expect(try count(keys.filter(project: "other", user: nil), .unknown) == 2)
      for number in [8, 9] as [UInt64] { try store.submit(.unmapInstance(.number(number))) }
      _ = try store.caughtUpIndex()
      #expect(try reader.cells(ofProjectOf: ours, enough: 9) == [cell])
      let third = try keys.filter(project: "third", user: nil)
      #expect(try reader.cells(ofProjectOf: third, enough: 9) == [nil])
      // Whose they are that nobody can read any more, nobody can tell.
      _ = try shred("other", store)
      let later = try keys.filter(project: "third", user: nil)
      #expect(try count(later, .unknown) == 2)
      #expect(try reader.cells(ofProjectOf: later, enough: 9) == [nil, cell])
      let stillUser = try keys.filter(project: nil, user: "user-Canary")
      #expect(try count(stillUser, .yes) == 4 && count(stillUser, .unknown) == 2)
    }
  }

  @Test func `a shredded project's instances live on, and observing writes no owner again`() throws
  {
    try withCell { store in
      for number in UInt64(1)...4 { try map(number, store) }
      try map(5, store, other)
      let before = try row(1, store).record.owner
      let key = try shred("project-Canary", store)
      #expect(try row(1, store).record.owner == before)
      #expect(store.keys.owners.opened(before).isShredded)
      #expect(try store.keys.owners.opened(row(5, store).record.owner) == other)
      let again = try store.take(observed(1, owner), observed(5, other))
      #expect(again.entries == nil && again.ownersLeft == 1)
      #expect(try store.keys.owners.keyID(of: "project-Canary") == nil)
      expectRefusal(.ownerShredded(.number(1))) { try map(1, store) }
      #expect(try store.submit(.markForDeletion(.number(1), true)).entries?.count == 1)
      #expect(try store.submit(.remapInstance(.number(2), to: .cell0)).entries?.count == 1)
      let unmapped = try store.submit(.unmapInstance(.number(3)))
      #expect(unmapped.entries?.count == 1)
      #expect(try store.caughtUpIndex().countInstances(in: cell) == 3)
      // An operator decides otherwise.
      try map(3, store)
      #expect(try store.keys.owners.opened(row(3, store).record.owner) == owner)
      #expect(try store.keys.owners.keyID(of: "project-Canary") != key)
      _ = try store.journal.verify()
      try store.expectIndexEqualsReplay()
      let item = try #require(try KeyInventory(of: store.journal).items.first { $0.id == key })
      #expect(item.use == .project && item.state == .shredded && item.project == nil)
    }
  }

  @Test func `an unmapped instance of a shredded project is put back as it was`() throws {
    try withCell { store in
      try map(1, store)
      let before = try row(1, store).record.owner
      let unmapping = try #require(try store.submit(.unmapInstance(.number(1))).entries?.lowerBound)
      _ = try shred("project-Canary", store)
      let history = try MapHistory(of: store.journal)
      let plan = try #require(
        try ReversalPlan(
          of: unmapping...unmapping, history, map: LiveMap(over: store.caughtUpIndex())))
      let outcome = try store.submit(.revert(plan.commands()[0].reversal))
      #expect(outcome.changed == 1)
      #expect(try row(1, store).record.owner == before)
      try store.expectIndexEqualsReplay()
    }
  }

  @Test func `killed behind the entry, the next who opens the keys destroys it`() throws {
    try withCell { store in
      try map(1, store)
      let key = try #require(try store.keys.owners.keyID(of: "project-Canary"))
      let folder = store.journal.files.keys
      func mark() throws {
        let head = try store.journal.refresh().position.index
        try "\(head)".write(
          toFile: folder + "/shredding-\(key)", atomically: false, encoding: .utf8)
      }
      // Killed before the entry: the key is as it was.
      try mark()
      #expect(throws: RegistryError.keys(.busy(key))) { try map(2, store) }
      let opened = try OwnerKeys.open(of: store.journal)
      #expect(try opened.keyID(of: "project-Canary") == key)
      try map(2, store)
      try mark()
      try store.submit(.shredOwnerKeys(asked: "key", [key]))
      #expect(try OwnerKeys.open(of: store.journal).keyID(of: "project-Canary") == nil)
      let left = try FileManager.default.contentsOfDirectory(atPath: folder)
      #expect(!left.contains { $0.hasPrefix("shredding-") || $0.contains("\(key)") })
    }
  }

  @Test func `a lost mark lets no owner in clear into the journal`() throws {
    try withCell { store in
      try map(1, store)
      let mark = store.journal.files.keys + "/projects"
      try FileManager.default.removeItem(atPath: mark)
      #expect(throws: KeyError.missing(mark)) { try KeyRing.open(of: store.journal) }
    }
  }

  @Test func `a load seals as the registry does`() throws {
    try withCell { store in
      let basis = store.journal.head.position
      let load = try #require(try store.registry.beginLoad())
      let ids = (1...3).map { InstanceID(UUID128(high: UInt64($0) << 32, low: 1)) }
      let observations = ids.map {
        Observation(
          .instance($0, InstanceRecord(cell: cell, owner: owner)), evidence: nil, basis: basis)
      }
      let range = KeyRange(.instance(ids[0]), through: .instance(ids[2]))
      let command = Command(
        .take(observations), by: TestStore.author, request: .fresh(),
        bulk: BulkMark(title: "load", chunk: range))
      #expect(try load.append(try load.decide(command)))
      try load.finish()
      let reader = try store.caughtUpIndex()
      let filter = try store.keys.owners.filter(project: "project-Canary", user: "user-Canary")
      #expect(try reader.instances(ownedBy: filter, limit: 10).map(\.id) == ids)
    }
  }
}
