import ArgumentParser
import Journal
import Projections

/// `cellmap audit stats`: what happened, in numbers.
struct AuditStatsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats",
    abstract: "Counts entries by kind, cell, project, actor and day, with churn and growth.",
    discussion: """
      Growth is what a cell, a project or the cloud gained in instances; churn, how often an instance \
      came, moved or went. Every entry of the time in question is read: a few seconds for a million.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var filter: FilterOptions
  @Option(help: "At most so many lines of a table, the largest first; 0 for all.") var limit = 20

  func validate() throws {
    guard limit >= 0 else { throw ValidationError("--limit must not be negative.") }
  }

  func run() throws {
    let session = try StoreSession(store)
    let filter = try filter.filter(session)
    let found = try EntryReading.run(filter, session) { (progress) throws(JournalError) in
      try JournalStatistics(
        of: session.journal, matching: filter, owners: OwnerOutput.keys, progress: progress)
    }
    if store.json { return Console.print(json(found, session).line) }
    guard let first = found.first, let last = found.last else {
      return Console.print("No entry is in question; read up to \(session.journal.head.position).")
    }
    let naming = CellNaming(try session.history())
    Console.print("\(counted(found.all.entries, "entry")) from \(first) to \(last).")
    counts("EVENT", found.kinds.map { ($0.key.name, $0.value) })
    counts("ACTOR", found.actors.map { ($0.key, $0.value) })
    flows("CELL", largest(found.cells.map { (naming.name(of: $0.key), $0.value) }))
    flows("PROJECT", largest(found.projects.map { ($0.key, $0.value) }))
    let days = found.days.sorted { $0.key < $1.key }
    flows("DAY", days.map { (String("\($0.key)".prefix(10)), $0.value) })
    Console.print("Churn \(found.all.churn), growth \(found.all.growth) instances.")
  }

  private func counts(_ title: String, _ items: [(name: String, count: UInt64)]) {
    var table = Table(title, "ENTRIES")
    let sorted = items.sorted { $0.count == $1.count ? $0.name < $1.name : $0.count > $1.count }
    for item in limit == 0 ? sorted[...] : sorted.prefix(limit) {
      table.add(item.name, "\(item.count)")
    }
    Console.print("")
    table.print(empty: "")
    if limit > 0, sorted.count > limit { Console.print("… and \(sorted.count - limit) more") }
  }

  private func largest(
    _ items: [(name: String, flow: JournalStatistics.Flow)]
  ) -> [(name: String, flow: JournalStatistics.Flow)] {
    items.sorted {
      $0.flow.entries == $1.flow.entries ? $0.name < $1.name : $0.flow.entries > $1.flow.entries
    }
  }

  private func flows(_ title: String, _ items: [(name: String, flow: JournalStatistics.Flow)]) {
    guard !items.isEmpty else { return }
    var table = Table(title, "ENTRIES", "MAPPED", "UNMAPPED", "IN", "OUT", "CHURN", "GROWTH")
    // Of days the last ones are wanted, of all else the largest.
    let shown =
      limit == 0 ? items[...] : title == "DAY" ? items.suffix(limit) : items.prefix(limit)
    for (name, flow) in shown {
      table.add(
        name, "\(flow.entries)", "\(flow.mapped)", "\(flow.unmapped)", "\(flow.movedIn)",
        "\(flow.movedOut)", "\(flow.churn)", "\(flow.growth)")
    }
    Console.print("")
    table.print(empty: "")
    if shown.count < items.count { Console.print("… and \(items.count - shown.count) more") }
  }

  private func json(_ found: JournalStatistics, _ session: StoreSession) -> JSONValue {
    var fields = Self.fields(found.all)
    fields["first"] = .printed(found.first)
    fields["last"] = .printed(found.last)
    fields["position"] = .printed(session.journal.head.position)
    var events: [String: JSONValue] = [:]
    for (kind, count) in found.kinds { events[kind.name] = .number(count) }
    fields["events"] = .object(events)
    fields["actors"] = .object(found.actors.mapValues { .number($0) })
    var cells: [String: JSONValue] = [:]
    for (cell, flow) in found.cells { cells[cell.description] = .object(Self.fields(flow)) }
    fields["cells"] = .object(cells)
    fields["projects"] = .object(found.projects.mapValues { .object(Self.fields($0)) })
    var days: [String: JSONValue] = [:]
    for (day, flow) in found.days { days[String("\(day)".prefix(10))] = .object(Self.fields(flow)) }
    fields["days"] = .object(days)
    return .object(fields)
  }

  private static func fields(_ flow: JournalStatistics.Flow) -> [String: JSONValue] {
    [
      "entries": .number(flow.entries), "mapped": .number(flow.mapped),
      "unmapped": .number(flow.unmapped), "moved_in": .number(flow.movedIn),
      "moved_out": .number(flow.movedOut), "churn": .number(flow.churn),
      "growth": .number(flow.growth),
    ]
  }
}
