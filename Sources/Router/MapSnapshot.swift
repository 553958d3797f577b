internal import Cells
internal import Journal
internal import Projections

/// The map as of one entry: an index file, the entries that it lacks, and the cells.
///
/// Never changes; `MapFollower` makes the next one. Threads share it by reference.
final class MapSnapshot: Sendable {
  /// The last entry that is taken into account.
  let position: Position
  /// How many entries the journal had beyond it.
  let behind: UInt64
  /// Entries after the index's checkpoint, up to `position`.
  let overlay: Overlay
  let cells: CellDirectory
  /// Evidence in entries that the index may lack; all that there is, where there is no index; nil where
  /// the journal can't say it either.
  let evidence: [PendingEvidence]?
  let index: IndexState

  enum IndexState: Sendable {
    case open(IndexReaders)
    /// It can't be read; cells must be asked instead, until it is made again.
    indirect case unusable(ProjectionError)

    var readers: IndexReaders? {
      if case .open(let readers) = self { readers } else { nil }
    }
  }

  /// Evidence about a cell in an entry that the index may not have reached.
  struct PendingEvidence: Sendable {
    let index: UInt64
    let cell: CellID
    let identity: CellIdentity
  }

  init(
    position: Position, behind: UInt64, overlay: Overlay, cells: CellDirectory,
    evidence: [PendingEvidence]?, index: IndexState
  ) {
    self.position = position
    self.behind = behind
    self.overlay = overlay
    self.cells = cells
    self.evidence = evidence
    self.index = index
  }

  /// All that the map holds of an instance; nil if it holds none.
  func row(of id: InstanceID) throws(ProjectionError) -> InstanceRow? {
    if let held = overlay.held(id) { return held }
    switch index {
    case .open(let readers):
      return try readers.with { reader throws(ProjectionError) in try reader.instance(id) }
    case .unusable(let error): throw error
    }
  }
}

extension MapSnapshot {
  /// What is known of a conflict about an instance; nil if none was ever found.
  func conflict(of id: InstanceID) throws(ProjectionError) -> ConflictRow? {
    if let held = overlay.heldConflict(of: .instance(id)) { return held }
    switch index {
    case .open(let readers):
      return try readers.with { reader throws(ProjectionError) in
        try reader.conflict(of: .instance(id))
      }
    case .unusable(let error): throw error
    }
  }
}

// MARK: - Identity

extension MapSnapshot {
  /// Some of what is recorded of a cell, and instances that its database should have.
  func recorded(of cell: CellID, limit: Int) throws(ProjectionError) -> RecordedIdentity {
    let evidence = try knownEvidence
    let pending = evidence.filter { $0.cell == cell }
    let isReplaced = pending.contains { $0.identity.replacesEarlier }
    let afterReplacement =
      pending.lastIndex { $0.identity.replacesEarlier }.map { pending[$0...] } ?? pending[...]
    var services = Set(afterReplacement.flatMap(\.identity.services))
    var nodes = Set(afterReplacement.flatMap(\.identity.computeNodes))
    guard case .open(let readers) = index else {
      // The cache's mappings of before are no evidence; what entries record is.
      return RecordedIdentity(
        services: Self.sample(services, limit), computeNodes: Self.sample(nodes, limit),
        instances: [])
    }
    let instances = try readers.with { reader throws(ProjectionError) in
      for item in isReplaced ? [] : try reader.identities(of: cell) {
        switch item.kind {
        case .service: services.insert(item.uuid)
        case .computeNode: nodes.insert(item.uuid)
        case .server: break
        }
      }
      return try reader.instances(in: cell, limit: limit * 4)
    }
    // An instance queued for delete may have been purged from its cell.
    let expected = instances.filter { $0.row.record.isQueuedForDelete != true }.map(\.id)
      .filter { overlay.held($0) == nil }
    return RecordedIdentity(
      services: Self.sample(services, limit), computeNodes: Self.sample(nodes, limit),
      instances: Array(expected.prefix(limit)))
  }

  /// The cells of which a service or compute node with that UUID is recorded.
  func cells(recording uuid: UUID128) throws(ProjectionError) -> [CellID] {
    var found = try Set(
      knownEvidence.filter {
        $0.identity.services.contains(uuid) || $0.identity.computeNodes.contains(uuid)
      }.map(\.cell))
    if case .open(let readers) = index {
      let items = try readers.with { reader throws(ProjectionError) in
        try reader.identities(under: uuid)
      }
      found.formUnion(items.map(\.cell))
    }
    // What was recorded of a cell that is gone proves nothing any more.
    return found.filter { cells.target($0) != nil }
  }

  private var knownEvidence: [PendingEvidence] {
    get throws(ProjectionError) {
      if let evidence { return evidence }
      if case .unusable(let error) = index { throw error }
      return []
    }
  }

  /// Some of the values, spread over all of them.
  private static func sample(_ values: Set<UUID128>, _ limit: Int) -> [UUID128] {
    let sorted = values.sorted()
    guard sorted.count > limit else { return sorted }
    return (0..<limit).map { sorted[$0 * sorted.count / limit] }
  }
}
