import ArgumentParser
import Cells
import Journal
import Projections
import Recovery
import Registry
import Router

/// `cellmap conflicts`: what the cells couldn't decide between them.
struct ConflictsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "conflicts", abstract: "What the cells couldn't decide between them.",
    subcommands: [
      ConflictsListCommand.self, ConflictsShowCommand.self, ConflictsResolveCommand.self,
    ])

  /// The instance of a UUID, or the host of a name.
  static func entity(_ text: String) -> EntityKey {
    InstanceID(text).map { .instance($0) } ?? .host(ByteText(text))
  }
}

struct ConflictsListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the open conflicts.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var past: PastOptions
  @Flag(help: "Lists the decided ones too.") var all = false

  func run() throws {
    let map = try StoreSession(store).wholeMap(past)
    let shown = try map.conflicts().filter { all || $0.row.record.decision == nil }
    if store.json {
      for item in shown { Console.print(item.json(map.label).line) }
      return map.conclude(rows: shown.count, json: true)
    }
    map.announce()
    let names = try map.names()
    var table = Table("INSTANCE OR HOST", "CONFLICT", "ENTRY", "DECISION")
    for item in shown {
      table.add(
        item.entity.description, item.row.record.kind.string, "\(item.row.record.foundAt)",
        item.row.record.decision.map { ConflictOutput.decision($0, names) })
    }
    table.print(empty: all ? "No conflicts." : "No open conflicts.")
    map.conclude(json: false)
  }
}

struct ConflictsShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Shows a conflict with the cells' rows side by side.")
  @OptionGroup var store: StoreOptions
  @OptionGroup var past: PastOptions
  @Argument(
    help: ArgumentHelp("The UUID of an instance, or the name of a host.", valueName: "what"))
  var what: String

  func run() throws {
    let session = try StoreSession(store)
    let map = try session.view(past)
    let entity = ConflictsCommand.entity(what)
    guard let row = try map.conflict(of: entity) else {
      throw CommandFailure(
        .unknown,
        map.past.map {
          "No conflict over \(entity) was known at \($0.position). 'conflicts list --at' shows those of then."
        } ?? Refusal.noConflict(entity).description)
    }
    let decided = try decidingEntry(of: row, session)
    if store.json {
      let item = ConflictItem(entity: entity, row: row)
      guard case .object(var object) = item.json(map.label) else { return }
      object["decided_by"] = .printed(decided?.authorship.actor)
      object["reason"] = .printed(decided?.authorship.reason)
      object["decided_at"] = .printed(decided?.at)
      return Console.print(JSONValue.object(object).line)
    }
    map.announce()
    let names = try map.names()
    ConflictOutput.print(
      entity, FoundConflict(kind: row.record.kind, evidence: row.record.evidence), names)
    if let decision = row.record.decision {
      Console.say(
        "Decided by entry \(row.changedAt): \(ConflictOutput.decision(decision, names))")
      if let decided {
        let reason = decided.authorship.reason.map { ": \($0)" } ?? ""
        Console.say("By \(decided.authorship.actor) at \(decided.at)\(reason)")
      }
    } else {
      let next = map.past == nil ? " 'conflicts resolve' decides it." : ""
      Console.say("Open, as entry \(row.record.foundAt) found.\(next)")
    }
    map.conclude(json: false)
  }
}

extension ConflictsShowCommand {
  /// Who decided a conflict, why and when.
  private func decidingEntry(
    of row: ConflictRow, _ session: StoreSession
  ) throws(CommandFailure) -> (authorship: Authorship, at: Timestamp)? {
    guard row.record.decision != nil else { return nil }
    do throws(JournalError) {
      return try session.journal.entry(at: row.changedAt).map {
        ($0.draft.authorship, $0.orderedAt)
      }
    } catch {
      throw CommandFailure(error)
    }
  }
}

struct ConflictsResolveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resolve", abstract: "Decides a conflict: which cell it is, or none.",
    discussion: """
      The row of the instance or host is read from that cell in the same call, so the cell must answer. The decision \
      stands against later rebuilds as long as the conflict is between the same cells.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var change: DecidedChange
  @OptionGroup var base: BaseOptions
  @Argument(
    help: ArgumentHelp("The UUID of an instance, or the name of a host.", valueName: "what"))
  var what: String
  @Option(help: "The cell that has it: its name or UUID.") var cell: String?
  @Flag(help: "No cell has it: it gets no mapping.") var unmapped = false

  func validate() throws {
    guard cell == nil || !unmapped else {
      throw ValidationError("Give --cell or --unmapped, not both: it has one cell, or none.")
    }
    guard cell != nil || unmapped else { throw ValidationError("Give --cell or --unmapped.") }
  }

  func run() throws {
    let session = try StoreSession(store)
    let entity = ConflictsCommand.entity(what)
    let map = try session.map()
    let known = try projections { () throws(ProjectionError) in try map.map.conflict(of: entity) }
    guard known != nil else { throw CommandFailure(Refusal.noConflict(entity)) }
    let decision = try decision(entity, session, map)
    let outcome = try session.submit(decision, change)
    session.close()
    var json = ConflictOutput.entity(entity)
    json["decision"] = .text(cell ?? "unmapped")
    change.report(outcome, store, done: "Decided the conflict about \(entity).", json: json)
  }

  private func decision(
    _ entity: EntityKey, _ session: StoreSession, _ map: MapReading
  ) throws(CommandFailure) -> Change {
    guard let cell else { return ConflictSettlement.unmapping(entity) }
    let id = try session.cell(named: cell, change).id
    guard case .instance(let instance) = entity else {
      guard case .host(let name) = entity else { throw CommandFailure(Refusal.noConflict(entity)) }
      let hosts = try ask(id, session) { (connection) throws(CellError) in
        try connection.computeHosts()
      }
      guard hosts.contains(where: { $0.name == name }) else {
        throw CommandFailure(.refused, "Cell \(cell) has no compute host \(name).")
      }
      return ConflictSettlement.mapping(host: name, to: id)
    }
    let row = try ask(id, session) { (connection) throws(CellError) in
      try connection.instance(instance)
    }
    guard let row else {
      throw CommandFailure(.refused, "Cell \(cell) has no row of instance \(instance).")
    }
    if row.placement.isHidden {
      Console.remark(
        "In cell \(cell) the row is hidden, as the half of a move that doesn't count is: Nova shows no such "
          + "instance to its user, whatever the map says, and a rebuild goes by a visible one where there is one alone. "
          + "If it is the right one, 'hidden' must be 0 there, and 1 of the others.")
    }
    return ConflictSettlement.mapping(
      row, to: id, before: try map.instance(instance)?.record)
  }

  private func ask<Value>(
    _ cell: CellID, _ session: StoreSession, _ body: (CellConnection) throws(CellError) -> Value
  ) throws(CommandFailure) -> Value {
    let base = try base.addressBase()
    let cells = LiveCells(try session.router(base), base)
    do throws(CellUnavailable) { return try cells.ask(cell, body) } catch {
      throw CommandFailure(.cell, error.description)
    }
  }
}

extension ConflictItem {
  /// - Parameter label: When it is true, if not now.
  func json(_ label: [String: JSONValue] = [:]) -> JSONValue {
    let record = row.record
    guard
      case .object(var object) = ConflictOutput.json(
        entity, FoundConflict(kind: record.kind, evidence: record.evidence))
    else { return .null }
    object["decision"] = .printed(record.decision)
    object["found"] = .number(record.foundAt)
    object["changed_at"] = .number(row.changedAt)
    return .object(object.merging(label) { $1 })
  }
}
