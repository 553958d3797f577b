public import Cells
public import Journal
public import Projections

/// Where an instance is: the answer to one question, and the position at which the map gave it.
public struct Route: Sendable {
  public let instance: InstanceID
  /// The last entry that the answer takes into account.
  public let position: Position
  /// How many entries of the journal are not taken into account; 0 unless the index is far behind.
  public let behind: UInt64
  public let outcome: RouteOutcome
}

/// What is known of the instance, each answer honest about where it comes from.
public enum RouteOutcome: Sendable {
  /// The cell was asked in this call and has the instance.
  case found(LiveRoute)
  /// The same, of an instance that is deleted in its cell or queued for it in the map.
  case deleted(LiveRoute)
  /// The map holds the instance, and no cell for it: accepted, not scheduled yet.
  case noCellYet(MappedInstance)
  /// The cell was asked, and has no row of the instance: a finding.
  case missingInCell(MappedInstance, CellTarget)
  /// The cell can't be asked, or isn't itself. Cell and addresses are the map's; the host was seen
  /// there last, if it ever was, and nobody knows whether it still is.
  case cellUnavailable(MappedInstance, CellTarget, CellUnavailable, lastSeen: HostSighting?)
  /// No database was given for the cell yet.
  case cellWithoutDatabase(MappedInstance, CellTarget)
  /// The map names a cell that it doesn't hold: a finding.
  case cellNotInMap(MappedInstance, CellID)
  /// The cells don't decide where it is: nobody has yet, or an operator has decided that it gets no mapping. No cell
  /// was asked.
  case inConflict(ConflictRow)
  /// The map doesn't hold the instance. With a search: cells were asked, and none has it.
  case unknown(CellSearch?)
  /// The map doesn't hold the instance, or couldn't be read; a cell that was asked has it.
  case foundBySearch(LiveRoute, CellSearch)
}

/// What the map says of an instance.
public struct MappedInstance: Sendable {
  public let instance: InstanceID
  /// nil while the instance isn't scheduled.
  public let cell: CellID?
  /// Nova's `queued_for_delete`; nil where Nova has NULL.
  public let isQueuedForDelete: Bool?
  /// The last entry that changed the instance.
  public let changedAt: UInt64
  /// The cell with its addresses; nil without a cell, or where the map doesn't hold it.
  public let target: CellTarget?
}

/// An instance as its cell has it, read in this call.
public struct LiveRoute: Sendable {
  /// What the map says; nil for an instance that was found by searching.
  public let mapping: MappedInstance?
  public let target: CellTarget
  public let placement: InstancePlacement
  /// False where nothing is known of the cell that would prove the database to be its own.
  public let isCellProven: Bool
}

/// An instance that was looked for in cells, because the map couldn't say.
public struct CellSearch: Sendable {
  /// Why the map's word wasn't enough.
  public enum Reason: Sendable {
    /// The map was never told of everything in these cells.
    case coverageIncomplete
    /// The index is so far behind that not all entries were taken into account.
    case mapBehind
    /// The index is damaged and must be made again.
    case indexDamaged(ProjectionError)
  }

  public let reason: Reason
  /// The cells that answered, whether or not they have the instance.
  public let answered: [CellID]
  /// The cells that have it; more than one during a move between cells.
  public let found: [CellID]
  /// The cells that could not be asked.
  public let failed: [CellID: CellUnavailable]

  /// Whether every cell in question has answered.
  public var isComplete: Bool { failed.isEmpty }
}

/// Why a cell could not be asked.
public enum CellUnavailable: Error, Equatable, Sendable {
  /// Opening, identity, deadline, content of the database.
  case database(CellError)
  /// The address is sealed under a key that isn't here.
  case key(KeyError)
  /// The address can't be read, or its template can't be expanded.
  case address(AddressError, of: CellID)
  /// The store was opened without its keys.
  case withoutKeys(CellID)
  /// No database was given for the cell yet.
  case withoutDatabase(CellID)
  /// The queue's address leads to no broker.
  case queue(QueueError)
}

extension CellUnavailable: CustomStringConvertible {
  public var description: String {
    switch self {
    case .database(let error): error.description
    case .key(let error): error.description
    case .address(let error, let cell): "Cell \(cell): \(error)"
    case .queue(let error): error.description
    case .withoutKeys(let cell):
      "The addresses of cell \(cell) are sealed, and the store was opened without its keys. "
        + "Put back the 'keys' folder that belongs to this store."
    case .withoutDatabase(let cell):
      "Cell \(cell) has no database yet. Give it with 'cell address'."
    }
  }
}
