/// Entries that belong together: those of a request, of an actor, of a kind.
public struct ChangeGroup: Hashable, Sendable {
  /// What they share, as text.
  public let key: String
  /// The author of the first of them.
  public let authorship: Authorship
  public let request: RequestID
  public let first: Position
  public let firstAt: Timestamp
  public fileprivate(set) var last: Position
  public fileprivate(set) var lastAt: Timestamp
  public fileprivate(set) var count: UInt64
  /// How many there are of each kind.
  public fileprivate(set) var kinds: [EventKind: UInt64]
}

/// Who changed the map: entries in question, grouped, the biggest groups first.
public struct ChangeGroups: Sendable {
  /// What entries are grouped by.
  public enum Key: Sendable {
    case request, actor, program, reason, kind, cell
  }

  /// The groups, biggest first; of equally big ones the earlier first.
  public private(set) var groups: [ChangeGroup] = []
  /// Entries in question.
  public private(set) var entries: UInt64 = 0
  /// Entries in groups of one that were too many to be kept apart.
  public private(set) var others: UInt64 = 0

  /// Groups kept at a time; beyond it those of one entry are only counted.
  public static let maximumGroups = 100_000

  /// Reads the entries in question.
  ///
  /// - Throws: As `EventJournal.forEachEntry(matching:)`.
  public init(
    of journal: EventJournal, matching filter: EntryFilter, by key: Key,
    progress: (UInt64) -> Void = { _ in }
  ) throws(JournalError) {
    var found: [String: ChangeGroup] = [:]
    var (entries, others) = (UInt64(0), UInt64(0))
    try journal.forEachEntry(matching: filter, progress: progress) { (entry) in
      entries += 1
      for text in Self.texts(of: entry, key) { Self.add(entry, under: text, to: &found) }
      guard found.count > Self.maximumGroups else { return }
      let before = found.count
      found = found.filter { $0.value.count > 1 }
      others += UInt64(before - found.count)
    }
    (self.entries, self.others) = (entries, others)
    groups = found.values.sorted {
      $0.count == $1.count ? $0.first.index < $1.first.index : $0.count > $1.count
    }
  }

  private static func texts(of entry: Entry, _ key: Key) -> [String] {
    let authorship = entry.draft.authorship
    switch key {
    case .request:
      // What nobody asked for by a request is nobody else's.
      let request = entry.draft.request.id
      return [request == .none ? "\(entry.position)" : request.description]
    case .actor: return [authorship.actor.string]
    case .program: return [authorship.program.string]
    case .reason: return [authorship.reason?.string ?? ""]
    case .kind: return [entry.event.kind.name]
    case .cell: return Set(entry.event.cells).map(\.description)
    }
  }

  private static func add(
    _ entry: Entry, under text: String, to groups: inout [String: ChangeGroup]
  ) {
    let empty = ChangeGroup(
      key: text, authorship: entry.draft.authorship, request: entry.draft.request.id,
      first: entry.position, firstAt: entry.orderedAt, last: entry.position,
      lastAt: entry.orderedAt, count: 0, kinds: [:])
    groups[text, default: empty].last = entry.position
    groups[text, default: empty].lastAt = entry.orderedAt
    groups[text, default: empty].count += 1
    groups[text, default: empty].kinds[entry.event.kind, default: 0] += 1
  }
}
