internal import Journal

/// Reads a history file without ever writing to it or its folder: which entries are about a thing.
///
/// Belongs to one thread at a time. Every answer is checked against the bucket that it stands in, so
/// that a lost, added or changed row is `damaged` and never believed.
final class HistoryFile {
  let store: StoreID
  private let connection: SQLiteConnection
  private let meta: TableReader<MetaTable>
  private let touchesOfBucket: SQLiteStatement
  private let bucketByNumber: SQLiteStatement

  /// Opens the file at `path`.
  ///
  /// - Throws: `sqlite` if it can't be opened; `notAnIndex`, `otherVersion`, `damaged`.
  init(path: String) throws(ProjectionError) {
    connection = try SQLiteConnection.reading(path, check: Self.checkVersion)
    try connection.execute(IndexSchema.readerSettings)
    meta = try TableReader(connection)
    touchesOfBucket = try connection.prepare(
      "SELECT entity, entry FROM touch WHERE entity BETWEEN ?1 AND ?2")
    bucketByNumber = try connection.prepare("SELECT count, sum FROM bucket WHERE number = ?1")
    store = try IndexFile.meta(meta, path: path).row.store
  }

  var path: String { connection.path }

  /// The last entry in the file.
  func checkpoint() throws(ProjectionError) -> IndexCheckpoint {
    try IndexFile.meta(meta, path: path).row.checkpoint
  }

  /// The entries about things of a hash, ascending, and how far the file has come.
  ///
  /// - Throws: `damaged`, or what SQLite says.
  // Hot path: at most 300 µs among 10 M entries.
  func entries(
    under mark: Int64
  ) throws(ProjectionError) -> (entries: [UInt64], checkpoint: IndexCheckpoint) {
    try withSnapshot { () throws(ProjectionError) in
      let checkpoint = try checkpoint()
      let number = HistoryTouch.bucket(of: mark)
      let range = HistoryTouch.range(ofBucket: number)
      try touchesOfBucket.bind(range.lowerBound, at: 1)
      try touchesOfBucket.bind(range.upperBound, at: 2)
      defer { touchesOfBucket.reset() }
      var counted = Bucket()
      var entries: [UInt64] = []
      while let touch = try touch(of: touchesOfBucket) {
        counted.add(touch.hash)
        if touch.entity == mark { entries.append(touch.entry) }
      }
      try bucketByNumber.bind(Int64(number), at: 1)
      defer { bucketByNumber.reset() }
      let stored = try bucketByNumber.step() ? Bucket(bucketByNumber, from: 0) : Bucket()
      guard counted == stored else { throw damage(number, stored, counted) }
      return (entries, checkpoint)
    }
  }

  /// Compares every row with its bucket, and lets SQLite check the file.
  ///
  /// - Returns: What is in the buckets, and how far the file has come.
  /// - Throws: `damaged` with the first thing found.
  func check() throws(ProjectionError) -> (buckets: HistoryBuckets, checkpoint: IndexCheckpoint) {
    try withSnapshot { () throws(ProjectionError) in
      let checkpoint = try checkpoint()
      let statement = try connection.prepare("PRAGMA integrity_check(1)")
      guard try statement.step(), try statement.text(0) == "ok" else {
        throw .damaged(path: path, what: "SQLite's integrity check fails")
      }
      let rows = try connection.prepare("SELECT entity, entry FROM touch")
      var counted = HistoryBuckets()
      while let touch = try touch(of: rows) { counted.add(touch) }
      let stored = try HistoryBuckets(from: connection)
      if let number = counted.difference(from: stored) {
        throw damage(number, stored.values[number], counted.values[number])
      }
      return (counted, checkpoint)
    }
  }

  private func touch(of statement: SQLiteStatement) throws(ProjectionError) -> HistoryTouch? {
    guard try statement.step() else { return nil }
    return HistoryTouch(
      entity: try statement.integer(0), entry: UInt64(bitPattern: try statement.integer(1)))
  }

  private func damage(_ number: Int, _ stored: Bucket, _ counted: Bucket) -> ProjectionError {
    .damaged(
      path: path,
      what: "bucket \(number) counts \(stored.count) rows and holds \(counted.count), or others")
  }

  private func withSnapshot<Result>(
    _ body: () throws(ProjectionError) -> Result
  ) throws(ProjectionError) -> Result {
    try connection.execute("BEGIN")
    do throws(ProjectionError) {
      let result = try body()
      try connection.execute("COMMIT")
      return result
    } catch {
      // What is open ends with the connection at the latest.
      try? connection.execute("ROLLBACK")
      throw error
    }
  }

  static func checkVersion(_ connection: SQLiteConnection) throws(ProjectionError) {
    guard try connection.integer("PRAGMA application_id") == HistorySchema.applicationID else {
      throw .notAnIndex(path: connection.path)
    }
    let version = try connection.integer("PRAGMA user_version") ?? 0
    guard version == HistorySchema.version else {
      throw .otherVersion(path: connection.path, found: version, expected: HistorySchema.version)
    }
  }
}
