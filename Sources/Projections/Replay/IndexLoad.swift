public import Journal

/// Makes the index of a map that has no instances yet, while the entries are appended that bring them: in the
/// order of the UUIDs, so that no row is looked for and none is moved.
///
/// Belongs to one thread at a time. If it is dropped before `finish` returns, the file is of no use, and the
/// caller removes it.
public final class IndexLoad: @unchecked Sendable {
  private let connection: SQLiteConnection
  private let writer: IndexWriter
  private var folder = EntryFolder()
  private var position: Position
  private var lastInstance: InstanceID?

  /// Makes the file at `path`, which must not exist, of the entries that are there.
  ///
  /// - Parameter head: The last entry that is taken in, at most the head that the journal knows; none is about an
  ///   instance.
  /// - Throws: `fileExists`, `journal`, or what SQLite says.
  public init(
    of journal: EventJournal, upTo head: UInt64, into path: String
  ) throws(ProjectionError) {
    connection = try IndexFile.create(at: path, store: journal.store, isIndexed: false)
    writer = try IndexWriter(connection)
    position = .start
    try writer.begin()
    while position.index < head {
      let limit = min(IndexProjector.maximumBatch, Int(head - position.index))
      let entries = try reading { () throws(JournalError) in
        try journal.entries(after: position.index, limit: limit)
      }
      for entry in entries {
        try folder.fold(entry.change, on: writer)
        position = entry.position
      }
      try folder.write(to: writer)
    }
  }

  /// Takes in the next entries, which were appended in one commit of a request. Each instance among them is a
  /// new one, behind those before it.
  ///
  /// - Parameter first: The place of the first of them.
  /// - Throws: `sqlite` for a full or failing disk.
  // Hot path: what the row costs, no look into the index.
  public func add(_ drafts: [EntryDraft], from first: Position) throws(ProjectionError) {
    precondition(first.index == position.index + 1, "entries are taken in in their order")
    for (offset, draft) in drafts.enumerated() {
      position = Position(epoch: first.epoch, index: first.index + UInt64(offset))
      guard case .instance(let id, let event) = draft.event else {
        try folder.fold(change(of: draft), on: writer)
        continue
      }
      if let lastInstance { precondition(lastInstance < id, "a row is written once") }
      lastInstance = id
      try writer.instances.write(
        id, from: nil, to: InstanceRow.folded(event, at: position.index, into: nil),
        buckets: &writer.buckets)
      if offset == 0 { try folder.foldRequest(change(of: draft), on: writer) }
    }
    if let request = drafts.last?.request.id {
      try folder.extendRequest(request, to: position.index, on: writer)
    }
    try folder.write(to: writer)
  }

  private func change(of draft: EntryDraft) -> EntryChange {
    EntryChange(position: position, request: draft.request, event: draft.event)
  }

  /// Makes the secondary indexes and syncs the file.
  ///
  /// - Parameter root: The root of the journal's tree after the last entry that was added.
  /// - Throws: As `add`.
  public func finish(root: Digest) throws(ProjectionError) {
    try connection.execute(IndexSchema.sortSettings + IndexSchema.indexes)
    _ = try writer.commit(IndexCheckpoint(position: position, root: root))
    try IndexReplay.seal(connection, endsKeeping: false)
  }
}
