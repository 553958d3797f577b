internal import Journal

/// An instance's row as a scan has set it aside.
struct StagedInstance: Hashable, Sendable {
  var id: InstanceID
  var cell: CellID
  /// Nova's `instances.id`.
  var rowID: Int64
  var project: ByteText?
  var user: ByteText?
  var host: ByteText?
  var vmState: ByteText?
  var taskState: ByteText?
  var isDeleted: Bool
  /// The other copy of an instance that moves between cells is the visible one.
  var isHidden: Bool
  var createdAt: Timestamp?
  var updatedAt: Timestamp?
  var deletedAt: Timestamp?
  var launchedAt: Timestamp?
  var readAt: Timestamp

  /// Whether Nova's API counted it as on its way out: what `queued_for_delete` was, as far as a cell
  /// can tell.
  ///
  /// A failed delete (vm_state error, no task) keeps the mark in Nova, which a cell doesn't show.
  var isQueuedForDelete: Bool {
    if isDeleted || taskState == "deleting" || taskState == "soft-deleting" { return true }
    // A restore clears the mark first; one that failed leaves deleted_at empty.
    if taskState == "restoring" { return false }
    return vmState == "soft-delete" && deletedAt != nil
  }

  /// Whether Nova may have kept the mark of a delete that failed.
  ///
  /// In cell0 none fails: there is nothing that a host would have to do.
  var mayHaveFailedToDelete: Bool { isInErrorForGood && cell != .cell0 && !isQueuedForDelete }

  /// In error, and nobody at work on it.
  var isInErrorForGood: Bool { vmState == "error" && taskState == nil }
}

/// The rows of one instance, at most one of a cell, by cell.
struct StagedCopies: Sendable {
  let rows: [StagedInstance]
  /// Of each row, in their order; none where nobody wants them.
  let digests: [Digest]
}

extension StagedInstance {
  /// Appends all that was read of the row.
  func append(to row: inout RowText) {
    row.add(id.uuid)
    row.add(rowID)
    row.add(project)
    row.add(user)
    row.add(host)
    row.add(vmState)
    row.add(taskState)
    row.add(isDeleted)
    row.add(isHidden)
    row.add(createdAt)
    row.add(updatedAt)
    row.add(deletedAt)
    row.add(launchedAt)
  }
}
