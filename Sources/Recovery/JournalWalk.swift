internal import Journal

extension EventJournal {
  /// Entries that are read at a time, from the end backwards.
  private static let strideEntries: UInt64 = 65_536

  /// Calls `body` with the fixed parts of entries of some kinds, the last first, until it returns false.
  ///
  /// About a microsecond an entry.
  ///
  /// - Parameter first: The index of the last one that it comes to.
  func walkBack(
    to first: UInt64, over kinds: Set<EventKind>,
    _ body: (EntryHeader) throws(JournalError) -> Bool
  ) throws(JournalError) {
    let kinds = Set(kinds.map(\.rawValue))
    var end = head.position.index
    while end >= first {
      let start = max(end > Self.strideEntries ? end - Self.strideEntries : 0, first - 1)
      var headers: [EntryHeader] = []
      try forEachEntry(after: start, limit: Int(end - start)) { (header, _, _) in
        if kinds.contains(header.kind) { headers.append(header) }
      }
      for header in headers.reversed() where try !body(header) { return }
      end = start
    }
  }
}
