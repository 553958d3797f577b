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
      Without a store, a new one is made. In one that is there, a new epoch is opened, and the map is \
      made to hold what the cells have. Nothing is ever written into a cell.

      All cells are read at once. What they can't decide between them is a conflict and stays \
      undecided: `conflicts` shows it (exit code 1). A cell that can't be read leaves the map \
      incomplete (exit code 5); give the same command again once it is back. A scan that was stopped \
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
  @Flag(help: "Shows what would be done; the map stays as it is.") var dryRun = false

  func validate() throws {
    guard (1...3_600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 3600000 milliseconds.")
    }
    if let rate, rate < 1 { throw ValidationError("--rate must be at least 1 row a second.") }
  }

  private static let title: ByteText = "rebuild"
  private static let censusTime = Duration.seconds(60)

  func run() throws {
    if !dryRun { try change.requireReason() }
    let old = try openOld()
    var given = try givenCells()
    if let old { given = try OldCells(old, try base.addressBase()).complete(given, in: store) }
    let place = try RebuildPlace(store, given, isTrial: dryRun, epochAbove: epochAbove, change)
    defer { place.end() }
    let session = place.session
    if !dryRun, let answer = try session.earlierAnswer(to: Self.title, change) {
      return change.report(
        answer, store, done: "Rebuilt the map.",
        json: ["instances": .number(answer.finished?.instances ?? 0)])
    }
    let made = place.takesCells ? try take(given, session, by: place.authorship) : []
    let rebuild = try open(session, old, in: place.staging)
    rebuild.scan(settings) { Console.progress(Self.line($0)) }
    Console.endProgress()
    let (plan, outcome) = try work(rebuild, session)
    rebuild.discardScan()
    session.close()
    let output = RebuildOutput(
      plan: plan, outcome: outcome, names: try session.map().names(), isDryRun: dryRun,
      madeCells: made)
    if store.json {
      Console.print(output.json(request: change.request, at: session.journal.head.position).line)
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

  private static func line(_ states: [CellScanState]) -> String {
    "reading: \(states.reduce(0) { $0 + $1.rows }) instances, "
      + "\(states.filter { $0.isFinished || $0.failure != nil }.count) of \(states.count) cells done"
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

  /// Makes the map hold the cells as they are given; those that aren't stay.
  ///
  /// - Returns: The cells that nobody had a UUID for, with the new ones.
  private func take(
    _ given: [GivenCell], _ session: StoreSession, by authorship: Authorship
  ) throws(CommandFailure) -> [CellID] {
    guard !given.isEmpty else { return [] }
    var made: [CellID] = []
    let known = try session.map()
    let (keys, basis) = (try session.keys(), session.journal.head.position)
    var observations: [Observation] = []
    for cell in given {
      let (id, isNew) = try id(of: cell, in: known)
      if isNew { made.append(id) }
      let before = try known.cell(id)?.record
      let draft = CellDraft(
        name: cell.name ?? before?.name, addresses: cell.addresses,
        disabled: cell.disabled ?? (before == nil ? false : before?.disabled),
        row: before?.row ?? cell.old?.novaRow ?? .unknown)
      observations.append(
        Observation(.cell(id, draft), evidence: cell.old?.evidence(keys: keys, basis: basis)))
    }
    let names = observations.map { $0.entity.description }.sorted()
    var command = change.command(.take(observations))
    command.authorship = authorship
    command.bulk = BulkMark(
      title: Self.title,
      chunk: KeyRange(
        kind: .cell, first: ByteText(names.first ?? ""), last: ByteText(names.last ?? "")))
    let registry = try session.writer()
    do throws(RegistryError) { _ = try registry.submit(command) } catch {
      throw CommandFailure(error, request: change.request)
    }
    return made
  }

  /// The UUID of a cell that was given, and whether it was made up for it.
  private func id(
    of cell: GivenCell, in map: MapReading
  ) throws(CommandFailure) -> (CellID, isNew: Bool) {
    if let id = cell.id, cell.old == nil { return (id, false) }
    let named = try map.cells().filter { $0.row.record.name == cell.name }
    guard named.count <= 1 else {
      throw CommandFailure(
        .refused, "\(named.count) cells are named \(cell.name?.string ?? "nothing"). Give UUIDs.")
    }
    if let id = named.first?.id ?? cell.id { return (id, false) }
    return (CellID(.random()), true)
  }

  // MARK: Work

  private func open(
    _ session: StoreSession, _ old: OldMap?, in folder: String
  ) throws(CommandFailure) -> MapRebuild {
    let router = try session.router(try base.addressBase())
    let keys = try session.keys()
    do throws(RebuildError) {
      return try MapRebuild(
        cells: router, journal: session.journal, keys: keys, stagingIn: folder,
        isTrial: dryRun, old: old)
    } catch {
      throw CommandFailure(error, request: change.request)
    }
  }

  private func work(
    _ rebuild: MapRebuild, _ session: StoreSession
  ) throws(CommandFailure) -> (RebuildPlan, Outcome?) {
    let index = try session.caughtUpIndex()
    let registry = try session.writer()
    do throws(RebuildError) {
      var plan = try rebuild.plan(on: index, head: session.journal.head.position) {
        if $0 % 1000 == 0 { Console.progress("comparing: \($0) instances") }
      }
      Console.progress("counting what the cells have of Nova's global tables")
      plan.census = rebuild.census(time: Self.censusTime)
      guard !dryRun else { return (plan, nil) }
      let outcome = try rebuild.apply(
        &plan, title: Self.title, by: change.authorship, request: change.request, on: index,
        through: registry
      ) { Console.progress("writing: \($0) rows") }
      Console.endProgress()
      return (plan, outcome)
    } catch {
      throw CommandFailure(error, request: change.request)
    }
  }
}

/// Where a rebuild works: the store, a new one, or for a trial without a store one that is thrown away.
private struct RebuildPlace {
  let session: StoreSession
  let staging: String
  /// The cells that were given are put into the map first.
  let takesCells: Bool
  let authorship: Authorship
  private let scratch: String?

  init(
    _ options: StoreOptions, _ given: [GivenCell], isTrial: Bool, epochAbove: UInt32,
    _ change: some ChangeOptions
  ) throws {
    // A trial store of its own wants a reason too.
    authorship =
      isTrial ? Caller.authorship(reason: "dry run", correlation: nil) : change.authorship
    let isThere = FileManager.default.fileExists(atPath: StoreFiles(options.folder).journal)
    if isThere {
      session = try StoreSession(options)
      staging = session.files.directory
      takesCells = !isTrial
      scratch = nil
      if isTrial, !given.isEmpty {
        Console.note("cellmap: A dry run reads the cells under the addresses that the map has.")
      }
      return
    }
    guard !given.isEmpty else {
      throw CommandFailure(
        .usage, "There is no store at '\(options.folder)'. Give the cells with --cells FILE.")
    }
    let folder =
      isTrial
      ? FileManager.default.temporaryDirectory.path + "/cellmap-trial-\(UUID128.random())"
      : options.folder
    scratch = isTrial ? folder : nil
    let cell0 = given.first { $0.id == .cell0 }?.addresses.database
    do throws(RegistryError) {
      _ = try StoreCreation.create(
        in: folder, cell0: cell0,
        by: authorship,
        opening: StoreCreation.Opening(.rebuilt, epoch: epochAbove + 1))
    } catch {
      throw CommandFailure(error)
    }
    session = try StoreSession(try StoreOptions.parse(["--store", folder]))
    staging = session.files.directory
    takesCells = true
  }

  func end() {
    if let scratch { try? FileManager.default.removeItem(atPath: scratch) }
  }
}
