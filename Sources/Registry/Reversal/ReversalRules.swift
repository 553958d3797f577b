internal import Journal
internal import Projections

/// The rules for undoing: from what things shall be again to the events that takes.
struct ReversalRules<Map: MapLookup> {
  let map: RuleMap<Map>
  let cells: CellRules<Map>
  let hosts: HostRules<Map>
  let instances: InstanceRules<Map>

  /// Decides one thing after the other; all are looked at first, so that of a command which is refused
  /// for one thing the first that was changed since is named.
  ///
  /// - Parameters:
  ///   - counts: The hosts and mappings of a cell, with what `accept` has taken in.
  ///   - lacking: Cells that can't come back, those of earlier commands among them: what shall be in one is
  ///     passed over.
  ///   - refuse: Told of each thing that a rule stands against; what it doesn't throw goes on with the next
  ///     thing.
  ///   - accept: Takes the events of a thing into the map; not called if it is as it shall be.
  func decide(
    _ reversal: Reversal, counts: Rulebook<Map>.Counts, lacking: inout Set<CellID>,
    refuse: (Refusal) throws(RegistryError) -> Void,
    accept: ([Event]) throws(RegistryError) -> Void
  ) throws(RegistryError) {
    for item in reversal.items where try !isDone(item) {
      let last: UInt64? =
        if case .conflict(let entity, _) = item {
          try map.conflict(of: entity)?.changedAt
        } else {
          try map.lastEntry(of: item.entity)?.index
        }
      if let last, last > reversal.lastEntry(allowedFor: item.entity) {
        throw .refused(.changedSince(item.entity, entry: last, undone: reversal.last))
      }
    }
    for item in reversal.items {
      if let place = item.place, lacking.contains(place) { continue }
      let events: [Event]
      do throws(RegistryError) {
        events = try self.events(item, reversal, counts)
      } catch .refused(let refusal) {
        try refuse(.cantRevert(item.entity, why: refusal.whyNotReverted))
        if case .cell(let id, _) = item, try map.cell(id) == nil { lacking.insert(id) }
        continue
      }
      if !events.isEmpty { try accept(events) }
    }
  }

  /// The thing is as it shall be, or a conflict is open.
  private func isDone(_ item: Reversal.Item) throws(RegistryError) -> Bool {
    switch item {
    case .cell(let id, let record): try map.cell(id)?.record == record
    case .host(let name, let record): try map.host(name)?.record == record
    case .instance(let id, let record): try isSame(map.instance(id)?.record, record)
    case .conflict(let entity, _): try map.conflict(of: entity)?.record.decision == nil
    }
  }

  /// Where an instance was seen is no decision.
  private func isSame(_ one: InstanceRecord?, _ other: InstanceRecord?) -> Bool {
    guard var one, let other else { return one == nil && other == nil }
    one.lastSeen = other.lastSeen
    return one == other
  }

  private func events(
    _ item: Reversal.Item, _ reversal: Reversal, _ counts: Rulebook<Map>.Counts
  ) throws(RegistryError) -> [Event] {
    switch item {
    case .cell(let id, let record?):
      return try cell(id, record, reversal)
    case .cell(let id, nil):
      return try map.cell(id) == nil ? [] : cells.remove(id, holding: counts(id))
    case .host(let name, let record): return try hosts.take(name, record)
    case .instance(let id, let record):
      var events: [Event] = []
      try instances.take(id, record, isDecided: true, into: &events)
      return events
    case .conflict(let entity, let found):
      guard try !isDone(item) else { return [] }
      return [.conflict(entity, .found(kind: found.kind, evidence: found.evidence))]
    }
  }

  private func cell(
    _ id: CellID, _ record: CellRecord, _ reversal: Reversal
  ) throws(RegistryError) -> [Event] {
    let before = try map.cell(id)?.record
    guard before != record else { return [] }
    let others = try others(than: id, reversal)
    if before?.name != record.name { try cells.checkName(record.name, of: id, among: others) }
    if before?.database != record.database {
      try cells.checkDatabase(record.database, of: id, among: others)
    }
    if before?.addresses != record.addresses { try cells.checkOpens(record.addresses, of: id) }
    guard let before else { return [.cell(id, .added(record))] }
    var events: [CellEvent] = []
    if before.name != record.name {
      events.append(.renamed(from: before.name, to: record.name))
    }
    if before.addresses != record.addresses {
      events.append(.addressesChanged(from: before.addresses, to: record.addresses))
    }
    if before.availability != record.availability {
      events.append(.availabilityChanged(from: before.availability, to: record.availability))
    }
    if before.isCovered != record.isCovered {
      events.append(.coverageChanged(from: before.isCovered, to: record.isCovered))
    }
    if before.row != record.row {
      events.append(.rowRecorded(from: before.row, to: record.row))
    }
    return events.map { .cell(id, $0) }
  }

  /// The other cells, as the whole command leaves them: names may be exchanged.
  private func others(
    than id: CellID, _ reversal: Reversal
  ) throws(RegistryError) -> [CellID: CellRow] {
    var others = try map.cells().filter { !reversal.leavingCells.contains($0.key) }
    for case .cell(let other, let record?) in reversal.items {
      others[other] = CellRow(record: record, changedAt: 0)
    }
    others[id] = nil
    return others
  }
}

extension CellRules {
  /// One database is one cell's: the same for an address that was sealed before.
  func checkDatabase(
    _ database: SealedAddress?, of id: CellID, among cells: [CellID: CellRow]
  ) throws(RegistryError) {
    guard let database else { return }
    let place = database.databaseLocation
    for (other, row) in cells where other != id {
      guard let theirs = row.record.database else { continue }
      if database.publicForm == theirs.publicForm
        || place != nil && place == theirs.databaseLocation
      {
        throw .refused(.databaseTaken(database.publicForm, by: other))
      }
    }
  }

  /// An address whose key is gone, or about to go, would bring back a cell that nobody can reach.
  func checkOpens(_ addresses: CellAddresses, of id: CellID) throws(RegistryError) {
    let sealed = [(addresses.database, AddressField.database), (addresses.queue, .queue)]
    do throws(KeyError) {
      for case (let address?, let field) in sealed {
        _ = try sealer.open(address, of: id, field)
        try sealer.checkStays(address.key)
      }
    } catch .shredded(let key, cell: _) {
      throw .refused(.addressGone(key, cell: id))
    } catch {
      throw .keys(error)
    }
  }
}

extension Reversal.Item {
  /// The cell in which a host or an instance shall be again.
  fileprivate var place: CellID? {
    switch self {
    case .host(_, let record): record?.cell
    case .instance(_, let record): record?.cell
    case .cell, .conflict: nil
    }
  }
}

extension Refusal {
  /// The rule in words, with a next step that a revert has.
  fileprivate var whyNotReverted: String {
    switch self {
    case .cellNotEmpty(let id, let hosts, let instances):
      "Cell \(id) has \(hosts) hosts and \(instances) instance mappings. Move them first."
    case .cellNameTaken(let name, let id):
      "The name \(NameRules.visible(name)) is that of cell \(id). Rename that cell first."
    default: description
    }
  }
}
