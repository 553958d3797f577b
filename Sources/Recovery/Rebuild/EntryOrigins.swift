internal import Journal

/// Finds the entry that has made something of a thing, a mapping or a mark, though the thing was changed otherwise
/// since.
///
/// What is known of it is read from the journal where it is asked for: hosts, and then instances by their UUIDs.
final class EntryOrigins {
  private let journal: EventJournal
  private let making: Set<EventKind>
  private let passing: Set<EventKind>
  private let since: UInt64
  private var window: Window?

  /// What the journal says of hosts, and of the instances from one UUID to another.
  private struct Window {
    /// Instances of which it may know at once: some 30 MB.
    static let capacity = 500_000

    var first: InstanceID
    var last = InstanceID(UUID128(high: .max, low: .max))
    /// The entries that made what was changed otherwise since; 0 before one is found.
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

  /// - Parameters:
  ///   - making: The events that are looked for.
  ///   - passing: Those that may come after, and leave what was made as it is.
  ///   - since: The entry behind which it looks.
  init(
    journal: EventJournal, making: Set<EventKind>, passing: Set<EventKind>, behind since: UInt64
  ) {
    self.journal = journal
    self.making = making
    self.passing = passing
    self.since = since
  }

  /// - Parameter index: The last entry that changed the thing.
  /// - Returns: nil if it was made before.
  func entry(making entity: EntityKey, changedAt index: UInt64) throws(JournalError) -> Entry? {
    guard index > since, let entry = try journal.entry(at: index) else { return nil }
    if making.contains(entry.event.kind) { return entry }
    guard let made = try window(about: entity).made[entity], made > 0 else { return nil }
    return try journal.entry(at: made)
  }

  /// The last entry in which an operator has decided for a cell that has the thing; 0 without one.
  func decision(about entity: EntityKey) throws(JournalError) -> UInt64 {
    try window(about: entity).decided[entity] ?? 0
  }

  private func window(about entity: EntityKey) throws(JournalError) -> Window {
    if let window, window.holds(entity) { return window }
    let read = try read(from: entity)
    window = read
    return read
  }

  private func read(from entity: EntityKey) throws(JournalError) -> Window {
    var window = Window(first: InstanceID(.zero))
    if case .instance(let id) = entity { window.first = id }
    try journal.walkBack(
      to: since + 1, over: making.union(passing).union([.conflictResolved])
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
      if EventKind(rawValue: header.kind).map(making.contains) == true {
        if window.made[entity] == 0 { window.made[entity] = index }
      } else if window.made[entity] == nil {
        window.add(entity)
      }
      return true
    }
    return window
  }
}
