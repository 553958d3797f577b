internal import Journal
internal import Projections

/// The statements that read a page, in the SQL of an engine; to be run one after the other until the
/// page is full.
///
/// A row has what `CellInstance` is made of, and the UUID last.
struct InstancePageSQL {
  private let query: InstancePageQuery
  private let tables: NovaCellTables

  init(_ query: InstancePageQuery, of tables: NovaCellTables) {
    self.query = query
    self.tables = tables
  }

  private var dialect: SQLDialect { tables.dialect }

  /// Where a row has the column.
  static func place(of column: InstanceColumn) -> Int {
    switch column {
    case .host: 0
    case .vmState: 1
    case .displayName: 6
    case .project: 7
    case .createdAt: 9
    case .updatedAt: 10
    case .launchedAt: 12
    case .uuid: 13
    }
  }

  /// How many statements there are.
  var count: Int { segments.count }

  /// One of the statements, for so many rows.
  func statement(_ number: Int, limit: Int) -> SQLQuery {
    let segment = segments[number]
    var sql = SQLQuery(
      dialect, on: .instances, "SELECT \(tables.instanceColumns), uuid FROM instances")
    var conditions = filterConditions(&sql)
    var placeholders: [Int: String] = [:]
    let condition = order.condition(of: segment, after: nulls) { place in
      if let known = placeholders[place] { return known }
      let made = sql.bind(value(at: place))
      placeholders[place] = made
      return made
    }
    if let condition { conditions.append("(\(condition))") }
    if !conditions.isEmpty { sql.append(" WHERE " + conditions.joined(separator: " AND ")) }
    let terms = order.ordering(of: segment).enumerated().map { place, term in
      // Where the segment has no NULL there is none to place, and every index fits.
      segment == .values && place == 0 || !term.isNullable
        ? "\(term.expression) \(term.isDescending ? "DESC" : "ASC")"
        : dialect.order(term.expression, descending: term.isDescending)
    }
    sql.append(" ORDER BY \(terms.joined(separator: ", ")) LIMIT \(limit)")
    return sql
  }

  // MARK: Order

  private var nulls: [Bool]? { query.after?.map { $0 == .null } }
  private var segments: [KeysetOrder.Segment] { order.segments(after: nulls) }

  private var order: KeysetOrder {
    KeysetOrder(
      query.order.keys.map { key in
        KeysetOrder.Term(
          expression(key.column), isDescending: key.isDescending,
          isNullable: key.column != .uuid, isIndexed: isIndexed(key.column))
      })
  }

  private func expression(_ column: InstanceColumn) -> String {
    // UUIDs in small letters and times have the same order in every collation.
    column.isTime || column == .uuid ? column.name : dialect.byteOrder(column.name)
  }

  /// Whether one of Nova's own indexes gives the order, and none is better for the filter.
  private func isIndexed(_ column: InstanceColumn) -> Bool {
    if query.filter.project != nil || query.filter.host != nil { return false }
    return switch column {
    case .uuid, .updatedAt: true
    // `instances_deleted_created_at_idx`: rows in this order for one value of `deleted`.
    case .createdAt: query.filter.deletion == .live
    // A collation of the server's own isn't the order of bytes.
    case .host, .project: dialect == .sqlite
    case .displayName, .vmState, .launchedAt: false
    }
  }

  private func value(at place: Int) -> SQLValue {
    switch query.after?[place] {
    case nil, .null?: .null
    case .time(let time)?: dialect.time(time)
    case .text(let text)?: .text(text)
    case .uuid(let uuid)?: .text(ByteText(uuid.description))
    }
  }

  // MARK: Filter

  private func filterConditions(_ sql: inout SQLQuery) -> [String] {
    let filter = query.filter
    var conditions: [String] = []
    if let instance = filter.instance {
      conditions.append("uuid = \(sql.bind(.text(ByteText(instance.description))))")
    }
    for (column, text) in [
      ("project_id", filter.project), ("user_id", filter.user), ("host", filter.host),
      ("vm_state", filter.vmState),
    ] {
      guard let text else { continue }
      conditions.append(dialect.equals(column, sql.bind(.text(text))))
    }
    if let name = filter.name {
      conditions.append(contains("display_name", sql.bind(.text(name))))
    }
    if let since = filter.changedSince {
      let time = sql.bind(dialect.time(since))
      conditions.append(
        "(updated_at >= \(time) OR (updated_at IS NULL AND created_at >= \(time)))")
    }
    switch filter.deletion {
    case .live: conditions.append("\(deleted) = 0")
    case .deleted: conditions.append("deleted <> 0")
    case .any: break
    }
    if tables.hasHidden, !filter.includesHidden { conditions.append("hidden IS NOT TRUE") }
    return conditions
  }

  /// The column of Nova's mark. SQLite takes any index that begins with it for better than the one
  /// of the order, though nearly all rows have 0; the sign keeps it from that.
  private var deleted: String {
    let first = query.order.keys[0].column
    return dialect != .sqlite || first == .createdAt && isIndexed(first) ? "deleted" : "+deleted"
  }

  private func contains(_ column: String, _ text: String) -> String {
    switch dialect {
    case .sqlite: "instr(\(column), \(text)) > 0"
    case .mariadb: "INSTR(\(dialect.byteOrder(column)), \(text)) > 0"
    case .postgresql: "strpos(\(column), \(text)) > 0"
    }
  }
}
