public import Journal

/// Makes a file of some things alone, as they were after an entry, with the tables and views of an index.
///
/// It is marked as partial and never serves: nothing that is asked of an index would be believed of it.
/// It is for people, who read it with `sqlite3`.
public enum PartialReplay {
  /// What was made.
  public struct Result: Hashable, Sendable {
    /// The entry up to which it is true.
    public let position: Position
    /// How many entries went in.
    public let entries: Int
  }

  /// Makes the file at `path`, which must not exist.
  ///
  /// The entries are found by the history, and no others are read. Epochs are always in it, so that
  /// positions can be told; requests are there as far as those entries say.
  ///
  /// - Parameters:
  ///   - entities: The things; `.store` stands for nothing but the epochs.
  ///   - position: At most the history's head.
  /// - Throws: `fileExists`; as `MapHistory.init`; `sqlite` for a full or failing disk. What was made
  ///   then is of no use, and left to the caller.
  public static func run(
    _ history: MapHistory, only entities: Set<EntityKey>, upTo position: Position,
    into path: String
  ) throws(ProjectionError) -> Result {
    precondition(position.index <= history.head.index, "the past ends at the head")
    var places: Set<UInt64> = []
    for entity in entities.union([.store]) {
      places.formUnion(try history.indexes(of: entity, upTo: position.index))
    }
    let root = try reading { () throws(JournalError) in
      try history.journal.root(at: position.index)
    }
    let connection = try IndexFile.create(at: path, store: history.journal.store, isIndexed: true)
    let writer = try IndexWriter(connection)
    var folder = EntryFolder()
    try writer.begin()
    var rest = places.sorted()[...]
    while !rest.isEmpty {
      let part = Array(rest.prefix(IndexProjector.maximumBatch))
      rest = rest.dropFirst(part.count)
      let entries = try reading { () throws(JournalError) in
        try history.journal.entries(at: part)
      }
      for entry in entries {
        let change = EntryChange(
          position: entry.position, request: entry.draft.request, event: entry.event)
        try folder.fold(change, on: writer)
      }
      try folder.write(to: writer)
    }
    _ = try writer.commit(IndexCheckpoint(position: position, root: root))
    try connection.execute(
      "PRAGMA application_id=\(IndexSchema.partialApplicationID); PRAGMA journal_mode=DELETE;")
    return Result(position: position, entries: places.count)
  }
}
