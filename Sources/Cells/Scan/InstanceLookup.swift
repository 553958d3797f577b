public import Journal

/// What a cell has of some instances.
public struct InstanceLookup: Sendable {
  public var rows: [ScannedInstance] = []
  /// Rows that hold what Nova doesn't write, each with its instance.
  public var unreadable: [UnreadableRow] = []
}

/// What a cell has set aside of its deleted instances.
public struct ArchiveSummary: Sendable {
  public let rows: UInt64
  public let newest: Timestamp?
}

extension CellConnection {
  /// The rows of instances, the deleted and hidden ones too; a row that can't be read is named, not
  /// thrown.
  ///
  /// One statement: at most some hundreds of instances.
  public func instances(among ids: [InstanceID]) throws(CellError) -> InstanceLookup {
    var found = InstanceLookup()
    let columns = "\(tables.instanceColumns), uuid, id"
    try forEachRow(of: query(columns, of: ids, in: .instances)) { (row) throws(DatabaseError) in
      guard let id = try row.uuid(13).map({ InstanceID($0) }), !id.isNovaMarker else { return }
      let rowID = try row.integer(14)
      do throws(DatabaseError) {
        found.rows.append(ScannedInstance(rowID: rowID, instance: try CellInstance(id, in: row)))
      } catch {
        found.unreadable.append(
          UnreadableRow(table: .instances, rowID: rowID, why: error.description, instance: id))
      }
    }
    return found
  }

  /// Those of the instances of which the table has a row, readable or not.
  public func known(
    among ids: [InstanceID], in table: NovaTable
  ) throws(CellError) -> Set<InstanceID> {
    var found: Set<InstanceID> = []
    try forEachRow(of: query("uuid", of: ids, in: table)) { (row) throws(DatabaseError) in
      if let uuid = try row.uuid(0) { found.insert(InstanceID(uuid)) }
    }
    return found
  }

  /// How many instances were moved to `shadow_instances`, and when the newest of them was made.
  ///
  /// Reads the whole table: Nova has no index on it.
  public func archiveSummary() throws(CellError) -> ArchiveSummary {
    var summary = ArchiveSummary(rows: 0, newest: nil)
    let query = SQLQuery(
      dialect, on: .shadowInstances, "SELECT count(*), max(created_at) FROM shadow_instances")
    try forEachRow(of: query) { (row) throws(DatabaseError) in
      summary = ArchiveSummary(
        rows: UInt64(bitPattern: try row.integer(0)), newest: try row.time(1))
    }
    return summary
  }

  private func query(_ columns: String, of ids: [InstanceID], in table: NovaTable) -> SQLQuery {
    var query = SQLQuery(dialect, on: table, "SELECT \(columns) FROM \(table) WHERE uuid IN (")
    let values = ids.map { query.bind(.text(ByteText($0.description))) }
    query.append(values.joined(separator: ", ") + ")")
    return query
  }
}
