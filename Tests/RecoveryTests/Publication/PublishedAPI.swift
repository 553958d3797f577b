import Foundation
import Journal
import TestServers
import TestSupport

/// The engines of a Nova API database.
enum APIEngine: String, CaseIterable, Sendable, CustomStringConvertible {
  case sqlite, mariadb, postgresql

  var description: String { rawValue }

  /// Those whose servers are installed here.
  static var available: [APIEngine] {
    allCases.filter { engine in engine.server.map(\.isInstalled) ?? true }
  }

  var server: ServerEngine? { ServerEngine(rawValue: rawValue) }
  func flag(_ flag: Bool) -> String {
    self == .postgresql ? (flag ? "true" : "false") : (flag ? "1" : "0")
  }
}

/// A Nova API database to publish into, with the three mapping tables, their keys, `build_requests`
/// and the global tables, as Nova's own migrations make them.
///
/// Tests look at it and change it by the engine's own client.
struct PublishedAPI: Sendable {
  let engine: APIEngine
  let address: DatabaseAddress
  /// Runs SQL by the engine's own client, and returns what it prints.
  let run: @Sendable (String) throws -> String

  /// - Parameter server: Of a server's own; else the one that tests share.
  init(
    _ engine: APIEngine, in folder: String, on server: TestServer? = nil, isDanish: Bool = false
  ) throws {
    self.engine = engine
    guard let kind = engine.server else {
      let path = folder + "/target-\(UUID().uuidString.prefix(8)).sqlite"
      address = try DatabaseAddress(parsing: Secret("sqlite:///\(path)"))
      run = { sql in
        try TestServer.run(
          "/usr/bin/env", ["sqlite3", "-bail", path],
          input: ".timeout 10000\n" + sql + "\n")
      }
      _ = try run(Self.sqliteTables)
      return
    }
    let database = try NovaServerDatabase.makeAPI(
      on: try server ?? .shared(kind), isDanish: isDanish)
    run = { sql in try database.execute(sql) }
    _ = try run(kind == .mariadb ? Self.mariadbTables : Self.postgresqlTables)
    address = try DatabaseAddress(
      parsing: database.server.address(
        database.name, user: try Self.grant(on: database), password: "PASSWORD"))
  }

  /// Gives a user exactly what docs/grants.md says that publishing needs.
  private static func grant(on database: NovaServerDatabase) throws -> String {
    let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../../docs/grants.md")
    let text = try String(contentsOf: page, encoding: .utf8)
    let user = database.name + "_writer"
    for block in ["publish", "publish-globals"] {
      guard let start = text.range(of: "```sql \(database.server.engine) \(block)\n")?.upperBound,
        let end = text[start...].range(of: "```")?.lowerBound
      else { throw TestServerMissing() }
      _ = try database.execute(
        text[start..<end].replacingOccurrences(of: "nova_api", with: database.name)
          .replacingOccurrences(of: "cellmap", with: user))
    }
    return user
  }

  struct TestServerMissing: Error {}

  static let tables = [
    "cell_mappings", "host_mappings", "instance_mappings", "build_requests", "request_specs",
    "flavors", "flavor_extra_specs", "key_pairs",
  ]

  /// All rows of all tables.
  func content() throws -> [String] {
    try Self.tables.map { table in try run("SELECT * FROM \(table) ORDER BY id;") }
  }

  /// The same without the times at which rows were written.
  func facts() throws -> [String] {
    [
      try run(
        "SELECT id, uuid, name, transport_url, database_connection, disabled FROM cell_mappings "
          + "ORDER BY id;"),
      try run("SELECT id, host, cell_id FROM host_mappings ORDER BY id;"),
      try run(
        "SELECT id, instance_uuid, cell_id, project_id, user_id, queued_for_delete "
          + "FROM instance_mappings ORDER BY id;"),
    ]
  }

  /// The first column of the first row.
  func value(_ sql: String) throws -> String {
    try run(sql + ";").trimmingCharacters(in: .whitespacesAndNewlines)
  }

  func instance(_ id: InstanceID, _ column: String) throws -> String {
    try value("SELECT \(column) FROM instance_mappings WHERE instance_uuid = '\(id)'")
  }

  /// Nova begins to build an instance.
  func addBuildRequest(_ id: InstanceID) throws {
    _ = try run(
      "INSERT INTO build_requests (project_id, instance_uuid) VALUES ('p', '\(id)');")
  }

  // MARK: Schemas

  private static let sqliteTables = """
    CREATE TABLE cell_mappings (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL, uuid VARCHAR(36) NOT NULL,
      name VARCHAR(255), transport_url TEXT, database_connection TEXT, disabled BOOLEAN,
      PRIMARY KEY (id), CONSTRAINT uniq_cell_mappings0uuid UNIQUE (uuid));
    CREATE TABLE host_mappings (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL, cell_id INTEGER NOT NULL,
      host VARCHAR(255) NOT NULL, PRIMARY KEY (id),
      CONSTRAINT uniq_host_mappings0host UNIQUE (host),
      FOREIGN KEY(cell_id) REFERENCES cell_mappings (id));
    CREATE TABLE instance_mappings (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL,
      instance_uuid VARCHAR(36) NOT NULL, cell_id INTEGER, project_id VARCHAR(255) NOT NULL,
      queued_for_delete BOOLEAN, user_id VARCHAR(255), PRIMARY KEY (id),
      CONSTRAINT uniq_instance_mappings0instance_uuid UNIQUE (instance_uuid),
      FOREIGN KEY(cell_id) REFERENCES cell_mappings (id));
    CREATE INDEX instance_uuid_idx ON instance_mappings (instance_uuid);
    CREATE INDEX project_id_idx ON instance_mappings (project_id);
    CREATE INDEX instance_mappings_user_id_project_id_idx
      ON instance_mappings (user_id, project_id);
    CREATE TABLE build_requests (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL,
      project_id VARCHAR(255) NOT NULL, instance_uuid VARCHAR(36), instance TEXT,
      block_device_mappings TEXT, tags TEXT, PRIMARY KEY (id),
      CONSTRAINT uniq_build_requests0instance_uuid UNIQUE (instance_uuid));
    CREATE TABLE request_specs (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL PRIMARY KEY,
      instance_uuid VARCHAR(36) NOT NULL UNIQUE, spec TEXT NOT NULL);
    CREATE TABLE flavors (
      created_at DATETIME, updated_at DATETIME, name VARCHAR(255) NOT NULL UNIQUE,
      id INTEGER NOT NULL PRIMARY KEY, memory_mb INTEGER NOT NULL, vcpus INTEGER NOT NULL, swap INTEGER NOT NULL,
      vcpu_weight INTEGER, flavorid VARCHAR(255) NOT NULL UNIQUE, rxtx_factor FLOAT,
      root_gb INTEGER, ephemeral_gb INTEGER, disabled BOOLEAN, is_public BOOLEAN,
      description TEXT);
    CREATE TABLE flavor_extra_specs (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL PRIMARY KEY, flavor_id INTEGER NOT NULL,
      "key" VARCHAR(255) NOT NULL, value VARCHAR(255), UNIQUE (flavor_id, "key"),
      FOREIGN KEY (flavor_id) REFERENCES flavors (id));
    CREATE TABLE key_pairs (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL,
      user_id VARCHAR(255) NOT NULL, fingerprint VARCHAR(255), public_key TEXT,
      type VARCHAR(4) DEFAULT 'ssh' NOT NULL, UNIQUE (user_id, name));
    """

  private static let mariadbTables = """
    ALTER TABLE host_mappings ADD FOREIGN KEY (cell_id) REFERENCES cell_mappings (id);
    ALTER TABLE instance_mappings ADD FOREIGN KEY (cell_id) REFERENCES cell_mappings (id);
    CREATE INDEX project_id_idx ON instance_mappings (project_id);
    CREATE INDEX instance_mappings_user_id_project_id_idx
      ON instance_mappings (user_id, project_id);
    CREATE TABLE build_requests (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY,
      project_id VARCHAR(255) NOT NULL, instance_uuid VARCHAR(36), instance MEDIUMTEXT,
      block_device_mappings MEDIUMTEXT, tags TEXT,
      CONSTRAINT uniq_build_requests0instance_uuid UNIQUE (instance_uuid));
    CREATE TABLE request_specs (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY,
      instance_uuid VARCHAR(36) NOT NULL UNIQUE, spec MEDIUMTEXT NOT NULL);
    CREATE TABLE flavors (
      created_at DATETIME, updated_at DATETIME, name VARCHAR(255) NOT NULL UNIQUE,
      id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY, memory_mb INTEGER NOT NULL, vcpus INTEGER NOT NULL, swap INTEGER NOT NULL,
      vcpu_weight INTEGER, flavorid VARCHAR(255) NOT NULL UNIQUE, rxtx_factor FLOAT,
      root_gb INTEGER, ephemeral_gb INTEGER, disabled TINYINT(1), is_public TINYINT(1),
      description TEXT);
    CREATE TABLE flavor_extra_specs (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY, flavor_id INTEGER NOT NULL,
      `key` VARCHAR(255) NOT NULL, value VARCHAR(255), UNIQUE (flavor_id, `key`),
      FOREIGN KEY (flavor_id) REFERENCES flavors (id));
    CREATE TABLE key_pairs (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(255) NOT NULL,
      user_id VARCHAR(255) NOT NULL, fingerprint VARCHAR(255), public_key TEXT,
      type ENUM('ssh', 'x509') DEFAULT 'ssh' NOT NULL, UNIQUE (user_id, name));
    """

  private static let postgresqlTables = """
    ALTER TABLE host_mappings ADD FOREIGN KEY (cell_id) REFERENCES cell_mappings (id);
    ALTER TABLE instance_mappings ADD FOREIGN KEY (cell_id) REFERENCES cell_mappings (id);
    CREATE INDEX project_id_idx ON instance_mappings (project_id);
    CREATE TABLE build_requests (
      created_at TIMESTAMP, updated_at TIMESTAMP, id SERIAL PRIMARY KEY,
      project_id VARCHAR(255) NOT NULL, instance_uuid VARCHAR(36) UNIQUE, instance TEXT,
      block_device_mappings TEXT, tags TEXT);
    CREATE TYPE keypair_types AS ENUM ('ssh', 'x509');
    CREATE TABLE request_specs (
      created_at TIMESTAMP, updated_at TIMESTAMP, id SERIAL PRIMARY KEY,
      instance_uuid VARCHAR(36) NOT NULL UNIQUE, spec TEXT NOT NULL);
    CREATE TABLE flavors (
      created_at TIMESTAMP, updated_at TIMESTAMP, name VARCHAR(255) NOT NULL UNIQUE,
      id SERIAL PRIMARY KEY, memory_mb INTEGER NOT NULL, vcpus INTEGER NOT NULL, swap INTEGER NOT NULL,
      vcpu_weight INTEGER, flavorid VARCHAR(255) NOT NULL UNIQUE, rxtx_factor FLOAT,
      root_gb INTEGER, ephemeral_gb INTEGER, disabled BOOLEAN, is_public BOOLEAN,
      description TEXT);
    CREATE TABLE flavor_extra_specs (
      created_at TIMESTAMP, updated_at TIMESTAMP, id SERIAL PRIMARY KEY, flavor_id INTEGER NOT NULL,
      "key" VARCHAR(255) NOT NULL, value VARCHAR(255), UNIQUE (flavor_id, "key"),
      FOREIGN KEY (flavor_id) REFERENCES flavors (id));
    CREATE TABLE key_pairs (
      created_at TIMESTAMP, updated_at TIMESTAMP, id SERIAL PRIMARY KEY, name VARCHAR(255) NOT NULL,
      user_id VARCHAR(255) NOT NULL, fingerprint VARCHAR(255), public_key TEXT,
      type keypair_types DEFAULT 'ssh' NOT NULL, UNIQUE (user_id, name));
    """
}
