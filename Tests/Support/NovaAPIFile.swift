public import Journal
import Projections
import TestServers

/// A Nova API database with the mapping tables as Nova makes them.
///
/// The tests write it; what is tested reads it. Values are SQL, by column.
public struct NovaAPIFile {
  public let path: String

  /// Makes the file with empty tables.
  public static func make(at path: String) throws -> NovaAPIFile {
    let file = NovaAPIFile(path: path)
    try file.execute(schema)
    return file
  }

  /// Runs SQL on the file, on a connection of its own.
  public func execute(_ sql: String) throws { try SQLiteConnection.write(sql, to: path) }

  /// Adds a row of `cell_mappings`.
  public func addCell(
    _ number: Int, _ id: CellID, name: String, database: String, queue: String = "none:///",
    _ values: [String: String] = [:]
  ) throws {
    let row = [
      "id": "\(number)", "uuid": quoted("\(id)"), "name": quoted(name),
      "database_connection": quoted(database), "transport_url": quoted(queue), "disabled": "0",
      "created_at": "'2026-01-02 03:04:05.000000'",
    ]
    try execute(NovaAPIFile.insert("cell_mappings", row.merging(values) { $1 }))
  }

  /// Adds a row of `host_mappings`.
  public func addHost(_ number: Int, _ host: String, cell: Int) throws {
    try execute(
      NovaAPIFile.insert(
        "host_mappings",
        [
          "id": "\(number)", "host": quoted(host), "cell_id": "\(cell)",
          "created_at": "'2026-01-02 03:04:06.000000'",
        ]))
  }

  /// Adds a row of `instance_mappings`.
  public func addInstance(
    _ number: Int, _ uuid: String, cell: Int?, _ values: [String: String] = [:]
  ) throws {
    try execute(NovaAPIFile.instance(number, uuid, cell: cell, values))
  }

  /// Adds many rows of `instance_mappings` in one transaction.
  public func addInstances(
    _ numbers: Range<Int>, cell: (Int) -> Int?, uuid: (Int) -> String
  ) throws {
    let rows = numbers.map { NovaAPIFile.instance($0, uuid($0), cell: cell($0), [:]) }
    try execute("BEGIN; " + rows.joined(separator: "; ") + "; COMMIT")
  }

  private static func instance(
    _ number: Int, _ uuid: String, cell: Int?, _ values: [String: String]
  ) -> String {
    let row = [
      "id": "\(number)", "instance_uuid": quoted(uuid), "cell_id": cell.map { "\($0)" } ?? "NULL",
      "project_id": "'project-1'", "user_id": "'user-1'", "queued_for_delete": "0",
      "created_at": "'2026-01-02 03:04:07.000000'",
    ]
    return insert("instance_mappings", row.merging(values) { $1 })
  }

  private static func insert(_ table: String, _ row: [String: String]) -> String {
    let columns = row.keys.sorted()
    let values = columns.map { row[$0] ?? "NULL" }
    return "INSERT INTO \(table) (\(columns.joined(separator: ", "))) "
      + "VALUES (\(values.joined(separator: ", ")))"
  }

  private static let schema = """
    CREATE TABLE cell_mappings (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL, uuid VARCHAR(36) NOT NULL,
      name VARCHAR(255), transport_url TEXT, database_connection TEXT, disabled BOOLEAN,
      PRIMARY KEY (id), CONSTRAINT uniq_cell_mappings0uuid UNIQUE (uuid));
    CREATE TABLE host_mappings (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL, cell_id INTEGER NOT NULL,
      host VARCHAR(255) NOT NULL, PRIMARY KEY (id),
      CONSTRAINT uniq_host_mappings0host UNIQUE (host));
    CREATE TABLE instance_mappings (
      created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL,
      instance_uuid VARCHAR(36) NOT NULL, cell_id INTEGER, project_id VARCHAR(255) NOT NULL,
      queued_for_delete BOOLEAN, user_id VARCHAR(255), PRIMARY KEY (id),
      CONSTRAINT uniq_instance_mappings0instance_uuid UNIQUE (instance_uuid));
    CREATE INDEX instance_uuid_idx ON instance_mappings (instance_uuid);
    CREATE INDEX host_idx ON host_mappings (host);
    """
}
