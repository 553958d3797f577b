import Journal
import Projections
import Recovery
import Registry
import Synchronization
import TestServers
import TestSupport
import Testing

extension AdoptionBed {
  func makeWatch(
    reason: ByteText? = nil, pruneLimit: UInt64? = nil, since: Timestamp? = nil
  ) -> MapWatch<SampleWitness> {
    MapWatch(
      witness: SampleWitness(), keys: keys, program: "test 1", reason: reason,
      pruneLimit: pruneLimit, since: since)
  }

  /// One round, on a snapshot of now unless one is given.
  ///
  /// - Parameter patience: How often the round may ask whether it is to go on.
  @discardableResult
  func round(
    _ watch: inout MapWatch<SampleWitness>, from given: NovaAPIDatabase? = nil,
    basis: Position? = nil, by author: MapWatch<SampleWitness>.Author? = nil, patience: Int = .max
  ) throws(AdoptionError) -> MapWatch<SampleWitness>.Round {
    let (journal, registry, index) = try opened()
    defer { try? registry.close() }
    let openedAt = Timestamp.now
    var source = given
    if source == nil {
      source = try NovaAPIDatabase(path: api.path, publicForm: "sqlite:///api.sqlite")
    }
    guard let source else { preconditionFailure("opened above") }
    let asked = Count()
    return try watch.round(
      source, openedAt: openedAt, basis: basis ?? journal.head.position, on: index,
      head: journal.head.position, through: registry, by: author,
      isCancelled: { asked.next() > patience })
  }

  private final class Count: Sendable {
    private let count = Atomic<Int>(0)
    func next() -> Int { count.add(1, ordering: .relaxed).newValue }
  }
}

/// Following a live Nova: rounds that find what has changed.
@Suite struct MapWatchTests {
  private func withAdopted(
    _ count: Int = 20, _ body: (AdoptionBed, inout MapWatch<SampleWitness>) throws -> Void
  ) throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstances(1..<count + 1, cell: { $0 % 2 + 2 }, uuid: { "\(instance($0))" })
      var watch = bed.makeWatch()
      try bed.round(&watch)
      try body(bed, &watch)
    }
  }

  @Test func `records what has changed as observed, with the interval`() throws {
    try withAdopted { bed, watch in
      let quiet = try bed.round(&watch)
      let since = try #require(watch.since)
      #expect(quiet.outcome == nil && since > quiet.interval.from ?? .now)
      let head = try bed.entryCount()
      try bed.api.execute(
        """
        UPDATE instance_mappings SET cell_id = 3 WHERE id = 2;
        UPDATE instance_mappings SET queued_for_delete = 1 WHERE id = 3;
        DELETE FROM instance_mappings WHERE id = 4;
        DELETE FROM host_mappings WHERE id = 2;
        UPDATE cell_mappings SET name = 'renamed' WHERE id = 2;
        """)
      try bed.api.addInstance(99, "\(instance(99))", cell: nil)
      let changed = try bed.round(&watch)
      #expect(changed.interval.from == since)
      let entries = try bed.entries(after: head).filter { $0.event.entity != .store }
      #expect(
        Set(entries.map(\.event.entity)) == [
          .instance(instance(2)), .instance(instance(3)), .instance(instance(4)),
          .instance(instance(99)), .host("host2"), .cell(cell(1)),
        ])
      #expect(entries.count == 6)
      for entry in entries {
        let authorship = entry.draft.authorship
        #expect(authorship.actor == "observed" && authorship.isObserved)
        #expect(authorship.reason == nil && authorship.program == "test 1")
        #expect(ObservedInterval(of: entry) == changed.interval)
      }
      #expect(try bed.map().instance(instance(4)) == nil)
      #expect(try bed.map().host("host2") == nil)
    }
  }

  @Test func `a round that finds nothing appends nothing`() throws {
    try withAdopted { bed, watch in
      let head = try bed.entryCount()
      for _ in 0..<3 { #expect(try bed.round(&watch).outcome == nil) }
      #expect(try bed.entryCount() == head)
    }
  }

  @Test func `says nothing of when, where nothing is known of before`() throws {
    try withBed { bed in
      try bed.addCells()
      var watch = bed.makeWatch(reason: "why not")
      let round = try bed.round(&watch)
      #expect(round.interval.from == nil && round.interval.text.string.hasPrefix("../"))
      let entry = try #require(try bed.entries(after: 2).first)
      #expect(entry.draft.authorship.reason == "why not")
      let journal = try EventJournal.open(bed.store)
      let agreed = try #require(try journal.lastAgreement(with: "sqlite:///api.sqlite"))
      #expect(agreed < round.interval.to)
      #expect(try journal.lastAgreement(with: "sqlite:///other.sqlite") == nil)
    }
  }

  @Test func `asks no cell for where instances run, and a new one for its identity`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstance(1, "\(instance(1))", cell: 2)
      let identity = CellIdentity(
        services: [UUID128(high: 1, low: 1)], computeNodes: [UUID128(high: 1, low: 2)])
      let witness = SampleWitness(
        identities: [cell(1): identity], hosts: [instance(1): "somewhere"])
      var watch = MapWatch(witness: witness, keys: bed.keys, program: "test")
      try bed.round(&watch)
      #expect(try bed.map().instance(instance(1))?.record.lastSeen == nil)
      #expect(try bed.map().index.identities(of: cell(1)).count == 2)
      let head = try bed.entryCount()
      #expect(try bed.round(&watch).plan.identified.isEmpty)
      #expect(try bed.entryCount() == head)
    }
  }

  // MARK: What was decided meanwhile

  @Test func `what was decided in the map after the snapshot stays, and keeps the interval open`()
    throws
  {
    try withAdopted { bed, watch in
      let since = try #require(watch.since)
      let basis = try EventJournal.open(bed.store).refresh().position
      let source = try bed.openSource()
      let new = InstanceDraft(cell: cell(1), owner: InstanceOwner(project: "p", user: "u"))
      try bed.submit(.mapInstance(instance(500), new))
      try bed.submit(.remapInstance(instance(2), to: cell(2)))
      let round = try bed.round(&watch, from: source, basis: basis)
      #expect(round.plan.overtaken == 2 && watch.since == since)
      #expect(try bed.map().instance(instance(500))?.record.cell == cell(1))
      #expect(try bed.map().instance(instance(2))?.record.cell == cell(2))
    }
  }

  // MARK: Losses

  private func error(_ body: () throws(AdoptionError) -> Void) -> AdoptionError? {
    do throws(AdoptionError) { try body() } catch { return error }
    return nil
  }

  @Test func `a hundred may vanish at once, and no more unless it is said`() throws {
    try withAdopted(250) { bed, watch in
      try bed.api.execute("DELETE FROM instance_mappings WHERE id <= 101")
      let head = try bed.entryCount()
      let refused = error { () throws(AdoptionError) in try bed.round(&watch) }
      guard case .lostTooMuch(101, limit: 100)? = refused else {
        return #expect(Bool(false), "\(String(describing: refused))")
      }
      #expect(refused?.description.contains("--prune-limit 101") == true)
      #expect(try bed.entryCount() == head)
      try bed.api.addInstance(101, "\(instance(101))", cell: 2)
      try bed.round(&watch)
      #expect(try bed.map().index.countInstances() == 150)
      try bed.api.execute("DELETE FROM instance_mappings WHERE id <= 210")
      var allowed = bed.makeWatch(pruneLimit: 110)
      try bed.round(&allowed)
      #expect(try bed.map().index.countInstances() == 40)
    }
  }

  @Test func `one in a hundred may vanish from a large map`() throws {
    try withAdopted(10_100) { bed, watch in
      try bed.api.execute("DELETE FROM instance_mappings WHERE id <= 101")
      try bed.round(&watch)
      #expect(try bed.map().index.countInstances() == 9_999)
    }
  }

  @Test func `a database without any cell takes nothing out`() throws {
    try withAdopted(5) { bed, watch in
      try bed.api.execute(
        "DELETE FROM instance_mappings; DELETE FROM host_mappings; DELETE FROM cell_mappings")
      var allowed = bed.makeWatch(pruneLimit: 1_000_000)
      let refused = error { () throws(AdoptionError) in try bed.round(&allowed) }
      guard case .emptied? = refused else {
        return #expect(Bool(false), "\(String(describing: refused))")
      }
      #expect(try bed.map().index.countInstances() == 5)
    }
  }

  // MARK: Ends

  @Test func `a round that was ended leaves what it recorded, and the next finds the rest`() throws
  {
    try withAdopted(2_500) { bed, watch in
      try bed.api.execute("UPDATE instance_mappings SET queued_for_delete = 1")
      let head = try bed.entryCount()
      // The comparison has five pages, and recording as many chunks; the third is of instances.
      let ended = error { () throws(AdoptionError) in try bed.round(&watch, patience: 8) }
      guard case .cancelled? = ended else {
        return #expect(Bool(false), "\(String(describing: ended))")
      }
      #expect(try bed.entryCount() == head + 1_000)
      try bed.round(&watch)
      var entries: [UUID128] = []
      try EventJournal.open(bed.store).forEachEntry(after: head) { (header, _, _) in
        if header.entityKind == .instance { entries.append(header.entityKey) }
      }
      let entities = Set(entries).count
      #expect(entries.count == 2_500)
      #expect(entities == 2_500)
    }
  }

  // MARK: Authors

  @Test func `what a command did is its caller's, and what it can't have done is observed`() throws
  {
    try withAdopted { bed, watch in
      try bed.api.execute("UPDATE instance_mappings SET cell_id = 3 WHERE id = 2")
      try bed.api.addHost(7, "new", cell: 2)
      let head = try bed.entryCount()
      let request = RequestID(.random())
      let author = MapWatch<SampleWitness>.Author(
        AdoptionBed.actor, request: request, title: "wrap", changesInstances: false)
      let round = try bed.round(&watch, by: author)
      for entry in try bed.entries(after: head) {
        let isInstance = entry.event.entity == .instance(instance(2))
        #expect(entry.draft.authorship.isObserved == isInstance)
        #expect(entry.draft.authorship.actor == (isInstance ? "observed" : "test"))
        #expect(entry.draft.authorship.reason == (isInstance ? nil : "test"))
        #expect(ObservedInterval(of: entry) == (isInstance ? round.interval : nil))
        #expect(entry.draft.request.id == request)
      }
      #expect(try bed.entries(after: head).count == 4)
    }
  }

  @Test func `what a command takes out has no limit`() throws {
    try withAdopted(250) { bed, watch in
      try bed.api.execute(
        "DELETE FROM instance_mappings WHERE cell_id = 3; DELETE FROM host_mappings WHERE cell_id = 3; "
          + "DELETE FROM cell_mappings WHERE id = 3")
      let author = MapWatch<SampleWitness>.Author(
        AdoptionBed.actor, request: RequestID(.random()), title: "wrap", changesInstances: true)
      try bed.round(&watch, by: author)
      #expect(try bed.map().cell(cell(2)) == nil)
      #expect(try bed.map().index.countInstances() == 125)
    }
  }

  // MARK: Random lives

  @Test(arguments: 1...2 as ClosedRange<UInt64>)
  func `whatever changes and whenever it ends, each change is recorded once`(_ seed: UInt64) throws
  {
    try withBed { bed in
      var random = Seeded(seed)
      try bed.addCells()
      try bed.api.addInstances(1..<300, cell: { $0 % 2 + 2 }, uuid: { "\(instance($0))" })
      var watch = bed.makeWatch(pruneLimit: .max)
      var states: [InstanceID: InstanceRecord] = [:]
      for step in 0..<8 {
        try bed.api.execute(
          (0..<random.next(6)).map { _ in change(&random, step) }.joined(separator: ";"))
        // What is ended early; the last round is whole.
        let patience = step == 7 ? Int.max : random.next(12)
        _ = error { () throws(AdoptionError) in try bed.round(&watch, patience: patience) }
      }
      for entry in try bed.entries(after: 0) {
        guard case .instance(let id, let event) = entry.event else { continue }
        let before = states[id].map { InstanceRow(record: $0, changedAt: 0) }
        let after = InstanceRow.folded(event, at: 1, into: before)?.record
        #expect(after != before?.record, "seed \(seed): \(entry) changes nothing")
        states[id] = after
      }
      let source = try bed.openSource()
      var rows: [InstanceID: CellID?] = [:]
      for row in try source.instances(after: nil, limit: 10_000) {
        let place = row.cellNumber.map { $0 - 1 }
        rows[try #require(InstanceID(row.uuid.string))] = .some(place.map { cell(Int($0)) })
      }
      let isEqual = states.mapValues(\.cell) == rows
      #expect(isEqual, "seed \(seed)")
      #expect(try bed.map().index.countInstances() == UInt64(rows.count))
    }
  }

  private func change(_ random: inout Seeded, _ step: Int) -> String {
    let id = random.next(350) + 1
    switch random.next(4) {
    case 0: return "DELETE FROM instance_mappings WHERE id % 97 = \(id % 97)"
    case 1: return "UPDATE instance_mappings SET cell_id = 5 - cell_id WHERE id % 13 = \(id % 13)"
    case 2: return "UPDATE instance_mappings SET cell_id = NULL WHERE id = \(id)"
    default:
      return "INSERT OR REPLACE INTO instance_mappings (id, instance_uuid, cell_id, project_id) "
        + "VALUES (\(id), '\(instance(id))', \(step % 2 + 2), 'p')"
    }
  }

  private struct Seeded {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }
    mutating func next(_ limit: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % limit
    }
  }
}

@Suite struct ObservedIntervalTests {
  @Test func `is read as it was written`() {
    let from = Timestamp(microseconds: 1_700_000_000_123_456)
    let to = Timestamp(microseconds: 1_700_000_060_000_000)
    for interval in [ObservedInterval(from: from, to: to), ObservedInterval(from: nil, to: to)] {
      #expect(ObservedInterval(interval.text) == interval)
    }
    #expect(ObservedInterval(from: from, to: to).text.string.split(separator: "/").count == 2)
    for text in ["", "/", "../", "a/b", "2026-01-01T00:00:00Z", "CHG-1/2"] {
      #expect(ObservedInterval(ByteText(text)) == nil)
    }
  }
}

/// Rounds on a server: the same as on a file.
@Suite(
  .enabled(
    if: TestServer.areInstalled,
    "MariaDB or PostgreSQL isn't installed; tools/setup --servers installs both"))
struct WatchServerTests {
  @Test(arguments: ServerEngine.allCases)
  func `follows a server, row by row`(_ engine: ServerEngine) throws {
    let api = ServerAPI(database: try NovaServerDatabase.makeAPI(on: .shared(engine)))
    try withBed { bed in
      try api.addCells()
      try api.addInstances(1...1_200) { ($0 % 2 + 2, [:]) }
      var watch = bed.makeWatch()
      try bed.round(&watch, from: try api.open())
      let head = try bed.entryCount()
      #expect(try bed.round(&watch, from: try api.open()).outcome == nil)
      try api.database.execute(
        "DELETE FROM instance_mappings WHERE id <= 50; "
          + "UPDATE instance_mappings SET cell_id = 5 - cell_id WHERE id BETWEEN 51 AND 60; "
          + "DELETE FROM host_mappings WHERE id = 2")
      try api.addInstance(2_000, "\(instance(2_000))", cell: nil, [:])
      let source = try api.open()
      try api.database.execute("DELETE FROM instance_mappings WHERE id = 100")
      try bed.round(&watch, from: source)
      let entries = try bed.entries(after: head).filter { $0.event.entity != .store }
      #expect(entries.count == 62 && entries.allSatisfy(\.draft.authorship.isObserved))
      #expect(try bed.map().index.countInstances() == 1_151)
      #expect(try bed.map().instance(instance(100)) != nil)
      try bed.round(&watch, from: try api.open())
      #expect(try bed.map().instance(instance(100)) == nil)
    }
  }
}
