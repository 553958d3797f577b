import ArgumentParser
import Journal
import Projections
import Recovery
import Registry
import Router

/// `cellmap audit bisect FROM..TO -- QUESTION`: the first entry after which an answer was another one.
struct AuditBisectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bisect", abstract: "Finds the first entry after which an answer changed.",
    usage: """
      cellmap audit bisect <from..to> [--part <name> ...] [--expect <part=value>] -- <question> ...
      cellmap audit bisect <from..to> --cell <uuid> [--deadline <milliseconds>]
      """,
    discussion: """
      QUESTION is a read command as 'audit at' takes it, behind '--'. FROM and TO are entries, times or \
      ages; without TO up to now. With --part only a part of the answer counts, under the name that \
      JSON has for it; with --expect the answer is whether a part is that value. With --cell the cells \
      are asked for an instance now, and the entry is found since which the map has not agreed with \
      them. The entries are found by the history, and nothing is replayed. Exit 1 if nothing changed.

        cellmap audit bisect '7d ago..' -- route 00362c73-3663-435a-98a7-1b33c690f5c4
        cellmap audit bisect 1:42.. --expect cell=gamma -- route 00362c73-3663-435a-98a7-1b33c690f5c4
        cellmap audit bisect 1.. -- instance list --count --cell gamma
        cellmap audit bisect 1.. --cell 00362c73-3663-435a-98a7-1b33c690f5c4
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var base: BaseOptions
  @Argument(help: ArgumentHelp("From when to when.", valueName: "from..to")) var range: String
  @Argument(
    parsing: .postTerminator, help: ArgumentHelp("The read command.", valueName: "question"))
  var question: [String] = []
  @Option(
    help: ArgumentHelp(
      "Only this part of the answer, such as 'database'; may be repeated.", valueName: "name"))
  var part: [String] = []
  @Option(help: ArgumentHelp("Whether a part is a value: 'cell=gamma'.", valueName: "part=value"))
  var expect: String?
  @Option(help: ArgumentHelp("The instance that the cells are asked for.", valueName: "uuid"))
  var cell: String?
  @Option(help: ArgumentHelp("How long a cell may take to answer.", valueName: "milliseconds"))
  var deadline = 2000

  func validate() throws {
    guard (cell == nil) != question.isEmpty else {
      throw ValidationError("Give a question behind '--', or --cell with an instance.")
    }
    guard cell == nil || (part.isEmpty && expect == nil) else {
      throw ValidationError("--part and --expect are for a question, not for --cell.")
    }
    guard part.isEmpty || expect == nil else { throw ValidationError("Give --part or --expect.") }
    guard expect == nil || expect?.contains("=") == true else {
      throw ValidationError("--expect wants PART=VALUE, such as cell=gamma.")
    }
    guard (1...600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 600000 milliseconds.")
    }
    // What is wrong with the question as such is followed by this command's usage; what its own words
    // lack is told by `run`, with the usage of the question.
    guard !question.isEmpty else { return }
    do { _ = try BisectQuestion(words: question) } catch let error as ValidationError {
      throw error
    } catch {}
  }

  /// JSON is asked for by the command, or by the question.
  private var json: Bool { store.json || question.contains("--json") }

  func run() throws {
    let given = try PastWhen.range(range, "FROM..TO")
    let session = try StoreSession(store)
    let asked = cell == nil ? try BisectQuestion(words: question) : nil
    let history = try session.history()
    let start = try session.start(at: given.first)
    let end = try session.point(at: given.last ?? .position(history.head))
    guard start.position.index <= end.position.index else {
      throw CommandFailure(
        .usage, "\(start.position) is later than \(end.position): give the earlier one first.")
    }
    if let cell { return try bisect(cell, from: start, to: end, history, session) }
    guard let asked else { return }
    let indexes = start.position.index...end.position.index
    let view = try session.view(at: end, history)
    let question = try asked.question(history, view, during: indexes)
    let parts = try checkedParts(of: question)
    let expected = try expect.map { text throws(CommandFailure) in
      try Expectation(text, history, during: indexes)
    }
    let change = try projections { () throws(ProjectionError) in
      try history.firstChange(
        of: question, after: start.position.index, upTo: end.position.index, parts: parts,
        counts: expected.map { expected in { expected.holds($0) } })
    }
    let naming = CellNaming(history)
    let output = BisectOutput(from: start, to: end, json: json, naming: naming)
    try output.print(change.map { ($0.step, $0.changes) }, else: "The answer stayed the same")
  }

  /// The parts that were asked for.
  ///
  /// - Throws: `usage` for one that the answer doesn't have.
  private func checkedParts(of question: PastQuestion) throws(CommandFailure) -> Set<String>? {
    let known = question.partNames
    let named = part + (expect.map { [String($0.prefix { $0 != "=" })] } ?? [])
    for name in named where !known.contains(name) {
      throw CommandFailure(
        .usage,
        "The answer has no part '\(name.prefix(80))'. It has \(known.joined(separator: ", ")).")
    }
    if expect != nil, question.isList {
      throw CommandFailure(.usage, "--expect is for 'route', 'instance show' and 'cell show'.")
    }
    return part.isEmpty ? nil : Set(part)
  }

  // MARK: The cells

  private func bisect(
    _ text: String, from start: PastPoint, to end: PastPoint, _ history: MapHistory,
    _ session: StoreSession
  ) throws {
    guard let id = InstanceID(text) else {
      throw CommandFailure(.usage, UUIDArgument.complaint(about: text, "--cell"))
    }
    let asked = try CellsWord(of: id, session, base, deadline: .milliseconds(deadline))
    let found = try projections { () throws(ProjectionError) in
      try history.disagreement(of: .instance(id), upTo: end.position.index) { row in
        asked.agrees(with: row?.instance?.record)
      }
    }
    let naming = CellNaming(history)
    if !store.json { Console.say(asked.sentence(naming)) }
    let output = BisectOutput(
      from: start, to: end, json: store.json, naming: naming, more: asked.fields)
    guard let found else { return try output.print(nil, else: "The map agrees with the cells") }
    guard let step = found.since else {
      return try output.print(nil, else: "The map has never agreed with the cells")
    }
    guard step.entry.position.index > start.position.index else {
      return try output.print(
        nil, else: "The map has not agreed with the cells since \(step.entry.position) already")
    }
    try output.print((step, step.changes), else: "")
  }
}

/// A read command, as a question of which the answer may have changed.
struct BisectQuestion {
  private let command: any ParsableCommand
  private static let readers =
    "route, instance show, instance list, cell list, cell show and host list"
  private static let roots = ["route", "instance", "cell", "host"]

  init(words: [String]) throws {
    // A word that is no command at all belongs to none whose usage could be shown.
    guard Self.roots.contains(words[0]) else {
      throw ValidationError("'audit bisect' asks \(Self.readers); nothing else has a past.")
    }
    command = try Cellmap.parseAsRoot(words)
    if let route = command as? RouteCommand, route.instances.count != 1 || route.instances == ["-"]
    {
      throw ValidationError("Ask for one instance at a time.")
    }
    guard isKnown else {
      throw ValidationError("'audit bisect' asks \(Self.readers); nothing else has a past.")
    }
    guard !isOfNow else { throw ValidationError("The question has --live or --at: leave it out.") }
  }

  private var isKnown: Bool {
    command is RouteCommand || command is InstanceShowCommand || command is InstanceListCommand
      || command is CellShowCommand || command is CellListCommand || command is HostListCommand
  }

  private var isOfNow: Bool {
    switch command {
    case let route as RouteCommand: route.past.at != nil
    case let show as InstanceShowCommand: show.live || show.past.at != nil
    case let list as InstanceListCommand: list.live.isLive || list.past.at != nil
    case let show as CellShowCommand: show.past.at != nil
    case let list as CellListCommand: list.past.at != nil
    case let list as HostListCommand: list.past.at != nil
    default: false
    }
  }

  /// The question, with cells by their UUIDs: names are those at the end, or those that cells bore once.
  ///
  /// - Throws: `unknown` for what the journal never had.
  func question(
    _ history: MapHistory, _ view: PastReading, during indexes: ClosedRange<UInt64>
  ) throws -> PastQuestion {
    func cell(_ text: String) throws(CommandFailure) -> CellID {
      try EntityArgument.cell(text, history, during: indexes)
    }
    switch command {
    case let route as RouteCommand:
      return .route(try Self.instance(route.instances[0], history))
    case let show as InstanceShowCommand:
      return .instance(try Self.instance(show.argument.instance, history))
    case let show as CellShowCommand: return .cell(try cell(show.cell))
    case let list as HostListCommand: return .hosts(in: try list.cell.map { try cell($0) })
    case let list as InstanceListCommand:
      guard list.after == nil else {
        throw CommandFailure(.usage, "--after is for pages of a list: leave it out.")
      }
      guard let name = list.cell, name != "none" else {
        return .instances(try list.selection(view), isCounted: list.count)
      }
      return .instances(try list.selection(in: .cell(try cell(name))), isCounted: list.count)
    default: return .cells
    }
  }

  private static func instance(
    _ text: String, _ history: MapHistory
  ) throws(CommandFailure) -> InstanceID {
    guard let id = InstanceID(text) else {
      throw CommandFailure(.usage, UUIDArgument.complaint(about: text))
    }
    _ = try EntityArgument.entity("instance:\(id)", history)
    return id
  }
}

extension PastQuestion {
  var isList: Bool {
    switch self {
    case .route, .instance, .cell: false
    case .cells, .hosts, .instances: true
    }
  }

  /// The names of the parts of an answer, or of what is in a list.
  var partNames: [String] {
    let cell = EntityRow.cell(CellRow(record: CellRecord(name: nil), changedAt: 0))
    let host = EntityRow.host(HostRow(record: HostRecord(cell: .cell0), changedAt: 0))
    let owner = InstanceOwner(project: nil as PersonalText?, user: nil)
    let instance = EntityRow.instance(
      InstanceRow(record: InstanceRecord(cell: .cell0, owner: owner), changedAt: 0))
    switch self {
    case .route(let id):
      return answer([.instance(id): instance, .cell(.cell0): cell]).map(\.name)
    case .instance, .instances: return instance.fields.map(\.name)
    case .cell, .cells: return cell.fields.map(\.name)
    case .hosts: return host.fields.map(\.name)
    }
  }
}

/// That a part of an answer is a value.
private struct Expectation {
  private let part: String
  private let value: String

  /// `PART=VALUE`; a cell is named by its name or UUID.
  init(
    _ text: String, _ history: MapHistory, during indexes: ClosedRange<UInt64>
  ) throws(CommandFailure) {
    part = String(text.prefix { $0 != "=" })
    let value = String(text.dropFirst(part.count + 1))
    if part == "cell", value != "null" {
      self.value = try EntityArgument.cell(value, history, during: indexes).description
    } else {
      self.value = value
    }
  }

  /// Texts as they are, and everything else as JSON has it; no part at all is 'null', too.
  func holds(_ fields: [RecordField]) -> Bool {
    switch fields.first(where: { $0.name == part })?.value {
    case nil, .null?: value == "null"
    case .text(let text)?: ByteText(text) == ByteText(value)
    case .flag(let flag)?: [flag ? "true" : "false", flag ? "yes" : "no"].contains(value)
    case let other?: other.line == value
    }
  }
}
