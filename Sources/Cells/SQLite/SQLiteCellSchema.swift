internal import Journal
internal import Projections

extension NovaCellTables {
  /// Looks which columns a SQLite file has.
  ///
  /// - Throws: `notACell` naming the first table or column that is missing.
  init(of connection: SQLiteConnection, cell: CellID) throws(CellError) {
    var instanceColumns: Set<ByteText> = []
    for (table, columns) in Self.needed {
      let found = try Self.columns(of: table, in: connection, cell: cell)
      if found.isEmpty { throw .notACell(cell: cell, missing: "table \(table)") }
      for column in columns where !found.contains(ByteText(column)) {
        throw .notACell(cell: cell, missing: "column \(table).\(column)")
      }
      if table == .instances { instanceColumns = found }
    }
    self.init(dialect: .sqlite, hasHidden: instanceColumns.contains("hidden"))
  }

  private static func columns(
    of table: NovaTable, in connection: SQLiteConnection, cell: CellID
  ) throws(CellError) -> Set<ByteText> {
    do throws(ProjectionError) {
      let statement = try connection.prepare("PRAGMA table_info(\(table))")
      var names: Set<ByteText> = []
      while try statement.step() { names.insert(try statement.text(1)) }
      return names
    } catch {
      throw CellError(error, of: cell, table: table.rawValue)
    }
  }
}

extension SQLiteConnection {
  /// Runs a query and gives `body` each of its rows.
  func forEachRow(
    of query: SQLQuery, _ body: (SQLRow) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    let statement: SQLiteStatement
    do throws(ProjectionError) {
      statement = try prepare(query.text)
      for (place, value) in query.values.enumerated() {
        switch value {
        case .integer(let value): try statement.bind(value, at: place + 1)
        case .text(let text): try statement.bind(text, at: place + 1)
        case .null: try statement.bindNull(at: place + 1)
        }
      }
    } catch {
      throw .file(error)
    }
    defer { statement.reset() }
    let row = SQLRow.sqlite(statement, query.table)
    while true {
      do throws(ProjectionError) { guard try statement.step() else { return } } catch {
        throw .file(error)
      }
      try body(row)
    }
  }
}
