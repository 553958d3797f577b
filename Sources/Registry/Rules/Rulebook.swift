internal import Journal
internal import Projections

/// All rules in one place: from a command and the map to events, or to a refusal.
struct Rulebook<Map: MapLookup> {
  private let map: RuleMap<Map>
  private let cells: CellRules<Map>
  private let hosts: HostRules<Map>
  private let instances: InstanceRules<Map>
  private let reversals: ReversalRules<Map>

  /// How owners are sealed.
  let owners: OwnerRules

  init(map: Map, sealer: any AddressSealer, owners: OwnerRules) {
    self.owners = owners
    self.map = RuleMap(map: map)
    cells = CellRules(map: self.map, sealer: sealer)
    hosts = HostRules(map: self.map)
    instances = InstanceRules(map: self.map, owners: owners)
    reversals = ReversalRules(
      map: self.map, cells: cells, hosts: hosts, instances: instances)
  }

  /// What was answered to a request; nil if no accepted command bears the id.
  func request(_ id: RequestID) throws(RegistryError) -> RequestRow? { try map.request(id) }

  /// The pieces that one command may consist of: so many fit into one commit.
  static var maximumPieces: Int { 10_000 }

  /// Decides a command piece by piece, each on the map as the pieces before it leave it.
  ///
  /// - Parameters:
  ///   - earlier: What is known of the bulk command that this goes on with.
  ///   - positions: The positions that a guard may name.
  ///   - finding: The last event of what was found out about the command's cell, where
  ///     `cellToBeFoundGood` names one.
  ///   - counts: The hosts and mappings of a cell, asked of an index that has reached the head.
  ///   - accept: Takes the events of a piece into the map; never called if it is as wished.
  /// - Returns: How many observations were passed over, since a later entry than their basis has
  ///   decided otherwise.
  func decide(
    _ command: Command, after earlier: RequestRow?, positions: JournalPositions, finding: Event?,
    counts: Counts, accept: ([Event], Evidence?) throws(RegistryError) -> Void
  ) throws(RegistryError) -> UInt64 {
    try check(command)
    for condition in command.guards { try map.check(condition, positions) }
    if case .openEpoch(let opening) = command.change { try check(opening, positions.head) }
    if let earlier, let cell = command.change.cellOnItsWayOut,
      let last = try map.lastEntry(of: .cell(cell)), !last.isThere, last.index >= earlier.first
    {
      return 0  // This very command has removed the cell, and was given again.
    }
    var overtaken: UInt64 = 0
    switch command.change {
    case .take(let observations):
      var events: [Event] = []
      let databases = try databases(given: observations)
      let observations = observations.span
      for place in observations.indices {
        events.removeAll(keepingCapacity: true)
        guard
          try take(observations[place], into: &events, beside: databases, counts: counts)
        else {
          overtaken += 1
          continue
        }
        if !events.isEmpty { try accept(events, observations[place].evidence) }
      }
    case .emptyCell(let id, let names, let instances):
      try empty(id, hosts: names, instances: instances) { (event) throws(RegistryError) in
        try accept([event], nil)
      }
    case .revert(let reversal):
      var lacking: Set<CellID> = []
      try revert(reversal, counts: counts, lacking: &lacking) { (refusal) throws(RegistryError) in
        throw .refused(refusal)
      } accept: { (events) throws(RegistryError) in
        try accept(events, nil)
      }
    default:
      let events = try events(of: command.change, counts: counts)
      if events.isEmpty { return 0 }
      if let cell = command.change.cellToBeFoundGood {
        try cells.requirePassedProbe(cell, finding)
      }
      try accept(events, nil)
    }
    return overtaken
  }

  /// The events that undo entries, in order, each taken in before the next thing is decided; `refuse` is told
  /// of each thing that a rule stands against, but for what only lacks one of the cells that can't come back.
  func revert(
    _ reversal: Reversal, counts: Counts, lacking: inout Set<CellID>,
    refuse: (Refusal) throws(RegistryError) -> Void,
    accept: ([Event]) throws(RegistryError) -> Void
  ) throws(RegistryError) {
    try reversals.decide(
      reversal, counts: counts, lacking: &lacking, refuse: refuse, accept: accept)
  }

  /// How many hosts and instances a cell holds.
  typealias Counts = (CellID) throws(RegistryError) -> (hosts: UInt64, instances: UInt64)

  /// An epoch begins where the journal ends.
  private func check(_ opening: EpochOpening, _ head: Position) throws(RegistryError) {
    guard opening.leftIndex == head.index, opening.epoch > head.epoch else {
      let given = Position(epoch: opening.epoch - 1, index: opening.leftIndex)
      throw .refused(.notAPosition(given, entry: nil, head: head))
    }
  }

  private func check(_ command: Command) throws(RegistryError) {
    do throws(Refusal) {
      guard command.request != .none else {
        throw .badName(what: "The request id \(command.request)", why: "stands for no request")
      }
      guard command.change.pieceCount <= Self.maximumPieces else {
        throw .tooLarge("at most \(Self.maximumPieces) hosts, instances and cells at once")
      }
      try command.authorship.check(isByOperator: command.isByOperator)
    } catch {
      throw .refused(error)
    }
  }

  func events(
    of change: Change, counts: Counts
  ) throws(RegistryError) -> [Event] {
    switch change {
    case .addCell(let id, let draft): try cells.add(id ?? CellID(.random()), draft)
    case .renameCell(let id, let name): try cells.rename(id, to: name)
    case .setCellAddresses(let id, let draft): try cells.setAddresses(id, draft)
    case .disableCell(let id): try cells.setDisabled(id, true)
    case .enableCell(let id, force: _): try cells.setDisabled(id, false)
    case .beginRemovingCell(let id): try cells.beginRemoving(id)
    case .removeCell(let id): try cells.remove(id, holding: counts(id))
    case .recordIdentity(let id, let identity): try cells.recordIdentity(id, identity)
    case .setCoverage(let id, let isCovered): try cells.setCoverage(id, isCovered)
    case .recordProbe(let id, let outcome, let evidence, accepting: _):
      try cells.recordProbe(id, outcome, evidence)
    case .resealCell(let id): try cells.reseal(id)
    case .shredKeys(let id, named: _, let keys): try cells.shred(id, keys)
    case .shredOwnerKeys(asked: _, let keys): keys.map { .store(.ownerKeyShredded($0)) }
    case .mapHost(let name, let cell): try hosts.map(name, to: HostRecord(cell: cell))
    case .unmapHost(let name): try hosts.unmap(name)
    case .mapInstance(let id, let draft): try instances.map(id, draft)
    case .remapInstance(let id, let cell): try instances.remap(id, to: cell)
    case .setOwner(let id, let owner): try instances.setOwner(id, owner)
    case .markForDeletion(let id, let mark): try instances.mark(id, mark)
    case .unmapInstance(let id): try instances.unmap(id)
    case .recordSighting(let id, let sighting): try instances.saw(id, sighting)
    case .resolveConflict(let entity, let decision, let state):
      try resolve(entity, decision, making: state, counts: counts)
    case .openEpoch(let opening): [.store(.epochOpened(opening))]
    case .noteScan(let progress, let isFinished):
      [.store(isFinished ? .scanFinished(progress) : .scanStarted(progress))]
    case .noteArchive(let point, asked: _): [.store(.archived(point))]
    case .take, .emptyCell, .revert: preconditionFailure("decided piece by piece")
    case .finishAdoption(let transfer, let counts):
      [.store(.adopted(transfer)), .store(.requestFinished(counts: counts))]
    case .finishPublication(let transfer, let counts):
      [.store(.published(transfer)), .store(.requestFinished(counts: counts))]
    case .finishRequest(let counts): [.store(.requestFinished(counts: counts))]
    }
  }

  /// Hosts and mappings that have left the cell meanwhile are passed over.
  private func empty(
    _ id: CellID, hosts names: [ByteText], instances ids: [InstanceID],
    accept: (Event) throws(RegistryError) -> Void
  ) throws(RegistryError) {
    guard try cells.row(id).record.isBeingRemoved else {
      throw .refused(.cellNotBeingRemoved(id))
    }
    for name in names {
      guard let record = try map.host(name)?.record, record.cell == id else { continue }
      try accept(.host(name, .unmapped(record)))
    }
    for instance in ids where try map.instance(instance)?.record.cell == id {
      try accept(.instance(instance, .moved(from: id, to: nil)))
    }
  }

  /// Appends the events that make the map hold what was observed.
  ///
  /// - Parameters:
  ///   - databases: What the observations of one command give cells, this one's among them: cells
  ///     may exchange their databases.
  ///   - counts: Only asked for a cell that is gone.
  /// - Returns: False if the map holds something else by a later entry than the observation's basis:
  ///   that stands then, and nothing is appended.
  func take(
    _ observation: Observation, into events: inout [Event], beside databases: GivenDatabases,
    counts: Counts
  ) throws(RegistryError) -> Bool {
    let isOvertaken = try isOvertaken(observation)
    let count = events.count
    do throws(RegistryError) {
      try appendEvents(toHold: observation, to: &events, beside: databases, counts: counts)
    } catch .refused where isOvertaken {
      events.removeSubrange(count...)
      return false
    }
    guard isOvertaken, events.count > count else { return true }
    events.removeSubrange(count...)
    return false
  }

  /// The databases of the cells as a command's observations leave them.
  typealias GivenDatabases = [CellID: GivenAddress]

  /// What stands against an observation keeps its database.
  func databases(given observations: [Observation]) throws(RegistryError) -> GivenDatabases {
    var databases: GivenDatabases = [:]
    for observation in observations {
      guard case .cell(let id, let draft?) = observation.state,
        let database = draft.addresses.database
      else { continue }
      if try !isOvertaken(observation) { databases[id] = database }
    }
    return databases
  }

  private func isOvertaken(_ observation: Observation) throws(RegistryError) -> Bool {
    guard let basis = observation.basis else { return false }
    let last =
      if case .conflict(let entity, _) = observation.state {
        try map.conflict(of: entity)?.changedAt
      } else {
        try map.lastEntry(of: observation.entity)?.index
      }
    return last.map { $0 > basis.index } ?? false
  }

  private func appendEvents(
    toHold observation: Observation, to events: inout [Event], beside databases: GivenDatabases,
    counts: Counts
  ) throws(RegistryError) {
    switch observation.state {
    case .cell(let id, let draft):
      events += try take(id, draft, beside: databases, counts: counts)
    case .host(let name, let record): events += try hosts.take(name, record)
    case .instance(let id, let record): try instances.take(id, record, into: &events)
    case .conflict(let entity, let found): events += try take(entity, found)
    }
  }

  private func take(
    _ entity: EntityKey, _ found: FoundConflict?
  ) throws(RegistryError) -> [Event] {
    let known = try map.conflict(of: entity)?.record
    guard let found else {
      guard let known, known.decision != ConflictDecision.byRules else { return [] }
      return [.conflict(entity, .resolved(kind: known.kind, decision: ConflictDecision.byRules))]
    }
    if let known, known.decision == nil, known.kind == found.kind,
      known.evidence == found.evidence
    {
      return []
    }
    return [.conflict(entity, .found(kind: found.kind, evidence: found.evidence))]
  }

  /// An operator's decision, and what it makes of the thing.
  private func resolve(
    _ entity: EntityKey, _ decision: ByteText, making state: Observation.State?, counts: Counts
  ) throws(RegistryError) -> [Event] {
    guard let known = try map.conflict(of: entity)?.record else {
      throw .refused(.noConflict(entity))
    }
    var events: [Event] = []
    if known.decision != decision {
      events.append(.conflict(entity, .resolved(kind: known.kind, decision: decision)))
    }
    if let state {
      try appendEvents(
        toHold: Observation(state, evidence: nil), to: &events, beside: [:], counts: counts)
    }
    return events
  }

  private func take(
    _ id: CellID, _ draft: CellDraft?, beside databases: GivenDatabases, counts: Counts
  ) throws(RegistryError) -> [Event] {
    let before = try map.cell(id)?.record
    guard let draft else {
      return before == nil ? [] : try cells.remove(id, holding: counts(id))
    }
    if let database = draft.addresses.database,
      database.publicForm != before?.database?.publicForm
    {
      // A cell on its way out may be the one that this one takes the place of.
      let staying = try map.cells().filter { !$0.value.record.isBeingRemoved }
      try cells.checkDatabase(database, of: id, among: staying, given: databases)
    }
    guard let before else {
      return [.cell(id, .added(try cells.record(draft, of: id)))]
    }
    var events = try cells.addressChange(of: id, before, draft.addresses)
    if before.name != draft.name {
      events.append(.cell(id, .renamed(from: before.name, to: draft.name)))
    }
    // A cell that is being removed stays disabled, whatever others think of it.
    if before.disabled != draft.disabled, !before.isBeingRemoved {
      let after = CellAvailability(
        disabled: draft.disabled, isBeingRemoved: false)
      events.append(.cell(id, .availabilityChanged(from: before.availability, to: after)))
    }
    if before.row != draft.row {
      events.append(.cell(id, .rowRecorded(from: before.row, to: draft.row)))
    }
    return events
  }
}

extension Change {
  /// The cell that must have passed its last probe for this to be done.
  var cellToBeFoundGood: CellID? {
    if case .enableCell(let id, force: false) = self { id } else { nil }
  }

  /// The cell that a step of its removal is about.
  fileprivate var cellOnItsWayOut: CellID? {
    switch self {
    case .beginRemovingCell(let id), .emptyCell(let id, _, _), .removeCell(let id): id
    default: nil
    }
  }
}
