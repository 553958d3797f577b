import Journal
import Projections
import Recovery

/// The answers about single instances, for people and as JSON.
struct VerificationOutput {
  let verified: [InstanceVerification]
  let report: ReconcileReport
  let names: [CellID: String]
  /// What the map says is that of then.
  let position: Position

  private func name(_ cell: CellID) -> String { names[cell] ?? cell.description }

  /// How the command ends: the gravest of the answers; nil if each instance is as it should be.
  var status: ExitStatus? {
    // A cell that wasn't asked may have a copy of any of them.
    if !report.isComplete || verified.contains(where: \.isPending) { return .partial }
    if verified.contains(where: { !$0.findings.isEmpty }) { return .finding }
    return verified.contains(where: \.isUnknown) ? .unknown : nil
  }

  func print(json: Bool) {
    for cell in report.cells where !cell.state.isFinished {
      Console.remark("Cell \(name(cell.state.cell)) was not asked: \(cell.state.failure ?? "")")
    }
    for answer in verified {
      if json { Console.print(object(answer).line) } else { Console.say(sentence(answer)) }
    }
    guard !json else { return }
    for step in nextSteps { Console.print(step) }
    AnswerPosition.say(position)
  }

  /// What mends the findings; told once, whatever their number.
  private var nextSteps: [String] {
    let kinds = Set(verified.flatMap(\.findings).map(\.kind))
    let mendable = kinds.filter { $0.isMendable && $0 != .twoCopies && $0 != .orphaned }
    var steps: [String] = []
    if !mendable.isEmpty {
      let names = mendable.map(\.rawValue).sorted().joined(separator: ",")
      steps.append(
        "To make the map hold what the cells have, of all instances that have it so: "
          + "cellmap reconcile --apply \(names) --reason TEXT (see it first with --dry-run).")
    }
    if kinds.contains(.orphaned) {
      steps.append(
        "A missing row is no deletion: cellmap reconcile --apply orphaned marks what its cell has archived "
          + "(--archived-by-hand: the others too); --unmap takes it out of the map.")
    }
    if kinds.contains(.keptMark) || kinds.contains(.failedDelete) {
      steps.append(
        "A mark stays, since the cell may be the older one. If the cell is right: "
          + "cellmap instance delete-mark UUID --clear --reason TEXT.")
    }
    if kinds.contains(.hiddenCopy) {
      steps.append(
        "A hidden copy proves nothing: the visible one is in a cell that isn't in the map, or is gone. "
          + "If the guest runs there, 'cellmap doctor --nova-conf FILE' shows what to do once the map is published."
      )
    }
    if kinds.contains(.twoCopies) {
      let isNew = verified.contains {
        $0.openConflict == nil && $0.findings.contains { $0.kind == .twoCopies }
      }
      steps.append(
        "What the cells don't decide is yours: "
          + (isNew ? "cellmap reconcile --apply two-copies --reason TEXT, then " : "")
          + "cellmap conflicts resolve UUID --cell CELL --reason TEXT.")
    }
    return steps
  }

  private func sentence(_ answer: InstanceVerification) -> String {
    let start = "\(answer.id): "
    if answer.isUnknown { return start + "unknown: neither the map nor a cell has it" }
    if answer.isPending {
      let rows = answer.unreadable.map(CellNames.spoken)
      return start + "can't be told: "
        + (rows.isEmpty
          ? "a cell that may have it can't be read"
          : "a row of it can't be read (\(rows.joined(separator: "; "))); correct it in the cell")
    }
    let decision = answer.decision.map { decided($0, answer) } ?? ""
    if answer.findings.isEmpty {
      return start + place(answer) + (answer.isDeleted ? "; it is deleted" : "") + decision
    }
    return start + answer.findings.map(sentence).joined(separator: "; ") + decision
      + (answer.openConflict.map { "; in conflict, as entry \($0.record.foundAt) found" } ?? "")
  }

  /// Where the map has it.
  private func place(_ answer: InstanceVerification) -> String {
    guard let mapping = answer.mapping else { return "without a mapping" }
    if let cell = mapping.cell { return "in cell \(name(cell)), as the map says" }
    guard let seen = mapping.lastSeen else {
      return "accepted, and in no cell yet, as the map says"
    }
    return "in no cell of the map; it ran on \(Console.safe(seen.host.string)), whose cell "
      + "was taken out of the map since"
  }

  private func decided(_ row: ConflictRow, _ answer: InstanceVerification) -> String {
    let decision = row.record.decision.map { ConflictOutput.decision($0, names) } ?? ""
    let cells = answer.cells.map(name).sorted().joined(separator: ", ")
    return "; \(cells) have it, and entry \(row.changedAt) decided: \(decision)"
  }

  private func sentence(_ finding: Finding) -> String {
    let mapped = finding.mapped.map(name) ?? "no cell"
    let found = finding.found.map(name) ?? "no cell"
    // The class in words; it is also what --apply takes.
    let text =
      switch finding.kind {
      case .missing: "missing: not in the map, and in cell \(found)"
      case .orphaned:
        finding.isArchived
          ? "orphaned: mapped to cell \(mapped), which has archived it"
          : "orphaned: mapped to cell \(mapped), and no cell has a row that counts"
      case .wrongCell: "wrong cell: mapped to \(mapped), and in \(found)"
      case .noCell: "no cell: mapped to no cell yet, and in cell \(found)"
      case .twoCopies:
        "two copies: the cells don't decide (\(finding.detail?.string ?? "")): "
          + finding.cells.map(name).sorted().joined(separator: ", ")
      case .hiddenCopy: "hidden copy: only copies that a move hides, in cell \(found)"
      case .deletionMark:
        "deletion mark: deleted or being deleted in cell \(found), which the map doesn't say"
      case .keptMark: "kept mark: marked as deleted in the map, and not deleted in cell \(found)"
      case .failedDelete: "failed delete: it failed in cell \(found); the mark stays"
      case .owner: "owner: \(finding.detail?.string ?? "")"
      case .unknownHost, .wrongCellHost, .ghostHost, .twinHost: ""
      }
    return text
  }

  private func object(_ answer: InstanceVerification) -> JSONValue {
    let verdict =
      answer.isUnknown
      ? "unknown"
      : answer.isPending
        ? "pending"
        : !answer.findings.isEmpty ? "finding" : answer.decision == nil ? "fine" : "decided"
    return .object([
      "instance": .printed(answer.id), "verdict": .text(verdict),
      "findings": .list(answer.findings.map { .text($0.kind.rawValue) }),
      "cell": .printed(answer.mapping?.cell), "found": .list(answer.cells.map { .printed($0) }),
      "decision": .printed(answer.decision?.record.decision),
      "decision_entry": answer.decision.map { .number($0.changedAt) } ?? .null,
      "conflict_entry": answer.openConflict.map { .number($0.record.foundAt) } ?? .null,
      "deleted": .flag(answer.isDeleted), "complete": .flag(report.isComplete),
      "unreadable": .list(answer.unreadable.map { .text($0) }),
      "position": .printed(position),
    ])
  }

  /// One line of a list that may be as long as a cell: it is not gathered to be aligned.
  static func line(lost item: InstanceItem) -> String {
    let record = OwnerOutput.opened(item.row).record
    return [
      item.id.description, record.owner.project.shown ?? "-", record.owner.user.shown ?? "-",
      record.row.createdAt?.description ?? "-", record.lastSeen?.host.string ?? "-",
      record.isQueuedForDelete == true ? "queued for delete" : "",
    ].joined(separator: "  ")
  }

  static func json(lost item: InstanceItem) -> JSONValue {
    let record = item.row.record
    let fields: [String: JSONValue] = [
      "instance": .printed(item.id),
      "created_at": .printed(record.row.createdAt),
      "last_known_host": .printed(record.lastSeen?.host),
      "last_known_host_at": .printed(record.lastSeen?.at),
      "queued_for_delete": .flag(record.isQueuedForDelete),
    ]
    return .object(fields.merging(OwnerOutput.fields(record.owner)) { $1 })
  }
}
