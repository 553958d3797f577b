/// A fact: something of the map changed, or was found out. The list is closed; what an event
/// means never changes, and the numbers that stand for it (`EventKind`) are never used again.
public enum Event: Hashable, Sendable {
  case cell(CellID, CellEvent)
  case host(ByteText, HostEvent)
  case instance(InstanceID, InstanceEvent)
  case conflict(EntityKey, ConflictEvent)
  case store(StoreEvent)

  /// What the event is about.
  public var entity: EntityKey {
    switch self {
    case .cell(let id, _): .cell(id)
    case .host(let name, _): .host(name)
    case .instance(let id, _): .instance(id)
    case .conflict(let entity, _): entity
    case .store: .store
    }
  }
}

/// What can happen to a cell.
public enum CellEvent: Hashable, Sendable {
  case added(CellRecord)
  case renamed(from: ByteText?, to: ByteText?)
  case addressesChanged(from: CellAddresses, to: CellAddresses)
  /// Enabled, disabled, or marked for a forced removal.
  case availabilityChanged(from: CellAvailability, to: CellAvailability)
  case removed(CellRecord)
  /// Evidence of whose database stands behind the address.
  case identityRecorded(CellIdentity)
  case probed(ProbeOutcome)
  case coverageChanged(from: Bool, to: Bool)
  case rowRecorded(from: NovaRow, to: NovaRow)
  /// The same address under another data key.
  case addressResealed(AddressField, from: SealedAddress, to: SealedAddress)
  case keyShredded(KeyID)
}

/// What can happen to a compute host.
public enum HostEvent: Hashable, Sendable {
  case mapped(HostRecord)
  case unmapped(HostRecord)
  case rowRecorded(from: NovaRow, to: NovaRow)
}

/// What can happen to an instance.
public enum InstanceEvent: Hashable, Sendable {
  case mapped(InstanceRecord)
  case moved(from: CellID?, to: CellID?)
  case ownerChanged(from: InstanceOwner, to: InstanceOwner)
  /// Nova's `queued_for_delete` was set, cleared, or became known.
  case deletionMarkChanged(from: Bool?, to: Bool?)
  case unmapped(InstanceRecord)
  case hostSeen(HostSighting)
  case rowRecorded(from: NovaRow, to: NovaRow)
}

/// What the cells can't decide between them.
public enum ConflictEvent: Hashable, Sendable {
  /// `kind` names the rule that didn't decide; `evidence` is JSON of the rows side by side.
  case found(kind: ByteText, evidence: ByteText)
  /// An operator's decision; why is the entry's reason.
  case resolved(kind: ByteText, decision: ByteText)
}

/// What happens to the store as a whole.
public enum StoreEvent: Hashable, Sendable {
  case epochOpened(EpochOpening)
  case adopted(MapTransfer)
  case published(MapTransfer)
  case scanStarted(ScanProgress)
  case scanFinished(ScanProgress)
  /// The last commit of a bulk command; `counts` is its answer.
  case requestFinished(counts: ChangeCounts)
  case archived(ArchivePoint)
  /// The key of a project's instances is destroyed: who owns them can't be read any more.
  case ownerKeyShredded(KeyID)
}

/// Evidence of a cell's identity: UUIDs that Nova's own services wrote into its database.
public struct CellIdentity: Hashable, Sendable {
  /// `services.uuid`, ascending.
  public var services: [UUID128]
  /// `compute_nodes.uuid`, ascending.
  public var computeNodes: [UUID128]
  /// What the server says of itself; shown, never decisive.
  public var server: ByteText?
  /// An operator said that this is the cell: earlier evidence is dropped.
  public var replacesEarlier: Bool

  public init(
    services: [UUID128], computeNodes: [UUID128], server: ByteText? = nil,
    replacesEarlier: Bool = false
  ) {
    self.services = services
    self.computeNodes = computeNodes
    self.server = server
    self.replacesEarlier = replacesEarlier
  }
}

/// What a probe of a cell found.
public struct ProbeOutcome: Hashable, Sendable {
  public var passed: Bool
  /// The report of the probe, JSON.
  public var report: ByteText

  public init(passed: Bool, report: ByteText) {
    self.passed = passed
    self.report = report
  }
}

/// The first entry of an epoch.
public struct EpochOpening: Hashable, Sendable {
  public var store: StoreID
  public var epoch: UInt32
  public var id: EpochID
  public var cause: Cause
  /// The last index that this epoch shares with what was there before; 0 if nothing was.
  public var commonIndex: UInt64
  public var commonRoot: Digest
  /// The last head known of what was left behind; equal to the common one where nothing was.
  public var leftIndex: UInt64
  public var leftRoot: Digest
  /// Projects and users of instances are sealed, from the store's first entry on.
  public var sealsOwners: Bool

  /// Why an epoch was opened; raw values are written into entries.
  public enum Cause: UInt8, Sendable {
    case initialized = 1
    case restored = 2
    case rebuilt = 3
    case imported = 4
  }

  public init(
    store: StoreID, epoch: UInt32, id: EpochID, cause: Cause, commonIndex: UInt64,
    commonRoot: Digest, leftIndex: UInt64, leftRoot: Digest, sealsOwners: Bool = false
  ) {
    self.store = store
    self.epoch = epoch
    self.id = id
    self.cause = cause
    self.commonIndex = commonIndex
    self.commonRoot = commonRoot
    self.leftIndex = leftIndex
    self.leftRoot = leftRoot
    self.sealsOwners = sealsOwners
  }
}

/// A whole map taken over from a Nova API database, or written into one.
public struct MapTransfer: Hashable, Sendable {
  /// The public form of the database's address.
  public var database: ByteText
  /// When the snapshot was opened.
  public var snapshotAt: Timestamp
  /// The rows of the other side: cells, hosts, instances.
  public var cells: UInt64
  public var hosts: UInt64
  public var instances: UInt64

  public init(
    database: ByteText, snapshotAt: Timestamp, cells: UInt64, hosts: UInt64, instances: UInt64
  ) {
    self.database = database
    self.snapshotAt = snapshotAt
    self.cells = cells
    self.hosts = hosts
    self.instances = instances
  }
}

/// A scan of one cell.
public struct ScanProgress: Hashable, Sendable {
  public var scan: UUID128
  public var cell: CellID
  /// Rows read; 0 at the start.
  public var rows: UInt64
  /// A digest over the rows in key order; zero at the start.
  public var digest: Digest

  public init(scan: UUID128, cell: CellID, rows: UInt64, digest: Digest) {
    self.scan = scan
    self.cell = cell
    self.rows = rows
    self.digest = digest
  }
}

/// How many records a bulk command changed.
public struct ChangeCounts: Hashable, Sendable {
  public var cells: UInt64
  public var hosts: UInt64
  public var instances: UInt64

  public init(cells: UInt64 = 0, hosts: UInt64 = 0, instances: UInt64 = 0) {
    self.cells = cells
    self.hosts = hosts
    self.instances = instances
  }
}

/// Up to where entries have been moved into an archive.
public struct ArchivePoint: Hashable, Sendable {
  public var index: UInt64
  public var root: Digest
  public var file: ByteText
  public var fileDigest: Digest

  public init(index: UInt64, root: Digest, file: ByteText, fileDigest: Digest) {
    self.index = index
    self.root = root
    self.file = file
    self.fileDigest = fileDigest
  }
}
