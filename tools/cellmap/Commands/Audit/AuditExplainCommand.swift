import ArgumentParser
import Journal
import Projections

/// `cellmap audit explain`: why a route is what it is.
struct AuditExplainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "explain",
    abstract: "Shows which entry made each part of an instance's route what it is.",
    discussion: """
      The instance's cell, owner, mark and last known host, and the name and addresses of that cell; \
      each with the entry, its time, its author and why. With WHEN (an entry, a time or an age) as \
      the map stood then. With --json each part is a line.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var argument: InstanceArgument
  @Argument(help: "When; default: the head.") var when: String?

  func run() throws {
    let id = try argument.id()
    let session = try StoreSession(store)
    let moment = try when.map { text throws(CommandFailure) in
      try PastWhen.moment(text, "WHEN")
    }
    let history = try session.history()
    let point = try session.point(at: moment ?? .position(history.head))
    let index = point.position.index
    let instance = try projections { () throws(ProjectionError) in
      try history.origins(of: .instance(id), at: index)
    }
    guard !instance.isEmpty else { throw try unknown(id, point, history) }
    let row = try projections { () throws(ProjectionError) in
      try history.row(of: .instance(id), at: index)
    }
    var cell: [FieldOrigin] = []
    if let place = row?.place {
      cell = try projections { () throws(ProjectionError) in
        try history.origins(of: .cell(place), at: index)
      }
    }
    let naming = CellNaming(history, upTo: index)
    if store.json {
      for origin in instance {
        Console.print(json(origin, .instance(id), naming, point, isPast: moment != nil))
      }
      for origin in cell {
        guard let place = row?.place else { break }
        Console.print(json(origin, .cell(place), naming, point, isPast: moment != nil))
      }
      return
    }
    Console.print("Instance \(id) at \(point.position) (\(point.orderedAt)):")
    var table = Table("PART", "VALUE", "ENTRY", "TIME", "WHAT", "BY", "WHY")
    for origin in instance + cell.filter({ Self.cellParts.contains($0.field.name) }) {
      let entry = origin.entry
      table.add(
        origin.field.name, DifferenceOutput.shown(origin.field.value, origin.field.name, naming),
        "\(entry.position)", "\(entry.orderedAt)", entry.event.kind.name,
        EntryOutput.author(of: entry), entry.draft.authorship.reason?.string)
    }
    table.print(empty: "")
  }

  /// Parts of a cell that a route is made of.
  private static let cellParts: Set = ["cell_name", "database", "queue", "options", "disabled"]

  private func json(
    _ origin: FieldOrigin, _ entity: EntityKey, _ naming: CellNaming, _ point: PastPoint,
    isPast: Bool
  ) -> String {
    var fields = EntryOutput.fields(of: origin.entry)
    fields.merge(entity.fields) { $1 }
    fields["part"] = .text(origin.field.name)
    fields["value"] = origin.field.value
    fields["entry"] = fields["position"]
    fields["text"] = .text(EntryOutput.sentence(origin.entry.event, naming))
    fields["position"] = .printed(point.position)
    if isPast { fields["past"] = .flag(true) }
    return JSONValue.object(fields).line
  }

  /// That the map held nothing of the instance then, and what the journal says of it otherwise.
  private func unknown(
    _ id: InstanceID, _ point: PastPoint, _ history: MapHistory
  ) throws(CommandFailure) -> CommandFailure {
    let entries = try projections { () throws(ProjectionError) in
      try history.entries(of: .instance(id))
    }
    let before = entries.last { $0.position.index <= point.position.index }
    let after = entries.first { $0.position.index > point.position.index }
    var text = "The map held no instance \(id) at \(point.position)."
    if let before {
      text += " Entry \(before.position) (\(before.event.kind.name)) had taken it away."
    }
    if let after { text += " Entry \(after.position) (\(after.event.kind.name)) came later." }
    return CommandFailure(.unknown, text)
  }
}
