internal import Cells
public import Journal
internal import Projections

/// A Nova API database that a map is published to: its three mapping tables, and those of its global
/// tables that were asked for, read page by page and written row by row, and nothing else of it.
///
/// Belongs to one thread at a time. Each call returns within its deadline.
public final class PublicationTarget {
  /// The public form of the database's address.
  public let publicForm: ByteText
  /// The file or address, as a retry of the same command names it again.
  let name: String
  let connection: DatabaseConnection
  /// `instance_mappings.instance_uuid` as it is ordered by the UUIDs' bytes.
  private let uuidOrder: String
  var dialect: SQLDialect { connection.dialect }

  /// How long one page of rows, or one transaction, may take.
  private let patience: Duration
  private let globals: GlobalTables

  /// Opens the database at an address.
  ///
  /// - Parameters:
  ///   - folder: Where relative paths of SQLite files are taken from.
  ///   - globals: The tables that are written beside the map's three.
  ///   - isReadOnly: Nothing is going to be written: an account that may only read will do.
  ///   - patience: How long one answer, or one transaction, may take.
  /// - Throws: `source` for one that can't be opened, or that isn't a Nova API database.
  public init(
    _ address: DatabaseAddress, relativeTo folder: String, globals: GlobalTables = [],
    isReadOnly: Bool = false, patience: Duration = NovaAPIDatabase.patience
  ) throws(PublicationError) {
    self.patience = patience
    self.globals = globals
    let source: NovaAPIDatabase
    do throws(AdoptionError) {
      source = try NovaAPIDatabase(address, relativeTo: folder, patience: patience)
    } catch {
      throw .source(error)
    }
    publicForm = source.publicForm
    name = source.name
    do throws(DatabaseError) {
      let opened =
        isReadOnly
        ? try DatabaseConnection.open(address, relativeTo: folder, until: .now + patience)
        : try DatabaseConnection.openForWriting(
          address, relativeTo: folder, until: .now + patience)
      let dialect = opened.dialect
      connection = opened
      let probes =
        PublishedTable.mapped.map { ($0.table, "id, created_at, updated_at") }
        + [(.buildRequests, "id, instance_uuid")]
        + globals.tables.map { table in
          let names = table.columns.map { dialect.name($0.name) }
          return (
            table.table, (["id", "created_at", "updated_at"] + names).joined(separator: ", ")
          )
        }
      for (table, columns) in probes {
        let text = "SELECT \(columns) FROM \(table) WHERE 1 = 0"
        try opened.forEachRow(
          of: SQLQuery(dialect, on: table, text), until: .now + patience
        ) { (_) throws(DatabaseError) in }
      }
      uuidOrder = try opened.uuidOrder(
        of: PublishedTable.instances.key.name, in: .instanceMappings, until: .now + patience)
    } catch .missing(let what) {
      throw .source(.notNovaAPI(source.publicForm, what: "it has no \(what)"))
    } catch .file(.statementRefused(let message, _)) {
      throw .source(.notNovaAPI(source.publicForm, what: message))
    } catch {
      throw .unreadable(source.publicForm, why: error.description)
    }
  }

  // MARK: Reading

  /// The next rows of a table in the order of its key, at most `limit`; UUIDs by their bytes.
  ///
  /// - Parameter last: The greatest key in question; nil for no bound.
  func rows(
    of table: PublishedTable, after key: ByteText?, through last: ByteText? = nil, limit: Int
  ) throws(PublicationError) -> [PublishedRow] {
    var query = select(table)
    var conditions: [String] = []
    let name = table == .instances ? uuidOrder : table.key.name
    if let key { conditions.append("\(name) > \(query.bind(.text(key)))") }
    if let last { conditions.append("\(name) <= \(query.bind(.text(last)))") }
    if !conditions.isEmpty { query.append(" WHERE " + conditions.joined(separator: " AND ")) }
    query.append(" ORDER BY \(name) LIMIT \(limit)")
    return try read(query) { (row) throws(DatabaseError) in try PublishedRow(row, of: table) }
  }

  /// The next rows of a table in the order of their numbers, at most `limit`; the first for nil.
  func rows(
    of table: PublishedTable, afterNumber number: UInt64?, limit: Int
  ) throws(PublicationError) -> [PublishedRow] {
    var query = select(table)
    if let number { query.append(" WHERE id > \(query.bind(SQLValue(number)))") }
    query.append(" ORDER BY id LIMIT \(limit)")
    return try read(query) { (row) throws(DatabaseError) in try PublishedRow(row, of: table) }
  }

  /// Those of the instances that Nova is still building.
  func buildRequests(among instances: [ByteText]) throws(PublicationError) -> Set<ByteText> {
    try found(
      instances, by: "instance_uuid", in: .buildRequests, value: { .text($0) },
      read: { (row) throws(DatabaseError) in try row.requiredText(0) })
  }

  /// Those of the keys that a table has a row of, as the database compares keys.
  func present(
    _ keys: [ByteText], in table: PublishedTable
  ) throws(PublicationError) -> Set<ByteText> {
    try present(keys, of: table.key.name, in: table)
  }

  /// Those of the key pairs, by user and name, that the database has.
  func present(
    keyPairs: [(user: ByteText, name: ByteText)]
  ) throws(PublicationError) -> Set<[ByteText]> {
    guard !keyPairs.isEmpty else { return [] }
    var query = SQLQuery(
      dialect, on: .keyPairs, "SELECT user_id, name FROM key_pairs WHERE (user_id, name) IN (")
    if dialect == .sqlite { query.append("VALUES ") }
    let pairs = keyPairs.map { "(\(query.bind(.text($0.user))), \(query.bind(.text($0.name))))" }
    query.append(pairs.joined(separator: ", ") + ")")
    return Set(
      try read(query) { (row) throws(DatabaseError) in
        [try row.requiredText(0), try row.requiredText(1)]
      })
  }

  /// Those of the texts that a column of a table has, as the database compares texts.
  func present(
    _ texts: [ByteText], of column: String, in table: PublishedTable
  ) throws(PublicationError) -> Set<ByteText> {
    try found(
      texts, by: column, in: table.table, value: { .text($0) },
      read: { (row) throws(DatabaseError) in try row.requiredText(0) })
  }

  /// Those of the numeric ids that a table has a row with.
  func taken(_ numbers: [UInt64], in table: PublishedTable) throws(PublicationError) -> Set<UInt64>
  {
    try found(
      numbers, by: "id", in: table.table, value: { SQLValue($0) },
      read: { (row) throws(DatabaseError) in UInt64(bitPattern: try row.integer(0)) })
  }

  /// The greatest numeric id in a column; 0 without rows.
  func largest(_ column: String, of table: PublishedTable) throws(PublicationError) -> UInt64 {
    let query = SQLQuery(
      dialect, on: table.table, "SELECT max(\(column)) FROM \(table.table)")
    let found = try read(query) { (row) throws(DatabaseError) in try row.integerIfPresent(0) }
    return UInt64(max(0, found.first.flatMap { $0 } ?? 0))
  }

  /// Whether a host or an instance names a cell by this number.
  func isReferenced(cell number: UInt64) throws(PublicationError) -> Bool {
    for table in [PublishedTable.hosts, .instances] {
      var query = SQLQuery(
        dialect, on: table.table, "SELECT 1 FROM \(table.table) WHERE cell_id = ")
      query.append(query.bind(SQLValue(number)) + " LIMIT 1")
      if try !read(query, { (_) throws(DatabaseError) in true }).isEmpty { return true }
    }
    return false
  }

  private func select(_ table: PublishedTable) -> SQLQuery {
    let names = table.columns.map(\.name).joined(separator: ", ")
    return SQLQuery(
      dialect, on: table.table, "SELECT id, created_at, updated_at, \(names) FROM \(table.table)")
  }

  private func found<Key, Value: Hashable>(
    _ keys: [Key], by column: String, in table: NovaTable, value: (Key) -> SQLValue,
    read: (SQLRow) throws(DatabaseError) -> Value
  ) throws(PublicationError) -> Set<Value> {
    guard !keys.isEmpty else { return [] }
    var query = SQLQuery(dialect, on: table, "SELECT \(column) FROM \(table) WHERE \(column) IN (")
    let names = keys.map { query.bind(value($0)) }
    query.append(names.joined(separator: ", ") + ")")
    return Set(try self.read(query, read))
  }

  private func read<Row>(
    _ query: SQLQuery, _ body: (SQLRow) throws(DatabaseError) -> Row
  ) throws(PublicationError) -> [Row] {
    var rows: [Row] = []
    do throws(DatabaseError) {
      try connection.forEachRow(of: query, until: .now + patience) {
        (row) throws(DatabaseError) in rows.append(try body(row))
      }
    } catch {
      throw .unreadable(publicForm, why: error.description)
    }
    return rows
  }

  // MARK: Writing

  /// Writes rows in one transaction, which is on disk once this returns; a deadlock is tried again.
  ///
  /// - Returns: Of each change whether it was written; false where the row isn't as it was seen.
  /// - Throws: The database's refusal; nothing of the batch is written then.
  func write(_ changes: [RowChange], at time: Timestamp) throws(DatabaseError) -> [Bool] {
    let statements = RowStatements(dialect, at: time)
    return try transaction { () throws(DatabaseError) in
      var written: [Bool] = []
      for change in changes {
        written.append(try self.connection.change(statements.forward(change)) > 0)
      }
      return written
    }
  }

  /// Sees to it that the database gives out no number that is written here; it may do nothing.
  func reserve(_ table: PublishedTable, upTo number: UInt64) throws(PublicationError) {
    let statements = RowStatements(dialect, at: .now).reservation(of: table, upTo: number)
    guard !statements.isEmpty else { return }
    do throws(DatabaseError) {
      try transaction { () throws(DatabaseError) in
        for statement in statements { _ = try self.connection.change(statement) }
      }
    } catch {
      throw unwritable(error)
    }
  }

  /// Deadlocks in a row after which another transaction's work is in the way for good.
  private static let maximumAttempts = 20

  private func transaction<Result>(
    _ body: () throws(DatabaseError) -> Result
  ) throws(DatabaseError) -> Result {
    var attempt = 1
    while true {
      let deadline = ContinuousClock.now + patience
      do throws(DatabaseError) {
        return try connection.transaction(until: deadline, body)
      } catch {
        // What has taken all the time there was, such as a file that another one holds, isn't worth as
        // much again.
        guard error.isDeadlock, attempt < Self.maximumAttempts, .now < deadline else {
          throw error
        }
        Pause.milliseconds(10 * attempt)
        attempt += 1
      }
    }
  }

  func unwritable(_ error: DatabaseError) -> PublicationError {
    .unwritable(publicForm, why: Self.why(error))
  }

  private static func why(_ error: DatabaseError) -> String {
    switch error {
    case .permissionDenied(let table):
      "this user may not write \(table); docs/grants.md has what publishing needs."
    case .failed(let server, _, "1290"), .failed(let server, _, "1792"),
      .failed(let server, _, "1836"), .failed(let server, _, "SQLSTATE 25006"):
      "\(server) only reads: it is a replica, or set so. Give the address of the one that writes."
    // SQLITE_READONLY
    case .file(.sqlite(code: 8, _, _, _)):
      "the file, or its file system, may only be read by who runs this."
    default: error.description
    }
  }

  /// Looks whether the tables can be written by this account, on this server; nothing is written.
  ///
  /// - Throws: `notWritable`, naming what is lacking.
  public func requireWritable() throws(PublicationError) {
    let statements = writeTrials
    do throws(DatabaseError) {
      try transaction { () throws(DatabaseError) in
        for statement in statements { _ = try self.connection.change(statement) }
      }
    } catch {
      switch error {
      case .deadlinePassed, .connectionLost, .file(.busy):
        throw .unreadable(publicForm, why: error.description)
      default: throw .notWritable(publicForm, why: Self.why(error))
      }
    }
  }

  /// Statements that want every right that publishing does, and touch no row.
  private var writeTrials: [SQLQuery] {
    let tables = PublishedTable.mapped + globals.tables
    return tables.flatMap { table in
      let name = table.table
      let names = ["id", "created_at", "updated_at"] + table.columns.map { dialect.name($0.name) }
      let list = names.joined(separator: ", ")
      var trials = [
        SQLQuery(
          dialect, on: name, "INSERT INTO \(name) (\(list)) SELECT \(list) FROM \(name) WHERE 1 = 0"
        )
      ]
      // PostgreSQL's locks, MariaDB's inserts beside others, and what is changed.
      if dialect != .postgresql || PublishedTable.mapped.contains(table) || table == .flavors {
        trials.append(
          SQLQuery(
            dialect, on: name, "UPDATE \(name) SET updated_at = updated_at WHERE 1 = 0"))
      }
      return trials
    }
  }
}

extension PublishedRow {
  /// A row in the columns that `PublicationTarget` selects.
  fileprivate init(_ row: SQLRow, of table: PublishedTable) throws(DatabaseError) {
    var values: [SQLValue] = []
    for (place, column) in table.columns.enumerated() {
      switch column.kind {
      case .number: values.append(try row.integerIfPresent(place + 3).map { .integer($0) } ?? .null)
      case .text, .time, .real, .word: values.append(SQLValue(try row.text(place + 3)))
      case .flag: values.append(SQLValue(try row.flag(place + 3)))
      }
    }
    self.init(
      number: UInt64(bitPattern: try row.integer(0)), values: values, createdAt: try row.text(1),
      updatedAt: try row.text(2))
  }
}
