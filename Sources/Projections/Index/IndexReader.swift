public import Journal

/// What routing needs of an instance.
public struct InstanceRoute: Hashable, Sendable {
  /// The instance's cell; nil while it isn't scheduled.
  public var cell: CellID?
  /// Nova's `queued_for_delete`; nil where Nova has NULL.
  public var isQueuedForDelete: Bool?
  /// The index of the last entry that changed the instance.
  public var changedAt: UInt64

  public init(cell: CellID?, isQueuedForDelete: Bool?, changedAt: UInt64) {
    self.cell = cell
    self.isQueuedForDelete = isQueuedForDelete
    self.changedAt = changedAt
  }
}

/// Reads an index file without ever writing to it or its folder.
///
/// Belongs to one thread at a time. Outside a snapshot each question is answered from the newest
/// transaction; inside one, all from the same. Every row is checked against its checksum, and that
/// a cell, host or instance isn't there is believed only if its bucket agrees; else `damaged` is
/// thrown, and the index is to be made again.
public final class IndexReader {
  /// What this process has found right in the file.
  public let trust: IndexTrust
  /// The store whose index it is.
  public let store: StoreID
  let connection: SQLiteConnection
  private let meta: TableReader<MetaTable>
  private let cellRows: TableReader<CellTable>
  private let hostRows: TableReader<HostTable>
  private let requestRows: TableReader<RequestTable>
  private let departedRows: TableReader<DepartedTable>
  private let conflictRows: TableReader<ConflictTable>
  private let instanceRows: TableReader<InstanceTable>
  private let routeByID: SQLiteStatement
  private let bucketByNumber: SQLiteStatement
  private let instancesOfBucket: SQLiteStatement
  /// In the open snapshot, the table of requests was looked at.
  private var areRequestsProven = false
  private let beginStatement: SQLiteStatement
  private let commitStatement: SQLiteStatement

  /// Opens the index at `path`.
  ///
  /// In a folder that can't be written and has no WAL, the file is read as it stands
  /// (`SQLiteConnection.Mode.immutable`).
  ///
  /// - Parameters:
  ///   - trust: That of the projector on the same file, or of other readers of it.
  /// - Throws: `sqlite` if it can't be opened; `notAnIndex`, `otherVersion`, `damaged`.
  public convenience init(
    path: String, trust: IndexTrust = IndexTrust()
  ) throws(ProjectionError) {
    try self.init(
      SQLiteConnection.reading(path, check: IndexFile.checkVersion), trust: trust)
  }

  private init(_ connection: SQLiteConnection, trust: IndexTrust) throws(ProjectionError) {
    try IndexFile.checkVersion(connection)
    try connection.execute(IndexSchema.readerSettings)
    self.connection = connection
    self.trust = trust
    meta = try TableReader(connection)
    cellRows = try TableReader(connection)
    hostRows = try TableReader(connection)
    requestRows = try TableReader(connection)
    departedRows = try TableReader(connection)
    conflictRows = try TableReader(connection)
    instanceRows = try TableReader(connection)
    routeByID = try connection.prepare(
      "SELECT cell, queued_for_delete, changed_at, route_checksum FROM instance WHERE id = ?1")
    bucketByNumber = try connection.prepare("SELECT count, sum FROM bucket WHERE number = ?1")
    instancesOfBucket = try connection.prepare(
      "SELECT \(InstanceTable.columnList) FROM instance WHERE id BETWEEN ?1 AND ?2")
    beginStatement = try connection.prepare("BEGIN")
    commitStatement = try connection.prepare("COMMIT")
    store = try IndexFile.meta(meta, path: connection.path).row.store
  }

  /// The path of the file.
  public var path: String { connection.path }

  /// The last entry in the index, as of the snapshot or of now.
  public func checkpoint() throws(ProjectionError) -> IndexCheckpoint {
    try IndexFile.meta(meta, path: path).row.checkpoint
  }

  // MARK: Snapshots

  /// Opens a snapshot, ending the one that is open, and tells its checkpoint.
  ///
  /// A snapshot that stays open for long keeps the WAL from being used again.
  @discardableResult
  public func beginSnapshot() throws(ProjectionError) -> IndexCheckpoint {
    try endSnapshot()
    try beginStatement.run()
    return try checkpoint()  // SQLite takes the snapshot at the first read
  }

  /// Ends the snapshot, if one is open.
  public func endSnapshot() throws(ProjectionError) {
    areRequestsProven = false
    if connection.isInTransaction { try commitStatement.run() }
  }

  /// Calls `body` within one snapshot: the open one, or one of its own.
  public func withSnapshot<Result>(
    _ body: () throws(ProjectionError) -> Result
  ) throws(ProjectionError) -> Result {
    if connection.isInTransaction { return try body() }
    try beginStatement.run()
    let result: Result
    do throws(ProjectionError) {
      result = try body()
    } catch {
      try? endSnapshot()
      throw error
    }
    try endSnapshot()
    return result
  }

  // MARK: Instances

  /// Where an instance is mapped; nil if the map holds no such instance.
  ///
  /// - Throws: `damaged`, `busy`, or what SQLite says.
  // Hot path: at most 1.1 × the raw prepared statement, 0 allocations.
  public func lookup(_ id: InstanceID) throws(ProjectionError) -> InstanceRoute? {
    if let route = try uncheckedLookup(id) { return route }
    return try withSnapshot { () throws(ProjectionError) in
      // The row may have come between the lookup and the snapshot.
      if let route = try uncheckedLookup(id) { return route }
      try proveBucket(of: id)
      return nil
    }
  }

  /// The same without a look at the bucket if there is no row.
  ///
  /// Reads the columns up to `route_checksum` alone: the others cost as much again.
  @inline(__always)
  private func uncheckedLookup(_ id: InstanceID) throws(ProjectionError) -> InstanceRoute? {
    try routeByID.bind(id.uuid, at: 1)
    defer { routeByID.reset() }
    guard try routeByID.step() else { return nil }
    // SQLite found the row by comparing its key, so the key that was asked for is hashed.
    var hasher = RowHasher(table: UInt64(InstanceTable.number))
    hasher.add(key: (id.uuid.high, id.uuid.low))
    let cell = try routeByID.uuidIfPresent(0)
    let mark = try routeByID.integerIfPresent(1)
    let changedAt = try routeByID.integer(2)
    if let cell { hasher.add(key: (cell.high, cell.low)) } else { hasher.addNull() }
    hasher.add(mark)
    hasher.add(changedAt)
    guard hasher.finish().checksum == (try routeByID.integer(3)) else {
      throw .damaged(path: path, what: "a row of instance with another checksum of its route")
    }
    return InstanceRoute(
      cell: cell.map { CellID($0) }, isQueuedForDelete: mark.map { $0 != 0 },
      changedAt: UInt64(bitPattern: changedAt))
  }

  /// All that the map holds of an instance; nil if it holds none.
  public func instance(_ id: InstanceID) throws(ProjectionError) -> InstanceRow? {
    if let row = try uncheckedInstance(id) { return row }
    return try withSnapshot { () throws(ProjectionError) in
      if let row = try uncheckedInstance(id) { return row }
      try proveBucket(of: id)
      return nil
    }
  }

  private func uncheckedInstance(_ id: InstanceID) throws(ProjectionError) -> InstanceRow? {
    try instanceRows.row(id)?.row
  }

  // MARK: Cells, hosts, requests

  /// What the map holds of a cell; nil if it holds none.
  public func cell(_ id: CellID) throws(ProjectionError) -> CellRow? {
    if let stored = try cellRows.row(id) { return stored.row }
    return try withSnapshot { () throws(ProjectionError) in
      if let stored = try cellRows.row(id) { return stored.row }
      try proveTable(CellTable.self)
      return nil
    }
  }

  /// What the map holds of a compute host; nil if it holds none.
  public func host(_ name: ByteText) throws(ProjectionError) -> HostRow? {
    if let stored = try hostRows.row(name) { return stored.row }
    return try withSnapshot { () throws(ProjectionError) in
      if let stored = try hostRows.row(name) { return stored.row }
      try proveTable(HostTable.self)
      return nil
    }
  }

  /// What is known of a conflict about a thing; nil if none was ever found.
  public func conflict(of entity: EntityKey) throws(ProjectionError) -> ConflictRow? {
    if let stored = try conflictRows.row(EntityTableKey(entity)) { return stored.row }
    return try withSnapshot { () throws(ProjectionError) in
      if let stored = try conflictRows.row(EntityTableKey(entity)) { return stored.row }
      try proveTable(ConflictTable.self)
      return nil
    }
  }

  /// What was answered to a request; nil if no accepted command bears the id.
  ///
  /// The row is checked against its checksum. That there is none is believed only if the table's
  /// bucket agrees with its rows, once a snapshot, as long as there are at most `maximumProvenRequests`
  /// or this process has found them right before: requests may be as many as entries, and reading
  /// all of them would cost each new process seconds. `checkIndex` finds a lost one at any size.
  public func request(_ id: RequestID) throws(ProjectionError) -> RequestRow? {
    if let stored = try requestRows.row(id) { return stored.row }
    if areRequestsProven { return nil }
    return try withSnapshot { () throws(ProjectionError) in
      if let stored = try requestRows.row(id) { return stored.row }
      let stored = try bucket(IndexBuckets.tableBucket(RequestTable.number))
      if stored.count <= Self.maximumProvenRequests { try proveTable(RequestTable.self) }
      areRequestsProven = true
      return nil
    }
  }

  /// Requests that are read to prove that one is not among them: about 3 ms.
  static let maximumProvenRequests: UInt64 = 16_384

  /// The last entry about something that the map holds no more; nil if it never held it, which is
  /// not checked, as with `request`.
  public func departure(of entity: EntityKey) throws(ProjectionError) -> UInt64? {
    try departedRows.row(EntityTableKey(entity))?.row
  }

  /// The last entry that changed a thing, or took it away; nil if the map never held it.
  public func lastChange(of entity: EntityKey) throws(ProjectionError) -> UInt64? {
    try withSnapshot { () throws(ProjectionError) in
      let present: UInt64? =
        switch entity {
        case .cell(let id): try cell(id)?.changedAt
        case .host(let name): try host(name)?.changedAt
        case .instance(let id): try instance(id)?.changedAt
        case .store: nil
        }
      if let present { return present }
      return try departure(of: entity)
    }
  }

  // MARK: Buckets

  /// A bucket as the file has it.
  func bucket(_ number: Int) throws(ProjectionError) -> Bucket {
    try bucketByNumber.bind(Int64(number), at: 1)
    defer { bucketByNumber.reset() }
    guard try bucketByNumber.step() else { return Bucket() }
    return try Bucket(bucketByNumber, from: 0)
  }

  /// Compares the bucket of an instance with its rows, unless that was done since it changed.
  private func proveBucket(of id: InstanceID) throws(ProjectionError) {
    let number = IndexBuckets.instanceBucket(id)
    let stored = try bucket(number)
    if trust.covers(number, stored) { return }
    let first = UInt64(number) << 52
    try instancesOfBucket.bind(key: (first, 0), at: 1)
    try instancesOfBucket.bind(key: (first | (1 << 52 - 1), .max), at: 2)
    try compare(stored, number, instancesOfBucket, InstanceTable.self)
  }

  /// Compares the bucket of a whole table with its rows, unless that was done since it changed.
  func proveTable<Table: IndexTable>(_ table: Table.Type) throws(ProjectionError) {
    let number = IndexBuckets.tableBucket(Table.number)
    let stored = try bucket(number)
    if trust.covers(number, stored) { return }
    let rows = try connection.prepare("SELECT \(Table.columnList) FROM \(Table.name)")
    try compare(stored, number, rows, table)
  }

  private func compare<Table: IndexTable>(
    _ stored: Bucket, _ number: Int, _ rows: SQLiteStatement, _ table: Table.Type
  ) throws(ProjectionError) {
    var counted = Bucket()
    defer { rows.reset() }
    while try rows.step() {
      counted.add(
        try checkedHash(of: table, rows, hashedColumns: Table.hashedColumnCount))
    }
    guard counted == stored else {
      throw .damaged(
        path: path,
        what: "bucket \(number) of \(Table.name) counts \(stored.count) rows and holds "
          + "\(counted.count), or others")
    }
    trust.prove(number, stored)
  }
}

extension IndexReader: MapLookup {}
