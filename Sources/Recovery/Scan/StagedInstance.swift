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
struct StagedCopies {
  let rows: ArraySlice<StagedInstance>
  /// Of each row, at its place; none where nobody wants them.
  let digests: ArraySlice<Digest>

  var id: InstanceID { rows[rows.startIndex].id }
}

/// Rows that are handed over at once, those of an instance one behind the other.
struct StagedBatch: Sendable {
  var rows: [StagedInstance] = []
  /// Of each row, at its place; none where nobody wants them.
  var digests: [Digest] = []
  /// Behind the last row of each instance.
  var ends: [Int] = []

  /// Calls `body` with the rows of each instance.
  func forEachInstance<Failure: Error>(
    _ body: (StagedCopies) throws(Failure) -> Void
  ) throws(Failure) {
    var start = 0
    for end in ends {
      let digests = digests.isEmpty ? [] : digests[start..<end]
      try body(StagedCopies(rows: rows[start..<end], digests: digests))
      start = end
    }
  }
}
