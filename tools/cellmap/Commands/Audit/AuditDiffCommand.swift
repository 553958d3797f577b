import ArgumentParser
import Journal
import Projections

/// `cellmap audit diff A B`: what is different between two moments.
struct AuditDiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff",
    abstract: "Shows what changed in the map between two moments, and by which entries.",
    discussion: """
      A and B are entries (42 or 1:42), times or ages; B is the head if it is left out. What changed \
      and became again what it was is only counted. With --json each thing is a line, and the last \
      line is the summary by cell and project.
      """)
  @OptionGroup var store: StoreOptions
  @Argument(help: "The earlier moment.") var from: String
  @Argument(help: "The later one; default: the head.") var to: String?
  @Option(help: "Only what is, or was, in a cell (name or UUID), and the cell itself.")
  var cell: String?
  @Option(help: "Only a host, and instances that were seen on it.") var host: String?
  @Option(help: "Only instances of a project.") var project: String?
  @Option(help: "How many instances are shown to people; 0 for all.") var limit = 100

  func validate() throws {
    guard limit >= 0 else { throw ValidationError("--limit must not be negative.") }
  }

  func run() throws {
    let session = try StoreSession(store)
    let moments = (
      try PastWhen.moment(from, "A"),
      try to.map { text throws(CommandFailure) in try PastWhen.moment(text, "B") }
    )
    let history = try session.history()
    let first = try session.start(at: moments.0)
    let second = try session.point(at: moments.1 ?? .position(history.head))
    guard first.position.index <= second.position.index else {
      throw CommandFailure(
        .usage, "\(first.position) is later than \(second.position): give the earlier one first.")
    }
    let found = try projections { () throws(ProjectionError) in
      try history.difference(from: first.position, to: second.position)
    }
    guard let difference = found else {
      throw CommandFailure(
        .usage,
        "More than \(MapDifference.maximumEntities) things changed between \(first.position) and "
          + "\(second.position): give moments that are closer, or see 'audit stats'.")
    }
    var selection = DifferenceSelection(host: host, project: project)
    if let cell {
      selection.cell = try EntityArgument.cell(
        cell, history, during: first.position.index...second.position.index)
    }
    let shown = difference.differences.filter { selection.holds($0) }
    if shown.isEmpty { try selection.checkKnown(to: history) }
    let report = DifferenceReport(
      shown, naming: CellNaming(history, upTo: second.position.index))
    if store.json {
      report.printJSON()
      return printEnd(report, difference, first, second)
    }
    Console.print(
      "From \(Self.name(first)) to \(second.position) (\(second.orderedAt)):")
    let empty =
      selection.isEverything || difference.differences.isEmpty
      ? "Nothing is different."
      : "Nothing is different of what was asked for; "
        + "\(counted(difference.differences.count, "other thing")) changed."
    report.print(empty: empty, limit: limit)
    if difference.unchanged > 0 {
      Console.print("\(counted(difference.unchanged, "thing")) changed and became again what was.")
    }
  }

  private static func name(_ point: PastPoint) -> String {
    point.position == .start ? "the beginning" : "\(point.position) (\(point.orderedAt))"
  }

  /// The last line. Where the journal began later, there is no entry to begin with.
  private func printEnd(
    _ report: DifferenceReport, _ difference: MapDifference, _ first: PastPoint,
    _ second: PastPoint
  ) {
    let isFromStart = first.position == .start
    let fields: [String: JSONValue] = [
      "from": isFromStart ? .null : .printed(first.position),
      "from_time": isFromStart ? .null : .printed(first.orderedAt),
      "to": .printed(second.position), "to_time": .printed(second.orderedAt),
      "as_before": .number(difference.unchanged), "position": .printed(second.position),
    ]
    Console.print(JSONValue.object(fields.merging(report.sums) { $1 }).line)
  }
}

/// Which things of a difference are in question.
struct DifferenceSelection {
  var cell: CellID?
  var host: String?
  var project: String?

  var isEverything: Bool { cell == nil && host == nil && project == nil }

  /// - Throws: `unknown` for a host or project of which no entry of the journal tells. Reads them all.
  func checkKnown(to history: MapHistory) throws(CommandFailure) {
    if let host {
      let entries = try projections { () throws(ProjectionError) in
        try history.entries(of: .host(ByteText(host)))
      }
      if entries.isEmpty, try !isTold(history, of: [.instanceHostSeen], { $0.sightedHost == host })
      {
        throw unknown("host '\(host.prefix(80))'", history)
      }
    }
    if let project {
      try OwnerOutput.checkCanTell()
      let kinds: Set<EventKind> = [.instanceMapped, .instanceUnmapped, .instanceOwnerChanged]
      let isThere = try isTold(history, of: kinds) { event in
        event.opened(by: OwnerOutput.keys).projects.contains {
          PersonalText?.some($0).shown == project
        }
      }
      if !isThere { throw unknown("project '\(project.prefix(80))'", history) }
    }
  }

  private func isTold(
    _ history: MapHistory, of kinds: Set<EventKind>, _ tells: (Event) -> Bool
  ) throws(CommandFailure) -> Bool {
    var filter = EntryFilter()
    filter.kinds = kinds
    var isTold = false
    do throws(JournalError) {
      try history.journal.forEachEntry(matching: filter) { isTold = isTold || tells($0.event) }
    } catch {
      throw CommandFailure(error)
    }
    return isTold
  }

  private func unknown(_ what: String, _ history: MapHistory) -> CommandFailure {
    CommandFailure(
      .unknown,
      "The journal has no entry about \(what). Entries up to \(history.head) were looked at.")
  }

  func holds(_ difference: EntityDifference) -> Bool {
    let rows = [difference.before, difference.after].compactMap(\.self)
    if let cell, difference.entity != .cell(cell), !rows.contains(where: { $0.place == cell }) {
      return false
    }
    if let host {
      let seen = rows.contains { $0.instance?.record.lastSeen?.host == ByteText(host) }
      guard seen || difference.entity == .host(ByteText(host)) else { return false }
    }
    if let project {
      return rows.contains { $0.instance?.record.owner.project.shown == project }
    }
    return true
  }
}

extension EntityRow {
  /// The cell in which a host or an instance is.
  var place: CellID? {
    switch self {
    case .cell: nil
    case .host(let row): row.record.cell
    case .instance(let row): row.record.cell
    }
  }
}

extension Event {
  /// The host on which an instance was seen.
  fileprivate var sightedHost: String? {
    if case .instance(_, .hostSeen(let sighting)) = self { sighting.host.string } else { nil }
  }
}
