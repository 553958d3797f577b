import Cells
import Journal
import Recovery
import Registry

/// What comparing the map with the cells has found, for people and as JSON.
struct ReconcileOutput {
  /// What was to be mended, and what was.
  struct Mended {
    let plan: MendPlan
    /// nil for a dry run.
    let result: MendResult?
  }

  let report: ReconcileReport
  let mended: Mended?
  let names: [CellID: String]
  /// How many conflicts the map has that nobody has decided.
  let openConflicts: Int
  let position: Position
  let request: RequestID

  private func name(_ cell: CellID?) -> String? { cell.map { names[$0] ?? $0.description } }

  /// How the command ends; nil if all is as it should be, or was mended.
  var status: ExitStatus? {
    if let mended, mended.plan.refused > 0 || (mended.result?.refusedCount ?? 0) > 0 {
      return .refused
    }
    if !report.isComplete { return .partial }
    return report.count > mendedCount || report.hasUnreadable ? .finding : nil
  }

  private var mendedCount: UInt64 {
    guard let mended, let result = mended.result else { return 0 }
    let left = result.overtaken + result.refusedCount
    return mended.plan.count > left ? mended.plan.count - left : 0
  }

  // MARK: For people

  func print() {
    printCells()
    var table = Table("FINDING", "CELL", "COUNT", "FIRST OF THEM")
    for group in report.findings {
      let first = group.first.map(label).joined(separator: ", ")
      table.add(
        group.kind.rawValue, name(group.cell), "\(group.count)",
        first + (group.count > UInt64(group.first.count) ? ", …" : ""))
    }
    let isWhole = report.isComplete && !report.hasUnreadable
    table.print(
      empty: isWhole ? "The map and the cells agree." : "What was read agrees with the map.")
    for (count, text) in [
      (report.gone, "differences were gone at the second look"),
      (report.building, "instances are being built, and were left out"),
      (
        report.pending,
        "instances and hosts depend on a cell that was not read, or on a row that can't be"
      ),
      (report.decided, "conflicts stand as they were decided"),
      (report.ownersLeft, "instances have an owner that was shredded, which isn't compared"),
    ] where count > 0 {
      Console.print("\(count) \(text).")
    }
    if openConflicts > 0, report.findings.contains(where: { $0.kind.isConflict }) {
      Console.print(
        "\(counted(openConflicts, "conflict")) in the map already: 'conflicts list' shows, and 'conflicts resolve' "
          + "decides.")
    }
    for row in report.unreadable { Console.remark("Passed over: \(row)") }
    for cell in report.cells where !cell.state.isFinished {
      Console.remark(
        "Cell \(name(cell.state.cell) ?? "") was not read whole: \(cell.state.failure ?? "it was stopped")"
      )
    }
    for cell in report.cells {
      let name = name(cell.state.cell) ?? ""
      if let remark = cell.state.schemaRemark(name) { Console.remark(remark) }
    }
    if let mended { print(mended) }
    if mended?.result?.outcome == nil { AnswerPosition.say(position) }
  }

  /// A finding as it is named among the first.
  private func label(_ finding: Finding) -> String {
    var label =
      switch finding.entity {
      case .instance(let id): id.description
      case .host(let host): host.string
      case .cell, .store: ""
      }
    if finding.mapped != nil, let found = finding.found, finding.found != finding.mapped {
      label += " (in \(name(found) ?? ""))"
    }
    if finding.isArchived { label += " (archived)" }
    return label
  }

  private func printCells() {
    var table = Table("CELL", "INSTANCES", "UNREADABLE", "READ")
    for cell in report.cells {
      let read = cell.state.isFinished ? "whole" : "not whole"
      table.add(
        name(cell.state.cell), "\(cell.state.rows)", "\(cell.state.unreadable)",
        cell.isUnknown ? read + ", identity unknown" : read)
    }
    table.print(empty: "The map has no cells with a database.")
  }

  private func print(_ mended: Mended) {
    let plan = mended.plan
    for (cell, doubt) in plan.doubts.sorted(by: { $0.key < $1.key }) {
      Console.note(
        "cellmap: cell \(Console.safe(name(cell) ?? "")) looks restored or empty, and nothing is "
          + "changed by it: \(doubt). See --lost; if it is right, give --not-restored.")
    }
    for excess in plan.excesses {
      Console.note(
        "cellmap: \(excess.kind.rawValue) would touch \(excess.count) mappings of cell "
          + "\(Console.safe(name(excess.cell) ?? "")), more than \(excess.limit). If that is right, "
          + "give --limit \(excess.count).")
    }
    for text in mended.result?.refused ?? [] {
      Console.note("cellmap: not taken: \(Console.safe(text))")
    }
    for (count, text) in [
      (plan.provisional, "depend on cells that can't be relied on now; --provisional mends them"),
      (
        plan.unproven,
        "have no row, and their cell hasn't archived them; --archived-by-hand says so"
      ),
      (plan.wantsUnmapping, "can only be unmapped, which wants --unmap"),
      (mended.result?.overtaken ?? 0, "were decided by others meanwhile, which stands"),
    ] where count > 0 {
      Console.print("\(count) findings \(text).")
    }
    guard let result = mended.result else {
      return Console.print("A dry run: \(plan.count) findings would be mended.")
    }
    guard let outcome = result.outcome else { return Console.print("Nothing was mended.") }
    if result.settled > 0 {
      Console.print("\(result.settled) open conflicts are settled by it.")
    }
    Console.say(
      "Mended \(result.instances) instances and \(result.hosts) hosts. Position \(outcome.position)."
    )
  }

  // MARK: JSON

  func json(_ finding: Finding) -> JSONValue {
    var object: [String: JSONValue] = [
      "finding": .text(finding.kind.rawValue), "cell": .printed(finding.mapped),
      "cell_name": .text(finding.mapped.flatMap { names[$0] }),
      "found": .printed(finding.found), "found_name": .text(finding.found.flatMap { names[$0] }),
      "detail": .printed(finding.detail),
      "provisional": .flag(!report.isComplete && finding.restsOnAllCells),
    ]
    if finding.kind == .orphaned { object["archived"] = .flag(finding.isArchived) }
    object.merge(ConflictOutput.entity(finding.entity)) { $1 }
    if let conflict = finding.conflict {
      object["evidence"] = (try? JSONValue(parsing: conflict.evidence.string)) ?? .null
    }
    return .object(object)
  }

  /// The last line.
  var trailer: JSONValue {
    var object: [String: JSONValue] = [
      "complete": .flag(report.isComplete), "count": .number(report.count),
      "counts": .list(
        report.findings.map { group in
          .object([
            "finding": .text(group.kind.rawValue), "cell": .printed(group.cell),
            "cell_name": .text(group.cell.flatMap { names[$0] }), "count": .number(group.count),
          ])
        }),
      "cells": .list(report.cells.map(cell)),
      "found_at_first": .number(report.foundAtFirst), "gone": .number(report.gone),
      "building": .number(report.building), "pending": .number(report.pending),
      "decided": .number(report.decided), "owners_left": .number(report.ownersLeft),
      "unreadable": .list(report.unreadable.map { .text($0) }), "position": .printed(position),
    ]
    if let mended { object["mended"] = json(mended) }
    return .object(object)
  }

  private func cell(_ cell: ReconcileReport.Cell) -> JSONValue {
    .object([
      "cell": .printed(cell.state.cell), "cell_name": .text(names[cell.state.cell]),
      "rows": .number(cell.state.rows), "unreadable": .number(cell.state.unreadable),
      "answered": .flag(cell.state.isFinished), "error": .text(cell.state.failure),
      "identity_unknown": .flag(cell.isUnknown),
      "unknown_schema": .text(cell.state.unknownSchema),
    ])
  }

  private func json(_ mended: Mended) -> JSONValue {
    let (plan, result) = (mended.plan, mended.result)
    return .object([
      "dry_run": .flag(result == nil), "planned": .number(plan.count),
      "settled": .number(result?.settled ?? 0),
      "instances": .number(result?.instances ?? 0), "hosts": .number(result?.hosts ?? 0),
      "refused": .number(plan.refused + (result?.refusedCount ?? 0)),
      "not_taken": .list((result?.refused ?? []).map { .text($0) }),
      "doubts": .object(
        Dictionary(
          uniqueKeysWithValues: plan.doubts.map { ($0.key.description, .printed($0.value)) })),
      "excesses": .list(
        plan.excesses.map { excess in
          .object([
            "finding": .text(excess.kind.rawValue), "cell": .printed(excess.cell),
            "count": .number(excess.count), "limit": .number(excess.limit),
          ])
        }),
      "provisional": .number(plan.provisional), "unproven": .number(plan.unproven),
      "wants_unmapping": .number(plan.wantsUnmapping),
      "overtaken": .number(result?.overtaken ?? 0), "changed": .flag(result?.outcome != nil),
      "repeated": .flag(false),
      "entries": result?.outcome?.entries.map {
        .list([.number($0.lowerBound), .number($0.upperBound)])
      } ?? .null,
      "request": .printed(request),
    ])
  }
}
