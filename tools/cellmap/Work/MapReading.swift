import Journal
import Projections

/// The map as it was read, and where it is true.
struct MapReading: MapView {
  let map: LiveMap
  let head: Position
  var past: PastPoint?
  /// The file of a map of the past, which lasts as long as it is read.
  var scratch: ScratchIndex?

  func cell(_ id: CellID) throws(CommandFailure) -> CellRow? {
    try projections { () throws(ProjectionError) in try map.cell(id) }
  }

  func cells() throws(CommandFailure) -> [(id: CellID, row: CellRow)] {
    let all = try projections { () throws(ProjectionError) in try map.allCells() }
    return all.map { ($0.key, $0.value) }.sorted { $0.id < $1.id }
  }

  func hosts() throws(CommandFailure) -> [(name: ByteText, row: HostRow)] {
    try projections { () throws(ProjectionError) in
      var hosts = Dictionary(uniqueKeysWithValues: try map.index.hosts().map { ($0.name, $0.row) })
      for (name, row) in map.overlay.changedHosts { hosts[name] = row }
      return hosts.map { ($0.key, $0.value) }.sorted { $0.name < $1.name }
    }
  }

  /// The conflicts, decided ones too: those about hosts first, in the order of their names or UUIDs.
  func conflicts() throws(CommandFailure) -> [ConflictItem] {
    try projections { () throws(ProjectionError) in
      var conflicts = Dictionary(
        uniqueKeysWithValues: try map.index.conflicts().map { ($0.entity, $0.row) })
      for (entity, row) in map.overlay.changedConflicts { conflicts[entity] = row }
      return conflicts.map { ConflictItem(entity: $0.key, row: $0.value) }.sorted {
        ($0.entity.kind.rawValue, $0.entity.description)
          < ($1.entity.kind.rawValue, $1.entity.description)
      }
    }
  }

  /// What keeps the map from being whole.
  func gaps() throws(CommandFailure) -> MapGaps {
    let open = try conflicts().filter { $0.row.record.decision == nil }
    var mapped = 0
    for item in open where try isMapped(item.entity) { mapped += 1 }
    return MapGaps(
      openConflicts: open.count, mappedConflicts: mapped,
      uncoveredCells: try cells().filter { !$0.row.record.isCovered }, past: past?.position)
  }

  private func isMapped(_ entity: EntityKey) throws(CommandFailure) -> Bool {
    try projections { () throws(ProjectionError) in
      switch entity {
      case .instance(let id): try map.instance(id) != nil
      case .host(let name): try map.host(name) != nil
      case .cell, .store: false
      }
    }
  }

  func instance(_ id: InstanceID) throws(CommandFailure) -> InstanceRow? {
    try projections { () throws(ProjectionError) in try map.instance(id) }
  }

  func conflict(of entity: EntityKey) throws(CommandFailure) -> ConflictRow? {
    try projections { () throws(ProjectionError) in try map.conflict(of: entity) }
  }
}
