import Cells
import Journal
import Projections
import Router

/// How connections to cells are printed: what each may take, and how it stands.
enum PoolOutput {
  static func limits(_ settings: CellPoolSettings) -> [String: JSONValue] {
    let breaker = settings.breaker
    return [
      "connections": .number(settings.connections), "waiters": .number(settings.waiters),
      "idle_ms": .number(milliseconds(settings.idleTime)),
      "connection_lifetime_ms": .number(milliseconds(settings.connectionLifetime)),
      "breaker_failures": .number(breaker.failures),
      "breaker_counted_wait_ms": .number(milliseconds(breaker.countedWait)),
      "breaker_first_pause_ms": .number(milliseconds(breaker.firstPause)),
      "breaker_longest_pause_ms": .number(milliseconds(breaker.longestPause)),
      "breaker_probe_ms": .number(milliseconds(breaker.probeTime)),
    ]
  }

  static func limits(_ settings: QueuePoolSettings) -> [String: JSONValue] {
    [
      "connections": .number(settings.connections),
      "idle_ms": .number(milliseconds(settings.idleTime)),
    ]
  }

  /// The limits in the order in which they are met.
  static let order = [
    "connections", "waiters", "idle_ms", "connection_lifetime_ms", "breaker_failures",
    "breaker_counted_wait_ms", "breaker_first_pause_ms", "breaker_longest_pause_ms",
    "breaker_probe_ms",
  ]

  static func fields(_ condition: CellCondition) -> [String: JSONValue] {
    var fields: [String: JSONValue] = [
      "cell": .printed(condition.target.id), "cell_name": .printed(condition.target.name),
      "answered": .flag(condition.failure == nil), "breaker": .text(word(condition)),
      "connections": .number((condition.pool?.idle ?? 0) + (condition.pool?.inUse ?? 0)),
      "took_ms": .number(milliseconds(condition.took)),
    ]
    if let failure = condition.failure {
      fields["error"] = .text(CellNames.spoken(failure.description))
    } else if !condition.isProven {
      fields["cell_identity"] = .text("unproven")
    }
    return fields
  }

  static func print(_ conditions: [CellCondition]) {
    var table = Table("CELL", "ANSWER", "TOOK", "CONNECTIONS", "BREAKER")
    for condition in conditions {
      let connections = (condition.pool?.idle ?? 0) + (condition.pool?.inUse ?? 0)
      table.add(
        condition.target.name?.string ?? condition.target.id.description,
        condition.failure == nil ? (condition.isProven ? "yes" : "yes, unproven") : "no",
        "\(milliseconds(condition.took)) ms", "\(connections)", breaker(condition))
    }
    Console.print("")
    table.print(empty: "There are no cells.")
    for failure in conditions.compactMap(\.failure) {
      Console.remark(failure.description)
    }
  }

  private static func breaker(_ condition: CellCondition) -> String {
    switch condition.pool?.breaker {
    case nil, .closed?: "closed"
    case .failing(let failures, _)?: "closed after \(failures) failures"
    case .open(_, let failures, _)?: "open after \(failures) failures"
    }
  }

  private static func word(_ condition: CellCondition) -> String {
    switch condition.pool?.breaker {
    case nil, .closed?: "closed"
    case .failing?: "failing"
    case .open?: "open"
    }
  }

  private static func milliseconds(_ duration: Duration) -> Int {
    Int(duration / .milliseconds(1))
  }
}
