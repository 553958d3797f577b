import Foundation
import Journal
import Projections
import Registry
import TestSupport
import Testing

/// Instances brought into an empty map past the index.
@Suite struct MapLoadTests {
  private static let cell = CellID.number(1)
  private static let title: ByteText = "load"

  private func observation(
    _ number: UInt64, in cell: CellID = cell, after basis: Position
  ) -> Observation {
    let id = InstanceID(UUID128(high: number << 32, low: 1))
    let evidence = Evidence(
      source: "sqlite:///cell", cell: cell, table: "instances", rowKey: ByteText("\(number)"),
      rowDigest: .zero, readAt: Timestamp(microseconds: Int64(number)))
    return Observation(
      .instance(id, InstanceRecord(cell: cell, owner: .sample)), evidence: evidence, basis: basis)
  }

  private func command(_ observations: [Observation], _ request: RequestID) -> Command {
    let names = observations.map { observation in
      observation.entity.description.replacing("instance ", with: "")
    }
    let range = KeyRange(
      kind: .instance, first: ByteText(names.first ?? ""), last: ByteText(names.last ?? ""))
    return Command(
      .take(observations), by: TestStore.author, request: request,
      bulk: BulkMark(title: Self.title, chunk: range))
  }

  /// What an entry says, but for its place.
  private func content(_ entry: Entry) -> String {
    let request = entry.draft.request
    return "\(entry.event) \(String(describing: entry.draft.evidence)) \(request.id) "
      + "\(String(describing: request.chunk)) \(request.content != nil) "
      + "\(entry.draft.authorship.actor)"
  }

  @Test func `appends the entries that the registry would, and an index of them serves`() throws {
    try withTemporaryFolder { folder in
      let request = RequestID.fresh()
      var contents: [[String]] = []
      for name in ["registry", "load"] {
        try FileManager.default.createDirectory(
          atPath: "\(folder)/\(name)", withIntermediateDirectories: false)
        let store = try makeStore("\(folder)/\(name)")
        defer { try? store.registry.close() }
        try store.addCell(Self.cell, "one")
        let basis = store.journal.head.position
        let observations = (1...50).map { observation($0, after: basis) }
        let parts = [Array(observations.prefix(30)), Array(observations.dropFirst(30))]
        if name == "registry" {
          for part in parts { _ = try store.registry.submit(command(part, request)) }
        } else {
          let load = try #require(try store.registry.beginLoad())
          for part in parts {
            let decided = try load.decide(command(part, request))
            #expect(decided.added == UInt64(part.count))
            let isTaken = try load.append(decided)
            #expect(isTaken)
          }
          try load.finish()
        }
        // Who comes later finds the instances, and the index that serves is whole.
        #expect(throws: RegistryError.self) {
          _ = try store.map(InstanceID(UUID128(high: 1 << 32, low: 1)), to: .cell0)
        }
        try store.submit(bulk: Self.title, .finishRequest(ChangeCounts(instances: 50)), request)
        try store.expectIndexEqualsReplay()
        let reader = try store.caughtUpIndex()
        #expect(try reader.instances(limit: 100).count == 50)
        #expect(try reader.request(request)?.finished == ChangeCounts(instances: 50))
        let entries = try store.journal.entries(after: basis.index, limit: 100)
        contents.append(entries.map(content))
      }
      #expect(contents[0] == contents[1] && contents[0].count == 51)
    }
  }

  @Test func `another writer's entry ends it, and nothing is appended`() throws {
    try withStoreFolder { folder in
      let store = try makeStore(folder)
      try store.addCell(Self.cell, "one")
      let basis = store.journal.head.position
      let load = try #require(try store.registry.beginLoad())
      let first = [observation(1, after: basis)]
      let isTaken = try load.append(try load.decide(command(first, .fresh())))
      #expect(isTaken)
      let second = [observation(2, after: basis)]
      let decided = try load.decide(command(second, .fresh()))
      let other = try TestStore(opening: folder)
      try other.map(InstanceID(UUID128(high: 2 << 32, low: 1)), to: .cell0)
      try other.registry.close()
      let head = try store.journal.refresh().position
      let isTakenToo = try load.append(decided)
      #expect(!isTakenToo)
      #expect(try store.journal.refresh().position == head)
      // What the other decided stands.
      let outcome = try store.registry.submit(command(second, .fresh()))
      #expect(outcome.overtaken == 1 && outcome.changed == 0)
      try store.expectIndexEqualsReplay()
      try store.registry.close()
    }
  }

  @Test func `isn't begun where the map has an instance, or ever had one`() throws {
    try withStore { store in
      try store.addCell(Self.cell, "one")
      let id = InstanceID(UUID128(high: 7, low: 7))
      try store.map(id, to: Self.cell)
      #expect(try store.registry.beginLoad() == nil)
      try store.submit(.unmapInstance(id))
      #expect(try store.registry.beginLoad() == nil)
    }
  }

  @Test func `what the rules refuse is named, and all else is taken`() throws {
    try withStore { store in
      try store.addCell(Self.cell, "one")
      let basis = store.journal.head.position
      let load = try #require(try store.registry.beginLoad())
      let missing = CellID.number(9)
      let found = [
        observation(1, after: basis), observation(2, in: missing, after: basis),
        observation(3, after: basis),
      ]
      let decided = try load.decide(command(found, .fresh()))
      #expect(decided.added == 2 && decided.refused.map(\.why) == [.unknownCell(missing)])
      #expect(decided.refused.first?.observation.entity == found[1].entity)
      let isTaken = try load.append(decided)
      try load.finish()
      #expect(isTaken)
      try store.expectIndexEqualsReplay()
      #expect(try store.caughtUpIndex().instances(limit: 9).count == 2)
    }
  }

  @Test func `an instance that comes twice ends it, and nothing is appended`() throws {
    try withStore { store in
      try store.addCell(Self.cell, "one")
      let basis = store.journal.head.position
      let load = try #require(try store.registry.beginLoad())
      let found = [observation(1, after: basis), observation(1, after: basis)]
      let isTaken = try load.append(try load.decide(command(found, .fresh())))
      #expect(!isTaken && store.journal.head.position == basis)
    }
  }

  @Test func `conflicts count as changes, as the registry counts them`() throws {
    try withStore { store in
      try store.addCell(Self.cell, "one")
      let basis = store.journal.head.position
      let load = try #require(try store.registry.beginLoad())
      let first = observation(1, after: basis)
      let id = InstanceID(UUID128(high: 2 << 32, low: 1))
      let conflict = Observation(
        .conflict(.instance(id), FoundConflict(kind: "k", evidence: "{}")), evidence: nil,
        basis: basis)
      let decided = try load.decide(command([first, conflict], .fresh()))
      #expect(decided.added == 1 && decided.changed == 2)
      let isTaken = try load.append(decided)
      try load.finish()
      #expect(isTaken)
      try store.expectIndexEqualsReplay()
      #expect(try store.caughtUpIndex().conflict(of: .instance(id)) != nil)
    }
  }

  @Test func `an index that was given up leaves nothing behind`() throws {
    try withStoreFolder { folder in
      let store = try makeStore(folder)
      try store.addCell(Self.cell, "one")
      let place = store.journal.files.directory
      let names = try FileManager.default.contentsOfDirectory(atPath: place).sorted()
      do {
        let load = try #require(try store.registry.beginLoad())
        let made = try FileManager.default.contentsOfDirectory(atPath: place).sorted()
        #expect(made != names)
        withExtendedLifetime(load) {}
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: place).sorted() == names)
      try store.registry.close()
    }
  }
}
