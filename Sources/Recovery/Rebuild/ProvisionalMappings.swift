internal import Journal
internal import Projections

/// Which mappings a rebuild or a comparison has made of the cells while it could not read every one: where the cells
/// don't decide they are taken back, so that the end is the same in whatever order cells return.
///
/// What is known of it is read from the journal where it is asked for: hosts, and then instances by their UUIDs.
final class ProvisionalMappings {
  private let journal: EventJournal
  /// Where the epoch begins that a rebuild has opened; nil if none is the last.
  private let rebuiltFrom: UInt64?
  /// Whether each cell's coverage is complete.
  private let coverage: [CellID: Bool]
  private var scans: (since: UInt64, whole: Set<RequestID>)?
  private var window: Window?

  /// What the journal says of hosts, and of the instances from one UUID to another.
  private struct Window {
    /// Instances of which it may know at once: some 30 MB.
    static let capacity = 500_000

    var first: InstanceID
    var last = InstanceID(UUID128(high: .max, low: .max))
    /// The entries that made those mappings of which something else was changed since; 0 before one is found.
    var made: [EntityKey: UInt64] = [:]
    /// The last entry in which an operator has decided for a cell.
    var decided: [EntityKey: UInt64] = [:]

    func holds(_ entity: EntityKey) -> Bool {
      guard case .instance(let id) = entity else { return true }
      return first <= id && id <= last
    }

    mutating func decide(_ entity: EntityKey, at index: UInt64) {
      if holds(entity) { decided[entity] = decided[entity] ?? index }
    }

    mutating func add(_ entity: EntityKey) {
      made[entity] = 0
      if made.count <= Self.capacity { return }
      let ids = made.keys.compactMap { if case .instance(let id) = $0 { id } else { nil } }
      if ids.isEmpty { return }
      last = ids.sorted()[ids.count / 2]
      made = made.filter { holds($0.key) }
    }
  }

  init(journal: EventJournal, rebuiltFrom: UInt64?, coverage: [CellID: Bool]) {
    self.journal = journal
    self.rebuiltFrom = rebuiltFrom
    self.coverage = coverage
  }

  /// - Parameter index: The last entry that changed the mapping.
  func contains(
    _ entity: EntityKey, changedAt index: UInt64
  ) throws(JournalError) -> Bool {
    guard let rebuiltFrom, index >= rebuiltFrom else { return false }
    if scans == nil {
      scans = try LastScans.wholeSince(coverage, in: journal, from: rebuiltFrom)
    }
    guard let scans, index > scans.since, let entry = try journal.entry(at: index) else {
      return false
    }
    let window: Window
    if let known = self.window, known.holds(entity) {
      window = known
    } else {
      window = try read(from: entity, behind: max(scans.since, rebuiltFrom - 1))
    }
    self.window = window
    if Self.placing.contains(entry.event.kind) { return isOfSomeCells(entry, window) }
    guard let made = window.made[entity], made > 0, let entry = try journal.entry(at: made) else {
      return false
    }
    return isOfSomeCells(entry, window)
  }

  private static let placing: Set<EventKind> = [.instanceMapped, .instanceMoved, .hostMapped]
  private static let changing: Set<EventKind> = [
    .instanceOwnerChanged, .instanceDeletionMarkChanged, .instanceRowRecorded, .hostRowRecorded,
  ]

  /// Whether an entry has made a mapping of the cells, and neither its command has read all of them nor an operator has
  /// decided since.
  private func isOfSomeCells(_ entry: Entry, _ window: Window) -> Bool {
    entry.draft.evidence?.cell != nil
      && scans?.whole.contains(entry.draft.request.id) != true
      && (window.decided[entry.event.entity] ?? 0) < entry.position.index
  }

  private func read(
    from entity: EntityKey, behind since: UInt64
  ) throws(JournalError) -> Window {
    var window = Window(first: InstanceID(.zero))
    if case .instance(let id) = entity { window.first = id }
    try journal.walkBack(
      to: since + 1, over: Self.placing.union(Self.changing).union([.conflictResolved])
    ) { (header) throws(JournalError) in
      let index = header.position.index
      var entity = EntityKey.instance(InstanceID(header.entityKey))
      if header.entityKind == .host || header.kind == EventKind.conflictResolved.rawValue {
        guard let event = try journal.entry(at: index)?.event else { return true }
        entity = event.entity
        if case .conflict(_, .resolved(_, let decision)) = event {
          if ConflictDecision.cell(in: decision) != nil { window.decide(entity, at: index) }
          return true
        }
      }
      guard window.holds(entity) else { return true }
      if EventKind(rawValue: header.kind).map(Self.placing.contains) == true {
        if window.made[entity] == 0 { window.made[entity] = index }
      } else if window.made[entity] == nil {
        window.add(entity)
      }
      return true
    }
    return window
  }
}
