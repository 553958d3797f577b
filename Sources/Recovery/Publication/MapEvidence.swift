internal import Journal

/// How old the map's knowledge of a value is: when what its entry rests on was read, or else when
/// the entry was made.
///
/// Belongs to one thread at a time.
final class MapEvidence {
  private let journal: EventJournal
  /// The entries that were read last, and the index of the one before them: neighbours in the map
  /// mostly came into it by neighbouring entries.
  private var entries: [Entry] = []
  private var before: UInt64 = 0
  /// Entries that are read at once.
  private static let entriesOfARead: UInt64 = 32

  init(journal: EventJournal) { self.journal = journal }

  /// Entries of one change of one thing; a change has one for each of its values.
  private static let entriesOfAChange = 16

  /// When the map learned the value of a column.
  ///
  /// - Parameter changedAt: The index of the last entry that changed the thing.
  /// - Returns: nil if that change says nothing of the column: what it says is older, nobody knows
  ///   how much.
  func time(
    of column: String, _ entity: EntityKey, changedAt: UInt64
  ) throws(PublicationError) -> Timestamp? {
    if case .cell(let id) = entity { return try time(of: column, ofCell: id) }
    var index = changedAt
    var request: RequestID?
    for _ in 0..<Self.entriesOfAChange {
      guard let entry = try entry(at: index), entry.event.entity == entity,
        request == nil || request == entry.draft.request.id
      else { return nil }
      if entry.event.says(column) { return entry.knownAt }
      request = entry.draft.request.id
      guard index > 1 else { return nil }
      index -= 1
    }
    return nil
  }

  /// A cell has few entries, and evidence and coverage among them: all are looked at.
  private func time(
    of column: String, ofCell id: CellID
  ) throws(PublicationError) -> Timestamp? {
    let changes: [EntryChange]
    do throws(JournalError) { changes = try journal.changes(of: .cell, after: 0) } catch {
      throw .journal(error)
    }
    let last = changes.last { $0.event.entity == .cell(id) && $0.event.says(column) }
    return try last.flatMap { (change) throws(PublicationError) in
      try entry(at: change.position.index)?.knownAt
    }
  }

  private func entry(at index: UInt64) throws(PublicationError) -> Entry? {
    guard index > 0 else { return nil }
    let start = (index - 1) / Self.entriesOfARead * Self.entriesOfARead
    if entries.isEmpty || start != before {
      do throws(JournalError) {
        entries = try journal.entries(after: start, limit: Int(Self.entriesOfARead))
      } catch {
        throw .journal(error)
      }
      before = start
    }
    let place = Int(index - start - 1)
    return entries.indices.contains(place) ? entries[place] : nil
  }
}

extension Entry {
  fileprivate var knownAt: Timestamp { draft.evidence?.readAt ?? orderedAt }
}

extension Event {
  /// Whether the event decides what a column of Nova's holds.
  fileprivate func says(_ column: String) -> Bool {
    switch (self, column) {
    case (.cell(_, .added), _), (.host(_, .mapped), _), (.instance(_, .mapped), _): true
    case (.cell(_, .renamed), "name"), (.cell(_, .availabilityChanged), "disabled"): true
    case (.cell(_, .addressesChanged), "transport_url"): true
    case (.cell(_, .addressesChanged), "database_connection"): true
    case (.instance(_, .moved), "cell_id"): true
    case (.instance(_, .ownerChanged), "project_id"), (.instance(_, .ownerChanged), "user_id"): true
    case (.instance(_, .deletionMarkChanged), "queued_for_delete"): true
    default: false
    }
  }
}
