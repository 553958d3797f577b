import Glibc
import Journal
import Projections
import Registry
import Router

/// A store for measuring: four cells and as many instances as are asked for.
final class BenchStore {
  let directory: String
  let journal: EventJournal
  let keys: KeyRing
  let generations: IndexGenerations
  /// Where the databases of the cells would be.
  let cellFolder: String
  let cells: [CellID]

  /// Makes a store with the cells of the workload, and no instances; their databases are files, or
  /// at the addresses that are given.
  init(in folder: String, name: String, databases: [Secret]? = nil) throws {
    cells = Workload.cells(databases?.count ?? Workload.cells.count)
    directory = "\(folder)/\(name)"
    cellFolder = "\(folder)/\(name)-cells"
    guard mkdir(cellFolder, 0o700) == 0 else { throw BenchError.library("mkdir", errno) }
    journal = try StoreCreation.create(in: directory, cell0: nil, by: Workload.authorship)
    keys = try KeyRing.open(in: journal.files.keys, store: journal.store)
    generations = IndexGenerations(folder: directory)
    let registry = self.registry()
    for (place, cell) in cells.enumerated() {
      let file = Secret("sqlite:///\(cellDatabase(place + 1))")
      try add(cell, place + 1, databases?[place] ?? file, to: registry)
    }
    try registry.close()
  }

  func registry() -> MapRegistry {
    MapRegistry(
      journal: journal, lock: journal.lock, command: "bench", index: generations, keys: keys)
  }

  /// A router over the store and the cells in its folder.
  func router(_ change: (inout CellRouter.Options) -> Void = { _ in }) throws -> CellRouter {
    var options = CellRouter.Options()
    change(&options)
    return try CellRouter(
      journal: journal, index: generations, keys: keys.addresses,
      base: AddressBase(folder: cellFolder), options: options)
  }

  /// Where the database of a cell is.
  func cellDatabase(_ number: Int) -> String { "\(cellFolder)/cell\(number).sqlite" }

  private func add(
    _ cell: CellID, _ number: Int, _ database: Secret, to registry: MapRegistry
  ) throws {
    let addresses = AddressDraft(
      database: try GivenAddress(database, of: .database),
      queue: try GivenAddress(
        Secret("rabbit://nova:secret@mq\(number).example.org:5672/"), of: .queue))
    let draft = CellDraft(
      name: ByteText("cell\(number)"), addresses: addresses, isCovered: true)
    _ = try registry.submit(
      Command(
        .addCell(id: cell, draft), by: Workload.authorship,
        request: RequestID(.random())))
  }

  /// Appends drafts without any rule, as one commit.
  func append(_ drafts: [EntryDraft]) throws {
    let lease = try journal.lock.acquire(command: "bench")
    defer { lease.release() }
    _ = try journal.append(drafts, expecting: journal.head.position, under: lease)
  }

  /// Maps instances 0 to `count`, as commits of one bulk command; the index isn't told.
  func populate(_ count: Int) throws {
    let lease = try journal.lock.acquire(command: "bench")
    defer { lease.release() }
    let request = RequestID(.random())
    for start in stride(from: 0, to: count, by: 10_000) {
      let events = (start..<min(count, start + 10_000)).map { Workload.mappedEvent($0, in: cells) }
      _ = try journal.append(
        Workload.bulk(events, request: request), expecting: journal.head.position, under: lease)
    }
  }

  /// Makes a new index of all entries; it serves only after `serve`.
  func replay() throws -> (number: UInt64, path: String) {
    let number = try generations.replay(journal)
    return (number, generations.path(of: number))
  }

  func serve(_ number: UInt64) throws { try generations.switchCurrent(to: number) }

  /// The path of the index that serves.
  func currentIndex() throws -> String { generations.path(of: try generations.current().number) }
}

/// What benches share: a folder, and stores that are made when they are first needed.
final class Fixtures {
  let folder: String
  let instances: Int
  /// How often something is done with every entry.
  var roundsOverAll: Int { instances > 2_000_000 ? 1 : 5 }
  private var populated: BenchStore?
  /// How often each instance of the populated store was moved to the next cell.
  var moves: [Int: Int] = [:]

  init(folder: String, instances: Int) {
    self.folder = folder
    self.instances = instances
  }

  private var cloudStore: BenchStore?

  /// A store of which only the cells' databases are used, which have all instances.
  func cloud() throws -> BenchStore {
    if let cloudStore { return cloudStore }
    let store = try emptyStore("cloud")
    try CellDatabases.make(for: store, instances: instances)
    cloudStore = store
    return store
  }

  /// Entries of the small store.
  static let fewEntries = 100_000
  private var few: BenchStore?

  /// A store of few entries, without an index.
  func smallStore() throws -> BenchStore {
    if let few { return few }
    let store = try BenchStore(in: folder, name: "few")
    try store.populate(Self.fewEntries)
    few = store
    return store
  }

  func emptyStore(_ name: String) throws -> BenchStore { try BenchStore(in: folder, name: name) }

  /// The store with all instances, and an index of them that serves.
  func populatedStore() throws -> BenchStore {
    if let populated { return populated }
    let store = try BenchStore(in: folder, name: "populated")
    try store.populate(instances)
    try store.serve(store.replay().number)
    populated = store
    return store
  }
}
