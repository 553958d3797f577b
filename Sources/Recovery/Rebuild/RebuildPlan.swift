public import Journal
public import Registry
public import Router

/// What rebuilding the map does, counted while it is looked at.
public struct RebuildPlan: Sendable {
  /// Why an instance is where it is said to be.
  public enum Rule: String, Hashable, Sendable, CaseIterable {
    case onlyCopy = "only copy"
    case visibleBeatsHidden = "visible beats hidden"
    case liveBeatsDeleted = "live beats deleted"
    case latestDeleted = "deleted everywhere: the latest"
    case cellBeatsCell0 = "a cell that ran it beats cell0"
    case moveTarget = "move finished: target"
    case moveSource = "move reverting: source"

    /// Whether it goes by which copies are deleted, or gone.
    var isOfAbsence: Bool {
      self == .onlyCopy || self == .liveBeatsDeleted || self == .latestDeleted
    }
  }

  /// Records added, changed, left as they were, of one kind.
  public struct Count: Hashable, Sendable {
    public var added: UInt64 = 0
    public var changed: UInt64 = 0
    public var same: UInt64 = 0
    /// Of those changed, taken out.
    public var removed: UInt64 = 0
    /// What the map had.
    public var before: UInt64 = 0

    /// What the map has then, whoever wrote it.
    public var after: UInt64 { before + added - min(removed, before + added) }
    public var differing: UInt64 { added + changed }
  }

  /// A conflict, with the rows side by side.
  public struct Conflict: Hashable, Sendable {
    public var entity: EntityKey
    public var found: FoundConflict
    /// It stands in the map as open already.
    public var isKnown: Bool
  }

  /// Things that are counted, the first hundred of them named.
  public struct Named: Hashable, Sendable {
    public private(set) var count: UInt64 = 0
    public private(set) var first: [String] = []

    mutating func add(_ name: some CustomStringConvertible) {
      count += 1
      if first.count < 100 { first.append(name.description) }
    }
  }

  /// The head of the journal at which the map was compared.
  public var position = Position.start
  /// What was read of each cell, and why another wasn't.
  public var cells: [CellScanState] = []
  public var rules: [Rule: UInt64] = [:]
  public var instances = Count()
  public var hosts = Count()
  /// Instances and hosts that the cells can't decide; the first thousand with their rows.
  public var conflicts: [Conflict] = []
  public var conflictCount: UInt64 = 0
  /// Those of them about what stays mapped as it was until they are decided: it wasn't mapped by a rebuild that
  /// could not read every cell.
  public var conflictsMapped: UInt64 = 0
  /// Conflicts of before that the cells decide now, or that an operator has decided.
  public var settled: UInt64 = 0
  public var decided: UInt64 = 0
  /// Conflicts, open or decided, that stay as they are since one of their cells was not read.
  public var conflictsWaiting: UInt64 = 0
  /// What an operator had decided, and is open again: the conflict is another, or the map holds something else by now.
  public var reopened = Named()
  /// What an operator had decided about, and the rules place elsewhere by now.
  public var overruled = Named()
  /// Instances of which there are only hidden copies: no mapping.
  public var hiddenOnly = Named()
  /// Instances of the map that no cell has, and every cell was read that might.
  public var missing = Named()
  /// Instances and hosts of the map whose cell, or a row of which, was not read; they stay as they are.
  public var pending: UInt64 = 0
  /// Instances without a cell, of the old database: a cell that was not read may have them.
  public var waiting: UInt64 = 0
  /// Instances without a project: the map holds them, Nova's own can't.
  public var withoutProject = Named()
  /// Instances in error of which the map knew nothing: if a delete of one failed, Nova's map had kept it
  /// marked, and no cell says so.
  public var inError = Named()
  /// Instances without a cell, of the old database: no cell has them.
  public var unscheduled = Named()
  /// Instances whose owner the cells don't know, and the old database does.
  public var ownersCompleted = Named()
  /// Instances of cells that were not read, where the old database has them: until they are.
  public var standIns = Named()
  /// Mappings of the old database into cells that were read and don't have the instance: left out, or
  /// taken back.
  public var stale = Named()
  /// What the cells have of Nova's global tables; nil where nobody has counted.
  public var census: GlobalCensus?
  /// Rows that hold what Nova doesn't write.
  public var unreadable: [String] = []
  /// What the map's rules don't take, with the reason.
  public var refused = Named()
  /// The cells that are not known whole without what was refused.
  var lackingCells: Set<CellID> = []
  /// What others decided while the cells were read; it stays.
  public var overtaken: UInt64 = 0
  /// Instances whose owner was shredded; it stays so, whatever the cells say.
  public var ownersLeft: UInt64 = 0

  /// The cells that were not read whole.
  public var unread: [CellScanState] { cells.filter { !$0.isFinished } }
  /// Whether each cell was read whole, so that nothing is provisional.
  public var isComplete: Bool { unread.isEmpty }

  /// Whether something is left to an operator: conflicts, decisions that don't fit any more, and rows that were passed
  /// over.
  public var hasFindings: Bool {
    conflictCount > 0 || overruled.count > 0 || refused.count > 0
      || cells.contains { $0.unreadable > 0 }
  }

  static let maximumConflicts = 1_000

  mutating func note(_ entity: EntityKey, _ found: FoundConflict, isKnown: Bool) {
    conflictCount += 1
    if conflicts.count < Self.maximumConflicts {
      conflicts.append(Conflict(entity: entity, found: found, isKnown: isKnown))
    }
  }

  mutating func refuse(_ observation: Observation, _ why: Refusal) {
    refused.add("\(observation.entity): \(why)")
    // A host that is left out hides no instance.
    if case .instance = observation.entity, let cell = observation.evidence?.cell {
      lackingCells.insert(cell)
    }
  }

  /// Counts what one observation takes; nil if a later decision stands.
  mutating func count(_ state: Observation.State, _ events: [Event]?) {
    let kind: WritableKeyPath<RebuildPlan, Count>
    switch state {
    case .instance: kind = \.instances
    case .host: kind = \.hosts
    case .conflict(_, nil):
      if events?.isEmpty == false { settled += 1 }
      return
    case .conflict, .cell: return
    }
    guard let events else {
      overtaken += 1
      return
    }
    if state.isAbsence, !events.isEmpty { self[keyPath: kind].removed += 1 }
    switch events.first {
    case nil: self[keyPath: kind].same += 1
    case .instance(_, .mapped), .host(_, .mapped): self[keyPath: kind].added += 1
    default: self[keyPath: kind].changed += 1
    }
  }
}

extension Observation.State {
  /// It says that the thing isn't there.
  fileprivate var isAbsence: Bool {
    switch self {
    case .instance(_, nil), .host(_, nil): true
    default: false
    }
  }
}

/// Why a map wasn't rebuilt, or compared with the cells.
public enum RebuildError: Error, Sendable, CustomStringConvertible {
  /// Another process scans for this store.
  case scanUnderway(path: String)
  case staging(String)
  case router(RouterFailure)
  case registry(RegistryError)
  /// A Nova API database that was given as well.
  case source(AdoptionError)
  /// The one cell that was asked for.
  case cell(CellUnavailable)

  /// What the router said, in words.
  public struct RouterFailure: Hashable, Sendable {
    public let text: String
  }

  public var description: String {
    switch self {
    case .scanUnderway(let path):
      "Another process scans the cells for this store, into \(path). Wait for its end."
    case .staging(let what): "The staging file of the scan failed: \(what)"
    case .router(let failure): failure.text
    case .registry(let error): error.description
    case .source(let error): error.description
    case .cell(let error): error.description
    }
  }
}
