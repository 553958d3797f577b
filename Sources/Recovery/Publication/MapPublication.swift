public import Cells
public import Journal
public import Projections
public import Registry

/// Writes the map into the three mapping tables of a Nova API database, and only rows that differ; and
/// into global tables what they lack and the cells have.
///
/// Reads map and database page by page, so that memory doesn't grow with the cloud. Each row is
/// written only if it is as it was seen, whatever the mode; a repeated run writes what still differs,
/// and nothing if nothing does.
public struct MapPublication {
  /// Rows of a page, and most rows of a transaction into a stopped Nova.
  public static let batchRows = 1_000
  /// Beside a running Nova a transaction is shorter, so that Nova waits less for its rows.
  public static let batchRowsBesideNova = 100

  let target: PublicationTarget
  let index: IndexReader
  let evidence: MapEvidence
  let keys: KeyRing
  let options: PublicationOptions
  let globals: GlobalSource?
  let history: MapHistory?
  /// What others do between the look at a page and its writing; for tests.
  var beforeWriting: () -> Void = {}

  /// - Parameters:
  ///   - index: A reader of the index with a snapshot open, which all pages are read in.
  ///   - journal: Where the entries that the index rests on are looked up.
  ///   - history: What the target was last seen to hold is read in it, beside a running Nova; opened
  ///     after the snapshot. nil with `isNovaStopped`.
  ///   - globals: Where the rows of global tables come from, if any are asked for.
  public init(
    of index: IndexReader, journal: EventJournal, history: MapHistory?, keys: KeyRing,
    into target: PublicationTarget, options: PublicationOptions, globals: GlobalSource? = nil
  ) {
    precondition(globals != nil || options.globals.isEmpty, "global tables come from the cells")
    precondition(history != nil || options.isNovaStopped, "beside a running Nova the past counts")
    self.history = history
    self.globals = globals
    self.index = index
    self.target = target
    self.keys = keys
    self.options = options
    evidence = MapEvidence(journal: journal)
  }

  /// What `apply` would do; nothing is written.
  public func plan(
    progress: (PublicationPlan) -> Void
  ) throws(PublicationError) -> PublicationPlan {
    var run = PublicationRun(output: .count)
    try walk(&run, progress)
    return run.plan
  }

  /// Looks whether the Nova of the target is stopped, for as long as `pause`.
  ///
  /// - Parameter heartbeat: The newest heartbeat of `StoppedNova.binaries` in cell0's database.
  /// - Throws: `stillChanging`, `novaRuns` or `notSeenStopped`; nothing was written.
  public func requireStopped(
    pause: Duration, heartbeat: () throws(CellWitnessError) -> CellHeartbeat?
  ) throws(PublicationError) {
    let newest: CellHeartbeat?
    do throws(CellWitnessError) { newest = try heartbeat() } catch {
      throw .notSeenStopped(why: error.reason)
    }
    try StoppedNova.check(newest, at: .now)
    let first = try StoppedNova.look(at: target)
    Pause.milliseconds(Int(pause / .milliseconds(1)))
    guard try StoppedNova.look(at: target) == first else {
      throw .stillChanging(target.publicForm, within: pause)
    }
  }

  /// Writes what differs, and notes in the journal that it was published.
  ///
  /// - Parameter plan: What `plan` has found.
  /// - Returns: What was done, and the journal's answer; no answer if there was nothing to write.
  /// - Throws: `unreadable` or `unwritable`: what was written until then is whole, and the same
  ///   command goes on from there. `registry` once all is written.
  public func apply(
    _ plan: PublicationPlan, through registry: MapRegistry, progress: (PublicationPlan) -> Void
  ) throws(PublicationError) -> (done: PublicationPlan, outcome: Outcome?) {
    guard !plan.changesNothing || options.isRetry else { return (plan, nil) }
    let snapshotAt = Timestamp.now
    var run = PublicationRun(output: .database)
    try run.prepareNumbers(after: plan, in: target)
    try walk(&run, progress)
    guard !run.plan.changesNothing || options.isRetry else { return (run.plan, nil) }
    let transfer = MapTransfer(
      database: target.publicForm, snapshotAt: snapshotAt,
      cells: run.plan.cells.found + run.plan.cells.added,
      hosts: run.plan.hosts.found + run.plan.hosts.added,
      instances: run.plan.instances.found + run.plan.instances.added)
    var authorship = options.authorship
    authorship.observedAt = .now
    do throws(RegistryError) {
      let outcome = try registry.submit(
        Command(
          .finishPublication(transfer, run.plan.written), by: authorship,
          request: options.request,
          bulk: BulkMark(title: options.title(of: target), chunk: nil)))
      return (run.plan, outcome)
    } catch {
      throw .registry(error)
    }
  }

  /// Writes the statements that `apply` would run into a file, and their inverse into another one.
  ///
  /// Both have mode 0600, and are whole or not there.
  ///
  /// - Parameter revealing: Addresses with secrets may stand in them.
  /// - Throws: `secretsHidden` if they would and may not; `script` if a file can't be written.
  public func writeScript(
    _ plan: PublicationPlan, to path: String, revealing: Bool, progress: (PublicationPlan) -> Void
  ) throws(PublicationError) -> PublicationPlan {
    let script = try PublicationScript(
      path: path, dialect: target.dialect,
      title: "cellmap publish, map at \(plan.position), for \(target.publicForm)",
      revealing: revealing)
    var run = PublicationRun(output: .script(script))
    try run.prepareNumbers(after: plan, in: target)
    try walk(&run, progress)
    try script.finish()
    return run.plan
  }
}

/// How a map is published.
public struct PublicationOptions: Sendable {
  public var authorship: Authorship
  public var request: RequestID
  /// Nothing else writes the target.
  public var isNovaStopped: Bool
  /// The caller gave the request id: a run that was killed before it was noted in the journal is
  /// noted by its repetition, even if nothing is left to write.
  public var isRetry: Bool
  /// The tables that are filled beside the map's three.
  public var globals: GlobalTables

  public init(
    authorship: Authorship, request: RequestID, isNovaStopped: Bool, isRetry: Bool = false,
    globals: GlobalTables = []
  ) {
    self.globals = globals
    self.authorship = authorship
    self.request = request
    self.isNovaStopped = isNovaStopped
    self.isRetry = isRetry
  }

  /// The command in words that are the same at each retry, and differ for another command.
  public func title(of target: PublicationTarget) -> ByteText {
    let words = ["publish \(target.name) stopped \(isNovaStopped)"] + globals.words
    return ByteText(words.joined(separator: " "))
  }
}
