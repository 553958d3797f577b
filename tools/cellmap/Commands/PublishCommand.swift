import ArgumentParser
import Cells
import Glibc
import Journal
import Projections
import Recovery
import Registry
import Router

/// `cellmap publish`: the map, written into a Nova API database.
struct PublishCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "publish", abstract: "Writes the map into a Nova API database.",
    discussion: """
      Writes only rows of cell_mappings, host_mappings and instance_mappings that differ from the map, \
      each only if it is still as it was seen; rows that the map doesn't have stay. Beside a running \
      Nova, what the database learned later than the map stays too; --nova-stopped lets the map win, \
      and is refused if Nova is seen to run.

      --request-specs, --flavors and --keypairs read the cells, too, and add the rows that the database \
      lacks; what is there stays as it is. A cell that can't be read leaves its part out (exit code 5): \
      give the same command again.
      """)

  @OptionGroup var store: StoreOptions
  @OptionGroup var change: PlannedChange
  @OptionGroup var base: BaseOptions
  @OptionGroup var database: APIDatabaseOptions
  @Flag(help: "Nothing else writes the database: Nova's services are stopped.")
  var novaStopped = false
  @Option(
    help: ArgumentHelp(
      "With --nova-stopped: how long the database is watched for changes first.",
      valueName: "seconds"))
  var settle = 5
  @Option(
    help: ArgumentHelp(
      "How long the API database may take for a page of rows, or for a transaction.",
      valueName: "milliseconds"))
  var deadline = 60_000
  @Flag(help: "Adds a request spec for each instance that has none, made of what its cell has.")
  var requestSpecs = false
  @Flag(help: "Adds the flavors that instances have and the database hasn't.") var flavors = false
  @Flag(help: "Adds the key pairs that instances have and the database hasn't.") var keypairs =
    false
  @Flag(help: "Shows what would change; nothing is written.") var dryRun = false
  @Option(
    name: .customLong("emit-sql"),
    help: ArgumentHelp(
      "Writes the statements into a file instead of running them, and their inverse into FILE.undo; "
        + "mode 0600.", valueName: "file"))
  var script: String?
  @Flag(help: "With --emit-sql: also cells' addresses, secrets and all.") var reveal = false

  func validate() throws {
    guard (1...600).contains(settle) else {
      throw ValidationError("--settle must be 1 to 600 seconds.")
    }
    guard (1...3_600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 3600000 milliseconds.")
    }
    guard script == nil || !dryRun else {
      throw ValidationError("Give --dry-run or --emit-sql, not both.")
    }
    guard script != nil || !reveal else { throw ValidationError("--reveal goes with --emit-sql.") }
    if writes { try change.requireReason() }
  }

  private var writes: Bool { !dryRun && script == nil }

  private var globals: GlobalTables {
    var tables: GlobalTables = []
    if requestSpecs { tables.insert(.requestSpecs) }
    if flavors { tables.insert(.flavors) }
    if keypairs { tables.insert(.keyPairs) }
    return tables
  }

  func run() throws {
    // Not only by the registry, which is asked once the rows are written.
    if writes {
      do throws(Refusal) { try change.authorship.check(isByOperator: true) } catch {
        throw CommandFailure(error)
      }
    }
    for file in [script, script.map { $0 + ".undo" }] {
      guard let file, access(file, F_OK) == 0 else { continue }
      throw CommandFailure(
        .refused, "'\(file)' is there, and may be the only inverse of what was done. Name another.")
    }
    let session = try StoreSession(store)
    let target = try openTarget()
    let options = PublicationOptions(
      authorship: change.authorship, request: change.request, isNovaStopped: novaStopped,
      isRetry: writes && change.trace.requestID != nil, globals: globals)
    if writes, let answer = try session.earlierAnswer(to: options.title(of: target), change) {
      return change.report(
        answer, store, done: "Published to \(target.publicForm).",
        json: [
          "database": .printed(target.publicForm),
          "finished": answer.finished.map { PublishOutput.json($0) } ?? .null,
        ])
    }
    if writes { try requireWritable(target) }
    let index = try session.caughtUpIndex()
    let gaps = try session.map().gaps()
    gaps.warn(whatIsMappedIs: "published")
    let registry = try session.writer()
    do throws(ProjectionError) { try index.beginSnapshot() } catch { throw CommandFailure(error) }
    let addressBase = try database.choice(base).addressBase()
    let router =
      !globals.isEmpty || (writes && novaStopped) ? try session.router(addressBase) : nil
    let publication = MapPublication(
      of: index, journal: session.journal,
      history: novaStopped ? nil : try session.history(), keys: try session.keys(), into: target,
      options: options, globals: try router.flatMap { try source($0, session) })
    let cells = writes && novaStopped ? router.map { LiveCells($0, addressBase) } : nil
    let (plan, outcome) = try work(publication, cells, registry)
    session.close()
    let output = PublishOutput(
      database: target.publicForm, plan: plan, globals: globals, outcome: outcome,
      isDryRun: dryRun, script: script, gaps: gaps, names: try session.map().names())
    if store.json { Console.print(output.json(change.request).line) } else { output.print() }
    if plan.leftCount > 0 || !plan.unreadCells.isEmpty {
      throw ExitCode(ExitStatus.partial.rawValue)
    }
  }

  private func openTarget() throws(CommandFailure) -> PublicationTarget {
    let address = try database.choice(base).databaseAddress()
    do throws(PublicationError) {
      return try PublicationTarget(
        address, relativeTo: base.folder, globals: globals, isReadOnly: !writes,
        patience: .milliseconds(deadline))
    } catch {
      throw CommandFailure(error, request: change.request)
    }
  }

  private func requireWritable(_ target: PublicationTarget) throws(CommandFailure) {
    do throws(PublicationError) { try target.requireWritable() } catch {
      throw CommandFailure(error, request: change.request)
    }
  }

  private static func line(_ verb: String, _ plan: PublicationPlan) -> String {
    let specs = plan.requestSpecs.same + plan.requestSpecs.written
    return "\(verb): \(plan.instances.found + plan.instances.added) instances, "
      + "\(plan.instances.written) to write"
      + (specs > 0 ? ", \(specs) request specs" : "")
  }

  private func source(
    _ router: CellRouter, _ session: StoreSession
  ) throws(CommandFailure) -> GlobalSource? {
    guard !globals.isEmpty else { return nil }
    do throws(PublicationError) {
      return try GlobalSource(router, stagingIn: session.files.directory)
    } catch {
      throw CommandFailure(error, request: change.request)
    }
  }

  private func work(
    _ publication: MapPublication, _ cells: LiveCells?, _ registry: MapRegistry
  ) throws(CommandFailure) -> (PublicationPlan, Outcome?) {
    defer { Console.endProgress() }
    do throws(PublicationError) {
      if let cells {
        try publication.requireStopped(pause: .seconds(settle)) { () throws(CellWitnessError) in
          do throws(CellUnavailable) {
            return try cells.ask(.cell0) { (connection) throws(CellError) in
              try connection.latestHeartbeat(of: StoppedNova.binaries)
            }
          } catch {
            throw CellWitnessError(error.description)
          }
        }
      }
      let plan = try publication.plan { Console.progress(Self.line("comparing", $0)) }
      if dryRun { return (plan, nil) }
      if let script {
        let written = try publication.writeScript(plan, to: script, revealing: reveal) {
          Console.progress(Self.line("writing statements", $0))
        }
        return (written, nil)
      }
      let result = try publication.apply(plan, through: registry) {
        Console.progress(Self.line("publishing", $0))
      }
      return (result.done, result.outcome)
    } catch {
      throw CommandFailure(error, request: change.request)
    }
  }
}
