import Journal
import Projections
import Registry

/// The map as commands read it: at the head, or as it stood before.
protocol MapView {
  /// The position at which answers are true.
  var head: Position { get }
  /// The entry of the past that was asked for; nil for the head.
  var past: PastPoint? { get }

  func cell(_ id: CellID) throws(CommandFailure) -> CellRow?
  /// All cells, by UUID.
  func cells() throws(CommandFailure) -> [(id: CellID, row: CellRow)]
  /// All hosts, by name.
  func hosts() throws(CommandFailure) -> [(name: ByteText, row: HostRow)]
  func instance(_ id: InstanceID) throws(CommandFailure) -> InstanceRow?
  /// What is known of a conflict about an instance or a host; nil if none was found.
  func conflict(of entity: EntityKey) throws(CommandFailure) -> ConflictRow?
}

extension MapView {
  /// What a JSON answer says of when it is true; the past is named as such.
  var label: [String: JSONValue] {
    var fields: [String: JSONValue] = ["position": .printed(head)]
    if let past {
      fields["past"] = .flag(true)
      fields["as_of"] = .printed(past.orderedAt)
      if let left = past.left { fields["left_by_epoch"] = .number(UInt64(left.epoch)) }
    }
    return fields
  }

  /// Tells people, ahead of the answer, that it isn't about now.
  func announce() {
    if let past { Console.print("As of \(past.position) (\(past.orderedAt)), not now:") }
  }

  /// The names of the cells that have one, for people.
  func names() throws(CommandFailure) -> [CellID: String] {
    var names: [CellID: String] = [:]
    for (id, row) in try cells() { names[id] = row.record.name?.string }
    return names
  }

  /// The cell that a name or UUID means; an ambiguous name is refused, with the UUIDs.
  func cell(named text: String) throws(CommandFailure) -> (id: CellID, row: CellRow) {
    let cells = try cells()
    let (id, name) = (CellID(text), ByteText(text))
    // A cell may be named as another's UUID.
    let named = cells.filter { $0.id == id || $0.row.record.name == name }
    guard let found = named.first else {
      if let past {
        throw CommandFailure(
          .unknown,
          "There was no cell \(text) at \(past.position). 'cell list --at' shows those of then.")
      }
      if let id { throw CommandFailure(Refusal.unknownCell(id)) }
      throw CommandFailure(.unknown, "There is no cell named \(text). 'cell list' shows the cells.")
    }
    guard named.count == 1 else {
      let ids = named.map(\.id.description).joined(separator: ", ")
      throw CommandFailure(
        .refused,
        "\(text) is the name or UUID of \(named.count) cells: \(ids). "
          + "Give the UUID, or rename the cell that is named so.")
    }
    return found
  }

  /// The same, or nil for 'none'.
  func cellOrNone(named text: String) throws(CommandFailure) -> CellID? {
    guard text == "none" else { return try cell(named: text).id }
    if let named = try cells().first(where: { $0.row.record.name == "none" }) {
      throw CommandFailure(
        .refused,
        "'none' is no cell, and cell \(named.id) is named so. Rename it with 'cell rename', or give "
          + "its UUID.")
    }
    return nil
  }
}

/// Single things, cells and hosts of the past, from the history.
struct PastReading: MapView {
  let map: PastMap
  let past: PastPoint?

  var head: Position { map.position }

  func cell(_ id: CellID) throws(CommandFailure) -> CellRow? {
    try projections { () throws(ProjectionError) in try map.cell(id) }
  }
  func cells() throws(CommandFailure) -> [(id: CellID, row: CellRow)] {
    try projections { () throws(ProjectionError) in try map.cells() }
  }
  func hosts() throws(CommandFailure) -> [(name: ByteText, row: HostRow)] {
    try projections { () throws(ProjectionError) in try map.hosts() }
  }
  func instance(_ id: InstanceID) throws(CommandFailure) -> InstanceRow? {
    try projections { () throws(ProjectionError) in try map.instance(id) }
  }
  func conflict(of entity: EntityKey) throws(CommandFailure) -> ConflictRow? {
    try projections { () throws(ProjectionError) in try map.conflict(of: entity) }
  }
}
