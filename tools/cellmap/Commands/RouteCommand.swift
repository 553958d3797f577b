import ArgumentParser
import Cells
import Journal
import Projections
import Router

/// `cellmap route`: instance → (database, queue, host).
struct RouteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "route", abstract: "Shows an instance's database, queue and host.",
    discussion: """
      The host is read from the cell in this call. If the cell can't be read, cell and addresses are
      the map's, the host is null, and the last known host is named. With several instances, or `-`
      for one UUID a line on standard input, each failing one carries its own error, and the exit
      code is 5.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var base: BaseOptions
  @Argument(help: "UUIDs of instances, or - to read them from standard input.")
  var instances: [String]
  @Flag(help: "Shows the whole addresses, secrets and all.") var reveal = false
  @Option(help: ArgumentHelp("How long a cell may take to answer.", valueName: "milliseconds"))
  var deadline = 2000
  /// Asked for together, so that each cell is asked once.
  private static let batch = 500

  func validate() throws {
    guard !instances.isEmpty else { throw ValidationError("Give at least one instance, or -.") }
    guard (1...600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 600000 milliseconds.")
    }
  }

  func run() throws {
    let session = try StoreSession(store)
    let asking = RouteAsking(
      session: session, base: try base.addressBase(),
      deadline: .milliseconds(deadline))
    let printer = RouteOutput(reveal: reveal, json: store.json)
    if instances == ["-"] {
      try stream(asking, printer)
    } else {
      try answer(instances, asking, printer)
    }
    printer.end()
    if let status = printer.status(isBatch: instances.count > 1 || instances == ["-"]) {
      throw ExitCode(status.rawValue)
    }
  }

  private func stream(_ asking: RouteAsking, _ printer: RouteOutput) throws {
    var waiting: [String] = []
    while let line = readLine() {
      waiting.append(line)
      if waiting.count == RouteCommand.batch {
        try answer(waiting, asking, printer)
        waiting.removeAll(keepingCapacity: true)
      }
    }
    if !waiting.isEmpty { try answer(waiting, asking, printer) }
  }

  /// Answers in the order of the questions, malformed ones among them.
  private func answer(
    _ texts: [String], _ asking: RouteAsking, _ printer: RouteOutput
  ) throws {
    let ids = texts.map { InstanceID($0) }
    let (routes, router) = try asking.routes(for: ids.compactMap(\.self))
    var next = routes.makeIterator()
    for (text, id) in zip(texts, ids) {
      if id == nil {
        printer.refuse(text)
      } else if let route = next.next() {
        try printer.print(route, from: router)
      }
    }
  }
}

/// Asks the router; an index in which a question meets damage is made again first. Where that can't
/// be done now, the cells' own answers stand.
private final class RouteAsking {
  private let session: StoreSession
  private let base: AddressBase
  private let deadline: Duration
  private var router: CellRouter?
  /// It was tried once to make the index again, in vain: a second try would wait as long.
  private var hasGivenUp = false

  init(session: StoreSession, base: AddressBase, deadline: Duration) {
    self.session = session
    self.base = base
    self.deadline = deadline
  }

  func routes(
    for ids: [InstanceID]
  ) throws(CommandFailure) -> (routes: [Route], router: CellRouter) {
    let first = try ask(ids)
    guard !hasGivenUp, let fault = first.damage?.replaceableFault else {
      return (first.routes, first.router)
    }
    do throws(CommandFailure) {
      try session.replaceDamagedIndex(fault)
    } catch {
      giveUp(error)
      return (first.routes, first.router)
    }
    router = nil
    let second = try ask(ids)
    return (second.routes, second.router)
  }

  private func ask(
    _ ids: [InstanceID]
  ) throws(CommandFailure) -> (routes: [Route], router: CellRouter, damage: ProjectionError?) {
    let router = try openRouter()
    do throws(RouterError) {
      let routes = try router.routes(for: ids, until: .now + deadline)
      return (routes, router, try router.indexDamage())
    } catch {
      throw CommandFailure(error)
    }
  }

  private func openRouter() throws(CommandFailure) -> CellRouter {
    if let router { return router }
    let (made, why) = try session.routerOverCells(base)
    if let why { giveUp(why) }
    router = made
    return made
  }

  private func giveUp(_ why: CommandFailure) {
    hasGivenUp = true
    Console.note(
      "cellmap: The index could not be made again, so the cells are asked: "
        + Console.safe(why.message))
  }
}

extension ProjectionError {
  /// The fault of an index that may simply be made again.
  fileprivate var replaceableFault: IndexFault? {
    switch self {
    case .damaged(let path, let what): .damaged(path: path, what: what)
    case .fault(let fault) where fault.isSafeToReplace: fault
    default: nil
    }
  }
}
