public import Journal

/// An entry, and what the map held of its thing before and after it.
public struct EntryStep: Hashable, Sendable {
  public let entry: Entry
  /// nil for nothing; both are nil where the entry changes no record (a conflict, an epoch).
  public let before: EntityRow?
  public let after: EntityRow?

  /// The parts of the record that the entry changed.
  public var changes: [FieldChange] { EntityRow.changes(from: before, to: after) }
}

/// What a reader of steps wants after one.
public enum StepWish: Sendable {
  case more
  case enough
}

extension MapHistory {
  /// Things whose rows are kept from one step to the next; beyond it they are looked up again.
  static let keptRows = 100_000
  private static let entriesOfOneStepReading = 1_000

  /// Calls `body` with each entry of a range in order, and what it changed.
  ///
  /// What was before is looked up for a thousand entries at a time: some ten microseconds an entry, and
  /// memory that doesn't grow with the range.
  ///
  /// - Parameters:
  ///   - indexes: Up to the history's head.
  ///   - entities: Only entries about these, which are found without reading the others; nil for all.
  /// - Throws: As `init`.
  public func forEachStep(
    in indexes: ClosedRange<UInt64>, of entities: Set<EntityKey>? = nil,
    _ body: (EntryStep) -> StepWish
  ) throws(ProjectionError) {
    precondition(
      indexes.lowerBound > 0 && indexes.upperBound <= head.index, "entries that are there")
    if let entities { return try forEachStep(in: indexes, ofSome: entities, body) }
    var rows: [EntityKey: EntityRow?] = [:]
    var next = indexes.lowerBound
    while next <= indexes.upperBound {
      let limit = min(indexes.upperBound - next + 1, UInt64(Self.entriesOfOneStepReading))
      let entries = try opened { () throws(JournalError) in
        try journal.entries(after: next - 1, limit: Int(limit))
      }
      if rows.count > Self.keptRows { rows.removeAll() }
      try lookUp(entries, before: next, in: &rows)
      for entry in entries where body(Self.step(entry, &rows)) == .enough { return }
      next += UInt64(entries.count)
    }
  }

  private func forEachStep(
    in indexes: ClosedRange<UInt64>, ofSome entities: Set<EntityKey>,
    _ body: (EntryStep) -> StepWish
  ) throws(ProjectionError) {
    var rows: [EntityKey: EntityRow?] = [:]
    var places: Set<UInt64> = []
    for entity in entities {
      rows.updateValue(try row(of: entity, at: indexes.lowerBound - 1), forKey: entity)
      places.formUnion(try self.indexes(of: entity, upTo: indexes.upperBound))
    }
    var rest = places.filter { indexes.contains($0) }.sorted()[...]
    while !rest.isEmpty {
      let part = Array(rest.prefix(Self.entriesOfOneStepReading))
      rest = rest.dropFirst(part.count)
      let entries = try opened { () throws(JournalError) in try journal.entries(at: part) }
      for entry in entries where body(Self.step(entry, &rows)) == .enough { return }
    }
  }

  private static func step(
    _ entry: Entry, _ rows: inout [EntityKey: EntityRow?]
  ) -> EntryStep {
    guard entry.event.changesRecord else {
      return EntryStep(entry: entry, before: nil, after: nil)
    }
    let entity = entry.event.entity
    let before = rows[entity] ?? nil
    let after = EntityRow.folded(entry.event, at: entry.position.index, into: before)
    rows.updateValue(after, forKey: entity)
    return EntryStep(entry: entry, before: before, after: after)
  }

  /// Looks up what the map held, ahead of the first of them, of the things that entries are about and
  /// that aren't known yet.
  private func lookUp(
    _ entries: [Entry], before first: UInt64, in rows: inout [EntityKey: EntityRow?]
  ) throws(ProjectionError) {
    var wanted: Set<EntityKey> = []
    for entry in entries where entry.event.changesRecord {
      let entity = entry.event.entity
      guard rows[entity] == nil, !wanted.contains(entity) else { continue }
      // What comes was not there.
      if entry.event.isArrival {
        rows.updateValue(nil, forKey: entity)
      } else {
        wanted.insert(entity)
      }
    }
    guard first > 1, !wanted.isEmpty else { return }
    let found = try self.rows(of: Array(wanted), at: first - 1)
    for entity in wanted { rows.updateValue(found[entity], forKey: entity) }
  }
}

extension Event {
  /// The event is about a cell, a host or an instance itself, and no conflict over it.
  var changesRecord: Bool {
    switch self {
    case .cell, .host, .instance: true
    case .store, .conflict: false
    }
  }

  /// Another key for the same address: nobody's answer is another one.
  var isResealing: Bool { if case .cell(_, .addressResealed) = self { true } else { false } }

  /// An instance is only mapped where the map holds none: a look for it would find nothing.
  var isArrival: Bool {
    if case .instance(_, .mapped) = self { true } else { false }
  }
}
