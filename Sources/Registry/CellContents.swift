internal import Journal
internal import Projections

/// How many hosts and instances the cells of a map hold, with what a command has done so far.
///
/// What the entries after the index have changed is looked up once for all cells, and again only
/// where more of it was done since: a command may take many cells away.
struct CellContents {
  private let map: LiveMap
  private var changes: [CellID: (hosts: Int, instances: Int)]?

  init(of map: LiveMap) { self.map = map }

  mutating func counts(
    of cell: CellID
  ) throws(RegistryError) -> (hosts: UInt64, instances: UInt64) {
    let indexed = try map.index.contentCounts(of: cell)
    if changes == nil { changes = try readChanges() }
    let change = changes?[cell] ?? (0, 0)
    return (
      UInt64(max(0, Int(indexed.hosts) + change.hosts)),
      UInt64(max(0, Int(indexed.instances) + change.instances))
    )
  }

  /// To be told of each event that is folded into the map.
  mutating func note(_ event: Event) {
    switch event {
    case .host, .instance: changes = nil
    case .cell, .conflict, .store: break
    }
  }

  private func readChanges() throws(RegistryError) -> [CellID: (hosts: Int, instances: Int)] {
    var changes: [CellID: (hosts: Int, instances: Int)] = [:]
    do throws(ProjectionError) {
      for (name, row) in map.overlay.changedHosts {
        if let cell = try map.index.host(name)?.record.cell {
          changes[cell, default: (0, 0)].hosts -= 1
        }
        if let cell = row?.record.cell { changes[cell, default: (0, 0)].hosts += 1 }
      }
      for (id, row) in map.overlay.changedInstances {
        if let cell = try map.index.instance(id)?.record.cell {
          changes[cell, default: (0, 0)].instances -= 1
        }
        if let cell = row?.record.cell { changes[cell, default: (0, 0)].instances += 1 }
      }
    } catch {
      throw .index(error)
    }
    return changes
  }
}
