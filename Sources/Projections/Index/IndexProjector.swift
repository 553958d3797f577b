internal import GRDBSQLite
public import Journal

/// The only writer of an index file: folds entries into rows, and moves the checkpoint with them.
///
/// Belongs to one thread at a time, and works only while its caller holds the write lease. Rows,
/// buckets and checkpoint of a batch are in one SQLite transaction: after a crash the index is at a
/// checkpoint of before, and the same entries are projected again.
///
/// Source: `synchronous=NORMAL` in WAL mode (sqlite.org/pragma.html#pragma_synchronous).
@safe public final class IndexProjector {
  /// The most entries in one SQLite transaction: enough that changes of scattered instances share
  /// pages, of their rows and of the indexes, and a fraction of a second's work.
  public static let maximumBatch = 4_096
  /// Pages in the WAL above which they are moved into the file: 64 MiB.
  static let checkpointThresholdPages: Int32 = 16_384

  /// What this process has found right in the file; shared with its readers.
  public let trust: IndexTrust
  private let writer: IndexWriter
  private var folder = EntryFolder()
  private let walPages: UnsafeMutablePointer<Int32>

  /// Makes a new, empty index of a store at `path`, which must not exist.
  ///
  /// - Throws: `fileExists`, or what SQLite says.
  public static func create(
    at path: String, store: StoreID
  ) throws(ProjectionError) -> IndexProjector {
    try IndexProjector(
      IndexFile.create(at: path, store: store, isIndexed: true), trust: IndexTrust())
  }

  /// Opens an index for writing.
  ///
  /// - Throws: `notAnIndex`, `otherVersion`, `damaged`, or what SQLite says; nothing is written.
  public convenience init(
    path: String, trust: IndexTrust = IndexTrust()
  ) throws(ProjectionError) {
    let connection = try SQLiteConnection(path: path, mode: .readWrite, holdsIndex: true)
    try IndexFile.checkVersion(connection)
    try connection.execute(IndexSchema.writerSettings)
    try self.init(connection, trust: trust)
  }

  private init(_ connection: SQLiteConnection, trust: IndexTrust) throws(ProjectionError) {
    self.writer = try IndexWriter(connection)
    self.trust = trust
    unsafe walPages = .allocate(capacity: 1)
    unsafe walPages.initialize(to: 0)
    unsafe sqlite3_wal_hook(
      connection.handle,
      { box, _, _, pages in
        unsafe box?.assumingMemoryBound(to: Int32.self).pointee = pages
        return SQLITE_OK
      }, walPages)
  }

  deinit {
    unsafe sqlite3_wal_hook(writer.connection.handle, nil, nil)
    unsafe walPages.deallocate()
  }

  /// The path of the file.
  public var path: String { writer.connection.path }
  /// The store whose index it is.
  public var store: StoreID { writer.metaRow.row.store }
  /// The last entry in the index, as of this projector's last transaction.
  public var checkpoint: IndexCheckpoint { writer.metaRow.row.checkpoint }

  /// Takes entries into the index; once it returns, readers see them.
  ///
  /// Not synced to the disk: what a power cut takes is projected again from the journal.
  ///
  /// - Parameters:
  ///   - changes: The entries right after the checkpoint, at most `maximumBatch`.
  ///   - root: The root of the journal's tree after the last of them.
  /// - Throws: `outOfOrder` if they don't follow on the checkpoint; `damaged` if a row they touch
  ///   is not what its checksum says; `busy`; what SQLite says. Nothing has been written then.
  public func apply(
    _ changes: some Collection<EntryChange>, root: Digest
  ) throws(ProjectionError) {
    precondition(changes.count <= Self.maximumBatch, "at most \(Self.maximumBatch) entries")
    var position = checkpoint.position
    do throws(ProjectionError) {
      try writer.begin()
      position = checkpoint.position
      for change in changes {
        guard change.position.index == position.index + 1 else {
          throw .outOfOrder(
            path: path, expected: position.index + 1, found: change.position.index)
        }
        position = change.position
        try folder.fold(change, on: writer)
      }
      try folder.write(to: writer)
      trust.follow(try writer.commit(IndexCheckpoint(position: position, root: root)))
    } catch {
      folder.removeAll()
      writer.rollBack()
      throw error
    }
    if unsafe walPages.pointee >= Self.checkpointThresholdPages { try moveWAL() }
  }

  /// Moves the WAL into the file; `apply` does it once the WAL is large, a backup does it first.
  ///
  /// - Returns: Whether all of it was moved; a reader's old snapshot may hold some back.
  @discardableResult
  public func moveWAL() throws(ProjectionError) -> Bool {
    unsafe walPages.pointee = 0
    return try writer.connection.checkpoint()
  }
}
