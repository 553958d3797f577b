import ArgumentParser
import Journal
import Projections
import Registry

/// `cellmap keys …`: what seals addresses, and owners of instances.
struct KeysCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys",
    abstract: "Lists, rotates and shreds the keys that seal addresses and owners.",
    subcommands: [KeysListCommand.self, KeysRotateCommand.self, KeysShredCommand.self])
}

struct KeysListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists the keys: what each is for, and what it still seals.",
    discussion: """
      The master, the HMAC key, the keys that sign checkpoints, and the data keys of each cell and, in a \
      store that seals them, project; those too whose file is gone. The history finds the entries that \
      tell of them. Ends with 4 if a key is lost or damaged, and with 6 where the store has none of its \
      keys.
      """)
  @OptionGroup var store: StoreOptions

  func run() throws {
    let all = try StoreKeys(of: store)
    print(all)
    if let failure = all.failure { throw failure }
  }

  private func print(_ all: StoreKeys) {
    if store.json {
      for key in all.keys { Console.print(JSONValue.object(key.fields).line) }
      if all.keys.isEmpty { AnswerPosition.say(all.position) }
      return
    }
    var table = Table("KEY", "FOR", "STATE", "MADE", "CELL OR PROJECT", "SEALS NOW", "ENTRIES")
    for key in all.keys {
      table.add(
        key.id.description, key.use, key.stateText, key.fields.shown("made_at"),
        key.cellText ?? key.projectText,
        key.fieldsText, key.use == "data" ? key.fields.shown("entries") : nil)
    }
    table.print(empty: "The store has no keys.")
    AnswerPosition.say(all.position)
  }
}

/// The hidden half of `keys list` and `keys shred`, in a process of its own.
struct KeysWorkerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys-worker", shouldDisplay: false)
  @OptionGroup var store: StoreOptions
  @OptionGroup var child: ChildOptions

  func run() throws {
    try child.join()
    let session = try StoreSession(store)
    let journal = session.journal
    let changes = try projections { () throws(ProjectionError) in
      try MapHistory(of: journal).keyChanges()
    }
    let ownerKeys = try session.ownerKeys()
    let position = journal.head.position
    do throws(KeyInventory.Failure) {
      let inventory = try KeyInventory(of: journal, changes: changes, ownerKeys: ownerKeys)
      Console.print(
        JSONValue.object([
          "keys": .list(inventory.items.map { fields(of: $0, at: position) }),
          "position": .printed(position),
          "faults": .list(inventory.faults.map { .printed($0) }),
          "without_keys": .flag(inventory.isWithoutKeys),
        ]).line)
    } catch .journal(let error) {
      throw CommandFailure(error)
    } catch .keys(let error) {
      throw CommandFailure(reading: error)
    }
  }

  private func fields(of item: KeyInventory.Item, at position: Position) -> JSONValue {
    .object([
      "key": .printed(item.id), "use": .text(item.use.rawValue),
      "state": .text(item.state.rawValue), "made_at": .printed(item.madeAt),
      "cell": .printed(item.cell), "cell_name": .printed(item.cellName),
      "cell_removed": item.cell == nil ? .null : .flag(!item.isCellThere),
      "seals": .list(item.fields.map { .text($0 == .database ? "database" : "queue") }),
      "project": .printed(item.project),
      "entries": item.use == .data ? .number(item.entries) : .null,
      "last_entry": .printed(item.lastEntry), "shredded_at": .printed(item.shreddedAt),
      "position": .printed(position),
    ])
  }
}

struct KeysRotateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate", abstract: "Makes another master, or another data key for a cell.",
    discussion: """
      With --master each data key is wrapped by a new master, and the old one is gone; no entry is \
      touched. A project's key is not rotated: that would be another owner in every entry of its \
      instances. With a cell its addresses are sealed anew under a new data key, by an entry for each; \
      entries of before stay sealed by the old key, which 'keys shred' destroys. Ended at any moment, \
      every address can be read, and the same command finishes it.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: PlannedChange
  @Argument(help: "The cell's name or UUID.") var cell: String?
  @Flag(help: "The master that wraps the data keys.") var master = false

  func validate() throws {
    guard master == (cell == nil) else { throw ValidationError("Give a cell, or --master.") }
    if master {
      guard change.reason == nil, change.trace.requestID == nil, change.trace.correlation == nil
      else {
        throw ValidationError(
          "--reason, --request-id and --correlation want a cell: no entry tells of another master.")
      }
    } else {
      try change.requireReason()
    }
  }

  func run() throws {
    if let cell {
      return try CellChange.run(
        store, change, cell, done: "Sealed the addresses under another key."
      ) { .resealCell($0) }
    }
    try rotateMaster()
  }

  private func rotateMaster() throws(CommandFailure) {
    let session = try StoreSession(store)
    let outcome = try session.withLease(Cellmap.words) { () throws(CommandFailure) in
      do throws(KeyError) {
        return try MasterRotation.run(in: session.files.keys, of: session.journal.store)
      } catch {
        throw CommandFailure(reading: error)
      }
    }
    if store.json {
      return Console.print(
        JSONValue.object([
          "key": .printed(outcome.new), "previous": .printed(outcome.old),
          "data_keys": .number(outcome.dataKeys), "resumed": .flag(outcome.wasBegun),
        ]).line)
    }
    Console.say(
      "Key \(outcome.new) is the master now, and wraps \(outcome.dataKeys) data keys"
        + (outcome.wasBegun ? "; a rotation that was broken off is finished." : "."))
    Console.print(
      "Copy the folder keys/ again to where you keep it. A copy of before, with the backups of before, "
        + "still reads every address of then.")
  }
}
