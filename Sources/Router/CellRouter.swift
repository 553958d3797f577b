public import Cells
public import Journal
public import Projections

/// Answers in which cell and on which host an instance is.
///
/// Every thread may ask; each call blocks its thread, until its deadline at the most. A change of
/// the map by any process acts at the next call. Nothing is written, neither into the store nor into
/// a cell, and no lease is taken.
public final class CellRouter: Sendable {
  /// How a router works.
  public struct Options: Sendable {
    /// Instances whose mapping is kept in memory, 32 bytes each.
    public var cacheCapacity = 1 << 18
    /// What each cell may take of connections and threads, and when it counts as down.
    public var pool = CellPoolSettings()
    /// What the brokers of each cell may take of connections.
    public var queue = QueuePoolSettings()
    /// Entries that are folded in memory while the index is behind; beyond that the answers say how
    /// far behind they are.
    public var overlayCapacity = Overlay.readerCapacity

    public init() {}
  }

  let follower: MapFollower
  let cache: RouteCache
  /// What opens owners; nil without keys.
  let owners: OwnerKeys?
  private let context: TargetContext
  /// What each cell may take of connections and threads, and when it counts as down.
  public let poolSettings: CellPoolSettings

  /// Opens the map of a store; no cell is connected to.
  ///
  /// - Parameters:
  ///   - keys: What opens the addresses; without it cells can be named and not asked.
  ///   - base: What templates and relative paths of addresses are completed from.
  /// - Throws: `journal` if the journal can't be read. An index that can't be used throws at each
  ///   question, until one is there that can.
  public init(
    journal: EventJournal, index: IndexGenerations, keys: AddressKeys?, base: AddressBase,
    options: Options = Options()
  ) throws(RouterError) {
    let knowledge = MapKnowledge()
    let context = TargetContext(
      keys: keys, base: base, pool: options.pool,
      queue: options.queue,
      knowledge: { cell in knowledge.of(cell) })
    self.context = context
    poolSettings = options.pool
    owners = keys?.owners
    cache = RouteCache(capacity: options.cacheCapacity)
    follower = try MapFollower(
      journal: journal, generations: index, cache: cache, cells: CellDirectory(context: context),
      overlayCapacity: options.overlayCapacity)
    knowledge.connect(to: follower)
  }

  /// Where an instance is, by asking the cell that the map names.
  ///
  /// - Throws: Only what leaves nothing to say: a journal that can't be read, or an index that
  ///   can't while no cell is known.
  // Hot path: at most 1.4 × the raw prepared statements on the index and the cell.
  public func route(
    _ instance: InstanceID, until deadline: ContinuousClock.Instant
  ) throws(RouterError) -> Route {
    var attempt = 1
    while true {
      let map = try follower.snapshot()
      let outcome = try outcome(of: instance, in: map, until: deadline)
      // Between the look at the map and the look into the cell the instance may have moved.
      if outcome.isFinal || follower.isFresh || attempt == Self.attempts {
        return Route(
          instance: instance, position: map.position, behind: map.behind, outcome: outcome)
      }
      attempt += 1
    }
  }

  /// Tries where the map changes while an unusual answer is found.
  private static let attempts = 3

  /// What the map says of an instance, without asking its cell; nil if it holds none.
  ///
  /// - Throws: `journal`, `index`.
  // Hot path: from the cache at most 200 ns, from the index 1.1 × the raw statement; 0 allocations.
  public func mapping(of instance: InstanceID) throws(RouterError) -> MappedInstance? {
    var attempt = 1
    while true {
      let map = try follower.snapshot()
      let found = try onIndex { () throws(ProjectionError) in try mapping(of: instance, in: map) }
      if found != nil || follower.isFresh || attempt == Self.attempts { return found }
      attempt += 1
    }
  }

  /// All that the map holds of an instance, its owner and its last known host too.
  ///
  /// - Throws: `journal`, `index`.
  public func record(of instance: InstanceID) throws(RouterError) -> InstanceRow? {
    let map = try follower.snapshot()
    return try onIndex { () throws(ProjectionError) in try map.row(of: instance) }
  }

  /// What is known of a conflict about an instance; nil if none was ever found.
  ///
  /// - Throws: `journal`, `index`.
  public func conflict(of instance: InstanceID) throws(RouterError) -> ConflictRow? {
    let map = try follower.snapshot()
    return try onIndex { () throws(ProjectionError) in try map.conflict(of: instance) }
  }

  /// The cells of the map, by UUID.
  public func cells() throws(RouterError) -> [CellTarget] {
    try follower.snapshot().cells.all
  }

  /// A cell as it would be, read at an address that the map doesn't have; the map stays as it is.
  ///
  /// Its connections are its own, and are checked by what the map knows of the cell.
  public func target(_ id: CellID, _ row: CellRow, trying database: Secret) -> CellTarget {
    // Only what the cache knows is found by its number.
    CellTarget(id: id, row: row, number: -1, context: context, trying: database)
  }

  /// The last entry that the map takes into account.
  public func position() throws(RouterError) -> Position { try follower.snapshot().position }

  /// Why the index is to be made again: it can't be used, or a question has met damage in it since
  /// it was opened. nil for an index of which nothing bad is known.
  public func indexDamage() throws(RouterError) -> ProjectionError? {
    follower.damage(of: try follower.snapshot())
  }
}

// MARK: - The map

extension CellRouter {
  /// The map's word on an instance, from the cache, the overlay or the index.
  @inline(__always)
  func mapping(
    of id: InstanceID, in map: MapSnapshot
  ) throws(ProjectionError) -> MappedInstance? {
    if let known = cached(id, in: map) { return known }
    guard case .open(let readers) = map.index else { return try unusable(map) }
    if !map.overlay.isEmpty, let held = map.overlay.held(id) { return keep(id, held, in: map) }
    return try readers.with { reader throws(ProjectionError) in
      keep(id, try reader.lookup(id), in: map)
    }
  }

  /// What the cache has; nil also for a cell that isn't in this snapshot.
  @inline(__always)
  func cached(_ id: InstanceID, in map: MapSnapshot) -> MappedInstance? {
    guard let known = cache.lookup(id) else { return nil }
    guard let number = known.cell else { return mapped(id, nil, known.isQueuedForDelete, known) }
    guard let target = map.cells.target(at: number) else { return nil }
    return mapped(id, target, known.isQueuedForDelete, known)
  }

  private func mapped(
    _ id: InstanceID, _ target: CellTarget?, _ mark: Bool?, _ known: CachedMapping
  ) -> MappedInstance {
    MappedInstance(
      instance: id, cell: target?.id, isQueuedForDelete: mark, changedAt: known.changedAt,
      target: target)
  }

  private func unusable(_ map: MapSnapshot) throws(ProjectionError) -> MappedInstance? {
    if case .unusable(let error) = map.index { throw error }
    return nil
  }

  private func keep(
    _ id: InstanceID, _ row: InstanceRow?, in map: MapSnapshot
  ) -> MappedInstance? {
    guard let row else { return nil }
    return keep(
      id, row.record.cell, row.record.isQueuedForDelete, changedAt: row.changedAt, in: map)
  }

  /// The mapping in an index row, put into the cache as of the snapshot's position.
  @inline(__always)
  func keep(_ id: InstanceID, _ route: InstanceRoute?, in map: MapSnapshot) -> MappedInstance? {
    guard let route else { return nil }
    return keep(id, route.cell, route.isQueuedForDelete, changedAt: route.changedAt, in: map)
  }

  @inline(__always)
  private func keep(
    _ id: InstanceID, _ cell: CellID?, _ mark: Bool?, changedAt: UInt64, in map: MapSnapshot
  ) -> MappedInstance {
    let target = cell.flatMap { map.cells.target($0) }
    if (cell == nil) == (target == nil) {
      cache.insert(
        id, CachedMapping(cell: target?.number, isQueuedForDelete: mark, changedAt: changedAt),
        readAt: map.position.index)
    }
    return MappedInstance(
      instance: id, cell: cell, isQueuedForDelete: mark, changedAt: changedAt, target: target)
  }
}

extension RouteOutcome {
  /// Answers that a change of the map meanwhile wouldn't explain.
  var isFinal: Bool {
    switch self {
    case .found, .deleted: true
    default: false
    }
  }
}
