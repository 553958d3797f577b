import Cells
import Journal
import Projections
import Router
import TestSupport
import Testing

/// A store in a temporary folder, with an index and some cells; entries are written to it straight,
/// without the rules of Registry.
final class TestStore {
  let folder: String
  let journal: EventJournal
  let keys: KeyRing
  let generations: IndexGenerations
  private(set) var projector: IndexProjector
  private var counter = 0

  init(in folder: String) throws {
    self.folder = folder
    let beginning = try StoreBeginning(folder + "/store", store: StoreID(.random()))
    keys = try KeyRing.create(in: beginning.files.keys, store: beginning.store)
    let opening = EpochOpening(
      store: beginning.store, epoch: 1, id: EpochID(.random()), cause: .initialized,
      commonIndex: 0, commonRoot: IndexCheckpoint.start.root, leftIndex: 0,
      leftRoot: IndexCheckpoint.start.root)
    journal = try beginning.finish([
      Self.draft(.store(.epochOpened(opening))),
      Self.draft(.cell(.cell0, .added(CellRecord(name: "cell0", isCovered: true)))),
    ])
    generations = IndexGenerations(folder: folder + "/store")
    projector = try Self.newIndex(1, generations, journal)
    try project()
  }

  private static func newIndex(
    _ number: UInt64, _ generations: IndexGenerations, _ journal: EventJournal
  ) throws -> IndexProjector {
    let path = generations.path(of: number)
    do { _ = try IndexProjector.create(at: path, store: journal.store) }
    try generations.switchCurrent(to: number)
    return try IndexProjector(path: path)
  }

  static func draft(_ event: Event) -> EntryDraft {
    EntryDraft(
      event: event,
      authorship: Authorship(actor: "test", program: "test", reason: "test", observedAt: .now),
      request: RequestMark(id: .none))
  }

  /// Writes entries through an opening of its own, as another process does.
  @discardableResult
  func append(_ events: Event..., project isProjected: Bool = true) throws -> UInt64 {
    try append(events, project: isProjected)
  }

  @discardableResult
  func append(_ events: [Event], project isProjected: Bool = true) throws -> UInt64 {
    let other = try EventJournal.open(folder + "/store")
    let lease = try other.lock.acquire(command: "test")
    defer { lease.release() }
    let head = try other.append(
      events.map { Self.draft($0) }, expecting: try other.refresh().position, under: lease)
    if isProjected { try project() }
    return head.position.index
  }

  /// Brings the index to the head; the roots in between are nobody's concern here.
  func project() throws {
    let head = try journal.refresh()
    var reached = projector.checkpoint.position.index
    while reached < head.position.index {
      let changes = try journal.changes(after: reached, limit: IndexProjector.maximumBatch)
      try projector.apply(changes, root: head.root)
      let next = projector.checkpoint.position.index
      precondition(next > reached, "the journal has entries up to its head")
      reached = next
    }
  }

  /// Replays the journal into a new index, which serves from now on.
  func replaceIndex(by number: UInt64) throws {
    projector = try Self.newIndex(number, generations, journal)
    try project()
  }

  /// A cell's record with an address that is sealed for it.
  func record(
    _ cell: CellID, _ name: ByteText, database: String?, queue: String? = nil,
    isCovered: Bool = true
  ) throws -> CellRecord {
    func sealed(_ text: String?, _ field: AddressField) throws -> SealedAddress? {
      guard let text else { return nil }
      return try keys.seal(
        Array(text.utf8), publicForm: try field.publicForm(of: Secret(text)), of: cell, field)
    }
    return CellRecord(
      name: name, database: try sealed(database, .database), queue: try sealed(queue, .queue),
      isCovered: isCovered)
  }

  /// Gives cell0 a database in a file, without which no list is complete.
  @discardableResult
  func addCell0() throws -> NovaCellFile {
    let file = try NovaCellFile.make(at: folder + "/cell0.sqlite")
    try setCell0(at: "sqlite:///cell0.sqlite")
    return file
  }

  /// Gives cell0 the address of a database.
  func setCell0(at address: String) throws {
    let record = try record(.cell0, "cell0", database: address)
    let before = CellRecord(name: "cell0", isCovered: true).addresses
    try append(.cell(.cell0, .addressesChanged(from: before, to: record.addresses)))
  }

  /// Adds a cell with a database of its own, and the evidence of one host in it.
  func addCell(
    _ number: Int, isCovered: Bool = true, hasEvidence: Bool = true
  ) throws -> (id: CellID, file: NovaCellFile) {
    let id = CellID(uuid(9, number))
    let file = try NovaCellFile.make(at: folder + "/cell\(number).sqlite")
    try file.addHost("host\(number)", service: uuid(1, number), node: uuid(2, number))
    let name = ByteText("cell\(number)")
    let record = try record(
      id, name, database: "sqlite:///cell\(number).sqlite",
      queue: "rabbit://nova:secret@127.0.0.1:5672/cell\(number)", isCovered: isCovered)
    try append(.cell(id, .added(record)))
    if hasEvidence {
      try append(
        .cell(
          id,
          .identityRecorded(
            CellIdentity(services: [uuid(1, number)], computeNodes: [uuid(2, number)]))))
    }
    return (id, file)
  }

  /// Maps a new instance, and puts its row into the cell's file.
  func addInstance(
    _ cell: CellID?, _ file: NovaCellFile?, _ values: [String: String] = [:],
    mark: Bool? = false, lastSeen: HostSighting? = nil
  ) throws -> InstanceID {
    counter += 1
    let id = InstanceID(uuid(3, counter))
    try file?.add(id, values)
    try append(.instance(id, .mapped(mapping(cell, mark: mark, lastSeen: lastSeen))))
    return id
  }

  func mapping(
    _ cell: CellID?, mark: Bool? = false, lastSeen: HostSighting? = nil
  ) -> InstanceRecord {
    InstanceRecord(
      cell: cell, owner: InstanceOwner(project: "project-1" as ByteText, user: "user-1"),
      isQueuedForDelete: mark, lastSeen: lastSeen)
  }

  /// A router on an opening of its own.
  func router(_ change: (inout CellRouter.Options) -> Void) throws -> CellRouter {
    var options = CellRouter.Options()
    change(&options)
    return try router(options: options)
  }

  /// A router on an opening of its own.
  func router(
    base: AddressBase? = nil, keys: AddressKeys?? = nil, options: CellRouter.Options = .init()
  ) throws -> CellRouter {
    try CellRouter(
      journal: EventJournal.open(folder + "/store"), index: generations,
      keys: keys ?? self.keys.addresses, base: base ?? AddressBase(folder: folder), options: options
    )
  }
}

func withStore(_ body: (TestStore) throws -> Void) throws {
  try withTemporaryFolder { folder in try body(TestStore(in: folder)) }
}

func uuid(_ kind: Int, _ number: Int) -> UUID128 {
  UUID128(high: UInt64(kind) << 32 | 0x4000, low: 1 << 63 | UInt64(number))
}

extension CellRouter {
  func outcome(_ id: InstanceID, _ milliseconds: Int = 60_000) throws -> RouteOutcome {
    try route(id, until: soon(milliseconds)).outcome
  }

  /// The host of an instance that is found, nil for any other answer.
  func host(_ id: InstanceID) throws -> ByteText? {
    if case .found(let live) = try outcome(id) { live.placement.host } else { nil }
  }
}

extension RouteOutcome {
  /// What kind of answer it is, with what tells it from others of the kind.
  var summary: String {
    switch self {
    case .found(let live): "found \(live.placement.host?.string ?? "-")"
    case .deleted(let live): "deleted \(live.placement.host?.string ?? "-")"
    case .noCellYet: "no cell yet"
    case .missingInCell: "missing"
    case .cellUnavailable(_, _, let why, _): "unavailable \(why)"
    case .cellWithoutDatabase: "without database"
    case .cellNotInMap(_, let cell): "not in map \(cell)"
    case .inConflict(let row): "in conflict \(row.record.decision?.string ?? "")"
    case .unknown(let search):
      "unknown" + (search.map { $0.isComplete ? " searched" : " incomplete" } ?? "")
    case .foundBySearch(let live, _): "found by search \(live.placement.host?.string ?? "-")"
    }
  }
}
