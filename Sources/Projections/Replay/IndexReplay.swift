public import Journal

/// Makes an index again from a journal's entries, in a file that nothing refers to yet.
///
/// `add` each entry in order, then `finish`. Entries about instances are set aside by the first
/// bits of their UUID, folded partition by partition and loaded in the order of the keys, secondary
/// indexes last; everything else goes through the same fold as in the live projector. Private
/// memory stays under 256 MB at any size: the entries set aside beyond `memoryBytes` go to a nameless file
/// beside the index, and one part of them at a time is in memory (`SortedParts`); only the entries about
/// a single instance are always folded together.
///
/// A replay that is kept (`runKept`) commits what it has come to each time that it sets entries aside on
/// disk, and each time that some partitions are loaded, with a mark that says so: if it is killed, the next
/// one goes on there.
///
/// Belongs to one thread. If it is dropped before `finish` returns and isn't kept, the file is of no use, and
/// the caller removes it (`IndexGenerations.remove`).
public final class IndexReplay {
  /// Entries set aside in memory before they go to a file.
  public static let defaultMemoryBytes = 40 << 20
  /// Requests held before they are written.
  private static let maximumRequestsInBatch = 4_096
  /// Instances that a kept replay loads between two marks: some ten megabytes of rows.
  public static let defaultInstancesBetweenMarks = 65_536

  private let connection: SQLiteConnection
  private let writer: IndexWriter
  private var folder = EntryFolder()
  private var partitions: KeyPartitions
  private var position = Position.start
  private var batchCount = 0
  /// The request to which the entries before belong, and the last of them.
  private var currentRequest = RequestID.none
  private var isRequestBehind = false
  /// Where a kept replay says how far it has come; nil if it isn't kept.
  private let marks: TableWriter<ReplayMarkTable>?
  private var mark: StoredRow<ReplayMark>?
  var instancesBetweenMarks = IndexReplay.defaultInstancesBetweenMarks

  /// The last entry that was added.
  public var lastPosition: Position { position }
  /// No entry is to come any more: instances are being loaded.
  var isLoading: Bool { mark?.row.loaded != nil }
  /// As many entries are in memory as shall be: `keep` is due, if the replay is kept.
  var isFull: Bool { partitions.isFull }
  var isKept: Bool { marks != nil }

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
    partitions = KeyPartitions(
      entries: entries, folder: folder, memoryBytes: memoryBytes)
    marks = nil
    try writer.begin()
  }

  /// Makes the file at `path`, which must not exist, and the one beside it for the entries that are set
  /// aside, both so that another process can go on with them.
  init(
    keeping store: StoreID, into path: String, entries: UInt64, memoryBytes: Int
  ) throws(ProjectionError) {
    partitions = try KeyPartitions(
      entries: entries, keptAt: ReplayFiles.spillPath(of: path), memoryBytes: memoryBytes)
    connection = try IndexFile.create(at: path, store: store, isIndexed: false)
    try connection.execute(IndexSchema.keptLoadSettings + ReplayMarkTable.table)
    writer = try IndexWriter(connection)
    marks = try TableWriter(connection)
    try writer.begin()
  }

  /// Goes on with a file that a killed process has left.
  ///
  /// - Parameter connection: The file's, in which `mark` stands.
  init(
    goingOnWith connection: SQLiteConnection, from mark: StoredRow<ReplayMark>, memoryBytes: Int
  ) throws(ProjectionError) {
    self.connection = connection
    partitions = try KeyPartitions(
      mark.row, keptAt: ReplayFiles.spillPath(of: connection.path), memoryBytes: memoryBytes)
    writer = try IndexWriter(connection)
    marks = try TableWriter(connection)
    self.mark = mark
    position = mark.row.position
    try writer.begin()
  }

  /// Moves what is in memory to the files, and commits it with a mark: from here on the next process goes
  /// on if this one is killed. Only for a replay that is kept.
  ///
  /// - Parameters:
  ///   - root: The root of the journal's tree after the last entry that was added.
  ///   - loaded: How many partitions are loaded; nil while entries are added.
  /// - Throws: As `add`.
  func keep(root: Digest, loaded: UInt64? = nil) throws(ProjectionError) {
    guard let marks, let boot = mark?.row.boot ?? ReplayMark.currentBoot() else { return }
    try catchUpRequest()
    batchCount = 0
    try folder.write(to: writer)
    try partitions.spill()
    let row = ReplayMark(
      boot: boot, position: position, root: root, partitions: UInt64(partitions.count),
      spilledBytes: partitions.spilledBytes, spillHash: partitions.spillHash, loaded: loaded)
    try marks.write(0, from: mark, to: row, buckets: &writer.buckets)
    mark = try marks.reader.row(0)
    _ = try writer.commit(.start)
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
      try partitions.add(under: outline.header.entityKey.high) {
        outline.appendChange(of: bytes, to: &$0)
      }
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
    // What never went to a file is read again in less time than it takes to say how.
    if mark != nil, !isLoading { try keep(root: root, loaded: 0) }
    try catchUpRequest()
    try folder.write(to: writer)
    try load(progress)
    try connection.execute(IndexSchema.sortSettings + IndexSchema.indexes)
    let checkpoint = IndexCheckpoint(
      position: position, root: position.index == 0 ? IndexCheckpoint.start.root : root)
    _ = try writer.commit(checkpoint)
    try Self.seal(connection, endsKeeping: marks != nil)
    return checkpoint
  }

  /// Makes a whole file durable, and one that others can read; then the marks of a kept replay go.
  static func seal(_ connection: SQLiteConnection, endsKeeping: Bool) throws(ProjectionError) {
    // The change of mode syncs the whole file. The write after it makes the WAL and its index,
    // which a reader without write permission finds but can't make.
    try connection.execute("PRAGMA synchronous=FULL; PRAGMA journal_mode=WAL;")
    try connection.execute(
      endsKeeping
        ? "DROP TABLE \(ReplayMarkTable.name)" : "PRAGMA user_version=\(IndexSchema.version)")
  }

  /// Loads what is left of the instances, in the order of the keys; while rows go into the file, the
  /// next part is folded.
  private func load(_ progress: (Double) -> Void) throws(ProjectionError) {
    try partitions.settle()
    let folder = PartitionFolder(partitions, from: Int(mark?.row.loaded ?? 0))
    let lookahead = Lookahead(ahead: 2) { folder.next() }
    var unmarked = 0
    while let part = try lookahead.next() {
      for instance in part.instances {
        if let row = instance.row {
          try writer.instances.write(instance.id, from: nil, to: row, buckets: &writer.buckets)
        } else {
          let key = EntityTableKey(.instance(instance.id))
          try writer.departed.write(
            key, from: nil, to: instance.lastIndex, buckets: &writer.buckets)
        }
      }
      unmarked += part.instances.count
      // A mark counts whole partitions.
      guard let done = part.partitions else { continue }
      if let root = mark?.row.root, unmarked >= instancesBetweenMarks {
        unmarked = 0
        try keep(root: root, loaded: UInt64(done))
      }
      progress(Double(done) / Double(partitions.count))
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
