public import Journal
public import Projections

/// How some entries are undone: what becomes of each thing that they changed, and what stands against it.
public struct ReversalPlan: Sendable {
  /// A thing that was changed since.
  public struct ChangedSince: Hashable, Sendable {
    public let entity: EntityKey
    /// The last entry that changed it.
    public let entry: Position
  }

  public let first: Position
  public let last: Position
  /// The head at which the plan was made.
  public let head: Position
  /// What becomes of things: `before` is what the map holds, `after` what it will, and `entries` are
  /// those that are undone. Cells, then hosts, then instances.
  public let steps: [EntityDifference]
  /// Conflicts that will be open again.
  public let reopened: [EntityKey]
  /// Without any of these the plan can be carried out, as far as the rules allow.
  public let refused: [ChangedSince]
  /// Things that the entries changed, and that are as they were before already.
  public let asBefore: Int
  /// Entries of which nothing can be undone, by kind: what was found out or noted stays.
  public let staying: [EventKind: UInt64]
  /// How many cells, hosts and instances the entries changed, whatever is left to be done.
  public var changedThings: Int { steps.count + refused.count + asBefore }
  /// How many things the entries changed, conflicts among them: beyond `Rulebook.maximumPieces` it takes several commits.
  public let touched: Int

  /// Cells that the map lacks, and that were changed since.
  let lacking: Set<CellID>
  private let items: [Reversal.Item]
  private let rekeyed: [CellID: UInt64]

  /// Plans the undoing of the entries from `first` to `last`.
  ///
  /// Reads those entries, and the ones about the things that they changed.
  ///
  /// - Parameter map: The map at the history's head.
  /// - Returns: nil if they are about more than `MapDifference.maximumEntities` things.
  /// - Throws: `index` or `journal`.
  public init?(
    of indexes: ClosedRange<UInt64>, _ history: MapHistory, map: some MapLookup
  ) throws(RegistryError) {
    let positions: (first: Position?, last: Position?, before: Position?)
    do throws(JournalError) {
      positions = (
        try history.journal.position(at: .index(indexes.lowerBound)),
        try history.journal.position(at: .index(indexes.upperBound)),
        try history.journal.position(at: .index(indexes.lowerBound - 1))
      )
    } catch {
      throw .journal(error)
    }
    guard let first = positions.first, let last = positions.last else {
      preconditionFailure("entries up to the head are undone")
    }
    (self.first, self.last, head) = (first, last, history.head)
    do throws(ProjectionError) {
      let found = try history.difference(from: positions.before ?? .start, to: last)
      guard let found else { return nil }
      var work = PlanWork(last: last.index)
      let now = try history.rows(
        of: found.differences.map(\.entity), at: history.head.index)
      for difference in found.differences {
        let lastEntry = try Self.lastChange(of: difference.entity, history)
        work.add(difference, now: now[difference.entity], lastChange: lastEntry)
      }
      let conflicts = try Self.conflicts(in: indexes, history, map)
      staying = conflicts.staying
      reopened = conflicts.reopened.map(\.entity)
      steps = work.steps
      refused = work.refused
      lacking = work.lacking
      asBefore = work.asBefore
      touched = found.differences.count + conflicts.reopened.count
      rekeyed = work.rekeyed
      items = work.items(reopening: conflicts.reopened)
    } catch {
      throw .index(error)
    }
  }

  /// The last entry that decided what the map holds of a thing, or took it away; other keys for the same
  /// addresses decide nothing.
  private static func lastChange(
    of entity: EntityKey, _ history: MapHistory
  ) throws(ProjectionError) -> Position? {
    try history.entries(of: entity).last { !$0.event.isKept }?.position
  }

  /// What is decided about conflicts in a range, and the entries of which nothing can be undone.
  private static func conflicts(
    in indexes: ClosedRange<UInt64>, _ history: MapHistory, _ map: some MapLookup
  ) throws(ProjectionError) -> (
    reopened: [(entity: EntityKey, found: FoundConflict)], staying: [EventKind: UInt64]
  ) {
    var staying: [EventKind: UInt64] = [:]
    var decided: [EntityKey: UInt64] = [:]
    try history.forEachStep(in: indexes) { step in
      let event = step.entry.event
      if case .conflict(let entity, .resolved) = event {
        decided[entity] = step.entry.position.index
      } else if event.isKept {
        staying[event.kind, default: 0] += 1
      }
      return .more
    }
    var reopened: [(entity: EntityKey, found: FoundConflict)] = []
    for (entity, index) in decided {
      // A later entry about the conflict stands.
      guard let row = try map.conflict(of: entity), row.changedAt == index else { continue }
      reopened.append(
        (entity, FoundConflict(kind: row.record.kind, evidence: row.record.evidence)))
    }
    reopened.sort { "\($0.entity)" < "\($1.entity)" }
    return (reopened, staying)
  }

  /// Nothing is left to be done.
  public var isEmpty: Bool { items.isEmpty }

  /// The commands that carry the plan out, each one commit; all but a plan of many things is one.
  ///
  /// - Parameter size: Things in a commit.
  public func commands(size: Int = Self.thingsOfOneCommit) -> [(
    reversal: Reversal, chunk: KeyRange?
  )] {
    let leaving = Set(
      items.compactMap { item -> CellID? in
        if case .cell(let id, nil) = item { id } else { nil }
      })
    func reversal(_ items: some Sequence<Reversal.Item>) -> Reversal {
      Reversal(
        first: first, last: last, items: Array(items), leavingCells: leaving, rekeyed: rekeyed)
    }
    guard isBulk(size: size) else { return [(reversal(items), nil)] }
    var commands: [(reversal: Reversal, chunk: KeyRange?)] = []
    var rest = items[...]
    while let start = rest.first {
      let part = rest.prefix(size).prefix {
        $0.entity.kind == start.entity.kind && $0.removesCell == start.removesCell
      }
      rest = rest.dropFirst(part.count)
      let (low, high) = (start.entity, part.last?.entity ?? start.entity)
      commands.append((reversal(part), KeyRange(low, through: high)))
    }
    return commands
  }

  /// Whether it takes several commits. Depends on the entries that are undone alone, so that the command
  /// given again is the same.
  public func isBulk(size: Int = Self.thingsOfOneCommit) -> Bool { touched > size }

  public static let thingsOfOneCommit = 10_000

  /// The command in words, for each of its commits.
  public var title: ByteText { ByteText("revert \(first)..\(last)") }
}

/// The steps of a plan on their way.
private struct PlanWork {
  let last: UInt64
  private(set) var steps: [EntityDifference] = []
  private(set) var refused: [ReversalPlan.ChangedSince] = []
  /// As `ReversalPlan.lacking`.
  private(set) var lacking: Set<CellID> = []
  private(set) var asBefore = 0
  /// As `Reversal.rekeyed`.
  private(set) var rekeyed: [CellID: UInt64] = [:]

  init(last: UInt64) { self.last = last }

  /// - Parameter difference: What became of the thing by the entries that are undone.
  mutating func add(_ difference: EntityDifference, now: EntityRow?, lastChange: Position?) {
    let target = Self.target(of: difference, now)
    guard now?.content != target?.content else {
      asBefore += 1
      return
    }
    if let lastChange, lastChange.index > last {
      refused.append(ReversalPlan.ChangedSince(entity: difference.entity, entry: lastChange))
      if case .cell(let id) = difference.entity, now == nil { lacking.insert(id) }
      return
    }
    if case .cell(let id) = difference.entity, let changedAt = now?.changedAt, changedAt > last {
      rekeyed[id] = changedAt
    }
    steps.append(
      EntityDifference(
        entity: difference.entity, before: now, after: target, entries: difference.entries))
  }

  /// What was; an address that wasn't changed stays under the key of now, and where an instance was seen
  /// stays, since nothing can make it unseen.
  private static func target(of difference: EntityDifference, _ now: EntityRow?) -> EntityRow? {
    if case .cell(var row)? = difference.before, let now = now?.cell?.record {
      let (before, after) = (row.record, difference.after?.cell?.record)
      if before.database == after?.database { row.record.database = now.database }
      if before.queue == after?.queue { row.record.queue = now.queue }
      return .cell(row)
    }
    guard case .instance(var row)? = difference.before, let seen = now?.instance?.record.lastSeen
    else { return difference.before }
    row.record.lastSeen = seen
    return .instance(row)
  }

  /// Cells come first and go last.
  func items(
    reopening conflicts: [(entity: EntityKey, found: FoundConflict)]
  ) -> [Reversal.Item] {
    let all = steps.map { step -> Reversal.Item in
      switch step.entity {
      case .cell(let id): .cell(id, step.after?.cell?.record)
      case .host(let name): .host(name, step.after?.host?.record)
      case .instance(let id): .instance(id, step.after?.instance?.record)
      case .store: preconditionFailure("the store has no record")
      }
    }
    let reopened = conflicts.map { Reversal.Item.conflict($0.entity, $0.found) }
    return all.filter { !$0.removesCell } + reopened + all.filter(\.removesCell)
  }
}

extension EntityRow {
  /// The record, without the entries that made it.
  fileprivate var content: EntityRow {
    switch self {
    case .cell(let row): .cell(CellRow(record: row.record, changedAt: 0))
    case .host(let row): .host(HostRow(record: row.record, changedAt: 0))
    case .instance(let row): .instance(InstanceRow(record: row.record, changedAt: 0))
    }
  }

  fileprivate var changedAt: UInt64 {
    switch self {
    case .cell(let row): row.changedAt
    case .host(let row): row.changedAt
    case .instance(let row): row.changedAt
    }
  }
}

extension Event {
  /// Nothing undoes it: it says what was found out, or what was done to the store.
  fileprivate var isKept: Bool {
    switch self {
    case .store, .conflict, .cell(_, .identityRecorded), .cell(_, .probed),
      .cell(_, .keyShredded), .cell(_, .addressResealed), .instance(_, .hostSeen):
      true
    case .cell, .host, .instance: false
    }
  }
}
