/// A moment of a store's past, as people name it.
public enum PastMoment: Hashable, Sendable {
  /// After the entry of an index.
  case index(UInt64)
  /// The same, and it has to be of that epoch.
  case position(Position)
  /// After the last entry whose order time is not later.
  case time(Timestamp)

  /// `42`, `1:42`, or a time as `Timestamp` reads it; nil for anything else.
  public init?(_ text: String) {
    if !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) {
      guard let index = UInt64(text) else { return nil }
      self = .index(index)
    } else if let position = Position(text) {
      self = .position(position)
    } else if let time = Timestamp(text) {
      self = .time(time)
    } else {
      return nil
    }
  }
}

extension PastMoment {
  /// The same, or an age: `90s ago`, `15m ago`, `2h ago`, `3d ago`; 'ago' may be left out.
  ///
  /// - Parameter now: What ages are counted from.
  public init?(_ text: String, now: Timestamp) {
    if let moment = PastMoment(text) {
      self = moment
      return
    }
    let age = text.hasSuffix(" ago") ? text.dropLast(4) : text[...]
    let seconds: [Character: Int64] = ["s": 1, "m": 60, "h": 3600, "d": 86_400]
    guard let unit = age.last.flatMap({ seconds[$0] }),
      age.dropLast().utf8.allSatisfy({ (48...57).contains($0) }),
      let count = Int64(age.dropLast()), count <= Self.longestAge / unit
    else { return nil }
    self = .time(Timestamp(microseconds: now.microseconds - count * unit * 1_000_000))
  }

  /// A thousand years, in seconds.
  private static let longestAge: Int64 = 1000 * 366 * 86_400
}

extension PastMoment: CustomStringConvertible {
  public var description: String {
    switch self {
    case .index(let index): "\(index)"
    case .position(let position): "\(position)"
    case .time(let time): "\(time)"
    }
  }
}

extension EventJournal {
  /// The last entry that was there at a moment, up to the head that this process knows.
  ///
  /// - Returns: Its position; nil if the journal has none of that place, or began later.
  /// - Throws: The errors of damage.
  public func position(at moment: PastMoment) throws(JournalError) -> Position? {
    switch moment {
    case .index(let index): return try header(at: index)?.position
    case .position(let position):
      return try header(at: position.index)?.position == position ? position : nil
    case .time(let time): return try position(at: time)
    }
  }

  /// Before the first entry: where a range begins whose beginning is earlier than the journal's.
  ///
  /// - Returns: nil for a journal without an entry.
  /// - Throws: The errors of damage.
  public func beginning() throws(JournalError) -> PastPoint? {
    try header(at: 1).map { PastPoint(position: .start, orderedAt: $0.orderedAt) }
  }

  /// The last entry that was there at a moment with its time, and what the clocks of those who wrote say
  /// against it.
  ///
  /// - Throws: The errors of damage.
  public func point(at moment: PastMoment) throws(JournalError) -> PastPoint? {
    guard let position = try position(at: moment), let header = try header(at: position.index)
    else {
      return nil
    }
    var point = PastPoint(position: position, orderedAt: header.orderedAt)
    guard case .time(let time) = moment else { return point }
    if case .store(.epochOpened(let opening))? = try entry(at: position.index + 1)?.event,
      opening.leftIndex > opening.commonIndex
    {
      point.left = opening
    }
    try forEachEntry(after: position.index, limit: PastPoint.entriesLookedAt) { (header, _, _) in
      if header.observedAt <= time { point.latecomers += 1 }
    }
    return point
  }

  /// Order times never fall, so that the entry is found by halving.
  private func position(at time: Timestamp) throws(JournalError) -> Position? {
    var (low, high) = (UInt64(0), head.position.index)
    while low < high {
      let middle = (low + high + 1) / 2
      guard let header = try header(at: middle) else { throw .missingEntry(index: middle) }
      if header.orderedAt <= time { low = middle } else { high = middle - 1 }
    }
    return try header(at: low)?.position
  }

  func header(at index: UInt64) throws(JournalError) -> EntryHeader? {
    guard index > 0, index <= head.position.index else { return nil }
    return try chunk(from: index, through: index).headers[0]
  }
}

/// An entry of the past, up to which a question is asked.
public struct PastPoint: Hashable, Sendable {
  public let position: Position
  /// The entry's order time.
  public let orderedAt: Timestamp
  /// Entries behind it which their writers' clocks place at or before the time that was asked for: a
  /// clock stood behind an earlier one, and the order counts. Looked for among the next
  /// `entriesLookedAt`; 0 where no time was asked for.
  public internal(set) var latecomers: UInt64 = 0
  /// The epoch that begins right behind the entry and left entries behind: at the time that was asked
  /// for, the map may have been what they said. nil where no time was asked for.
  public internal(set) var left: EpochOpening?

  public static let entriesLookedAt = 256
}
