internal import Cells
internal import Journal
internal import Projections

extension MapPublication {
  private func rules(_ run: PublicationRun, _ wanted: WantedRows) -> PublicationRules {
    PublicationRules(
      isBesideNova: !options.isNovaStopped, evidence: evidence, lastSeen: run.lastSeen, rows: wanted
    )
  }

  /// Compares map and database, cells before hosts before instances, and gives what differs to the
  /// run's output.
  func walk(
    _ run: inout PublicationRun, _ progress: (PublicationPlan) -> Void
  ) throws(PublicationError) {
    let position = try mapped { () throws(ProjectionError) in try index.checkpoint().position }
    run.plan.position = position
    if let history {
      run.lastSeen = try mapped { () throws(ProjectionError) in
        try LastSeen(in: target.publicForm, history: history, upTo: position.index)
      }
    }
    var wanted = WantedRows(dialect: target.dialect, keys: keys)
    try walkCells(&run, &wanted)
    try walkHosts(&run, wanted)
    try walkInstances(&run, wanted, progress)
    if let globals { try walkGlobals(of: globals, &run, progress) }
  }

  // MARK: Hosts

  private func walkHosts(
    _ run: inout PublicationRun, _ wanted: WantedRows
  ) throws(PublicationError) {
    try reserve(.hosts, &run)
    var missing: [ByteText: WantedRow] = [:]
    for (name, row) in try mapped({ () throws(ProjectionError) in try index.hosts() }) {
      missing[name] = wanted.host(name, row)
    }
    var after: ByteText?
    while true {
      let rows = try target.rows(of: .hosts, after: after, limit: Self.batchRows)
      guard let last = rows.last else { break }
      var pairs: [Pair] = []
      for row in rows {
        if let host = missing.removeValue(forKey: row.key) {
          pairs.append(Pair(wanted: host, seen: row))
        } else {
          surplus(row, .hosts, &run.plan)
        }
      }
      run.plan[.hosts].found += UInt64(rows.count)
      try take(pairs, of: .hosts, &run, wanted)
      after = last.key
    }
    let rest = missing.values.sorted { $0.key < $1.key }
    for start in stride(from: 0, to: rest.count, by: Self.batchRows) {
      let page = rest[start...].prefix(Self.batchRows)
      try take(page.map { Pair(wanted: $0, seen: nil) }, of: .hosts, &run, wanted)
    }
  }

  // MARK: Instances

  private func walkInstances(
    _ run: inout PublicationRun, _ wanted: WantedRows, _ progress: (PublicationPlan) -> Void
  ) throws(PublicationError) {
    try reserve(.instances, &run)
    var cursor: InstanceID?
    var isLast = false
    while !isLast {
      let page = try mapped { () throws(ProjectionError) in
        try index.instances(after: cursor, limit: Self.batchRows)
      }
      isLast = page.count < Self.batchRows
      var missing: [ByteText: WantedRow] = [:]
      missing.reserveCapacity(page.count)
      for item in page {
        missing[ByteText(item.id.description)] = wanted.instance(item.id, item.row)
      }
      // Both have UUIDs in the order of their bytes: each row of the database is in one range.
      var after = cursor.map { ByteText($0.description) }
      let through = isLast ? nil : page.last.map { ByteText($0.id.description) }
      while true {
        let rows = try target.rows(
          of: .instances, after: after, through: through, limit: Self.batchRows)
        var pairs: [Pair] = []
        for row in rows {
          if let instance = missing.removeValue(forKey: row.key) {
            pairs.append(Pair(wanted: instance, seen: row))
          } else {
            surplus(row, .instances, &run.plan)
          }
        }
        run.plan[.instances].found += UInt64(rows.count)
        try take(pairs, of: .instances, &run, wanted)
        guard rows.count == Self.batchRows, let last = rows.last else { break }
        after = last.key
      }
      let rest = missing.values.sorted { $0.key < $1.key }
      try take(rest.map { Pair(wanted: $0, seen: nil) }, of: .instances, &run, wanted)
      cursor = page.last?.id ?? cursor
      progress(run.plan)
    }
  }

  private func surplus(_ row: PublishedRow, _ table: PublishedTable, _ plan: inout PublicationPlan)
  {
    if table == .instances, row.isMarker {
      plan.markers += 1
      return
    }
    plan[table].surplus += 1
    plan.note(.surplus, table, row.key, "only the database has it; it stays")
  }

  // MARK: Rows

  /// A row as the map wants it, and as the database has it.
  struct Pair {
    let wanted: WantedRow
    let seen: PublishedRow?
  }

  /// Decides what becomes of a page's rows, and puts out those that differ.
  ///
  /// - Returns: Those, as they were put out.
  @discardableResult
  func take(
    _ pairs: [Pair], of table: PublishedTable, _ run: inout PublicationRun, _ wanted: WantedRows
  ) throws(PublicationError) -> [RowChange] {
    let rules = rules(run, wanted)
    var building: Set<ByteText> = []
    if table == .instances {
      let keys = pairs.filter { PublicationRules.differs($0.wanted, from: $0.seen) }
      building = try target.buildRequests(among: keys.map(\.wanted.key))
    }
    var changes: [RowChange] = []
    for pair in pairs {
      if let number = pair.wanted.number {
        run.plan.largestNumber[table] = max(run.plan.largestNumber[table] ?? 0, number)
      }
      let decision = try rules.decide(
        pair.wanted, seen: pair.seen, of: table, isBeingBuilt: building.contains(pair.wanted.key))
      switch decision {
      case .same: run.plan[table].same += 1
      case .leave(let kind, let reasons):
        run.plan[table].left += 1
        run.plan.note(kind, table, pair.wanted.key, reasons.joined(separator: "; "))
      case .write(var change, let kept):
        if !kept.isEmpty {
          run.plan[table].left += 1
          run.plan.note(.kept, table, change.key, kept.joined(separator: "; "))
        }
        if table != .cells { secureCell(&change, run.cellUUIDs) }
        changes.append(change)
      }
    }
    if table != .cells { try giveNumbers(&changes, of: table, &run) }
    try put(changes, &run)
    return changes
  }

  /// The number that a row names must still be its cell's when it is written.
  private func secureCell(_ change: inout RowChange, _ uuids: [UInt64: ByteText]) {
    let place = change.table.place(of: "cell_id")
    guard case .integer(let value) = change.row.values[place],
      change.seen?.values[place] != change.row.values[place],
      let cell = uuids[UInt64(bitPattern: value)]
    else { return }
    change.conditions.append(.cell(UInt64(bitPattern: value), cell))
  }

  /// New rows have the numbers that Nova once gave them, where they are free.
  func giveNumbers(
    _ changes: inout [RowChange], of table: PublishedTable, _ run: inout PublicationRun
  ) throws(PublicationError) {
    var taken = try target.taken(
      changes.compactMap { $0.seen == nil ? $0.row.number : nil }, in: table)
    for place in changes.indices where changes[place].seen == nil {
      if let number = changes[place].row.number, taken.insert(number).inserted { continue }
      changes[place].row.number = run.freshNumber(in: table)
    }
  }

  func mapped<Value>(
    _ read: () throws(ProjectionError) -> Value
  ) throws(PublicationError) -> Value {
    do throws(ProjectionError) { return try read() } catch { throw .map(error) }
  }
}
