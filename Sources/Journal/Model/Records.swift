/// What the map holds of a cell.
public struct CellRecord: Hashable, Sendable {
  /// Nova's name of the cell; it has none where Nova has NULL. Not unique.
  public var name: ByteText?
  /// Where the cell's database is; nil until it is given (cell0 of a fresh store).
  public var database: SealedAddress?
  /// Where the cell's message queue is; nil until it is given.
  public var queue: SealedAddress?
  /// What belongs to the addresses beside their URLs: TLS files and durability of the queue, in
  /// the canonical form of `ConnectionOptions`.
  public var options: ByteText?
  /// Whether the scheduler passes the cell over; nil where Nova has NULL, which means false.
  public var disabled: Bool?
  /// A forced removal has begun, and takes its hosts and mappings away in further commits.
  public var isBeingRemoved: Bool
  /// The map has been told of everything in the cell: adopted from a full map, or scanned.
  public var isCovered: Bool
  /// The row of Nova's API database.
  public var row: NovaRow

  public init(
    name: ByteText?, database: SealedAddress? = nil, queue: SealedAddress? = nil,
    options: ByteText? = nil, disabled: Bool? = false, isBeingRemoved: Bool = false,
    isCovered: Bool = false, row: NovaRow = .unknown
  ) {
    self.name = name
    self.database = database
    self.queue = queue
    self.options = options
    self.disabled = disabled
    self.isBeingRemoved = isBeingRemoved
    self.isCovered = isCovered
    self.row = row
  }

  /// The cell's addresses and what belongs to them, changed together.
  public var addresses: CellAddresses {
    get { CellAddresses(database: database, queue: queue, options: options) }
    set { (database, queue, options) = (newValue.database, newValue.queue, newValue.options) }
  }

  /// Whether new instances may come, changed together.
  public var availability: CellAvailability {
    get { CellAvailability(disabled: disabled, isBeingRemoved: isBeingRemoved) }
    set { (disabled, isBeingRemoved) = (newValue.disabled, newValue.isBeingRemoved) }
  }
}

/// Where a cell is reached.
public struct CellAddresses: Hashable, Sendable {
  public var database: SealedAddress?
  public var queue: SealedAddress?
  public var options: ByteText?

  public init(database: SealedAddress?, queue: SealedAddress?, options: ByteText?) {
    self.database = database
    self.queue = queue
    self.options = options
  }
}

/// Whether a cell takes new instances.
public struct CellAvailability: Hashable, Sendable {
  public var disabled: Bool?
  public var isBeingRemoved: Bool

  public init(disabled: Bool?, isBeingRemoved: Bool = false) {
    self.disabled = disabled
    self.isBeingRemoved = isBeingRemoved
  }
}

/// The row of Nova's API database that holds the same fact.
public struct NovaRow: Hashable, Sendable {
  /// The numeric id; nil until Nova's database was read.
  public var number: UInt64?
  /// When Nova made the row; nil where Nova has NULL or was never asked.
  public var createdAt: Timestamp?

  /// No such row has been seen.
  public static let unknown = NovaRow(number: nil, createdAt: nil)

  public init(number: UInt64?, createdAt: Timestamp?) {
    self.number = number
    self.createdAt = createdAt
  }
}

/// What the map holds of a compute host.
public struct HostRecord: Hashable, Sendable {
  public var cell: CellID
  public var row: NovaRow

  public init(cell: CellID, row: NovaRow = .unknown) {
    self.cell = cell
    self.row = row
  }
}

/// What the map holds of an instance.
public struct InstanceRecord: Hashable, Sendable {
  /// nil while the instance is accepted and not yet scheduled.
  public var cell: CellID?
  public var owner: InstanceOwner
  /// Nova's `queued_for_delete`; nil where Nova has NULL (a row of before that column).
  public var isQueuedForDelete: Bool?
  public var row: NovaRow
  /// The host where the instance was seen last; never a live answer.
  public var lastSeen: HostSighting?

  public init(
    cell: CellID?, owner: InstanceOwner, isQueuedForDelete: Bool? = false,
    row: NovaRow = .unknown, lastSeen: HostSighting? = nil
  ) {
    self.cell = cell
    self.owner = owner
    self.isQueuedForDelete = isQueuedForDelete
    self.row = row
    self.lastSeen = lastSeen
  }
}

/// Whose an instance is.
public struct InstanceOwner: Hashable, Sendable {
  /// nil only for an instance whose cell has no project for it; Nova's map can't hold one.
  public var project: PersonalText?
  /// nil where Nova has NULL (a row of before that column).
  public var user: PersonalText?

  public init(project: PersonalText?, user: PersonalText?) {
    self.project = project
    self.user = user
  }

  /// An owner in clear text.
  public init(project: ByteText?, user: ByteText?) {
    self.project = project.map { .clear($0) }
    self.user = user.map { .clear($0) }
  }
}

/// Where an instance was seen to run.
public struct HostSighting: Hashable, Sendable {
  public var host: ByteText
  public var at: Timestamp
  /// What read it: `adopt`, `scan`, `route`.
  public var source: ByteText

  public init(host: ByteText, at: Timestamp, source: ByteText) {
    self.host = host
    self.at = at
    self.source = source
  }
}

/// A record of the map and the entry that changed it last.
public struct MapRow<Record: Hashable & Sendable>: Hashable, Sendable {
  public var record: Record
  /// The index of the last entry that changed the record; a sighting of a host doesn't count, nor do a
  /// cell's probes and the evidence of its identity.
  public var changedAt: UInt64
  /// The index of the last probe of a cell, or evidence of its identity, since its record was changed;
  /// nil if there was none.
  public var evidenceAt: UInt64?

  public init(record: Record, changedAt: UInt64, evidenceAt: UInt64? = nil) {
    self.record = record
    self.changedAt = changedAt
    self.evidenceAt = evidenceAt
  }
}

/// What the cells couldn't decide between them, and what became of it.
public struct ConflictRecord: Hashable, Sendable {
  /// The rule that didn't decide.
  public var kind: ByteText
  /// The rows side by side, JSON.
  public var evidence: ByteText
  /// What was decided; nil while it is open.
  public var decision: ByteText?
  /// The entry that found it.
  public var foundAt: UInt64

  public init(kind: ByteText, evidence: ByteText, decision: ByteText?, foundAt: UInt64) {
    self.kind = kind
    self.evidence = evidence
    self.decision = decision
    self.foundAt = foundAt
  }
}

public typealias CellRow = MapRow<CellRecord>
public typealias HostRow = MapRow<HostRecord>
public typealias InstanceRow = MapRow<InstanceRecord>
public typealias ConflictRow = MapRow<ConflictRecord>
