import ArgumentParser
import Cells
import Journal
import Router

/// What `instance list --live` can be asked beside the filters of the map.
struct LiveListOptions: ParsableArguments {
  @Flag(name: .customLong("live"), help: "The instances of all cells, read from them now.")
  var isLive = false
  @Option(
    help: ArgumentHelp(
      "uuid, created_at, updated_at, display_name, host, project, vm_state or launched_at, each "
        + "with :asc or :desc; several with commas. NULL is less than any value.",
      valueName: "keys"))
  var sort: String?
  @Option(help: "Only those on one host.") var host: String?
  @Option(name: .customLong("vm-state"), help: "Only those in one state, as Nova writes it.")
  var vmState: String?
  @Option(help: ArgumentHelp("Only those whose name contains this.", valueName: "text"))
  var name: String?
  @Option(
    name: .customLong("changed-since"),
    help: ArgumentHelp(
      "Only those made or updated then or later: a time (2026-01-31T14:03:00Z), or an age ('2h ago').",
      valueName: "time"))
  var changedSince: String?
  @Flag(help: "Also those that are deleted in their cell.") var deleted = false
  @Flag(name: .customLong("deleted-only"), help: "Only those that are deleted in their cell.")
  var deletedOnly = false
  @Flag(help: "Also the copies that a move between cells hides.") var hidden = false
  @Option(
    help: ArgumentHelp("Those after this instance, deleted or not.", valueName: "uuid"))
  var marker: String?
  @Option(
    name: .customLong("page-token"),
    help: ArgumentHelp("The next page, by the token of the last one.", valueName: "token"))
  var pageToken: String?
  @Flag(
    name: .customLong("all-cells"),
    help: "Asks all cells, not only those in which the map has instances of --project.")
  var allCells = false
  @Flag(
    name: .customLong("require-complete"),
    help:
      "Ends with 5 and prints no list if it would be incomplete; without it such a list ends with 0."
  )
  var requireComplete = false
  @Option(help: ArgumentHelp("How long the list may take.", valueName: "milliseconds"))
  var deadline = 5000

  func validate() throws {
    guard (1...600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 600000 milliseconds.")
    }
    guard marker == nil || pageToken == nil else {
      throw ValidationError("Give --marker or --page-token, not both.")
    }
    if pageToken != nil, let changedSince, PastWhen.isAge(changedSince) {
      throw ValidationError(
        "--changed-since '\(changedSince)' is an age, and another moment for each page: give the time that "
          + "the first page's 'changed_since' says.")
    }
    guard !deleted || !deletedOnly else {
      throw ValidationError("Give --deleted or --deleted-only, not both.")
    }
  }

  /// What asks cells asks for `--live`.
  func refuseWithoutLive() throws {
    let given: [(String, Bool)] = [
      ("--sort", sort != nil), ("--host", host != nil), ("--vm-state", vmState != nil),
      ("--name", name != nil), ("--changed-since", changedSince != nil), ("--deleted", deleted),
      ("--deleted-only", deletedOnly), ("--hidden", hidden), ("--marker", marker != nil),
      ("--page-token", pageToken != nil), ("--all-cells", allCells),
      ("--require-complete", requireComplete),
    ]
    guard let first = given.first(where: \.1) else { return }
    throw ValidationError("\(first.0) is for lists of instances: give --live as well.")
  }

  /// The question, without what the list of mappings knows as well.
  func request() throws(CommandFailure) -> InstanceListRequest {
    var request = InstanceListRequest(order: try order())
    request.filter.host = host.map { ByteText($0) }
    request.filter.vmState = vmState.map { ByteText($0) }
    request.filter.name = name.map { ByteText($0) }
    request.filter.deletion = deletedOnly ? .deleted : (deleted ? .any : .live)
    request.filter.includesHidden = hidden
    request.asksOnlyCellsOfProject = !allCells
    if let changedSince {
      request.filter.changedSince = try PastWhen.time(changedSince, "--changed-since")
    }
    if let marker {
      guard let id = InstanceID(marker) else {
        throw CommandFailure(.usage, UUIDArgument.complaint(about: marker, "--marker"))
      }
      request.start = .after(id)
    }
    if let pageToken { request.start = .token(pageToken) }
    return request
  }

  private func order() throws(CommandFailure) -> InstanceOrder {
    var keys: [InstanceOrder.Key] = []
    for part in (sort ?? "uuid").split(separator: ",", omittingEmptySubsequences: false) {
      let words = part.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      let direction = words.count > 1 ? String(words[1]) : "asc"
      guard let column = InstanceColumn(rawValue: String(words[0])),
        direction == "asc" || direction == "desc"
      else {
        let names = InstanceColumn.allCases.map(\.rawValue).joined(separator: ", ")
        throw CommandFailure(
          .usage, "--sort can't be by \(part.prefix(80)): give \(names), each with :asc or :desc.")
      }
      guard !keys.contains(where: { $0.column == column }) else {
        throw CommandFailure(.usage, "--sort names \(column.rawValue) twice.")
      }
      keys.append(InstanceOrder.Key(column, isDescending: direction == "desc"))
    }
    return InstanceOrder(keys)
  }
}
