import Foundation
public import Journal
public import Projections

/// A cell's database as Nova makes it, with the columns and indexes that reading it needs.
///
/// The tests write it; what is tested reads it.
public struct NovaCellFile: Sendable {
  public let path: String

  public init(path: String) { self.path = path }

  /// Makes the file with Nova's tables, empty; who looks at `path` meanwhile finds all or nothing.
  public static func make(
    at path: String, journalMode: String = "delete", withHidden: Bool = true
  ) throws -> NovaCellFile {
    let beside = path + ".making"
    try SQLiteConnection.write(schema(withHidden: withHidden), to: beside)
    try FileManager.default.moveItem(atPath: beside, toPath: path)
    let file = NovaCellFile(path: path)
    try file.execute("PRAGMA journal_mode=\(journalMode)")
    return file
  }

  /// Runs SQL on the file, on a connection of its own.
  public func execute(_ sql: String) throws { try SQLiteConnection.write(sql, to: path) }

  /// A connection for a writer that stays, as a running Nova has.
  public func connect() throws -> SQLiteConnection { try SQLiteConnection.writer(of: path) }

  /// Adds an instance's row; `values` are SQL, by column.
  public func add(_ instance: InstanceID, _ values: [String: String] = [:]) throws {
    var row = [
      "uuid": "'\(instance)'", "host": "'compute-1'", "node": "'compute-1.example.org'",
      "vm_state": "'active'", "deleted": "0", "project_id": "'project-1'", "user_id": "'user-1'",
      "display_name": "'vm'", "created_at": "'2026-01-01 05:16:48.000000'",
    ]
    row.merge(values) { $1 }
    let columns = row.keys.sorted()
    try execute(
      "INSERT INTO instances (\(columns.joined(separator: ", "))) VALUES "
        + "(\(columns.map { row[$0] ?? "NULL" }.joined(separator: ", ")))")
  }

  /// Adds a compute service, and the compute node of the same host.
  public func addHost(_ host: String, service: UUID128, node: UUID128) throws {
    try execute(
      """
      INSERT INTO services (host, "binary", topic, report_count, deleted, uuid)
        VALUES ('\(host)', 'nova-compute', 'compute', 1, 0, '\(service)');
      INSERT INTO compute_nodes (host, hypervisor_hostname, deleted, uuid)
        VALUES ('\(host)', '\(host).example.org', 0, '\(node)');
      """)
  }

  private static func schema(withHidden: Bool) -> String {
    """
    CREATE TABLE instances (
      created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, id INTEGER NOT NULL,
      user_id VARCHAR(255), project_id VARCHAR(255), vm_state VARCHAR(255), host VARCHAR(255),
      launched_at DATETIME, terminated_at DATETIME, display_name VARCHAR(255),
      uuid VARCHAR(36) NOT NULL, task_state VARCHAR(255), node VARCHAR(255), deleted INTEGER,
      image_ref VARCHAR(255), availability_zone VARCHAR(255), instance_type_id INTEGER,
      key_name VARCHAR(255),
      cleaned INTEGER, \(withHidden ? "hidden BOOLEAN, compute_id BIGINT," : "")
      PRIMARY KEY (id), CONSTRAINT uniq_instances0uuid UNIQUE (uuid));
    CREATE INDEX instances_uuid_deleted_idx ON instances (uuid, deleted);
    CREATE INDEX instances_deleted_created_at_idx ON instances (deleted, created_at);
    CREATE INDEX instances_updated_at_project_id_idx ON instances (updated_at, project_id);
    CREATE INDEX instances_project_id_idx ON instances (project_id);
    CREATE INDEX instances_project_id_deleted_idx ON instances (project_id, deleted);
    CREATE INDEX instances_host_node_deleted_idx ON instances (host, node, deleted);
    CREATE INDEX instances_host_deleted_cleaned_idx ON instances (host, deleted, cleaned);
    CREATE INDEX instances_terminated_at_launched_at_idx
      ON instances (terminated_at, launched_at);
    CREATE INDEX instances_task_state_updated_at_idx ON instances (task_state, updated_at);
    CREATE TABLE services (
      id INTEGER NOT NULL, host VARCHAR(255), "binary" VARCHAR(255), topic VARCHAR(255),
      report_count INTEGER NOT NULL, deleted INTEGER, uuid VARCHAR(36), version INTEGER,
      last_seen_up DATETIME, disabled BOOLEAN, forced_down BOOLEAN, PRIMARY KEY (id));
    CREATE UNIQUE INDEX services_uuid_idx ON services (uuid);
    CREATE TABLE compute_nodes (
      id INTEGER NOT NULL, hypervisor_hostname VARCHAR(255), deleted INTEGER, host VARCHAR(255),
      uuid VARCHAR(36), mapped INTEGER, PRIMARY KEY (id));
    CREATE UNIQUE INDEX compute_nodes_uuid_idx ON compute_nodes (uuid);
    CREATE TABLE migrations (
      id INTEGER NOT NULL, uuid VARCHAR(36), instance_uuid VARCHAR(36),
      source_compute VARCHAR(255), dest_compute VARCHAR(255), status VARCHAR(255),
      created_at DATETIME, cross_cell_move BOOLEAN, PRIMARY KEY (id));
    CREATE TABLE instance_extra (
      deleted INTEGER, id INTEGER NOT NULL, instance_uuid VARCHAR(36) NOT NULL, numa_topology TEXT,
      pci_requests TEXT, flavor TEXT, keypairs TEXT, PRIMARY KEY (id));
    CREATE INDEX instance_extra_idx ON instance_extra (instance_uuid);
    CREATE TABLE instance_system_metadata (
      id INTEGER NOT NULL, instance_uuid VARCHAR(36) NOT NULL, "key" VARCHAR(255) NOT NULL,
      value VARCHAR(255), deleted INTEGER, PRIMARY KEY (id));
    CREATE INDEX instance_uuid ON instance_system_metadata (instance_uuid);
    CREATE TABLE block_device_mapping (
      id INTEGER NOT NULL, instance_uuid VARCHAR(36), deleted INTEGER, boot_index INTEGER,
      destination_type VARCHAR(255), PRIMARY KEY (id));
    CREATE INDEX block_device_mapping_instance_uuid_idx ON block_device_mapping (instance_uuid);
    """
  }
}
