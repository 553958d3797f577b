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
    guard script == nil || !dryRun else {
      throw ValidationError("Give --dry-run or --emit-sql, not both.")
    }
    guard script != nil || !reveal else { throw ValidationError("--reveal goes with --emit-sql.") }
  }

  private var writes: Bool { !dryRun && script == nil }

  func run() throws {
    // Not only by the registry, which is asked once the rows are written.
    if writes {
      try change.requireReason()
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
      isRetry: writes && change.trace.requestID != nil)
    if writes, let answer = try session.earlierAnswer(to: options.title(of: target), change) {
      return change.report(
        answer, store, done: "Published to \(target.publicForm).",
        json: [
          "database": .printed(target.publicForm),
          "finished": answer.finished.map { PublishOutput.json($0) } ?? .null,
        ])
    }
    let index = try session.caughtUpIndex()
    let registry = try session.writer()
    do throws(ProjectionError) { try index.beginSnapshot() } catch { throw CommandFailure(error) }
    let publication = MapPublication(
      of: index, journal: session.journal, keys: try session.keys(), into: target,
      options: options)
    let (plan, outcome) = try work(publication, session, registry)
    session.close()
    let output = PublishOutput(
      database: target.publicForm, plan: plan, outcome: outcome, isDryRun: dryRun, script: script)
    if store.json { Console.print(output.json(change.request).line) } else { output.print() }
    if plan.leftCount > 0 { throw ExitCode(ExitStatus.partial.rawValue) }
  }

  private func openTarget() throws(CommandFailure) -> PublicationTarget {
    let address = try database.choice(base).databaseAddress()
    do throws(PublicationError) {
      return try PublicationTarget(address, relativeTo: base.folder)
    } catch {
      throw CommandFailure(error, request: change.request)
    }
  }

  private func work(
    _ publication: MapPublication, _ session: StoreSession, _ registry: MapRegistry
  ) throws(CommandFailure) -> (PublicationPlan, Outcome?) {
    defer { Console.endProgress() }
    let addressBase = try database.choice(base).addressBase()
    let cells =
      writes && novaStopped ? LiveCells(try session.router(addressBase), addressBase) : nil
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
      let plan = try publication.plan { Console.progress("comparing: \($0.instances.found) rows") }
      if dryRun { return (plan, nil) }
      if let script {
        let written = try publication.writeScript(plan, to: script, revealing: reveal) {
          Console.progress("writing statements: \($0.instances.written) instances")
        }
        return (written, nil)
      }
      let result = try publication.apply(plan, through: registry) {
        Console.progress("publishing: \($0.instances.written) instances")
      }
      return (result.done, result.outcome)
    } catch {
      throw CommandFailure(error, request: change.request)
    }
  }
}
