import ArgumentParser
import Journal
import Projections

/// `cellmap audit history`: the lives of things.
struct AuditHistoryCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "history",
    abstract: "Shows every entry about an instance, a host, a cell or the store itself.",
    discussion: """
      Each entry with its time, author and reason, and what it changed. With --json a line is a \
      version: it holds from 'position' up to 'until', which is null for the last one up to \
      'read_up_to'.
      """)
  @OptionGroup var store: StoreOptions
  @Argument(help: ArgumentHelp(EntityArgument.help, valueName: "entity")) var entities: [String]
  @Option(help: "Only entries up to then: an entry, a time or an age.") var until: String?

  func run() throws {
    let session = try StoreSession(store)
    let moment = try until.map { text throws(CommandFailure) in
      try PastWhen.moment(text, "--until")
    }
    let history = try session.history()
    let last = try moment.map { moment throws(CommandFailure) in
      try session.point(at: moment).position
    }
    let naming = CellNaming(history)
    for (place, text) in entities.enumerated() {
      let entity = try EntityArgument.entity(
        text, history, during: 0...(last ?? history.head).index)
      let versions = try projections { () throws(ProjectionError) in
        try history.versions(of: entity, upTo: last?.index)
      }
      if store.json {
        for version in versions {
          Console.print(json(version, naming, upTo: last ?? history.head).line)
        }
      } else {
        if place > 0 { Console.print("") }
        tell(entity, versions, naming, upTo: last ?? history.head)
      }
    }
  }

  private func tell(
    _ entity: EntityKey, _ versions: [EntityVersion], _ naming: CellNaming,
    upTo last: Position
  ) {
    Console.say("\(entity)")
    var table = Table("POSITION", "TIME", "WHAT", "BY", "WHY")
    for version in versions {
      let entry = version.entry
      naming.upTo = entry.position.index
      table.add(
        "\(entry.position)", "\(entry.orderedAt)", EntryOutput.sentence(entry.event, naming),
        EntryOutput.author(of: entry), entry.draft.authorship.reason?.string)
    }
    table.print(empty: "No entry was about it then.")
    Console.print("True at \(last).")
  }

  private func json(
    _ version: EntityVersion, _ naming: CellNaming, upTo last: Position
  ) -> JSONValue {
    naming.upTo = version.entry.position.index
    var fields = EntryOutput.fields(of: version.entry)
    fields.merge(version.entry.event.entity.fields) { $1 }
    fields["until"] = .printed(version.until)
    fields["read_up_to"] = .printed(last)
    fields["text"] = .text(EntryOutput.sentence(version.entry.event, naming))
    fields["changes"] = DifferenceOutput.fields(version.changes)
    fields["record"] = DifferenceOutput.record(version.after)
    return .object(fields)
  }
}
