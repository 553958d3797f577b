import ArgumentParser
import Foundation
import Journal
import Projections
import Registry

/// `cellmap cell …`: the cells.
struct CellCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cell", abstract: "Lists and changes cells.",
    subcommands: [
      CellListCommand.self, CellShowCommand.self, CellAddCommand.self, CellRenameCommand.self,
      CellAddressCommand.self, CellEnableCommand.self, CellDisableCommand.self,
      CellRemoveCommand.self, CellProbeCommand.self, CellExportCommand.self,
    ])
}

struct CellListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the cells.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var base: BaseOptions
  @OptionGroup var past: PastOptions
  @Flag(help: "Shows the whole addresses, secrets and all.") var reveal = false
  @Flag(
    name: .customLong("for-builds"),
    help: "Only cells in which a scheduler may put new instances: enabled, staying, and not cell0.")
  var forBuilds = false

  func run() throws {
    let session = try StoreSession(store)
    let map = try session.view(past)
    let cells = try map.cells().filter { !forBuilds || $0.row.record.takesBuilds(id: $0.id) }
    if !store.json { map.announce() }
    var table = Table("NAME", "UUID", "STATE", "COVERAGE", "DATABASE", "QUEUE")
    for (id, row) in cells {
      var fields = CellOutput.fields(id, row, map)
      CellOutput.markShredded(in: &fields, row, session, json: store.json)
      if reveal {
        for (field, text) in try CellOutput.revealed(id, row, session, base) {
          fields[field] = .text(text)
        }
      }
      if store.json {
        Console.print(JSONValue.object(fields).line)
      } else {
        table.add(
          fields.text("cell_name"), id.description, row.record.state, fields.text("coverage"),
          fields.text("database") ?? "no database", fields.text("queue"))
      }
    }
    if !store.json { table.print(empty: "There are no such cells.") }
    map.conclude(rows: cells.count, json: store.json)
  }
}

struct CellShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Shows one cell.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var base: BaseOptions
  @OptionGroup var past: PastOptions
  @Argument(help: "The cell's name or UUID.") var cell: String
  @Flag(help: "Shows the whole addresses, secrets and all.") var reveal = false

  func run() throws {
    let session = try StoreSession(store)
    let map = try session.view(past)
    let (id, row) = try map.cell(named: cell)
    var object = CellOutput.fields(id, row, map)
    object.merge(ObservedOutput.fields(ofChangeAt: row.changedAt, session.journal)) { $1 }
    CellOutput.markShredded(in: &object, row, session, json: store.json)
    if reveal {
      for (field, text) in try CellOutput.revealed(id, row, session, base) {
        object[field] = .text(text)
      }
    }
    if store.json { return Console.print(JSONValue.object(object).line) }
    map.announce()
    CellOutput.printFields(object)
  }
}

struct CellAddCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "add", abstract: "Adds a cell.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @OptionGroup var addresses: CellAddressOptions
  @Argument(help: "The cell's name.") var name: String
  @Option(help: "The cell's UUID, if it has one already; else a random one.") var uuid: String?
  @Flag(help: "The cell takes no new instances yet.") var disabled = false

  func validate() throws { try PlainText.checkName(name, "The name") }

  func run() throws {
    var id: CellID?
    if let uuid {
      guard let given = CellID(uuid) else {
        throw CommandFailure(.usage, "--uuid wants a UUID of 36 characters.")
      }
      id = given
    }
    let draft = CellDraft(
      name: ByteText(name), addresses: try addresses.draft(), disabled: disabled)
    guard draft.addresses.database != nil, draft.addresses.queue != nil else {
      throw CommandFailure(
        .usage,
        "A cell wants a database and a queue, and \(draft.addresses.lack): give --database and --queue, "
          + "or by --nova-conf a file with '[database] connection' and '[DEFAULT] transport_url'.")
    }
    let session = try StoreSession(store)
    let outcome = try session.submit(.addCell(id: id, draft), change)
    let added = try session.entity(of: outcome)
    session.close()
    guard case .cell(let cell) = added else { return }
    change.report(
      outcome, store, done: "Added cell \(name), \(cell).",
      json: ["cell": .printed(cell), "cell_name": .text(name)])
  }
}

struct CellRenameCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rename", abstract: "Renames a cell; its addresses stay as they are.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @Argument(help: "The cell's name or UUID.") var cell: String
  @Argument(help: "The new name.") var name: String

  func validate() throws { try PlainText.checkName(name, "The name") }

  func run() throws {
    try CellChange.run(store, change, cell, done: "Renamed to \(name).") {
      .renameCell($0, to: ByteText(name))
    }
  }
}

struct CellAddressCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "address",
    abstract: "Sets a cell's addresses; those that aren't given stay as they are.",
    discussion: "It acts at the next call of every process that routes.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @OptionGroup var addresses: CellAddressOptions
  @Argument(help: "The cell's name or UUID.") var cell: String

  func run() throws {
    let draft = try addresses.draft()
    guard draft.database != nil || draft.queue != nil || draft.options != nil else {
      throw CommandFailure(.usage, "Give --database, --queue or --nova-conf.")
    }
    try CellChange.run(store, change, cell, done: "Changed the addresses.") {
      .setCellAddresses($0, draft)
    }
  }
}

struct CellEnableCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "enable", abstract: "Lets new instances into a cell.",
    discussion: """
      A disabled cell wants a probe that it passed, with no change of the cell since then.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @Argument(help: "The cell's name or UUID.") var cell: String
  @Flag(help: "Also without a passed probe.") var force = false

  func run() throws {
    let session = try StoreSession(store)
    let (id, label) = try session.cell(named: cell, change)
    let outcome = try session.submit(.enableCell(id, force: force), change)
    session.close()
    change.report(
      outcome, store, done: "Cell \(label): Enabled.",
      json: ["cell": .printed(id), "cell_name": .text(label)])
  }
}

struct CellDisableCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "disable",
    abstract: "Keeps new instances out of a cell; those that it has are routed on.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @Argument(help: "The cell's name or UUID.") var cell: String

  func run() throws {
    try CellChange.run(store, change, cell, done: "Disabled.") { .disableCell($0) }
  }
}

struct CellRemoveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Removes a cell.",
    discussion: """
      A cell with hosts or instance mappings is refused. With --force its hosts are unmapped and its \
      mappings set to no cell; no mapping is deleted.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: PlannedChange
  @Argument(help: "The cell's name or UUID.") var cell: String
  @Flag(help: "Also a cell with hosts or mappings.") var force = false
  @Flag(help: "With --force: shows what would change; nothing is written.") var dryRun = false

  func validate() throws {
    if dryRun, !force { throw ValidationError("--dry-run wants --force.") }
    if !dryRun { try change.requireReason() }
  }

  func run() throws {
    guard force else {
      return try CellChange.run(store, change, cell, done: "Removed.") { .removeCell($0) }
    }
    let session = try StoreSession(store)
    let (id, label) = try session.cell(named: cell, change)
    if dryRun { return try preview(id, label, session.map()) }
    let removal = ForcedRemoval(cell: id, options: change)
    let result = try removal.run(session)
    session.close()
    change.report(
      result.outcome, store,
      done: "Removed; \(result.hosts) hosts unmapped, \(result.instances) mappings set to no cell. "
        + "'cellmap revert' undoes it.",
      json: [
        "cell": .printed(id), "hosts": .number(result.hosts),
        "instances": .number(result.instances),
      ])
  }

  private func preview(
    _ id: CellID, _ label: String, _ map: MapReading
  ) throws(CommandFailure) {
    guard id != .cell0 else {
      throw CommandFailure(
        Refusal.cell0("holds instances that never got a host; it can't be removed"))
    }
    let hosts = try map.hosts().filter { $0.row.record.cell == id }.count
    var selection = InstanceSelection()
    selection.place = .cell(id)
    let instances = try InstanceQuery(selection: selection, after: nil).count(in: map)
    guard store.json else {
      Console.say(
        "A dry run: removing cell \(label) would unmap \(hosts) hosts and set \(instances) mappings "
          + "to no cell.")
      return map.conclude(json: false)
    }
    Console.print(
      JSONValue.object([
        "cell": .printed(id), "hosts": .number(hosts), "instances": .number(instances),
        "dry_run": .flag(true), "changed": .flag(false), "position": .printed(map.head),
      ]).line)
  }
}

struct CellExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes the cells with their addresses into a file, mode 0600, as YAML.",
    discussion: "Addresses are masked unless --reveal is given.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var base: BaseOptions
  @OptionGroup var past: PastOptions
  @Argument(help: "The file to be made; nothing may be there.") var file: String
  @Flag(help: "Writes the whole addresses, secrets and all.") var reveal = false

  func run() throws {
    guard !FileManager.default.fileExists(atPath: file) else {
      throw CommandFailure(
        .refused,
        "'\(file)' is there, and may have passwords that are nowhere else. Name another file.")
    }
    let session = try StoreSession(store)
    let map = try session.view(past)
    let cells = try map.cells()
    let time = map.past.map { " of \($0.orderedAt), not now" } ?? ""
    var lines = ["# cellmap cell export, position \(map.head)\(time)", "cells:"]
    for (id, row) in cells {
      var values = CellOutput.publicAddresses(row)
      if reveal { values.merge(try CellOutput.revealed(id, row, session, base)) { $1 } }
      lines.append("  - uuid: \(id)")
      lines.append("    name: \(row.record.name.map { CellOutput.yaml($0.string) } ?? "null")")
      for field in ["database", "queue"] {
        lines.append("    \(field): \(values[field].map { CellOutput.yaml($0) } ?? "null")")
      }
      if let options = row.record.options {
        lines.append("    options: \(CellOutput.yaml(options.string))")
      }
      lines.append("    disabled: \(row.record.disabled.map { "\($0)" } ?? "null")")
    }
    do throws(FileError) {
      try SmallFile.replace(file, with: Array((lines.joined(separator: "\n") + "\n").utf8))
    } catch {
      throw CommandFailure(.storage, error.description)
    }
    if store.json {
      let fields: [String: JSONValue] = [
        "file": .text(file), "cells": .number(cells.count), "revealed": .flag(reveal),
      ]
      Console.print(JSONValue.object(fields.merging(map.label) { $1 }).line)
    } else {
      map.announce()
      Console.say("Wrote \(counted(cells.count, "cell")) into \(file), true at \(map.head).")
    }
  }
}

/// The changes of one cell that differ only in what is to become of it.
enum CellChange {
  static func run(
    _ store: StoreOptions, _ options: some ChangeOptions, _ cell: String, done: String,
    _ change: (CellID) -> Change
  ) throws(CommandFailure) {
    let session = try StoreSession(store)
    let (id, label) = try session.cell(named: cell, options)
    let outcome = try session.submit(change(id), options)
    session.close()
    options.report(
      outcome, store, done: "Cell \(label): \(done)",
      json: ["cell": .printed(id), "cell_name": .text(label)])
  }
}

extension CellRecord {
  /// Whether a scheduler may put new instances here.
  func takesBuilds(id: CellID) -> Bool {
    id != .cell0 && disabled != true && !isBeingRemoved && database != nil && queue != nil
  }

  var state: String {
    isBeingRemoved ? "being removed" : (disabled == true ? "disabled" : "enabled")
  }
}

extension AddressDraft {
  /// Which of the two that a cell wants isn't given.
  fileprivate var lack: String {
    if database == nil, queue == nil { return "neither is given" }
    return "the \(database == nil ? "database" : "queue") is missing"
  }
}
