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
