internal import Journal

/// The statements that write an index, and its buckets in memory.
///
/// Everything happens between `begin` and `commit`; after an error the caller calls `rollBack`.
final class IndexWriter {
  let connection: SQLiteConnection
  let cells: TableWriter<CellTable>
  let hosts: TableWriter<HostTable>
  let instances: TableWriter<InstanceTable>
  let identities: TableWriter<IdentityTable>
  let requests: TableWriter<RequestTable>
  let departed: TableWriter<DepartedTable>
  let epochs: TableWriter<EpochTable>
  let conflicts: TableWriter<ConflictTable>
  var buckets: IndexBuckets
  private let meta: TableWriter<MetaTable>
  private(set) var metaRow: StoredRow<MetaTable.Row>
  private let bucketUpsert: SQLiteStatement
  private let identitiesOfCell: SQLiteStatement
  private let beginStatement: SQLiteStatement
  private let commitStatement: SQLiteStatement
  /// The buckets as the file has them.
  private var committed: IndexBuckets

  /// Opens an index for writing.
  ///
  /// - Throws: `notAnIndex`, `otherVersion`, `damaged`, or what SQLite says.
  init(_ connection: SQLiteConnection) throws(ProjectionError) {
    self.connection = connection
    try IndexFile.checkVersion(connection)
    cells = try TableWriter(connection)
    hosts = try TableWriter(connection)
    instances = try TableWriter(connection)
    identities = try TableWriter(connection)
    requests = try TableWriter(connection)
    departed = try TableWriter(connection)
    epochs = try TableWriter(connection)
    conflicts = try TableWriter(connection)
    meta = try TableWriter(connection)
    bucketUpsert = try connection.prepare(
      "INSERT OR REPLACE INTO bucket (number, count, sum) VALUES (?1, ?2, ?3)")
    identitiesOfCell = try connection.prepare(
      "SELECT \(IdentityTable.columnList) FROM identity WHERE cell = ?1")
    beginStatement = try connection.prepare("BEGIN IMMEDIATE")
    commitStatement = try connection.prepare("COMMIT")
    metaRow = try IndexFile.meta(meta.reader, path: connection.path)
    buckets = try IndexBuckets.read(from: connection)
    committed = buckets
  }

  /// Begins a transaction and takes over what another process may have written.
  func begin() throws(ProjectionError) {
    try BusyWait.retrying { () throws(ProjectionError) in try beginStatement.run() }
    let found = try IndexFile.meta(meta.reader, path: connection.path)
    guard found.row != metaRow.row else { return }
    metaRow = found
    buckets = try IndexBuckets.read(from: connection)
    committed = buckets
  }

  /// Writes the buckets and the checkpoint, and commits.
  ///
  /// - Returns: The buckets that changed.
  func commit(
    _ checkpoint: IndexCheckpoint
  ) throws(ProjectionError) -> [(bucket: Int, before: Bucket, after: Bucket)] {
    var changes: [(bucket: Int, before: Bucket, after: Bucket)] = []
    for number in buckets.dirty.sorted() {
      let bucket = buckets.values[number]
      try bucketUpsert.bind(Int64(number), at: 1)
      try bucketUpsert.bind(Int64(bitPattern: bucket.count), at: 2)
      try bucketUpsert.bind(key: bucket.sumHalves, at: 3)
      try bucketUpsert.run()
      changes.append((number, committed.values[number], bucket))
    }
    let row = MetaTable.Row(store: metaRow.row.store, checkpoint: checkpoint)
    try meta.write(0, from: metaRow, to: row, buckets: &buckets)
    try commitStatement.run()
    buckets.markClean()
    committed = buckets
    metaRow = try IndexFile.meta(meta.reader, path: connection.path)
    return changes
  }

  /// Undoes the open transaction; nothing of it was in the file.
  func rollBack() {
    buckets = committed
    guard connection.isInTransaction else { return }
    // A failing rollback leaves the transaction open, which the next `begin` reports.
    try? connection.execute("ROLLBACK")
  }

  /// What is recorded as evidence about a cell.
  func identities(of cell: CellID) throws(ProjectionError) -> [(
    key: IdentityTable.Key, stored: StoredRow<IdentityTable.Row>
  )] {
    try identitiesOfCell.bind(cell.uuid, at: 1)
    defer { identitiesOfCell.reset() }
    var found: [(key: IdentityTable.Key, stored: StoredRow<IdentityTable.Row>)] = []
    while try identitiesOfCell.step() {
      found.append(
        try checkedRow(
          of: IdentityTable.self, identitiesOfCell,
          hashedColumns: IdentityTable.hashedColumnCount))
    }
    return found
  }
}

/// What is common to everything that opens an index file.
enum IndexFile {
  /// Throws unless the file says that it is an index of this program's version.
  static func checkVersion(_ connection: SQLiteConnection) throws(ProjectionError) {
    let application = try connection.integer("PRAGMA application_id")
    guard application != IndexSchema.partialApplicationID else {
      throw .partialIndex(path: connection.path)
    }
    guard application == IndexSchema.applicationID else {
      throw .notAnIndex(path: connection.path)
    }
    let version = try connection.integer("PRAGMA user_version") ?? 0
    guard version == IndexSchema.version else {
      throw .otherVersion(
        path: connection.path, found: version, expected: IndexSchema.version)
    }
  }

  /// The checked row of `meta`.
  static func meta(
    _ reader: TableReader<MetaTable>, path: String
  ) throws(ProjectionError) -> StoredRow<MetaTable.Row> {
    guard let row = try reader.row(0) else {
      throw .damaged(path: path, what: "no row in meta")
    }
    return row
  }

  /// Makes a new, empty index, with its secondary indexes only if `isIndexed`.
  ///
  /// - Throws: `fileExists`; `sqlite` if the file can't be made.
  static func create(
    at path: String, store: StoreID, isIndexed: Bool
  ) throws(ProjectionError) -> SQLiteConnection {
    let connection = try SQLiteConnection(path: path, mode: .readWriteNew, holdsIndex: true)
    try connection.execute(IndexSchema.fileSettings)
    try connection.execute(isIndexed ? IndexSchema.writerSettings : IndexSchema.loadSettings)
    try connection.execute("BEGIN IMMEDIATE;" + IndexSchema.tables)
    if isIndexed { try connection.execute(IndexSchema.indexes) }
    try connection.execute(IndexSchema.views)
    var buckets = IndexBuckets()
    try TableWriter<MetaTable>(connection).write(
      0, from: nil, to: MetaTable.Row(store: store, checkpoint: .start), buckets: &buckets)
    try connection.execute("PRAGMA user_version=\(IndexSchema.version); COMMIT;")
    return connection
  }
}
