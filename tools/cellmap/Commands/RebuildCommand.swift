import ArgumentParser
import Foundation
import Journal
import Projections
import Recovery
import Registry
import Router

/// `cellmap rebuild`: the map made again from the cells alone.
struct RebuildCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rebuild", abstract: "Makes the map again from the cells' own databases.",
    discussion: """
      Without a store, a new one is made. In one that is there, a new epoch is opened, once, and the map \
      is made to hold what the cells have. Nothing is ever written into a cell.

      All cells are read at once. What they can't decide between them is a conflict and stays \
      undecided: `conflicts` shows it (exit code 1). A cell that can't be read leaves the map \
      incomplete (exit code 5); give the same command again, without --cells, once it is back. A scan that was stopped \
      goes on behind the last page that it read.
      """)

  @OptionGroup var store: StoreOptions
  @OptionGroup var change: PlannedChange
  @OptionGroup var base: BaseOptions
  @Option(
    help: ArgumentHelp(
      "The cells with their addresses, as 'cell export --reveal' writes them. Without it, those of "
        + "the map.", valueName: "file"))
  var cells: String?
  @Option(
    name: .customLong("nova-conf"),
    help: ArgumentHelp(
      "The nova.conf of one cell, file or folder, which is named after it; may be given for each cell.",
      valueName: "file"))
  var novaConf: [String] = []
  @Option(
    help: ArgumentHelp(
      "cell0's database, where no file has it: itself, - for a line of standard input, or @FILE.",
      valueName: "address"))
  var cell0: String?
  @Option(
    help: ArgumentHelp(
      "An old Nova API database, as a backup: itself, - for a line of standard input, or @FILE. It says "
        + "what cells can't: cells' UUIDs and names, instances in no cell yet, missing owners.",
      valueName: "address"))
  var withOld: String?
  @Option(
    help: ArgumentHelp(
      "The highest epoch that is known of a store that was lost; the new store's is above it.",
      valueName: "epoch"))
  var epochAbove: UInt32 = 0
  @Option(help: ArgumentHelp("At most so many rows a second of each cell.", valueName: "rows"))
  var rate: Int?
  @Option(
    help: ArgumentHelp("How long a cell may take for a page.", valueName: "milliseconds"))
  var deadline = 30_000
  @Flag(
    name: .customLong("seal-projects"),
    help: "A store that is made seals projects and users of instances, as with 'init'.")
  var sealsProjects = false
  @Flag(help: "Shows what would be done; the map stays as it is.") var dryRun = false

  func validate() throws {
    if !dryRun { try change.requireReason() }
    guard (1...3_600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 3600000 milliseconds.")
    }
    if let rate, rate < 1 { throw ValidationError("--rate must be at least 1 row a second.") }
  }

  /// What a request id stands for: with an old database it is another rebuild.
  private var title: ByteText { withOld == nil ? "rebuild" : "rebuild with an old database" }
  private static let censusTime = Duration.seconds(60)

  func run() throws {
    let old = try openOld()
    var given = try givenCells()
    if let old { given = try OldCells(old, try base.addressBase()).complete(given, in: store) }
    let place = try RebuildPlace(
      store, given, isTrial: dryRun, epochAbove: epochAbove,
      sealsProjects: sealsProjects, change)
    defer { place.end() }
    let session = place.session
    if !dryRun, let answer = try session.earlierAnswer(to: title, change) {
      MapRebuild.discardEndedScans(in: place.staging) { hasEnded($0, session) }
      return try repeated(answer, session)
    }
    let cells = try RebuildCells(given, session, change)
    CellNames.add(cells.names(beside: [:]))
    if !store.json {
      cells.print(cells.names(beside: try session.map().names()), isDryRun: dryRun)
    }
    if place.takesCells {
      try cells.apply(session, change, by: place.authorship, title: title)
    }
    let rebuild = try open(session, old, cells.observations, in: place.staging)
    let shownNames = cells.names(beside: try session.map().names())
    var line = ScanProgressLine { shownNames[$0] ?? "\($0)" }
    rebuild.scan(settings) { line.show($0) }
    Console.endProgress()
    let (plan, outcome) = try work(rebuild, session)
    rebuild.discardScan()
    session.close()
    let output = RebuildOutput(
      plan: plan, outcome: outcome, cells: cells,
      names: cells.names(beside: try session.map().names()), isDryRun: dryRun,
      position: place.isThrownAway ? nil : outcome?.position ?? plan.position)
    if store.json {
      Console.print(output.json(request: change.request).line)
    } else {
      output.print()
    }
    if !plan.isComplete { throw ExitCode(ExitStatus.partial.rawValue) }
    if plan.hasFindings { throw ExitCode(ExitStatus.finding.rawValue) }
  }

  private var settings: ScanSettings {
    var settings = ScanSettings()
    settings.rowsPerSecond = rate
    settings.pageTime = .milliseconds(deadline)
    return settings
  }

  private func openOld() throws(CommandFailure) -> OldMap? {
    guard let withOld else { return nil }
    let database = try APIDatabaseChoice(address: withOld, novaConf: [], base: base)
      .open(change.request)
    do throws(AdoptionError) { return try OldMap(database) } catch {
      throw CommandFailure(error, request: change.request)
    }
  }

  // MARK: Cells

  private func givenCells() throws(CommandFailure) -> [GivenCell] {
    var given = try cells.map { path throws(CommandFailure) in try CellsFile.read(path) } ?? []
    for path in novaConf {
      let configuration = try NovaFiles.read([path])
      var draft = AddressDraft()
      if let text = configuration.database {
        draft.database = try AddressArgument.given(text, of: .database)
      }
      guard draft.database != nil else {
        throw CommandFailure(.usage, "'\(path)' has no [database]connection.")
      }
      if let text = configuration.transportURL {
        draft.queue = try AddressArgument.given(text, of: .queue)
      }
      let options = configuration.connectionOptions
      if options != .none { draft.options = options.canonicalText }
      let name = URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent
      given.append(GivenCell(name: ByteText(name), addresses: draft))
    }
    if let cell0 {
      var draft = AddressDraft()
      draft.database = try AddressArgument.given(cell0, of: .database)
      var cell = GivenCell(name: "cell0", addresses: draft)
      cell.id = .cell0
      given.append(cell)
    }
    return given
  }

  // MARK: Work

  private func open(
    _ session: StoreSession, _ old: OldMap?, _ cells: [Observation], in folder: String
  ) throws(CommandFailure) -> MapRebuild {
    let router = try session.router(try base.addressBase())
    let keys = try session.keys()
    do throws(RebuildError) {
      return try MapRebuild(
        cells: router, journal: session.journal, keys: keys, stagingIn: folder,
        trying: dryRun ? cells : nil, old: old
      ) { hasEnded($0, session) }
    } catch {
      throw CommandFailure(error, request: change.request)
    }
  }

  /// Whether a request has come to its end by now; one of which nothing can be said has not.
  private func hasEnded(_ request: RequestID, _ session: StoreSession) -> Bool {
    guard let map = try? session.map().map else { return false }
    return (try? map.request(request))?.finished != nil
  }

  /// Repeats an answer. What it left open is told as the map has it now.
  private func repeated(_ answer: Outcome, _ session: StoreSession) throws {
    let gaps = try session.map().gaps()
    let isComplete = gaps.uncoveredCells.isEmpty
    change.report(
      answer, store, done: "Rebuilt the map.",
      json: gaps.json.merging(["instances": .number(answer.finished?.instances ?? 0)]) { $1 })
    if !store.json {
      gaps.warn(whatIsMappedIs: "counted")
      if !isComplete {
        Console.note(
          "cellmap: Give the command under another --request-id, or without one, to read them.")
      }
    }
    if !isComplete { throw ExitCode(ExitStatus.partial.rawValue) }
    if gaps.openConflicts > 0 { throw ExitCode(ExitStatus.finding.rawValue) }
  }

  private func work(
    _ rebuild: MapRebuild, _ session: StoreSession
  ) throws(CommandFailure) -> (RebuildPlan, Outcome?) {
    let index = try session.caughtUpIndex()
    let registry = try session.writer()
    do throws(RebuildError) {
      let result: (plan: RebuildPlan, outcome: Outcome?)
      if dryRun {
        let head = session.journal.head.position
        let plan = try rebuild.plan(on: index, head: head) {
          Console.progress("comparing: \($0) instances")
        }
        result = (plan, nil)
      } else {
        result = try rebuild.apply(
          title: title, by: change.authorship, request: change.request, on: index,
          through: registry
        ) { Console.progress("writing: \($0) instances") }
      }
      Console.progress("counting what the cells have of Nova's global tables")
      var (plan, outcome) = result
      plan.census = rebuild.census(time: Self.censusTime)
      Console.endProgress()
      return (plan, outcome)
    } catch {
      throw CommandFailure(error, request: change.request)
    }
  }
}
