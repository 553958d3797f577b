import Journal
import Projections
import Recovery
import Registry
import TestSupport

/// A store and a Nova API database beside each other.
final class AdoptionBed {
  let folder: String
  let api: NovaAPIFile
  let keys: KeyRing
  private let generations: IndexGenerations

  static let actor = Authorship(
    actor: "test", program: "test", reason: "test", observedAt: .now)

  init(in folder: String, named name: String = "api") throws {
    self.folder = folder
    api = try NovaAPIFile.make(at: folder + "/\(name).sqlite")
    let journal = try StoreCreation.create(
      in: folder + "/store-\(name)", cell0: nil, by: AdoptionBed.actor)
    keys = try KeyRing.open(in: journal.files.keys, store: journal.store)
    generations = IndexGenerations(folder: journal.files.directory)
    store = folder + "/store-\(name)"
  }
  let store: String

  /// cell0 and two cells, each with a host.
  func addCells() throws {
    try api.addCell(1, .cell0, name: "cell0", database: "sqlite:///cell0.sqlite")
    for number in [1, 2] {
      try api.addCell(
        number + 1, cell(number), name: "cell\(number)", database: "sqlite:///\(number).sqlite",
        queue: "rabbit://nova:s3cret@mq\(number):5672/")
      try api.addHost(number, "host\(number)", cell: number + 1)
    }
  }

  func openSource() throws -> NovaAPIDatabase {
    try NovaAPIDatabase(path: api.path, publicForm: ByteText("sqlite:///\(api.path)"))
  }

  /// A run of `adopt`.
  struct Run {
    var request = RequestID(.random())
    var skipsInvalid = false
    var prunes = false
    var witness = SampleWitness()
    var planOnly = false
    /// The head before the source was opened; nil for that of now.
    var basis: Position?
    /// The chunk after which the process is as good as dead.
    var stopsAfterRows: UInt64 = .max
  }

  /// - Parameter meanwhile: What others do between the plan and its application.
  @discardableResult
  func adopt(
    _ run: Run = Run(), from source: NovaAPIDatabase? = nil, meanwhile: () -> Void = {},
    after: (UInt64) -> Void = { _ in }
  ) throws(AdoptionError) -> (plan: AdoptionPlan, outcome: Outcome?) {
    let (journal, registry, index) = try opened()
    defer { try? registry.close() }
    var from = source
    if from == nil { from = try unwrapped { try openSource() } }
    guard let from else { preconditionFailure("opened above") }
    let adoption = MapAdoption(
      source: from, witness: run.witness, keys: keys,
      options: AdoptionOptions(
        authorship: AdoptionBed.actor, request: run.request,
        basis: run.basis ?? journal.head.position, skipsInvalid: run.skipsInvalid,
        prunes: run.prunes))
    var plan = try adoption.plan(on: index, head: journal.head.position) { _ in }
    guard !run.planOnly else { return (plan, nil) }
    meanwhile()
    let outcome = try adoption.apply(&plan, on: index, through: registry) { rows in
      if rows >= run.stopsAfterRows { try? registry.close() }
      after(rows)
    }
    return (plan, outcome)
  }

  /// Changes the map as another process does; the index is brought up.
  func submit(
    _ change: Change, request: RequestID = RequestID(.random()), bulk: BulkMark? = nil
  ) throws {
    let (_, registry, _) = try opened()
    _ = try registry.submit(Command(change, by: AdoptionBed.actor, request: request, bulk: bulk))
    try registry.close()
  }

  func opened() throws(AdoptionError) -> (EventJournal, MapRegistry, IndexReader) {
    try unwrapped {
      let journal = try EventJournal.open(store)
      let registry = MapRegistry(
        journal: journal, lock: journal.lock, command: "test", index: generations, keys: keys)
      let index = try generations.open(store: journal.store).reader
      _ = try index.beginSnapshot()
      return (journal, registry, index)
    }
  }

  /// Errors of the harness itself end the test.
  private func unwrapped<Value>(_ body: () throws -> Value) throws(AdoptionError) -> Value {
    do { return try body() } catch {
      if let error = error as? AdoptionError { throw error }
      fatalError("the test's own store: \(error)")
    }
  }

  /// How many entries the journal has.
  func entryCount() throws -> UInt64 {
    try EventJournal.open(store).refresh().position.index
  }

  func entries(after index: UInt64) throws -> [Entry] {
    let journal = try EventJournal.open(store)
    let head = try journal.refresh().position.index
    return try (index + 1...head).compactMap { try journal.entry(at: $0) }
  }

  /// The map as it is now.
  func map() throws -> LiveMap {
    let journal = try EventJournal.open(store)
    let map = LiveMap(over: try generations.open(store: journal.store).reader)
    _ = try map.readHead(of: journal)
    return map
  }
}

/// What cells say of themselves, as a test has it; a cell it knows nothing of can't be read.
struct SampleWitness: CellWitness {
  var identities: [CellID: CellIdentity] = [:]
  var hosts: [InstanceID: ByteText] = [:]

  func identity(of cell: CellID) throws(CellWitnessError) -> CellIdentity {
    guard let identity = identities[cell] else { throw CellWitnessError("it is away") }
    return identity
  }

  func look(at cell: CellID, database: Secret?) throws(CellWitnessError) {
    _ = try identity(of: cell)
  }

  func hosts(
    of instances: [InstanceID], in cell: CellID
  ) throws(CellWitnessError) -> [InstanceID: ByteText] {
    guard identities[cell] != nil else { throw CellWitnessError("it is away") }
    return hosts.filter { instances.contains($0.key) }
  }
}

func cell(_ number: Int) -> CellID {
  CellID(UUID128(high: 0x4000, low: 1 << 63 | UInt64(number)))
}

func instance(_ number: Int) -> InstanceID {
  InstanceID(UUID128(high: 0x1_0000_4000, low: 1 << 63 | UInt64(number)))
}

func withBed(_ body: (AdoptionBed) throws -> Void) throws {
  try withTemporaryFolder { folder in try body(AdoptionBed(in: folder)) }
}
