internal import Journal

/// The last finished scan of each cell, as the journal has it.
enum LastScans {
  /// How many rows of each cell its last finished scan read; none for a cell that was never scanned.
  static func rows(
    of cells: Set<CellID>, in journal: EventJournal
  ) throws(JournalError) -> [CellID: UInt64] {
    var found: [CellID: UInt64] = [:]
    try journal.walkBack(to: 1, over: [.scanFinished]) {
      (header) throws(JournalError) in
      if case .store(.scanFinished(let scan))? = try journal.entry(at: header.position.index)?.event,
        found[scan.cell] == nil
      {
        found[scan.cell] = scan.rows
      }
      return !cells.allSatisfy { found[$0] != nil }
    }
    return found
  }

  /// The last entry since which one rebuild has read each cell whole, 0 if none has; and the commands, comparisons too, that
  /// have read each cell whole since.
  ///
  /// - Parameters:
  ///   - coverage: Which cells are meant, and whether each one's coverage is complete now. What it was when the end of
  ///     a scan was noted says whether that was whole.
  ///   - first: The first entry that is looked at.
  static func wholeSince(
    _ coverage: [CellID: Bool], in journal: EventJournal, from first: UInt64
  ) throws(JournalError) -> (since: UInt64, whole: Set<RequestID>) {
    var coverage = coverage
    var last: RequestID?
    var read: Set<CellID> = []
    // A comparison decides nothing of what was there before: since when all is sure, a rebuild says.
    var whole: [RequestID: UInt64] = [:]
    var since: UInt64 = 0
    try journal.walkBack(to: first, over: [.scanStarted, .scanFinished, .cellCoverageChanged]) {
      (header) throws(JournalError) in
      switch try journal.entry(at: header.position.index)?.event {
      case .cell(let cell, .coverageChanged(let before, _)) where coverage[cell] != nil:
        coverage[cell] = before
        read = []
      case .store(.scanFinished(let scan)) where coverage[scan.cell] != nil:
        guard coverage.values.allSatisfy(\.self) else { break }
        if last != header.request { read = [] }
        last = header.request
        read.insert(scan.cell)
        if read.count == coverage.count, whole[header.request] == nil {
          whole[header.request] = header.position.index
        }
      case .store(.scanStarted): since = whole[header.request] ?? 0
      default: break
      }
      return since == 0
    }
    return (since, Set(whole.keys))
  }
}
