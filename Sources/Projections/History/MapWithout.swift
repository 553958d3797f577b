public import Journal

/// What the map would hold if some entries had never been: made in memory, beside a journal that is not
/// touched.
public struct MapWithout: Sendable {
  /// The entry of which both maps are true.
  public let position: Position
  /// Entries that were left out.
  public let leftOut: UInt64
  /// Things that would be otherwise: `before` is what the map holds, `after` what it would hold, and
  /// `entries` are those of the thing that were left out. Cells, then hosts, then instances.
  public let differences: [EntityDifference]
  /// Things of which entries were left out, and that would be as they are.
  public let unchanged: Int
  /// Entries that make no sense without those, in order; at most `maximumMisfits`.
  public let misfits: [Misfit]
  /// How many there are.
  public let misfitCount: Int

  public struct Misfit: Hashable, Sendable {
    public let entry: Entry
    public let why: EventMisfit
  }

  /// Misfits that are kept; beyond it they are counted.
  public static let maximumMisfits = 1_000
}

extension MapHistory {
  /// Compares the map at a position with one in which some entries are left out.
  ///
  /// Reads the entries about the things that those are about; where a cell would be there or not at other
  /// times than it was, every entry after the first one, too.
  ///
  /// - Parameters:
  ///   - indexes: In order, apart from each other.
  ///   - end: The position at which the two are compared.
  /// - Returns: nil if the entries are about more than `MapDifference.maximumEntities` things.
  /// - Throws: As `init`.
  public func map(
    without indexes: [ClosedRange<UInt64>], at end: Position
  ) throws(ProjectionError) -> MapWithout? {
    guard let touched = try touched(by: indexes, upTo: end.index) else { return nil }
    var work = ShadowWork(end: end.index, indexes: indexes)
    for entity in touched.keys.sorted(by: { EntityTableKey($0) < EntityTableKey($1) }) {
      work.add(try entries(of: entity, upTo: end.index), of: entity, leftOut: touched[entity] ?? [])
    }
    if let first = indexes.first?.lowerBound, !work.presences.isEmpty {
      try addHomeless(to: &work, after: first)
    }
    let misfits = work.misfits.sorted { $0.entry.position.index < $1.entry.position.index }
    return MapWithout(
      position: end, leftOut: work.leftOutCount, differences: work.differences,
      unchanged: work.unchanged, misfits: Array(misfits.prefix(MapWithout.maximumMisfits)),
      misfitCount: work.misfitCount)
  }

  /// The things that entries are about, with the positions of those entries.
  private func touched(
    by indexes: [ClosedRange<UInt64>], upTo end: UInt64
  ) throws(ProjectionError) -> [EntityKey: [Position]]? {
    var touched: [EntityKey: [Position]] = [:]
    for range in indexes where range.lowerBound <= end {
      var index = range.lowerBound - 1
      let last = min(range.upperBound, end)
      while index < last {
        let entries = try reading { () throws(JournalError) in
          try journal.entries(after: index, limit: Int(min(last - index, 1_000)))
        }
        for entry in entries where entry.event.changesRecord {
          touched[entry.event.entity, default: []].append(entry.position)
        }
        guard touched.count <= MapDifference.maximumEntities else { return nil }
        index += UInt64(entries.count)
      }
    }
    return touched
  }

  /// Finds the entries that put a host or an instance into a cell which would not be there.
  private func addHomeless(
    to work: inout ShadowWork, after first: UInt64
  ) throws(ProjectionError) {
    var filter = EntryFilter()
    filter.kinds = [.hostMapped, .instanceMapped, .instanceMoved]
    filter.after = first
    filter.through = work.end
    var found: [Entry] = []
    var count = 0
    let known = work
    _ = try reading { () throws(JournalError) in
      try journal.forEachEntry(matching: filter) { (entry) in
        guard known.missingCell(of: entry) != nil else { return }
        count += 1
        if found.count < MapWithout.maximumMisfits { found.append(entry) }
      }
    }
    work.addHomeless(found, count: count)
  }
}

/// The two maps on their way, a thing at a time.
private struct ShadowWork {
  let end: UInt64
  private let indexes: [ClosedRange<UInt64>]
  private(set) var leftOutCount: UInt64
  private(set) var differences: [EntityDifference] = []
  private(set) var unchanged = 0
  private(set) var misfits: [MapWithout.Misfit] = []
  private(set) var misfitCount = 0
  /// The entries that don't fit on what would be there: an entry has one reason.
  private var unfitting: Set<UInt64> = []
  /// Of cells that would be there at other times than they were: from which entry on they would be
  /// there, or not.
  private(set) var presences: [CellID: [(index: UInt64, isThere: Bool)]] = [:]

  init(end: UInt64, indexes: [ClosedRange<UInt64>]) {
    self.end = end
    self.indexes = indexes
    leftOutCount = indexes.reduce(0) { count, range in
      range.lowerBound > end
        ? count : count + min(range.upperBound, end) - range.lowerBound + 1
    }
  }

  private func isLeftOut(_ index: UInt64) -> Bool {
    var (low, high) = (0, indexes.count)
    while low < high {
      let middle = (low + high) / 2
      if indexes[middle].upperBound < index { low = middle + 1 } else { high = middle }
    }
    return low < indexes.count && indexes[low].contains(index)
  }

  /// Folds the entries about a thing, with and without those that are left out.
  mutating func add(_ entries: [Entry], of entity: EntityKey, leftOut: [Position]) {
    var (row, shadow): (EntityRow?, EntityRow?) = (nil, nil)
    var presence: [(index: UInt64, isThere: Bool)] = []
    var isOtherwisePresent = false
    for entry in entries {
      let index = entry.position.index
      if !isLeftOut(index) {
        let why = EntityRow.misfit(of: entry.event, on: shadow)
        // What didn't fit anyway is no consequence.
        if let why, EntityRow.misfit(of: entry.event, on: row) == nil { note(entry, why) }
        shadow = EntityRow.folded(entry.event, at: index, into: shadow)
      }
      row = EntityRow.folded(entry.event, at: index, into: row)
      if (shadow != nil) != (presence.last?.isThere ?? false) {
        presence.append((index, shadow != nil))
      }
      if (shadow != nil) != (row != nil) { isOtherwisePresent = true }
    }
    if case .cell(let id) = entity, isOtherwisePresent { presences[id] = presence }
    let difference = EntityDifference(
      entity: entity, before: row, after: shadow, entries: leftOut)
    if difference.changes.isEmpty { unchanged += 1 } else { differences.append(difference) }
  }

  private mutating func note(_ entry: Entry, _ why: EventMisfit) {
    misfitCount += 1
    unfitting.insert(entry.position.index)
    guard misfits.count < MapWithout.maximumMisfits else { return }
    misfits.append(MapWithout.Misfit(entry: entry, why: why))
  }

  /// The cell into which an entry puts something, if it would not be there.
  func missingCell(of entry: Entry) -> CellID? {
    let index = entry.position.index
    guard !isLeftOut(index), !unfitting.contains(index) else { return nil }
    let cell: CellID? =
      switch entry.event {
      case .host(_, .mapped(let record)): record.cell
      case .instance(_, .mapped(let record)): record.cell
      case .instance(_, .moved(_, let to)): to
      default: nil
      }
    guard let cell, let presence = presences[cell] else { return nil }
    return presence.last { $0.index <= index }?.isThere == true ? nil : cell
  }

  mutating func addHomeless(_ entries: [Entry], count: Int) {
    misfitCount += count
    for entry in entries {
      guard let cell = missingCell(of: entry) else { continue }
      misfits.append(MapWithout.Misfit(entry: entry, why: .noCell(cell)))
    }
  }
}
