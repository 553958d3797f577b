public import Journal

/// One connection to one cell's database, of whatever engine.
///
/// An enumeration rather than a protocol, so that routing pays no dynamic call. The servers' engines
/// differ only below `ServerConnection`.
///
/// It belongs to one thread at a time, which `CellConnectionPool` sees to. After any thrown error
/// it must not be used again.
public enum CellConnection: Sendable {
  case sqlite(SQLiteCellConnection)
  case server(ServerCellConnection)

  /// Opens a database and looks whether it is a Nova cell's; says nothing of which cell's.
  ///
  /// Blocks until `deadline` at most.
  public static func open(
    _ location: CellDatabaseLocation, of cell: CellID, until deadline: ContinuousClock.Instant
  ) throws(CellError) -> CellConnection {
    switch location {
    case .sqlite(let path): .sqlite(try SQLiteCellConnection(path: path, of: cell, until: deadline))
    case .server(let address):
      .server(try ServerCellConnection(address, of: cell, until: deadline))
    }
  }

  /// The cell that the connection was opened for.
  public var cell: CellID {
    switch self {
    case .sqlite(let connection): connection.cell
    case .server(let connection): connection.cell
    }
  }

  /// The dialect that queries of `forEachRow` are written in.
  public var dialect: SQLDialect { tables.dialect }

  /// Which of Nova's columns the database has, and the queries of them.
  var tables: NovaCellTables {
    switch self {
    case .sqlite(let connection): connection.tables
    case .server(let connection): connection.tables
    }
  }

  /// Whether `instances` has the column `hidden`, which the oldest schemas lack.
  public var hasHidden: Bool { tables.hasHidden }

  /// `instances.uuid` as the database is to order it by the UUIDs' bytes: the column itself, unless
  /// its collation has another order.
  public func uuidOrder() throws(CellError) -> String {
    switch self {
    case .sqlite: "uuid"
    case .server(let connection): try connection.uuidOrder()
    }
  }

  /// Begins a piece of work that is broken off at `deadline`.
  ///
  /// - Throws: `replaced` if the database at the address is another one by now; `connectionLost` if
  ///   the server has closed the connection.
  public func begin(until deadline: ContinuousClock.Instant) throws(CellError) {
    switch self {
    case .sqlite(let connection): try connection.begin(until: deadline)
    case .server(let connection): try connection.begin(until: deadline)
    }
  }

  /// Where an instance is, deleted ones too; nil if the cell has no row of it.
  @inline(__always)
  public func placement(of instance: InstanceID) throws(CellError) -> InstancePlacement? {
    switch self {
    case .sqlite(let connection): try connection.placement(of: instance)
    case .server(let connection): try connection.placement(of: instance)
    }
  }

  /// Where several instances are, in their order; read in few transactions, none of them long.
  public func placements(of instances: [InstanceID]) throws(CellError) -> [InstancePlacement?] {
    switch self {
    case .sqlite(let connection): try connection.placements(of: instances)
    case .server(let connection): try connection.placements(of: instances)
    }
  }

  /// The row of an instance, deleted ones too; nil if the cell has none.
  public func instance(_ instance: InstanceID) throws(CellError) -> CellInstance? {
    var found: CellInstance?
    try forEachRow(of: tables.instance(instance)) { (row) throws(DatabaseError) in
      found = try CellInstance(instance, in: row)
    }
    return found
  }

  /// The UUIDs in a column of identity, ascending: all of those that aren't deleted, or the first `limit`
  /// that have a UUID's length.
  ///
  /// - Parameter unreadable: Is given each value that is no UUID, which is passed over: one odd row
  ///   says nothing of the others. Empty for what isn't even text.
  public func uuids(
    of source: IdentitySource, limit: Int, unreadable: (ByteText) -> Void = { _ in }
  ) throws(CellError) -> [UUID128] {
    var uuids: [UUID128] = []
    try forEachRow(of: tables.uuids(of: source, limit: limit)) { (row) throws(DatabaseError) in
      do throws(DatabaseError) {
        if let uuid = try row.uuid(0) { uuids.append(uuid) }
      } catch {
        guard error.isOfValue else { throw error }
        unreadable((try? row.text(0)) ?? "")
      }
    }
    return uuids.sorted()
  }

  /// How many instances that aren't deleted run on a host.
  public func liveInstanceCount(on host: ByteText) throws(CellError) -> Int {
    var count = 0
    try forEachRow(of: tables.liveInstanceCount(on: host)) { (row) throws(DatabaseError) in
      count = Int(try row.integer(0))
    }
    return count
  }

  /// Whether a UUID is in a column of identity, in a deleted row too.
  public func has(_ uuid: UUID128, in source: IdentitySource) throws(CellError) -> Bool {
    var isFound = false
    try forEachRow(of: tables.has(uuid, in: source)) { (_) throws(DatabaseError) in isFound = true }
    return isFound
  }

  /// Runs a query in the connection's dialect and gives `body` each row as it comes.
  ///
  /// Rows are streamed: memory doesn't grow with their number. They count only once this returns,
  /// since an answer may break off after any of them.
  public func forEachRow(
    of query: SQLQuery, _ body: (SQLRow) throws(DatabaseError) -> Void
  ) throws(CellError) {
    switch self {
    case .sqlite(let connection): try connection.forEachRow(of: query, body)
    case .server(let connection): try connection.forEachRow(of: query, body)
    }
  }
}

/// A column of a cell's database whose values no other cell has.
public enum IdentitySource: Sendable, CaseIterable {
  case services, computeNodes, instances

  /// Nova's table, whose column `uuid` has an index.
  var table: NovaTable {
    switch self {
    case .services: .services
    case .computeNodes: .computeNodes
    case .instances: .instances
    }
  }
}

/// Where a cell's database is, as a connection is opened to it.
public enum CellDatabaseLocation: Hashable, Sendable {
  /// A SQLite file, by its absolute path.
  case sqlite(path: String)
  /// A server of MariaDB or PostgreSQL.
  case server(DatabaseAddress)
}

extension CellDatabaseLocation {
  /// Where an address leads; a relative path is taken from `base`, the folder that the caller names.
  ///
  /// SQLAlchemy takes relative paths from the current folder of whoever connects, which a library
  /// doesn't look at.
  ///
  /// - Throws: `inMemory`.
  public init(
    _ address: DatabaseAddress, of cell: CellID, relativeTo base: String
  ) throws(CellError) {
    switch address.place {
    case .file(let path):
      let text = path.string
      self = .sqlite(
        path: text.utf8.first == UInt8(ascii: "/")
          ? text : base + (base.utf8.last == UInt8(ascii: "/") ? "" : "/") + text)
    case .memory: throw .inMemory(cell: cell)
    case .servers, .socket: self = .server(address)
    }
  }
}
