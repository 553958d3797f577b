public import Journal

/// What became of a thing between two positions.
public struct EntityDifference: Hashable, Sendable {
  public let entity: EntityKey
  /// What the map held at the first position; nil for nothing.
  public let before: EntityRow?
  /// What the map held at the second.
  public fileprivate(set) var after: EntityRow?
  /// The entries that did it, in order.
  public fileprivate(set) var entries: [Position]

  /// What is different; empty if the thing has become again what it was.
  public var changes: [FieldChange] { EntityRow.changes(from: before, to: after) }
}

/// What is different in the map between two positions.
public struct MapDifference: Sendable {
  public let from: Position
  public let to: Position
  /// Things that differ: cells, then hosts, then instances, each by its key.
  public let differences: [EntityDifference]
  /// Things that were touched and are what they were.
  public let unchanged: Int

  /// Things that are compared at most; more are refused.
  public static let maximumEntities = 250_000
}

extension MapHistory {
  /// Compares the map at two positions, of which the first is not later, by reading the entries
  /// between them.
  ///
  /// - Returns: nil if more than `MapDifference.maximumEntities` things were touched.
  /// - Throws: As `init`.
  public func difference(
    from: Position, to: Position
  ) throws(ProjectionError) -> MapDifference? {
    precondition(from.index <= to.index && to.index <= head.index, "two positions, in order")
    var found: [EntityKey: EntityDifference] = [:]
    var index = from.index
    while index < to.index {
      let entries = try reading { () throws(JournalError) in
        try journal.entries(after: index, limit: Int(min(to.index - index, 1_000)))
      }
      for entry in entries {
        try add(entry, from: from.index, to: &found)
        guard found.count <= MapDifference.maximumEntities else { return nil }
      }
      index += UInt64(entries.count)
    }
    let net = found.values.filter { !$0.changes.isEmpty }
    return MapDifference(
      from: from, to: to,
      differences: net.sorted { EntityTableKey($0.entity) < EntityTableKey($1.entity) },
      unchanged: found.count - net.count)
  }

  private func add(
    _ entry: Entry, from: UInt64, to found: inout [EntityKey: EntityDifference]
  ) throws(ProjectionError) {
    let entity = entry.event.entity
    switch entry.event {
    case .store, .conflict: return
    case .cell, .host, .instance: break
    }
    var difference: EntityDifference
    if let known = found[entity] {
      difference = known
    } else {
      let before = try isNew(entry.event) ? nil : row(of: entity, at: from)
      difference = EntityDifference(entity: entity, before: before, after: before, entries: [])
    }
    difference.after = EntityRow.folded(
      entry.event, at: entry.position.index, into: difference.after)
    difference.entries.append(entry.position)
    found[entity] = difference
  }

  /// An instance is only mapped where the map holds none: a look for it would find nothing.
  private func isNew(_ event: Event) -> Bool {
    if case .instance(_, .mapped) = event { true } else { false }
  }
}
