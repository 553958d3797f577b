import Journal
import Projections

/// `replay --follow`: entries one after the other, each with what it changed.
struct StepOutput {
  private let session: StoreSession
  private let json: Bool

  init(_ session: StoreSession, json: Bool) {
    self.session = session
    self.json = json
  }

  /// - Parameter only: The things whose entries are shown; empty for all.
  func follow(from: String?, to: String?, _ only: [String]) throws(CommandFailure) {
    let first = try from.map { text throws(CommandFailure) in
      try PastWhen.moment(text, "--from")
    }
    let last = try to.map { text throws(CommandFailure) in try PastWhen.moment(text, "--to") }
    let history = try session.history()
    let range = try session.entries(in: PastRange(first ?? .index(1), last))
    var entities: Set<EntityKey> = []
    for text in only {
      entities.insert(
        try EntityArgument.entity(
          text, history, during: range.lowerBound - 1...range.upperBound))
    }
    let naming = CellNaming(history)
    var shown = 0
    try projections { () throws(ProjectionError) in
      try history.forEachStep(in: range, of: only.isEmpty ? nil : entities) { step in
        naming.upTo = step.entry.position.index
        print(step, naming)
        shown += 1
        return .more
      }
    }
    if !json, shown == 0 {
      Console.print(
        "No entry from \(range.lowerBound) to \(range.upperBound) is about that.")
    }
    if !json || shown == 0 { AnswerPosition.say(history.head) }
  }

  private func print(_ step: EntryStep, _ naming: CellNaming) {
    if json { return Console.print(JSONValue.object(Self.fields(of: step, naming)).line) }
    let entry = step.entry
    let reason = entry.draft.authorship.reason.map { ": \($0)" } ?? ""
    Console.say(
      "\(entry.position)  \(entry.orderedAt)  \(Self.name(of: entry.event.entity, naming))  "
        + "\(EntryOutput.sentence(entry.event, naming))  (\(EntryOutput.author(of: entry))\(reason))"
    )
    let changes = DifferenceOutput.sentence(step.changes, naming)
    if !changes.isEmpty { Console.say("    \(changes)") }
  }

  /// An entry with what it changed, as JSON.
  static func fields(of step: EntryStep, _ naming: CellNaming) -> [String: JSONValue] {
    var fields = EntryOutput.fields(of: step.entry)
    fields.merge(step.entry.event.entity.fields) { $1 }
    fields["text"] = .text(EntryOutput.sentence(step.entry.event, naming))
    fields["changes"] = DifferenceOutput.fields(step.changes)
    fields["before"] = DifferenceOutput.record(step.before)
    fields["record"] = DifferenceOutput.record(step.after)
    return fields
  }

  static func name(of entity: EntityKey, _ naming: CellNaming) -> String {
    if case .cell(let id) = entity { return "cell \(naming.name(of: id))" }
    return entity.description
  }
}
