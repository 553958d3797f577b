/// Two moments of a store's past, as people name them: `A..B`.
public struct PastRange: Hashable, Sendable {
  public let first: PastMoment
  /// nil for the head.
  public let last: PastMoment?

  public init(_ first: PastMoment, _ last: PastMoment?) {
    self.first = first
    self.last = last
  }

  /// `A..B`, `A..` up to the head, or one moment alone, which is both; each as `PastMoment` reads it.
  ///
  /// - Parameter now: What ages are counted from.
  public init?(_ text: String, now: Timestamp) {
    guard let dots = text.firstRange(of: "..") else {
      guard let moment = PastMoment(text, now: now) else { return nil }
      self.init(moment, moment)
      return
    }
    guard let first = PastMoment(String(text[..<dots.lowerBound]), now: now) else { return nil }
    let end = String(text[dots.upperBound...])
    if end.isEmpty {
      self.init(first, nil)
    } else {
      guard let last = PastMoment(end, now: now) else { return nil }
      self.init(first, last)
    }
  }
}

/// Entries as people name them: by their places, or by the request that they belong to.
public enum EntrySelection: Hashable, Sendable {
  case range(PastRange)
  case request(RequestID)

  /// A request's UUID, or what `PastRange` reads; nil for anything else.
  public init?(_ text: String, now: Timestamp) {
    if let request = RequestID(text) {
      self = .request(request)
    } else if let range = PastRange(text, now: now) {
      self = .range(range)
    } else {
      return nil
    }
  }
}

extension EventJournal {
  /// The first entry that is not before a moment: the entry itself, or of a time the first one that
  /// is not earlier.
  ///
  /// - Returns: nil if the journal has none of that place, or ends earlier.
  /// - Throws: The errors of damage.
  public func firstIndex(from moment: PastMoment) throws(JournalError) -> UInt64? {
    guard case .time(let time) = moment else { return try position(at: moment)?.index }
    let before = Timestamp(microseconds: time.microseconds - 1)
    let index = (try position(at: .time(before))?.index ?? 0) + 1
    return index <= head.position.index ? index : nil
  }

  /// The entries from a moment to another, both included, up to the head that this process knows.
  ///
  /// - Returns: nil if there are none, or the journal doesn't have one of the two places.
  /// - Throws: The errors of damage.
  public func indexes(in range: PastRange) throws(JournalError) -> ClosedRange<UInt64>? {
    guard let first = try firstIndex(from: range.first) else { return nil }
    guard let last = range.last else { return first...head.position.index }
    guard let end = try position(at: last)?.index, first <= end else { return nil }
    return first...end
  }

  /// The entries of a selection, as ranges in order; empty if there are none.
  ///
  /// Of a range it takes a few reads; of a request every entry is read: some microseconds each.
  ///
  /// - Throws: As `forEachEntry(matching:)`.
  public func indexes(
    of selection: EntrySelection
  ) throws(JournalError) -> [ClosedRange<UInt64>] {
    switch selection {
    case .range(let range): return try indexes(in: range).map { [$0] } ?? []
    case .request(let id):
      var filter = EntryFilter()
      filter.request = id
      var found: [ClosedRange<UInt64>] = []
      try forEachEntry(matching: filter) { (entry) throws(JournalError) in
        let index = entry.position.index
        if let last = found.last, last.upperBound + 1 == index {
          found[found.count - 1] = last.lowerBound...index
        } else {
          found.append(index...index)
        }
      }
      return found
    }
  }
}
