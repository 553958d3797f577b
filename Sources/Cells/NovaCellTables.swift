internal import Journal

/// Which of Nova's columns a cell's database has, and the queries of it: written once, for every
/// engine.
struct NovaCellTables: Sendable {
  /// What routes, scans and identity read, and every release from 2023.1 to 34 has.
  static let needed: [(table: NovaTable, columns: [String])] = [
    (
      .instances,
      [
        "id", "uuid", "host", "node", "vm_state", "task_state", "deleted", "project_id", "user_id",
        "display_name", "created_at", "updated_at", "deleted_at", "launched_at",
      ]
    ),
    (.services, ["id", "uuid", "host", "binary", "deleted"]),
    (.computeNodes, ["id", "uuid", "host", "hypervisor_hostname", "deleted"]),
  ]

  let dialect: SQLDialect
  /// `instances.hidden`, which the oldest schemas lack.
  let hasHidden: Bool

  private static let placementColumns = "host, vm_state, task_state, deleted"
  private static let ownerAndTimes =
    "project_id, user_id, created_at, updated_at, deleted_at, launched_at"

  /// What `CellInstance(_:in:)` reads.
  var instanceColumns: String {
    "\(Self.placementColumns), \(hidden), node, display_name, \(Self.ownerAndTimes)"
  }

  /// The same for a scan, in the same places: of names it wants none.
  var scannedColumns: String {
    "\(Self.placementColumns), \(hidden), NULL, NULL, \(Self.ownerAndTimes)"
  }

  private var hidden: String { hasHidden ? "hidden" : "0 AS hidden" }

  /// Where an instance is, in the columns that `InstancePlacement(at:in:)` reads.
  func placement(of instance: InstanceID) -> SQLQuery {
    query("\(Self.placementColumns), \(hidden)", of: instance)
  }

  /// An instance's row, in the columns that `CellInstance(_:in:)` reads.
  func instance(_ instance: InstanceID) -> SQLQuery { query(instanceColumns, of: instance) }

  private func query(_ columns: String, of instance: InstanceID) -> SQLQuery {
    var query = SQLQuery(dialect, on: .instances, "SELECT \(columns) FROM instances WHERE uuid = ")
    query.append(query.bind(.text(ByteText(instance.description))))
    return query
  }

  /// Where instances are, in any order; the last column is the UUID.
  func placements(of instances: some Collection<InstanceID>) -> SQLQuery {
    var query = SQLQuery(
      dialect, on: .instances,
      "SELECT \(Self.placementColumns), \(hidden), uuid FROM instances WHERE uuid IN (")
    let values = instances.map { query.bind(.text(ByteText($0.description))) }
    query.append(values.joined(separator: ", ") + ")")
    return query
  }

  /// The UUIDs of rows that aren't deleted, ascending: what stands in that column of all of them, or of
  /// some whose value has a UUID's length, so that odd ones don't stand in the others' place.
  func uuids(of source: IdentitySource, limit: Int) -> SQLQuery {
    let isPart = limit < .max
    return SQLQuery(
      dialect, on: source.table,
      "SELECT uuid FROM \(source.table) WHERE deleted = 0 AND uuid IS NOT NULL "
        + (isPart ? "AND length(uuid) = 36 " : "") + "ORDER BY uuid LIMIT \(limit)")
  }

  /// How many instances that aren't deleted have the host, compared by bytes.
  func liveInstanceCount(on host: ByteText) -> SQLQuery {
    var query = SQLQuery(dialect, on: .instances, "SELECT count(*) FROM instances WHERE ")
    let value = query.bind(.text(host))
    query.append(dialect.equals("host", value) + " AND deleted = 0")
    return query
  }

  /// A row if a UUID is in a column of identity; by the index that Nova has on each of them.
  func has(_ uuid: UUID128, in source: IdentitySource) -> SQLQuery {
    var query = SQLQuery(dialect, on: source.table, "SELECT 1 FROM \(source.table) WHERE uuid = ")
    query.append(query.bind(.text(ByteText(uuid.description))))
    return query
  }
}

extension InstancePlacement {
  /// What a row has from `column` on: host, states, `deleted`, `hidden`.
  @inline(__always)
  init(at column: Int = 0, in row: SQLRow) throws(DatabaseError) {
    let host = try row.text(column)
    self.init(
      // Nova takes an empty host for none.
      host: host == "" ? nil : host, vmState: try row.text(column + 1),
      taskState: try row.text(column + 2), isDeleted: try row.integer(column + 3) != 0,
      isHidden: try row.flag(column + 4) ?? false)
  }
}

extension CellInstance {
  init(_ id: InstanceID, in row: SQLRow) throws(DatabaseError) {
    self.init(
      id: id, placement: try InstancePlacement(in: row), node: try row.text(5),
      displayName: try row.text(6), project: try row.text(7), user: try row.text(8),
      createdAt: try row.time(9), updatedAt: try row.time(10), deletedAt: try row.time(11),
      launchedAt: try row.time(12))
  }
}
