internal import Cells
public import Journal
public import Projections
internal import Registry
public import Router

/// Compares the map with the cells, at any time, on a running cloud; nothing is ever written into a
/// cell.
///
/// `scan` reads all cells, `compare` walks what they have beside the map, and `lookAgain`, some minutes
/// later, believes what is still as it was found: a cloud that runs is always between two steps
/// somewhere. `mend` then makes the map hold what the cells have, where that can't hurt.
public final class MapReconciliation {
  let journal: EventJournal
  let keys: KeyRing
  let router: CellRouter
  let targets: [CellTarget]
  let file: ScanFile
  var report = ReconcileReport()
  var tallies: [CellID: CellTally] = [:]

  /// What the rebuild's pages are asked in, and findings looked at again.
  static let chunkRows = 500
  /// How a router for comparing reads: also a cell in which nothing recorded is found, such as an empty
  /// one, which is labelled so.
  public static var routerOptions: CellRouter.Options {
    var options = CellRouter.Options()
    options.pool.readsUnknown = true
    return options
  }

  /// - Parameters:
  ///   - router: Made with `routerOptions`.
  ///   - folder: Where the staging file is kept; what a killed run has left there is taken away.
  /// - Throws: `router`, `staging`.
  public init(
    cells router: CellRouter, journal: EventJournal, keys: KeyRing, stagingIn folder: String
  ) throws(RebuildError) {
    self.journal = journal
    self.keys = keys
    self.router = router
    targets = try CellScanner.targets(of: router)
    let basis = journal.head.position
    do throws(ProjectionError) {
      file = try ScanFile.ofOneRun(named: "reconcile-", in: folder, basis: basis)
      try file.prepareFindings()
    } catch {
      throw .staging("\(error)")
    }
  }

  /// Takes the staging file away; nothing can be asked any more.
  public func discard() { file.remove() }

  /// Reads all cells at once. Blocks until each is read or failed.
  public func scan(
    _ settings: ScanSettings = ScanSettings(), progress: ([CellScanState]) -> Void
  ) {
    report.cells = CellScanner(file: file, settings: settings)
      .run(over: targets, progress: progress).map { ReconcileReport.Cell(state: $0) }
    for place in report.cells.indices where report.cells[place].state.isFinished {
      report.cells[place].verdict = verdict(targets[place], settings.pageTime)
    }
  }

  func verdict(_ target: CellTarget, _ time: Duration) -> IdentityVerdict? {
    do throws(CellUnavailable) {
      let pool = try target.pool()
      do throws(CellError) {
        return try pool.examine(until: .now + time) { (_, verdict) throws(CellError) in verdict }
      } catch {
        throw .database(error)
      }
    } catch {
      return nil
    }
  }

  /// The first look: everything that differs.
  ///
  /// - Parameters:
  ///   - index: A reader of the index, which has reached the head.
  ///   - isForMending: `mend` follows, and notes what was read.
  public func compare(
    on index: IndexReader, isForMending: Bool, progress: (UInt64) -> Void
  ) throws(RebuildError) {
    let rules = try rules()
    try file.transaction { () throws(RebuildError) in
      let hosts = try hostFindings(file.hosts, on: index, rules)
      let walk = MapWalk(
        file: file, index: index, owners: keys.owners, rules: rules,
        unreadable: try staged(file.unreadableInstances),
        records: isForMending ? records : nil)
      try walk.run(&report, tallies: &tallies, progress: progress)
      try keep(hosts, areBelieved: false)
    }
  }

  /// How records and their evidence are made; a mark that the map has is never cleared.
  var records: RebuildRecords {
    var sources: [CellID: ByteText] = [:]
    for target in targets { sources[target.id] = target.publicDatabase }
    return RebuildRecords(
      keys: keys, journal: journal, sources: sources, rebuiltFrom: nil, basis: file.basis)
  }

  /// The rules over what was read, less what has failed since.
  func rules() throws(RebuildError) -> FindingRules {
    let hosts = try staged(file.hosts)
    return FindingRules(
      copies: CopyRules(
        hostCells: Dictionary(
          hosts.map { ($0.name, Set($0.cells)) }, uniquingKeysWith: { first, _ in first })),
      read: report.read, unread: Set(report.cells.map(\.state.cell)).subtracting(report.read))
  }

  typealias HostCells = [(name: ByteText, cells: [CellID])]

  /// What differs of the compute hosts, by name.
  func hostFindings(
    _ read: () throws(ProjectionError) -> HostCells, on index: IndexReader, _ rules: FindingRules
  ) throws(RebuildError) -> [Finding] {
    var owners: [ByteText: [CellID]] = [:]
    for (name, cells) in try staged(read) { owners[name] = cells }
    let mapped = try indexed { () throws(ProjectionError) in try index.hosts() }
    var rows: [ByteText: HostRow] = [:]
    for (name, row) in mapped { rows[name] = row }
    var findings: [Finding] = []
    for name in Set(owners.keys).union(rows.keys).sorted() {
      let cells = owners[name] ?? []
      let known =
        cells.count > 1 || !rules.unread.isEmpty
        ? try indexed { () throws(ProjectionError) in
          try index.conflict(of: .host(name))?.record
        } : nil
      report.take(rules.answer(onHost: name, in: cells, rows[name], known: known), &findings)
    }
    return findings
  }

  func keep(_ findings: [Finding], areBelieved: Bool) throws(RebuildError) {
    try staged { () throws(ProjectionError) in
      try file.add(findings, areBelieved: areBelieved)
    }
  }

  func staged<Value>(
    _ body: () throws(ProjectionError) -> Value
  ) throws(RebuildError) -> Value {
    do throws(ProjectionError) { return try body() } catch { throw .staging("\(error)") }
  }

  func indexed<Value>(
    _ body: () throws(ProjectionError) -> Value
  ) throws(RebuildError) -> Value {
    do throws(ProjectionError) { return try body() } catch { throw .registry(.index(error)) }
  }
}

// MARK: - The answer

extension MapReconciliation {
  /// What was found, counted.
  public func summary() throws(RebuildError) -> ReconcileReport {
    var summary = report
    summary.findings = try staged { () throws(ProjectionError) in
      try file.findingCounts().map { tally throws(ProjectionError) in
        ReconcileReport.Group(
          kind: tally.kind, cell: tally.cell, count: tally.count,
          first: try file.firstFindings(
            tally.kind, of: tally.cell, limit: ReconcileReport.firstFindings))
      }
    }
    summary.unreadable = try staged { () throws(ProjectionError) in
      try file.unreadable(limit: 100).map { $1.description(in: $0) }
    }
    return summary
  }

  /// Calls `body` with each finding that is believed: instances by UUID, then hosts by name.
  public func forEachFinding(_ body: (Finding) -> Void) throws(RebuildError) {
    try forEachChunk(areBelieved: true) { (kept) throws(RebuildError) in
      for item in kept { body(item.finding) }
    }
  }

  /// Calls `body` with the findings in their order, all that are about one thing together.
  func forEachChunk(
    areBelieved: Bool, _ body: ([ScanFile.Kept]) throws(RebuildError) -> Void
  ) throws(RebuildError) {
    var last: Int64 = 0
    while true {
      var kept = try staged { () throws(ProjectionError) in
        try file.findings(after: last, areBelieved: areBelieved, limit: Self.chunkRows)
      }
      if kept.count == Self.chunkRows, let entity = kept.last?.finding.entity {
        // There may be more about the last one.
        while kept.last?.finding.entity == entity { kept.removeLast() }
      }
      guard let end = kept.last else { return }
      last = end.number
      try body(kept)
    }
  }
}
