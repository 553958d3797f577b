internal import Cells
internal import Journal
public import Projections
internal import Registry
internal import Router

extension MapReconciliation {
  /// The second look: what is found again as it was is believed; what is gone, has changed, or is being
  /// built, is dropped. Only the rows of what was found are read, of the cells and of the map.
  ///
  /// - Parameters:
  ///   - index: A reader that has reached the head again.
  ///   - builds: The Nova API database whose build requests name what is being built; opened after the
  ///     wait between the looks.
  ///   - time: How long a cell may take for some hundreds of rows.
  public func lookAgain(
    on index: IndexReader, builds: NovaAPIDatabase?, time: Duration,
    progress: (UInt64) -> Void
  ) throws(RebuildError) {
    var done: UInt64 = 0
    let first = report
    var believed: UInt64 = 0
    try forEachChunk(areBelieved: false) { (kept) throws(RebuildError) in
      let ids = Self.instances(of: kept)
      guard !ids.isEmpty else { return }
      let building = try building(among: ids, builds)
      report.building += UInt64(building.count)
      let again = try look(at: ids.filter { !building.contains($0) }, on: index, time: time)
      believed += try believe(kept.map(\.finding), again.findings)
      done += UInt64(kept.count)
      progress(done)
    }
    believed += try lookAtHostsAgain(on: index, time: time)
    try staged { () throws(ProjectionError) in try file.removeUnbelieved() }
    // What the second look counted again was counted by the first.
    report.foundAtFirst = first.foundAtFirst
    report.pending = first.pending
    report.decided = first.decided
    report.gone = first.foundAtFirst - believed
  }

  private func building(
    among ids: [InstanceID], _ builds: NovaAPIDatabase?
  ) throws(RebuildError) -> Set<InstanceID> {
    guard let builds else { return [] }
    do throws(AdoptionError) { return try builds.buildRequests(among: ids) } catch {
      throw .source(error)
    }
  }

  private static func instances(of kept: [ScanFile.Kept]) -> [InstanceID] {
    var ids: [InstanceID] = []
    for item in kept {
      if case .instance(let id) = item.finding.entity, ids.last != id { ids.append(id) }
    }
    return ids
  }

  private func believe(
    _ first: [Finding], _ again: [Finding]
  ) throws(RebuildError) -> UInt64 {
    var latest: [EntityKey: [Finding]] = [:]
    for finding in again { latest[finding.entity, default: []].append(finding) }
    let believed = first.compactMap { finding in
      latest[finding.entity]?.first { $0.isSame(as: finding) }
    }
    try file.transaction { () throws(RebuildError) in
      try keep(believed, areBelieved: true)
    }
    return UInt64(believed.count)
  }

  private func lookAtHostsAgain(
    on index: IndexReader, time: Duration
  ) throws(RebuildError) -> UInt64 {
    var first: [Finding] = []
    try forEachChunk(areBelieved: false) { (kept) throws(RebuildError) in
      first += kept.map(\.finding).filter { $0.entity.kind == .host }
    }
    guard !first.isEmpty else { return 0 }
    var cells: [ByteText: [CellID]] = [:]
    let asked = targets.filter { report.read.contains($0.id) }
    let answers = router.ask(asked, until: .now + time) { (connection) throws(CellError) in
      try connection.computeHosts().map(\.name)
    }
    for (target, answer) in zip(asked, answers) {
      switch answer {
      case .success(let names): for name in names { cells[name, default: []].append(target.id) }
      case .failure(let error): report.lose(target.id, error.description)
      }
    }
    let read = cells.map { (name: $0.key, cells: $0.value.sorted()) }
    let again = try hostFindings({ () throws(ProjectionError) in read }, on: index, rules())
    return try believe(first, again)
  }
}

// MARK: - Looking at named instances

extension MapReconciliation {
  /// What the cells and the map have of some instances now.
  struct Look {
    var findings: [Finding] = []
    /// The rows of each instance, by cell.
    var rows: [InstanceID: [StagedInstance]] = [:]
    var before: [InstanceID: InstanceRow] = [:]
    /// Instances that depend on a cell that could not be asked, or of which a row can't be read.
    var pending: Set<InstanceID> = []
    /// What is said of the rows that can't be read.
    var unreadable: [InstanceID: [String]] = [:]
    /// Instances of which a conflict was decided, as long as that stands.
    var decided: Set<InstanceID> = []
    /// What the map knows of a conflict that there is now, or was decided.
    var conflicts: [InstanceID: ConflictRow] = [:]
  }

  /// Asks all cells that were read for the rows of some instances.
  func look(
    at ids: [InstanceID], on index: IndexReader, time: Duration
  ) throws(RebuildError) -> Look {
    var look = Look()
    let asked = targets.filter { report.read.contains($0.id) }
    if ids.isEmpty || asked.isEmpty { return look }
    let answers = router.ask(asked, until: .now + time) { (connection) throws(CellError) in
      try connection.instances(among: ids)
    }
    for (target, answer) in zip(asked, answers) {
      switch answer {
      case .success(let found):
        for row in found.unreadable {
          guard let id = row.instance else { continue }
          look.pending.insert(id)
          look.unreadable[id, default: []].append(row.description(in: target.id))
        }
        for row in found.rows {
          look.rows[row.instance.id, default: []].append(
            StagedInstance(row.instance, in: target.id, rowID: row.rowID, readAt: .now))
        }
      case .failure(let error): report.lose(target.id, error.description)
      }
    }
    let rules = try rules()
    for id in ids where !look.pending.contains(id) {
      let before = try indexed { () throws(ProjectionError) in
        try index.instance(id)?.opened(by: keys.owners)
      }
      look.before[id] = before
      let rows = (look.rows[id] ?? []).sorted { $0.cell < $1.cell }
      look.rows[id] = rows
      let answer = try rules.answer(
        on: id, rows[...], before,
        moves: { () throws(RebuildError) in moves(of: id, in: asked, time) },
        known: { () throws(RebuildError) in
          look.conflicts[id] = try indexed { () throws(ProjectionError) in
            try index.conflict(of: .instance(id))
          }
          return look.conflicts[id]?.record
        })
      switch answer {
      case .findings(let found), .decided(let found):
        if case .decided = answer { look.decided.insert(id) }
        look.findings += found
      case .pending: look.pending.insert(id)
      }
    }
    markArchived(&look.findings, time)
    return look
  }

  /// The instance's migrations between cells; a cell that fails has none, so that nothing is decided by
  /// them.
  private func moves(
    of id: InstanceID, in asked: [CellTarget], _ time: Duration
  ) -> CopyRules.Moves {
    let answers = router.ask(asked, until: .now + time) { (connection) throws(CellError) in
      try connection.crossCellMoves(of: id).rows
    }
    var moves: CopyRules.Moves = []
    for (target, answer) in zip(asked, answers) {
      guard case .success(let found) = answer else { continue }
      moves += found.map { (target.id, $0) }
    }
    return moves
  }

  /// Says of orphaned instances whether their cell has archived them; a cell that can't say has not.
  private func markArchived(_ findings: inout [Finding], _ time: Duration) {
    var asked: [CellID: [InstanceID]] = [:]
    for finding in findings where finding.kind == .orphaned {
      if case .instance(let id) = finding.entity, let cell = finding.mapped {
        asked[cell, default: []].append(id)
      }
    }
    for target in targets {
      guard let ids = asked[target.id] else { continue }
      let answer = router.ask([target], until: .now + time) { (connection) throws(CellError) in
        try connection.known(among: ids, in: .shadowInstances)
      }
      guard case .success(let archived)? = answer.first else { continue }
      for place in findings.indices where findings[place].mapped == target.id {
        if case .instance(let id) = findings[place].entity, archived.contains(id),
          findings[place].kind == .orphaned
        {
          findings[place].isArchived = true
        }
      }
    }
  }
}
