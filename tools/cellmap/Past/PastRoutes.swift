import Journal
import Projections

/// Routes as the map had them: database and queue exactly; of the host what had been seen by then,
/// since nobody can ask a cell about the past.
final class PastRoutes {
  private let session: StoreSession
  private let map: PastReading
  private let base: BaseOptions
  private let reveal: Bool
  private let json: Bool
  private var table = Table("INSTANCE", "CELL", "DATABASE", "QUEUE", "LAST KNOWN HOST", "STATE")
  private var cells: [CellID: CellRow?] = [:]
  private var whole: [CellID: Result<[String: String], CommandFailure>] = [:]
  private var worst: ExitStatus?

  init(
    _ session: StoreSession, at point: PastPoint, _ base: BaseOptions, reveal: Bool, json: Bool
  ) throws(CommandFailure) {
    self.session = session
    self.base = base
    self.reveal = reveal
    self.json = json
    if reveal { _ = try base.addressBase() }
    map = try session.view(at: point, session.history())
  }

  func answer(_ text: String) {
    guard let id = InstanceID(text) else {
      return show(
        ["instance": .text(HiddenArguments.shown(text))], outcome: "not_a_uuid", state: nil,
        error: CommandFailure(.usage, UUIDArgument.complaint(about: text)))
    }
    do throws(CommandFailure) { try answer(id) } catch {
      // The others can be answered all the same.
      show(
        ["instance": .printed(id)], outcome: "unreadable", state: "can't be read", error: error)
    }
  }

  private func answer(_ id: InstanceID) throws(CommandFailure) {
    guard let row = try map.instance(id) else {
      return show(
        ["instance": .printed(id)], outcome: "unknown", state: "unknown then",
        error: CommandFailure(
          .unknown,
          "There was no mapping of instance \(id) at \(map.head). 'audit history \(id)' shows when."
        ))
    }
    var fields = try InstanceOutput.fields(id, row, map)
    var error: CommandFailure?
    var outcome = "mapped"
    var state = row.record.isQueuedForDelete == true ? "queued for delete" : "mapped"
    if let cell = row.record.cell {
      if let found = try self.cell(cell) {
        for (name, address) in CellOutput.publicAddresses(found) { fields[name] = .text(address) }
        if reveal {
          switch revealed(cell, found) {
          case .success(let addresses):
            for (name, address) in addresses { fields[name] = .text(address) }
          case .failure(let failure): error = failure
          }
        }
      } else {
        state = "no such cell"
        outcome = "cell_not_in_map"
        error = CommandFailure(
          .finding, "Instance \(id) was mapped to cell \(cell), which the map did not hold.")
      }
    } else {
      state = row.record.withoutCell
      outcome = "no_cell_yet"
    }
    show(fields, outcome: outcome, state: state, error: error)
  }

  private func cell(_ id: CellID) throws(CommandFailure) -> CellRow? {
    if let known = cells[id] { return known }
    let row = try map.cell(id)
    cells.updateValue(row, forKey: id)
    return row
  }

  private func revealed(
    _ id: CellID, _ row: CellRow
  ) -> Result<[String: String], CommandFailure> {
    if let known = whole[id] { return known }
    let result: Result<[String: String], CommandFailure>
    do throws(CommandFailure) {
      result = .success(try CellOutput.revealed(id, row, session, base))
    } catch {
      result = .failure(error)
    }
    whole[id] = result
    return result
  }

  private func show(
    _ known: [String: JSONValue], outcome: String, state: String?, error: CommandFailure?
  ) {
    var fields: [String: JSONValue] = ["outcome": .text(outcome)]
    for name in [
      "cell", "cell_name", "database", "queue", "host", "last_known_host", "last_known_host_at",
      "project", "user", "queued_for_delete", "created_at", "state",
    ] { fields[name] = .null }
    fields.merge(known) { $1 }
    fields.merge(map.label) { $1 }
    if let error {
      worst = worst == .integrity || error.status == .integrity ? .integrity : worst ?? error.status
      fields["error"] = .text(CellNames.spoken(error.message))
      if !json { Console.remark(error.message) }
    }
    if json { return Console.print(JSONValue.object(fields).line) }
    table.add(
      fields.text("instance"), fields.text("cell_name") ?? fields.text("cell"),
      fields.text("database"), fields.text("queue"), fields.text("last_known_host"), state)
  }

  /// Prints what people read, once all answers are known.
  func end() {
    guard !json else { return }
    map.announce()
    table.print(empty: "Nothing was asked.")
  }

  /// The exit code: that of the one question, or 5 if some of many failed; 4 if the journal or the keys are damaged.
  func status(isBatch: Bool) -> ExitStatus? {
    guard isBatch, let worst, worst != .integrity else { return worst }
    return .partial
  }
}
