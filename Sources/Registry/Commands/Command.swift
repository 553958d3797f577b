public import Journal

/// One wish to change the map, with its author and what it rests on.
public struct Command: Sendable {
  public var change: Change
  public var authorship: Authorship
  /// Repeating a command under the same id repeats its answer.
  public var request: RequestID
  /// What the caller decided on; each is checked in the commit that makes the change.
  public var guards: [Guard]
  /// What this is a commit of; nil for a command of one commit.
  public var bulk: BulkMark?
  /// An operator's change wants a reason; a service's does not.
  public var isByOperator: Bool

  public init(
    _ change: Change, by authorship: Authorship, request: RequestID, guards: [Guard] = [],
    bulk: BulkMark? = nil, isByOperator: Bool = true
  ) {
    self.change = change
    self.authorship = authorship
    self.request = request
    self.guards = guards
    self.bulk = bulk
    self.isByOperator = isByOperator
  }
}

/// Ties the commits of a bulk command together.
public struct BulkMark: Hashable, Sendable {
  /// The command in words that are the same in each of its commits and in each retry.
  public var title: ByteText
  /// The keys that this commit covers; nil in the last one, which ends the command.
  public var chunk: KeyRange?

  public init(title: ByteText, chunk: KeyRange?) {
    self.title = title
    self.chunk = chunk
  }
}

/// What the map shall become. The registry decides by its rules which events that takes, if any.
public enum Change: Sendable {
  /// A new cell; without an id it gets a random one.
  case addCell(id: CellID?, CellDraft)
  case renameCell(CellID, to: ByteText?)
  /// Sets the addresses that are given; the others stay.
  case setCellAddresses(CellID, AddressDraft)
  case disableCell(CellID)
  /// Lets new instances into a disabled cell; unless `force` is given, the last entry about the cell
  /// must be a probe that it passed.
  case enableCell(CellID, force: Bool)
  /// Marks a cell disabled and on its way out, so that nothing new comes while it is emptied.
  case beginRemovingCell(CellID)
  /// Removes a cell that holds no hosts and no mappings.
  case removeCell(CellID)
  /// Seals the addresses of a cell anew, under another data key.
  case resealCell(CellID)
  /// Notes that data keys of a cell are destroyed, which seal no present address of it: see
  /// `KeyRetirement`. `named` is what the caller gave: one key, or nil for all that can go.
  case shredKeys(CellID, named: KeyID?, [KeyID])
  /// Notes that keys of projects are destroyed: see `KeyRetirement`. `asked` is what the caller named.
  case shredOwnerKeys(asked: ByteText, [KeyID])
  case recordIdentity(CellID, CellIdentity)
  case setCoverage(CellID, Bool)
  /// What a probe found, and the evidence of the cell's identity that goes with it; `accepting` if an
  /// operator says that the database is the cell's.
  case recordProbe(CellID, ProbeOutcome, [CellIdentity], accepting: Bool)

  case mapHost(ByteText, to: CellID)
  case unmapHost(ByteText)

  /// The first mapping of an instance, or its first cell.
  case mapInstance(InstanceID, InstanceDraft)
  /// Another cell, or none, for a mapped instance.
  case remapInstance(InstanceID, to: CellID?)
  case setOwner(InstanceID, InstanceOwner)
  case markForDeletion(InstanceID, Bool)
  case unmapInstance(InstanceID)
  case recordSighting(InstanceID, HostSighting)

  /// Makes what the map holds of each thing equal to what was observed.
  case take([Observation])
  /// Settles a conflict by a decision, and makes of the thing what that means.
  case resolveConflict(EntityKey, decision: ByteText, making: Observation.State?)
  /// Makes things again what they were before some entries, unless a later one changed them.
  case revert(Reversal)
  /// Begins a new epoch; what it says of the head must be true.
  case openEpoch(EpochOpening)
  /// Notes that a scan of a cell begins or has read it whole.
  case noteScan(ScanProgress, isFinished: Bool)
  /// Notes that entries were written into an archive; `asked` is which ones the caller wished there.
  case noteArchive(ArchivePoint, asked: ByteText)
  /// Takes hosts and mappings out of a cell that is being removed.
  case emptyCell(CellID, hosts: [ByteText], instances: [InstanceID])
  /// Notes that a whole map was taken over, and ends the bulk command.
  case finishAdoption(MapTransfer, ChangeCounts)
  /// Notes that the map was written into a Nova API database, and ends the bulk command.
  case finishPublication(MapTransfer, ChangeCounts)
  /// Ends a bulk command.
  case finishRequest(ChangeCounts)
}

extension Change {
  /// How many things the change names.
  var pieceCount: Int {
    switch self {
    case .take(let observations): observations.count
    case .revert(let reversal): reversal.items.count
    case .emptyCell(_, let hosts, let instances): hosts.count + instances.count
    default: 1
    }
  }
}

/// Addresses to set on a cell; nil leaves what is there.
public struct AddressDraft: Sendable {
  public var database: GivenAddress?
  public var queue: GivenAddress?
  public var options: ByteText?

  public init(
    database: GivenAddress? = nil, queue: GivenAddress? = nil, options: ByteText? = nil
  ) {
    self.database = database
    self.queue = queue
    self.options = options
  }
}

/// A cell as it is given.
public struct CellDraft: Sendable {
  public var name: ByteText?
  public var addresses: AddressDraft
  public var disabled: Bool?
  /// Of a new cell; one that is there keeps its own: `setCoverage` changes it.
  public var isCovered: Bool
  public var row: NovaRow

  public init(
    name: ByteText?, addresses: AddressDraft, disabled: Bool? = false, isCovered: Bool = false,
    row: NovaRow = .unknown
  ) {
    self.name = name
    self.addresses = addresses
    self.disabled = disabled
    self.isCovered = isCovered
    self.row = row
  }
}

/// An instance as it is given.
public struct InstanceDraft: Sendable {
  public var cell: CellID?
  public var owner: InstanceOwner
  /// Also a disabled cell will do: an operator tries it out.
  public var isTest: Bool

  public init(cell: CellID?, owner: InstanceOwner, isTest: Bool = false) {
    self.cell = cell
    self.owner = owner
    self.isTest = isTest
  }
}

/// What was found of one thing, and where; a state of nil means that it is gone.
public struct Observation: Sendable {
  public enum State: Sendable {
    case cell(CellID, CellDraft?)
    case host(ByteText, HostRecord?)
    case instance(InstanceID, InstanceRecord?)
    /// What the cells can't decide; nil settles an open conflict.
    case conflict(EntityKey, FoundConflict?)
  }

  public var state: State
  public var evidence: Evidence?
  /// The head of the journal before the observation was made: what a later entry says of the thing
  /// stands. nil takes the place of any.
  public var basis: Position?

  /// What was found.
  public var entity: EntityKey {
    switch state {
    case .cell(let id, _): .cell(id)
    case .host(let name, _): .host(name)
    case .instance(let id, _): .instance(id)
    case .conflict(let entity, _): entity
    }
  }

  public init(_ state: State, evidence: Evidence?, basis: Position? = nil) {
    self.state = state
    self.evidence = evidence
    self.basis = basis
  }
}

/// What the cells can't decide between them.
public struct FoundConflict: Hashable, Sendable {
  /// The rule that doesn't decide.
  public var kind: ByteText
  /// The rows side by side, JSON.
  public var evidence: ByteText

  public init(kind: ByteText, evidence: ByteText) {
    self.kind = kind
    self.evidence = evidence
  }
}

/// What a caller's decision rests on.
public struct Guard: Hashable, Sendable {
  public enum Condition: Hashable, Sendable {
    case absent
    case exists
    /// No entry after this one has changed it.
    case unchanged(since: Position)
  }

  public var entity: EntityKey
  public var condition: Condition

  public init(_ entity: EntityKey, _ condition: Condition) {
    self.entity = entity
    self.condition = condition
  }
}

/// What became of a command that was not refused.
public struct Outcome: Hashable, Sendable {
  /// The head of the journal that the answer is true at.
  public var position: Position
  /// The command's entries; nil if the map was as wished already.
  public var entries: ClosedRange<UInt64>?
  /// What the first of them is about.
  public var entity: EntityKey?
  /// The answer was given before: nothing was done now.
  public var isRepeated: Bool
  /// Cells, hosts and instances that it changed now.
  public var changed: UInt64
  /// Observations that were passed over: a later entry than their basis has decided otherwise.
  public var overtaken: UInt64
  /// Observations of instances whose owner was shredded: the owner stays so.
  public var ownersLeft: UInt64 = 0
  /// What a finished bulk command changed.
  public var finished: ChangeCounts?

  public init(
    position: Position, entries: ClosedRange<UInt64>?, entity: EntityKey? = nil,
    isRepeated: Bool = false, changed: UInt64 = 0, overtaken: UInt64 = 0,
    finished: ChangeCounts? = nil
  ) {
    self.position = position
    self.entries = entries
    self.entity = entity
    self.isRepeated = isRepeated
    self.changed = changed
    self.overtaken = overtaken
    self.finished = finished
  }
}
