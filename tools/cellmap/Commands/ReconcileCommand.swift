import ArgumentParser
import Foundation
import Journal
import Projections
import Recovery
import Registry
import Router

/// `cellmap reconcile`: the map compared with the cells, and mended where that can't hurt.
struct ReconcileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reconcile", abstract: "Compares the map with the cells.",
    discussion: """
      Reads all cells at once, compares, waits, and looks at what differed a second time: what is still \
      so is a finding (exit code 1). A cell that can't be read leaves the answer incomplete (5). Nothing \
      is ever written into a cell, and nothing into the map without --apply.

      --apply mends the classes that are given: \(ReconcileCommand.mendable). It never unmaps without \
      --unmap, never clears a deletion mark, and refuses (9) what touches more than 1 % or 100 mappings \
      of a cell, and cells that look restored from a backup or empty.

      With UUIDs, only those instances are asked for, in all cells: 0 as it should be, or as you decided, \
      1 a finding, 2 unknown everywhere. With --lost, the instances are listed that the map has in a cell and the \
      cell doesn't know.
      """)

  private var apply: [FindingKind] { givenClasses.compactMap { FindingKind(rawValue: $0) } }
  /// Words, or several in one with commas between.
  private var givenClasses: [String] {
    classes.flatMap { $0.split(separator: ",").map(String.init) }
  }

  private static let mendable = FindingKind.allCases.filter(\.isMendable).map(\.rawValue)
    .joined(separator: ", ")

  @OptionGroup var store: StoreOptions
  @OptionGroup var change: PlannedChange
  @OptionGroup var base: BaseOptions
  @Argument(help: ArgumentHelp("Instances to ask all cells for.", valueName: "uuid"))
  var uuids: [String] = []
  @Option(help: "Lists what the map has in a cell, and the cell doesn't know: its name or UUID.")
  var lost: String?
  @Option(
    name: .customLong("apply"), parsing: .upToNextOption,
    help: ArgumentHelp("Mends findings of these classes.", valueName: "class"))
  var classes: [String] = []
  @Flag(help: "With --apply: shows what would be mended; the map stays as it is.") var dryRun =
    false
  @Option(
    help: ArgumentHelp(
      "How long to wait before what differs is looked at again: 0s, 90s, 5m.", valueName: "time"))
  var settle = TimeSpan(argument: "5m")!
  @Option(
    help: ArgumentHelp(
      "The most mappings of a cell that a class may touch. Default: 1 % of them, at most 100.",
      valueName: "count"))
  var limit: UInt64?
  @Flag(
    help: "Instances without a row were deleted and archived, though their cell doesn't show it.")
  var archivedByHand = false
  @Flag(help: "Takes what is deleted, and hosts that no cell has, out of the map.") var unmap =
    false
  @Flag(help: "Mends also what a cell that can't be read could make otherwise.") var provisional =
    false
  @Option(
    help: ArgumentHelp(
      "A cell that looks restored or empty, and is as it should be; may be given for several.",
      valueName: "cell"))
  var notRestored: [String] = []
  @Option(
    help: ArgumentHelp(
      "Nova's API database, whose build requests name what is being built: the address, - or @FILE.",
      valueName: "address"))
  var api: String?
  @Option(
    name: .customLong("nova-conf"),
    help: ArgumentHelp(
      "Takes that address from [api_database] instead; several files and folders, later ones win.",
      valueName: "file"))
  var novaConf: [String] = []
  @Option(help: ArgumentHelp("At most so many rows a second of each cell.", valueName: "rows"))
  var rate: Int?
  @Option(
    help: ArgumentHelp("How long a cell may take for a page.", valueName: "milliseconds"))
  var deadline = 30_000

  func validate() throws {
    guard (1...3_600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 3600000 milliseconds.")
    }
    if let rate, rate < 1 { throw ValidationError("--rate must be at least 1 row a second.") }
    let modes = [!uuids.isEmpty, lost != nil, !apply.isEmpty].filter(\.self).count
    if modes > 1 { throw ValidationError("Give UUIDs, --lost or --apply; not several of them.") }
    for name in givenClasses where FindingKind(rawValue: name)?.isMendable != true {
      let why = FindingKind(rawValue: name) == nil ? "is no class" : "is only shown"
      throw ValidationError(
        "'\(name.prefix(80))' \(why) of findings; these can be mended: \(Self.mendable).")
    }
    if apply.isEmpty, unmap || archivedByHand || provisional || dryRun || limit != nil {
      throw ValidationError(
        "--unmap, --archived-by-hand, --provisional, --limit and --dry-run go with --apply.")
    }
    if !apply.isEmpty, !dryRun { try change.requireReason() }
  }

  func run() throws {
    let ids = try uuids.map { text throws(CommandFailure) in
      guard let id = InstanceID(text) else {
        throw CommandFailure(.usage, UUIDArgument.complaint(about: text))
      }
      return id
    }
    let session = try StoreSession(store)
    if !apply.isEmpty, !dryRun, let answer = try session.earlierAnswer(to: title, change) {
      return change.report(
        answer, store, done: "Mended the map.",
        json: [
          "instances": .number(answer.finished?.instances ?? 0),
          "hosts": .number(answer.finished?.hosts ?? 0),
        ])
    }
    let trusted = try notRestored.map { text throws(CommandFailure) in
      try session.map().cell(named: text).id
    }
    let router = try session.router(
      try base.addressBase(), options: MapReconciliation.routerOptions)
    let reconciliation: MapReconciliation
    do throws(RebuildError) {
      reconciliation = try MapReconciliation(
        cells: router, journal: session.journal, keys: try keys(session),
        stagingIn: session.files.directory)
    } catch {
      throw CommandFailure(error, request: change.request)
    }
    defer { reconciliation.discard() }
    if let lost {
      try listLost(lost, reconciliation, session)
    } else if !ids.isEmpty {
      try verify(ids, reconciliation, session)
    } else {
      try compare(reconciliation, session, trusted: Set(trusted))
    }
  }

  private func keys(_ session: StoreSession) throws(RebuildError) -> KeyRing {
    do throws(KeyError) {
      return try KeyRing.open(of: session.journal)
    } catch {
      throw .registry(.keys(error))
    }
  }

  /// The command in words that are the same at each retry.
  private var title: ByteText {
    let kinds = Set(apply).map(\.rawValue).sorted().joined(separator: ", ")
    var title = "reconcile: mend \(kinds)"
    if archivedByHand { title += ", archived by hand" }
    if unmap { title += ", unmap" }
    return ByteText(title)
  }

  private var time: Duration { .milliseconds(deadline) }

  private func failing<Value>(
    _ body: () throws(RebuildError) -> Value
  ) throws(CommandFailure) -> Value {
    do throws(RebuildError) { return try body() } catch {
      Console.endProgress()
      throw CommandFailure(error, request: change.request)
    }
  }

  // MARK: All cells

  private func compare(
    _ reconciliation: MapReconciliation, _ session: StoreSession, trusted: Set<CellID>
  ) throws {
    var settings = ScanSettings()
    settings.rowsPerSecond = rate
    settings.pageTime = time
    let names = try session.map().names()
    var line = ScanProgressLine { names[$0] ?? "\($0)" }
    reconciliation.scan(settings) { line.show($0) }
    Console.endProgress()
    let first = try session.caughtUpIndex()
    try failing { () throws(RebuildError) in
      try reconciliation.compare(on: first, isForMending: !apply.isEmpty) {
        Console.progress("comparing: \($0) instances")
      }
    }
    wait(
      for: try failing { () throws(RebuildError) in
        try reconciliation.summary().foundAtFirst
      })
    let (index, position) = try snapshot(session)
    let builds = try openAPI()
    try failing { () throws(RebuildError) in
      try reconciliation.lookAgain(on: index, builds: builds, time: time) {
        Console.progress("looking again: \($0) findings")
      }
    }
    Console.endProgress()
    var mended: ReconcileOutput.Mended?
    if !apply.isEmpty {
      // Mending sees what is written meanwhile.
      try projections { () throws(ProjectionError) in try index.endSnapshot() }
      mended = try mend(reconciliation, session, index, trusted)
    }
    let report = try failing { () throws(RebuildError) in try reconciliation.summary() }
    session.close()
    let map = try session.map()
    let output = ReconcileOutput(
      report: report, mended: mended, names: try map.names(),
      openConflicts: try map.gaps().openConflicts,
      position: mended?.result?.outcome?.position ?? position, request: change.request)
    if store.json {
      try failing { () throws(RebuildError) in
        try reconciliation.forEachFinding { Console.print(output.json($0).line) }
      }
      Console.print(output.trailer.line)
    } else {
      output.print()
    }
    if let status = output.status { throw ExitCode(status.rawValue) }
  }

  /// Waits until what was between two steps is through them.
  private func wait(for found: UInt64) {
    guard found > 0 else { return }
    let end = ContinuousClock.now + settle.duration
    if settle.duration >= .seconds(5) {
      Console.remark(
        "\(found) differences; looking again in \(Int(settle.duration / .seconds(1))) seconds "
          + "(--settle), since Nova may be at work on them.")
    }
    while true {
      let left = ContinuousClock.now.duration(to: end)
      guard left > .zero else { break }
      Console.progress(
        "\(found) differences; looking again in \(Int(left / .seconds(1)) + 1) seconds")
      Thread.sleep(forTimeInterval: min(1, left / .seconds(1)))
    }
    Console.endProgress()
  }

  private func openAPI() throws(CommandFailure) -> NovaAPIDatabase? {
    if api == nil, novaConf.isEmpty { return nil }
    return try APIDatabaseChoice(address: api, novaConf: novaConf, base: base).open(change.request)
  }

  private func mend(
    _ reconciliation: MapReconciliation, _ session: StoreSession, _ index: IndexReader,
    _ trusted: Set<CellID>
  ) throws(CommandFailure) -> ReconcileOutput.Mended {
    var options = MendOptions(Set(apply))
    options.limit = limit
    options.isArchivedByHand = archivedByHand
    options.unmaps = unmap
    options.takesProvisional = provisional
    options.notRestored = trusted
    let registry = try session.writer()
    return try failing { () throws(RebuildError) in
      let plan = try reconciliation.planMend(options, on: index)
      guard !dryRun else { return ReconcileOutput.Mended(plan: plan, result: nil) }
      let result = try reconciliation.mend(
        plan, options, title: title, by: change.authorship, request: change.request, on: index,
        through: registry
      ) { Console.progress("mending: \($0) records") }
      Console.endProgress()
      return ReconcileOutput.Mended(plan: plan, result: result)
    }
  }

  // MARK: Some instances

  private func verify(
    _ ids: [InstanceID], _ reconciliation: MapReconciliation, _ session: StoreSession
  ) throws {
    let (index, position) = try snapshot(session)
    let verified = try failing { () throws(RebuildError) in
      try reconciliation.verify(ids, on: index, time: time)
    }
    let report = try failing { () throws(RebuildError) in try reconciliation.summary() }
    let output = VerificationOutput(
      verified: verified, report: report, names: try session.map().names(), position: position)
    output.print(json: store.json)
    session.close()
    if let status = output.status { throw ExitCode(status.rawValue) }
  }

  /// The map as it is now, whatever comes while cells are asked.
  private func snapshot(
    _ session: StoreSession
  ) throws(CommandFailure) -> (index: IndexReader, position: Position) {
    let index = try session.caughtUpIndex()
    return (
      index, try projections { () throws(ProjectionError) in try index.beginSnapshot() }.position
    )
  }

  private func listLost(
    _ name: String, _ reconciliation: MapReconciliation, _ session: StoreSession
  ) throws {
    let (cell, _) = try session.map().cell(named: name)
    let (index, position) = try snapshot(session)
    let counts = try failing { () throws(RebuildError) in
      try reconciliation.forEachLost(in: cell, on: index, time: time) { item in
        if store.json {
          Console.print(VerificationOutput.json(lost: item).line)
        } else {
          Console.say(VerificationOutput.line(lost: item))
        }
      }
    }
    session.close()
    if store.json {
      Console.print(
        JSONValue.object([
          "cell": .printed(cell), "mapped": .number(counts.mapped), "lost": .number(counts.lost),
          "archived": .number(counts.archived), "complete": .flag(true),
          "position": .printed(position),
        ]).line)
    } else {
      if counts.lost == 0 {
        Console.print("The cell knows every instance that the map has in it.")
      } else {
        Console.note(
          "The map has \(counts.mapped) instances in the cell; \(counts.lost) of them the cell doesn't know."
        )
      }
      AnswerPosition.say(position)
    }
    if counts.lost > 0 { throw ExitCode(ExitStatus.finding.rawValue) }
  }
}
