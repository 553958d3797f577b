public import Journal

/// A database of Nova's on a private server, with the columns and indexes that reading it needs, and
/// a user who may SELECT from its tables and nothing else.
///
/// The tests write it as the administrator; what is tested reads it as that user.
public struct NovaServerDatabase: Sendable {
  public let server: TestServer
  public let name: String
  public let user: String
  public let password: String

  /// Makes a cell's database with Nova's tables, empty.
  ///
  /// - Parameter isDanish: Its texts are in the order of Danish, in which `aa` comes after `z`.
  public static func makeCell(
    on server: TestServer, password: String = "s3cret-pass", withHidden: Bool = true,
    isDanish: Bool = false
  ) throws -> NovaServerDatabase {
    try make(
      on: server, password: password, tables: cellTables(server.engine, withHidden),
      isDanish: isDanish)
  }

  /// Makes an API database with Nova's mapping tables, empty.
  public static func makeAPI(
    on server: TestServer, password: String = "s3cret-pass", isDanish: Bool = false
  ) throws -> NovaServerDatabase {
    try make(
      on: server, password: password, tables: apiTables(server.engine), isDanish: isDanish)
  }

  /// A cell's database and reader of the same names on another server, empty.
  public func copy(on other: TestServer) throws -> NovaServerDatabase {
    try Self.make(
      on: other, name: name, password: password, tables: Self.cellTables(other.engine, true))
  }

  private static func make(
    on server: TestServer, name: String = TestServer.uniqueName("nova"), password: String,
    tables: String, isDanish: Bool = false
  ) throws -> NovaServerDatabase {
    let database = NovaServerDatabase(
      server: server, name: name, user: name + "_reader", password: password)
    let collation =
      switch server.engine {
      case .mariadb: " CHARACTER SET utf8mb3" + (isDanish ? " COLLATE utf8mb3_danish_ci" : "")
      case .postgresql:
        isDanish
          ? " TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'da' LOCALE 'C'"
          : ""
      }
    try server.execute("CREATE DATABASE \(name)\(collation)")
    try server.execute(tables, in: name)
    try database.setPassword(password, isNew: true)
    switch server.engine {
    case .mariadb: try server.execute("GRANT SELECT ON \(name).* TO '\(database.user)'@'%'")
    case .postgresql:
      try server.execute(
        "GRANT USAGE ON SCHEMA public TO \(database.user); "
          + "GRANT SELECT ON ALL TABLES IN SCHEMA public TO \(database.user)", in: name)
    }
    return database
  }

  /// Gives the reader another password.
  public func setPassword(_ password: String, isNew: Bool = false) throws {
    let verb = isNew ? "CREATE" : "ALTER"
    switch server.engine {
    case .mariadb:
      let literal = quoted(password).split(separator: "\\", omittingEmptySubsequences: false)
        .joined(separator: "\\\\")
      try server.execute("\(verb) USER '\(user)'@'%' IDENTIFIED BY \(literal)")
    case .postgresql:
      try server.execute("\(verb) ROLE \(user) LOGIN PASSWORD \(quoted(password))")
    }
  }

  /// Runs SQL on the database as the administrator.
  @discardableResult
  public func execute(_ sql: String) throws -> String { try server.execute(sql, in: name) }

  /// The address with the reader's name and password.
  public func address(
    host: String = "127.0.0.1", port: Int? = nil, _ query: String = ""
  ) throws -> DatabaseAddress {
    try DatabaseAddress(parsing: text(host: host, port: port, query))
  }

  public func text(host: String = "127.0.0.1", port: Int? = nil, _ query: String = "") -> Secret {
    server.address(name, user: user, password: password, host: host, port: port, query)
  }

  /// Adds a row; `values` are SQL, by column.
  public func add(to table: String, _ values: [String: String]) throws {
    try execute(Self.insert(table, values))
  }

  /// The statement that adds a row.
  public static func insert(_ table: String, _ values: [String: String]) -> String {
    let columns = values.keys.sorted()
    return "INSERT INTO \(table) (\(columns.joined(separator: ", "))) "
      + "VALUES (\(columns.map { values[$0] ?? "NULL" }.joined(separator: ", ")));"
  }

  /// Adds an instance's row; `values` are SQL, by column.
  public func add(_ instance: InstanceID, _ values: [String: String] = [:]) throws {
    try add(to: "instances", Self.instanceRow(instance).merging(values) { $1 })
  }

  public static func instanceRow(_ instance: InstanceID) -> [String: String] {
    [
      "uuid": "'\(instance)'", "host": "'compute-1'", "node": "'compute-1.example.org'",
      "vm_state": "'active'", "deleted": "0", "project_id": "'project-1'", "user_id": "'user-1'",
      "display_name": "'vm'", "created_at": "'2026-01-01 05:16:48'",
    ]
  }

  /// Adds a compute service, and the compute node of the same host.
  public func addHost(_ host: String, service: UUID128, node: UUID128) throws {
    let binary = server.engine == .mariadb ? "`binary`" : "\"binary\""
    try execute(
      """
      INSERT INTO services (host, \(binary), topic, report_count, deleted, uuid)
        VALUES ('\(host)', 'nova-compute', 'compute', 1, 0, '\(service)');
      INSERT INTO compute_nodes (host, hypervisor_hostname, deleted, uuid)
        VALUES ('\(host)', '\(host).example.org', 0, '\(node)');
      """)
  }

  /// Makes every query that reads instances take so long.
  public func makeSlow(seconds: Double) throws {
    switch server.engine {
    case .mariadb:
      try execute(
        """
        RENAME TABLE instances TO real_instances;
        CREATE VIEW instances AS SELECT real_instances.* FROM real_instances,
          (SELECT SLEEP(\(seconds)) AS done) AS pause;
        """)
    case .postgresql:
      try execute(
        """
        ALTER TABLE instances RENAME TO real_instances;
        CREATE VIEW instances AS WITH pause AS MATERIALIZED (SELECT pg_sleep(\(seconds)))
          SELECT real_instances.* FROM real_instances, pause;
        GRANT SELECT ON instances TO \(user);
        """)
    }
  }

  // MARK: - Schemas

  private static func cellTables(_ engine: ServerEngine, _ withHidden: Bool) -> String {
    let (time, flag, id, binary) = words(engine)
    return """
      CREATE TABLE instances (
        created_at \(time), updated_at \(time), deleted_at \(time), \(id),
        user_id VARCHAR(255), project_id VARCHAR(255), vm_state VARCHAR(255), host VARCHAR(255),
        launched_at \(time), terminated_at \(time), display_name VARCHAR(255),
        uuid VARCHAR(36) NOT NULL, task_state VARCHAR(255), node VARCHAR(255), deleted INTEGER,
        image_ref VARCHAR(255), availability_zone VARCHAR(255), instance_type_id INTEGER,
        key_name VARCHAR(255),
        cleaned INTEGER, \(withHidden ? "hidden \(flag), compute_id BIGINT," : "")
        CONSTRAINT uniq_instances0uuid UNIQUE (uuid));
      CREATE INDEX instances_uuid_deleted_idx ON instances (uuid, deleted);
      CREATE INDEX instances_host_node_deleted_idx ON instances (host, node, deleted);
      CREATE INDEX instances_host_deleted_cleaned_idx ON instances (host, deleted, cleaned);
      CREATE INDEX instances_deleted_created_at_idx ON instances (deleted, created_at);
      CREATE INDEX instances_project_id_idx ON instances (project_id);
      CREATE INDEX instances_project_id_deleted_idx ON instances (project_id, deleted);
      CREATE INDEX instances_updated_at_project_id_idx ON instances (updated_at, project_id);
      CREATE INDEX instances_terminated_at_launched_at_idx
        ON instances (terminated_at, launched_at);
      CREATE TABLE services (
        \(id), host VARCHAR(255), \(binary) VARCHAR(255), topic VARCHAR(255),
        report_count INTEGER NOT NULL, disabled \(flag), deleted INTEGER, last_seen_up \(time),
        forced_down \(flag), version INTEGER, uuid VARCHAR(36));
      CREATE UNIQUE INDEX services_uuid_idx ON services (uuid);
      CREATE TABLE compute_nodes (
        \(id), hypervisor_hostname VARCHAR(255), deleted INTEGER, host VARCHAR(255),
        uuid VARCHAR(36), mapped INTEGER);
      CREATE UNIQUE INDEX compute_nodes_uuid_idx ON compute_nodes (uuid);
      CREATE TABLE migrations (
        \(id), uuid VARCHAR(36), instance_uuid VARCHAR(36), source_compute VARCHAR(255),
        dest_compute VARCHAR(255), status VARCHAR(255), created_at \(time),
        cross_cell_move \(flag));
      CREATE TABLE instance_extra (
        \(id), deleted INTEGER, instance_uuid VARCHAR(36) NOT NULL, numa_topology TEXT,
        pci_requests TEXT, flavor TEXT, keypairs TEXT);
      CREATE INDEX instance_extra_idx ON instance_extra (instance_uuid);
      CREATE TABLE instance_system_metadata (
        \(id), instance_uuid VARCHAR(36) NOT NULL,
        \(engine == .mariadb ? "`key`" : "\"key\"") VARCHAR(255) NOT NULL, value VARCHAR(255),
        deleted INTEGER);
      CREATE INDEX instance_uuid ON instance_system_metadata (instance_uuid);
      CREATE TABLE block_device_mapping (
        \(id), instance_uuid VARCHAR(36), deleted INTEGER, boot_index INTEGER,
        destination_type VARCHAR(255));
      CREATE INDEX block_device_mapping_instance_uuid_idx
        ON block_device_mapping (instance_uuid);
      """
  }

  private static func apiTables(_ engine: ServerEngine) -> String {
    let (time, flag, id, _) = words(engine)
    return """
      CREATE TABLE cell_mappings (
        created_at \(time), updated_at \(time), \(id), uuid VARCHAR(36) NOT NULL UNIQUE,
        name VARCHAR(255), transport_url TEXT, database_connection TEXT, disabled \(flag));
      CREATE TABLE host_mappings (
        created_at \(time), updated_at \(time), \(id), cell_id INTEGER NOT NULL,
        host VARCHAR(255) NOT NULL UNIQUE);
      CREATE TABLE instance_mappings (
        created_at \(time), updated_at \(time), \(id), instance_uuid VARCHAR(36) NOT NULL UNIQUE,
        cell_id INTEGER, project_id VARCHAR(255) NOT NULL, queued_for_delete \(flag),
        user_id VARCHAR(255));
      """
  }

  private static func words(
    _ engine: ServerEngine
  ) -> (time: String, flag: String, id: String, binary: String) {
    switch engine {
    case .mariadb:
      ("DATETIME", "TINYINT(1)", "id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY", "`binary`")
    case .postgresql: ("TIMESTAMP", "BOOLEAN", "id SERIAL PRIMARY KEY", "\"binary\"")
    }
  }
}
