internal import Cells
internal import Glibc
internal import Journal
internal import Projections
internal import Synchronization

/// The staging file of a scan: what was read of each cell, page by page, each page together with the
/// cursor behind it.
///
/// A scan that was killed goes on behind the last page that is whole. Safe to use from the threads of
/// all cells at once. What is read back comes in the order of the instances' UUIDs.
final class ScanFile: @unchecked Sendable {
  /// How far a cell was read.
  struct Progress: Hashable, Sendable {
    enum Phase: Int64, Sendable {
      case hosts = 0
      case instances = 1
      /// Rows that changed while the others were read.
      case changes = 2
      case moves = 3
      case finished = 4
    }

    var phase = Phase.hosts
    /// Nova's id of the last row of the phase that was read; nil before the first.
    var cursor: Int64?
    var rows: UInt64 = 0
    var unreadable: UInt64 = 0
    var markers: UInt64 = 0
    var beganAt: Timestamp
  }

  let path: String
  /// Where it lies.
  var folder: String { String(path[..<(path.lastIndex(of: "/") ?? path.endIndex)]) }
  let scan: UUID128
  /// The head of the journal before the first cell was asked.
  var basis: Position
  /// What has begun to make the map hold what it says: one, or several that were killed.
  var requests: Set<RequestID> = []
  let connection: SQLiteConnection
  private let lock = Mutex(())
  private let insertPage: SQLiteStatement
  private let updateCell: SQLiteStatement
  var numbers: [CellID: Int64] = [:]
  var cellsByNumber: [Int64: CellID] = [:]

  private static let version: Int64 = 5

  private static func name(_ scan: UUID128) -> String { "scan-\(scan).sqlite" }

  /// A file of one run's own, which no other goes on with; what killed ones have left is taken away.
  static func ofOneRun(
    named prefix: String, in folder: String, basis: Position
  ) throws(ProjectionError) -> ScanFile {
    for path in existing(in: folder, prefix) {
      do throws(ProjectionError) { _ = try ScanFile(resuming: path) } catch .busy { continue } catch
      {}
      remove(path)
    }
    return try ScanFile(creating: "\(folder)/\(prefix)\(UUID128.random()).sqlite", basis: basis)
  }

  /// The unfinished scan of a store, or a new one.
  ///
  /// - Parameter hasEnded: Whether all is in the journal that a request has read: nobody goes on with that.
  /// - Throws: `busy` while another process scans for the same store.
  static func open(
    in folder: String, basis: Position, hasEnded: HasEnded
  ) throws(ProjectionError) -> ScanFile {
    for path in scans(in: folder) {
      do throws(ProjectionError) {
        let file = try ScanFile(resuming: path)
        // Asked while others can't have it.
        if file.requests.contains(where: hasEnded), !file.discard() { continue }
        if file.basis.epoch == waitingEpoch { try file.setBasis(basis) }
        return file
      } catch .busy {
        throw .busy(operation: "scan", path: path)
      } catch {
        remove(path)  // Not one of ours, or its page was torn: it is read again.
      }
    }
    return try ScanFile(creating: folder + "/" + name(.random()), basis: basis)
  }

  typealias HasEnded = (RequestID) -> Bool

  static func scans(in folder: String) -> [String] { existing(in: folder, "scan-") }

  /// Also takes away what belongs to a file that isn't there: whoever removes a damaged one leaves its WAL, with
  /// most of what was read.
  private static func existing(in folder: String, _ prefix: String) -> [String] {
    guard let directory = unsafe opendir(folder) else { return [] }
    defer { unsafe closedir(directory) }
    var found: [String] = []
    var companions: [(path: String, of: String)] = []
    while let entry = unsafe readdir(directory) {
      let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
          unsafe String(cString: $0)
        }
      }
      guard name.hasPrefix(prefix) else { continue }
      let path = folder + "/" + name
      if name.hasSuffix(".sqlite") { found.append(path) }
      for suffix in suffixes.dropFirst() where name.hasSuffix(".sqlite" + suffix) {
        companions.append((path, String(path.dropLast(suffix.count))))
      }
    }
    // Asked for now: of a file that another process has just made there may only be the companion in the list.
    for (companion, file) in companions where unsafe access(file, F_OK) != 0 {
      unsafe unlink(companion)
    }
    return found.sorted()
  }

  /// Of the file itself, and of those that SQLite has beside it.
  private static let suffixes = ["", "-wal", "-shm", "-journal"]

  /// Takes the file away, once what it says is in the journal, or was only looked at.
  func remove() { Self.remove(path) }

  private static func remove(_ path: String) {
    for suffix in suffixes { unsafe unlink(path + suffix) }
  }

  private init(creating path: String, basis: Position) throws(ProjectionError) {
    self.path = path
    self.basis = basis
    connection = try SQLiteConnection(path: path, mode: .readWriteNew, isShared: true)
    // A page of instances takes some 200 kB.
    try connection.execute("PRAGMA page_size=16384;" + Self.settings)
    try connection.execute("BEGIN IMMEDIATE;" + Self.tables)
    scan = .random()
    let insert = try connection.prepare(
      "INSERT INTO scan (id, uuid, basis_epoch, basis_index) VALUES (0, ?1, ?2, ?3)")
    try insert.bind(scan, at: 1)
    try insert.bind(Int64(basis.epoch), at: 2)
    try insert.bind(Int64(bitPattern: basis.index), at: 3)
    try insert.run()
    try connection.execute("PRAGMA user_version=\(Self.version); COMMIT;")
    insertPage = try connection.prepare(Self.insertion)
    updateCell = try connection.prepare(Self.cellUpdate)
  }

  init(resuming path: String) throws(ProjectionError) {
    self.path = path
    connection = try SQLiteConnection(path: path, mode: .readWrite, isShared: true)
    try connection.execute(Self.settings)
    guard try connection.integer("PRAGMA user_version") == Self.version else {
      throw .notAnIndex(path: path)
    }
    let meta = try connection.prepare("SELECT uuid, basis_epoch, basis_index FROM scan")
    guard try meta.step() else { throw .notAnIndex(path: path) }
    scan = try meta.uuid(0)
    basis = Position(
      epoch: UInt32(truncatingIfNeeded: try meta.integer(1)),
      index: UInt64(bitPattern: try meta.integer(2)))
    meta.reset()
    let begun = try connection.prepare("SELECT id FROM request")
    while try begun.step() { requests.insert(RequestID(try begun.uuid(0))) }
    insertPage = try connection.prepare(Self.insertion)
    updateCell = try connection.prepare(Self.cellUpdate)
    let cells = try connection.prepare("SELECT number, id FROM cell")
    while try cells.step() {
      let (number, id) = (try cells.integer(0), CellID(try cells.uuid(1)))
      numbers[id] = number
      cellsByNumber[number] = id
    }
  }

  // What is forgotten is overwritten, whatever the system's SQLite does by itself: it has projects and users in clear.
  // An exclusive lock: a second scan for the same store would read every row twice.
  // What was set aside stays in the WAL, also to be read: moved into the file, it would be written twice. The WAL
  // is a third larger than the rows, and is read whole by a scan that goes on.
  private static let settings = """
    PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;
    PRAGMA cache_size=-16384; PRAGMA wal_autocheckpoint=0; PRAGMA secure_delete=ON;
    BEGIN IMMEDIATE; COMMIT;
    """

  private static let tables = """
    CREATE TABLE scan (
      id INTEGER PRIMARY KEY, uuid BLOB NOT NULL, basis_epoch INTEGER NOT NULL,
      basis_index INTEGER NOT NULL) STRICT;
    CREATE TABLE request (id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;
    CREATE TABLE cell (
      number INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, database TEXT NOT NULL,
      phase INTEGER NOT NULL, cursor INTEGER, rows INTEGER NOT NULL, unreadable INTEGER NOT NULL,
      markers INTEGER NOT NULL, began_at INTEGER NOT NULL) STRICT;
    CREATE TABLE page (
      number INTEGER PRIMARY KEY, cell INTEGER NOT NULL, instances BLOB NOT NULL) STRICT;
    CREATE TABLE move (
      uuid BLOB NOT NULL, cell INTEGER NOT NULL, instance BLOB NOT NULL, source TEXT,
      destination TEXT, status TEXT, created_at INTEGER, PRIMARY KEY (instance, uuid, cell)
      ) STRICT, WITHOUT ROWID;
    CREATE TABLE host (
      name TEXT NOT NULL, cell INTEGER NOT NULL, PRIMARY KEY (name, cell)) STRICT, WITHOUT ROWID;
    CREATE TABLE identity (
      cell INTEGER NOT NULL, kind INTEGER NOT NULL, uuid BLOB NOT NULL,
      PRIMARY KEY (cell, kind, uuid)) STRICT, WITHOUT ROWID;
    CREATE TABLE unreadable (
      cell INTEGER NOT NULL, source TEXT NOT NULL, row INTEGER NOT NULL, why TEXT NOT NULL,
      instance BLOB,
      PRIMARY KEY (cell, source, row)) STRICT, WITHOUT ROWID;
    """

  private static let insertion = "INSERT INTO page (cell, instances) VALUES (?1, ?2)"

  private static let cellUpdate = """
    UPDATE cell SET phase = ?2, cursor = ?3, rows = ?4, unreadable = ?5, markers = ?6
    WHERE number = ?1
    """
}

// MARK: - Writing

extension ScanFile {
  /// How far a cell was read; begins with it if it wasn't asked yet.
  ///
  /// - Parameter database: The public form of its address.
  func progress(of cell: CellID, in database: ByteText) throws(ProjectionError) -> Progress {
    try locked { () throws(ProjectionError) in
      if let known = try readProgress(of: cell) { return known }
      let progress = Progress(beganAt: .now)
      let insert = try connection.prepare(
        "INSERT INTO cell (id, database, phase, cursor, rows, unreadable, markers, began_at) "
          + "VALUES (?1, ?2, 0, NULL, 0, 0, 0, ?3) RETURNING number")
      try insert.bind(cell.uuid, at: 1)
      try insert.bind(database, at: 2)
      try insert.bind(progress.beganAt.microseconds, at: 3)
      guard try insert.step() else { preconditionFailure("a row was added") }
      let number = try insert.integer(0)
      _ = try insert.step()
      numbers[cell] = number
      cellsByNumber[number] = cell
      return progress
    }
  }

  private func readProgress(of cell: CellID) throws(ProjectionError) -> Progress? {
    let statement = try connection.prepare(
      "SELECT phase, cursor, rows, unreadable, markers, began_at FROM cell WHERE id = ?1")
    try statement.bind(cell.uuid, at: 1)
    guard try statement.step() else { return nil }
    var progress = Progress(beganAt: Timestamp(microseconds: try statement.integer(5)))
    progress.phase = Progress.Phase(rawValue: try statement.integer(0)) ?? .hosts
    progress.cursor = try statement.integerIfPresent(1)
    progress.rows = UInt64(bitPattern: try statement.integer(2))
    progress.unreadable = UInt64(bitPattern: try statement.integer(3))
    progress.markers = UInt64(bitPattern: try statement.integer(4))
    return progress
  }

  /// Sets a page of instances aside together with the progress behind it.
  ///
  /// - Parameter isFirst: The rows are read for the first time, and count.
  func add(
    _ page: ScanPage<ScannedInstance>, readAt: Timestamp, isFirst: Bool, of cell: CellID,
    _ progress: inout Progress
  ) throws(ProjectionError) {
    var after = progress
    var packed: [UInt8] = []
    var count = 0
    for row in page.rows where !row.instance.id.isNovaMarker {
      StagedInstance(row.instance, in: cell, rowID: row.rowID, readAt: readAt).pack(into: &packed)
      count += 1
    }
    if isFirst {
      after.markers += UInt64(page.rows.count - count)
      after.rows += UInt64(count)
    }
    try commit(cell, &after, page.unreadable) { (number) throws(ProjectionError) in
      if packed.isEmpty { return }
      try insertPage.bind(number, at: 1)
      try insertPage.bind(blob: packed.span.bytes, at: 2)
      try insertPage.run()
    }
    progress = after
  }

  /// Sets the hosts of a cell and the evidence of its identity aside, in place of earlier ones.
  func set(
    hosts: [CellHost], _ identity: CellIdentity, of cell: CellID, _ progress: inout Progress
  ) throws(ProjectionError) {
    try commit(cell, &progress, []) { (number) throws(ProjectionError) in
      try connection.execute(
        "DELETE FROM host WHERE cell = \(number); DELETE FROM identity WHERE cell = \(number);")
      let addHost = try connection.prepare(
        "INSERT OR IGNORE INTO host (name, cell) VALUES (?1, ?2)")
      for host in hosts {
        try addHost.bind(host.name, at: 1)
        try addHost.bind(number, at: 2)
        try addHost.run()
      }
      let addUUID = try connection.prepare(
        "INSERT OR IGNORE INTO identity (cell, kind, uuid) VALUES (?1, ?2, ?3)")
      for (kind, uuids) in [
        (IdentityKind.service, identity.services), (.computeNode, identity.computeNodes),
      ] {
        for uuid in uuids {
          try addUUID.bind(number, at: 1)
          try addUUID.bind(Int64(kind.rawValue), at: 2)
          try addUUID.bind(uuid, at: 3)
          try addUUID.run()
        }
      }
    }
  }

  /// Sets a page of moves aside.
  func add(
    moves page: ScanPage<CrossCellMove>, of cell: CellID, _ progress: inout Progress
  ) throws(ProjectionError) {
    try commit(cell, &progress, page.unreadable) { (number) throws(ProjectionError) in
      let insert = try connection.prepare(
        "INSERT OR REPLACE INTO move (uuid, cell, instance, source, destination, status, created_at) "
          + "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")
      for move in page.rows {
        try insert.bind(move.uuid, at: 1)
        try insert.bind(number, at: 2)
        try insert.bind(move.instance.uuid, at: 3)
        try insert.bind(move.source, at: 4)
        try insert.bind(move.destination, at: 5)
        try insert.bind(move.status, at: 6)
        try insert.bind(move.createdAt?.microseconds, at: 7)
        try insert.run()
      }
    }
  }

  /// Writes rows and the progress in one transaction.
  private func commit(
    _ cell: CellID, _ progress: inout Progress, _ unreadable: [UnreadableRow],
    _ body: (Int64) throws(ProjectionError) -> Void
  ) throws(ProjectionError) {
    let before = progress
    let after = try locked { () throws(ProjectionError) in
      guard let number = numbers[cell] else { preconditionFailure("progress comes first") }
      var after = before
      try connection.execute("BEGIN")
      do throws(ProjectionError) {
        try body(number)
        after.unreadable += try add(unreadable, number)
        try updateCell.bind(number, at: 1)
        try updateCell.bind(after.phase.rawValue, at: 2)
        try updateCell.bind(after.cursor, at: 3)
        try updateCell.bind(Int64(bitPattern: after.rows), at: 4)
        try updateCell.bind(Int64(bitPattern: after.unreadable), at: 5)
        try updateCell.bind(Int64(bitPattern: after.markers), at: 6)
        try updateCell.run()
        try connection.execute("COMMIT")
      } catch {
        try? connection.execute("ROLLBACK")
        throw error
      }
      return after
    }
    progress = after
  }

  /// - Returns: How many were not known yet.
  private func add(_ rows: [UnreadableRow], _ cell: Int64) throws(ProjectionError) -> UInt64 {
    guard !rows.isEmpty else { return 0 }
    let insert = try connection.prepare(
      "INSERT OR IGNORE INTO unreadable (cell, source, row, why, instance) VALUES (?1, ?2, ?3, ?4, ?5) "
        + "RETURNING row")
    var added: UInt64 = 0
    for row in rows {
      try insert.bind(cell, at: 1)
      try insert.bind(ByteText(row.table.rawValue), at: 2)
      try insert.bind(row.rowID, at: 3)
      try insert.bind(ByteText(row.why), at: 4)
      if let id = row.instance {
        try insert.bind(id.uuid, at: 5)
      } else {
        try insert.bindNull(at: 5)
      }
      while try insert.step() { added += 1 }
      insert.reset()
    }
    return added
  }

  private func locked<Value>(
    _ body: () throws(ProjectionError) -> Value
  ) throws(ProjectionError) -> Value {
    var result: Result<Value, ProjectionError>?
    lock.withLock { _ in
      do throws(ProjectionError) { result = .success(try body()) } catch {
        result = .failure(error)
      }
    }
    guard let result else { preconditionFailure("the body ran") }
    return try result.get()
  }
}
