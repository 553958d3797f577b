internal import Cells
internal import Journal

/// One row to write, and all that must hold when it is written.
struct RowChange: Sendable {
  /// What the statement looks at beside its own row, in the same moment.
  enum Condition: Hashable, Sendable {
    /// A numeric id is still that cell's.
    case cell(UInt64, ByteText)
    /// Nova is still building the instance, or isn't.
    case buildRequest(ByteText, exists: Bool)
    /// The instance has a mapping.
    case mapping(ByteText)
    /// A flavor is there exactly as it was written a moment ago.
    case flavor(PublishedRow)
  }

  let table: PublishedTable
  /// The row as it was seen; nil for one that wasn't there.
  let seen: PublishedRow?
  /// The row as it shall be.
  var row: PublishedRow
  var conditions: [Condition]

  /// The key in words; of one column, that column's text.
  var key: ByteText {
    let parts = table.keyColumns.indices.map { table.shown(row.values[$0], of: table.columns[$0]) }
    return parts.count == 1 ? row.key : ByteText(parts.joined(separator: " "))
  }

  /// The columns that it changes, with both values as people may see them.
  var differences: [(column: String, from: String, to: String)] {
    table.columns.indices.compactMap { place in
      let column = table.columns[place]
      let before = seen?.values[place]
      guard before != row.values[place] else { return nil }
      return (
        column.name, before.map { table.shown($0, of: column) } ?? "",
        table.shown(row.values[place], of: column)
      )
    }
  }

  /// Whether its statements, written out, show a secret.
  var holdsSecret: Bool {
    table.columns.indices.contains { place in
      [seen?.values[place], row.values[place]].contains { value in
        value.map { table.holdsSecret($0, of: table.columns[place]) } ?? false
      }
    }
  }
}

/// The SQL of row changes, written once for the three engines.
///
/// Each statement writes one row if all is as it was seen, and none otherwise.
struct RowStatements {
  let dialect: SQLDialect
  /// What `updated_at` becomes: whole seconds, which every engine keeps as they are.
  let now: Timestamp

  init(_ dialect: SQLDialect, at time: Timestamp) {
    self.dialect = dialect
    now = time.inWholeSeconds
  }

  /// The statement that writes a row.
  func forward(_ change: RowChange) -> SQLQuery {
    guard let seen = change.seen else { return insert(change) }
    return update(change, from: seen, to: updated(change), conditions: change.conditions)
  }

  /// The statement that puts back what `forward` found, if its row is as `forward` left it.
  func inverse(_ change: RowChange) -> SQLQuery {
    if let seen = change.seen { return update(change, from: updated(change), to: seen) }
    var query = query("DELETE FROM \(change.table.table) WHERE ", change)
    match(change.row, of: change.table, withCreation: false, &query)
    if change.table == .cells, let number = change.row.number {
      for table in ["host_mappings", "instance_mappings"] {
        let cell = query.bind(SQLValue(number))
        query.append(" AND NOT EXISTS (SELECT 1 FROM \(table) WHERE cell_id = \(cell))")
      }
    }
    return query
  }

  /// Lets PostgreSQL's own numbers begin behind one; nil for the engines that see to it themselves.
  ///
  /// Under a lock, or a number that is given out meanwhile could be given out again.
  func reservation(of table: PublishedTable, upTo number: UInt64) -> [SQLQuery] {
    guard dialect == .postgresql else { return [] }
    var query = SQLQuery(
      dialect, on: table.table,
      "SELECT setval(s::regclass, n) FROM (SELECT pg_get_serial_sequence('\(table.table)', 'id') AS s, "
        + "greatest((SELECT max(id) FROM \(table.table)), ")
    let most = query.bind(SQLValue(number))
    query.append(
      "\(most)) AS n) AS numbers WHERE s IS NOT NULL "
        + "AND coalesce(pg_sequence_last_value(s::regclass), 0) < n")
    let lock = SQLQuery(
      dialect, on: table.table, "LOCK TABLE \(table.table) IN SHARE ROW EXCLUSIVE MODE")
    return [lock, query]
  }

  // MARK: -

  private func query(_ text: String, _ change: RowChange) -> SQLQuery {
    SQLQuery(dialect, on: change.table.table, text)
  }

  private func updated(_ change: RowChange) -> PublishedRow {
    var row = change.row
    row.createdAt = change.seen?.createdAt
    if case .text(let text) = dialect.time(now) { row.updatedAt = text }
    return row
  }

  private func insert(_ change: RowChange) -> SQLQuery {
    let table = change.table
    var names: [String] = []
    var query = query("", change)
    var values: [String] = []
    func add(_ name: String, _ value: SQLValue, _ kind: SQLColumnKind) {
      names.append(name)
      values.append(dialect.value(query.bind(stored(value, kind)), of: kind))
    }
    if let number = change.row.number { add("id", SQLValue(number), .number) }
    add("created_at", SQLValue(change.row.createdAt), .time)
    for (place, column) in table.columns.enumerated() {
      add(dialect.name(column.name), change.row.values[place], column.kind)
    }
    query.append(
      "INSERT INTO \(table.table) (\(names.joined(separator: ", "))) SELECT "
        + values.joined(separator: ", ") + dialect.fromNothing)
    let key = hasKey(of: change.row, table, &query)
    query.append(" WHERE NOT EXISTS (SELECT 1 FROM \(table.table) WHERE \(key))")
    append(change.conditions, &query)
    query.append(dialect.unlessThere(in: table.table))
    return query
  }

  private func update(
    _ change: RowChange, from before: PublishedRow, to after: PublishedRow,
    conditions: [RowChange.Condition] = []
  ) -> SQLQuery {
    let table = change.table
    var query = query("UPDATE \(table.table) SET ", change)
    var settings: [String] = []
    for (place, column) in table.columns.enumerated()
    where before.values[place] != after.values[place] {
      let value = query.bind(stored(after.values[place], column.kind))
      settings.append("\(column.name) = \(dialect.value(value, of: column.kind))")
    }
    let time = query.bind(SQLValue(after.updatedAt))
    settings.append("updated_at = \(dialect.value(time, of: .time))")
    query.append(settings.joined(separator: ", ") + " WHERE ")
    match(before, of: table, withCreation: true, &query)
    append(conditions, &query)
    return query
  }

  /// The condition that a row is exactly as given.
  private func match(
    _ row: PublishedRow, of table: PublishedTable, withCreation: Bool, _ query: inout SQLQuery
  ) {
    // By an index, before the rest is looked at.
    var parts = [
      row.number.map { "id = \(query.bind(SQLValue($0)))" } ?? hasKey(of: row, table, &query)
    ]
    for (place, column) in table.columns.enumerated() {
      // MariaDB keeps fewer digits of it than a comparison has.
      if case .real = column.kind { continue }
      let value = query.bind(stored(row.values[place], column.kind))
      parts.append(dialect.isSame(dialect.name(column.name), as: value, column.kind))
    }
    if withCreation {
      parts.append(
        dialect.isSame("created_at", as: query.bind(SQLValue(row.createdAt)), .time))
    }
    parts.append(dialect.isSame("updated_at", as: query.bind(SQLValue(row.updatedAt)), .time))
    query.append(parts.joined(separator: " AND "))
  }

  /// The condition that a row has the key of another, as the database compares keys.
  private func hasKey(
    of row: PublishedRow, _ table: PublishedTable, _ query: inout SQLQuery
  ) -> String {
    table.keyColumns.indices.map { place in
      let column = table.columns[place]
      let value = query.bind(stored(row.values[place], column.kind))
      return "\(dialect.name(column.name)) = \(dialect.value(value, of: column.kind))"
    }.joined(separator: " AND ")
  }

  private func append(_ conditions: [RowChange.Condition], _ query: inout SQLQuery) {
    for condition in conditions {
      switch condition {
      case .cell(let number, let uuid):
        let id = query.bind(SQLValue(number))
        let text = query.bind(.text(uuid))
        query.append(
          " AND EXISTS (SELECT 1 FROM cell_mappings WHERE id = \(id) AND uuid = "
            + dialect.value(text, of: .text) + ")")
      case .buildRequest(let instance, let exists):
        let text = query.bind(.text(instance))
        query.append(
          " AND \(exists ? "" : "NOT ")EXISTS (SELECT 1 FROM build_requests WHERE instance_uuid = "
            + dialect.value(text, of: .text) + ")")
      case .mapping(let instance):
        let text = query.bind(.text(instance))
        query.append(
          " AND EXISTS (SELECT 1 FROM instance_mappings WHERE instance_uuid = "
            + dialect.value(text, of: .text) + ")")
      case .flavor(let row):
        query.append(" AND EXISTS (SELECT 1 FROM flavors WHERE ")
        match(row, of: .flavors, withCreation: true, &query)
        query.append(")")
      }
    }
  }

  /// A value as the engine keeps it.
  private func stored(_ value: SQLValue, _ kind: SQLColumnKind) -> SQLValue {
    guard kind == .flag, case .integer(let number) = value else { return value }
    return dialect.flag(number != 0)
  }
}
