public import Journal
internal import Projections
public import Registry

/// What of the findings is to be mended, and how far an operator goes.
public struct MendOptions: Sendable {
  public var kinds: Set<FindingKind>
  /// The most mappings of a cell that one kind may touch; nil for 1 % of them and at most 100.
  public var limit: UInt64?
  /// An instance whose row is gone was deleted, though the cell hasn't archived it.
  public var isArchivedByHand = false
  /// What is deleted, and hosts that no cell has, are taken out of the map.
  public var unmaps = false
  /// Also what a cell that was not read could make otherwise.
  public var takesProvisional = false
  /// Cells that look restored or empty, and are not.
  public var notRestored: Set<CellID> = []

  public init(_ kinds: Set<FindingKind>) { self.kinds = kinds }
}

/// What would be mended, counted, and what not.
public struct MendPlan: Sendable {
  /// One kind of findings that touches too much of a cell.
  public struct Excess: Hashable, Sendable {
    public let kind: FindingKind
    public let cell: CellID
    public let count: UInt64
    public let limit: UInt64
  }

  public var mends: [FindingKind: UInt64] = [:]
  /// Cells that look restored or empty.
  public var doubts: [CellID: CellDoubt] = [:]
  public var excesses: [Excess] = []
  /// Findings that are left because of a doubt or an excess.
  public var refused: UInt64 = 0
  /// Findings that a cell that was not read could make otherwise.
  public var provisional: UInt64 = 0
  /// Instances without a row that nobody says was deleted.
  public var unproven: UInt64 = 0
  /// Hosts that no cell has, and instances that are marked already: only unmapping is left to do.
  public var wantsUnmapping: UInt64 = 0

  public var count: UInt64 { mends.values.reduce(0, +) }
}

/// What a mend has done.
public struct MendResult: Sendable {
  /// nil if there was nothing to do.
  public var outcome: Outcome?
  public var hosts: UInt64 = 0
  public var instances: UInt64 = 0
  /// Open conflicts that what was mended has settled.
  public var settled: UInt64 = 0
  /// What others decided meanwhile, which stands.
  public var overtaken: UInt64 = 0
  /// What the map's rules don't take, the first hundred.
  public var refused: [String] = []
  public var refusedCount: UInt64 = 0
}

/// From findings to what the map is to hold.
struct Mending {
  let options: MendOptions
  let records: RebuildRecords
  /// Whether a cell was not read, or is in doubt.
  let isIncomplete: Bool

  enum Choice {
    case mend
    case passOver
    case provisional
    case unproven
    case wantsUnmapping
  }

  func choice(_ finding: Finding, isMarked: Bool) -> Choice {
    guard options.kinds.contains(finding.kind), finding.kind.isMendable else { return .passOver }
    if isIncomplete, !options.takesProvisional, finding.restsOnAllCells { return .provisional }
    switch finding.kind {
    case .orphaned:
      guard finding.isArchived || options.isArchivedByHand else { return .unproven }
      return options.unmaps || !isMarked ? .mend : .wantsUnmapping
    case .ghostHost: return options.unmaps ? .mend : .wantsUnmapping
    default: return .mend
    }
  }

  /// What is to be observed of one thing, all its findings taken together.
  ///
  /// - Parameter before: What the map holds of it.
  func observations(
    ofInstance id: InstanceID, _ findings: [Finding], before: InstanceRecord?
  ) -> [Observation] {
    var record = before
    var isGone = false
    var evidence: Evidence?
    var conflicts: [Observation] = []
    for finding in findings {
      let row = finding.row
      switch finding.kind {
      case .missing: record = row.map { records.record($0, of: records.owner(of: $0, nil)) }
      case .noCell, .wrongCell:
        record?.cell = finding.found
        if let row, let sighting = records.sighting(row) { record?.lastSeen = sighting }
      case .deletionMark: record?.isQueuedForDelete = true
      case .owner:
        if let project = row?.project { record?.owner.project = .clear(project) }
        if let user = row?.user { record?.owner.user = .clear(user) }
      case .orphaned:
        if options.unmaps { isGone = true } else { record?.isQueuedForDelete = true }
        evidence = absence(finding, "\(id)")
      case .twoCopies:
        conflicts.append(
          Observation(
            .conflict(finding.entity, finding.conflict), evidence: nil, basis: records.basis))
        continue
      default: continue
      }
      if let row { evidence = records.evidence(row) }
    }
    if conflicts.count == findings.count { return conflicts }
    guard isGone || record != nil else { return conflicts }
    let state = Observation.State.instance(id, isGone ? nil : record)
    return [Observation(state, evidence: evidence, basis: records.basis)] + conflicts
  }

  func observation(ofHost name: ByteText, _ finding: Finding, before: HostRow?) -> Observation {
    switch finding.kind {
    case .twinHost:
      return Observation(
        .conflict(finding.entity, finding.conflict), evidence: nil, basis: records.basis)
    case .unknownHost, .wrongCellHost:
      guard let cell = finding.found else { preconditionFailure("a cell has the host") }
      return records.observation(host: name, in: cell, before: before)
    default:
      return Observation(
        .host(name, nil), evidence: absence(finding, name.string), basis: records.basis)
    }
  }

  /// The evidence that a cell has no such row; for an archived instance, where it has it.
  private func absence(_ finding: Finding, _ key: String) -> Evidence? {
    guard let cell = finding.mapped else { return nil }
    let table: ByteText =
      finding.entity.kind == .host
      ? "compute_nodes" : finding.isArchived ? "shadow_instances" : "instances"
    return Evidence(
      source: records.sources[cell] ?? "", cell: cell, table: table, rowKey: ByteText(key),
      rowDigest: records.keys.rowDigest { $0.add(ByteText(key)) }, readAt: .now)
  }
}
