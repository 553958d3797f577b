import Journal
import Projections
import Recovery
import Registry
import Router
import TestSupport

/// An adopted map and the cells' own databases, which agree: cell0, and two cells with a host and five
/// instances each (0 to 4 and 5 to 9).
final class ReconciliationBed {
  let map: AdoptionBed
  let cell0: NovaCellFile
  let first: NovaCellFile
  let second: NovaCellFile

  init(in folder: String) throws {
    map = try AdoptionBed(in: folder)
    try map.addCells()
    try map.api.execute(
      "CREATE TABLE build_requests (id INTEGER PRIMARY KEY, instance_uuid VARCHAR(36))")
    try map.api.addInstances(0..<10, cell: { $0 / 5 + 2 }, uuid: { "\(instance($0))" })
    let files = try ["cell0", "1", "2"].map { name in
      let file = try NovaCellFile.make(at: "\(folder)/\(name).sqlite")
      try file.execute(ReconciliationBed.furtherTables)
      return file
    }
    (cell0, first, second) = (files[0], files[1], files[2])
    for (number, file) in [first, second].enumerated() {
      try file.addHost(
        "host\(number + 1)", service: UUID128(high: 0x7000, low: UInt64(number)),
        node: UUID128(high: 0x7001, low: UInt64(number)))
      // A moment after the mapping, as Nova makes them.
      let values = ["host": "'host1'", "created_at": "'2026-01-02 03:04:08.000000'"]
      for index in 0..<5 { try file.add(instance(number * 5 + index), values) }
    }
    var witness = SampleWitness()
    for number in [1, 2] {
      let service = UUID128(high: 0x7000, low: UInt64(number - 1))
      witness.identities[cell(number)] = CellIdentity(services: [service], computeNodes: [])
    }
    try map.adopt(AdoptionBed.Run(witness: witness))
  }

  private static let furtherTables = """
    CREATE TABLE IF NOT EXISTS migrations (
      id INTEGER PRIMARY KEY, uuid VARCHAR(36), instance_uuid VARCHAR(36),
      source_compute VARCHAR(255), dest_compute VARCHAR(255), status VARCHAR(255),
      created_at DATETIME, cross_cell_move BOOLEAN);
    CREATE TABLE IF NOT EXISTS shadow_instances (
      id INTEGER PRIMARY KEY, uuid VARCHAR(36) NOT NULL, created_at DATETIME);
    """

  /// A run of `reconcile`.
  struct Run {
    /// nil only compares.
    var options: MendOptions?
    var request = RequestID(.random())
    var usesAPI = false
    /// What the cloud and others do between the looks.
    var betweenLooks: () throws -> Void = {}
    /// What others do between the second look and the mends.
    var beforeMending: () throws -> Void = {}
    /// How long a page, or a question of the second look, may take.
    var pageTime = Duration.seconds(30)
  }

  struct Answer {
    var report: ReconcileReport
    var findings: [Finding]
    var plan: MendPlan?
    var result: MendResult?

    var kinds: [FindingKind] { findings.map(\.kind) }
  }

  @discardableResult
  func reconcile(_ run: Run = Run()) throws -> Answer {
    let journal = try EventJournal.open(map.store)
    let generations = IndexGenerations(folder: journal.files.directory)
    let registry = MapRegistry(
      journal: journal, lock: journal.lock, command: "test", index: generations, keys: map.keys)
    defer { try? registry.close() }
    try registry.projectTail()
    let index = try generations.open(store: journal.store).reader
    let reconciliation = try open(journal, generations)
    defer { reconciliation.discard() }
    var settings = ScanSettings()
    settings.pageTime = run.pageTime
    reconciliation.scan(settings) { _ in }
    try reconciliation.compare(on: index, isForMending: run.options != nil) { _ in }
    try run.betweenLooks()
    try registry.projectTail()
    let builds = run.usesAPI ? try map.openSource() : nil
    try reconciliation.lookAgain(on: index, builds: builds, time: run.pageTime) { _ in }
    var answer = Answer(report: try reconciliation.summary(), findings: [])
    try reconciliation.forEachFinding { answer.findings.append($0) }
    guard let options = run.options else { return answer }
    let plan = try reconciliation.planMend(options, on: index)
    answer.plan = plan
    try run.beforeMending()
    try registry.projectTail()
    answer.result = try reconciliation.mend(
      plan, options, title: "reconcile", by: AdoptionBed.actor, request: run.request, on: index,
      through: registry
    ) { _ in }
    return answer
  }

  func open(_ journal: EventJournal, _ generations: IndexGenerations) throws -> MapReconciliation {
    _ = try journal.refresh()
    let router = try CellRouter(
      journal: journal, index: generations, keys: map.keys.addresses,
      base: AddressBase(folder: map.folder), options: MapReconciliation.routerOptions)
    return try MapReconciliation(
      cells: router, journal: journal, keys: map.keys, stagingIn: journal.files.directory)
  }

  /// Mends one class, or several, with a limit that nothing reaches.
  @discardableResult
  func mend(
    _ kinds: FindingKind..., with change: (inout MendOptions) -> Void = { _ in }
  ) throws -> Answer {
    var options = MendOptions(Set(kinds))
    options.limit = 1000
    change(&options)
    return try reconcile(Run(options: options))
  }

  func record(_ number: Int) throws -> InstanceRecord? {
    try map.map().instance(instance(number))?.record
  }
}

func withReconciliation(_ body: (ReconciliationBed) throws -> Void) throws {
  try withTemporaryFolder { folder in try body(ReconciliationBed(in: folder)) }
}
