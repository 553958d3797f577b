internal import Journal
internal import Projections

/// The statements that read a page, in the SQL of an engine: one for each segment, to be run one
/// after the other until the page is full.
///
/// A row has what `CellInstance` is made of, and the UUID last.
struct InstancePageSQL {
  private let query: InstancePageQuery
  private let tables: NovaCellTables
  /// The column of UUIDs as it is ordered by their bytes.
  private let uuid: String
  /// The value of the first key that a group's rows have.
  private var group: SortValue?

  /// - Parameter uuid: What `CellConnection.uuidOrder` gives.
  init(_ query: InstancePageQuery, of tables: NovaCellTables, uuid: String) {
    self.query = query
    self.tables = tables
    self.uuid = uuid
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

  /// The parts of the rows that have a statement each.
  var segments: [KeysetOrder.Segment] { order.segments(after: nulls) }

  /// Whether the statement gives a segment's rows in the order of the first key alone, equal ones in
  /// any.
  ///
  /// MariaDB sorts all rows of a range, or none: it can't sort just those that the index leaves equal.
  func isOrderedByFirstKeyAlone(_ segment: KeysetOrder.Segment) -> Bool {
    dialect == .mariadb && segment == .values
  }

  /// The statement for the rows that have one value of the first key, which isn't NULL.
  func statement(forGroup value: SortValue, limit: Int) -> SQLQuery {
    var sql = self
    sql.group = value
    return sql.statement(.group(isBegun: query.after?[0] == value), limit: limit)
  }

  /// The statement for so many rows of a segment.
  func statement(_ segment: KeysetOrder.Segment, limit: Int) -> SQLQuery {
    var sql = SQLQuery(
      dialect, on: .instances, "SELECT \(tables.instanceColumns), uuid FROM instances")
    let isByDeletion = isOrderedByDeletion(segment)
    var conditions = filterConditions(&sql, isByDeletion: isByDeletion)
    var placeholders: [Int: String] = [:]
    let condition = order.condition(of: segment, after: nulls) { place in
      if let known = placeholders[place] { return known }
      let made = sql.bind(value(at: place))
      placeholders[place] = made
      return made
    }
    if let condition { conditions.append("(\(condition))") }
    sql.append(" WHERE " + conditions.joined(separator: " AND "))
    let keys = order.ordering(of: segment).prefix(isOrderedByFirstKeyAlone(segment) ? 1 : .max)
    let terms = keys.enumerated().map { place, term in
      // Where the segment has no NULL there is none to place, and every index fits.
      segment == .values && place == 0 || !term.isNullable
        ? "\(term.expression) \(term.isDescending ? "DESC" : "ASC")"
        : dialect.order(term.expression, descending: term.isDescending)
    }
    let leading = isByDeletion ? "deleted \(keys[0].isDescending ? "DESC" : "ASC"), " : ""
    sql.append(" ORDER BY \(leading)\(terms.joined(separator: ", ")) LIMIT \(limit)")
    return sql
  }

  /// Whether a statement names the mark of deletion as a range and as its first key, as the index of
  /// `created_at` has it. Given the one value, MariaDB reads that index from its end up to the page.
  private func isOrderedByDeletion(_ segment: KeysetOrder.Segment) -> Bool {
    isOrderedByFirstKeyAlone(segment) && query.order.keys[0].column == .createdAt
  }

  // MARK: Order

  private var nulls: [Bool]? { query.after?.map { $0 == .null } }

  private var order: KeysetOrder {
    KeysetOrder(
      query.order.keys.map { key in
        KeysetOrder.Term(
          expression(key.column), isDescending: key.isDescending,
          isNullable: key.column != .uuid, isIndexed: isIndexed(key.column))
      })
  }

  private func expression(_ column: InstanceColumn) -> String {
    if column == .uuid { return uuid }
    return column.isTime ? column.name : dialect.byteOrder(column.name)
  }

  /// Whether one of Nova's own indexes gives the order, and none is better for the filter.
  private func isIndexed(_ column: InstanceColumn) -> Bool {
    if query.filter.project != nil || query.filter.host != nil { return false }
    return switch column {
    case .uuid: uuid == column.name
    case .updatedAt: true
    // `instances_deleted_created_at_idx`: rows in this order for one value of `deleted`.
    case .createdAt: query.filter.deletion == .live
    // A collation of the server's own isn't the order of bytes.
    case .host, .project: dialect == .sqlite
    case .displayName, .vmState, .launchedAt: false
    }
  }

  private func value(at place: Int) -> SQLValue {
    let value = place == 0 ? group ?? query.after?[0] : query.after?[place]
    return switch value {
    case nil, .null?: .null
    case .time(let time)?: dialect.time(time)
    case .text(let text)?: .text(text)
    case .uuid(let uuid)?: .text(ByteText(uuid.description))
    }
  }

  // MARK: Filter

  private func filterConditions(_ sql: inout SQLQuery, isByDeletion: Bool) -> [String] {
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
    case .live: conditions += isByDeletion ? ["deleted >= 0", "deleted <= 0"] : ["\(deleted) = 0"]
    case .deleted: conditions.append("deleted <> 0")
    case .any: break
    }
    if tables.hasHidden, !filter.includesHidden { conditions.append("hidden IS NOT TRUE") }
    // Nova's online data migrations leave a deleted row that is no instance.
    conditions.append("uuid <> \(sql.bind(.text(ByteText(InstanceID(.zero).description))))")
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
