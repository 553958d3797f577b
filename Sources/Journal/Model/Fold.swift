/// How events change what the map holds: one pure function per kind of record.
///
/// They depend on their arguments alone: no clock, no random, no network, no other row. The
/// overlay, the live projector, replay and every other projection call these and nothing else.
extension MapRow where Record == CellRecord {
  /// The cell after an event at `index`; nil when the map holds nothing of it any more.
  public static func folded(
    _ event: CellEvent, at index: UInt64, into before: CellRow?
  ) -> CellRow? {
    if case .added(let record) = event { return CellRow(record: record, changedAt: index) }
    guard var row = before else { return nil }
    var record = row.record
    switch event {
    case .added, .removed: return nil
    // What is found out is no decision: it stands in the way of none.
    case .identityRecorded, .probed:
      row.evidenceAt = index
      return row
    case .renamed(_, let name): record.name = name
    case .addressesChanged(_, let addresses): record.addresses = addresses
    case .availabilityChanged(_, let availability): record.availability = availability
    case .coverageChanged(_, let isCovered): record.isCovered = isCovered
    case .rowRecorded(_, let row): record.row = row
    case .addressResealed(.database, _, let address): record.database = address
    case .addressResealed(.queue, _, let address): record.queue = address
    case .keyShredded: break
    }
    return CellRow(record: record, changedAt: index)
  }
}

extension MapRow where Record == HostRecord {
  /// The host after an event at `index`; nil when the map holds nothing of it any more.
  public static func folded(
    _ event: HostEvent, at index: UInt64, into before: HostRow?
  ) -> HostRow? {
    switch event {
    case .mapped(let record): return HostRow(record: record, changedAt: index)
    case .unmapped: return nil
    case .rowRecorded(_, let row):
      guard var record = before?.record else { return nil }
      record.row = row
      return HostRow(record: record, changedAt: index)
    }
  }
}

extension MapRow where Record == InstanceRecord {
  /// The instance after an event at `index`; nil when the map holds nothing of it any more.
  public static func folded(
    _ event: InstanceEvent, at index: UInt64, into before: InstanceRow?
  ) -> InstanceRow? {
    if case .mapped(let record) = event { return InstanceRow(record: record, changedAt: index) }
    guard var row = before else { return nil }
    switch event {
    case .mapped, .unmapped: return nil
    case .hostSeen(let sighting):
      row.record.lastSeen = sighting
      return row
    case .moved(_, let cell): row.record.cell = cell
    case .ownerChanged(_, let owner): row.record.owner = owner
    case .deletionMarkChanged(_, let mark): row.record.isQueuedForDelete = mark
    case .rowRecorded(_, let novaRow): row.record.row = novaRow
    }
    row.changedAt = index
    return row
  }
}

extension MapRow where Record == ConflictRecord {
  /// The conflict after an event at `index`; nil if none was ever found.
  public static func folded(
    _ event: ConflictEvent, at index: UInt64, into before: ConflictRow?
  ) -> ConflictRow? {
    switch event {
    case .found(let kind, let evidence):
      let record = ConflictRecord(
        kind: kind, evidence: evidence, decision: nil, foundAt: index)
      return ConflictRow(record: record, changedAt: index)
    case .resolved(_, let decision):
      guard var row = before else { return nil }
      row.record.decision = decision
      row.changedAt = index
      return row
    }
  }
}
