public import Journal

/// The map as it stood after an entry: single things, all cells and all hosts, from the history.
///
/// Lists of instances are read from an index that is replayed up to that entry.
public struct PastMap {
  public let history: MapHistory
  /// The position at which answers are true.
  public let position: Position

  /// - Parameter position: At most the history's head.
  public init(_ history: MapHistory, at position: Position) {
    precondition(position.index <= history.head.index, "the past ends at the head")
    self.history = history
    self.position = position
  }

  public func cell(_ id: CellID) throws(ProjectionError) -> CellRow? {
    try history.row(of: .cell(id), at: position.index)?.cell
  }

  public func host(_ name: ByteText) throws(ProjectionError) -> HostRow? {
    try history.row(of: .host(name), at: position.index)?.host
  }

  public func instance(_ id: InstanceID) throws(ProjectionError) -> InstanceRow? {
    try history.row(of: .instance(id), at: position.index)?.instance
  }

  /// What was known of a conflict about a thing; nil if none had been found.
  public func conflict(of entity: EntityKey) throws(ProjectionError) -> ConflictRow? {
    var row: ConflictRow?
    for entry in try history.entries(of: entity, upTo: position.index) {
      guard case .conflict(_, let event) = entry.event else { continue }
      row = ConflictRow.folded(event, at: entry.position.index, into: row)
    }
    return row
  }

  /// All cells that there were, by their UUID.
  public func cells() throws(ProjectionError) -> [(id: CellID, row: CellRow)] {
    let entities = try history.cellsEver(upTo: position.index).map { EntityKey.cell($0) }
    var cells: [(id: CellID, row: CellRow)] = []
    for case (.cell(let id), .cell(let row)) in try history.rows(of: entities, at: position.index) {
      cells.append((id, row))
    }
    return cells.sorted { $0.id < $1.id }
  }

  /// All hosts that there were, by their name.
  public func hosts() throws(ProjectionError) -> [(name: ByteText, row: HostRow)] {
    let names = try history.hostsEver(upTo: position.index)
    let entities = names.map { EntityKey.host($0) }
    var hosts: [(name: ByteText, row: HostRow)] = []
    for case (.host(let name), .host(let row)) in try history.rows(of: entities, at: position.index)
    {
      hosts.append((name, row))
    }
    return hosts.sorted { $0.name < $1.name }
  }
}

extension MapHistory {
  /// Every change of a cell, of those too that are gone, or of the store itself, in order.
  ///
  /// - Throws: As `init`.
  public func keyChanges() throws(ProjectionError) -> [EntryChange] {
    var changes = try entries(of: .store).map(\.change)
    for cell in try cellsEver() { changes += try entries(of: .cell(cell)).map(\.change) }
    return changes.sorted { $0.position.index < $1.position.index }
  }

  /// Every cell that the map held up to the entry at `last`, by its UUID, those too that are gone.
  ///
  /// - Throws: As `init`.
  public func cellsEver(upTo last: UInt64? = nil) throws(ProjectionError) -> [CellID] {
    var ids: Set<CellID> = []
    for entry in try arrivals(of: .cell, upTo: last ?? head.index) {
      if case .cell(let id, .added) = entry.event { ids.insert(id) }
    }
    return ids.sorted()
  }
}
