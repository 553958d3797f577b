internal import Cells
public import Journal
public import Projections
public import Registry
public import Router

/// Makes the map again from the cells alone.
///
/// Two steps: `scan` reads all cells into a staging file; `plan` compares what it found with the map,
/// or `apply` makes the map hold it, in chunks. Nothing is ever written into a cell. What can't be
/// decided while a cell is away is decided by the same command once it is back.
public final class MapRebuild {
  private let journal: EventJournal
  private let keys: KeyRing
  private let targets: [CellTarget]
  private let old: OldMap?
  private let tried: [Observation]
  /// Nothing is applied, and the staging file is this run's own.
  private let isTrial: Bool
  /// What the targets' connections are checked by; it lives as long as they are used.
  private let router: CellRouter
  private let file: ScanFile
  /// Those that were killed while they applied the file.
  private let earlier: Set<RequestID>
  private var states: [CellScanState] = []

  /// UUIDs of a cell's identity in one entry.
  private static let identityRows = 1_000

  /// Opens the store's unfinished scan, or begins one.
  ///
  /// - Parameters:
  ///   - folder: Where the staging file is kept.
  ///   - tried: For a run that only plans: the cells as they are given, each of which is read at the
  ///     address that it would get. The staging file is this run's own then. nil for one that applies.
  ///   - old: What says what the cells can't.
  ///   - hasEnded: Whether a request has come to its end by now: what it has read is in the journal, and no other may go
  ///     on with it, since rows that went away meanwhile would come back.
  /// - Throws: `scanUnderway`, `staging`, `router`.
  public init(
    cells router: CellRouter, journal: EventJournal, keys: KeyRing, stagingIn folder: String,
    trying tried: [Observation]?, old: OldMap? = nil, hasEnded: (RequestID) -> Bool
  ) throws(RebuildError) {
    self.old = old
    self.journal = journal
    self.keys = keys
    self.router = router
    self.tried = tried ?? []
    isTrial = tried != nil
    targets = TriedCells.targets(tried ?? [], beside: try CellScanner.targets(of: router), router)
    let basis = journal.head.position
    do throws(ProjectionError) {
      file =
        try tried != nil
        ? ScanFile.ofOneRun(named: "trial-", in: folder, basis: basis)
        : ScanFile.open(in: folder, basis: basis, hasEnded: hasEnded)
    } catch .busy(_, let path) {
      throw .scanUnderway(path: path)
    } catch {
      throw .staging("\(error)")
    }
    earlier = file.requests
  }

  /// Takes away what a rebuild has left that was killed at its very end.
  ///
  /// - Parameters:
  ///   - folder: Where staging files are kept.
  ///   - hasEnded: As above.
  public static func discardEndedScans(in folder: String, hasEnded: (RequestID) -> Bool) {
    ScanFile.discardEnded(in: folder, hasEnded)
  }

  /// Takes the staging file away: what it says is in the journal, or was only looked at. Of a cell that
  /// broke off in the middle its pages stay, and the next rebuild goes on from the last of them.
  public func discardScan() {
    if isTrial { file.remove() } else { file.discard() }
  }

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
    let pass = try pass(on: index, head: head, submission: nil)
    try pass.run(progress: progress)
    try addUnreadable(to: pass)
    return pass.plan
  }

  private func pass(
    on index: IndexReader, head: Position, submission: Submission?
  ) throws(RebuildError) -> RebuildPass {
    let preview = ChangePreview(map: LiveMap(over: index), head: head.index, keys: keys)
    do throws(RegistryError) {
      for observation in tried { _ = try preview.events(observation, in: tried) }
    } catch {
      throw .registry(error)
    }
    let pass = RebuildPass(work: try work(on: index), preview: preview, submission: submission)
    pass.plan.position = head
    pass.plan.cells = states
    do throws(ProjectionError) {
      pass.plan.instances.before = try index.countInstances()
      pass.plan.hosts.before = UInt64(try index.hosts().count)
    } catch {
      throw .registry(.index(error))
    }
    return pass
  }

  private func addUnreadable(to pass: RebuildPass) throws(RebuildError) {
    do throws(ProjectionError) {
      pass.plan.unreadable = try file.unreadable(limit: 100).map { $1.description(in: $0) }
    } catch {
      throw .staging("\(error)")
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
      keys: keys, journal: journal, sources: sources, rebuiltFrom: rebuiltFrom, basis: file.basis,
      earlier: earlier, oldSource: old?.source.publicForm)
    let oldInstances = old.map { OldInstances($0, keys: keys, basis: file.basis) }
    return try RebuildWork(
      file: file, index: index, records: records,
      provisional: try provisional(rebuiltFrom, index), states: states, old: oldInstances)
  }

  private func provisional(
    _ rebuiltFrom: UInt64?, _ index: IndexReader
  ) throws(RebuildError) -> ProvisionalMappings {
    var coverage: [CellID: Bool] = [:]
    for target in targets { coverage[target.id] = false }
    do throws(ProjectionError) {
      for cell in try index.cells() where coverage[cell.id] != nil {
        coverage[cell.id] = cell.row.record.isCovered
      }
    } catch {
      throw .registry(.index(error))
    }
    return ProvisionalMappings(journal: journal, rebuiltFrom: rebuiltFrom, coverage: coverage)
  }
}

// MARK: - Applying

extension MapRebuild {
  /// Makes the map hold what the cells have, and counts it on the way.
  ///
  /// - Parameter index: A reader of the index, which has reached the head; it has no snapshot open.
  /// - Returns: What was done, and the answer of the last commit.
  /// - Throws: `registry`, after which the same command under the same request id goes on where it
  ///   ended.
  public func apply(
    title: ByteText, by authorship: Authorship, request: RequestID, on index: IndexReader,
    through registry: MapRegistry, progress: (UInt64) -> Void
  ) throws(RebuildError) -> (plan: RebuildPlan, outcome: Outcome) {
    let submission = Submission(
      registry: registry, title: title, authorship: authorship, request: request)
    do throws(ProjectionError) { try file.add(request) } catch { throw .staging("\(error)") }
    try openEpoch(submission, index)
    let pass = try pass(on: index, head: journal.head.position, submission: submission)
    for state in states {
      try submission.note(.scanStarted, state, file.scan, digest: .zero)
    }
    try pass.run(progress: progress)
    try addUnreadable(to: pass)
    var changed = pass.changed
    changed.cells += try finishCells(submission, index, pass)
    pass.plan.overtaken = submission.overtaken
    return (pass.plan, try submission.finish(changed))
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

  /// Notes the evidence of each cell's identity, what the map knows whole, and the end of each scan.
  private func finishCells(
    _ submission: Submission, _ index: IndexReader, _ pass: RebuildPass
  ) throws(RebuildError) -> UInt64 {
    var changed: UInt64 = 0
    for state in states {
      if state.isFinished { try noteIdentity(of: state, submission, index) }
      let isWhole =
        state.isFinished && state.unreadable == 0
        && !pass.plan.lackingCells.contains(state.cell)
      changed += try submission.submit(.setCoverage(state.cell, isWhole), about: state.cell)
    }
    // Last: whether all was read whole is what the coverage is at these entries.
    for state in states where state.isFinished {
      try submission.note(
        .scanFinished, state, file.scan, digest: pass.digests[state.cell] ?? .zero)
    }
    return changed
  }

  private func noteIdentity(
    of state: CellScanState, _ submission: Submission, _ index: IndexReader
  ) throws(RebuildError) {
    let identity: CellIdentity
    let known: Set<UUID128>
    do throws(ProjectionError) {
      identity = try file.identity(of: state.cell)
      known = Set(try index.identities(of: state.cell).map(\.uuid))
    } catch {
      throw .staging("\(error)")
    }
    for part in identity.parts(of: Self.identityRows, without: known) {
      try submission.submit(.recordIdentity(state.cell, part), about: state.cell)
    }
  }
}
