import Journal
import Projections

/// How mappings of instances are printed.
enum InstanceOutput {
  static func fields(
    _ id: InstanceID, _ row: InstanceRow, _ map: some MapView
  ) throws(CommandFailure) -> [String: JSONValue] {
    let record = row.record
    var cell: CellRow?
    if let id = record.cell { cell = try map.cell(id) }
    let fields: [String: JSONValue] = [
      "instance": .printed(id), "cell": .printed(record.cell),
      "cell_name": .printed(cell?.record.name),
      "queued_for_delete": .flag(record.isQueuedForDelete),
      "created_at": .printed(record.row.createdAt),
      "last_known_host": .printed(record.lastSeen?.host),
      "last_known_host_at": .printed(record.lastSeen?.at), "changed_at": .number(row.changedAt),
    ]
    return fields.merging(OwnerOutput.fields(record.owner)) { $1 }.merging(map.label) { $1 }
  }
}

extension InstanceRecord {
  /// What stands for a cell where there is none: whoever ran somewhere had one.
  var withoutCell: String { lastSeen == nil ? "no cell yet" : "no cell any more" }
}

/// Which mappings a list shows.
struct InstanceQuery {
  let selection: InstanceSelection
  let after: InstanceID?
  private static let page = 1000

  /// Calls `body` with each mapping in the order of UUIDs until it returns false.
  ///
  /// Index and overlay are merged: a mapping that the index hasn't reached is there as well.
  func forEach(
    in map: MapReading, _ body: (InstanceID, InstanceRow) throws(CommandFailure) -> Bool
  ) throws(CommandFailure) {
    let changed = map.map.overlay.changedInstances
    var pending = changed.keys.filter { id in after.map { id > $0 } ?? true }.sorted()[...]
    var cursor = after
    while true {
      let page = try page(map, after: cursor)
      for item in page {
        while let next = pending.first, next <= item.id {
          pending.removeFirst()
          if let row = changed[next] ?? nil, selection.holds(row.record), try !body(next, row) {
            return
          }
        }
        if changed[item.id] == nil, selection.holds(item.row.record),
          try !body(item.id, item.row)
        {
          return
        }
      }
      guard page.count == InstanceQuery.page, let last = page.last else { break }
      cursor = last.id
    }
    for id in pending {
      if let row = changed[id] ?? nil, selection.holds(row.record), try !body(id, row) { return }
    }
  }

  /// How many there are: from the index's own counts where they say it.
  func count(in map: MapReading) throws(CommandFailure) -> Int {
    let index = map.map.index
    if selection.place == .anywhere, after == nil {
      if selection.owner.isEmpty, selection.isQueuedForDelete == nil {
        return try countAll(in: map)
      }
      if selection.owner.project != nil, selection.isQueuedForDelete == false,
        map.map.overlay.isEmpty
      {
        return try projections { () throws(ProjectionError) in
          try index.countNotQueued(ownedBy: selection.owner)
        }
      }
    }
    var count = 0
    try forEach(in: map) { (_, _) throws(CommandFailure) in
      count += 1
      return true
    }
    return count
  }

  /// All of the index, and what has come and gone since.
  private func countAll(in map: MapReading) throws(CommandFailure) -> Int {
    try projections { () throws(ProjectionError) in
      let index = map.map.index
      return try Int(index.countInstances())
        + map.map.overlay.countChange(over: index) { _ in true }
    }
  }

  private func page(
    _ map: MapReading, after cursor: InstanceID?
  ) throws(CommandFailure) -> [InstanceItem] {
    let index = map.map.index
    return try projections { () throws(ProjectionError) in
      switch selection.place {
      case .cell(let cell):
        try index.instances(in: cell, after: cursor, limit: InstanceQuery.page)
      case .noCell: try index.instances(in: nil, after: cursor, limit: InstanceQuery.page)
      case .anywhere:
        if selection.owner.project != nil {
          try index.instances(
            ownedBy: selection.owner, after: cursor, limit: InstanceQuery.page)
        } else {
          try index.instances(after: cursor, limit: InstanceQuery.page)
        }
      }
    }
  }
}
