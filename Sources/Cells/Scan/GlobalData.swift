public import Journal

/// What a cell keeps of an instance that its request spec can be made of again.
public struct RequestFacts: Sendable {
  public let id: InstanceID
  public let project: ByteText?
  public let user: ByteText?
  /// The zone where it runs; whether somebody asked for it is nowhere in a cell.
  public let availabilityZone: ByteText?
  public let image: ByteText?
  /// The texts of `instance_extra`.
  public let flavor: ByteText?
  public let numaTopology: ByteText?
  public let pciRequests: ByteText?
  /// What the image said when the instance was built, by the names of `instance_system_metadata`.
  public internal(set) var imageProperties: [(name: ByteText, value: ByteText)] = []
  /// Whether the disk that it boots from is a volume; nil without a row of that disk.
  public internal(set) var isBootedFromVolume: Bool?
}

/// A flavor and key pairs as an instance that isn't deleted has them.
public struct EmbeddedGlobals: Sendable {
  public let instance: InstanceID
  public let instanceCreatedAt: Timestamp?
  /// The texts of `instance_extra`.
  public let flavor: ByteText?
  public let keyPairs: ByteText?
}

extension CellConnection {
  /// What request specs are made of, of those of the instances that the cell has and that aren't
  /// deleted.
  ///
  /// Three statements: at most some hundreds of instances.
  public func requestFacts(
    of ids: [InstanceID]
  ) throws(CellError) -> [InstanceID: RequestFacts] {
    var found: [InstanceID: RequestFacts] = [:]
    let instances = query(
      "i.uuid, i.project_id, i.user_id, i.availability_zone, i.image_ref, e.flavor, "
        + "e.numa_topology, e.pci_requests",
      from: .instances,
      "i LEFT JOIN instance_extra e ON e.instance_uuid = i.uuid AND e.deleted = 0",
      of: ids, by: "i.uuid", "i.deleted = 0")
    try forEachRow(of: instances) { (row) throws(DatabaseError) in
      guard let id = try row.uuid(0).map({ InstanceID($0) }) else { return }
      found[id] = RequestFacts(
        id: id, project: try row.text(1), user: try row.text(2),
        availabilityZone: try row.text(3), image: try row.text(4), flavor: try row.text(5),
        numaTopology: try row.text(6), pciRequests: try row.text(7))
    }
    // Qualified, since KEY alone is a word of MariaDB's.
    let properties = query(
      "m.instance_uuid, m.key, m.value", from: .instanceSystemMetadata, "m", of: ids,
      by: "m.instance_uuid", "m.deleted = 0 AND m.key LIKE 'image%'")
    try forEachRow(of: properties) { (row) throws(DatabaseError) in
      guard let id = try row.uuid(0).map({ InstanceID($0) }), let name = try row.text(1),
        let value = try row.text(2)
      else { return }
      found[id]?.imageProperties.append((name, value))
    }
    let disks = query(
      "b.instance_uuid, b.destination_type", from: .blockDeviceMapping, "b", of: ids,
      by: "b.instance_uuid", "b.deleted = 0 AND b.boot_index = 0")
    try forEachRow(of: disks) { (row) throws(DatabaseError) in
      guard let id = try row.uuid(0).map({ InstanceID($0) }) else { return }
      found[id]?.isBootedFromVolume = try row.text(1) == "volume"
    }
    return found
  }

  /// A page of the flavors and key pairs that instances have, by the `id` of `instance_extra`; those
  /// of deleted instances are left out.
  public func embeddedGlobals(
    afterRow last: Int64?, limit: Int
  ) throws(CellError) -> ScanPage<EmbeddedGlobals> {
    var query = SQLQuery(
      dialect, on: .instanceExtra,
      "SELECT e.id, i.uuid, i.created_at, e.flavor, e.keypairs FROM instance_extra e "
        + "JOIN instances i ON i.uuid = e.instance_uuid WHERE e.deleted = 0 AND i.deleted = 0")
    if let last { query.append(" AND e.id > \(query.bind(.integer(last)))") }
    query.append(" ORDER BY e.id LIMIT \(limit)")
    return try page(query, idColumn: 0, limit: limit) { (row, _) throws(DatabaseError) in
      guard let uuid = try row.uuid(1) else {
        throw .badValue(column: "instances.uuid", found: "NULL")
      }
      return EmbeddedGlobals(
        instance: InstanceID(uuid), instanceCreatedAt: try row.time(2), flavor: try row.text(3),
        keyPairs: try row.text(4))
    }
  }

  /// How much the cell has of Nova's global tables, of instances that aren't deleted.
  ///
  /// Reads each of them.
  ///
  /// - Returns: Instances with a flavor's copy, flavors by Nova's number, and the hashes, within this
  ///   process, of the users and names of key pairs.
  public func globalCounts() throws(CellError) -> (
    requestSpecs: UInt64, flavors: Set<Int64>, keyPairs: Set<Int>
  ) {
    var requestSpecs: UInt64 = 0
    let count = SQLQuery(
      dialect, on: .instanceExtra,
      "SELECT count(*) FROM instance_extra e JOIN instances i ON i.uuid = e.instance_uuid "
        + "WHERE e.deleted = 0 AND i.deleted = 0 AND e.flavor IS NOT NULL"
        + (hasHidden ? " AND i.hidden IS NOT TRUE" : ""))
    try forEachRow(of: count) { (row) throws(DatabaseError) in
      requestSpecs = UInt64(bitPattern: try row.integer(0))
    }
    var flavors: Set<Int64> = []
    let numbers = SQLQuery(
      dialect, on: .instances,
      "SELECT DISTINCT instance_type_id FROM instances WHERE deleted = 0 "
        + "AND instance_type_id IS NOT NULL")
    try forEachRow(of: numbers) { (row) throws(DatabaseError) in
      flavors.insert(try row.integer(0))
    }
    var keyPairs: Set<Int> = []
    let names = SQLQuery(
      dialect, on: .instances,
      "SELECT DISTINCT user_id, key_name FROM instances WHERE deleted = 0 "
        + "AND user_id IS NOT NULL AND key_name IS NOT NULL")
    try forEachRow(of: names) { (row) throws(DatabaseError) in
      keyPairs.insert([try row.requiredText(0), try row.requiredText(1)].hashValue)
    }
    return (requestSpecs, flavors, keyPairs)
  }

  private func query(
    _ columns: String, from table: NovaTable, _ rest: String, of ids: [InstanceID],
    by column: String, _ condition: String
  ) -> SQLQuery {
    var query = SQLQuery(
      dialect, on: table, "SELECT \(columns) FROM \(table) \(rest) WHERE \(column) IN (")
    let values = ids.map { query.bind(.text(ByteText($0.description))) }
    query.append(values.joined(separator: ", ") + ") AND " + condition)
    return query
  }
}
