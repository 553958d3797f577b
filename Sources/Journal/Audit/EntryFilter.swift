/// Which entries of a journal are in question.
public struct EntryFilter: Hashable, Sendable {
  /// Texts that the entry's actor, program, reason and correlation contain.
  public var actor: String?
  public var program: String?
  public var reason: String?
  public var correlation: String?
  public var request: RequestID?
  /// Of these kinds; empty for all.
  public var kinds: Set<EventKind> = []
  /// Those that name a cell, as `Event.cells` has them.
  public var cell: CellID?
  /// From the entry after this index.
  public var after: UInt64 = 0
  /// Up to this index; nil for the head.
  public var through: UInt64?

  public init() {}

  /// Whether the fixed part of an entry leaves it in question.
  func mayMatch(_ header: EntryHeader) -> Bool {
    if let request, header.request != request { return false }
    guard !kinds.isEmpty else { return true }
    return EventKind(rawValue: header.kind).map { kinds.contains($0) } ?? false
  }

  func matches(_ entry: Entry) -> Bool {
    let authorship = entry.draft.authorship
    if let cell, !entry.event.cells.contains(cell) { return false }
    return Self.holds(actor, in: authorship.actor) && Self.holds(program, in: authorship.program)
      && Self.holds(reason, in: authorship.reason)
      && Self.holds(correlation, in: authorship.correlation)
  }

  private static func holds(_ part: String?, in text: ByteText?) -> Bool {
    guard let part else { return true }
    return text?.string.contains(part) ?? false
  }
}

extension EventJournal {
  /// Calls `body` with each entry in question, in order.
  ///
  /// Reads every entry of the filter's range, and checks it: some microseconds each.
  ///
  /// - Parameter progress: Is told, now and then, the last entry that was read.
  /// - Throws: As `forEachEntry`; `newerEvent` for an event of a newer program; what `body` throws.
  public func forEachEntry(
    matching filter: EntryFilter, progress: (UInt64) -> Void = { _ in },
    _ body: (Entry) throws(JournalError) -> Void
  ) throws(JournalError) {
    let last = min(filter.through ?? .max, head.position.index)
    guard filter.after < last else { return }
    try forEachEntry(
      after: filter.after, limit: Int(last - filter.after)
    ) { (header, bytes, start) throws(JournalError) in
      if header.position.index % 65_536 == 0 { progress(header.position.index) }
      guard filter.mayMatch(header) else { return }
      let entry = try readable(at: header.position.index) { () throws(EntryError) in
        try Entry(decoding: bytes, at: start)
      }
      if filter.matches(entry) { try body(entry) }
    }
  }
}
