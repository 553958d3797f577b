internal import Cells
internal import Journal
internal import Projections
internal import Registry

/// One walk through what a scan found beside what the map holds: what is to be observed, in the order
/// of the instances' UUIDs.
// A class, since a struct of so many parts is copied for each instance by the closures of the walk.
final class RebuildWork {
  private let file: ScanFile
  private let index: IndexReader
  private let records: RebuildRecords
  private let provisional: ProvisionalMappings
  /// The cells that were read whole, and those that were not.
  private let read: Set<CellID>
  private let unread: Set<CellID>
  /// At its beginning; each walk has its own.
  private let old: OldInstances?
  private let cellHosts: [(name: ByteText, cells: [CellID])]
  private let rules: CopyRules
  /// Instances of which a cell has a row that can't be read.
  private let unreadable: Set<InstanceID>
  /// What the map knows of conflicts, the decided ones too.
  private let conflicts: [EntityKey: ConflictRecord]

  init(
    file: ScanFile, index: IndexReader, records: RebuildRecords,
    provisional: ProvisionalMappings, states: [CellScanState], old: OldInstances?
  ) throws(RebuildError) {
    self.old = old
    self.file = file
    self.index = index
    self.records = records
    self.provisional = provisional
    read = Set(states.filter(\.isFinished).map(\.cell))
    unread = Set(states.map(\.cell)).subtracting(read)
    do throws(ProjectionError) {
      cellHosts = try file.hosts()
      unreadable = try file.unreadableInstances()
    } catch {
      throw .staging("\(error)")
    }
    do throws(ProjectionError) {
      let known = try index.conflicts().map { ($0.entity, $0.row.record) }
      conflicts = Dictionary(known, uniquingKeysWith: { first, _ in first })
    } catch {
      throw .registry(.index(error))
    }
    rules = CopyRules(
      hostCells: Dictionary(
        cellHosts.map { ($0.name, Set($0.cells)) }, uniquingKeysWith: { first, _ in first }))
  }

  /// What is to be observed of each host, by name.
  func hosts(
    _ plan: inout RebuildPlan
  ) throws(RebuildError) -> [(name: ByteText, observations: [Observation])] {
    var found: [(name: ByteText, observations: [Observation])] = []
    for (name, owners) in cellHosts {
      // By mistake compute services report there; it can't hold hosts, and the rules say so.
      let real = owners.filter { $0 != .cell0 }
      let cells = real.isEmpty ? owners : real
      let before = try mapped { () throws(ProjectionError) in try index.host(name) }
      if stands(.host(name), &plan) { continue }
      if cells.count > 1 {
        let conflict = ConflictEvidence.conflict(host: name, in: cells)
        var observations = observe(
          .host(name), conflict, mapped: before?.record.cell, &plan)
        if !observations.isEmpty, let before {
          if try isProvisional(.host(name), before.changedAt) {
            observations.append(unmapping(.host(name, nil)))
          } else {
            plan.conflictsMapped += 1
          }
        }
        if !observations.isEmpty { found.append((name, observations)) }
      } else if let before, !read.contains(before.record.cell) {
        plan.pending += 1
      } else {
        found.append(
          (
            name,
            settling(.host(name), in: cells[0], mapped: before?.record.cell, &plan)
              + [records.observation(host: name, in: cells[0], before: before)]
          ))
      }
    }
    for place in found.indices { try rest(&found[place].observations) }
    return found
  }

  typealias Body = (inout RebuildPlan, inout [Observation]) throws(RebuildError) -> Void

  /// Calls `take` with what is to be observed of each instance, in the order of their UUIDs; it may take it
  /// away.
  ///
  /// - Returns: The digests over the rows of each cell.
  // Hot path: 1 µs an instance beside reading it.
  func forEachInstance(
    _ plan: inout RebuildPlan, _ take: Body
  ) throws(RebuildError) -> [CellID: Digest] {
    func body(
      _ plan: inout RebuildPlan, _ observations: inout [Observation]
    ) throws(RebuildError) {
      try rest(&observations)
      try take(&plan, &observations)
    }
    var walk = Walk(
      cursor: MapCursor(over: index, owners: records.keys.owners), old: old, plan: plan)
    var failure: RebuildError?
    var observations: [Observation] = []
    let digests: [CellID: Digest]
    do throws(ProjectionError) {
      digests = try file.forEachInstance(digestedBy: records.keys) {
        copies throws(ProjectionError) in
        guard failure == nil else { return }
        do throws(RebuildError) {
          if walk.old != nil { try takeOld(before: copies.id, &walk, body) }
          observations.removeAll(keepingCapacity: true)
          try observe(copies, &observations, &walk, body)
          if !observations.isEmpty { try body(&walk.plan, &observations) }
        } catch {
          failure = error
        }
      }
    } catch {
      throw .staging("\(error)")
    }
    if let failure { throw failure }
    try takeOld(before: nil, &walk, body)
    try walk.cursor.finish { (item) throws(RebuildError) in try miss(item, &walk.plan, body) }
    plan = walk.plan
    return digests
  }

  /// Lets observations rest on what a killed run of the same scan has written itself; it is no decision of others.
  private func rest(_ observations: inout [Observation]) throws(RebuildError) {
    if records.earlier.isEmpty { return }
    for place in observations.indices {
      let observation = observations[place]
      let last = try mapped { () throws(ProjectionError) -> UInt64? in
        if case .conflict(let entity, _) = observation.state {
          return try index.conflict(of: entity)?.changedAt
        }
        let changedAt: UInt64? =
          switch observation.entity {
          case .instance(let id): try index.instance(id)?.changedAt
          case .host(let name): try index.host(name)?.changedAt
          case .cell, .store: nil
          }
        if let changedAt { return changedAt }
        return try index.departure(of: observation.entity)
      }
      do throws(RegistryError) { observations[place].basis = try records.basis(over: last) } catch {
        throw .registry(error)
      }
    }
  }

  /// How far one walk has come.
  private struct Walk {
    var cursor: MapCursor
    var old: OldInstances?
    var plan: RebuildPlan
  }

  /// The map's row of an instance.
  private func mapRow(
    _ id: InstanceID, _ cursor: inout MapCursor, _ plan: inout RebuildPlan, _ body: Body
  ) throws(RebuildError) -> InstanceRow? {
    try cursor.row(of: id) { (item) throws(RebuildError) in try miss(item, &plan, body) }
  }

  /// The head of the journal before the first cell was asked: what all observations rest on.
  var basis: Position { records.basis }

  /// Takes what the old database has and no cell that was read: instances that are in no cell yet, and
  /// those of cells that can't be read. A mapping into a cell that doesn't have the instance is left
  /// out, and so is whatever the map has by now.
  private func takeOld(
    before end: InstanceID?, _ walk: inout Walk, _ body: Body
  ) throws(RebuildError) {
    while let item = try source({ () throws(AdoptionError) in try walk.old?.next(before: end) }) {
      if unreadable.contains(item.id) {
        walk.plan.waiting += 1
      } else if item.row.cellNumber == nil {
        try takeUnscheduled(item, &walk, body)
      } else if let cell = walk.old?.cell(of: item.row) {
        if read.contains(cell) { walk.plan.stale.add(item.id) }
        if unread.contains(cell) { try takeStandIn(item, of: cell, &walk, body) }
      }
    }
  }

  private func takeUnscheduled(
    _ item: OldInstances.Item, _ walk: inout Walk, _ body: Body
  ) throws(RebuildError) {
    guard try mapRow(item.id, &walk.cursor, &walk.plan, body)?.record.cell == nil else { return }
    // Another cell might have it.
    guard unread.isEmpty else {
      walk.plan.waiting += 1
      return
    }
    guard let observation = walk.old?.observation(item) else { return }
    walk.plan.unscheduled.add(item.id)
    var observations = [observation]
    try body(&walk.plan, &observations)
  }

  private func takeStandIn(
    _ item: OldInstances.Item, of cell: CellID, _ walk: inout Walk, _ body: Body
  ) throws(RebuildError) {
    guard try mapRow(item.id, &walk.cursor, &walk.plan, body) == nil,
      conflicts[.instance(item.id)] == nil,
      let observation = walk.old?.provisional(item, in: cell)
    else { return }
    walk.plan.standIns.add(item.id)
    var observations = [observation]
    try body(&walk.plan, &observations)
  }

  private func source<Value>(
    _ read: () throws(AdoptionError) -> Value
  ) throws(RebuildError) -> Value {
    do throws(AdoptionError) { return try read() } catch { throw .source(error) }
  }

  /// Appends what is to be observed of one instance.
  private func observe(
    _ copies: StagedCopies, _ observations: inout [Observation], _ walk: inout Walk, _ body: Body
  ) throws(RebuildError) {
    let id = copies.id
    let known = try source { () throws(AdoptionError) in try walk.old?.row(of: id) }
    let before = try mapRow(id, &walk.cursor, &walk.plan, body)
    let verdict: CopyRules.Verdict
    do throws(ProjectionError) {
      verdict = try rules.verdict(on: copies.rows) { () throws(ProjectionError) in
        try file.moves(of: id).map { ($0.cell, $0.1) }
      }
    } catch {
      throw .staging("\(error)")
    }
    // A mapping into a cell that could not be read stays: the cell may have it still.
    if let before, let cell = before.record.cell, !read.contains(cell),
      try !standsIn(before.changedAt)
    {
      walk.plan.pending += 1
      return
    }
    if stands(.instance(id), &walk.plan) { return }
    // As if its cell could not be read.
    if unreadable.contains(id), before != nil || conflicts[.instance(id)] != nil {
      walk.plan.pending += 1
      return
    }
    switch verdict {
    case .hidden:
      walk.plan.hiddenOnly.add(id)
      // What stood in for a cell goes, now that the cell has been read.
      guard let before, let cell = before.record.cell, read.contains(cell),
        try standsIn(before.changedAt)
      else { return }
      observations.append(unmapping(.instance(id, nil)))
    case .conflict(let kind, let visible, let moves):
      observations += observe(
        .instance(id), ConflictEvidence.conflict(kind, visible, moves),
        mapped: before?.record.cell, &walk.plan)
      guard let before else { return }
      if observations.isEmpty {
        observations += try decidedObservations(copies, known, before, &walk.plan)
      } else if try isProvisional(.instance(id), before.changedAt) {
        observations.append(unmapping(.instance(id, nil)))
      } else {
        walk.plan.conflictsMapped += 1
      }
    case .mapped(at: let place, by: let rule):
      if !conflicts.isEmpty {
        let (cell, mapped) = (copies.rows[place].cell, before?.record.cell)
        if let decided = conflicts[.instance(id)],
          ConflictEvidence.isHeld(decided, mapped: mapped, against: rule, in: cell)
        {
          walk.plan.decided += 1
          let own = try decidedObservations(copies, known, before, &walk.plan)
          if own.isEmpty, mapped != nil { walk.plan.missing.add(id) }
          observations += own
          return
        }
        observations += settling(.instance(id), in: cell, mapped: mapped, &walk.plan)
      }
      walk.plan.rules[rule, default: 0] += 1
      observations.append(try observation(copies, at: place, known, before, &walk.plan))
    }
  }

  /// Of a decided conflict, the row in the cell that was decided for says the rest; without a mapping, none does.
  private func decidedObservations(
    _ copies: StagedCopies, _ known: NovaInstanceRow?, _ before: InstanceRow?,
    _ plan: inout RebuildPlan
  ) throws(RebuildError) -> [Observation] {
    guard let before,
      let place = copies.rows.firstIndex(where: { $0.cell == before.record.cell })
    else { return [] }
    return [try observation(copies, at: place, known, before, &plan)]
  }

  /// What the row that counts says of its instance.
  private func observation(
    _ copies: StagedCopies, at place: Int, _ known: NovaInstanceRow?, _ before: InstanceRow?,
    _ plan: inout RebuildPlan
  ) throws(RebuildError) -> Observation {
    let copy = copies.rows[place]
    let owner = records.owner(of: copy, known)
    if owner.isCompleted { plan.ownersCompleted.add(copy.id) }
    if copy.mayHaveFailedToDelete, try isOfCells(before) { plan.inError.add(copy.id) }
    do throws(RegistryError) {
      return try records.observation(copy, copies.digests[place], owner, before: before, &plan)
    } catch {
      throw .registry(error)
    }
  }

  /// A conflict as it is to be observed; one that an operator has decided stands decided as long as it
  /// is between the same cells, and the map holds what was decided.
  private func observe(
    _ entity: EntityKey, _ found: FoundConflict, mapped: CellID?, _ plan: inout RebuildPlan
  ) -> [Observation] {
    let known = conflicts[entity]
    if let known, ConflictEvidence.isDecided(found, by: known, mapped: mapped) {
      plan.decided += 1
      return []
    }
    if let known, known.decision != nil, known.decision != ConflictDecision.byRules {
      plan.reopened.add(entity)
    }
    plan.note(entity, found, isKnown: known.map { $0.decision == nil } ?? false)
    return [Observation(.conflict(entity, found), evidence: nil, basis: records.basis)]
  }

  /// Whether a conflict stays as it is, open or as it was decided: one of its cells could not be read.
  private func stands(_ entity: EntityKey, _ plan: inout RebuildPlan) -> Bool {
    guard !unread.isEmpty, !conflicts.isEmpty, let known = conflicts[entity],
      ConflictEvidence.waits(known, for: unread)
    else { return false }
    plan.conflictsWaiting += 1
    return true
  }

  /// What was only said by some of the cells, and all of them don't decide, is taken back.
  private func unmapping(_ state: Observation.State) -> Observation {
    Observation(state, evidence: nil, basis: records.basis)
  }

  private func isProvisional(
    _ entity: EntityKey, _ changedAt: UInt64
  ) throws(RebuildError) -> Bool {
    do throws(JournalError) { return try provisional.contains(entity, changedAt: changedAt) } catch
    {
      throw .registry(.journal(error))
    }
  }

  /// Whether nobody but the cells has said anything of it.
  private func isOfCells(_ before: InstanceRow?) throws(RebuildError) -> Bool {
    guard let before else { return true }
    do throws(RegistryError) { return try records.isOfCells(changedAt: before.changedAt) } catch {
      throw .registry(error)
    }
  }

  /// What the rules place is in no open conflict any more, nor where an operator has decided otherwise.
  private func settling(
    _ entity: EntityKey, in cell: CellID, mapped: CellID?, _ plan: inout RebuildPlan
  ) -> [Observation] {
    guard let known = conflicts[entity] else { return [] }
    if known.decision != nil {
      guard cell != mapped, ConflictEvidence.isHeld(known, mapped: mapped) else { return [] }
      plan.overruled.add(entity)
    }
    return [Observation(.conflict(entity, nil), evidence: nil, basis: records.basis)]
  }

  /// The map has an instance that no cell has which was read.
  private func miss(
    _ item: InstanceItem, _ plan: inout RebuildPlan, _ body: Body
  ) throws(RebuildError) {
    guard let cell = item.row.record.cell else { return }
    guard read.contains(cell), !unreadable.contains(item.id) else {
      plan.pending += 1
      return
    }
    guard try standsIn(item.row.changedAt) else {
      plan.missing.add(item.id)
      return
    }
    // One that an old database names was counted with its row.
    if old == nil { plan.stale.add(item.id) }
    var observations = [unmapping(.instance(item.id, nil))]
    try body(&plan, &observations)
  }

  private func standsIn(_ changedAt: UInt64) throws(RebuildError) -> Bool {
    do throws(RegistryError) { return try records.standsIn(changedAt: changedAt) } catch {
      throw .registry(error)
    }
  }

  private func mapped<Value>(
    _ read: () throws(ProjectionError) -> Value
  ) throws(RebuildError) -> Value {
    do throws(ProjectionError) { return try read() } catch { throw .registry(.index(error)) }
  }
}
