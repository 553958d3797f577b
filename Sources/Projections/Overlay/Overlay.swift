public import Journal

/// The fold, in memory, of journal entries that the index has not reached yet.
///
/// A value: whoever holds it protects it. What it doesn't hold is asked of the index below it.
public struct Overlay: Sendable {
  /// Entries that the index may lack before the write path waits for the projector.
  public static let capacity = 16_384
  /// Entries that readers fold over the index: as many as the write path lets gather, and the group
  /// that it commits on top.
  public static let readerCapacity = 2 * capacity

  /// What the map holds of a thing after the last entry about it; a nil row means "nothing".
  private struct Slot<Row: Sendable>: Sendable {
    var row: Row?
    var index: UInt64
  }

  private enum Key: Hashable {
    case entity(EntityKey)
    case request(RequestID)
    case conflict(EntityKey)
  }

  /// What a slot held before an entry was folded into it.
  private enum Replaced {
    case cell(CellID, Slot<CellRow>?)
    case host(ByteText, Slot<HostRow>?)
    case instance(InstanceID, Slot<InstanceRow>?)
    case request(RequestID, Slot<RequestRow>?)
    case conflict(EntityKey, Slot<ConflictRow>?)
  }

  private var cells: [CellID: Slot<CellRow>] = [:]
  private var hosts: [ByteText: Slot<HostRow>] = [:]
  private var instances: [InstanceID: Slot<InstanceRow>] = [:]
  private var requests: [RequestID: Slot<RequestRow>] = [:]
  private var conflicts: [EntityKey: Slot<ConflictRow>] = [:]
  /// Epochs that entries opened, oldest first.
  private var openings: [Position] = []
  /// What was touched by which entry, oldest first, so that dropping needs no search.
  private var touched: [(index: UInt64, key: Key)] = []
  private var droppedCount = 0
  /// What the entries since `beginUndo` replaced, oldest first; nil while nobody may undo.
  private var replaced: [Replaced]?
  /// How many epochs were opened at `beginUndo`.
  private var keptOpenings = 0

  public init() {}

  /// The number of entries held, each counted once for each thing that it touches.
  public var count: Int { touched.count - droppedCount }
  public var isEmpty: Bool { count == 0 }

  /// Folds an entry in; rows that the overlay doesn't hold yet are asked of `index`.
  ///
  /// - Throws: What `index` throws; the overlay is as it was.
  public mutating func apply(
    _ change: EntryChange, over index: some MapLookup
  ) throws(ProjectionError) {
    let place = change.position.index
    if change.request.id != .none {
      let before = try request(change.request.id, over: index)
      let after = RequestRow.folded(change, into: before)
      let slot = requests.updateValue(Slot(row: after, index: place), forKey: change.request.id)
      replaced?.append(.request(change.request.id, slot))
      touched.append((place, .request(change.request.id)))
    }
    switch change.event {
    case .cell(let id, let event):
      let row = CellRow.folded(event, at: place, into: try cell(id, over: index))
      let slot = cells.updateValue(Slot(row: row, index: place), forKey: id)
      replaced?.append(.cell(id, slot))
    case .host(let name, let event):
      let row = HostRow.folded(event, at: place, into: try host(name, over: index))
      let slot = hosts.updateValue(Slot(row: row, index: place), forKey: name)
      replaced?.append(.host(name, slot))
    case .instance(let id, let event):
      let row = InstanceRow.folded(event, at: place, into: try instance(id, over: index))
      let slot = instances.updateValue(Slot(row: row, index: place), forKey: id)
      replaced?.append(.instance(id, slot))
    case .store(.epochOpened):
      openings.append(change.position)
      return
    case .conflict(let entity, let event):
      let before = try conflict(of: entity, over: index)
      let row = ConflictRow.folded(event, at: place, into: before)
      let slot = conflicts.updateValue(Slot(row: row, index: place), forKey: entity)
      replaced?.append(.conflict(entity, slot))
      touched.append((place, .conflict(entity)))
      return
    case .store: return
    }
    touched.append((place, .entity(change.event.entity)))
  }

  /// Forgets what the index has reached.
  ///
  /// Only to be called once a snapshot of the index at `checkpoint` or later is open: otherwise a
  /// reader could find a row in neither.
  public mutating func drop(upTo checkpoint: UInt64) {
    precondition(replaced == nil, "nothing is dropped of what may be undone")
    while droppedCount < touched.count, touched[droppedCount].index <= checkpoint {
      forget(touched[droppedCount].key, upTo: checkpoint)
      droppedCount += 1
    }
    openings.removeAll { $0.index <= checkpoint }
    if droppedCount > 4096 || droppedCount == touched.count {
      touched.removeFirst(droppedCount)
      droppedCount = 0
    }
  }

  // MARK: Undoing

  /// Remembers from here on what entries replace.
  mutating func beginUndo() {
    replaced = []
    keptOpenings = openings.count
  }

  /// Keeps the entries since `beginUndo`.
  mutating func keep() { replaced = nil }

  /// Makes the overlay what it was at `beginUndo`.
  mutating func undo() {
    guard let replaced else { preconditionFailure("undoing was prepared") }
    for item in replaced.reversed() {
      switch item {
      case .cell(let id, let slot): cells[id] = slot
      case .host(let name, let slot): hosts[name] = slot
      case .instance(let id, let slot): instances[id] = slot
      case .request(let id, let slot): requests[id] = slot
      case .conflict(let entity, let slot): conflicts[entity] = slot
      }
    }
    touched.removeLast(replaced.count)
    openings.removeLast(openings.count - keptOpenings)
    self.replaced = nil
  }

  private mutating func forget(_ key: Key, upTo checkpoint: UInt64) {
    switch key {
    case .entity(.cell(let id)): if cells[id]?.index ?? .max <= checkpoint { cells[id] = nil }
    case .entity(.host(let name)):
      if hosts[name]?.index ?? .max <= checkpoint { hosts[name] = nil }
    case .entity(.instance(let id)):
      if instances[id]?.index ?? .max <= checkpoint { instances[id] = nil }
    case .request(let id): if requests[id]?.index ?? .max <= checkpoint { requests[id] = nil }
    case .conflict(let entity):
      if conflicts[entity]?.index ?? .max <= checkpoint { conflicts[entity] = nil }
    case .entity(.store): break
    }
  }
}

// MARK: - Questions

extension Overlay {
  public func cell(
    _ id: CellID, over index: some MapLookup
  ) throws(ProjectionError) -> CellRow? {
    if let slot = cells[id] { return slot.row }
    return try index.cell(id)
  }

  public func host(
    _ name: ByteText, over index: some MapLookup
  ) throws(ProjectionError) -> HostRow? {
    if let slot = hosts[name] { return slot.row }
    return try index.host(name)
  }

  public func instance(
    _ id: InstanceID, over index: some MapLookup
  ) throws(ProjectionError) -> InstanceRow? {
    if let slot = instances[id] { return slot.row }
    return try index.instance(id)
  }

  public func conflict(
    of entity: EntityKey, over index: some MapLookup
  ) throws(ProjectionError) -> ConflictRow? {
    if let slot = conflicts[entity] { return slot.row }
    return try index.conflict(of: entity)
  }

  public func request(
    _ id: RequestID, over index: some MapLookup
  ) throws(ProjectionError) -> RequestRow? {
    if let slot = requests[id] { return slot.row }
    return try index.request(id)
  }

  public func departure(
    of entity: EntityKey, over index: some MapLookup
  ) throws(ProjectionError) -> UInt64? {
    let slot: (isGone: Bool, index: UInt64)? =
      switch entity {
      case .cell(let id): cells[id].map { ($0.row == nil, $0.index) }
      case .host(let name): hosts[name].map { ($0.row == nil, $0.index) }
      case .instance(let id): instances[id].map { ($0.row == nil, $0.index) }
      case .store: nil
      }
    if let slot { return slot.isGone ? slot.index : nil }
    return try index.departure(of: entity)
  }

  /// The epoch of an entry, if an entry in the overlay opened it.
  func epoch(of index: UInt64) -> UInt32? { openings.last { $0.index <= index }?.epoch }

  /// What the overlay itself says of an instance: nil if no entry in it is about the instance, a
  /// nil row if the instance is gone.
  public func held(_ id: InstanceID) -> InstanceRow?? { instances[id].map(\.row) }

  /// The same of a conflict.
  public func heldConflict(of entity: EntityKey) -> ConflictRow?? { conflicts[entity].map(\.row) }

  /// How many more instances are counted than the index has: those that came, less those that went.
  public func countChange(
    over index: some MapLookup, _ isCounted: (InstanceRow) -> Bool
  ) throws(ProjectionError) -> Int {
    var change = 0
    for (id, slot) in instances {
      if let before = try index.instance(id), isCounted(before) { change -= 1 }
      if let row = slot.row, isCounted(row) { change += 1 }
    }
    return change
  }

  /// The cells, hosts and instances whose rows differ from the index's; nil means gone.
  public var changedCells: [CellID: CellRow?] { cells.mapValues(\.row) }
  public var changedHosts: [ByteText: HostRow?] { hosts.mapValues(\.row) }
  public var changedInstances: [InstanceID: InstanceRow?] { instances.mapValues(\.row) }
  /// The conflicts that were found or decided since; nil means gone.
  public var changedConflicts: [EntityKey: ConflictRow?] { conflicts.mapValues(\.row) }
}
