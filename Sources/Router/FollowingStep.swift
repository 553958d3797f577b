internal import Journal
internal import Projections

/// One step of `MapFollower`: from a snapshot of the map to the head of the journal.
///
/// The index's snapshot is opened first, then the journal's transaction, so that no entry can be in
/// neither; what lies between is folded into the overlay.
struct FollowingStep {
  private let old: MapSnapshot
  private let journal: EventJournal
  private let overlayCapacity: Int

  /// Instances that entries since the old snapshot are about.
  private(set) var touched: Set<InstanceID> = []
  /// There were too many such entries to read them all.
  private(set) var touchesUnknown = false
  /// The journal's transaction that read the last of the tail.
  private(set) var transactionID: UInt64 = 0

  private var overlay = Overlay()
  /// nil where nothing can say it.
  private var evidence: [MapSnapshot.PendingEvidence]? = []
  private var changedCells: [EntryChange] = []
  private var position = Position.start
  private var head = Position.start
  /// The last entry that the index holds.
  private var checkpoint: UInt64 = 0

  /// Entries that are read at a time; more than one such run aren't looked at one by one.
  private static let runLength = 1_000

  init(from old: MapSnapshot, journal: EventJournal, overlayCapacity: Int) {
    self.old = old
    self.overlayCapacity = overlayCapacity
    self.journal = journal
    touchesUnknown = isFirst
  }

  /// Nothing was ever read: there is nothing to drop, and no cell is known.
  private var isFirst: Bool { old.position == .start }

  /// The map at the head, by an index and the entries that it lacks.
  ///
  /// - Throws: `journal`; `index` if a row can't be read that an entry changes, or if the index
  ///   wasn't made from this journal.
  mutating func follow(on readers: IndexReaders) throws(RouterError) -> MapSnapshot {
    let lent = try onIndex { () throws(ProjectionError) in try readers.take() }
    let reader = lent.reader
    let checkpoint = try onIndex { () throws(ProjectionError) in try reader.beginSnapshot() }
    self.checkpoint = checkpoint.position.index
    let isSame = readers === old.index.readers
    let folded =
      isSame ? max(old.position.index, checkpoint.position.index) : checkpoint.position.index
    if isSame {
      overlay = old.overlay
      overlay.drop(upTo: checkpoint.position.index)
      evidence = old.evidence?.filter { $0.index > checkpoint.position.index }
    }
    try readHead()
    if !isSame || checkpoint.position.index > head.index {
      try compare(checkpoint, at: reader.path)
    }
    try readTail(folding: folded, over: reader)
    var cells = old.cells
    if !isSame || touchesUnknown || !changedCells.isEmpty {
      var rows = try onIndex { () throws(ProjectionError) in try reader.allCells() }
      for (id, row) in overlay.changedCells { rows[id] = row }
      cells.set(rows)
    }
    try onIndex { () throws(ProjectionError) in try reader.endSnapshot() }
    readers.give(back: lent)
    return snapshot(cells, .open(readers))
  }

  /// The cells at the head, where no index can be read: those that were known, and what entries say
  /// of them; where none was, all entries about cells are read, once. Instances must be looked for
  /// in the cells.
  ///
  /// By what a cell's database is recognised only the index said until now; all entries about cells say
  /// it too. If they can't be read, or are in doubt, no database is believed that isn't known already.
  ///
  /// - Throws: `journal`.
  mutating func follow(without error: ProjectionError) throws(RouterError) -> MapSnapshot {
    try readHead()
    position = head
    var cells = old.cells
    if !cells.isEmpty {
      evidence = old.evidence
      try readTail(folding: .max, over: nil)
      if old.index.readers != nil || evidence == nil { evidence = evidenceInJournal(error) }
    } else if !error.putsJournalInDoubt {
      let changes = try onJournal { () throws(JournalError) in
        try journal.changes(of: .cell, after: 0)
      }
      for change in changes { note(change) }
    }
    for change in changedCells {
      guard case .cell(let id, let event) = change.event else { continue }
      let before = cells.target(id)?.row
      cells.set(id, to: CellRow.folded(event, at: change.position.index, into: before))
    }
    return snapshot(cells, .unusable(error))
  }

  private func evidenceInJournal(_ error: ProjectionError) -> [MapSnapshot.PendingEvidence]? {
    guard !error.putsJournalInDoubt, let changes = try? journal.changes(of: .cell, after: 0) else {
      return nil
    }
    return changes.compactMap { MapSnapshot.PendingEvidence($0) }
  }

  private func snapshot(_ cells: CellDirectory, _ index: MapSnapshot.IndexState) -> MapSnapshot {
    MapSnapshot(
      position: position, behind: head.index - position.index, overlay: overlay, cells: cells,
      evidence: evidence, index: index)
  }

  /// An index that is new here must have been made from this journal.
  private func compare(_ checkpoint: IndexCheckpoint, at path: String) throws(RouterError) {
    let index = checkpoint.position.index
    let root = try onJournal { () throws(JournalError) in
      index <= head.index ? try journal.root(at: index) : nil
    }
    try onIndex { () throws(ProjectionError) in
      try IndexGenerations.compare(checkpoint, at: path, head: head.index, root: root)
    }
  }

  private mutating func readHead() throws(RouterError) {
    let found = try onJournal { () throws(JournalError) in try journal.refresh() }
    (head, transactionID) = (found.position, found.transactionID)
    guard head.index >= old.position.index else {
      throw .journal(.steppedBack(journal: head, witness: old.position))
    }
  }

  /// Reads the entries since the old snapshot, and those after `folded` into the overlay.
  private mutating func readTail(
    folding folded: UInt64, over reader: IndexReader?
  ) throws(RouterError) {
    var reached = isFirst ? folded : min(old.position.index, folded)
    if head.index - min(reached, head.index) > UInt64(Self.runLength) {
      touchesUnknown = true
      if reader != nil { reached = folded }
    }
    position = head
    var last = old.position
    while reached < head.index {
      if reader != nil, reached >= checkpoint + UInt64(overlayCapacity) {
        position = last
        return
      }
      let count = Int(min(head.index - reached, UInt64(Self.runLength)))
      let changes = try onJournal { () throws(JournalError) in
        try journal.changes(after: reached, limit: count)
      }
      guard let end = changes.last?.position else {
        throw .journal(.missingEntry(index: reached + 1))
      }
      for change in changes { try take(change, folding: folded, over: reader) }
      (reached, last) = (end.index, end)
    }
  }

  private mutating func take(
    _ change: EntryChange, folding folded: UInt64, over reader: IndexReader?
  ) throws(RouterError) {
    let index = change.position.index
    if index > old.position.index {
      if case .instance(let id, _) = change.event, !touchesUnknown { touched.insert(id) }
      if reader == nil {
        note(change)
      } else if case .cell = change.event {
        changedCells.append(change)
      }
    }
    guard index > folded, let reader else { return }
    try onIndex { () throws(ProjectionError) in try overlay.apply(change, over: reader) }
    noteEvidence(change)
  }

  /// Takes in what an entry says of a cell, where no index says it.
  private mutating func note(_ change: EntryChange) {
    guard case .cell = change.event else { return }
    changedCells.append(change)
    noteEvidence(change)
  }

  private mutating func noteEvidence(_ change: EntryChange) {
    if let found = MapSnapshot.PendingEvidence(change) { evidence?.append(found) }
  }
}

extension MapSnapshot.PendingEvidence {
  /// nil for an entry that has none.
  fileprivate init?(_ change: EntryChange) {
    guard case .cell(let id, .identityRecorded(let identity)) = change.event else { return nil }
    self.init(index: change.position.index, cell: id, identity: identity)
  }
}

extension ProjectionError {
  /// The index is a witness that the journal may be the wrong one, or an old copy: then its entries
  /// are no ground to stand on.
  fileprivate var putsJournalInDoubt: Bool {
    if case .fault(let fault) = self { !fault.isSafeToReplace } else { false }
  }
}
