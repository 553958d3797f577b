import ArgumentParser
import Journal
import Projections

/// Which entries `audit who` and `audit stats` are about.
struct FilterOptions: ParsableArguments {
  @Option(help: "Those whose actor contains this text.") var actor: String?
  @Option(help: "Those whose program contains this text.") var program: String?
  @Option(help: "Those whose reason contains this text.") var reason: String?
  @Option(help: "Those whose correlation contains this text.") var correlation: String?
  @Option(help: ArgumentHelp("Those of one request.", valueName: "uuid")) var request: String?
  @Option(
    help: ArgumentHelp(
      "Those of a kind, such as 'instance moved'; several times for several.", valueName: "event"))
  var event: [String] = []
  @Option(help: "Those that name a cell: its name or UUID.") var cell: String?
  @Option(help: "Those after this moment: an entry, a time or an age ('2h ago').")
  var since: String?
  @Option(help: "Those up to this moment.") var until: String?

  func validate() throws {
    if let request, RequestID(request) == nil {
      throw ValidationError("--request wants a UUID of 36 characters.")
    }
    for name in event where Self.kind(name) == nil {
      let names = EventKind.allCases.map { "'\($0.name)'" }.joined(separator: ", ")
      throw ValidationError("--event \(name.prefix(80)): give one of \(names).")
    }
  }

  private static func kind(_ name: String) -> EventKind? {
    EventKind.allCases.first { $0.name == name }
  }

  func filter(_ session: StoreSession) throws(CommandFailure) -> EntryFilter {
    var filter = EntryFilter()
    (filter.actor, filter.program, filter.reason) = (actor, program, reason)
    filter.correlation = correlation
    filter.request = request.flatMap { RequestID($0) }
    filter.kinds = Set(event.compactMap { Self.kind($0) })
    try checkOrder()
    if let since {
      // Before the first entry there is nothing to leave out.
      let moment = try PastWhen.moment(since, "--since")
      if case .time = moment {
        try PastWhen.checkHasCome(moment, head: session.journal.head.orderedAt)
        do throws(JournalError) {
          filter.after = try session.journal.position(at: moment)?.index ?? 0
        } catch {
          throw CommandFailure(error)
        }
      } else {
        filter.after = try session.point(at: moment).position.index
      }
    }
    if let until {
      let moment = try PastWhen.moment(until, "--until")
      filter.through = try session.point(at: moment).position.index
    }
    if let end = filter.through, filter.after > end {
      throw CommandFailure(
        .usage,
        "--since is later than --until: entry \(filter.after) comes after entry \(end). Give the earlier "
          + "one as --since.")
    }
    if let cell {
      filter.cell =
        if let id = CellID(cell) { id } else {
          try EntityArgument.cell(
            cell, session.history(), during: filter.after...(filter.through ?? .max))
        }
    }
    return filter
  }

  /// Two times may have the same entry before them.
  private func checkOrder() throws(CommandFailure) {
    guard let since, let until,
      case .time(let first) = try PastWhen.moment(since, "--since"),
      case .time(let last) = try PastWhen.moment(until, "--until"), first > last
    else { return }
    throw CommandFailure(.usage, "--since \(first) is later than --until \(last): exchange them.")
  }
}

/// Reads the entries of a filter with progress on standard error.
enum EntryReading {
  static func run<Result>(
    _ filter: EntryFilter, _ session: StoreSession,
    _ body: ((UInt64) -> Void) throws(JournalError) -> Result
  ) throws(CommandFailure) -> Result {
    let last = min(filter.through ?? .max, session.journal.head.position.index)
    defer { Console.endProgress() }
    do throws(JournalError) {
      return try body { Console.progress("Reading entries: \($0) of \(last)") }
    } catch {
      throw CommandFailure(error)
    }
  }
}
