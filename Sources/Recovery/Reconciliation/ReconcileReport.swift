public import Cells
public import Journal
internal import Projections

/// What comparing the map with the cells has found, counted.
public struct ReconcileReport: Sendable {
  /// What was read of a cell.
  public struct Cell: Sendable {
    public var state: CellScanState
    /// Whether the database is the cell's; nil if it could not be asked.
    public var verdict: IdentityVerdict?

    /// Nothing of what is recorded of the cell was found in it.
    public var isUnknown: Bool { if case .unknown? = verdict { true } else { false } }
  }

  /// Findings of one kind about one cell: the one that the map names, else the one that has the row.
  public struct Group: Sendable {
    public let kind: FindingKind
    public let cell: CellID?
    public let count: UInt64
    public let first: [Finding]
  }

  static let firstFindings = 3

  public var cells: [Cell] = []
  /// What is believed, by kind and cell.
  public var findings: [Group] = []
  /// How much differed at the first look.
  public var foundAtFirst: UInt64 = 0
  /// What was otherwise, or gone, at the second.
  public var gone: UInt64 = 0
  /// Instances that Nova is still building.
  public var building: UInt64 = 0
  /// Instances and hosts that depend on a cell that was not read, or on a row that can't be.
  public var pending: UInt64 = 0
  /// Conflicts that stand as an operator has decided them.
  public var decided: UInt64 = 0
  /// Instances whose owner was shredded in the map; it is not compared with the cells'.
  public var ownersLeft: UInt64 = 0
  /// Rows that hold what Nova doesn't write; the first hundred.
  public var unreadable: [String] = []

  public var count: UInt64 { findings.reduce(0) { $0 + $1.count } }
  /// The cells that were read whole.
  public var read: Set<CellID> { Set(cells.filter(\.state.isFinished).map(\.state.cell)) }
  /// Whether the cells have rows that can't be read.
  public var hasUnreadable: Bool { cells.contains { $0.state.unreadable > 0 } }
  /// Whether each cell was read whole.
  public var isComplete: Bool { cells.allSatisfy(\.state.isFinished) }

  mutating func take(_ answer: FindingRules.Answer, _ findings: inout [Finding]) {
    switch answer {
    case .findings(let found), .decided(let found):
      if case .decided = answer { decided += 1 }
      findings += found
      foundAtFirst += UInt64(found.count)
    case .pending: pending += 1
    }
  }

  /// A cell that answered the first time, and not the second.
  mutating func lose(_ cell: CellID, _ why: String) {
    guard let place = cells.firstIndex(where: { $0.state.cell == cell }) else { return }
    cells[place].state.isFinished = false
    cells[place].state.failure = why
  }
}

/// What a cell and the map have of one another, by which a restored or empty cell is known.
struct CellTally {
  /// The newest row, deleted ones too.
  var newest: Timestamp?
  var rows: UInt64 = 0
  /// Mappings to the cell, and when the newest of them was made.
  var mapped: UInt64 = 0
  var newestMapped: Timestamp?
  /// Over the rows in the order of the UUIDs.
  var digest = Digest.zero

  mutating func add(_ row: StagedInstance) {
    rows += 1
    newest = Self.later(newest, row.createdAt)
  }

  mutating func add(_ row: InstanceRow) {
    mapped += 1
    newestMapped = Self.later(newestMapped, row.record.row.createdAt)
  }

  static func later(_ left: Timestamp?, _ right: Timestamp?) -> Timestamp? {
    guard let left, let right else { return left ?? right }
    return max(left, right)
  }
}
