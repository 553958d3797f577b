import ArgumentParser
import Cells
import Journal
import Projections
import Recovery
import Registry
import Router

/// `cellmap host discover`: maps the compute hosts that cells have and the map has not.
struct HostDiscoverCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "discover", abstract: "Maps the compute hosts that the cells have.",
    discussion: """
      All cells are asked at once. A host is found by its compute nodes or its nova-compute service, \
      whatever Nova's 'mapped' flag says. One that several cells have, or that is mapped to another \
      cell, is named with the cells and left as it is (exit code 1); cells that can't be read are named \
      too (exit code 5).
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: PlannedChange
  @OptionGroup var base: BaseOptions
  @Option(help: "Asks one cell only: its name or UUID.") var cell: String?
  @Flag(help: "Shows what would be mapped; nothing is written.") var dryRun = false
  @Option(help: ArgumentHelp("How long a cell may take to answer.", valueName: "milliseconds"))
  var deadline = 5000

  func validate() throws {
    if !dryRun { try change.requireReason() }
    guard (1...600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 600000 milliseconds.")
    }
  }

  func run() throws {
    let session = try StoreSession(store)
    var only: CellID?
    if let cell { only = try session.cell(named: cell, change).id }
    let title = HostDiscovery.title(of: only)
    if !dryRun, let answer = try session.earlierAnswer(to: title, change) {
      return change.report(
        answer, store, done: "Discovered hosts.",
        json: ["mapped": .number(answer.finished?.hosts ?? 0)])
    }
    let index = try session.caughtUpIndex()
    var discovery = try plan(of: only, on: index, session)
    if only != nil, discovery.answered.isEmpty, discovery.failed.isEmpty {
      Console.remark(
        only == .cell0
          ? "cell0 has no hosts, so it is not asked."
          : "A cell that is being removed gets no hosts, so it is not asked.")
    }
    let outcome = dryRun ? nil : try apply(&discovery, title, on: index, session)
    session.close()
    try report(discovery, outcome, session)
    let status: ExitStatus? =
      !discovery.failed.isEmpty
      ? .partial : (discovery.clashes.isEmpty && discovery.problems.isEmpty ? nil : .finding)
    if let status { throw ExitCode(status.rawValue) }
  }

  private func plan(
    of only: CellID?, on index: IndexReader, _ session: StoreSession
  ) throws(CommandFailure) -> HostDiscovery {
    let basis = session.journal.head.position
    let router = try session.router(try base.addressBase())
    let cells: [CellHosts]
    do throws(RouterError) {
      cells = try router.computeHosts(of: only, until: .now + .milliseconds(deadline))
    } catch {
      throw CommandFailure(error)
    }
    let keys = try session.keys()
    do throws(RegistryError) {
      return try HostDiscovery(of: cells, on: index, basis: basis, keys: keys)
    } catch {
      throw CommandFailure(error)
    }
  }

  private func apply(
    _ discovery: inout HostDiscovery, _ title: ByteText, on index: IndexReader,
    _ session: StoreSession
  ) throws(CommandFailure) -> Outcome? {
    let registry = try session.writer()
    do throws(RegistryError) {
      return try discovery.apply(
        title: title, by: change.authorship, request: change.request, on: index,
        through: registry)
    } catch {
      throw CommandFailure(error, request: change.request)
    }
  }

  // MARK: Output

  private func report(
    _ discovery: HostDiscovery, _ outcome: Outcome?, _ session: StoreSession
  ) throws(CommandFailure) {
    let names = Dictionary(
      uniqueKeysWithValues: try session.map().cells().map { ($0.id, $0.row.record.name) })
    func name(_ cell: CellID) -> String { names[cell]??.string ?? cell.description }
    if store.json { return Console.print(json(discovery, outcome).line) }
    var table = Table("HOST", "CELL", "")
    for (host, cell) in discovery.new {
      table.add(host.string, name(cell), dryRun ? "would be mapped" : "mapped")
    }
    for problem in discovery.problems {
      table.add(
        problem.host.string, name(problem.cell), CellNames.spoken("REFUSED: \(problem.why)"))
    }
    for clash in discovery.clashes {
      let others = clash.cells.map(name).joined(separator: ", ")
      let kept = clash.mapped.map { "stays in \(name($0))" } ?? "mapped to none"
      table.add(clash.host.string, others, "CLASH: \(kept)")
    }
    table.print(
      empty: "No new hosts; \(discovery.knownCount) are mapped as their cells have them.")
    for (_, why) in discovery.failed.sorted(by: { $0.key < $1.key }) {
      Console.remark("\(why)")
    }
    if let outcome {
      Console.say("Mapped \(outcome.finished?.hosts ?? 0) hosts. Position \(outcome.position).")
    } else {
      Console.print(dryRun ? "A dry run: nothing was written." : "Nothing to change.")
      AnswerPosition.say(discovery.basis)
    }
  }

  private func json(
    _ discovery: HostDiscovery, _ outcome: Outcome?
  ) -> JSONValue {
    .object([
      "new": .list(
        discovery.new.map { .object(["host": .printed($0.host), "cell": .printed($0.cell)]) }),
      "known": .number(discovery.knownCount),
      "clashes": .list(
        discovery.clashes.map { clash in
          .object([
            "host": .printed(clash.host), "cells": .list(clash.cells.map { .printed($0) }),
            "mapped": .printed(clash.mapped),
          ])
        }),
      "problems": .list(
        discovery.problems.map { problem in
          .object([
            "host": .printed(problem.host), "cell": .printed(problem.cell),
            "error": .text(CellNames.spoken("\(problem.why)")),
          ])
        }),
      "cells": .list(
        discovery.answered.sorted().map {
          .object(["cell": .printed($0), "answered": .flag(true)])
        }
          + discovery.failed.sorted { $0.key < $1.key }.map {
            .object([
              "cell": .printed($0.key), "answered": .flag(false),
              "error": .text(CellNames.spoken("\($0.value)")),
            ])
          }),
      "complete": .flag(discovery.failed.isEmpty), "dry_run": .flag(dryRun),
      "changed": .flag(outcome != nil), "repeated": .flag(false),
      "entries": outcome?.entries.map {
        .list([.number($0.lowerBound), .number($0.upperBound)])
      } ?? .null,
      "position": .printed(outcome?.position ?? discovery.basis),
      "request": .printed(change.request),
    ])
  }
}
