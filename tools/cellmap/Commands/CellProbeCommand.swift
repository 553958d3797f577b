import ArgumentParser
import Cells
import Journal
import Projections
import Recovery
import Registry
import Router

/// `cellmap cell probe`: looks at a cell before instances are let into it.
struct CellProbeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe", abstract: "Looks whether a cell is ready for instances.",
    discussion: """
      Reads the addresses, resolves their names, opens the database, checks that it is a Nova cell's \
      and this cell's, finds the compute hosts, connects to the broker, and lets each host answer a \
      ping. The versions of the services, and their last reports, stand beside those of other cells. \
      The outcome is recorded: 'cell enable' wants a passed one. Exit code 7 says that something of \
      the database is wrong, 8 something of the queue.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: PlannedChange
  @OptionGroup var base: BaseOptions
  @Argument(help: "The cell's name or UUID.") var cell: String
  @Flag(
    help: ArgumentHelp(
      "Says that the database is the cell's although it has nothing of what was recorded; wants "
        + "--reason."))
  var accept = false
  @Option(help: ArgumentHelp("How long each step may take.", valueName: "milliseconds"))
  var deadline = 5000

  func validate() throws {
    if accept { try change.requireReason() }
    guard (1...600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 600000 milliseconds.")
    }
  }

  func run() throws {
    let session = try StoreSession(store)
    let (id, label) = try session.cell(named: cell, change)
    if let answer = try earlierAnswer(of: id, session) {
      let recorded = try recorded(answer, session)
      session.close()
      RecordedProbeOutput(probe: recorded, cell: id, label: label).show(answer, change, store)
      return try end(with: recorded.findings, passed: recorded.passed)
    }
    let router = try session.router(try base.addressBase())
    let targets: [CellTarget]
    do throws(RouterError) { targets = try router.cells() } catch { throw CommandFailure(error) }
    guard let target = targets.first(where: { $0.id == id }) else {
      throw CommandFailure(Refusal.unknownCell(id))
    }
    Console.progress("probing \(target.name ?? "cell")")
    let report = CellProbe(
      of: target, through: router, limit: .milliseconds(deadline), isAccepted: accept
    ).run()
    router.closeIdleQueues()
    Console.endProgress()
    let outcome = try record(report, session)
    session.close()
    ProbeOutput(report: report).show(outcome, change, store)
    try end(with: report.findings, passed: report.passed)
  }

  private func end(with findings: [ProbeReport.Finding], passed: Bool) throws {
    guard !passed else { return }
    let failed = findings.filter { !$0.passed }.map(\.step)
    // A name or an address may be either's: what fails behind it tells.
    let telling = failed.first { $0 != .names && $0 != .addresses } ?? failed.first
    let isOfQueue = telling?.isOfQueue ?? false
    throw ExitCode((isOfQueue ? ExitStatus.queue : .cell).rawValue)
  }

  // MARK: Given again

  /// The first answer to a probe that is given again under its request id; nil if it is new.
  private func earlierAnswer(
    of id: CellID, _ session: StoreSession
  ) throws(CommandFailure) -> Outcome? {
    let map = try session.map()
    let row = try projections { () throws(ProjectionError) in try map.map.request(change.request) }
    guard row != nil else { return nil }
    // The id is taken: nothing of this is recorded, and another command's is refused.
    return try session.submit(
      .recordProbe(id, ProbeOutcome(passed: false, report: "{}"), [], accepting: accept),
      change, isByOperator: accept)
  }

  private func recorded(
    _ answer: Outcome, _ session: StoreSession
  ) throws(CommandFailure) -> RecordedProbe {
    // The probe is the last entry of its command, behind the evidence.
    guard let last = answer.entries?.upperBound else {
      preconditionFailure("a probe always takes an entry")
    }
    let event: Event?
    do throws(JournalError) { event = try session.journal.entry(at: last)?.event } catch {
      throw CommandFailure(error)
    }
    guard case .cell(_, .probed(let outcome))? = event else {
      throw CommandFailure(.integrity, "Entry \(last) is not the probe that the index says it is.")
    }
    return RecordedProbe(outcome)
  }

  private func record(
    _ report: ProbeReport, _ session: StoreSession
  ) throws(CommandFailure) -> Outcome {
    let index = try session.caughtUpIndex()
    let known: Set<UUID128>
    do throws(ProjectionError) {
      known = Set(try index.identities(of: report.cell).map(\.uuid))
    } catch {
      throw CommandFailure(error)
    }
    return try session.submit(
      .recordProbe(
        report.cell, report.outcome, report.evidence(known: known, isAccepted: accept),
        accepting: accept),
      change, isByOperator: accept)
  }
}
