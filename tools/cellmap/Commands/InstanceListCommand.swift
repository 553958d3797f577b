import ArgumentParser
import Cells
import Journal
import Projections
import Router

struct InstanceListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists mappings in the order of UUIDs, from the index; with --live, instances.",
    discussion: """
      With --live all cells are asked at once, and their instances merged in the order of --sort. \
      Instances of a cell that doesn't answer come from the map, with status UNKNOWN. What is \
      missing is said on standard error; with --json it stands in the last line ('complete', 'cells'). An \
      incomplete list ends with 0 all the same, unless --require-complete makes it an error. Of both lists the \
      last line of --json says in 'next' how to go on: a page token, or a UUID for --after; null \
      after the last instance.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var base: BaseOptions
  @OptionGroup var past: PastOptions
  @OptionGroup(title: "With --live") var live: LiveListOptions
  @Option(help: "Only those of one project.") var project: String?
  @Option(help: "Only those of one user.") var user: String?
  @Option(help: "Only those of one cell (name or UUID), or 'none' for those without a cell.")
  var cell: String?
  @Flag(inversion: .prefixedNo, help: "Only those that are, or are not, queued for delete.")
  var queuedForDelete: Bool?
  @Option(help: "At most so many; 0 for all, but with --live 1 to 10000.") var limit = 1000
  @Option(help: ArgumentHelp("Those after this UUID.", valueName: "uuid")) var after: String?
  @Flag(
    help:
      "Only how many there are; with --no-queued-for-delete what Nova's quota counts, where no mark is NULL."
  )
  var count = false

  func validate() throws {
    guard limit >= 0 else { throw ValidationError("--limit must not be negative.") }
    guard !live.isLive || past.at == nil else {
      throw ValidationError("--live asks the cells now: leave --at out.")
    }
    guard live.isLive else { return try live.refuseWithoutLive() }
    guard (1...InstanceListRequest.maximumLimit).contains(limit) else {
      throw ValidationError("--limit must be 1 to 10000 with --live.")
    }
    guard !count, after == nil, queuedForDelete == nil else {
      throw ValidationError(
        "--count, --after and --queued-for-delete are for lists of mappings, without --live.")
    }
  }

  func run() throws {
    let session = try StoreSession(store)
    if live.isLive { return try listLive(session) }
    let map = try session.wholeMap(past)
    let query = InstanceQuery(selection: try selection(map), after: try cursor())
    if !store.json { map.announce() }
    if count { return try printCount(map, query) }
    var table = Table("INSTANCE", "CELL", "PROJECT", "USER", "QUEUED FOR DELETE", "LAST SEEN ON")
    let names = Dictionary(
      uniqueKeysWithValues: try map.cells().map { ($0.id, $0.row.record.name?.string) })
    var printed = 0
    var last: InstanceID?
    var isCut = false
    try query.forEach(in: map) { (id, row) throws(CommandFailure) in
      if limit > 0, printed == limit {
        isCut = true
        return false
      }
      (printed, last) = (printed + 1, id)
      if store.json {
        Console.print(JSONValue.object(try InstanceOutput.fields(id, row, map)).line)
      } else {
        let record = OwnerOutput.opened(row).record
        table.add(
          id.description, record.cell.map { (names[$0] ?? nil) ?? $0.description },
          record.owner.project.shown, record.owner.user.shown,
          record.isQueuedForDelete.map { $0 ? "yes" : "no" }, record.lastSeen?.host.string)
      }
      return true
    }
    let next = isCut ? last : nil
    if store.json {
      let end: [String: JSONValue] = ["count": .number(printed), "next": .printed(next)]
      return Console.print(JSONValue.object(end.merging(map.label) { $1 }).line)
    }
    table.print(empty: "There are no such instances.")
    map.conclude(json: false)
    if let next { Console.remark("There are more: give --after \(next), or a larger --limit.") }
  }

  private func listLive(_ session: StoreSession) throws {
    var request = try live.request()
    request.limit = limit
    request.filter.project = project.map { ByteText($0) }
    request.filter.user = user.map { ByteText($0) }
    switch cell {
    case nil: break
    case "none"?: request.scope = .withoutCell
    case let name?: request.scope = .cell(try session.map().cell(named: name).id)
    }
    let asking = RouterAsking(session: session, base: try base.addressBase())
    let deadline = Duration.milliseconds(live.deadline)
    let list = try asking.answer { router throws(RouterError) in
      try router.list(request, until: .now + deadline)
    }.answer
    let output = LiveListOutput(
      list, changedSince: request.filter.changedSince, json: store.json)
    if live.requireComplete, !list.isComplete {
      throw CommandFailure(.partial, output.refusal)
    }
    output.print()
  }

  /// The instances in question, of whichever time: what is named by a cell's name is that of the map.
  func selection(_ map: some MapView) throws(CommandFailure) -> InstanceSelection {
    guard let cell else { return try selection(in: .anywhere) }
    return try selection(in: map.cellOrNone(named: cell).map { .cell($0) } ?? .noCell)
  }

  func selection(
    in place: InstanceSelection.Place
  ) throws(CommandFailure) -> InstanceSelection {
    var selection = InstanceSelection()
    selection.place = place
    selection.owner = try OwnerOutput.filter(project: project, user: user)
    selection.isQueuedForDelete = queuedForDelete
    return selection
  }

  private func cursor() throws -> InstanceID? {
    guard let after else { return nil }
    guard let id = InstanceID(after) else {
      throw CommandFailure(.usage, UUIDArgument.complaint(about: after, "--after"))
    }
    return id
  }

  private func printCount(_ map: MapReading, _ query: InstanceQuery) throws {
    let count = try query.count(in: map)
    let gaps = try map.gaps()
    if store.json {
      let fields: [String: JSONValue] = ["count": .number(count)]
      let all = fields.merging(map.label) { $1 }.merging(gaps.json) { first, _ in first }
      Console.print(JSONValue.object(all).line)
    } else {
      Console.print("\(count)")
      gaps.warn(whatIsMappedIs: "counted")
      map.conclude(json: false)
    }
  }
}
