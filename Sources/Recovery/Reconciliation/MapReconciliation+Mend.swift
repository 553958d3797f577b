internal import Cells
public import Journal
public import Projections
public import Registry
internal import Router

extension MapReconciliation {
  /// What `mend` would do with what is believed, and what it refuses; nothing is written.
  ///
  /// - Parameter tolerance: So much may the clocks differ of those who write into Nova's databases.
  public func planMend(
    _ options: MendOptions, on index: IndexReader,
    tolerance: Duration = ScanSettings().clockTolerance
  ) throws(RebuildError) -> MendPlan {
    var plan = MendPlan()
    plan.doubts = try doubts(tolerance).filter { !options.notRestored.contains($0.key) }
    let mending = mending(options, plan)
    var touched: [FindingKind: [CellID: UInt64]] = [:]
    let open = try openConflicts(on: index)
    try forEachChoice(mending, on: index) { (finding, choice) in
      // A conflict that the map knows is no more than noted anew.
      guard choice == .mend, !(finding.kind.isConflict && open.contains(finding.entity)) else {
        return
      }
      for cell in finding.cells { touched[finding.kind, default: [:]][cell, default: 0] += 1 }
    }
    for (kind, cells) in touched {
      for (cell, count) in cells where plan.doubts[cell] == nil {
        let limit = try limit(of: kind, in: cell, options, on: index)
        guard count > limit else { continue }
        plan.excesses.append(MendPlan.Excess(kind: kind, cell: cell, count: count, limit: limit))
      }
    }
    plan.excesses.sort { ($0.kind.rawValue, $0.cell) < ($1.kind.rawValue, $1.cell) }
    try forEachChoice(mending, on: index) { (finding, choice) in
      switch choice {
      case .mend where plan.refuses(finding): plan.refused += 1
      case .mend: plan.mends[finding.kind, default: 0] += 1
      case .provisional where plan.refuses(finding): plan.refused += 1
      case .provisional: plan.provisional += 1
      case .unproven: plan.unproven += 1
      case .wantsUnmapping: plan.wantsUnmapping += 1
      case .passOver: break
      }
    }
    return plan
  }

  /// Makes the map hold what the plan mends, in chunks. Decisions made since the scan began stand.
  ///
  /// - Throws: `registry`, after which the same command under the same request id goes on with what is
  ///   left.
  public func mend(
    _ plan: MendPlan, _ options: MendOptions, title: ByteText, by authorship: Authorship,
    request: RequestID, on index: IndexReader, through registry: MapRegistry,
    progress: (UInt64) -> Void
  ) throws(RebuildError) -> MendResult {
    var result = MendResult()
    let isUnfinished = try indexed { () throws(ProjectionError) in
      try index.isUnfinished(request)
    }
    guard plan.count > 0 || isUnfinished else { return result }
    let submission = Submission(
      registry: registry, title: title, authorship: authorship, request: request)
    let mending = mending(options, plan)
    let preview = ChangePreview(
      map: LiveMap(over: index), head: journal.head.position.index, keys: keys)
    try forEachChunk(areBelieved: true) { (kept) throws(RebuildError) in
      let groups = try groups(kept.map(\.finding), mending, plan, on: index)
      var taken: [(key: EntityKey, observations: [Observation])] = []
      for (entity, observations) in groups {
        let accepted = try accepted(observations, preview, &result)
        if !accepted.isEmpty { taken.append((entity, accepted)) }
      }
      for kind in [EntityKey.Kind.instance, .host] {
        let part = taken.filter { $0.key.kind == kind }
        guard let first = part.first?.key, let last = part.last?.key else { continue }
        let observations = part.flatMap(\.observations)
        let settled = UInt64(observations.count(where: \.isSettling))
        let taken = try submission.take(observations, KeyRange(first, through: last))
        let changed = taken - min(settled, taken)
        result.settled += settled
        if kind == .host { result.hosts += changed } else { result.instances += changed }
      }
      progress(result.hosts + result.instances)
    }
    try noteScans(plan, submission)
    result.overtaken += submission.overtaken
    result.outcome = try submission.finish(
      ChangeCounts(hosts: result.hosts, instances: result.instances))
    return result
  }

  /// Notes what was read of each cell that isn't in doubt: the next run compares with it.
  private func noteScans(_ plan: MendPlan, _ submission: Submission) throws(RebuildError) {
    for cell in report.cells where cell.state.isFinished && plan.doubts[cell.state.cell] == nil {
      try submission.note(
        .scanFinished, cell.state, file.scan, digest: tallies[cell.state.cell]?.digest ?? .zero)
    }
  }

  // MARK: Choosing

  private func openConflicts(on index: IndexReader) throws(RebuildError) -> Set<EntityKey> {
    let known = try indexed { () throws(ProjectionError) in try index.conflicts() }
    return Set(known.lazy.filter { $0.row.record.decision == nil }.map(\.entity))
  }

  private func mending(_ options: MendOptions, _ plan: MendPlan) -> Mending {
    Mending(
      options: options, records: records,
      isIncomplete: !report.isComplete || !plan.doubts.isEmpty)
  }

  private func forEachChoice(
    _ mending: Mending, on index: IndexReader, _ body: (Finding, Mending.Choice) -> Void
  ) throws(RebuildError) {
    try forEachChunk(areBelieved: true) { (kept) throws(RebuildError) in
      for item in kept {
        body(item.finding, try choice(item.finding, mending, on: index))
      }
    }
  }

  private func choice(
    _ finding: Finding, _ mending: Mending, on index: IndexReader
  ) throws(RebuildError) -> Mending.Choice {
    var isMarked = false
    if finding.kind == .orphaned, case .instance(let id) = finding.entity {
      isMarked = try indexed { () throws(ProjectionError) in
        try index.instance(id)?.record.isQueuedForDelete == true
      }
    }
    return mending.choice(finding, isMarked: isMarked)
  }

  /// What is to be observed of the things of a chunk, in their order.
  private func groups(
    _ findings: [Finding], _ mending: Mending, _ plan: MendPlan, on index: IndexReader
  ) throws(RebuildError) -> [(EntityKey, [Observation])] {
    var groups: [(entity: EntityKey, findings: [Finding])] = []
    for finding in findings where try choice(finding, mending, on: index) == .mend {
      if plan.refuses(finding) { continue }
      if groups.last?.entity == finding.entity {
        groups[groups.count - 1].findings.append(finding)
      } else {
        groups.append((finding.entity, [finding]))
      }
    }
    var made: [(EntityKey, [Observation])] = []
    for (entity, findings) in groups {
      switch entity {
      case .instance(let id):
        let before = try indexed { () throws(ProjectionError) in
          try index.instance(id)?.opened(by: keys.owners).record
        }
        made.append(
          (
            entity,
            mending.observations(ofInstance: id, findings, before: before)
              + (try settling(entity, findings, mending, on: index))
          ))
      case .host(let name):
        let before = try indexed { () throws(ProjectionError) in try index.host(name) }
        made.append(
          (
            entity,
            findings.map { mending.observation(ofHost: name, $0, before: before) }
              + (try settling(entity, findings, mending, on: index))
          ))
      case .cell, .store: continue
      }
    }
    return made
  }

  /// What is mapped where the cells have it is in no conflict any more, unless an operator decided one.
  private func settling(
    _ entity: EntityKey, _ findings: [Finding], _ mending: Mending, on index: IndexReader
  ) throws(RebuildError) -> [Observation] {
    guard findings.contains(where: { $0.kind.isPlacing }),
      let known = try indexed({ () throws(ProjectionError) in try index.conflict(of: entity) }),
      known.record.decision == nil
    else { return [] }
    return [
      Observation(.conflict(entity, nil), evidence: nil, basis: mending.records.basis)
    ]
  }

  /// The observations that the map's rules take; a chunk with another one would be refused whole.
  private func accepted(
    _ observations: [Observation], _ preview: ChangePreview, _ result: inout MendResult
  ) throws(RebuildError) -> [Observation] {
    var accepted: [Observation] = []
    for observation in observations {
      do throws(RegistryError) {
        if try preview.events(observation) == nil {
          result.overtaken += 1
        } else {
          accepted.append(observation)
        }
      } catch .refused(let refusal) {
        result.refusedCount += 1
        if result.refused.count < 100 {
          result.refused.append("\(observation.entity): \(refusal)")
        }
      } catch {
        throw .registry(error)
      }
    }
    return accepted
  }

  // MARK: Refusing

  /// The cells that look restored or empty.
  private func doubts(_ tolerance: Duration) throws(RebuildError) -> [CellID: CellDoubt] {
    let before: [CellID: UInt64]
    do throws(JournalError) {
      before = try LastScans.rows(of: report.read, in: journal)
    } catch {
      throw .registry(.journal(error))
    }
    var doubts: [CellID: CellDoubt] = [:]
    for (place, cell) in report.cells.enumerated() where cell.state.isFinished {
      let id = cell.state.cell
      doubts[id] = CellDoubt(
        tallies[id] ?? CellTally(), isUnknown: cell.isUnknown, rowsBefore: before[id],
        tolerance: tolerance
      ) { archive(of: targets[place]) }
    }
    return doubts
  }

  private func archive(of target: CellTarget) -> (rows: UInt64, newest: Timestamp?)? {
    let answer = router.ask([target], until: .now + ScanSettings().pageTime) {
      (connection) throws(CellError) in try connection.archiveSummary()
    }
    guard case .success(let summary)? = answer.first else { return nil }
    return (summary.rows, summary.newest)
  }

  /// What was given; else 1 % of the cell's mappings, at least one and at most 100.
  private func limit(
    of kind: FindingKind, in cell: CellID, _ options: MendOptions, on index: IndexReader
  ) throws(RebuildError) -> UInt64 {
    if let limit = options.limit { return limit }
    let count =
      try indexed { () throws(ProjectionError) in
        switch kind {
        case .unknownHost, .wrongCellHost, .ghostHost, .twinHost: try index.hosts(in: cell).count
        default: try index.countInstances(in: cell)
        }
      }
    return UInt64(min(100, max(1, count / 100)))
  }
}

extension Observation {
  /// It says that a conflict is one no more.
  fileprivate var isSettling: Bool { if case .conflict(_, nil) = state { true } else { false } }
}

extension MendPlan {
  /// Whether a finding is left because a cell is in doubt, or too much of it would be touched.
  func refuses(_ finding: Finding) -> Bool {
    finding.cells.contains { cell in
      doubts[cell] != nil || excesses.contains { $0.kind == finding.kind && $0.cell == cell }
    }
  }
}
