import ArgumentParser
import Journal
import Projections
import Recovery
import Registry
import Router

/// `cellmap adopt`: the map of a Nova API database, taken over.
struct AdoptCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "adopt", abstract: "Takes over the map of a Nova API database.",
    discussion: """
      Reads cell_mappings, host_mappings and instance_mappings in one snapshot and makes the map equal \
      to them; run again, it appends only what has changed. Cells that can be read are read for the \
      evidence of their identity and for where instances run. Nothing is written into Nova.

      With --follow it goes on beside a live Nova: what has changed since the last reading is recorded \
      as observed, with the interval in which it happened, and what is gone is taken out of the map.
      """)

  @OptionGroup var store: StoreOptions
  @OptionGroup var change: PlannedChange
  @OptionGroup var base: BaseOptions
  @OptionGroup var api: APIDatabaseOptions
  @Flag(help: "Shows what would change; nothing is written.") var dryRun = false
  @Flag(help: "Passes over rows that the map can't hold.") var skipInvalid = false
  @Flag(help: "Takes out of the map what the API database doesn't have.") var prune = false
  @OptionGroup var following: FollowOptions

  private var database: APIDatabaseChoice { api.choice(base) }

  func validate() throws {
    if !dryRun, !following.follow { try change.requireReason() }
    if following.follow {
      guard !dryRun, !skipInvalid, !prune, change.trace.requestID == nil,
        change.trace.correlation == nil
      else {
        throw ValidationError(
          "--follow passes over bad rows and takes out what is gone; it takes no --dry-run, "
            + "--skip-invalid, --prune, --request-id or --correlation.")
      }
    }
  }

  func run() throws {
    if following.follow {
      return try AdoptFollowing(
        session: StoreSession(store), choice: database, reason: change.reason, options: following,
        json: store.json
      ).run()
    }
    let session = try StoreSession(store)
    // Before the snapshot: what is decided from here on may be newer than Nova's rows, and stands.
    let basis = session.journal.head.position
    let source = try database.open(change.request)
    let options = AdoptionOptions(
      authorship: change.authorship, request: change.request, basis: basis,
      skipsInvalid: skipInvalid,
      prunes: prune)
    if !dryRun, let answer = try session.earlierAnswer(to: options.title(of: source), change) {
      return change.report(
        answer, store, done: "Adopted \(source.publicForm).",
        json: ["source": .printed(source.publicForm), "finished": counts(answer.finished)])
    }
    let base = try database.addressBase()
    let adoption = MapAdoption(
      source: source, witness: LiveCells(try session.router(base), base),
      keys: try session.keys(),
      options: options)
    let (plan, outcome) = try work(adoption, session)
    session.close()
    report(plan, outcome, source)
    if dryRun, let refusal = plan.refusal(pruning: prune) {
      throw CommandFailure(refusal, request: change.request)
    }
    if dryRun, plan.problemCount > 0 { throw ExitCode(ExitStatus.finding.rawValue) }
  }

  private func work(
    _ adoption: MapAdoption<LiveCells>, _ session: StoreSession
  ) throws(CommandFailure) -> (AdoptionPlan, Outcome?) {
    let index = try session.caughtUpIndex()
    let registry = try session.writer()
    do throws(AdoptionError) {
      var plan = try adoption.plan(on: index, head: session.journal.head.position) {
        Console.progress("comparing: \($0.instances.total) instances")
      }
      guard !dryRun else {
        try adoption.look(at: &plan)
        return (plan, nil)
      }
      let outcome = try adoption.apply(&plan, on: index, through: registry) {
        Console.progress("adopting: \($0) rows")
      }
      Console.endProgress()
      return (plan, outcome)
    } catch {
      throw CommandFailure(error, request: change.request)
    }
  }

  // MARK: Output

  private func counts(_ counts: ChangeCounts?) -> JSONValue {
    guard let counts else { return .null }
    return .object([
      "cells": .number(counts.cells), "hosts": .number(counts.hosts),
      "instances": .number(counts.instances),
    ])
  }

  private func report(
    _ plan: AdoptionPlan, _ outcome: Outcome?, _ source: NovaAPIDatabase
  ) {
    if store.json { return Console.print(json(plan, outcome, source).line) }
    var table = Table("RECORDS", "ROWS", "NEW", "CHANGED", "AS IN THE MAP", "ONLY IN THE MAP")
    for (name, count) in [
      ("cells", plan.cells), ("hosts", plan.hosts), ("instances", plan.instances),
    ] {
      table.add(
        name, "\(count.total)", "\(count.added)", "\(count.changed)", "\(count.same)",
        "\(count.surplus)")
    }
    table.print(empty: "")
    if plan.markers > 0 {
      Console.print("Passed over \(plan.markers) of Nova's own marker rows, which map nothing.")
    }
    for (old, new) in plan.replacedCells.sorted(by: { $0.key < $1.key }) {
      Console.print("Cell \(new) has the database of cell \(old), and takes its place.")
    }
    if plan.overtaken > 0 {
      Console.remark(
        "\(plan.overtaken) records were changed in the map since Nova's were read; they stay. "
          + "Adopt again to compare them.")
    }
    OwnersLeft.say(plan.ownersLeft)
    for (cell, isCovered) in plan.coverage.sorted(by: { $0.key < $1.key }) where !isCovered {
      Console.remark(
        "The coverage of cell \(cell) is incomplete now: rows of it are passed over.")
    }
    if let first = plan.firstUnreadTime {
      Console.remark(
        "\(plan.unreadTimes) rows have a created_at that is no time, first \(first); the map keeps "
          + "it as unknown.")
    }
    for problem in plan.problems { Console.remark(problem) }
    for (_, reason) in plan.unidentified.sorted(by: { $0.key < $1.key }) {
      Console.remark(
        "\(reason) What it would tell of its identity and its instances' hosts is left out.")
    }
    if !plan.identified.isEmpty {
      Console.print(
        dryRun
          ? "\(plan.identified.count) cells can be read for the evidence of their identity."
          : "Read \(plan.identified.count) cells for the evidence of their identity and where "
            + "instances run."
      )
    }
    if let outcome {
      Console.say("Adopted \(source.publicForm). Position \(outcome.position).")
    } else {
      Console.print(dryRun ? "A dry run: nothing was written." : "Nothing to change.")
      AnswerPosition.say(plan.position)
    }
  }

  private func json(
    _ plan: AdoptionPlan, _ outcome: Outcome?, _ source: NovaAPIDatabase
  ) -> JSONValue {
    func object(_ count: AdoptionPlan.Count) -> JSONValue {
      .object([
        "rows": .number(count.total), "new": .number(count.added),
        "changed": .number(count.changed), "same": .number(count.same),
        "surplus": .number(count.surplus),
      ])
    }
    return .object([
      "source": .text(source.publicForm.string), "dry_run": .flag(dryRun),
      "cells": object(plan.cells), "hosts": object(plan.hosts),
      "instances": object(plan.instances), "markers": .number(plan.markers),
      "unread_times": .number(plan.unreadTimes),
      "overtaken": .number(plan.overtaken), "owners_left": .number(plan.ownersLeft),
      "coverage": .object(
        Dictionary(
          uniqueKeysWithValues: plan.coverage.map {
            ($0.key.description, .text($0.value ? "complete" : "incomplete"))
          })),
      "replaced_cells": .object(
        Dictionary(
          uniqueKeysWithValues: plan.replacedCells.map {
            ($0.key.description, .text($0.value.description))
          })),
      "problem_count": .number(plan.problemCount),
      "problems": .list(plan.problems.map { .text(CellNames.spoken($0)) }),
      "refused": .text(plan.refusal(pruning: prune)?.description),
      "identified": .list(plan.identified.map { .text($0.description) }),
      "unidentified": .object(
        Dictionary(
          uniqueKeysWithValues: plan.unidentified.map {
            ($0.key.description, .text(CellNames.spoken($0.value)))
          })),
      "changed": .flag(outcome != nil), "repeated": .flag(false),
      "position": .printed(outcome?.position ?? plan.position),
      "entries": outcome?.entries.map {
        .list([.number($0.lowerBound), .number($0.upperBound)])
      } ?? .null,
      "request": .printed(change.request),
    ])
  }
}
