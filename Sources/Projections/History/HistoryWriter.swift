internal import GRDBSQLite
internal import Journal

/// The only writer of a history file: adds touches, and moves the checkpoint with them.
///
/// Belongs to one thread, and to the holder of the history's mark. Rows, buckets and checkpoint of a
/// batch are in one SQLite transaction.
final class HistoryWriter {
  private let connection: SQLiteConnection
  private let meta: TableWriter<MetaTable>
  private var metaRow: StoredRow<MetaTable.Row>
  private var buckets: HistoryBuckets
  private let insertion: SQLiteStatement
  private let bucketUpsert: SQLiteStatement

  /// Makes a new file, which is no history before `finish` returns.
  ///
  /// - Throws: `fileExists`, or what SQLite says.
  static func create(at path: String, store: StoreID) throws(ProjectionError) -> HistoryWriter {
    let connection = try SQLiteConnection(path: path, mode: .readWriteNew, holdsIndex: true)
    try connection.execute(HistorySchema.fileSettings)
    try connection.execute(HistorySchema.loadSettings)
    try connection.execute(HistorySchema.tables)
    var none = IndexBuckets()
    try TableWriter<MetaTable>(connection).write(
      0, from: nil, to: MetaTable.Row(store: store, checkpoint: .start), buckets: &none)
    return try HistoryWriter(connection)
  }

  /// Opens a file to add to it.
  ///
  /// - Throws: `notAnIndex`, `otherVersion`, `damaged`, or what SQLite says.
  convenience init(path: String) throws(ProjectionError) {
    let connection = try SQLiteConnection(path: path, mode: .readWrite, holdsIndex: true)
    try HistoryFile.checkVersion(connection)
    try connection.execute(IndexSchema.writerSettings)
    try self.init(connection)
  }

  private init(_ connection: SQLiteConnection) throws(ProjectionError) {
    self.connection = connection
    meta = try TableWriter(connection)
    metaRow = try IndexFile.meta(meta.reader, path: connection.path)
    buckets = try HistoryBuckets(from: connection)
    insertion = try connection.prepare("INSERT INTO touch (entity, entry) VALUES (?1, ?2)")
    bucketUpsert = try connection.prepare(
      "INSERT OR REPLACE INTO bucket (number, count, sum) VALUES (?1, ?2, ?3)")
  }

  /// The last entry in the file.
  var checkpoint: IndexCheckpoint { metaRow.row.checkpoint }

  /// Takes in the touches of the entries up to a checkpoint, in the order of their hashes, so that
  /// each page of the table is written once.
  ///
  /// - Throws: `damaged` if one is there already; what SQLite says. The file is as it was then, and so
  ///   is what `checkpoint` says; the writer is of no further use.
  func add(
    _ touches: [HistoryTouch], reaching checkpoint: IndexCheckpoint
  ) throws(ProjectionError) {
    try BusyWait.retrying { () throws(ProjectionError) in try connection.execute("BEGIN IMMEDIATE")
    }
    do throws(ProjectionError) {
      var dirty: [Int] = []
      for touch in touches.sorted() {
        try insertion.bind(touch.entity, at: 1)
        try insertion.bind(Int64(bitPattern: touch.entry), at: 2)
        try insert()
        buckets.add(touch)
        let number = HistoryTouch.bucket(of: touch.entity)
        if dirty.last != number { dirty.append(number) }
      }
      for number in dirty { try write(buckets.values[number], number) }
      var none = IndexBuckets()
      let row = MetaTable.Row(store: metaRow.row.store, checkpoint: checkpoint)
      try meta.write(0, from: metaRow, to: row, buckets: &none)
      let written = try IndexFile.meta(meta.reader, path: connection.path)
      try connection.execute("COMMIT")
      metaRow = written
    } catch {
      try? connection.execute("ROLLBACK")
      throw error
    }
  }

  private func insert() throws(ProjectionError) {
    do throws(ProjectionError) { try insertion.run() } catch {
      guard case .sqlite(SQLITE_CONSTRAINT, _, _, let path) = error else { throw error }
      throw .damaged(path: path, what: "it holds an entry beyond its checkpoint")
    }
  }

  private func write(_ bucket: Bucket, _ number: Int) throws(ProjectionError) {
    try bucketUpsert.bind(Int64(number), at: 1)
    try bucketUpsert.bind(Int64(bitPattern: bucket.count), at: 2)
    try bucketUpsert.bind(key: bucket.sumHalves, at: 3)
    try bucketUpsert.run()
  }

  /// Syncs a file that was made, and lets it be a history.
  func finish() throws(ProjectionError) {
    // As at the end of a replay: the change of mode syncs the file, the write makes its WAL.
    try connection.execute("PRAGMA synchronous=FULL; PRAGMA journal_mode=WAL;")
    try connection.execute("PRAGMA user_version=\(HistorySchema.version)")
    _ = try connection.checkpoint()
  }

  /// Moves the WAL into the file.
  func moveWAL() throws(ProjectionError) { _ = try connection.checkpoint() }
}
