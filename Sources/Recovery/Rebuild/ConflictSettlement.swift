public import Cells
public import Journal
public import Registry

/// An operator's decision of a conflict, as a change of the map.
public enum ConflictSettlement {
  /// No cell has the instance or the host: it is taken out of the map.
  public static func unmapping(_ entity: EntityKey) -> Change {
    .resolveConflict(entity, decision: ConflictDecision.unmapped, making: state(gone: entity))
  }

  /// A cell has the host.
  public static func mapping(host: ByteText, to cell: CellID) -> Change {
    .resolveConflict(
      .host(host), decision: ConflictDecision.cell(cell),
      making: .host(host, HostRecord(cell: cell)))
  }

  /// A cell has the instance.
  ///
  /// - Parameters:
  ///   - row: What the cell has of it now; read in the same call.
  ///   - before: What the map holds of it.
  public static func mapping(
    _ row: CellInstance, to cell: CellID, before: InstanceRecord?
  ) -> Change {
    let copy = StagedInstance(row, in: cell, rowID: 0, readAt: .now)
    var record = InstanceRecord(
      cell: cell,
      owner: InstanceOwner(
        project: copy.project.map { .clear($0) } ?? before?.owner.project,
        user: copy.user.map { .clear($0) } ?? before?.owner.user),
      isQueuedForDelete: before?.isQueuedForDelete == true ? true : copy.isQueuedForDelete,
      row: before?.row ?? NovaRow(number: nil, createdAt: copy.createdAt))
    record.lastSeen = copy.host.map { HostSighting(host: $0, at: copy.readAt, source: "scan") }
    return .resolveConflict(
      .instance(row.id), decision: ConflictDecision.cell(cell), making: .instance(row.id, record))
  }

  private static func state(gone entity: EntityKey) -> Observation.State? {
    switch entity {
    case .instance(let id): .instance(id, nil)
    case .host(let name): .host(name, nil)
    case .cell, .store: nil
    }
  }
}

extension StagedInstance {
  init(_ row: CellInstance, in cell: CellID, rowID: Int64, readAt: Timestamp) {
    self.init(
      id: row.id, cell: cell, rowID: rowID, project: row.project, user: row.user,
      host: row.placement.host, vmState: row.placement.vmState,
      taskState: row.placement.taskState, isDeleted: row.placement.isDeleted,
      isHidden: row.placement.isHidden, createdAt: row.createdAt, updatedAt: row.updatedAt,
      deletedAt: row.deletedAt, launchedAt: row.launchedAt, readAt: readAt)
  }
}
