import Cells
import Journal
import Projections
import Router

/// How a list over cells is printed: the instances, and what is missing.
struct LiveListOutput {
  private let list: InstanceList
  /// The moment that was asked for: an age is another one by the next page.
  private let changedSince: Timestamp?
  private let json: Bool

  init(_ list: InstanceList, changedSince: Timestamp?, json: Bool) {
    self.list = list
    self.changedSince = changedSince
    self.json = json
  }

  func print() {
    if json {
      for row in list.rows { Console.print(JSONValue.object(fields(row)).line) }
      return Console.print(JSONValue.object(summary).line)
    }
    var table = Table("INSTANCE", "CELL", "NAME", "STATE", "HOST", "PROJECT", "CREATED")
    for row in list.rows { add(row, to: &table) }
    table.print(empty: list.isComplete ? "There are no such instances." : "None are known.")
    AnswerPosition.say(list.position)
    for line in remarks { Console.remark(line) }
  }

  // MARK: JSON

  private func fields(_ row: ListedInstance) -> [String: JSONValue] {
    var fields: [String: JSONValue] = [
      "instance": .printed(row.id), "cell": .printed(row.cell?.id),
      "cell_name": .printed(row.cell?.name),
    ]
    switch row.source {
    case .live(let instance): fill(&fields, instance)
    case .unknown(let mapping): fill(&fields, mapping, status: "UNKNOWN")
    case .unscheduled(let mapping): fill(&fields, mapping, status: "UNSCHEDULED")
    }
    return fields
  }

  private func fill(_ fields: inout [String: JSONValue], _ instance: CellInstance) {
    let placement = instance.placement
    fields["status"] = .text("LIVE")
    fields["state"] = .printed(placement.vmState)
    fields["task_state"] = .printed(placement.taskState)
    fields["host"] = .printed(placement.host)
    fields["deleted"] = .flag(placement.isDeleted)
    if placement.isHidden { fields["hidden"] = .flag(true) }
    fields["display_name"] = .printed(instance.displayName)
    fields["project"] = .printed(instance.project)
    fields["user"] = .printed(instance.user)
    fields["created_at"] = .printed(instance.createdAt)
    fields["updated_at"] = .printed(instance.updatedAt)
    fields["launched_at"] = .printed(instance.launchedAt)
  }

  private func fill(_ fields: inout [String: JSONValue], _ row: InstanceRow, status: String) {
    let record = row.record
    fields["status"] = .text(status)
    for name in [
      "state", "task_state", "host", "deleted", "display_name", "updated_at", "launched_at",
    ] { fields[name] = .null }
    fields.merge(OwnerOutput.fields(record.owner)) { $1 }
    fields["created_at"] = .printed(record.row.createdAt)
    fields["queued_for_delete"] = .flag(record.isQueuedForDelete)
    fields["last_known_host"] = .printed(record.lastSeen?.host)
    fields["last_known_host_at"] = .printed(record.lastSeen?.at)
  }

  private var summary: [String: JSONValue] {
    var fields: [String: JSONValue] = [
      "complete": .flag(list.isComplete), "cells": .list(list.cells.map { .object(entry($0)) }),
      "count": .number(list.rows.count), "next": .text(list.next),
      "position": .printed(list.position),
      "unlisted_without_cell": list.unlistedWithoutCell.map { .number($0) } ?? .null,
    ]
    if let changedSince { fields["changed_since"] = .printed(changedSince) }
    if list.behind > 0 { fields["behind"] = .number(list.behind) }
    if list.mayRepeat { fields["may_repeat"] = .flag(true) }
    if let error = list.mapError { fields["map_error"] = .text(error.description) }
    return fields
  }

  private func entry(_ cell: CellListing) -> [String: JSONValue] {
    var fields: [String: JSONValue] = [
      "cell": .printed(cell.target.id), "cell_name": .printed(cell.target.name),
      "rows": .number(cell.rows), "batches": .number(cell.batches),
      "unlisted": cell.unlisted.map { .number($0) } ?? .null,
    ]
    switch cell.outcome {
    case .answered: fields["outcome"] = .text("answered")
    case .missedEarlier: fields["outcome"] = .text("missed_earlier")
    case .timedOut(let reason): fill(&fields, "timed_out", reason)
    case .failed(let reason): fill(&fields, "failed", reason)
    case .skipped(let reason): fill(&fields, "skipped", reason)
    }
    return fields
  }

  private func fill(
    _ fields: inout [String: JSONValue], _ outcome: String, _ reason: CellUnavailable
  ) {
    fields["outcome"] = .text(outcome)
    fields["error"] = .text(CellNames.spoken(reason.description))
  }

  // MARK: For people

  private func add(_ row: ListedInstance, to table: inout Table) {
    let cell = row.cell.map { $0.name?.string ?? $0.id.description }
    switch row.source {
    case .live(let instance):
      let placement = instance.placement
      table.add(
        row.id.description, cell, instance.displayName?.string,
        placement.isDeleted ? "deleted" : placement.vmState?.string, placement.host?.string,
        instance.project?.string, instance.createdAt?.description)
    case .unknown(let mapping), .unscheduled(let mapping):
      let record = OwnerOutput.opened(mapping).record
      table.add(
        row.id.description, cell, nil, row.cell == nil ? record.withoutCell : "UNKNOWN",
        record.lastSeen.map { "(last on \($0.host))" }, record.owner.project.shown,
        record.row.createdAt?.description)
    }
  }

  /// Why a list that must be complete isn't printed, in one line.
  var refusal: String {
    let silent = list.cells.filter { !$0.outcome.isAnswered }.map { reason($0.outcome, $0.target) }
    return (silent + gaps + ["The list would be incomplete, and isn't printed."])
      .joined(separator: " ")
  }

  private var remarks: [String] {
    var lines = shortfalls
    if !list.isComplete { lines.append("This list is incomplete.") }
    if list.mayRepeat { lines.append("Some instances may have been listed before.") }
    if let next = list.next {
      // A marker forgets the cells that did not answer, whose instances come last.
      let marker =
        list.isComplete && list.rows.last?.isLive == true
        ? list.rows.last.map { "--marker \($0.id), or " } ?? "" : ""
      let since = changedSince.map { "--changed-since \($0) and " } ?? ""
      lines.append(
        next.utf8.count <= Self.shownToken
          ? "There may be more: give \(since)--page-token \(next)"
          : "There may be more: give \(marker)\(since)--page-token with 'next' of --json.")
    }
    return lines
  }

  /// The longest token that is shown to people.
  private static let shownToken = 200

  private var shortfalls: [String] {
    var lines: [String] = []
    for cell in list.cells where !cell.outcome.isAnswered {
      lines.append(reason(cell.outcome, cell.target) + " " + standIn(cell))
    }
    return lines + gaps
  }

  /// What is missing beside the cells that didn't answer.
  private var gaps: [String] {
    var lines: [String] = []
    if let count = list.unlistedWithoutCell, count > 0 {
      lines.append(
        "\(count) instances without a cell are left out: the map can't tell whether the filters "
          + "mean them.")
    }
    if let error = list.mapError { lines.append("The map could not be read: \(error)") }
    if list.behind > 0 {
      lines.append("The map is \(counted(list.behind, "entry")) behind the journal.")
    }
    return lines
  }

  private func reason(_ outcome: CellListing.Outcome, _ target: CellTarget) -> String {
    switch outcome {
    case .timedOut(let reason), .failed(let reason), .skipped(let reason): reason.description
    case .missedEarlier, .answered:
      "Cell \(target.id) did not answer for an earlier page, and was not asked again."
    }
  }

  private func standIn(_ cell: CellListing) -> String {
    guard let unlisted = cell.unlisted else { return "Its instances are missing." }
    if unlisted == 0 { return "Its instances are listed from the map, as UNKNOWN." }
    return "\(unlisted) of its instances are left out: the map can't tell whether the filters mean "
      + "them."
  }
}
