internal import Cells
public import Journal
public import Projections
public import Registry
public import Router

/// Makes the map again from the cells alone.
///
/// Three steps: `scan` reads all cells into a staging file, `plan` compares what it found with the
/// map, and `apply` makes the map hold it, in chunks. Nothing is ever written into a cell. What can't
/// be decided while a cell is away is decided by the same command once it is back.
public final class MapRebuild {
  private let journal: EventJournal
  private let keys: KeyRing
  private let targets: [CellTarget]
  private let old: OldMap?
  /// What the targets' connections are checked by; it lives as long as they are used.
  private let router: CellRouter
  private let file: ScanFile
  private var states: [CellScanState] = []

  /// Rows of one chunk.
  static let chunkRows = 1_000

  /// Opens the store's unfinished scan, or begins one.
  ///
  /// - Parameters:
  ///   - folder: Where the staging file is kept: the store's own, or another for a dry run.
  ///   - isTrial: The file is this run's own, and is taken away with it.
  ///   - old: What says what the cells can't.
  /// - Throws: `scanUnderway`, `staging`, `router`.
  public init(
    cells router: CellRouter, journal: EventJournal, keys: KeyRing, stagingIn folder: String,
    isTrial: Bool, old: OldMap? = nil
  ) throws(RebuildError) {
    self.old = old
    self.journal = journal
    self.keys = keys
    self.router = router
    targets = try CellScanner.targets(of: router)
    let basis = journal.head.position
    do throws(ProjectionError) {
      file =
        try isTrial
        ? ScanFile.temporary(in: folder, basis: basis) : ScanFile.open(in: folder, basis: basis)
    } catch .busy(_, let path) {
      throw .scanUnderway(path: path)
    } catch {
      throw .staging("\(error)")
    }
  }

  /// Takes the staging file away: what it says is in the journal, or was only looked at.
  public func discardScan() { file.remove() }

  /// Reads all cells at once, from where an earlier scan ended. Blocks until each is read or failed.
  public func scan(
    _ settings: ScanSettings = ScanSettings(), progress: ([CellScanState]) -> Void
  ) {
    states = CellScanner(file: file, settings: settings).run(over: targets, progress: progress)
  }

  /// Counts what the cells that were read have of Nova's global tables.
  ///
  /// - Parameter time: How long a cell may take.
  public func census(time: Duration) -> GlobalCensus {
    let read = Set(states.filter(\.isFinished).map(\.cell))
    return GlobalCensus.take(targets.filter { read.contains($0.id) }, time: time)
  }

  /// What `apply` would do to the map; nothing is written.
  ///
  /// - Parameter index: A reader of the index, which has reached `head`.
  public func plan(
    on index: IndexReader, head: Position, progress: (UInt64) -> Void
  ) throws(RebuildError) -> RebuildPlan {
    var plan = RebuildPlan()
    plan.position = head
    plan.cells = states
    let preview = ChangePreview(map: LiveMap(over: index), head: head.index, keys: keys)
    let work = try work(on: index)
    for (_, found) in try work.hosts(&plan) {
      for observation in found {
        let events = try events(observation, preview, &plan)
        if case .host = observation.state { plan.count(\.hosts, events) }
        if case .conflict(_, nil) = observation.state, events?.isEmpty == false {
          plan.settled += 1
        }
      }
    }
    try work.forEachInstance(&plan) { (plan, observations) throws(RebuildError) in
      for observation in observations {
        let events = try events(observation, preview, &plan)
        switch observation.state {
        case .instance:
          plan.count(\.instances, events)
          progress(plan.instances.added + plan.instances.changed + plan.instances.same)
        case .conflict(_, nil): if events?.isEmpty == false { plan.settled += 1 }
        default: break
        }
      }
    }
    do throws(ProjectionError) {
      plan.unreadable = try file.unreadable(limit: 100).map { cell, row in
        "Cell \(cell), \(row.table) row \(row.rowID): \(row.why)"
      }
    } catch {
      throw .staging("\(error)")
    }
    return plan
  }

  private func events(
    _ observation: Observation, _ preview: ChangePreview, _ plan: inout RebuildPlan
  ) throws(RebuildError) -> [Event]? {
    do throws(RegistryError) { return try preview.events(observation) } catch .refused(let why) {
      plan.refuse(observation, why)
      return []
    } catch {
      throw .registry(error)
    }
  }

  private func work(on index: IndexReader) throws(RebuildError) -> RebuildWork {
    var rebuiltFrom: UInt64?
    do throws(ProjectionError) {
      if let last = try index.epochs().last, last.row.cause == .rebuilt {
        rebuiltFrom = last.row.first
      }
    } catch {
      throw .registry(.index(error))
    }
    var sources: [CellID: ByteText] = [:]
    for target in targets { sources[target.id] = target.publicDatabase }
    let records = RebuildRecords(
      keys: keys, journal: journal, sources: sources, rebuiltFrom: rebuiltFrom,
      basis: file.basis, oldSource: old?.source.publicForm)
    let read = Set(states.filter(\.isFinished).map(\.cell))
    let oldInstances = old.map { OldInstances($0, keys: keys, basis: file.basis) }
    return try RebuildWork(
      file: file, index: index, records: records, read: read,
      areAllRead: states.allSatisfy(\.isFinished), old: oldInstances)
  }
}

// MARK: - Applying

extension MapRebuild {
  /// Makes the map hold what the cells have.
  ///
  /// - Returns: The answer of the last commit.
  /// - Throws: `registry`, after which the same command under the same request id goes on where it
  ///   ended.
  public func apply(
    _ plan: inout RebuildPlan, title: ByteText, by authorship: Authorship, request: RequestID,
    on index: IndexReader, through registry: MapRegistry, progress: (UInt64) -> Void
  ) throws(RebuildError) -> Outcome {
    let submission = Submission(
      registry: registry, title: title, authorship: authorship, request: request)
    var changed = ChangeCounts()
    try openEpoch(submission, index)
    let work = try work(on: index)
    for state in states {
      try submission.note(.scanStarted, state, file.scan, digest: .zero)
    }
    var again = RebuildPlan()
    let hosts = try work.hosts(&again)
    for start in stride(from: 0, to: hosts.count, by: Self.chunkRows) {
      let part = hosts[start...].prefix(Self.chunkRows)
      guard let first = part.first?.name, let last = part.last?.name else { break }
      let range = KeyRange(kind: .host, first: first, last: last)
      let observations = part.flatMap(\.observations).filter {
        !plan.refusedEntities.contains($0.entity)
      }
      changed.hosts += try submission.take(observations, range)
    }
    let refused = plan.refusedEntities
    var chunk: [Observation] = []
    var range: (first: InstanceID, last: InstanceID)?
    var done: UInt64 = 0
    func flush() throws(RebuildError) {
      guard let ends = range, !chunk.isEmpty else { return }
      let keys = KeyRange(
        kind: .instance, first: ByteText(ends.first.description),
        last: ByteText(ends.last.description))
      changed.instances += try submission.take(chunk, keys)
      done += UInt64(chunk.count)
      progress(done)
      chunk.removeAll(keepingCapacity: true)
      range = nil
    }
    var digests: [CellID: Digest] = [:]
    func add(_ copy: StagedInstance) { work.add(copy, to: &digests) }
    try work.forEachInstance(&again, row: add) {
      (_, observations) throws(RebuildError) in
      guard case .instance(let id)? = observations.first?.entity,
        !refused.contains(.instance(id))
      else { return }
      chunk += observations
      range = (range?.first ?? id, id)
      if chunk.count >= Self.chunkRows { try flush() }
    }
    try flush()
    changed.cells += try finishCells(submission, index, digests, lacking: plan.lackingCells)
    plan.overtaken = submission.overtaken
    return try submission.finish(changed)
  }

  /// A map that others made stays in its epoch; what the cells say of it begins a new one. A rebuild
  /// that goes on with an earlier one stays in that one's.
  private func openEpoch(
    _ submission: Submission, _ index: IndexReader
  ) throws(RebuildError) {
    do throws(ProjectionError) {
      if try index.epochs().last?.row.cause == .rebuilt { return }
      try index.endSnapshot()
    } catch {
      throw .registry(.index(error))
    }
    let head = journal.head
    try submission.openEpoch(after: head, of: journal.store)
    do throws(RegistryError) { try submission.registry.waitUntilProjected() } catch {
      throw .registry(error)
    }
  }

  /// Notes the end of each scan, the evidence of each cell's identity, and what the map knows whole.
  private func finishCells(
    _ submission: Submission, _ index: IndexReader, _ digests: [CellID: Digest],
    lacking: Set<CellID>
  ) throws(RebuildError) -> UInt64 {
    var changed: UInt64 = 0
    for state in states {
      if state.isFinished {
        try submission.note(
          .scanFinished, state, file.scan, digest: digests[state.cell] ?? .zero)
        let identity: CellIdentity
        let known: Set<UUID128>
        do throws(ProjectionError) {
          identity = try file.identity(of: state.cell)
          known = Set(try index.identities(of: state.cell).map(\.uuid))
        } catch {
          throw .staging("\(error)")
        }
        for part in identity.parts(of: Self.chunkRows, without: known) {
          try submission.submit(.recordIdentity(state.cell, part), about: state.cell)
        }
      }
      let isWhole =
        state.isFinished && state.unreadable == 0 && !lacking.contains(state.cell)
      changed += try submission.submit(.setCoverage(state.cell, isWhole), about: state.cell)
    }
    return changed
  }
}

/// The commits of one bulk command that rests on a scan.
final class Submission {
  enum Note { case scanStarted, scanFinished }

  let registry: MapRegistry
  private let title: ByteText
  private let authorship: Authorship
  private let request: RequestID
  private(set) var overtaken: UInt64 = 0

  init(registry: MapRegistry, title: ByteText, authorship: Authorship, request: RequestID) {
    self.registry = registry
    self.title = title
    self.authorship = authorship
    self.request = request
  }

  func take(_ observations: [Observation], _ range: KeyRange) throws(RebuildError) -> UInt64 {
    let outcome = try submit(.take(observations), range)
    overtaken += outcome.overtaken
    return outcome.changed
  }

  @discardableResult
  func submit(_ change: Change, about cell: CellID) throws(RebuildError) -> UInt64 {
    let name = ByteText(cell.description)
    return try submit(change, KeyRange(kind: .cell, first: name, last: name)).changed
  }

  func note(
    _ what: Note, _ state: CellScanState, _ scan: UUID128, digest: Digest
  ) throws(RebuildError) {
    let isFinished = what == .scanFinished
    let progress = ScanProgress(
      scan: scan, cell: state.cell, rows: isFinished ? state.rows : 0, digest: digest)
    try submit(.noteScan(progress, isFinished: isFinished), about: state.cell)
  }

  func openEpoch(after head: EventJournal.Head, of store: StoreID) throws(RebuildError) {
    let opening = EpochOpening(
      store: store, epoch: head.position.epoch + 1, id: EpochID(.random()), cause: .rebuilt,
      commonIndex: head.position.index, commonRoot: head.root, leftIndex: head.position.index,
      leftRoot: head.root)
    _ = try submit(.openEpoch(opening), KeyRange(kind: .store, first: "", last: ""))
  }

  func finish(_ changed: ChangeCounts) throws(RebuildError) -> Outcome {
    try submit(.finishRequest(changed), nil)
  }

  private func submit(_ change: Change, _ chunk: KeyRange?) throws(RebuildError) -> Outcome {
    var author = authorship
    author.observedAt = .now
    let command = Command(
      change, by: author, request: request, bulk: BulkMark(title: title, chunk: chunk))
    do throws(RegistryError) { return try registry.submit(command) } catch {
      throw .registry(error)
    }
  }
}
