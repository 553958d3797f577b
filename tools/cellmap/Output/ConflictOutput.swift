import Journal
import Projections
import Recovery
import Registry

/// How a conflict is shown: its rows side by side, and what was decided.
enum ConflictOutput {
  static func print(_ entity: EntityKey, _ found: FoundConflict, _ names: [CellID: String]) {
    Console.say("\(entity): \(found.kind)")
    guard let evidence = try? JSONValue(parsing: found.evidence.string),
      case .list(let rows)? = evidence["rows"]
    else { return }
    let columns = [
      "host", "vm_state", "task_state", "deleted", "hidden", "created_at", "updated_at",
      "launched_at",
    ]
    for row in rows {
      let cell = row["cell"]?.string ?? "?"
      var parts = ["cell " + (CellID(cell).flatMap { names[$0] } ?? cell)]
      for column in columns {
        switch row[column] {
        case nil, .null?, .flag(false)?: continue
        case .flag(true)?: parts.append(column)
        case let value?: parts.append("\(column) \(value.string ?? value.line)")
        }
      }
      Console.say("  " + parts.joined(separator: "  "))
    }
    guard case .list(let moves)? = evidence["moves"] else { return }
    for move in moves {
      let cell = move["cell"]?.string ?? "?"
      func text(_ name: String) -> String { move[name]?.string ?? "-" }
      Console.say(
        "  move in \(CellID(cell).flatMap { names[$0] } ?? cell): \(text("source")) to "
          + "\(text("destination"))  \(text("status"))  \(text("created_at"))")
    }
  }

  static func json(_ entity: EntityKey, _ found: FoundConflict) -> JSONValue {
    var object = Self.entity(entity)
    object["conflict"] = .printed(found.kind)
    object["evidence"] = (try? JSONValue(parsing: found.evidence.string)) ?? .null
    return .object(object)
  }

  static func entity(_ entity: EntityKey) -> [String: JSONValue] {
    switch entity {
    case .instance(let id): ["instance": .printed(id)]
    case .host(let name): ["host": .printed(name)]
    case .cell(let id): ["cell": .printed(id)]
    case .store: [:]
    }
  }

  // MARK: Decisions

  /// A decision in words, with the cell's name.
  static func decision(_ text: ByteText, _ names: [CellID: String]) -> String {
    guard let name = ConflictDecision.cell(in: text).flatMap({ names[$0] }) else {
      return text.string
    }
    return "cell \(name)"
  }

  /// Why an instance has no mapping, as far as a conflict is the reason.
  ///
  /// - Parameter row: What the map knows of a conflict about it.
  static func whyUnmapped(_ id: InstanceID, _ row: ConflictRow?) -> String? {
    guard let row, row.record.leavesUnmapped else { return nil }
    let kind = row.record.kind
    return row.record.decision == nil
      ? "Instance \(id) is in conflict and has no mapping: \(kind). 'conflicts show \(id)' shows its rows, "
        + "'conflicts resolve' decides."
      : "Instance \(id) has no mapping, as entry \(row.changedAt) decided: \(kind). 'conflicts show \(id)' shows "
        + "who decided, and why."
  }
}
