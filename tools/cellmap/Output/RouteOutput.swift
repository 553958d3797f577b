import Cells
import Journal
import Projections
import Router

/// How routes are printed, and what they come to.
final class RouteOutput {
  private let reveal: Bool
  private let json: Bool
  private var table = Table("INSTANCE", "CELL", "DATABASE", "QUEUE", "HOST", "STATE")
  private var worst: ExitStatus?
  /// The positions of the first answer and the last: a later one is never of before.
  private var positions: (first: Position, last: Position)?

  init(reveal: Bool, json: Bool) {
    self.reveal = reveal
    self.json = json
  }

  /// What a route comes to, field by field; an error where something of it is missing.
  private struct Answer {
    var fields: [String: JSONValue]
    /// What kind of answer it is, in a word that programs can rely on.
    var outcome: String?
    var state: String?
    var error: (status: ExitStatus, text: String)?
  }

  func print(_ route: Route, from router: CellRouter) throws(CommandFailure) {
    var answer = try answer(route, router)
    answer.fields["position"] = .printed(route.position)
    positions = (positions?.first ?? route.position, route.position)
    if route.behind > 0 {
      answer.fields["behind"] = .number(route.behind)
      if !json {
        Console.note("cellmap: The map is \(counted(route.behind, "entry")) behind the journal.")
      }
    }
    if !json, case .foundBySearch(_, let search) = route.outcome {
      let silent = search.failed.isEmpty ? "" : "; \(search.failed.count) cells did not answer"
      Console.note(
        "cellmap: Instance \(route.instance) isn't in the map: the cells were asked\(silent).")
    }
    show(answer)
  }

  /// A question that names no instance.
  func refuse(_ text: String, at position: Position) {
    positions = positions ?? (position, position)
    show(
      Answer(
        fields: ["instance": .text(HiddenArguments.shown(text)), "position": .printed(position)],
        outcome: "not_a_uuid", state: nil,
        error: (.usage, UUIDArgument.complaint(about: text))))
  }

  func end() {
    guard !json else { return }
    table.print(empty: "Nothing was asked.")
    if let positions { AnswerPosition.say(positions.first, to: positions.last) }
  }

  /// The exit code: that of the one question, or 5 if some of many failed.
  func status(isBatch: Bool) -> ExitStatus? { worst == nil ? nil : (isBatch ? .partial : worst) }

  private func show(_ answer: Answer) {
    var fields = answer.fields
    fields["outcome"] = .text(answer.outcome)
    if let error = answer.error {
      worst = worst ?? error.status
      fields["error"] = .text(CellNames.spoken(error.text))
      if !json { Console.remark(error.text) }
    }
    if json { return Console.print(JSONValue.object(fields).line) }
    table.add(
      fields.text("instance"), fields.text("cell_name") ?? fields.text("cell"),
      fields.text("database"), fields.text("queue"),
      fields.text("host") ?? fields.text("last_known_host").map { "(last on \($0))" },
      answer.state)
  }

  // MARK: Outcomes

  private func answer(
    _ route: Route, _ router: CellRouter
  ) throws(CommandFailure) -> Answer {
    // A damaged index is told by the route itself.
    let record = (try? router.record(of: route.instance))??.record
    var answer = Answer(fields: mapped(route.instance, record), outcome: route.outcome.word)
    switch route.outcome {
    case .found(let live), .deleted(let live): try fill(&answer, live)
    case .noCellYet:
      answer.state = record?.withoutCell
      answer.fields["state"] = .null
      if let seen = record?.lastSeen {
        answer.fields["last_known_host"] = .printed(seen.host)
        answer.fields["last_known_host_at"] = .printed(seen.at)
      }
    case .missingInCell(_, let target):
      try fill(&answer, target)
      answer.state = "missing in its cell"
      answer.error = (
        .finding,
        "Instance \(route.instance) is mapped to cell \(target.id), which has no record "
          + "of it. 'cellmap reconcile \(route.instance)' looks where it is."
      )
    case .cellUnavailable(_, let target, let reason, let sighting):
      try fill(&answer, target)
      answer.fields["last_known_host"] = .printed(sighting?.host)
      answer.fields["last_known_host_at"] = .printed(sighting?.at)
      answer.state = "cell unavailable"
      answer.error = (.cell, reason.description)
    case .cellWithoutDatabase(_, let target):
      try fill(&answer, target)
      answer.state = "no database"
      answer.error = (.cell, CellUnavailable.withoutDatabase(target.id).description)
    case .cellNotInMap(_, let cell):
      answer.state = "no such cell"
      answer.error = (
        .finding,
        "Instance \(route.instance) is mapped to cell \(cell), which the map does not hold."
      )
    case .unknown(let search):
      answer.state = "unknown"
      answer.error = unknown(route.instance, search)
      if answer.error?.status == .partial { answer.outcome = "undecided" }
      fill(&answer, search)
    case .inConflict(let row):
      answer.state = row.record.decision == nil ? "in conflict" : "decided: unmapped"
      answer.fields["conflict"] = .printed(row.record.kind)
      answer.fields["decision"] = .printed(row.record.decision)
      answer.error = ConflictOutput.whyUnmapped(route.instance, row).map { (.unknown, $0) }
    case .foundBySearch(let live, let search):
      try fill(&answer, live)
      if live.placement.isHidden { answer.state = answer.state.map { $0 + ", hidden" } }
      fill(&answer, search)
    }
    return answer
  }

  /// What the map itself holds of the instance.
  private func mapped(_ id: InstanceID, _ record: InstanceRecord?) -> [String: JSONValue] {
    var fields: [String: JSONValue] = [
      "instance": .printed(id), "cell": .null, "cell_name": .null, "database": .null,
      "queue": .null, "host": .null, "project": .null, "user": .null,
      "queued_for_delete": .null, "created_at": .null,
    ]
    guard let record else { return fields }
    fields["cell"] = .printed(record.cell)
    fields.merge(OwnerOutput.fields(record.owner)) { $1 }
    fields["queued_for_delete"] = .flag(record.isQueuedForDelete)
    fields["created_at"] = .printed(record.row.createdAt)
    return fields
  }

  private func fill(_ answer: inout Answer, _ target: CellTarget) throws(CommandFailure) {
    answer.fields["cell"] = .printed(target.id)
    answer.fields["cell_name"] = .printed(target.name)
    answer.fields["database"] = .printed(target.publicDatabase)
    answer.fields["queue"] = .printed(target.publicQueue)
    guard reveal else { return }
    do throws(CellUnavailable) {
      let addresses = try target.addresses()
      answer.fields["database"] = .text(addresses.database?.exposedText())
      answer.fields["queue"] = .text(addresses.queue?.exposedText())
    } catch {
      answer.error = (.cell, error.description)
    }
  }

  private func fill(_ answer: inout Answer, _ live: LiveRoute) throws(CommandFailure) {
    try fill(&answer, live.target)
    let placement = live.placement
    answer.fields["host"] = .printed(placement.host)
    answer.fields["state"] = .printed(placement.vmState)
    answer.fields["deleted"] = .flag(placement.isDeleted)
    if placement.isHidden { answer.fields["hidden"] = .flag(true) }
    if !live.isCellProven { answer.fields["cell_identity"] = .text("unproven") }
    answer.state =
      placement.isDeleted ? "deleted" : (placement.vmState?.string ?? "unknown")
  }

  private func fill(_ answer: inout Answer, _ search: CellSearch?) {
    guard let search else { return }
    switch search.reason {
    case .coverageIncomplete: answer.fields["searched_because"] = .text("coverage incomplete")
    case .mapBehind: answer.fields["searched_because"] = .text("map behind the journal")
    case .indexDamaged: answer.fields["searched_because"] = .text("index damaged")
    }
    answer.fields["complete"] = .flag(search.isComplete)
    answer.fields["cells"] = .list(
      search.answered.map { .object(["cell": .printed($0), "answered": .flag(true)]) }
        + search.failed.sorted { $0.key < $1.key }.map {
          .object([
            "cell": .printed($0.key), "answered": .flag(false),
            "error": .text(CellNames.spoken($0.value.description)),
          ])
        })
  }

  private func unknown(
    _ id: InstanceID, _ search: CellSearch?
  ) -> (status: ExitStatus, text: String) {
    guard let search else {
      return (
        .unknown,
        "There is no mapping of instance \(id). If a cell has it, 'cellmap reconcile \(id)' finds it "
          + "there."
      )
    }
    let count = search.failed.count
    let silent =
      "\(count) \(count == 1 ? "cell" : "cells") that might have it did not answer. "
      + "'cellmap status --live' says why; ask again then."
    switch (search.reason, search.isComplete) {
    case (.coverageIncomplete, true):
      return (
        .unknown,
        "There is no mapping of instance \(id), and no cell of incomplete coverage has it."
      )
    case (.coverageIncomplete, false):
      return (.partial, "There is no mapping of instance \(id), and \(silent)")
    case (.mapBehind, _):
      return (
        .partial,
        "The index is too far behind the journal to say whether instance \(id) is known, and no "
          + "cell that answered has it. Try again, or make it anew with 'cellmap replay'."
      )
    case (.indexDamaged, true):
      // No cell has an instance that is not scheduled yet: only the map knows of it.
      return (
        .partial,
        "No cell has instance \(id). Whether it is known, and not scheduled yet, can be said when "
          + "the index is there again: 'cellmap replay'."
      )
    case (.indexDamaged, false):
      return (
        .partial,
        "The cells that answered don't have instance \(id), and \(silent) What the map says can be "
          + "read when the index is there again: 'cellmap replay'."
      )
    }
  }
}

extension [String: JSONValue] {
  /// A field's text.
  func text(_ name: String) -> String? {
    if case .text(let text)? = self[name] { text } else { nil }
  }
}

extension RouteOutcome {
  /// The answer's kind, as `outcome` in JSON has it.
  fileprivate var word: String {
    switch self {
    case .found: "found"
    case .deleted: "deleted"
    case .noCellYet: "no_cell_yet"
    case .missingInCell: "missing_in_cell"
    case .cellUnavailable: "cell_unavailable"
    case .cellWithoutDatabase: "cell_without_database"
    case .cellNotInMap: "cell_not_in_map"
    case .unknown: "unknown"
    case .inConflict(let row): row.record.decision == nil ? "in_conflict" : "unmapped"
    case .foundBySearch: "found_by_search"
    }
  }
}
