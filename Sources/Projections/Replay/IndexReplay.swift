public import Journal

/// Makes an index again from a journal's entries, in a file that nothing refers to yet.
///
/// `add` each entry in order, then `finish`. Entries about instances are set aside by the first
/// bits of their UUID, folded partition by partition and loaded in the order of the keys, secondary
/// indexes last; everything else goes through the same fold as in the live projector. Private
/// memory stays under 256 MB at any size: the entries set aside beyond `memoryBytes` go to a
/// nameless file
/// beside the index, and one partition at a time is in memory.
///
/// Belongs to one thread. If it is dropped before `finish` returns, the file is of no use, and the
/// caller removes it (`IndexGenerations.remove`).
public final class IndexReplay {
  /// Entries set aside in memory before they go to a file.
  public static let defaultMemoryBytes = 48 << 20
  /// Requests held before they are written.
  private static let maximumRequestsInBatch = 4_096

  private let connection: SQLiteConnection
  private let writer: IndexWriter
  private var folder = EntryFolder()
  private var partitions: ReplayPartitions
  private var position = Position.start
  private var batchCount = 0
  /// The request to which the entries before belong, and the last of them.
  private var currentRequest = RequestID.none
  private var isRequestBehind = false

  /// The last entry that was added.
  public var lastPosition: Position { position }

  /// Makes the file at `path`, which must not exist.
  ///
  /// - Parameters:
  ///   - store: The store whose journal is replayed.
  ///   - entries: How many entries will come, roughly: the head of the journal.
  ///   - folder: Where a nameless file may be made; the index's own folder is right.
  /// - Throws: `fileExists`, or what SQLite says.
  public init(
    store: StoreID, into path: String, entries: UInt64, scratch folder: String,
    memoryBytes: Int = IndexReplay.defaultMemoryBytes
  ) throws(ProjectionError) {
    connection = try IndexFile.create(at: path, store: store, isIndexed: false)
    writer = try IndexWriter(connection)
    partitions = ReplayPartitions(
      entries: entries, folder: folder, memoryBytes: memoryBytes)
    try writer.begin()
  }

  /// Takes in the next entry, given as the journal's bytes.
  ///
  /// - Parameters:
  ///   - bytes: Hold the entry, and may hold more.
  ///   - start: Where it begins.
  /// - Throws: `outOfOrder`; `unreadableEntry` for an event of a newer program or a malformed one,
  ///   at the latest in `finish`; `file` or `sqlite` if the disk is full or fails.
  // Hot path: at most 400 ns for an entry about an instance.
  public func add(_ bytes: [UInt8], at start: Int = 0) throws(ProjectionError) {
    let outline: EntryOutline
    do throws(EntryError) {
      outline = try EntryOutline(bytes, at: start)
    } catch {
      throw .unreadableEntry(index: position.index + 1, error)
    }
    guard outline.header.position.index == position.index + 1 else {
      throw .outOfOrder(
        path: connection.path, expected: position.index + 1,
        found: outline.header.position.index)
    }
    let continuesRequest =
      outline.header.request == currentRequest && outline.content == nil && !outline.beginsChunk
    if !continuesRequest { try catchUpRequest() }
    position = outline.header.position
    if outline.header.kind >> 8 == Self.instanceEvents {
      if continuesRequest {
        isRequestBehind = true
      } else {
        try folder.foldRequest(of: outline, on: writer)
        currentRequest = outline.header.request
      }
      try partitions.add(outline, of: bytes)
    } else {
      try catchUpRequest()
      try folder.fold(try Self.change(bytes, at: start, position.index), on: writer)
      batchCount += 1
    }
    if batchCount >= IndexProjector.maximumBatch
      || folder.requestCount >= Self.maximumRequestsInBatch
    {
      batchCount = 0
      try folder.write(to: writer)
    }
  }

  /// Writes down how far the current request has come.
  private func catchUpRequest() throws(ProjectionError) {
    guard isRequestBehind else { return }
    isRequestBehind = false
    try folder.extendRequest(currentRequest, to: position.index, on: writer)
  }

  /// The high byte of every kind of event about an instance.
  private static let instanceEvents: UInt16 = 3

  /// Folds and loads what was set aside, makes the secondary indexes and syncs the file.
  ///
  /// - Parameters:
  ///   - root: The root of the journal's tree after the last entry that was added.
  ///   - progress: Is told, now and then, which part of this has been done, from 0 to 1.
  /// - Returns: The checkpoint of the new index, which `IndexGenerations.switchCurrent` can make
  ///   the one that serves.
  /// - Throws: As `add`.
  public func finish(
    root: Digest, progress: (Double) -> Void = { _ in }
  ) throws(ProjectionError) -> IndexCheckpoint {
    try catchUpRequest()
    try folder.write(to: writer)
    try load(PartitionFolder(partitions), of: partitions.count, progress)
    try connection.execute(IndexSchema.indexes)
    let checkpoint = IndexCheckpoint(
      position: position, root: position.index == 0 ? IndexCheckpoint.start.root : root)
    _ = try writer.commit(checkpoint)
    // The change of mode syncs the whole file. The write after it makes the WAL and its index,
    // which a reader without write permission finds but can't make.
    try connection.execute("PRAGMA synchronous=FULL; PRAGMA journal_mode=WAL;")
    try connection.execute("PRAGMA user_version=\(IndexSchema.version)")
    return checkpoint
  }

  /// Loads what is left of the instances, in the order of the keys; while rows go into the file, the
  /// next partition is folded.
  private func load(
    _ folder: PartitionFolder, of count: Int, _ progress: (Double) -> Void
  ) throws(ProjectionError) {
    let lookahead = Lookahead(ahead: 2) { folder.next() }
    var done = 0
    while let instances = try lookahead.next() {
      progress(Double(done) / Double(count))
      done += 1
      for instance in instances {
        if let row = instance.row {
          try writer.instances.write(instance.id, from: nil, to: row, buckets: &writer.buckets)
        } else {
          let key = EntityTableKey(.instance(instance.id))
          try writer.departed.write(
            key, from: nil, to: instance.lastIndex, buckets: &writer.buckets)
        }
      }
    }
  }

  static func change(
    _ bytes: [UInt8], at start: Int, _ index: UInt64?
  ) throws(ProjectionError) -> EntryChange {
    do throws(EntryError) {
      return try Entry.change(decoding: bytes, at: start)
    } catch {
      var place = index
      if place == nil { place = try? EntryHeader(bytes, at: start).position.index }
      throw .unreadableEntry(index: place ?? 0, error)
    }
  }
}
