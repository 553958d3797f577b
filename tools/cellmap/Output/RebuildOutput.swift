import Journal
import Recovery
import Registry

/// What a rebuild found and did, for people and as JSON.
struct RebuildOutput {
  let plan: RebuildPlan
  let outcome: Outcome?
  /// Those that were given.
  let cells: RebuildCells
  let names: [CellID: String]
  let isDryRun: Bool
  /// nil for a trial without a store.
  let position: Position?

  private func name(_ cell: CellID) -> String { names[cell] ?? cell.description }

  /// By name: a UUID may have been made up, and be another each time.
  private func inOrder(_ states: [CellScanState]) -> [CellScanState] {
    states.sorted { (name($0.cell), $0.cell) < (name($1.cell), $1.cell) }
  }

  func print() {
    if !isDryRun {
      for cell in cells.made {
        Console.say(
          "Made the UUID \(cell) for cell \(name(cell)): nobody gave the one that it had in Nova.")
      }
    }
    printCells()
    for state in inOrder(plan.unread) {
      Console.remark(
        "Cell \(name(state.cell)) was not read whole: \(state.failure ?? "it was stopped") What depends on it is "
          + "provisional: give 'cellmap rebuild' again when it can be read, with --with-old if it was given."
      )
    }
    printRules()
    printFindings()
    printConflicts()
    printNovaTables()
    for row in plan.refused.first { Console.remark("Passed over: \(row)") }
    for row in plan.unreadable { Console.remark("Passed over: \(row)") }
    for state in inOrder(plan.cells) {
      if let remark = state.schemaRemark(name(state.cell)) { Console.remark(remark) }
    }
    if plan.overtaken > 0 {
      Console.note(
        "cellmap: \(plan.overtaken) records were changed in the map meanwhile; they stay.")
    }
    OwnersLeft.say(plan.ownersLeft)
    if let outcome {
      Console.say("Rebuilt the map from the cells. Position \(outcome.position).")
      if plan.conflictCount > 0 {
        Console.say("Now decide the conflicts: 'cellmap conflicts list' shows them.")
      }
    } else if isDryRun {
      Console.print("A dry run: the map is as it was.")
      if let position { AnswerPosition.say(position) }
    }
  }

  private func printCells() {
    var table = Table("CELL", "INSTANCES", "UNREADABLE", "READ")
    for state in inOrder(plan.cells) {
      table.add(
        name(state.cell), "\(state.rows)", "\(state.unreadable)",
        !state.isFinished ? "not whole" : state.unreadable == 0 ? "whole" : "all but those")
    }
    table.print(empty: "The map has no cells with a database.")
  }

  private func printRules() {
    var table = Table("RECORDS", "NEW", "CHANGED", "AS IN THE MAP")
    for (name, count) in [("hosts", plan.hosts), ("instances", plan.instances)] {
      table.add(name, "\(count.added)", "\(count.changed)", "\(count.same)")
    }
    table.print(empty: "")
    var rules = Table("INSTANCES", "PLACED BY THE RULE")
    for rule in RebuildPlan.Rule.allCases {
      if let count = plan.rules[rule] { rules.add("\(count)", rule.rawValue) }
    }
    rules.print(empty: "No cell has an instance.")
  }

  private func printFindings() {
    for (found, text) in [
      (plan.hiddenOnly, "have only copies that a move hides, and get no mapping"),
      (plan.missing, "are in the map and in no cell that could have them; they stay in the map"),
      (plan.withoutProject, "have no project: the map holds them, Nova's own map can't"),
      (
        plan.inError,
        "are in error and get no deletion mark: whether a delete of them had failed, no cell knows"
      ),
    ] where found.count > 0 {
      Console.print("\(found.count) instances \(text): \(found.sample)")
    }
    printOld()
    if plan.waiting > 0 {
      Console.print(
        "\(plan.waiting) instances are in no cell yet, says the old database; they wait until every cell "
          + "was read.")
    }
    if plan.pending > 0 {
      Console.print(
        "\(plan.pending) instances and hosts of the map, of cells or rows that were not read, stay as they are."
      )
    }
    if plan.conflictsWaiting > 0 {
      Console.print(
        "\(counted(plan.conflictsWaiting, "conflict")), open or decided, of cells that were not read: as before."
      )
    }
    if plan.reopened.count > 0 {
      Console.print(
        "\(counted(plan.reopened.count, "decision")) of an operator no longer fits the cells or the map, and "
          + "the conflict is open again: \(plan.reopened.sample)")
    }
    if plan.overruled.count > 0 {
      Console.print(
        "Placed by the rules by now, and not as an operator had decided (\(plan.overruled.count)): "
          + "\(plan.overruled.sample)")
    }
    if plan.settled > 0 { Console.print("\(counted(plan.settled, "earlier conflict")) settled.") }
    if plan.decided > 0 {
      Console.print("As it was decided: \(counted(plan.decided, "conflict")).")
    }
  }

  private func printOld() {
    for (found, text) in [
      (
        plan.unscheduled,
        "are in no cell yet, says the old database; 'publish' writes those that have a build request"
      ),
      (
        plan.standIns,
        "of cells that were not read are where the old database has them, until those are read"
      ),
      (plan.ownersCompleted, "have their owner from the old database"),
      (plan.stale, "are in a cell that hasn't them, says the old database; they are left out"),
    ] where found.count > 0 {
      Console.print("\(found.count) instances \(text): \(found.sample)")
    }
  }

  private func printConflicts() {
    guard plan.conflictCount > 0 else { return }
    Console.print("")
    Console.print(
      "\(counted(plan.conflictCount, "conflict")), which only you can decide: \(untilDecided)")
    for conflict in plan.conflicts.prefix(20) {
      ConflictOutput.print(conflict.entity, conflict.found, names)
    }
    if plan.conflictCount > 20 { Console.print("… 'conflicts list' shows all of them.") }
  }

  /// What becomes of what the conflicts are about.
  private var untilDecided: String {
    let without = plan.conflictCount - min(plan.conflictsMapped, plan.conflictCount)
    return [
      without > 0 ? "\(without) without a mapping until then" : nil,
      plan.conflictsMapped > 0 ? "\(plan.conflictsMapped) mapped as before until then" : nil,
    ].compactMap(\.self).joined(separator: ", ")
  }

  private func printNovaTables() {
    Console.print("")
    var table = Table("NOVA'S API DATABASE", "", "RECORDS", "WITHOUT IT")
    for item in NovaTableOutcome.all(of: plan) {
      table.add(item.name, item.state, item.count.map { "\($0)" } ?? "-", item.effect)
    }
    table.print(empty: "")
    if let census = plan.census, !census.uncounted.isEmpty {
      for (cell, why) in census.uncounted.sorted(by: { $0.key < $1.key }) {
        Console.remark("Not counted in cell \(name(cell)): \(why)")
      }
    }
    Console.print(
      "'publish' writes what is recovered; with --request-specs, --flavors and --keypairs also what "
        + "the cells have of those.")
  }

  // MARK: JSON

  func json(request: RequestID) -> JSONValue {
    func object(_ count: RebuildPlan.Count) -> JSONValue {
      .object([
        "new": .number(count.added), "changed": .number(count.changed),
        "same": .number(count.same), "in_map": .number(count.after),
      ])
    }
    func object(_ named: RebuildPlan.Named) -> JSONValue {
      .object(["count": .number(named.count), "first": .list(named.first.map { .text($0) })])
    }
    return .object([
      "dry_run": .flag(isDryRun), "complete": .flag(plan.isComplete),
      "cells": .list(inOrder(plan.cells).map(cell)),
      "cell_changes": cells.json(names),
      "hosts": object(plan.hosts), "instances": object(plan.instances),
      "rules": .object(
        Dictionary(uniqueKeysWithValues: plan.rules.map { ($0.key.rawValue, .number($0.value)) })),
      "conflict_count": .number(plan.conflictCount),
      "conflicts_mapped": .number(plan.conflictsMapped),
      "conflicts": .list(
        plan.conflicts.map { ConflictOutput.json($0.entity, $0.found) }),
      "settled": .number(plan.settled), "decided": .number(plan.decided),
      "conflicts_waiting": .number(plan.conflictsWaiting), "reopened": object(plan.reopened),
      "overruled": object(plan.overruled),
      "hidden_only": object(plan.hiddenOnly), "missing": object(plan.missing),
      "without_project": object(plan.withoutProject), "in_error": object(plan.inError),
      "pending": .number(plan.pending), "waiting": .number(plan.waiting),
      "made_cells": .list(isDryRun ? [] : cells.made.map { .printed($0) }),
      "old": .object([
        "unscheduled": object(plan.unscheduled), "owners": object(plan.ownersCompleted),
        "stale": object(plan.stale), "provisional": object(plan.standIns),
      ]),
      "nova_tables": .list(
        NovaTableOutcome.all(of: plan).map {
          .object([
            "table": .text($0.name), "state": .text($0.state),
            "count": $0.count.map { .number($0) } ?? .null, "without": .text($0.effect),
          ])
        }),
      "unreadable": .list(plan.unreadable.map { .text($0) }),
      "refused": object(plan.refused),
      "overtaken": .number(plan.overtaken), "owners_left": .number(plan.ownersLeft),
      "changed": .flag(outcome != nil),
      "repeated": .flag(false),
      "entries": outcome?.entries.map {
        .list([.number($0.lowerBound), .number($0.upperBound)])
      } ?? .null,
      "position": .printed(position), "request": .printed(request),
    ])
  }

  private func cell(_ state: CellScanState) -> JSONValue {
    .object([
      "cell": .printed(state.cell), "cell_name": .text(names[state.cell]),
      "rows": .number(state.rows), "unreadable": .number(state.unreadable),
      "markers": .number(state.markers), "answered": .flag(state.isFinished),
      "error": .text(state.failure), "unknown_schema": .text(state.unknownSchema),
    ])
  }
}

extension RebuildPlan.Named {
  /// The first three of them.
  fileprivate var sample: String {
    first.prefix(3).joined(separator: ", ") + (count > 3 ? ", …" : "")
  }
}
