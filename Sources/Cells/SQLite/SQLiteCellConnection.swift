internal import Glibc
public import Journal
internal import Projections

/// A Nova cell's database in a SQLite file, opened for reading alone.
///
/// Never makes or changes a file in the cell's folder, a read-only one included; the shared memory
/// of a live WAL database is the exception that every reader is.
public final class SQLiteCellConnection: @unchecked Sendable {
  // Not protected by itself: `CellConnectionPool` lends it to one thread at a time, and hands it
  // on under a lock.
  public let cell: CellID
  private let file: SQLiteCellFile
  private let opened: SQLiteCellFile.Fingerprint
  private let connection: SQLiteConnection
  let tables: NovaCellTables
  private let placements: SQLiteStatement
  private let beginStatement: SQLiteStatement
  private let commitStatement: SQLiteStatement
  private var lastLookedSeconds = 0

  /// The longest text that is read from a row; Nova's columns are far shorter.
  private static let maximumValueBytes = 1 << 20

  /// Opens the file at an absolute path and checks that it has a Nova cell's tables and columns.
  ///
  /// - Throws: Every `CellError` but those of the pool and of identity.
  init(path: String, of cell: CellID, until deadline: ContinuousClock.Instant) throws(CellError) {
    precondition(path.utf8.first == UInt8(ascii: "/"), "the path of a cell's database is absolute")
    self.cell = cell
    file = SQLiteCellFile(cell: cell, path: path)
    opened = try file.fingerprint()
    connection = try file.open()
    connection.deadline = deadline
    tables = try NovaCellTables(of: connection, cell: cell)
    do throws(ProjectionError) {
      placements = try connection.prepare(tables.placement(of: InstanceID(.zero)).text)
      beginStatement = try connection.prepare("BEGIN")
      commitStatement = try connection.prepare("COMMIT")
    } catch {
      throw CellError(error, of: cell, table: "instances")
    }
    try requireUnchanged()
  }

  /// Begins a piece of work that is broken off at `deadline`.
  ///
  /// - Throws: `replaced`, `fileMissing` or `fileRefused` if another file or none is at the path;
  ///   looked at each second, for a file under a live Nova isn't replaced.
  func begin(until deadline: ContinuousClock.Instant) throws(CellError) {
    connection.deadline = deadline
    try requireUnchanged()
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
    guard time.tv_sec != lastLookedSeconds else { return }
    guard try file.fingerprint().isSameFile(as: opened) else {
      throw .replaced(cell: cell, path: file.path)
    }
    lastLookedSeconds = time.tv_sec
  }

  /// Where an instance is.
  // Hot path: beside SQLite's own work 300 ns, 0 allocations for names of at most 15 bytes.
  func placement(of instance: InstanceID) throws(CellError) -> InstancePlacement? {
    defer { placements.reset() }
    guard try find(instance.uuid, by: placements) else {
      try requireUnchanged()
      return nil
    }
    let placement: InstancePlacement
    do throws(DatabaseError) {
      placement = try InstancePlacement(in: .sqlite(placements, .instances))
    } catch {
      throw CellError(error, of: cell, table: .instances)
    }
    try requireUnchanged()
    return placement
  }

  /// Where several instances are.
  ///
  /// Within a transaction a row costs a third; while it lasts a writer can't commit, so it is ended
  /// after a part of a millisecond.
  func placements(of instances: [InstanceID]) throws(CellError) -> [InstancePlacement?] {
    var found: [InstancePlacement?] = []
    found.reserveCapacity(instances.count)
    for (place, instance) in instances.enumerated() {
      if place % Self.rowsPerTransaction == 0 {
        if place > 0 { try run(commitStatement) }
        try run(beginStatement)
      }
      found.append(try placement(of: instance))
    }
    if !instances.isEmpty { try run(commitStatement) }
    return found
  }

  private static let rowsPerTransaction = 128

  private func run(_ statement: SQLiteStatement) throws(CellError) {
    do throws(ProjectionError) { try statement.run() } catch {
      throw CellError(error, of: cell, table: "instances")
    }
  }

  /// Runs a query and gives `body` each of its rows; what they say counts only once this returns.
  func forEachRow(
    of query: SQLQuery, _ body: (SQLRow) throws(DatabaseError) -> Void
  ) throws(CellError) {
    do throws(DatabaseError) { try connection.forEachRow(of: query, body) } catch {
      throw CellError(error, of: cell, table: query.table)
    }
    try requireUnchanged()
  }

  /// Binds a UUID as Nova writes it, and moves to the first row.
  @inline(__always)
  private func find(
    _ uuid: UUID128, by statement: SQLiteStatement
  ) throws(CellError) -> Bool {
    do throws(ProjectionError) {
      let text = uuid.ascii
      unsafe try statement.bind(text: text.span.bytes, at: 1)
      return try statement.step()
    } catch {
      throw CellError(error, of: cell, table: "instances")
    }
  }

  /// What was read without locks counts only if nobody began to write meanwhile.
  private func requireUnchanged() throws(CellError) {
    guard connection.mode == .immutable, !file.isUnchanged(since: opened) else { return }
    throw .replaced(cell: cell, path: file.path)
  }
}

extension UUID128 {
  /// The 36 characters of the lower-case text form, in place.
  var ascii: [36 of UInt8] {
    var text = [36 of UInt8](repeating: UInt8(ascii: "-"))
    var position = 0
    for digit in 0..<32 {
      if digit == 8 || digit == 12 || digit == 16 || digit == 20 { position += 1 }
      let word = digit < 16 ? high : low
      let nibble = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (digit & 15))) & 15
      text[position] = nibble < 10 ? nibble + 48 : nibble + 87
      position += 1
    }
    return text
  }
}
