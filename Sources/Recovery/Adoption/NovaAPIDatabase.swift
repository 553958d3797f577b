internal import Cells
public import Journal
internal import Projections

/// The three mapping tables of a Nova API database, read in one snapshot.
///
/// Reads a SQLite file, or a MariaDB or PostgreSQL server, and never writes. Belongs to one thread at
/// a time.
public final class NovaAPIDatabase {
  /// The public form of the database's address.
  public let publicForm: ByteText
  /// When the snapshot was opened.
  public let snapshotAt: Timestamp
  /// The file or address, as a retry of the same command names it again.
  let name: String
  private let connection: DatabaseConnection
  /// `instance_mappings.instance_uuid` as it is ordered by the UUIDs' bytes.
  private let uuidOrder: String

  /// How long one page of rows may take, connecting included.
  private let patience: Duration
  public static let patience = Duration.seconds(60)

  /// Opens the database at an address and a snapshot that lasts as long as this object.
  ///
  /// - Parameters:
  ///   - folder: Where relative paths of SQLite files are taken from.
  ///   - patience: How long connecting, or a page of rows, may take.
  /// - Throws: `AdoptionError.unreadable` if it can't be opened; `notNovaAPI` if a table or a column
  ///   that the map needs isn't there.
  public convenience init(
    _ address: DatabaseAddress, relativeTo folder: String,
    patience: Duration = NovaAPIDatabase.patience
  ) throws(AdoptionError) {
    let form = address.publicForm
    let path = address.filePath(baseDirectory: ByteText(folder))?.string
    let opened: DatabaseConnection
    do throws(DatabaseError) {
      opened = try DatabaseConnection.open(
        address, relativeTo: folder, until: .now + patience)
    } catch {
      let isRelative = path != nil && path != address.filePath(baseDirectory: "/")?.string
      let hint =
        isRelative
        ? " The path is relative to \(folder): name another folder with --base-directory or "
          + "CELLMAP_BASE_DIRECTORY."
        : ""
      throw .unreadable(form, why: error.description + hint)
    }
    try self.init(opened, name: path ?? form.string, publicForm: form, patience: patience)
  }

  /// Opens a SQLite file, by its path; absolute, or relative to the process's folder.
  ///
  /// - Throws: As the other initialiser.
  public convenience init(path: String, publicForm: ByteText) throws(AdoptionError) {
    let opened: DatabaseConnection
    do throws(DatabaseError) { opened = try DatabaseConnection.open(file: path) } catch {
      throw .unreadable(publicForm, why: error.description)
    }
    try self.init(opened, name: path, publicForm: publicForm, patience: Self.patience)
  }

  private init(
    _ connection: DatabaseConnection, name: String, publicForm: ByteText, patience: Duration
  ) throws(AdoptionError) {
    self.patience = patience
    self.connection = connection
    self.name = name
    self.publicForm = publicForm
    do throws(DatabaseError) {
      try connection.beginSnapshot()
      for (table, columns) in NovaAPIDatabase.tables {
        // The first read takes the snapshot.
        let text = "SELECT \(columns) FROM \(table) LIMIT 1"
        try connection.forEachRow(
          of: SQLQuery(connection.dialect, on: table, text), until: .now + patience
        ) { (_) throws(DatabaseError) in }
      }
      uuidOrder = try connection.uuidOrder(
        of: "instance_uuid", in: .instanceMappings, until: .now + patience)
    } catch .file(.statementRefused(let message, _)) {
      throw .notNovaAPI(publicForm, what: message)
    } catch .missing(let what) {
      throw .notNovaAPI(publicForm, what: "it has no \(what)")
    } catch {
      throw .unreadable(publicForm, why: error.description)
    }
    snapshotAt = .now
  }

  private typealias Table = (name: NovaTable, columns: String)

  private static let tables: [Table] = [
    (.cellMappings, "id, uuid, name, transport_url, database_connection, disabled, created_at"),
    (.hostMappings, "id, host, cell_id, created_at"),
    (
      .instanceMappings,
      "id, instance_uuid, cell_id, project_id, user_id, queued_for_delete, created_at"
    ),
  ]

  /// All rows of `cell_mappings`, by their numbers.
  public func cells() throws(AdoptionError) -> [NovaCellRow] {
    let (table, columns) = NovaAPIDatabase.tables[0]
    return try rows(query("SELECT \(columns) FROM \(table) ORDER BY id", on: table)) {
      (row) throws(DatabaseError) in
      let time = try time(row, 6)
      return NovaCellRow(
        number: UInt64(bitPattern: try row.integer(0)), uuid: try row.requiredText(1),
        name: try row.text(2), queue: try row.secret(3), database: try row.secret(4),
        disabled: try row.flag(5), createdAt: time.value, hasUnreadTime: time.isUnread)
    }
  }

  /// The next rows of `host_mappings` in the order of host names; at most `limit`.
  public func hosts(
    after host: ByteText?, limit: Int
  ) throws(AdoptionError) -> [NovaHostRow] {
    try rows(page(NovaAPIDatabase.tables[1], by: "host", after: host, limit: limit)) {
      (row) throws(DatabaseError) in
      let time = try time(row, 3)
      return NovaHostRow(
        number: UInt64(bitPattern: try row.integer(0)), host: try row.requiredText(1),
        cellNumber: UInt64(bitPattern: try row.integer(2)), createdAt: time.value,
        hasUnreadTime: time.isUnread)
    }
  }

  /// The next rows of `instance_mappings` in the order of UUIDs; at most `limit`.
  public func instances(
    after uuid: ByteText?, limit: Int
  ) throws(AdoptionError) -> [NovaInstanceRow] {
    try rows(
      page(NovaAPIDatabase.tables[2], by: uuidOrder, after: uuid, limit: limit),
      read: instanceRow)
  }

  /// The rows of `instance_mappings` of some instances.
  func instances(
    among instances: [InstanceID]
  ) throws(AdoptionError) -> [InstanceID: NovaInstanceRow] {
    let (table, columns) = NovaAPIDatabase.tables[2]
    let query = query("SELECT \(columns)", of: instances, on: table)
    var found: [InstanceID: NovaInstanceRow] = [:]
    for row in try rows(query, read: instanceRow) {
      // In capitals it would be another row.
      if let id = InstanceID(row.uuid.string), "\(id)" == row.uuid.string { found[id] = row }
    }
    return found
  }

  /// Those of the instances that Nova has accepted and not yet put into a cell.
  func buildRequests(among instances: [InstanceID]) throws(AdoptionError) -> Set<InstanceID> {
    try identifiers(query("SELECT instance_uuid", of: instances, on: .buildRequests))
  }

  private func instanceRow(_ row: SQLRow) throws(DatabaseError) -> NovaInstanceRow {
    let time = try time(row, 6)
    return NovaInstanceRow(
      number: UInt64(bitPattern: try row.integer(0)), uuid: try row.requiredText(1),
      cellNumber: try row.integerIfPresent(2).map { UInt64(bitPattern: $0) },
      project: try row.requiredText(3), user: try row.text(4),
      queuedForDelete: try row.flag(5), createdAt: time.value, hasUnreadTime: time.isUnread)
  }

  /// Whether `host_mappings` has a row of the host, compared by bytes.
  public func hasHost(_ name: ByteText) throws(AdoptionError) -> Bool {
    var query = query("SELECT 1 FROM host_mappings WHERE ", on: .hostMappings)
    let value = query.bind(.text(name))
    query.append(connection.dialect.equals("host", value))
    return try !rows(query) { (_) throws(DatabaseError) in true }.isEmpty
  }

  /// Those of the instances of which `instance_mappings` has a row; asked for at once, since a map may
  /// have a million of them.
  public func known(among instances: [InstanceID]) throws(AdoptionError) -> Set<InstanceID> {
    try identifiers(query("SELECT instance_uuid", of: instances, on: .instanceMappings))
  }

  private func query(
    _ selection: String, of instances: [InstanceID], on table: NovaTable
  ) -> SQLQuery {
    var query = query("\(selection) FROM \(table) WHERE instance_uuid IN (", on: table)
    let values = instances.map { query.bind(.text(ByteText($0.description))) }
    query.append(values.joined(separator: ", ") + ")")
    return query
  }

  private func identifiers(_ query: SQLQuery) throws(AdoptionError) -> Set<InstanceID> {
    let found = try rows(query) { (row) throws(DatabaseError) in try row.requiredText(0).string }
    // In capitals it would be another row.
    return Set(found.compactMap { text in InstanceID(text).flatMap { "\($0)" == text ? $0 : nil } })
  }

  private func query(_ text: String, on table: NovaTable) -> SQLQuery {
    SQLQuery(connection.dialect, on: table, text)
  }

  /// A page in the order of a key; the first one begins with the least key, an empty one too.
  private func page(
    _ table: Table, by key: String, after last: ByteText?, limit: Int
  ) -> SQLQuery {
    var query = query("SELECT \(table.columns) FROM \(table.name) ", on: table.name)
    if let last { query.append("WHERE \(key) > \(query.bind(.text(last))) ") }
    query.append("ORDER BY \(key) LIMIT \(limit)")
    return query
  }

  private func rows<Row>(
    _ query: SQLQuery, read: (SQLRow) throws(DatabaseError) -> Row
  ) throws(AdoptionError) -> [Row] {
    var rows: [Row] = []
    do throws(DatabaseError) {
      try connection.forEachRow(of: query, until: .now + patience) {
        (row) throws(DatabaseError) in rows.append(try read(row))
      }
    } catch {
      throw .unreadable(publicForm, why: error.description)
    }
    return rows
  }

  /// A time that isn't one is left out: the map can do without it.
  private func time(
    _ row: SQLRow, _ column: Int
  ) throws(DatabaseError) -> (value: Timestamp?, isUnread: Bool) {
    guard let text = try row.text(column) else { return (nil, false) }
    let value = Timestamp(text.string)
    return (value, value == nil)
  }
}
