import ArgumentParser
import Cells
import Journal
import Projections
import Registry

/// `cellmap host …`: the compute hosts.
struct HostCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "host", abstract: "Lists, adds, discovers and removes compute hosts.",
    subcommands: [
      HostListCommand.self, HostAddCommand.self, HostDiscoverCommand.self, HostRemoveCommand.self,
    ])
}

struct HostListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the hosts and their cells.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var past: PastOptions
  @Option(help: "Only those of one cell: its name or UUID.") var cell: String?

  func run() throws {
    let session = try StoreSession(store)
    let map = try session.view(past)
    var only: CellID?
    if let cell { only = try map.cell(named: cell).id }
    let names = try map.names()
    let hosts = try map.hosts().filter { only == nil || $0.row.record.cell == only }
    if !store.json { map.announce() }
    var table = Table("HOST", "CELL", "CELL UUID")
    for (name, row) in hosts {
      let cell = row.record.cell
      if store.json {
        let object = HostOutput.fields(name, row, names, map)
        let observed = ObservedOutput.fields(ofChangeAt: row.changedAt, session.journal)
        Console.print(JSONValue.object(object.merging(observed) { $1 }).line)
      } else {
        table.add(name.string, names[cell], cell.description)
      }
    }
    if !store.json { table.print(empty: "There are no such hosts.") }
    map.conclude(rows: hosts.count, json: store.json)
  }
}

struct HostAddCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Maps a compute host to a cell.",
    discussion: "Host names are unique in the cloud: one that another cell has is refused.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @Argument(help: "The host's name, as nova-compute has it.") var host: String
  @Option(help: "The cell's name or UUID.") var cell: String

  func run() throws {
    try CellChange.run(store, change, cell, done: "Added host \(host).") {
      .mapHost(ByteText(host), to: $0)
    }
  }
}

struct HostRemoveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Takes a compute host out of the map.",
    discussion: """
      The host's cell is asked first: a host with live instances is refused, and so is one whose cell \
      can't be asked. --force removes it all the same.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @OptionGroup var base: BaseOptions
  @Argument(help: "The host's name.") var host: String
  @Flag(help: "Without asking the cell.") var force = false

  func run() throws {
    let session = try StoreSession(store)
    let name = ByteText(host)
    if !force { try checkIsEmpty(name, session) }
    let outcome = try session.submit(.unmapHost(name), change)
    session.close()
    change.report(
      outcome, store, done: "Removed host \(host).", json: ["host": .text(host)])
  }

  private func checkIsEmpty(_ name: ByteText, _ session: StoreSession) throws(CommandFailure) {
    let map = try session.map()
    let row = try projections { () throws(ProjectionError) in try map.map.host(name) }
    guard let cell = row?.record.cell else { return }  // the registry answers that
    let base = try base.addressBase()
    let cells = LiveCells(try session.router(base), base)
    let count = try cells.instanceCount(on: name, in: cell)
    guard count == 0 else {
      throw CommandFailure(
        .refused,
        "Host \(name) has \(count) live instances in cell \(cell). Move them first, or "
          + "give --force.")
    }
  }
}
