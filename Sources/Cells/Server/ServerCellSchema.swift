internal import Journal

extension NovaCellTables {
  /// Looks whether a database has a Nova cell's tables and columns; one query where all is well.
  ///
  /// - Throws: `missing` or `permissionDenied` naming the first table or column.
  init(of connection: ServerConnection) throws(DatabaseError) {
    let columns = Self.needed.flatMap { table, columns in columns.map { "\(table).\($0)" } }
    let tables = Self.needed.map(\.table.rawValue).joined(separator: ", ")
    func probe(_ columns: String, of tables: String, _ table: NovaTable) throws(DatabaseError) {
      let text = "SELECT \(columns) FROM \(tables) WHERE 1 = 0"
      try connection.forEachRow(of: SQLQuery(connection.dialect, on: table, text)) {
        (_) throws(DatabaseError) in
      }
    }
    func has(_ column: String) throws(DatabaseError) -> Bool {
      do throws(DatabaseError) {
        try probe(column, of: tables, .instances)
        return true
      } catch .missing {
        return false
      } catch .permissionDenied {
        return false
      }
    }
    if try has((columns + ["instances.hidden"]).joined(separator: ", ")) {
      self.init(dialect: connection.dialect, hasHidden: true)
      return
    }
    for (table, columns) in Self.needed {
      do throws(DatabaseError) { try probe("1", of: table.rawValue, table) } catch .missing {
        throw .missing("table \(table)")
      }
      for column in columns {
        let name = "\(table).\(column)"
        do throws(DatabaseError) { try probe(name, of: table.rawValue, table) } catch .missing {
          throw .missing("column \(name)")
        }
      }
    }
    self.init(dialect: connection.dialect, hasHidden: false)
  }
}
