internal import Cells
internal import Journal
internal import Projections
internal import Registry

/// One walk through what a scan found beside what the map holds: what is to be observed, in the order
/// of the instances' UUIDs.
struct RebuildWork {
  private let file: ScanFile
  private let index: IndexReader
  private let records: RebuildRecords
  /// The cells that were read whole.
  private let read: Set<CellID>
  /// No cell is left that might have what those that were read don't.
  private let areAllRead: Bool
  /// At its beginning; each walk has its own.
  private let old: OldInstances?
  private let cellHosts: [(name: ByteText, cells: [CellID])]
  private let rules: CopyRules
  /// What the map knows of conflicts, the decided ones too.
  private let conflicts: [EntityKey: ConflictRecord]

  init(
    file: ScanFile, index: IndexReader, records: RebuildRecords, read: Set<CellID>,
    areAllRead: Bool, old: OldInstances?
  ) throws(RebuildError) {
    self.areAllRead = areAllRead
    self.old = old
    self.file = file
    self.index = index
    self.records = records
    self.read = read
    do throws(ProjectionError) { cellHosts = try file.hosts() } catch {
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
      if cells.count > 1 {
        let conflict = ConflictEvidence.conflict(host: name, in: cells)
        var observations = observe(.host(name), conflict, &plan)
        if !observations.isEmpty, try isProvisional(before?.changedAt) {
          observations.append(unmapping(.host(name, nil)))
        }
        if !observations.isEmpty { found.append((name, observations)) }
      } else if let before, !read.contains(before.record.cell) {
        plan.pending += 1
      } else {
        found.append(
          (
            name,
            settling(.host(name))
              + [records.observation(host: name, in: cells[0], before: before)]
          ))
      }
    }
    return found
  }

  /// Calls `body` with what is to be observed of each instance that the cells have.
  ///
  /// - Parameter row: Gets each cell's rows in the order of the UUIDs.
  func forEachInstance(
    _ plan: inout RebuildPlan, row: (StagedInstance) -> Void = { _ in },
    _ body: (inout RebuildPlan, [Observation]) throws(RebuildError) -> Void
  ) throws(RebuildError) {
    var cursor = MapCursor(over: index)
    var old = old
    var failure: RebuildError?
    var counted = plan
    do throws(ProjectionError) {
      try file.forEachInstance { copies throws(ProjectionError) in
        guard failure == nil else { return }
        do throws(RebuildError) {
          for copy in copies { row(copy) }
          try takeUnscheduled(before: copies[0].id, &old, &cursor, &counted, body)
          let observations = try observations(copies, &old, &cursor, &counted)
          if !observations.isEmpty { try body(&counted, observations) }
        } catch {
          failure = error
        }
      }
    } catch {
      throw .staging("\(error)")
    }
    if let failure { throw failure }
    try takeUnscheduled(before: nil, &old, &cursor, &counted, body)
    do throws(RegistryError) { try cursor.finish { miss($0, &counted) } } catch {
      throw .registry(error)
    }
    plan = counted
  }

  /// Goes on with the digest over the rows of a copy's cell.
  func add(_ copy: StagedInstance, to digests: inout [CellID: Digest]) {
    digests[copy.cell] = records.digest(digests[copy.cell] ?? .zero, followedBy: copy)
  }

  /// Takes what the old database has and no cell: instances that are in none yet. A mapping into a cell
  /// that doesn't have the instance is left out, and so is whatever the map has by now.
  private func takeUnscheduled(
    before end: InstanceID?, _ old: inout OldInstances?, _ cursor: inout MapCursor,
    _ plan: inout RebuildPlan,
    _ body: (inout RebuildPlan, [Observation]) throws(RebuildError) -> Void
  ) throws(RebuildError) {
    while let item = try source({ () throws(AdoptionError) in try old?.next(before: end) }) {
      guard item.row.cellNumber == nil else {
        if let cell = old?.cell(of: item.row), read.contains(cell) { plan.stale.add(item.id) }
        continue
      }
      let before: InstanceRow?
      do throws(RegistryError) {
        before = try cursor.row(of: item.id) { miss($0, &plan) }
      } catch {
        throw .registry(error)
      }
      guard before?.record.cell == nil else { continue }
      guard areAllRead else {
        plan.pending += 1
        continue
      }
      guard let observation = old?.observation(item) else { continue }
      plan.unscheduled.add(item.id)
      try body(&plan, [observation])
    }
  }

  private func source<Value>(
    _ read: () throws(AdoptionError) -> Value
  ) throws(RebuildError) -> Value {
    do throws(AdoptionError) { return try read() } catch { throw .source(error) }
  }

  private func observations(
    _ copies: [StagedInstance], _ old: inout OldInstances?, _ cursor: inout MapCursor,
    _ plan: inout RebuildPlan
  ) throws(RebuildError) -> [Observation] {
    let id = copies[0].id
    let known = try source { () throws(AdoptionError) in try old?.row(of: id) }
    var before: InstanceRow?
    do throws(RegistryError) {
      before = try cursor.row(of: id) { miss($0, &plan) }
    } catch {
      throw .registry(error)
    }
    let verdict: CopyRules.Verdict
    do throws(ProjectionError) {
      verdict = try rules.verdict(on: copies) { () throws(ProjectionError) in
        try file.moves(of: id).map { ($0.cell, $0.1) }
      }
    } catch {
      throw .staging("\(error)")
    }
    // A mapping into a cell that could not be read stays: the cell may have it still.
    if let cell = before?.record.cell, !read.contains(cell) {
      plan.pending += 1
      return []
    }
    switch verdict {
    case .hidden:
      plan.hiddenOnly.add(id)
      return []
    case .conflict(let kind, let copies, let moves):
      var observations = observe(
        .instance(id), ConflictEvidence.conflict(kind, copies, moves), &plan)
      if !observations.isEmpty, try isProvisional(before?.changedAt) {
        observations.append(unmapping(.instance(id, nil)))
      }
      return observations
    case .mapped(let copy, by: let rule):
      plan.rules[rule, default: 0] += 1
      let owner = records.owner(of: copy, known)
      if owner.isCompleted { plan.ownersCompleted.add(id) }
      if owner.project == nil { plan.withoutProject.add(id) }
      let isUnknown = try before == nil ? true : isProvisional(before?.changedAt)
      if copy.mayHaveFailedToDelete, isUnknown { plan.inError.add(id) }
      do throws(RegistryError) {
        return [try records.observation(copy, owner, before: before)] + settling(.instance(id))
      } catch {
        throw .registry(error)
      }
    }
  }

  /// A conflict as it is to be observed; one that an operator has decided stands decided as long as it
  /// is between the same cells.
  private func observe(
    _ entity: EntityKey, _ found: FoundConflict, _ plan: inout RebuildPlan
  ) -> [Observation] {
    let known = conflicts[entity]
    if let known, ConflictEvidence.isDecided(found, by: known) {
      plan.decided += 1
      return []
    }
    plan.note(entity, found, isKnown: known.map { $0.decision == nil } ?? false)
    return [Observation(.conflict(entity, found), evidence: nil, basis: records.basis)]
  }

  /// What was only said by some of the cells, and all of them don't decide, is taken back.
  private func unmapping(_ state: Observation.State) -> Observation {
    Observation(state, evidence: nil, basis: records.basis)
  }

  private func isProvisional(_ changedAt: UInt64?) throws(RebuildError) -> Bool {
    guard let changedAt else { return false }
    do throws(RegistryError) { return try records.isProvisional(changedAt: changedAt) } catch {
      throw .registry(error)
    }
  }

  private func settling(_ entity: EntityKey) -> [Observation] {
    guard let known = conflicts[entity], known.decision == nil else { return [] }
    return [Observation(.conflict(entity, nil), evidence: nil, basis: records.basis)]
  }

  /// The map has an instance that no cell has which was read.
  private func miss(_ item: InstanceItem, _ plan: inout RebuildPlan) {
    guard let cell = item.row.record.cell else { return }
    if read.contains(cell) { plan.missing.add(item.id) } else { plan.pending += 1 }
  }

  private func mapped<Value>(
    _ read: () throws(ProjectionError) -> Value
  ) throws(RebuildError) -> Value {
    do throws(ProjectionError) { return try read() } catch { throw .registry(.index(error)) }
  }
}
