public import Journal
internal import Synchronization

/// A Nova cell's database on a server.
public final class ServerCellConnection: Sendable {
  public let cell: CellID
  let connection: ServerConnection
  let tables: NovaCellTables
  /// How `instances.uuid` is ordered by bytes, once it has been asked for.
  private let knownUUIDOrder = Mutex<String?>(nil)

  /// Most rows that one query names by their UUIDs.
  private static let uuidsPerQuery = 500

  /// Opens a connection and checks that the database has a Nova cell's tables and columns.
  ///
  /// - Throws: `database` for what the server refuses, `notACell`, `deadlinePassed`.
  init(
    _ address: DatabaseAddress, of cell: CellID, until deadline: ContinuousClock.Instant
  ) throws(CellError) {
    self.cell = cell
    do throws(DatabaseError) {
      connection = try ServerConnection.open(address, until: deadline)
      tables = try NovaCellTables(of: connection)
    } catch {
      throw CellError(error, of: cell, table: nil)
    }
  }

  var dialect: SQLDialect { connection.dialect }

  func begin(until deadline: ContinuousClock.Instant) throws(CellError) {
    do throws(DatabaseError) { try connection.begin(until: deadline) } catch {
      throw CellError(error, of: cell, table: nil)
    }
  }

  func forEachRow(
    of query: SQLQuery, _ body: (SQLRow) throws(DatabaseError) -> Void
  ) throws(CellError) {
    do throws(DatabaseError) { try connection.forEachRow(of: query, body) } catch {
      throw CellError(error, of: cell, table: query.table)
    }
  }

  func uuidOrder() throws(CellError) -> String {
    if let known = knownUUIDOrder.withLock({ $0 }) { return known }
    do throws(DatabaseError) {
      let order = try connection.uuidOrder(of: "uuid", in: .instances)
      knownUUIDOrder.withLock { $0 = order }
      return order
    } catch {
      throw CellError(error, of: cell, table: .instances)
    }
  }

  func placement(of instance: InstanceID) throws(CellError) -> InstancePlacement? {
    var found: InstancePlacement?
    try forEachRow(of: tables.placement(of: instance)) { (row) throws(DatabaseError) in
      found = try InstancePlacement(in: row)
    }
    return found
  }

  func placements(of instances: [InstanceID]) throws(CellError) -> [InstancePlacement?] {
    var found: [UUID128: InstancePlacement] = [:]
    for start in stride(from: 0, to: instances.count, by: Self.uuidsPerQuery) {
      let part = instances[start...].prefix(Self.uuidsPerQuery)
      try forEachRow(of: tables.placements(of: part)) { (row) throws(DatabaseError) in
        guard let uuid = try row.uuid(5) else { return }
        found[uuid] = try InstancePlacement(in: row)
      }
    }
    return instances.map { found[$0.uuid] }
  }
}
