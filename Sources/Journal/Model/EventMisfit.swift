/// Why an event can't have happened to what the map held: it says that something else was there before.
public enum EventMisfit: Hashable, Sendable {
  /// It brings a thing that is there.
  case isThere
  /// It changes or takes away what isn't there.
  case isAbsent
  /// A part of the record is another one than it says.
  case differs(part: String)
  /// It names a cell that isn't there.
  case noCell(CellID)
}

extension EntityRow {
  /// Why an event does not fit on what the map holds of its thing; nil if it does, or if it changes no
  /// record.
  ///
  /// Depends on its arguments alone; that a cell which it names is there is not asked.
  public static func misfit(of event: Event, on row: EntityRow?) -> EventMisfit? {
    switch event {
    case .cell(_, let event): misfit(of: event, on: row?.cell?.record)
    case .host(_, let event): misfit(of: event, on: row?.host?.record)
    case .instance(_, let event): misfit(of: event, on: row?.instance?.record)
    case .conflict, .store: nil
    }
  }

  private static func misfit(of event: CellEvent, on record: CellRecord?) -> EventMisfit? {
    if case .added = event { return record == nil ? nil : .isThere }
    if case .keyShredded = event { return nil }
    guard let record else { return .isAbsent }
    return switch event {
    case .renamed(let from, _): same(from, record.name, "cell_name")
    case .addressesChanged(let from, _):
      same(from.database, record.database, "database") ?? same(from.queue, record.queue, "queue")
        ?? same(from.options, record.options, "options")
    case .availabilityChanged(let from, _): same(from, record.availability, "disabled")
    case .coverageChanged(let from, _): same(from, record.isCovered, "coverage")
    case .rowRecorded(let from, _): same(from, record.row, "row")
    case .addressResealed(.database, let from, _): same(from, record.database, "database")
    case .addressResealed(.queue, let from, _): same(from, record.queue, "queue")
    case .added, .removed, .identityRecorded, .probed, .keyShredded: nil
    }
  }

  private static func misfit(of event: HostEvent, on record: HostRecord?) -> EventMisfit? {
    if case .mapped = event { return record == nil ? nil : .isThere }
    guard let record else { return .isAbsent }
    return switch event {
    case .mapped: nil
    case .unmapped(let before): same(before.cell, record.cell, "cell")
    case .rowRecorded(let from, _): same(from, record.row, "row")
    }
  }

  private static func misfit(of event: InstanceEvent, on record: InstanceRecord?) -> EventMisfit? {
    if case .mapped = event { return record == nil ? nil : .isThere }
    guard let record else { return .isAbsent }
    return switch event {
    case .mapped, .hostSeen: nil
    case .moved(let from, _): same(from, record.cell, "cell")
    case .ownerChanged(let from, _): same(from, record.owner, "project")
    case .deletionMarkChanged(let from, _):
      same(from, record.isQueuedForDelete, "queued_for_delete")
    case .unmapped(let before): same(before.cell, record.cell, "cell")
    case .rowRecorded(let from, _): same(from, record.row, "row")
    }
  }

  private static func same<Value: Equatable>(
    _ said: Value, _ held: Value, _ part: String
  ) -> EventMisfit? {
    said == held ? nil : .differs(part: part)
  }
}
