public import Journal
internal import Projections

/// The three mapping tables of a Nova API database, read in one snapshot.
///
/// Reads a SQLite file, and never writes to it. Belongs to one thread at a time.
public final class NovaAPIDatabase {
  /// The public form of the database's address.
  public let publicForm: ByteText
  /// When the snapshot was opened.
  public let snapshotAt: Timestamp
  /// The file, as a retry of the same command names it again.
  let path: String
  private let connection: SQLiteConnection

  /// Opens the database and a snapshot that lasts as long as this object.
  ///
  /// - Parameter path: The file; absolute, or relative to the process's folder.
  /// - Throws: `AdoptionError.unreadable` if it can't be opened; `notNovaAPI` if a table or a column
  ///   that the map needs isn't there.
  public init(path: String, publicForm: ByteText) throws(AdoptionError) {
    self.publicForm = publicForm
    self.path = path
    do throws(ProjectionError) {
      connection = try SQLiteConnection(path: path, mode: .readOnly)
      try connection.execute("BEGIN")
      for (table, columns) in NovaAPIDatabase.tables {
        do throws(ProjectionError) {
          // The first read takes the snapshot.
          _ = try connection.prepare("SELECT \(columns) FROM \(table) LIMIT 1").step()
        } catch .statementRefused(let message, _) {
          throw .statementRefused(message: message, path: path)
        }
      }
    } catch .statementRefused(let message, _) {
      throw .notNovaAPI(publicForm, what: message)
    } catch {
      throw .unreadable(publicForm, why: error.description)
    }
    snapshotAt = .now
  }

  private static let tables = [
    ("cell_mappings", "id, uuid, name, transport_url, database_connection, disabled, created_at"),
    ("host_mappings", "id, host, cell_id, created_at"),
    (
      "instance_mappings",
      "id, instance_uuid, cell_id, project_id, user_id, queued_for_delete, created_at"
    ),
  ]

  /// All rows of `cell_mappings`, by their numbers.
  public func cells() throws(AdoptionError) -> [NovaCellRow] {
    try rows(NovaAPIDatabase.tables[0], "ORDER BY id") { (row) throws(ProjectionError) in
      NovaCellRow(
        number: UInt64(bitPattern: try row.integer(0)), uuid: try row.text(1),
        name: try row.textIfPresent(2), queue: try secret(row, 3), database: try secret(row, 4),
        disabled: try row.flagIfPresent(5), createdAt: try time(row, 6))
    }
  }

  /// The next rows of `host_mappings` in the order of host names; at most `limit`.
  public func hosts(
    after host: ByteText?, limit: Int
  ) throws(AdoptionError) -> [NovaHostRow] {
    try rows(NovaAPIDatabase.tables[1], by: "host", after: host, limit: limit) {
      (row) throws(ProjectionError) in
      NovaHostRow(
        number: UInt64(bitPattern: try row.integer(0)), host: try row.text(1),
        cellNumber: UInt64(bitPattern: try row.integer(2)), createdAt: try time(row, 3))
    }
  }

  /// The next rows of `instance_mappings` in the order of UUIDs; at most `limit`.
  public func instances(
    after uuid: ByteText?, limit: Int
  ) throws(AdoptionError) -> [NovaInstanceRow] {
    try rows(NovaAPIDatabase.tables[2], by: "instance_uuid", after: uuid, limit: limit) {
      (row) throws(ProjectionError) in
      NovaInstanceRow(
        number: UInt64(bitPattern: try row.integer(0)), uuid: try row.text(1),
        cellNumber: try row.integerIfPresent(2).map { UInt64(bitPattern: $0) },
        project: try row.text(3), user: try row.textIfPresent(4),
        queuedForDelete: try row.flagIfPresent(5), createdAt: try time(row, 6))
    }
  }

  /// Whether `host_mappings` has a row of the host.
  public func hasHost(_ name: ByteText) throws(AdoptionError) -> Bool {
    try has(name, in: "host_mappings WHERE host = ?1")
  }

  /// Whether `instance_mappings` has a row of the instance.
  public func hasInstance(_ id: InstanceID) throws(AdoptionError) -> Bool {
    try has(ByteText(id.description), in: "instance_mappings WHERE instance_uuid = ?1")
  }

  private func has(_ key: ByteText, in rest: String) throws(AdoptionError) -> Bool {
    do throws(ProjectionError) {
      let statement = try connection.prepare("SELECT 1 FROM \(rest)")
      try statement.bind(key, at: 1)
      defer { statement.reset() }
      return try statement.step()
    } catch {
      throw .unreadable(publicForm, why: error.description)
    }
  }

  /// A page in the order of a key; the first one begins with the least key, an empty one too.
  private func rows<Row>(
    _ table: (name: String, columns: String), by key: String, after last: ByteText?, limit: Int,
    read: (SQLiteStatement) throws(ProjectionError) -> Row
  ) throws(AdoptionError) -> [Row] {
    let condition = last == nil ? "" : "WHERE \(key) > ?1 "
    return try rows(table, condition + "ORDER BY \(key) LIMIT \(limit)", key: last, read: read)
  }

  private func rows<Row>(
    _ table: (name: String, columns: String), _ rest: String, key: ByteText? = nil,
    read: (SQLiteStatement) throws(ProjectionError) -> Row
  ) throws(AdoptionError) -> [Row] {
    do throws(ProjectionError) {
      let statement = try connection.prepare(
        "SELECT \(table.columns) FROM \(table.name) \(rest)")
      if let key { try statement.bind(key, at: 1) }
      var rows: [Row] = []
      while try statement.step() { rows.append(try read(statement)) }
      return rows
    } catch {
      throw .unreadable(publicForm, why: error.description)
    }
  }

  private func secret(
    _ row: SQLiteStatement, _ column: Int
  ) throws(ProjectionError) -> Secret? {
    try row.textBytesIfPresent(column).map { Secret($0) }
  }

  private func time(
    _ row: SQLiteStatement, _ column: Int
  ) throws(ProjectionError) -> Timestamp? {
    try row.textIfPresent(column).flatMap { Timestamp($0.string) }
  }
}
