import ArgumentParser
import Journal
import Projections
import Registry

/// `cellmap instance …`: the mappings of instances.
struct InstanceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "instance", abstract: "Lists and changes the mappings of instances.",
    subcommands: [
      InstanceShowCommand.self, InstanceListCommand.self, InstanceMapCommand.self,
      InstanceRemapCommand.self, InstanceDeleteMarkCommand.self, InstanceUnmapCommand.self,
    ])
}

/// An instance's UUID as an argument.
struct InstanceArgument: ParsableArguments {
  @Argument(help: "The instance's UUID.") var instance: String

  func id() throws(CommandFailure) -> InstanceID {
    guard let id = InstanceID(instance) else {
      throw CommandFailure(.usage, UUIDArgument.complaint(about: instance))
    }
    return id
  }
}

struct InstanceShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Shows an instance's mapping, and with --live its record.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var base: BaseOptions
  @OptionGroup var past: PastOptions
  @OptionGroup var argument: InstanceArgument
  @Flag(help: "Also the record, read from the cell's database now.") var live = false

  func validate() throws {
    guard !live || past.at == nil else {
      throw ValidationError("--live reads the cell now: leave --at out.")
    }
  }

  func run() throws {
    let id = try argument.id()
    let session = try StoreSession(store)
    let map = try session.view(past)
    guard let row = try map.instance(id) else {
      if past.at == nil {
        if let why = ConflictOutput.whyUnmapped(id, try map.conflict(of: .instance(id))) {
          throw CommandFailure(.unknown, why)
        }
        throw CommandFailure(Refusal.unknownInstance(id))
      }
      throw CommandFailure(
        .unknown,
        "There was no mapping of instance \(id) at \(map.head). 'audit history \(id)' shows when.")
    }
    var object = try InstanceOutput.fields(id, row, map)
    object.merge(ObservedOutput.fields(ofChangeAt: row.changedAt, session.journal)) { $1 }
    if live {
      let base = try base.addressBase()
      let cells = LiveCells(try session.router(base), base)
      object["live"] = try cells.record(of: id, in: row.record.cell)
    }
    if store.json { return Console.print(JSONValue.object(object).line) }
    map.announce()
    if case .object(let record)? = object.removeValue(forKey: "live") {
      CellOutput.printFields(object)
      Console.print("\nThe record in the cell, read now:")
      CellOutput.printFields(record)
    } else {
      CellOutput.printFields(object)
    }
  }
}

struct InstanceMapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "map", abstract: "Maps a new instance, or gives it its first cell.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @OptionGroup var argument: InstanceArgument
  @Option(help: "The cell's name or UUID; without it the instance has no cell yet.")
  var cell: String?
  @Option(help: "The project that owns the instance.") var project: String
  @Option(help: "The user who owns it.") var user: String?
  @Flag(help: "Also into a disabled cell.") var test = false

  func validate() throws {
    try PlainText.checkName(project, "--project")
    try PlainText.checkName(user, "--user")
  }

  func run() throws {
    let id = try argument.id()
    let session = try StoreSession(store)
    var target: CellID?
    if let cell { target = try session.cell(named: cell, change).id }
    let draft = InstanceDraft(
      cell: target,
      owner: InstanceOwner(project: ByteText(project), user: user.map { ByteText($0) }),
      isTest: test)
    try InstanceChange.finish(
      session, store, change, id, .mapInstance(id, draft), done: "Mapped instance \(id).")
  }
}

struct InstanceRemapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remap", abstract: "Moves the mapping of an instance to another cell, or to none.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @OptionGroup var argument: InstanceArgument
  @Option(help: "The cell's name or UUID, or 'none'.") var cell: String

  func run() throws {
    let id = try argument.id()
    let session = try StoreSession(store)
    let target =
      cell == "none"
      ? try session.map().cellOrNone(named: cell) : try session.cell(named: cell, change).id
    try InstanceChange.finish(
      session, store, change, id, .remapInstance(id, to: target), done: "Moved instance \(id).")
  }
}

struct InstanceDeleteMarkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete-mark",
    abstract: "Marks an instance as queued for delete, or takes the mark away.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @OptionGroup var argument: InstanceArgument
  @Flag(help: "Takes the mark away.") var clear = false

  func run() throws {
    let id = try argument.id()
    try InstanceChange.finish(
      StoreSession(store), store, change, id, .markForDeletion(id, !clear),
      done: clear ? "Took the mark of \(id) away." : "Marked \(id) as queued for delete.")
  }
}

struct InstanceUnmapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unmap", abstract: "Takes an instance's mapping out of the map.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @OptionGroup var argument: InstanceArgument

  func run() throws {
    let id = try argument.id()
    try InstanceChange.finish(
      StoreSession(store), store, change, id, .unmapInstance(id),
      done: "Took instance \(id) out of the map.")
  }
}

enum InstanceChange {
  static func finish(
    _ session: StoreSession, _ store: StoreOptions, _ options: some ChangeOptions, _ id: InstanceID,
    _ change: Change, done: String
  ) throws(CommandFailure) {
    let outcome = try session.submit(change, options)
    session.close()
    options.report(outcome, store, done: done, json: ["instance": .printed(id)])
  }
}
