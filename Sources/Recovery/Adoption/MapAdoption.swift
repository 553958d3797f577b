public import Journal
public import Projections
public import Registry

/// Takes over the map of a Nova API database: makes the map equal to its three mapping tables.
///
/// Reads in pages, so that memory doesn't grow with the cloud, and applies in chunks of a thousand
/// rows; a repeated run appends what is still missing, and nothing if nothing is.
public struct MapAdoption<Witness: CellWitness> {
  /// Rows of one chunk.
  public static var chunkRows: Int { 1000 }

  let source: NovaAPIDatabase
  private let witness: Witness
  let keys: KeyRing
  let options: AdoptionOptions

  public init(
    source: NovaAPIDatabase, witness: Witness, keys: KeyRing, options: AdoptionOptions
  ) {
    self.source = source
    self.witness = witness
    self.keys = keys
    self.options = options
  }

  /// What `apply` would do to a map; nothing is written.
  ///
  /// - Parameters:
  ///   - index: A reader of the index, which has reached `head`.
  /// - Throws: `unreadable`; rows that the map can't hold are counted as problems, not thrown.
  public func plan(
    on index: IndexReader, head: Position, progress: (AdoptionPlan) -> Void
  ) throws(AdoptionError) -> AdoptionPlan {
    var plan = AdoptionPlan()
    plan.position = head
    let preview = ChangePreview(map: LiveMap(over: index), head: head.index, keys: keys)
    var rows = AdoptionRows(source: source, keys: keys, basis: options.basis)
    try forEachChunk(&rows, &plan) { (plan, chunk) throws(AdoptionError) in
      if options.isCancelled() { throw .cancelled }
      try count(chunk, beside: try holdable(chunk, index, head), preview, &plan)
      progress(plan)
    }
    try forEachSurplus(index) { (chunk) throws(AdoptionError) in
      for observation in chunk.observations { try countSurplus(observation, preview, &plan) }
    }
    plan.ownersLeft = preview.ownersLeft
    try findSurplusCells(rows, index, &plan)
    try findCoverage(rows, index, &plan)
    return plan
  }

  /// Adds to a plan which cells of the API database can't be read now; nothing is written.
  public func look(at plan: inout AdoptionPlan) throws(AdoptionError) {
    for row in try source.cells() {
      guard let id = CellID(row.uuid.string) else { continue }
      do throws(CellWitnessError) {
        try witness.look(at: id, database: row.database)
        plan.identified.append(id)
      } catch {
        plan.unidentified[id] = error.reason
      }
    }
  }

  /// Makes the map equal to the API database, as a plan has counted it.
  ///
  /// - Parameter index: The reader that the plan was made on.
  /// - Returns: The answer of the last commit; nil if nothing differed and nothing was appended.
  /// - Throws: `problems` or `wouldUnmap` before anything is appended; `registry`, after which the
  ///   same command under the same request id goes on where it ended.
  public func apply(
    _ plan: inout AdoptionPlan, on index: IndexReader, through registry: MapRegistry,
    progress: (UInt64) -> Void
  ) throws(AdoptionError) -> Outcome? {
    guard plan.problemCount == 0 || options.skipsInvalid else {
      throw .problems(count: plan.problemCount, first: plan.problems[0])
    }
    if let refusal = plan.refusal(pruning: options.prunes) { throw refusal }
    var rows = AdoptionRows(source: source, keys: keys, basis: options.basis)
    var read = AdoptionPlan()
    var rowsDone: UInt64 = 0
    var done = Done()
    if plan.changesNothing { done.overtaken = plan.overtaken }
    let filter = plan.problemCount == 0 ? nil : try filter(plan, index)
    if plan.changesNothing {
      // Only the names of the cells are needed, for their identities.
      try readCells(&rows, &read) { (_, _) throws(AdoptionError) in }
    } else {
      try beginReplacing(plan, registry)
      try forEachChunk(&rows, &read) { (_, chunk) throws(AdoptionError) in
        let observations = try acceptable(chunk, filter, index)
        done.add(try submit(.take(observations), chunk.range, registry), chunk.range.kind)
        rowsDone += UInt64(chunk.observations.count)
        progress(rowsDone)
      }
    }
    // Not before the last instance is in: a cell that is covered isn't searched for others.
    let covered = try setCoverage(plan, registry)
    done.changed.cells += UInt64(covered.subtracting(plan.differingCells).count)
    if plan.surplus > 0 { try prune(plan, index, registry, &done) }
    plan.overtaken = done.overtaken
    let identified = try recordIdentities(rows, index, registry, &plan)
    let isUnfinished = try indexed { () throws(ProjectionError) in
      try index.isUnfinished(options.request)
    }
    let isNews =
      !plan.changesNothing || !covered.isEmpty || plan.surplus > 0 || identified || isUnfinished
    guard isNews else { return nil }
    return try finish(plan, done.changed, registry)
  }

  /// What became of the rows.
  struct Done {
    var changed = ChangeCounts()
    var overtaken: UInt64 = 0

    mutating func add(_ outcome: Outcome, _ kind: EntityKey.Kind) {
      overtaken += outcome.overtaken
      switch kind {
      case .cell: changed.cells += outcome.changed
      case .host: changed.hosts += outcome.changed
      case .instance: changed.instances += outcome.changed
      case .store: break
      }
    }
  }

  /// The rules that rows are put to before they are given to the registry, the cells that others take
  /// the place of as they are then.
  private func filter(
    _ plan: AdoptionPlan, _ index: IndexReader
  ) throws(AdoptionError) -> ChangePreview {
    let filter = ChangePreview(map: LiveMap(over: index), head: 0, keys: keys)
    do throws(RegistryError) {
      for cell in plan.replacedCells.keys.sorted() { try filter.assume(.beginRemovingCell(cell)) }
    } catch {
      throw .registry(error)
    }
    return filter
  }

  /// The rows of a chunk that the rules take; all of them where the plan had no problems.
  private func acceptable(
    _ chunk: Chunk, _ filter: ChangePreview?, _ index: IndexReader
  ) throws(AdoptionError) -> [Observation] {
    guard let filter else { return chunk.observations }
    var taken: [Observation] = []
    let holdable = try holdable(chunk, index, .start)
    for observation in holdable {
      do throws(RegistryError) {
        _ = try filter.events(observation, in: holdable)
        taken.append(observation)
      } catch .refused {
        continue
      } catch {
        throw .registry(error)
      }
    }
    return taken
  }

  // MARK: Chunks

  struct Chunk {
    let observations: [Observation]
    let range: KeyRange
    /// Of a chunk of cells: those that have a row, also one that the map can't hold.
    var namedCells: Set<CellID> = []
  }

  private func forEachChunk(
    _ rows: inout AdoptionRows, _ plan: inout AdoptionPlan,
    _ body: (inout AdoptionPlan, Chunk) throws(AdoptionError) -> Void
  ) throws(AdoptionError) {
    try readCells(&rows, &plan, body)
    try readHosts(rows, &plan, body)
    try readInstances(rows, &plan, body)
  }

  private func readCells(
    _ rows: inout AdoptionRows, _ plan: inout AdoptionPlan,
    _ body: (inout AdoptionPlan, Chunk) throws(AdoptionError) -> Void
  ) throws(AdoptionError) {
    var observations: [Observation] = []
    for row in try source.cells() {
      if row.hasUnreadTime { plan.noteUnreadTime("cell_mappings", row.number) }
      do throws(AdoptionRows.Problem) {
        observations.append(try rows.observation(row))
      } catch {
        plan.note(error.text, lacking: error.lacking)
      }
    }
    let names = rows.cellIDs.values.sorted()
    guard let first = names.first, let last = names.last else { return }
    try body(
      &plan,
      Chunk(
        observations: observations, range: range(.cell, first.description, last.description),
        namedCells: rows.namedCells))
  }

  private func readHosts(
    _ rows: AdoptionRows, _ plan: inout AdoptionPlan,
    _ body: (inout AdoptionPlan, Chunk) throws(AdoptionError) -> Void
  ) throws(AdoptionError) {
    var after: ByteText?
    while true {
      let page = try source.hosts(after: after, limit: MapAdoption.chunkRows)
      guard let first = page.first, let last = page.last else { return }
      var observations: [Observation] = []
      for row in page {
        if row.hasUnreadTime { plan.noteUnreadTime("host_mappings", row.number) }
        do throws(AdoptionRows.Problem) {
          observations.append(try rows.observation(row))
        } catch {
          plan.note(error.text, lacking: error.lacking)
        }
      }
      try body(
        &plan,
        Chunk(
          observations: observations, range: range(.host, first.host.string, last.host.string)))
      after = last.host
    }
  }

  private func readInstances(
    _ rows: AdoptionRows, _ plan: inout AdoptionPlan,
    _ body: (inout AdoptionPlan, Chunk) throws(AdoptionError) -> Void
  ) throws(AdoptionError) {
    var after: ByteText?
    while true {
      let page = try source.instances(after: after, limit: MapAdoption.chunkRows)
      guard let first = page.first, let last = page.last else { return }
      let mappings = page.filter { !$0.isMarker }
      plan.markers += UInt64(page.count - mappings.count)
      let sightings = sightings(of: mappings, rows.cellIDs)
      var observations: [Observation] = []
      for row in mappings {
        if row.hasUnreadTime { plan.noteUnreadTime("instance_mappings", row.number) }
        do throws(AdoptionRows.Problem) {
          let sighting = InstanceID(row.uuid.string).flatMap { sightings[$0] }
          observations.append(try rows.observation(row, lastSeen: sighting))
        } catch {
          plan.note(error.text, lacking: error.lacking)
        }
      }
      try body(
        &plan,
        Chunk(
          observations: observations, range: range(.instance, first.uuid.string, last.uuid.string)))
      after = last.uuid
    }
  }

  func range(_ kind: EntityKey.Kind, _ first: String, _ last: String) -> KeyRange {
    KeyRange(kind: kind, first: ByteText(first), last: ByteText(last))
  }

  /// Where the instances of a page run, as far as their cells can be read.
  private func sightings(
    of rows: [NovaInstanceRow], _ cells: [UInt64: CellID]
  ) -> [InstanceID: HostSighting] {
    var asked: [CellID: [InstanceID]] = [:]
    for row in rows {
      guard let cell = row.cellNumber.flatMap({ cells[$0] }), let id = InstanceID(row.uuid.string)
      else { continue }
      asked[cell, default: []].append(id)
    }
    var sightings: [InstanceID: HostSighting] = [:]
    for (cell, instances) in asked {
      guard let hosts = try? witness.hosts(of: instances, in: cell) else { continue }
      for (instance, host) in hosts {
        sightings[instance] = HostSighting(host: host, at: source.snapshotAt, source: "adopt")
      }
    }
    return sightings
  }

  func indexed<Value>(
    _ read: () throws(ProjectionError) -> Value
  ) throws(AdoptionError) -> Value {
    do throws(ProjectionError) { return try read() } catch { throw .registry(.index(error)) }
  }

  // MARK: Writing

  @discardableResult
  func submit(
    _ change: Change, _ chunk: KeyRange?, _ registry: MapRegistry, guards: [Guard] = []
  ) throws(AdoptionError) -> Outcome {
    if options.isCancelled() { throw .cancelled }
    var authorship = options.authorship
    if chunk?.kind == .instance, let other = options.instanceAuthorship { authorship = other }
    authorship.observedAt = .now
    let command = Command(
      change, by: authorship, request: options.request, guards: guards,
      bulk: BulkMark(title: options.title(of: source), chunk: chunk),
      isByOperator: !authorship.isObserved)
    do throws(RegistryError) { return try registry.submit(command) } catch {
      throw .registry(error)
    }
  }

  private func finish(
    _ plan: AdoptionPlan, _ changed: ChangeCounts, _ registry: MapRegistry
  ) throws(AdoptionError) -> Outcome {
    let transfer = MapTransfer(
      database: source.publicForm, snapshotAt: source.snapshotAt, cells: plan.cells.total,
      hosts: plan.hosts.total, instances: plan.instances.total)
    return try submit(.finishAdoption(transfer, changed), nil, registry)
  }

  /// Records the evidence of each cell whose database can be read, as far as it is new.
  private func recordIdentities(
    _ rows: AdoptionRows, _ index: IndexReader, _ registry: MapRegistry,
    _ plan: inout AdoptionPlan
  ) throws(AdoptionError) -> Bool {
    var isNew = false
    for cell in rows.cellIDs.values.sorted() {
      let identity: CellIdentity
      do throws(CellWitnessError) {
        identity = try witness.identity(of: cell)
      } catch {
        plan.unidentified[cell] = error.reason
        continue
      }
      plan.identified.append(cell)
      let known = try indexed { () throws(ProjectionError) in
        Set(try index.identities(of: cell).map(\.uuid))
      }
      for part in identity.parts(of: MapAdoption.chunkRows, without: known) {
        try submit(
          .recordIdentity(cell, part), range(.cell, cell.description, cell.description), registry)
        isNew = true
      }
    }
    return isNew
  }
}
