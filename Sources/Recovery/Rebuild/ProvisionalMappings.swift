internal import Journal

/// Which mappings a rebuild or a comparison has made of the cells while it could not read every one: where the cells
/// don't decide they are taken back, so that the end is the same in whatever order cells return.
final class ProvisionalMappings {
  private let journal: EventJournal
  /// Where the epoch begins that a rebuild has opened; nil if none is the last.
  private let rebuiltFrom: UInt64?
  /// Whether each cell's coverage is complete.
  private let coverage: [CellID: Bool]
  private var known: (whole: Set<RequestID>, origins: EntryOrigins)?

  private static let placing: Set<EventKind> = [.instanceMapped, .instanceMoved, .hostMapped]
  private static let changing: Set<EventKind> = [
    .instanceOwnerChanged, .instanceDeletionMarkChanged, .instanceRowRecorded, .hostRowRecorded,
  ]

  init(journal: EventJournal, rebuiltFrom: UInt64?, coverage: [CellID: Bool]) {
    self.journal = journal
    self.rebuiltFrom = rebuiltFrom
    self.coverage = coverage
  }

  /// Whether a mapping was made of the cells, and neither its command has read all of them nor an operator has decided
  /// since.
  ///
  /// - Parameter index: The last entry that changed the mapping.
  func contains(_ entity: EntityKey, changedAt index: UInt64) throws(JournalError) -> Bool {
    guard let rebuiltFrom, index >= rebuiltFrom else { return false }
    let (whole, origins) = try look(from: rebuiltFrom)
    guard let entry = try origins.entry(making: entity, changedAt: index),
      entry.draft.evidence?.cell != nil, !whole.contains(entry.draft.request.id)
    else { return false }
    return try origins.decision(about: entity) < entry.position.index
  }

  private func look(
    from first: UInt64
  ) throws(JournalError) -> (whole: Set<RequestID>, origins: EntryOrigins) {
    if let known { return known }
    let scans = try LastScans.wholeSince(coverage, in: journal, from: first)
    let origins = EntryOrigins(
      journal: journal, making: Self.placing, passing: Self.changing,
      behind: max(scans.since, first - 1))
    known = (scans.whole, origins)
    return (scans.whole, origins)
  }
}
