internal import Journal
internal import Projections

/// All rules in one place: from a command and the map to events, or to a refusal.
struct Rulebook<Map: MapLookup> {
  private let map: RuleMap<Map>
  private let cells: CellRules<Map>
  private let hosts: HostRules<Map>
  private let instances: InstanceRules<Map>

  init(map: Map, keys: KeyRing) {
    self.map = RuleMap(map: map)
    cells = CellRules(map: self.map, keys: keys)
    hosts = HostRules(map: self.map)
    instances = InstanceRules(map: self.map)
  }

  /// What was answered to a request; nil if no accepted command bears the id.
  func request(_ id: RequestID) throws(RegistryError) -> RequestRow? { try map.request(id) }

  /// An event and the row it was born from.
  typealias Decision = (event: Event, evidence: Evidence?)

  /// The events of a command; none if the map is as wished.
  ///
  /// - Parameter counts: The hosts and mappings of a cell, asked of an index that has reached the
  ///   head.
  func decide(
    _ command: Command, counts: (CellID) throws(RegistryError) -> (hosts: UInt64, instances: UInt64)
  ) throws(RegistryError) -> [Decision] {
    try checkAuthorship(command)
    for condition in command.guards { try map.check(condition) }
    switch command.change {
    case .take(let observations): return try take(observations)
    default: return try events(of: command.change, counts: counts).map { ($0, nil) }
    }
  }

  private func checkAuthorship(_ command: Command) throws(RegistryError) {
    let reason = command.authorship.reason
    if command.isByOperator, (reason?.string ?? "").isEmpty { throw .refused(.reasonMissing) }
    do throws(Refusal) {
      if let reason { try NameRules.checkReason(reason) }
      if let name = command.authorship.correlation {
        try NameRules.check(name, what: "The correlation")
      }
    } catch {
      throw .refused(error)
    }
  }

  private func events(
    of change: Change,
    counts: (CellID) throws(RegistryError) -> (hosts: UInt64, instances: UInt64)
  ) throws(RegistryError) -> [Event] {
    switch change {
    case .addCell(let id, let draft): try cells.add(id ?? CellID(.random()), draft)
    case .renameCell(let id, let name): try cells.rename(id, to: name)
    case .setCellAddresses(let id, let draft): try cells.setAddresses(id, draft)
    case .setCellDisabled(let id, let disabled): try cells.setDisabled(id, disabled)
    case .beginRemovingCell(let id): try cells.beginRemoving(id)
    case .removeCell(let id):
      try cells.remove(id, hosts: counts(id).hosts, instances: counts(id).instances)
    case .recordIdentity(let id, let identity): try cells.recordIdentity(id, identity)
    case .setCoverage(let id, let isCovered): try cells.setCoverage(id, isCovered)
    case .mapHost(let name, let cell): try hosts.map(name, to: HostRecord(cell: cell))
    case .unmapHost(let name): try hosts.unmap(name)
    case .mapInstance(let id, let draft): try instances.map(id, draft)
    case .remapInstance(let id, let cell): try instances.remap(id, to: cell)
    case .setOwner(let id, let owner): try instances.setOwner(id, owner)
    case .markForDeletion(let id, let mark): try instances.mark(id, mark)
    case .unmapInstance(let id): try instances.unmap(id)
    case .recordSighting(let id, let sighting): try instances.saw(id, sighting)
    case .take: preconditionFailure("decided with its evidence")
    case .emptyCell(let id, let names, let ids): try empty(id, hosts: names, instances: ids)
    case .finishAdoption(let transfer, let counts):
      [.store(.adopted(transfer)), .store(.requestFinished(counts: counts))]
    case .finishRequest(let counts): [.store(.requestFinished(counts: counts))]
    }
  }

  /// Hosts and mappings that have left the cell meanwhile are passed over.
  private func empty(
    _ id: CellID, hosts names: [ByteText], instances ids: [InstanceID]
  ) throws(RegistryError) -> [Event] {
    guard try cells.row(id).record.isBeingRemoved else {
      throw .refused(.cellNotBeingRemoved(id))
    }
    var events: [Event] = []
    for name in names {
      guard let record = try map.host(name)?.record, record.cell == id else { continue }
      events.append(.host(name, .unmapped(record)))
    }
    for instance in ids where try map.instance(instance)?.record.cell == id {
      events.append(.instance(instance, .moved(from: id, to: nil)))
    }
    return events
  }

  private func take(_ observations: [Observation]) throws(RegistryError) -> [Decision] {
    var decisions: [Decision] = []
    for observation in observations {
      for event in try events(of: observation) {
        decisions.append((event, observation.evidence))
      }
    }
    return decisions
  }

  /// The events that make the map hold what was observed.
  func events(of observation: Observation) throws(RegistryError) -> [Event] {
    switch observation.state {
    case .cell(let id, let draft): try take(id, draft)
    case .host(let name, let record): try hosts.take(name, record)
    case .instance(let id, let record): try instances.take(id, record)
    }
  }

  private func take(_ id: CellID, _ draft: CellDraft?) throws(RegistryError) -> [Event] {
    let before = try map.cell(id)?.record
    guard let draft else { return before.map { [.cell(id, .removed($0))] } ?? [] }
    guard let before else {
      try cells.checkDatabase(draft.addresses.database, of: id, among: try map.cells())
      return [.cell(id, .added(try cells.record(draft, of: id)))]
    }
    var events = try cells.addressChange(of: id, before, draft.addresses)
    if before.name != draft.name {
      events.append(.cell(id, .renamed(from: before.name, to: draft.name)))
    }
    if before.disabled != draft.disabled {
      let after = CellAvailability(
        disabled: draft.disabled, isBeingRemoved: before.isBeingRemoved)
      events.append(.cell(id, .availabilityChanged(from: before.availability, to: after)))
    }
    if before.row != draft.row {
      events.append(.cell(id, .rowRecorded(from: before.row, to: draft.row)))
    }
    if before.isCovered != draft.isCovered {
      events.append(.cell(id, .coverageChanged(from: before.isCovered, to: draft.isCovered)))
    }
    return events
  }
}
