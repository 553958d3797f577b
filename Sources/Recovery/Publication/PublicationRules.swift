internal import Cells
internal import Journal
internal import Projections

/// What the map wants of a row.
struct WantedRow {
  let entity: EntityKey
  /// The index of the last entry that changed it in the map.
  let changedAt: UInt64
  /// The numeric id that Nova once gave it.
  var number: UInt64?
  var values: [SQLValue]
  /// When Nova made the row, as the database keeps it.
  let createdAt: ByteText?
  /// Why Nova's tables can't hold it.
  var problem: String?

  var key: ByteText {
    if case .text(let text) = values[0] { text } else { "" }
  }
}

/// What may become of a row: the rules by which a map never takes away what a Nova may need.
struct PublicationRules {
  /// Whether Nova writes the target meanwhile: then a row that is newer than what the map knows of it
  /// stays.
  let isBesideNova: Bool
  let evidence: MapEvidence
  /// What the target held when the map last knew; only asked beside a running Nova.
  let lastSeen: LastSeen?
  /// What a record of the past is in the target's rows.
  let rows: WantedRows

  enum Decision {
    case same
    case write(RowChange, kept: [String])
    case leave(PublicationPlan.Finding.Kind, [String])
  }

  /// What becomes of a row.
  ///
  /// - Parameters:
  ///   - seen: The row in the database; nil if it isn't there.
  ///   - isBeingBuilt: The database has a build request of the instance.
  func decide(
    _ wanted: WantedRow, seen: PublishedRow?, of table: PublishedTable, isBeingBuilt: Bool
  ) throws(PublicationError) -> Decision {
    if let problem = wanted.problem {
      return .leave(.unpublishable, [problem])
    }
    guard let seen else { return try addition(wanted, table, isBeingBuilt: isBeingBuilt) }
    return try alteration(wanted, seen, table, isBeingBuilt: isBeingBuilt)
  }

  /// Whether a row differs, as far as a build request matters for what becomes of it.
  static func differs(_ wanted: WantedRow, from seen: PublishedRow?) -> Bool {
    seen.map { $0.values != wanted.values } ?? true
  }

  /// What the target was last seen to hold of a row; nil for its values if it had none, and nil if the
  /// target was never looked at, or only the map writes it.
  private func last(
    _ wanted: WantedRow
  ) throws(PublicationError) -> (values: [SQLValue]?, at: UInt64)? {
    guard isBesideNova, let lastSeen else { return nil }
    do throws(ProjectionError) {
      guard let last = try lastSeen.row(of: wanted.entity) else { return nil }
      return (last.held.flatMap { rows.row(wanted.entity, $0)?.values }, last.at)
    } catch {
      throw .map(error)
    }
  }

  /// What of a row isn't as it was last seen; nil if all is, or nothing was seen.
  private func changeSinceSeen(
    _ wanted: WantedRow, _ seen: PublishedRow, _ table: PublishedTable
  ) throws(PublicationError) -> String? {
    guard let last = try last(wanted) else { return nil }
    guard let values = last.values else {
      return "the database has it only since entry \(last.at); 'adopt' reads it"
    }
    let changed = table.columns.enumerated().filter { place, column in
      // Of another column NULL says that the map doesn't know it.
      values[place] != seen.values[place] && (values[place] != .null || column.name == "cell_id")
    }
    if changed.isEmpty { return nil }
    let names = changed.map(\.element.name).joined(separator: ", ")
    return
      "\(names) of it changed in the database since entry \(last.at), when the map last knew it; "
      + "'adopt' reads it"
  }

  private func addition(
    _ wanted: WantedRow, _ table: PublishedTable, isBeingBuilt: Bool
  ) throws(PublicationError) -> Decision {
    let row = PublishedRow(
      number: wanted.number, values: wanted.values, createdAt: wanted.createdAt)
    if let last = try last(wanted), last.values != nil {
      return .leave(
        .kept,
        [
          "the database had it at entry \(last.at), and hasn't any more: Nova took it out; "
            + "--nova-stopped puts it back"
        ])
    }
    var change = RowChange(table: table, seen: nil, row: row, conditions: [])
    if table == .instances, row.values[table.place(of: "cell_id")] == .null {
      guard isBeingBuilt else {
        return .leave(
          .kept, ["it has no cell, and the database no build request: nothing would ever map it"])
      }
      change.conditions.append(.buildRequest(wanted.key, exists: true))
    }
    return .write(change, kept: [])
  }

  private func alteration(
    _ wanted: WantedRow, _ seen: PublishedRow, _ table: PublishedTable, isBeingBuilt: Bool
  ) throws(PublicationError) -> Decision {
    var row = seen
    var kept: [String] = []
    for (place, column) in table.columns.enumerated()
    where wanted.values[place] != seen.values[place] {
      // The map doesn't know what the database does: nothing is put in the place of something.
      if wanted.values[place] == .null {
        if column.name == "cell_id" { kept.append("the map has no cell for it; it keeps its own") }
        continue
      }
      if let reason = try reason(toKeep: column, at: place, wanted, seen) {
        kept.append(reason)
      } else {
        row.values[place] = wanted.values[place]
      }
    }
    guard row.values != seen.values else { return kept.isEmpty ? .same : .leave(.kept, kept) }
    if isBeingBuilt {
      return .leave(.kept, ["its build_request exists: Nova is still building it"])
    }
    if let change = try changeSinceSeen(wanted, seen, table) { return .leave(.kept, [change]) }
    var change = RowChange(table: table, seen: seen, row: row, conditions: [])
    if table == .instances { change.conditions.append(.buildRequest(wanted.key, exists: false)) }
    return .write(change, kept: kept)
  }

  /// Why a column stays as the database has it; nil if it may change.
  private func reason(
    toKeep column: PublishedTable.Column, at place: Int, _ wanted: WantedRow, _ seen: PublishedRow
  ) throws(PublicationError) -> String? {
    let clearsMark =
      column.name == "queued_for_delete" && seen.values[place] == .integer(1)
      && wanted.values[place] == .integer(0)
    guard isBesideNova || clearsMark else { return nil }
    let known = try evidence.time(of: column.name, wanted.entity, changedAt: wanted.changedAt)
    if let known, let last = seen.lastChange, known >= last.plus(seconds: 1) { return nil }
    // A row without any time is of before Nova kept them; only a deletion mark needs more.
    if !clearsMark, seen.lastChange == nil { return nil }
    let row = seen.lastChange.map { "was written at \($0)" } ?? "has no time"
    let map = known.map { "what the map knows is of \($0)" } ?? "the map's last change isn't of it"
    return "\(column.name) stays: the row \(row), and \(map)"
  }
}

extension Timestamp {
  func plus(seconds: Int64) -> Timestamp {
    Timestamp(microseconds: microseconds + seconds * 1_000_000)
  }
}
