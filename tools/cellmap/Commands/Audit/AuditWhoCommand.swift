import ArgumentParser
import Journal
import Projections

/// `cellmap audit who`: who changed the map, and how much.
struct AuditWhoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "who", abstract: "Shows who changed the map, the biggest changes first.",
    discussion: """
      Entries are counted by request, which is one command, or by what --by names. Every entry of the \
      time in question is read: a few seconds for a million.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var filter: FilterOptions
  @Option(help: "What entries are counted by: request, actor, program, reason, kind or cell.")
  var by = CountedBy.request
  @Option(help: "At most so many lines; 0 for all.") var limit = 50

  func validate() throws {
    guard limit >= 0 else { throw ValidationError("--limit must not be negative.") }
  }

  func run() throws {
    let session = try StoreSession(store)
    let filter = try filter.filter(session)
    let found = try EntryReading.run(filter, session) { (progress) throws(JournalError) in
      try ChangeGroups(of: session.journal, matching: filter, by: by.key, progress: progress)
    }
    let shown = limit == 0 ? found.groups[...] : found.groups.prefix(limit)
    let end = session.journal.head.position
    if store.json {
      for group in shown { Console.print(json(group)) }
      let fields: [String: JSONValue] = [
        "entries": .number(found.entries), "groups": .number(found.groups.count),
        "others": .number(found.others), "position": .printed(end),
      ]
      return Console.print(JSONValue.object(fields).line)
    }
    try print(shown, session)
    if shown.count < found.groups.count {
      Console.remark(
        "\(found.groups.count - shown.count) smaller ones: give a larger --limit, or 0 for all.")
    }
    if found.others > 0 {
      Console.remark("\(counted(found.others, "entry")) in groups of one were not kept apart.")
    }
    Console.print("\(counted(found.entries, "entry")), read up to \(end).")
  }

  private func print(_ groups: ArraySlice<ChangeGroup>, _ session: StoreSession) throws {
    let title = by == .request ? "REQUEST" : by.rawValue.uppercased()
    // Of a whole group only what it shares is true, and of a request all of it.
    let columns = ["ENTRIES", title, "FIRST", "LAST", "TIME", "WHAT"]
    var table = by == .request ? Table(columns + ["BY", "WHY"]) : Table(columns)
    let naming = by == .cell ? CellNaming(try session.history()) : nil
    for group in groups {
      let cell = naming.flatMap { naming in CellID(group.key).map { naming.name(of: $0) } }
      let row: [String?] = [
        "\(group.count)", cell ?? (isNone(group) ? "-" : group.key), "\(group.first)",
        "\(group.last)", "\(group.firstAt)", kinds(group),
      ]
      let author = [group.authorship.actor.string, group.authorship.reason?.string]
      table.add(by == .request ? row + author : row)
    }
    table.print(empty: "No entry is in question.")
  }

  /// Entries that nobody asked for, such as a store's first ones, belong to no request.
  private func isNone(_ group: ChangeGroup) -> Bool { by == .request && group.request == .none }

  private func kinds(_ group: ChangeGroup) -> String {
    group.kinds.sorted { $0.value == $1.value ? $0.key.name < $1.key.name : $0.value > $1.value }
      .map { "\($0.value) \($0.key.name)" }.joined(separator: ", ")
  }

  private func json(_ group: ChangeGroup) -> String {
    var kinds: [String: JSONValue] = [:]
    for (kind, count) in group.kinds { kinds[kind.name] = .number(count) }
    let fields: [String: JSONValue] = [
      by.rawValue: isNone(group) ? .null : .text(group.key), "entries": .number(group.count),
      "first": .printed(group.first), "first_at": .printed(group.firstAt),
      "last": .printed(group.last), "last_at": .printed(group.lastAt), "events": .object(kinds),
    ]
    // Of a whole group only what it shares is true, and of a request all of it.
    guard by == .request else { return JSONValue.object(fields).line }
    let authorship = group.authorship
    let author: [String: JSONValue] = [
      "actor": .printed(authorship.actor), "program": .printed(authorship.program),
      "reason": .printed(authorship.reason), "correlation": .printed(authorship.correlation),
      "observed": .flag(authorship.isObserved),
    ]
    return JSONValue.object(fields.merging(author) { $1 }).line
  }
}

/// What `audit who` counts by.
enum CountedBy: String, ExpressibleByArgument, CaseIterable {
  case request, actor, program, reason, kind, cell

  var key: ChangeGroups.Key {
    switch self {
    case .request: .request
    case .actor: .actor
    case .program: .program
    case .reason: .reason
    case .kind: .kind
    case .cell: .cell
    }
  }
}
