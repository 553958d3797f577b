internal import Cells
internal import Journal
internal import Registry

/// The rows of a conflict side by side, as the journal keeps them. Owners are left out: entries are
/// for ever, and whose an instance is doesn't decide where it is.
enum ConflictEvidence {
  static func conflict(
    _ kind: ConflictKind, _ copies: [StagedInstance], _ moves: CopyRules.Moves
  ) -> FoundConflict {
    var object: [String: JSONValue] = ["rows": .list(copies.map(row))]
    if !moves.isEmpty { object["moves"] = .list(moves.map { move($0.cell, $0.move) }) }
    return FoundConflict(kind: kind.text, evidence: ByteText(JSONValue.object(object).line))
  }

  static func conflict(host: ByteText, in cells: [CellID]) -> FoundConflict {
    let rows = cells.map { JSONValue.object(["cell": .text($0.description)]) }
    return FoundConflict(
      kind: ConflictKind.hostInSeveralCells.text,
      evidence: ByteText(JSONValue.object(["rows": .list(rows)]).line))
  }

  /// The cells that evidence names; nil if it is in another form.
  static func cells(of evidence: ByteText) -> [CellID]? {
    guard let value = try? JSONValue(parsing: evidence.string),
      case .list(let rows)? = value["rows"]
    else { return nil }
    return rows.compactMap { $0["cell"]?.string.flatMap { CellID($0) } }
  }

  /// Whether an operator has decided a conflict, which stands as long as it is between the same cells, and the map
  /// holds what was decided.
  static func isDecided(
    _ found: FoundConflict, by known: ConflictRecord, mapped: CellID?
  ) -> Bool {
    isHeld(known, mapped: mapped) && known.kind == found.kind
      && cells(of: known.evidence) == cells(of: found.evidence)
  }

  /// Whether an operator has decided, and the map holds it.
  static func isHeld(_ known: ConflictRecord, mapped: CellID?) -> Bool {
    guard let decision = known.decision, decision != ConflictDecision.byRules else { return false }
    return decision == mapped.map { ConflictDecision.cell($0) } ?? ConflictDecision.unmapped
  }

  /// Whether a decision stands against a rule that goes by what is deleted or gone: a copy that was decided against isn't
  /// the instance because the other went.
  ///
  /// - Parameter cell: Where the rule places it.
  static func isHeld(
    _ known: ConflictRecord, mapped: CellID?, against rule: RebuildPlan.Rule, in cell: CellID
  ) -> Bool {
    rule.isOfAbsence && cell != mapped && isHeld(known, mapped: mapped)
      && cells(of: known.evidence)?.contains(cell) == true
  }

  /// Whether a conflict that is open, or that an operator has decided, can't be told as long as some cells aren't read.
  static func waits(_ known: ConflictRecord, for unread: Set<CellID>) -> Bool {
    guard known.decision != ConflictDecision.byRules else { return false }
    return cells(of: known.evidence)?.contains { unread.contains($0) } ?? false
  }

  private static func row(_ copy: StagedInstance) -> JSONValue {
    .object([
      "cell": .text(copy.cell.description), "row": .printed(copy.rowID),
      "host": .printed(copy.host),
      "vm_state": .printed(copy.vmState), "task_state": .printed(copy.taskState),
      "deleted": .flag(copy.isDeleted), "hidden": .flag(copy.isHidden),
      "created_at": .printed(copy.createdAt), "updated_at": .printed(copy.updatedAt),
      "deleted_at": .printed(copy.deletedAt), "launched_at": .printed(copy.launchedAt),
    ])
  }

  private static func move(_ cell: CellID, _ move: CrossCellMove) -> JSONValue {
    .object([
      "cell": .text(cell.description), "uuid": .text(move.uuid.description),
      "source": .printed(move.source), "destination": .printed(move.destination),
      "status": .printed(move.status), "created_at": .printed(move.createdAt),
    ])
  }
}
