internal import Cells
internal import Journal
internal import Projections

/// The rows that the map gives to a list: of a cell that does not answer, or of none yet.
///
/// The index is read in pages; what it has not reached is in the overlay, and merged in.
struct MapRows {
  /// An instance as the list has it, with its place in the order.
  private struct Row {
    let values: [SortValue]
    let listed: ListedInstance
  }

  /// nil for the instances without a cell.
  let target: CellTarget?
  private let query: MapInstanceQuery
  private let order: InstanceOrder
  private let map: MapSnapshot
  private var after: [SortValue]?
  /// What the overlay has beyond `after`, in order; made at the first reading.
  private var pending: [Row]?
  private var rows: [Row] = []
  private var next = 0
  private var isIndexRead = false

  init(
    of target: CellTarget?, _ query: MapInstanceQuery, by order: InstanceOrder,
    after: [SortValue]?, in map: MapSnapshot
  ) {
    precondition(order.isKnownToMap, "the map has what it sorts by")
    self.target = target
    self.query = query
    self.order = order
    self.after = after
    self.map = map
  }

  /// Where its first row is in the order; nil after the last.
  ///
  /// - Parameter batch: How many rows of the index are read at a time.
  mutating func first(batch: Int) throws(ProjectionError) -> [SortValue]? {
    if next == rows.count && !isIndexRead { try read(max(batch, 1)) }
    return next < rows.count ? rows[next].values : nil
  }

  /// Takes the first row, which `first` has found.
  mutating func takeFirst() -> ListedInstance {
    defer { next += 1 }
    return rows[next].listed
  }

  /// Reads the first rows, so that they are there when they are needed.
  mutating func readAhead(batch: Int) throws(ProjectionError) {
    if rows.isEmpty && !isIndexRead { try read(max(batch, 1)) }
  }

  private mutating func read(_ limit: Int) throws(ProjectionError) {
    let readers: IndexReaders
    switch map.index {
    case .open(let open): readers = open
    case .unusable(let error): throw error
    }
    var waiting = pending ?? held()
    (rows, next) = ([], 0)
    // A page may hold nothing but what the overlay has in a newer form.
    while rows.isEmpty && !isIndexRead {
      let page = try readers.with { reader throws(ProjectionError) in
        try reader.instances(query, by: keys, after: place, limit: limit)
      }
      isIndexRead = page.count < limit
      let read = page.map { row($0.id, $0.row) }
      if let last = read.last { after = last.values }
      rows = zip(page, read).filter { map.overlay.held($0.0.id) == nil }.map { $0.1 }
      let end = waiting.firstIndex { !isIndexRead && follows($0) } ?? waiting.endIndex
      rows += waiting[..<end]
      waiting.removeSubrange(..<end)
    }
    rows.sort { order.precedes($0.values, $1.values) }
    pending = waiting
  }

  private func held() -> [Row] {
    map.overlay.changedInstances.compactMap { id, changed in
      guard let changed, query.verdict(changed.record) == .yes else { return nil }
      let made = row(id, changed)
      return after.map { order.precedes($0, made.values) } ?? true ? made : nil
    }.sorted { order.precedes($0.values, $1.values) }
  }

  /// Whether a row comes after all that was read of the index.
  private func follows(_ row: Row) -> Bool {
    after.map { order.precedes($0, row.values) } ?? true
  }

  private func row(_ id: InstanceID, _ row: InstanceRow) -> Row {
    let values = order.keys.map { key -> SortValue in
      switch key.column {
      case .uuid: .uuid(id.uuid)
      case .createdAt: row.record.row.createdAt.map { .time($0) } ?? .null
      default: row.record.owner.project?.clearText.map { .text($0) } ?? .null
      }
    }
    let source: ListedInstance.Source = target == nil ? .unscheduled(row) : .unknown(row)
    return Row(
      values: values, listed: ListedInstance(id: id, cell: target, source: source))
  }

  // MARK: The index's order

  private var keys: [MapOrderKey] {
    order.keys.map { key in
      let column: MapColumn =
        switch key.column {
        case .uuid: .id
        case .createdAt: .createdAt
        default: .project
        }
      return MapOrderKey(column, isDescending: key.isDescending)
    }
  }

  private var place: MapPlace? {
    guard let after else { return nil }
    var place = MapPlace(id: InstanceID(.zero), createdAt: nil, project: nil)
    for value in after {
      switch value {
      case .null: break
      case .uuid(let uuid): place.id = InstanceID(uuid)
      case .time(let time): place.createdAt = time
      case .text(let text): place.project = text
      }
    }
    return place
  }
}

extension MapSnapshot {
  /// How many instances are in question, or may be.
  func count(
    _ query: MapInstanceQuery, _ verdict: MapInstanceQuery.Verdict
  ) throws(ProjectionError) -> Int {
    guard case .open(let readers) = index else {
      if case .unusable(let error) = index { throw error }
      return 0
    }
    return try readers.with { reader throws(ProjectionError) in
      // The projector may commit in between.
      try reader.withSnapshot { () throws(ProjectionError) in
        try reader.count(query, verdict)
          + overlay.countChange(over: reader) { query.verdict($0.record) == verdict }
      }
    }
  }

  /// The cells in which a project has instances, or may have; nil where that can't be told for sure.
  ///
  /// Of users the map knows less than of projects: Nova filled them in later.
  func cells(ofProjectOf owner: OwnerFilter) -> Set<CellID>? {
    guard behind == 0, case .open(let readers) = index,
      cells.all.allSatisfy(\.row.record.isCovered)
    else { return nil }
    let indexed = try? readers.with { reader throws(ProjectionError) in
      try reader.cells(ofProjectOf: owner, enough: cells.all.count + 1)
    }
    guard let indexed else { return nil }
    var found = Set(indexed.compactMap(\.self))
    for case let row? in overlay.changedInstances.values {
      guard owner.withoutUser.verdict(row.record.owner) != .no else { continue }
      if let cell = row.record.cell { found.insert(cell) }
    }
    return found
  }
}
