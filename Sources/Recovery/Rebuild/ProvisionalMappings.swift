internal import Journal
internal import Projections

/// Which mappings a rebuild has made while it could not read every cell: where the cells don't decide they are taken
/// back, so that the end is the same in whatever order cells return.
///
/// What is known of it is read from the journal the first time that one is asked for.
final class ProvisionalMappings {
  private let journal: EventJournal
  /// Where the epoch begins that a rebuild has opened; nil if none is the last.
  private let rebuiltFrom: UInt64?
  /// Whether each cell's coverage is complete.
  private let coverage: [CellID: Bool]
  private var known: (since: UInt64, makers: [EntityKey: Maker])?

  /// Who has made a mapping of which something else was changed since.
  private enum Maker { case unknown, cells, others }

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
    let known: (since: UInt64, makers: [EntityKey: Maker])
    if let before = self.known { known = before } else { known = try read(from: rebuiltFrom) }
    self.known = known
    guard index > known.since, let entry = try journal.entry(at: index) else { return false }
    return Self.placing.contains(entry.event.kind)
      ? entry.draft.evidence?.cell != nil : known.makers[entity] == .cells
  }

  private static let placing: Set<EventKind> = [.instanceMapped, .instanceMoved, .hostMapped]
  private static let changing: Set<EventKind> = [
    .instanceOwnerChanged, .instanceDeletionMarkChanged, .instanceRowRecorded, .hostRowRecorded,
  ]

  /// Since when mappings are provisional, and who has made those whose last entry doesn't say it.
  private func read(
    from first: UInt64
  ) throws(JournalError) -> (since: UInt64, makers: [EntityKey: Maker]) {
    let since = max(
      try LastScans.wholeSince(coverage, in: journal, from: first), max(first, 1) - 1)
    var makers: [EntityKey: Maker] = [:]
    try journal.walkBack(to: since + 1, over: Self.placing.union(Self.changing)) {
      (header) throws(JournalError) in
      let index = header.position.index
      var entity = EntityKey.instance(InstanceID(header.entityKey))
      if header.entityKind == .host, let host = try journal.entry(at: index)?.event.entity {
        entity = host
      }
      if EventKind(rawValue: header.kind).map(Self.placing.contains) == true {
        if makers[entity] == .unknown {
          let isOfCell = try journal.entry(at: index)?.draft.evidence?.cell != nil
          makers[entity] = isOfCell ? .cells : .others
        }
      } else if makers[entity] == nil {
        makers[entity] = .unknown
      }
      return true
    }
    return (since, makers)
  }
}
