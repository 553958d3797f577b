/// What happened in a part of a journal, in numbers.
public struct JournalStatistics: Sendable {
  /// What happened to instances; and how many entries there are, of whatever kind.
  public struct Flow: Hashable, Sendable {
    public var entries: UInt64 = 0
    public var mapped: UInt64 = 0
    public var unmapped: UInt64 = 0
    public var movedIn: UInt64 = 0
    public var movedOut: UInt64 = 0

    /// How many instances more there are after it than before.
    public var growth: Int64 {
      Int64(clamping: mapped + movedIn) - Int64(clamping: unmapped + movedOut)
    }
    /// How many changes of the place of an instance there were.
    public var churn: UInt64 { mapped + unmapped + max(movedIn, movedOut) }
  }

  /// The first and the last entry that is counted; nil if there is none.
  public private(set) var first: Position?
  public private(set) var last: Position?
  /// Of the whole map: an instance that moves is in `movedIn` and `movedOut`.
  public private(set) var all = Flow()
  public private(set) var kinds: [EventKind: UInt64] = [:]
  public private(set) var actors: [String: UInt64] = [:]
  /// By cell: what `Event.cells` names.
  public private(set) var cells: [CellID: Flow] = [:]
  /// By project, of events that name one (`Event.projects`). A project that is sealed or shredded is
  /// counted under its key.
  public private(set) var projects: [String: Flow] = [:]
  /// By day in UTC, of the order time.
  public private(set) var days: [Timestamp: Flow] = [:]

  /// Actors, and projects, that are told apart; what comes beyond is under `others`.
  public static let maximumNames = 100_000
  public static let others = "(others)"

  /// Counts the entries in question.
  ///
  /// - Parameter owners: What opens the projects that are told apart.
  ///
  /// - Throws: As `EventJournal.forEachEntry(matching:)`.
  public init(
    of journal: EventJournal, matching filter: EntryFilter, owners: OwnerKeys? = nil,
    progress: (UInt64) -> Void = { _ in }
  ) throws(JournalError) {
    var counted = self
    try journal.forEachEntry(matching: filter, progress: progress) {
      counted.add($0.opened(by: owners))
    }
    self = counted
  }

  private mutating func add(_ entry: Entry) {
    if first == nil { first = entry.position }
    last = entry.position
    let event = entry.event
    kinds[event.kind, default: 0] += 1
    actors[Self.name(entry.draft.authorship.actor.string, in: actors), default: 0] += 1
    all.count(event)
    days[Self.day(of: entry.orderedAt), default: Flow()].count(event)
    for cell in Set(event.cells) { cells[cell, default: Flow()].count(event, in: cell) }
    for project in Set(event.projects) {
      let name = Self.name(PersonalText?.some(project).shown ?? "", in: projects)
      projects[name, default: Flow()].count(event)
    }
  }

  private static func name<Value>(_ name: String, in counts: [String: Value]) -> String {
    counts.count < maximumNames || counts[name] != nil ? name : others
  }

  private static func day(of time: Timestamp) -> Timestamp {
    let length: Int64 = 86_400_000_000
    let part = time.microseconds % length
    return Timestamp(microseconds: time.microseconds - (part < 0 ? part + length : part))
  }
}

extension JournalStatistics.Flow {
  /// Counts an event of a cell, or of the whole map.
  fileprivate mutating func count(_ event: Event, in cell: CellID? = nil) {
    entries += 1
    guard case .instance(_, let event) = event else { return }
    switch event {
    case .mapped: mapped += 1
    case .unmapped: unmapped += 1
    case .moved(let from, let to):
      if cell == nil || from == cell { movedOut += 1 }
      if cell == nil || to == cell { movedIn += 1 }
    default: break
    }
  }
}
