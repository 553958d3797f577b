public import Journal

/// An instance's row with the number that a scan pages by; a page of a scan has neither its node nor its
/// name, of which nothing is decided.
public struct ScannedInstance: Hashable, Sendable {
  public let rowID: Int64
  public let instance: CellInstance
}

/// A migration of an instance from one cell to another, as one of the two cells has it; both have it
/// under the same UUID.
public struct CrossCellMove: Hashable, Sendable {
  public var uuid: UUID128
  public var instance: InstanceID
  /// The compute host that it leaves.
  public var source: ByteText?
  /// The compute host that it goes to.
  public var destination: ByteText?
  public var status: ByteText?
  public var createdAt: Timestamp?

  public init(
    uuid: UUID128, instance: InstanceID, source: ByteText?, destination: ByteText?,
    status: ByteText?, createdAt: Timestamp?
  ) {
    self.uuid = uuid
    self.instance = instance
    self.source = source
    self.destination = destination
    self.status = status
    self.createdAt = createdAt
  }
}

/// A row that holds what Nova doesn't write; the scan passes it over and names it.
public struct UnreadableRow: Hashable, Sendable {
  public let table: NovaTable
  public let rowID: Int64
  public let why: String
  /// The instance that it is of, where that can be read.
  public let instance: InstanceID?

  public init(table: NovaTable, rowID: Int64, why: String, instance: InstanceID? = nil) {
    self.table = table
    self.rowID = rowID
    self.why = why
    self.instance = instance
  }

  /// What is said of it.
  public func description(in cell: CellID) -> String {
    "Cell \(cell), \(table) row \(rowID): \(why)"
  }
}

/// Rows of one page, in the order of their numbers.
public struct ScanPage<Row: Sendable>: Sendable {
  public let rows: [Row]
  public let unreadable: [UnreadableRow]
  /// The number after which the next page begins; nil once the table is at its end.
  public let next: Int64?
}

extension CellConnection {
  /// A page of all instances of the cell, the deleted and hidden ones too, by Nova's `id`.
  ///
  /// One statement, so one consistent view; rows that can't be read are named, not thrown.
  ///
  /// - Parameters:
  ///   - last: The last row of the page before; nil for the first page.
  ///   - since: Only rows that were made, changed or deleted since then.
  public func instances(
    afterRow last: Int64?, changedSince since: Timestamp? = nil, limit: Int
  ) throws(CellError) -> ScanPage<ScannedInstance> {
    var query = SQLQuery(
      dialect, on: .instances, "SELECT \(tables.scannedColumns), uuid, id FROM instances")
    var conditions: [String] = []
    if let last { conditions.append("id > " + query.bind(.integer(last))) }
    if let since {
      let time = query.bind(dialect.time(since))
      conditions.append(
        "(created_at >= \(time) OR updated_at >= \(time) OR deleted_at >= \(time))")
    }
    if !conditions.isEmpty { query.append(" WHERE " + conditions.joined(separator: " AND ")) }
    query.append(" ORDER BY id LIMIT \(limit)")
    return try page(query, idColumn: 14, instanceColumn: 13, limit: limit) {
      (row, id) throws(DatabaseError) in
      guard let uuid = try row.uuid(13) else {
        throw .badValue(column: "instances.uuid", found: "NULL")
      }
      return ScannedInstance(rowID: id, instance: try CellInstance(InstanceID(uuid), in: row))
    }
  }

  /// A page of the migrations between cells, by Nova's `id`.
  public func crossCellMoves(
    afterRow last: Int64?, limit: Int
  ) throws(CellError) -> ScanPage<CrossCellMove> {
    var query = crossCellMoves
    if let last { query.append(" AND id > \(query.bind(.integer(last)))") }
    query.append(" ORDER BY id LIMIT \(limit)")
    return try crossCellMoves(query, limit: limit)
  }

  /// The migrations between cells of one instance.
  public func crossCellMoves(of instance: InstanceID) throws(CellError) -> ScanPage<CrossCellMove> {
    var query = crossCellMoves
    let uuid = query.bind(.text(ByteText(instance.description)))
    query.append(" AND instance_uuid = \(uuid)")
    return try crossCellMoves(query, limit: nil)
  }

  private var crossCellMoves: SQLQuery {
    SQLQuery(
      dialect, on: .migrations,
      "SELECT id, uuid, instance_uuid, source_compute, dest_compute, status, created_at "
        + "FROM migrations WHERE cross_cell_move IS TRUE AND uuid IS NOT NULL "
        + "AND instance_uuid IS NOT NULL")
  }

  private func crossCellMoves(
    _ query: SQLQuery, limit: Int?
  ) throws(CellError) -> ScanPage<CrossCellMove> {
    try page(query, idColumn: 0, limit: limit) { (row, _) throws(DatabaseError) in
      guard let uuid = try row.uuid(1), let instance = try row.uuid(2) else {
        throw .badValue(column: "migrations.uuid", found: "NULL")
      }
      return CrossCellMove(
        uuid: uuid, instance: InstanceID(instance), source: try row.text(3),
        destination: try row.text(4), status: try row.text(5), createdAt: try row.time(6))
    }
  }

  func page<Row: Sendable>(
    _ query: SQLQuery, idColumn: Int, instanceColumn: Int? = nil, limit: Int?,
    _ read: (SQLRow, Int64) throws(DatabaseError) -> Row
  ) throws(CellError) -> ScanPage<Row> {
    var rows: [Row] = []
    rows.reserveCapacity(limit ?? 0)
    var unreadable: [UnreadableRow] = []
    var last: Int64?
    var count = 0
    try forEachRow(of: query) { (row) throws(DatabaseError) in
      let id = try row.integer(idColumn)
      (last, count) = (id, count + 1)
      do throws(DatabaseError) { rows.append(try read(row, id)) } catch {
        let instance = instanceColumn.flatMap { try? row.uuid($0) }.map { InstanceID($0) }
        unreadable.append(
          UnreadableRow(
            table: query.table, rowID: id, why: error.description, instance: instance))
      }
    }
    return ScanPage(rows: rows, unreadable: unreadable, next: count == limit ? last : nil)
  }
}
