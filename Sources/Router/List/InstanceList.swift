public import Cells
public import Journal
public import Projections

/// A page of instances over cells, and what is missing from it.
public struct InstanceList: Sendable {
  public let rows: [ListedInstance]
  /// What gives the next page; nil after the last. It belongs to this order and this filter, not to
  /// the limit.
  public let next: String?
  /// The cells in question, by UUID.
  public let cells: [CellListing]
  /// The instances without a cell that the filter keeps off the list because the map can't judge
  /// it; nil if they could not be counted.
  public let unlistedWithoutCell: Int?
  /// Why the map could not be read, if it was needed for the list.
  public let mapError: ProjectionError?
  /// The list is so long that instances of a cell which failed on the way may be on it twice.
  public let mayRepeat: Bool
  /// The last entry of the journal that is taken into account.
  public let position: Position
  /// How many entries are not.
  public let behind: UInt64

  /// Whether it has every instance that it should have, read from its cell.
  public var isComplete: Bool {
    mapError == nil && behind == 0 && unlistedWithoutCell == 0
      && cells.allSatisfy { $0.outcome.isAnswered }
  }
}

/// An instance on a list.
public struct ListedInstance: Sendable {
  public let id: InstanceID
  /// The cell that has it; nil while the instance has none.
  public let cell: CellTarget?
  public let source: Source

  public enum Source: Sendable {
    /// Read from the cell in this call.
    case live(CellInstance)
    /// The cell did not answer; this is what the map knows.
    case unknown(InstanceRow)
    /// Accepted and not scheduled yet; this is what the map knows.
    case unscheduled(InstanceRow)
  }

  /// Whether a cell has told of it in this call.
  public var isLive: Bool { if case .live = source { true } else { false } }
}

/// What a cell had to do with a list.
public struct CellListing: Sendable {
  public let target: CellTarget
  public let outcome: Outcome
  /// How many rows of the page are the cell's, live or from the map.
  public let rows: Int
  /// How often it was asked for rows.
  public let batches: Int
  /// How many of its instances are on no page, because it did not answer and the map can't judge
  /// the filter, or doesn't know whose they are; nil if they could not be counted.
  public let unlisted: Int?

  public enum Outcome: Sendable {
    /// It was asked and answered, each time it was asked.
    case answered
    case timedOut(CellUnavailable)
    case failed(CellUnavailable)
    /// It was not asked, because its circuit breaker is open.
    case skipped(CellUnavailable)
    /// It was not asked, because it did not answer for an earlier page of this list, whose instances
    /// come from the map since then.
    case missedEarlier

    public var isAnswered: Bool { if case .answered = self { true } else { false } }

    init(_ failure: CellUnavailable) {
      switch failure {
      case .database(.skippedByBreaker): self = .skipped(failure)
      case .database(let error) where error.isTimeout: self = .timedOut(failure)
      default: self = .failed(failure)
      }
    }
  }
}
