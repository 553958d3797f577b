public import Journal
public import Registry

/// How the map and the cells differ.
public enum FindingKind: String, Hashable, Sendable, CaseIterable {
  /// A cell has a visible instance, and the map has no mapping.
  case missing
  /// Mapped, and the cell has no row that counts.
  case orphaned
  /// The row that counts is in another cell.
  case wrongCell = "wrong-cell"
  /// Mapped to no cell yet, and a cell has the row.
  case noCell = "no-cell"
  /// Several cells have it, and the rules don't decide.
  case twoCopies = "two-copies"
  /// There are only copies that a move between cells hides.
  case hiddenCopy = "hidden-copy"
  /// The cell says that it is deleted or being deleted, and the map doesn't.
  case deletionMark = "deletion-mark"
  /// The map says so, and the cell doesn't; only shown, for the cell may be the one that is older.
  case keptMark = "kept-mark"
  /// A delete that failed: the mark stays in Nova, and the cell shows an error and no task.
  case failedDelete = "failed-delete"
  case owner
  /// A cell has the compute host, and the map doesn't.
  case unknownHost = "unknown-host"
  case wrongCellHost = "wrong-cell-host"
  /// A mapped compute host that no cell has.
  case ghostHost = "ghost-host"
  /// A compute host that several cells have.
  case twinHost = "twin-host"

  /// Whether it can be mended; the others are for an operator to look at.
  public var isMendable: Bool {
    switch self {
    case .hiddenCopy, .keptMark, .failedDelete: false
    default: true
    }
  }

  /// Whether it is for an operator to decide.
  public var isConflict: Bool { self == .twoCopies || self == .twinHost }

  /// Whether its mend maps the thing to the one cell that has it.
  var isPlacing: Bool {
    switch self {
    case .missing, .noCell, .wrongCell, .unknownHost, .wrongCellHost: true
    default: false
    }
  }
}

/// One thing on which the map and the cells differ.
public struct Finding: Hashable, Sendable {
  public var kind: FindingKind
  /// An instance or a host.
  public var entity: EntityKey
  /// The cell that the map names.
  public var mapped: CellID?
  /// The cell whose row counts.
  public var found: CellID?
  /// What differs, in words, where the kind doesn't say it.
  public var detail: ByteText?
  /// The instance was archived in the cell that the map names: it is among the deleted rows that Nova
  /// sets aside.
  public var isArchived = false
  /// Why the rules don't decide, with the rows side by side.
  public var conflict: FoundConflict?
  /// The last entry about it that the map holds.
  var changedAt: UInt64?
  /// The row that counts.
  var row: StagedInstance?

  init(_ kind: FindingKind, _ entity: EntityKey, mapped: CellID?, changedAt: UInt64?) {
    self.kind = kind
    self.entity = entity
    self.mapped = mapped
    self.changedAt = changedAt
  }

  /// Whether a cell that wasn't read could make something else of it. A live row in the cell that the
  /// map names stands whatever other cells have.
  public var restsOnAllCells: Bool {
    guard let row, found == mapped else { return true }
    return row.isDeleted
  }

  /// The cells that it is about: those whose mappings a mend touches.
  public var cells: Set<CellID> {
    if let conflict { return Set(ConflictEvidence.cells(of: conflict.evidence) ?? []) }
    return Set([mapped, found].compactMap(\.self))
  }

  /// Whether two looks have found the same.
  func isSame(as other: Finding) -> Bool {
    kind == other.kind && entity == other.entity && mapped == other.mapped && found == other.found
      && detail == other.detail && changedAt == other.changedAt && cells == other.cells
  }
}
