internal import Journal

extension DatabaseConnection {
  /// A column of UUIDs in small letters, as its database is to order them by their bytes.
  ///
  /// As a rule that is the column itself, and its index serves. But there are collations in which
  /// letters that stand together are one, elsewhere in the alphabet: the Danish one has `aa` after
  /// `z`. So the database is asked how it orders all pairs of digits.
  ///
  /// - Throws: As `forEachRow`.
  public func uuidOrder(
    of column: String, in table: NovaTable, until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> String {
    // SQLite has no collation that orders small letters otherwise.
    guard case .server(let connection) = self else { return column }
    try connection.begin(until: deadline)
    return try connection.uuidOrder(of: column, in: table)
  }
}

extension ServerConnection {
  /// The same within the deadline of the work that was begun.
  func uuidOrder(of column: String, in table: NovaTable) throws(DatabaseError) -> String {
    let digits = "0123456789abcdef"
    let pairs = digits.flatMap { first in digits.map { "\(first)\($0)" } }
    // The first part has no rows, and gives the others its collation.
    let parts =
      ["SELECT \(column) AS pair FROM \(table) WHERE 1 = 0"] + pairs.map { "SELECT '\($0)'" }
    let text =
      "SELECT pair FROM (\(parts.joined(separator: " UNION ALL "))) AS pairs ORDER BY pair"
    var found: [String] = []
    try forEachRow(of: SQLQuery(dialect, on: table, text)) { (row) throws(DatabaseError) in
      found.append(try row.requiredText(0).string)
    }
    return found == pairs ? column : dialect.byteOrder(column)
  }
}
