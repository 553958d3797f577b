import Foundation
import Journal
import Projections
import Recovery
import Registry
import Router
import TestSupport
import Testing

/// A store that is to be rebuilt, and the cells it is rebuilt from.
final class RebuildBed {
  let folder: String
  let cloud = DisasterCloud()
  let store: String
  private let keys: KeyRing
  private let generations: IndexGenerations

  static let cells: [CellID] = [.cell0, cell(1), cell(2), cell(3)]
  static let title: ByteText = "rebuild"

  /// - Parameter addresses: The cells' databases; nil for SQLite files of the folder.
  init(
    in folder: String, named name: String = "store", cause: EpochOpening.Cause = .rebuilt,
    addresses: [String]? = nil
  ) throws {
    self.folder = folder
    store = folder + "/" + name
    let addresses = addresses ?? (0...3).map { "sqlite:///\(folder)/cell\($0).sqlite" }
    let journal = try StoreCreation.create(
      in: store, cell0: GivenAddress(Secret(addresses[0]), of: .database), by: AdoptionBed.actor,
      opening: StoreCreation.Opening(cause))
    keys = try KeyRing.open(in: journal.files.keys, store: journal.store)
    generations = IndexGenerations(folder: journal.files.directory)
    for number in 1...3 {
      let database = try GivenAddress(Secret(addresses[number]), of: .database)
      try submit(
        .addCell(
          id: cell(number),
          CellDraft(name: ByteText("cell\(number)"), addresses: AddressDraft(database: database))))
    }
  }

  /// Makes the cells' SQLite files, as the disaster left them.
  func makeCells() throws {
    for number in 0...3 {
      let file = try NovaCellFile.make(at: path(number))
      try file.execute(cloud.statements(of: number).joined(separator: "\n"))
    }
  }

  func path(_ number: Int) -> String { folder + "/cell\(number).sqlite" }

  /// Calls `body` while cells can't be read.
  func without<Value>(_ numbers: [Int], _ body: () throws -> Value) throws -> Value {
    for number in numbers {
      try FileManager.default.moveItem(atPath: path(number), toPath: path(number) + ".away")
    }
    defer {
      for number in numbers {
        try? FileManager.default.moveItem(atPath: path(number) + ".away", toPath: path(number))
      }
    }
    return try body()
  }

  /// A run of `rebuild`.
  ///
  /// - Parameter isKilledAtEnd: All it has read is in the journal, and its staging file is still there.
  @discardableResult
  func rebuild(
    planOnly: Bool = false, isKilledAtEnd: Bool = false, settings: ScanSettings = ScanSettings(),
    old: OldMap? = nil,
    meanwhile: () throws -> Void = {}, watching: ([CellScanState]) -> Void = { _ in },
    applying: (UInt64) -> Void = { _ in }
  ) throws -> RebuildPlan {
    let (journal, registry) = try open()
    defer { try? registry.close() }
    let router = try CellRouter(
      journal: journal, index: generations, keys: keys.addresses, base: AddressBase(folder: folder))
    let rebuild = try MapRebuild(
      cells: router, journal: journal, keys: keys, stagingIn: journal.files.directory,
      trying: planOnly ? [] : nil, old: old
    ) { hasEnded($0) }
    rebuild.scan(settings, progress: watching)
    try meanwhile()
    try registry.projectTail()
    let index = try generations.open(store: journal.store).reader
    let plan: RebuildPlan
    if planOnly {
      plan = try rebuild.plan(on: index, head: journal.head.position) { _ in }
    } else {
      plan = try rebuild.apply(
        title: Self.title, by: AdoptionBed.actor, request: RequestID(.random()), on: index,
        through: registry, progress: applying
      ).plan
    }
    if !isKilledAtEnd { rebuild.discardScan() }
    return plan
  }

  func discardEndedScans() { MapRebuild.discardEndedScans(in: store) { hasEnded($0) } }

  /// As if no run had come to its end.
  var areAllKilled = false

  private func hasEnded(_ request: RequestID) -> Bool {
    !areAllKilled && ((try? index().request(request))?.finished != nil)
  }

  private func open() throws -> (EventJournal, MapRegistry) {
    let journal = try EventJournal.open(store)
    _ = try journal.refresh()
    let registry = MapRegistry(
      journal: journal, lock: journal.lock, command: "test", index: generations, keys: keys)
    return (journal, registry)
  }

  /// What an entry rests on.
  func evidence(at index: UInt64) throws -> Evidence? {
    try open().0.entry(at: index)?.draft.evidence
  }

  /// Gives a cell another database.
  func setDatabase(of number: Int, to address: String) throws {
    let database = try GivenAddress(Secret(address), of: .database)
    try submit(.setCellAddresses(cell(number), AddressDraft(database: database)))
  }

  func submit(_ change: Change) throws {
    let (_, registry) = try open()
    _ = try registry.submit(
      Command(change, by: AdoptionBed.actor, request: RequestID(.random())))
    try registry.close()
  }

  /// What a comparison would record.
  func take(_ observation: Observation) throws {
    let (_, registry) = try open()
    let chunk = KeyRange(observation.entity, through: observation.entity)
    _ = try registry.submit(
      Command(
        .take([observation]), by: AdoptionBed.actor, request: RequestID(.random()),
        bulk: BulkMark(title: "reconcile", chunk: chunk)))
    try registry.close()
  }

  /// The index, caught up.
  func index() throws -> IndexReader {
    let (journal, registry) = try open()
    try registry.projectTail()
    try registry.close()
    return try generations.open(store: journal.store).reader
  }

  /// Gives a cell so many more instances.
  func add(_ count: Int, to number: Int) throws {
    try NovaCellFile(path: path(number)).execute(
      """
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(count))
      INSERT INTO instances (uuid, host, vm_state, project_id, user_id, created_at, deleted)
      SELECT printf('%08x-0000-4000-8000-%012x', (i * 2654435761) & 0xffffffff, i), 'host1', 'active',
        'project-1', 'user-1', '2026-02-01 10:00:00', 0 FROM n;
      """)
  }

  /// The map without what depends on the moment of reading.
  func content() throws -> [String] {
    let index = try index()
    var lines: [String] = []
    for item in try index.instances(limit: 20_000) {
      let record = item.row.record
      lines.append(
        "\(item.id) \(String(describing: record.cell)) \(record.owner) "
          + "\(String(describing: record.isQueuedForDelete)) "
          + "\(String(describing: record.row.createdAt)) "
          + "\(String(describing: record.lastSeen?.host))")
    }
    for host in try index.hosts() { lines.append("\(host.name) \(host.row.record.cell)") }
    for item in try index.conflicts() where item.row.record.decision == nil {
      lines.append("\(item.entity) \(item.row.record.kind) \(item.row.record.evidence)")
    }
    return lines
  }

  /// Checks the map against the right verdicts.
  func checkVerdicts(_ location: SourceLocation = #_sourceLocation) throws {
    let index = try index()
    for item in cloud.cases {
      let row = try index.instance(item.instance)?.record
      let conflict = try index.conflict(of: .instance(item.instance))?.record
      let isOpen = conflict.map { $0.decision == nil } ?? false
      #expect(isOpen == (item.verdict == .conflict), "\(item)", sourceLocation: location)
      switch item.verdict {
      case .conflict, .none: #expect(row == nil, "\(item)", sourceLocation: location)
      case .mapped(let number, let isQueued):
        #expect(row?.cell == Self.cells[number], "\(item)", sourceLocation: location)
        #expect(row?.isQueuedForDelete == isQueued, "\(item)", sourceLocation: location)
        #expect(
          row?.row.createdAt == Timestamp("2026-02-01T10:00:00Z"), "\(item)",
          sourceLocation: location)
        let project: PersonalText? = item.name == "no project" ? nil : .clear("project-1")
        #expect(
          row?.owner == InstanceOwner(project: project, user: .clear("user-1")), "\(item)",
          sourceLocation: location)
        let copy = item.copies.first { $0.cell == number }
        let host = copy?.values["host"].flatMap { $0 == "NULL" ? nil : $0.dropFirst().dropLast() }
        #expect(
          row?.lastSeen?.host.string == host.map(String.init), "\(item)", sourceLocation: location)
      }
    }
    #expect(try index.hosts().map(\.name) == ["host1", "host2", "host3"], sourceLocation: location)
    #expect(
      try index.conflict(of: .host("twin"))?.record.decision == nil, sourceLocation: location)
    #expect(try index.conflict(of: .host("twin")) != nil, sourceLocation: location)
  }
}

func withRebuildBed(
  cause: EpochOpening.Cause = .rebuilt, _ body: (RebuildBed) throws -> Void
) throws {
  try withTemporaryFolder { folder in
    let bed = try RebuildBed(in: folder, cause: cause)
    try bed.makeCells()
    try body(bed)
  }
}
