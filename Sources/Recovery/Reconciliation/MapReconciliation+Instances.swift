internal import Cells
public import Journal
public import Projections
internal import Registry
internal import Router

/// What the cells and the map say of one instance: the answer to Nova's `verify_instance`, of all cells.
public struct InstanceVerification: Sendable {
  public let id: InstanceID
  /// What the map holds.
  public let mapping: InstanceRecord?
  /// The cells that have a row of it.
  public let cells: [CellID]
  /// The cell whose row counts is the one that the map names, and has deleted it.
  public let isDeleted: Bool
  public let findings: [Finding]
  /// The decision of an operator that stands, as the entry in which it was made: the cells don't decide.
  public let decision: ConflictRow?
  /// The conflict that is open, where the cells don't decide and the map knows it.
  public let openConflict: ConflictRow?
  /// It depends on a cell that could not be read, or on a row.
  public let isPending: Bool
  /// The rows of it that hold what Nova doesn't write, each in a sentence.
  public let unreadable: [String]

  /// Neither the map nor a cell knows it.
  public var isUnknown: Bool { mapping == nil && cells.isEmpty && !isPending }
}

/// What of a cell's instances the map knows and the cell doesn't.
public struct LostInstances: Sendable {
  /// The mappings to the cell.
  public var mapped: UInt64 = 0
  public var lost: UInt64 = 0
  /// Instances that the cell has archived: they were deleted, and aren't lost.
  public var archived: UInt64 = 0
}

extension MapReconciliation {
  /// Asks all cells for some instances, and for nothing else.
  ///
  /// - Parameter index: A reader of the index, which has reached the head.
  public func verify(
    _ ids: [InstanceID], on index: IndexReader, time: Duration
  ) throws(RebuildError) -> [InstanceVerification] {
    try askHosts(time)
    var verified: [InstanceVerification] = []
    for start in stride(from: 0, to: ids.count, by: Self.chunkRows) {
      let part = Array(ids[start...].prefix(Self.chunkRows))
      let look = try look(at: part, on: index, time: time)
      verified += part.map { verification(of: $0, look) }
    }
    return verified
  }

  /// What `look` needs of all cells: which answer, and their hosts.
  private func askHosts(_ time: Duration) throws(RebuildError) {
    let answers = router.ask(targets, until: .now + time) { (connection) throws(CellError) in
      try connection.computeHosts()
    }
    report.cells = []
    for (target, answer) in zip(targets, answers) {
      var state = CellScanState(cell: target.id)
      switch answer {
      case .success(let hosts):
        state.isFinished = true
        try staged { () throws(ProjectionError) in
          var progress = try file.progress(of: target.id, in: target.publicDatabase ?? "")
          try file.set(
            hosts: hosts, CellIdentity(services: [], computeNodes: []), of: target.id, &progress)
        }
      case .failure(let error): state.failure = error.description
      }
      var cell = ReconcileReport.Cell(state: state)
      if state.isFinished { cell.verdict = verdict(target, time) }
      report.cells.append(cell)
    }
  }

  private func verification(of id: InstanceID, _ look: Look) -> InstanceVerification {
    let rows = look.rows[id] ?? []
    let mapping = look.before[id]?.record
    let findings = look.findings.filter { $0.entity == .instance(id) }
    // A cell that wasn't read may have what no other has.
    let isPending = look.pending.contains(id) || (!report.isComplete && rows.isEmpty)
    let conflict = isPending ? nil : look.conflicts[id]
    let isOpen =
      conflict?.record.decision == nil && findings.contains { $0.kind == .twoCopies }
    return InstanceVerification(
      id: id, mapping: mapping, cells: rows.map(\.cell).sorted(),
      isDeleted: rows.first { $0.cell == mapping?.cell }?.isDeleted ?? false,
      findings: isPending ? [] : findings,
      decision: look.decided.contains(id) ? conflict : nil,
      openConflict: isOpen ? conflict : nil, isPending: isPending,
      unreadable: look.unreadable[id] ?? [])
  }

  /// Calls `body` with each instance of a cell that the map knows and the cell doesn't, by UUID.
  ///
  /// - Throws: `cell` if it can't be read whole; what was called for so far is right.
  public func forEachLost(
    in cell: CellID, on index: IndexReader, time: Duration, _ body: (InstanceItem) -> Void
  ) throws(RebuildError) -> LostInstances {
    var counts = LostInstances()
    guard let target = targets.first(where: { $0.id == cell }) else {
      throw .cell(.withoutDatabase(cell))
    }
    var last: InstanceID?
    while true {
      let page = try indexed { () throws(ProjectionError) in
        try index.instances(in: cell, after: last, limit: Self.chunkRows)
      }
      guard let end = page.last else { return counts }
      last = end.id
      counts.mapped += UInt64(page.count)
      let there = try known(page.map(\.id), in: .instances, of: target, time)
      let absent = page.filter { !there.contains($0.id) }
      if absent.isEmpty { continue }
      let archived = try known(absent.map(\.id), in: .shadowInstances, of: target, time)
      for item in absent {
        if archived.contains(item.id) {
          counts.archived += 1
        } else {
          counts.lost += 1
          body(item)
        }
      }
    }
  }

  private func known(
    _ ids: [InstanceID], in table: NovaTable, of target: CellTarget, _ time: Duration
  ) throws(RebuildError) -> Set<InstanceID> {
    let answers = router.ask([target], until: .now + time) { (connection) throws(CellError) in
      try connection.known(among: ids, in: table)
    }
    guard let answer = answers.first else { return [] }
    do throws(CellUnavailable) { return try answer.get() } catch .database(.notACell)
      where table == .shadowInstances
    {
      return []  // A schema without an archive has nothing archived.
    } catch {
      throw .cell(error)
    }
  }
}
