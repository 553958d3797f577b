internal import Journal

/// The last finished scan of each cell, as the journal has it.
///
/// Reads the journal from its end until all are found: some microseconds an entry.
enum LastScans {
  /// Entries that are read at a time, from the end backwards.
  private static let strideEntries: UInt64 = 65_536

  /// How many rows of each cell its last finished scan read; none for a cell that was never scanned.
  static func rows(
    of cells: Set<CellID>, in journal: EventJournal
  ) throws(JournalError) -> [CellID: UInt64] {
    var found: [CellID: UInt64] = [:]
    try walk(back: journal, to: 1) { entry in
      if case .store(.scanFinished(let scan)) = entry.event, found[scan.cell] == nil {
        found[scan.cell] = scan.rows
      }
      return !cells.allSatisfy { found[$0] != nil }
    }
    return found
  }

  /// The last entry since which one command has read each cell whole; 0 if none has.
  ///
  /// - Parameters:
  ///   - coverage: Which cells are meant, and whether each one's coverage is complete now. What it was when the end of
  ///     a scan was noted says whether that was whole.
  ///   - first: The first entry that is looked at.
  static func wholeSince(
    _ coverage: [CellID: Bool], in journal: EventJournal, from first: UInt64
  ) throws(JournalError) -> UInt64 {
    var coverage = coverage
    var request: RequestID?
    var read: Set<CellID> = []
    var since: UInt64 = 0
    try walk(back: journal, to: first) { entry in
      switch entry.event {
      case .cell(let cell, .coverageChanged(let before, _)) where coverage[cell] != nil:
        coverage[cell] = before
        read = []
      case .store(.scanFinished(let scan)) where coverage[scan.cell] != nil:
        guard coverage.values.allSatisfy(\.self) else { break }
        if request != entry.draft.request.id { read = [] }
        request = entry.draft.request.id
        read.insert(scan.cell)
        if read.count == coverage.count { since = entry.position.index }
      default: break
      }
      return since == 0
    }
    return since
  }

  /// Calls `body` with what is told of the store and of cells, the last first, until it returns false.
  private static func walk(
    back journal: EventJournal, to first: UInt64, _ body: (Entry) -> Bool
  ) throws(JournalError) {
    var end = journal.head.position.index
    while end >= first {
      let start = max(end > strideEntries ? end - strideEntries : 0, first - 1)
      var places: [UInt64] = []
      try journal.forEachEntry(after: start, limit: Int(end - start)) { (header, _, _) in
        if [.store, .cell].contains(header.entityKind) { places.append(header.position.index) }
      }
      for place in places.reversed() {
        guard let entry = try journal.entry(at: place) else { continue }
        if !body(entry) { return }
      }
      end = start
    }
  }
}
