internal import Journal
internal import Projections

extension CellConnection {
  /// A page of the cell's instances.
  ///
  /// - Throws: `badValue` for a row that Nova wouldn't write: the others can't be told without it.
  public func page(_ query: InstancePageQuery) throws(CellError) -> [InstancePageRow] {
    let uuid = try uuidOrder()
    let sql = InstancePageSQL(query, of: tables, uuid: uuid)
    var rows: [InstancePageRow] = []
    for segment in sql.segments where rows.count < query.limit {
      var rest = query
      rest.limit -= rows.count
      rows +=
        sql.isOrderedByFirstKeyAlone(segment)
        ? try pageByGroups(rest, of: segment, uuid: uuid)
        : try self.rows(of: sql.statement(segment, limit: rest.limit), by: query.order)
    }
    return rows
  }

  /// A page of a segment whose rows come in the order of the first key alone: of rows that are equal
  /// in it any come first, so those of the last value are asked for once more, by themselves.
  private func pageByGroups(
    _ query: InstancePageQuery, of segment: KeysetOrder.Segment, uuid: String
  ) throws(CellError) -> [InstancePageRow] {
    var rows: [InstancePageRow] = []
    var rest = query
    while true {
      let sql = InstancePageSQL(rest, of: tables, uuid: uuid)
      // One row more tells whether the last value goes on beyond the page.
      let statement = sql.statement(segment, limit: rest.limit + 1)
      let read = try self.rows(of: statement, by: query.order)
        .sorted { query.order.precedes($0.values, $1.values) }
      guard read.count > rest.limit else { return rows + read }
      let value = read[rest.limit].values[0]
      rows += read.prefix { $0.values[0] != value }
      let missing = query.limit - rows.count
      if missing > 0 {
        let group = sql.statement(forGroup: value, limit: missing)
        rows += try self.rows(of: group, by: query.order)
      }
      if rows.count == query.limit { return rows }
      // Some of the group have gone between the two statements; there are others behind it.
      rest.after = rows.last?.values ?? rest.after
      rest.limit = query.limit - rows.count
    }
  }

  private func rows(
    of statement: SQLQuery, by order: InstanceOrder
  ) throws(CellError) -> [InstancePageRow] {
    var rows: [InstancePageRow] = []
    try forEachRow(of: statement) { row throws(DatabaseError) in
      rows.append(try InstancePageRow(in: row, by: order))
    }
    return rows
  }
}

extension InstancePageRow {
  fileprivate init(in row: SQLRow, by order: InstanceOrder) throws(DatabaseError) {
    guard let uuid = try row.uuid(InstancePageSQL.place(of: .uuid)) else {
      throw .badValue(column: "instances.uuid", found: "NULL")
    }
    values = try Self.values(in: row, by: order, uuid)
    instance = try CellInstance(InstanceID(uuid), in: row)
  }

  private static func values(
    in row: SQLRow, by order: InstanceOrder, _ uuid: UUID128
  ) throws(DatabaseError) -> [SortValue] {
    var values: [SortValue] = []
    values.reserveCapacity(order.keys.count)
    for key in order.keys {
      let place = InstancePageSQL.place(of: key.column)
      switch key.column {
      case .uuid: values.append(.uuid(uuid))
      case .createdAt, .updatedAt, .launchedAt:
        try checkForm(row, place, key.column)
        values.append(SortValue(try row.time(place)))
      case .host, .project, .displayName, .vmState: values.append(SortValue(try row.text(place)))
      }
    }
    return values
  }

  /// SQLite sorts times as text, which is the order of moments only if all are written alike.
  private static func checkForm(
    _ row: SQLRow, _ place: Int, _ column: InstanceColumn
  ) throws(DatabaseError) {
    guard case .sqlite = row, let text = try row.text(place)?.string.utf8 else { return }
    // What `Timestamp` reads has this form if the length, the separators and the end fit.
    let isNovas =
      text.count == 26 && text.dropFirst(10).first == UInt8(ascii: " ")
      && text.dropFirst(19).first == UInt8(ascii: ".") && text.last != UInt8(ascii: "Z")
    guard isNovas else {
      throw .badValue(column: "instances.\(column.name)", found: "a time in another form")
    }
  }
}
