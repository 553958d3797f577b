public import Journal

/// What is different of a thing: between two positions, or between the map and another one.
public struct EntityDifference: Hashable, Sendable {
  public let entity: EntityKey
  /// What the map held at the first; nil for nothing. An address that has only got another key since is
  /// under that.
  public fileprivate(set) var before: EntityRow?
  /// What the map held at the second.
  public fileprivate(set) var after: EntityRow?
  /// The entries that did it, in order.
  public fileprivate(set) var entries: [Position]

  public init(entity: EntityKey, before: EntityRow?, after: EntityRow?, entries: [Position]) {
    self.entity = entity
    self.before = before
    self.after = after
    self.entries = entries
  }

  /// The same with the owners of an instance opened.
  public func opened(by keys: OwnerKeys?) -> EntityDifference {
    EntityDifference(
      entity: entity, before: before?.opened(by: keys), after: after?.opened(by: keys),
      entries: entries)
  }

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
      let entries = try opened { () throws(JournalError) in
        try journal.entries(after: index, limit: Int(min(to.index - index, 1_000)))
      }
      try begin(entries, from: from.index, &found)
      guard found.count <= MapDifference.maximumEntities else { return nil }
      for entry in entries { add(entry, to: &found) }
      index += UInt64(entries.count)
    }
    let net = found.values.filter { !$0.changes.isEmpty }
    return MapDifference(
      from: from, to: to,
      differences: net.sorted { Self.precedes($0.entity, $1.entity) },
      unchanged: found.count - net.count)
  }

  /// Looks up what the map held of the things that entries are about and that aren't known yet.
  private func begin(
    _ entries: [Entry], from: UInt64, _ found: inout [EntityKey: EntityDifference]
  ) throws(ProjectionError) {
    var news: Set<EntityKey> = []
    var known: Set<EntityKey> = []
    for entry in entries where entry.event.changesRecord {
      let entity = entry.event.entity
      // The first entry of each decides: what goes and comes again was there.
      guard found[entity] == nil, !news.contains(entity), !known.contains(entity) else { continue }
      if entry.event.isArrival { news.insert(entity) } else { known.insert(entity) }
    }
    let rows = try rows(of: known.sorted(by: Self.precedes), at: from)
    for entity in known.union(news) {
      let row = rows[entity]
      found[entity] = EntityDifference(entity: entity, before: row, after: row, entries: [])
    }
  }

  private func add(_ entry: Entry, to found: inout [EntityKey: EntityDifference]) {
    guard entry.event.changesRecord else { return }
    let entity = entry.event.entity
    let after = EntityRow.folded(
      entry.event, at: entry.position.index, into: found[entity]?.after)
    found[entity]?.after = after
    found[entity]?.entries.append(entry.position)
    guard case .cell(_, .addressResealed(let field, let from, let to)) = entry.event,
      case .cell(var row)? = found[entity]?.before
    else { return }
    switch field {
    case .database: if row.record.database == from { row.record.database = to }
    case .queue: if row.record.queue == from { row.record.queue = to }
    }
    found[entity]?.before = .cell(row)
  }

  private static func precedes(_ left: EntityKey, _ right: EntityKey) -> Bool {
    EntityTableKey(left) < EntityTableKey(right)
  }
}
