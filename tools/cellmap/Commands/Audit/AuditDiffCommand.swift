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
    let first = try session.point(at: moments.0)
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
    let naming = CellNaming(history)
    var selection = DifferenceSelection(host: host, project: project)
    if let cell {
      guard case .cell(let id) = try EntityArgument.entity("cell:" + cell, history) else { return }
      selection.cell = id
    }
    let output = DifferenceReport(
      difference, selection, from: first, to: second, naming: naming)
    if store.json { output.printJSON() } else { output.print(limit: limit) }
  }
}

/// Which things of a difference are in question.
struct DifferenceSelection {
  var cell: CellID?
  var host: String?
  var project: String?

  func holds(_ difference: EntityDifference) -> Bool {
    let rows = [difference.before, difference.after].compactMap(\.self)
    if let cell, difference.entity != .cell(cell), !rows.contains(where: { $0.place == cell }) {
      return false
    }
    if let host {
      let seen = rows.contains { $0.instance?.record.lastSeen?.host.string == host }
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
