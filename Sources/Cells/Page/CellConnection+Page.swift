internal import Journal

extension CellConnection {
  /// A page of the cell's instances.
  ///
  /// - Throws: `badValue` for a row that Nova wouldn't write: the others can't be told without it.
  public func page(_ query: InstancePageQuery) throws(CellError) -> [InstancePageRow] {
    let sql = InstancePageSQL(query, of: tables)
    var rows: [InstancePageRow] = []
    for number in 0..<sql.count where rows.count < query.limit {
      let statement = sql.statement(number, limit: query.limit - rows.count)
      try forEachRow(of: statement) { row throws(DatabaseError) in
        rows.append(try InstancePageRow(in: row, by: query.order))
      }
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
