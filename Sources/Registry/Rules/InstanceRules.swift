internal import Journal
internal import Projections

/// The rules for instances: from a change and the map to the events it takes.
struct InstanceRules<Map: MapLookup> {
  let map: RuleMap<Map>
  let owners: OwnerRules

  private func row(_ id: InstanceID) throws(RegistryError) -> InstanceRow {
    guard let row = try map.instance(id) else { throw .refused(.unknownInstance(id)) }
    return row
  }

  // Hot path: one lookup of the instance and one of its cell.
  func map(_ id: InstanceID, _ draft: InstanceDraft) throws(RegistryError) -> [Event] {
    do throws(Refusal) {
      try NameRules.check(id)
      try NameRules.check(draft.owner)
    } catch {
      throw .refused(error)
    }
    if let before = try map.instance(id)?.record { return try firstCell(of: id, before, draft) }
    try checkFirstCell(draft)
    let owner = try owners.sealed(draft.owner)
    return [.instance(id, .mapped(InstanceRecord(cell: draft.cell, owner: owner)))]
  }

  private func firstCell(
    of id: InstanceID, _ before: InstanceRecord, _ draft: InstanceDraft
  ) throws(RegistryError) -> [Event] {
    guard !owners.isShredded(before.owner) else { throw .refused(.ownerShredded(id)) }
    let owner = try owners.sealed(draft.owner, over: before.owner)
    guard before.owner == owner else { throw .refused(.ownerDiffers(id)) }
    guard before.cell != draft.cell, let cell = draft.cell else { return [] }
    if let elsewhere = before.cell {
      throw .refused(.instanceElsewhere(id, cell: elsewhere))
    }
    try checkFirstCell(draft)
    return [.instance(id, .moved(from: nil, to: cell))]
  }

  private func checkFirstCell(_ draft: InstanceDraft) throws(RegistryError) {
    guard let id = draft.cell else { return }
    let cell = try existingCell(id)
    guard !cell.isBeingRemoved else { throw .refused(.cellBeingRemoved(id)) }
    guard draft.isTest || cell.disabled != true else { throw .refused(.cellDisabled(id)) }
  }

  private func existingCell(_ id: CellID) throws(RegistryError) -> CellRecord {
    guard let row = try map.cell(id) else { throw .refused(.unknownCell(id)) }
    return row.record
  }

  func remap(_ id: InstanceID, to cell: CellID?) throws(RegistryError) -> [Event] {
    let before = try row(id).record
    guard before.cell != cell else { return [] }
    if let cell {
      let record = try existingCell(cell)
      guard !record.isBeingRemoved else { throw .refused(.cellBeingRemoved(cell)) }
      // Without a cell so far, it is a first mapping after all.
      if before.cell == nil, record.disabled == true { throw .refused(.cellDisabled(cell)) }
    }
    return [.instance(id, .moved(from: before.cell, to: cell))]
  }

  func setOwner(_ id: InstanceID, _ owner: InstanceOwner) throws(RegistryError) -> [Event] {
    do throws(Refusal) { try NameRules.check(owner) } catch { throw .refused(error) }
    let before = try row(id).record
    let owner = try owners.sealed(owner, over: before.owner)
    guard before.owner != owner else { return [] }
    return [.instance(id, .ownerChanged(from: before.owner, to: owner))]
  }

  func mark(_ id: InstanceID, _ isQueued: Bool) throws(RegistryError) -> [Event] {
    let before = try row(id).record
    guard before.isQueuedForDelete != isQueued else { return [] }
    return [.instance(id, .deletionMarkChanged(from: before.isQueuedForDelete, to: isQueued))]
  }

  func unmap(_ id: InstanceID) throws(RegistryError) -> [Event] {
    [.instance(id, .unmapped(try row(id).record))]
  }

  func saw(_ id: InstanceID, _ sighting: HostSighting) throws(RegistryError) -> [Event] {
    do throws(Refusal) { try NameRules.checkHost(sighting.host) } catch { throw .refused(error) }
    guard try row(id).record.lastSeen != sighting else { return [] }
    return [.instance(id, .hostSeen(sighting))]
  }

  /// Appends the events that make the map hold what was observed, or what an operator decided.
  // Hot path: at most 1 µs beside the look into the map, no allocation of its own.
  func take(
    _ id: InstanceID, _ record: InstanceRecord?, isDecided: Bool = false, into events: inout [Event]
  ) throws(RegistryError) {
    let before = try map.instance(id)?.record
    guard var record else {
      if let before { events.append(.instance(id, .unmapped(before))) }
      return
    }
    do throws(Refusal) {
      try NameRules.check(id)
      try NameRules.check(record.owner)
    } catch {
      throw .refused(error)
    }
    if let cell = record.cell, before?.cell != cell {
      guard try !existingCell(cell).isBeingRemoved else {
        throw .refused(.cellBeingRemoved(cell))
      }
    }
    record.owner =
      isDecided
      ? try owners.sealed(record.owner, over: before?.owner)
      : try owners.observed(record.owner, over: before?.owner)
    guard let before else { return events.append(.instance(id, .mapped(record))) }
    if before.cell != record.cell {
      events.append(.instance(id, .moved(from: before.cell, to: record.cell)))
    }
    if before.owner != record.owner {
      events.append(.instance(id, .ownerChanged(from: before.owner, to: record.owner)))
    }
    if before.isQueuedForDelete != record.isQueuedForDelete {
      let (from, to) = (before.isQueuedForDelete, record.isQueuedForDelete)
      events.append(.instance(id, .deletionMarkChanged(from: from, to: to)))
    }
    if before.row != record.row {
      events.append(.instance(id, .rowRecorded(from: before.row, to: record.row)))
    }
    // Seeing an instance where it was seen before is no news.
    if let sighting = record.lastSeen, before.lastSeen?.host != sighting.host {
      events.append(.instance(id, .hostSeen(sighting)))
    }
  }
}
