internal import Cells
internal import Journal
internal import Projections

extension MapPublication {
  /// The cells: all at once, since there are few, and since the other tables name them by the
  /// numbers that the database gives them.
  func walkCells(
    _ run: inout PublicationRun, _ wanted: inout WantedRows
  ) throws(PublicationError) {
    let rows = try cellRows()
    run.plan[.cells].found = UInt64(rows.count)
    let seen = Dictionary(rows.map { ($0.key, $0) }) { first, _ in first }
    let cells = try mapped { () throws(ProjectionError) in try index.cells() }
    let inMap = Set(cells.map { ByteText($0.id.description) })
    for row in rows where !inMap.contains(row.key) {
      run.plan[.cells].surplus += 1
      run.plan.note(.surplus, .cells, row.key, "only the database has it; it stays")
    }
    var numbers = try CellNumbers(rows, cells.compactMap { $0.row.record.row.number }, in: target)
    var pairs: [Pair] = []
    for (id, row) in cells {
      var cell = wanted.cell(id, row)
      let seen = seen[cell.key]
      cell.problem = cell.problem ?? problem(of: cell, seen, among: rows)
      if seen == nil, cell.problem == nil { cell.number = try numbers.number(for: cell.number) }
      pairs.append(Pair(wanted: cell, seen: seen))
    }
    if let most = pairs.compactMap({ $0.seen == nil ? $0.wanted.number : nil }).max(),
      pairs.contains(where: { $0.seen == nil && $0.wanted.problem == nil })
    {
      run.reserve(most, in: .cells)
      try reserve(.cells, &run)
    }
    let changes = try take(pairs, of: .cells, &run, wanted)
    // What was written is looked at once more: a row that was overtaken has another number, or none.
    let now: [PublishedRow] =
      if case .database = run.output {
        try cellRows()
      } else {
        rows + changes.filter { $0.seen == nil }.map(\.row)
      }
    for row in now {
      guard let number = row.number else { continue }
      run.cellUUIDs[number] = row.key
      if let id = CellID(row.key.string), inMap.contains(row.key) {
        wanted.setNumber(number, of: id)
      }
    }
  }

  private func cellRows() throws(PublicationError) -> [PublishedRow] {
    var rows: [PublishedRow] = []
    while true {
      let page = try target.rows(
        of: .cells, afterNumber: rows.last?.number, limit: Self.batchRows)
      rows += page
      if page.count < Self.batchRows { return rows }
    }
  }

  /// Why Nova could make nothing of a cell's row; a row that is there keeps what it has.
  private func problem(
    of cell: WantedRow, _ seen: PublishedRow?, among rows: [PublishedRow]
  ) -> String? {
    let table = PublishedTable.cells
    for column in ["database_connection", "transport_url"] where seen == nil {
      if cell.values[table.place(of: column)] == .null { return "the map has no \(column) of it" }
    }
    let place = table.place(of: "database_connection")
    let database = cell.values[place]
    guard database != .null, database != seen?.values[place] else { return nil }
    // Nova would list each instance of it twice.
    return rows.first { $0.key != cell.key && $0.values[place] == database }.map {
      "the database's cell \($0.key) has its database already"
    }
  }
}

/// The numeric ids of new cells: the one that Nova once gave it, or one that no cell ever had.
private struct CellNumbers {
  private var used: Set<UInt64>
  private var next: UInt64
  private let target: PublicationTarget

  /// - Parameter known: The numbers that the map has of its cells.
  init(
    _ rows: [PublishedRow], _ known: [UInt64], in target: PublicationTarget
  ) throws(PublicationError) {
    self.target = target
    used = Set(rows.compactMap(\.number))
    next = max(used.max() ?? 0, known.max() ?? 0) + 1
    // Not one that a host or an instance still has of a cell that is gone.
    next = max(next, try target.largest("cell_id", of: .hosts) + 1)
    next = max(next, try target.largest("cell_id", of: .instances) + 1)
  }

  mutating func number(for known: UInt64?) throws(PublicationError) -> UInt64 {
    if let known, !used.contains(known), try !target.isReferenced(cell: known) {
      used.insert(known)
      return known
    }
    defer { next += 1 }
    used.insert(next)
    return next
  }
}
