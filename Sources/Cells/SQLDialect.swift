public import Journal

/// What differs between the three databases' SQL; a query is written once, with these pieces.
///
/// Plain in all three, and needing no piece: `LIMIT n`, `IS TRUE`, `IS NOT TRUE`, `IS NULL`,
/// row values, `count(*)`, and comparing a time with `time(_:)`.
public enum SQLDialect: Hashable, Sendable, CaseIterable {
  case sqlite, mariadb, postgresql

  /// The placeholder of a parameter, counted from 1; one may stand at several places.
  public func parameter(_ number: Int) -> String {
    switch self {
    case .sqlite, .mariadb: "?\(number)"
    case .postgresql: "$\(number)"
    }
  }

  /// A text column as it is ordered and compared by its UTF-8 bytes, whatever its collation.
  ///
  /// No index of Nova's serves it on a server. For a column of UUIDs `uuidOrder` finds out whether it
  /// is needed.
  public func byteOrder(_ column: String) -> String {
    switch self {
    case .sqlite: "\(column) COLLATE BINARY"
    // The character set of a column may be another than UTF-8.
    case .mariadb: "CAST(CONVERT(\(column) USING utf8mb4) AS BINARY)"
    case .postgresql: "\(column) COLLATE \"C\""
    }
  }

  /// A condition that a text column has exactly a parameter's bytes; an index of the column serves
  /// it.
  public func equals(_ column: String, _ parameter: String) -> String {
    switch self {
    // `=` of MariaDB's usual collations takes `HOST` and `host ` for `host`.
    case .mariadb: "(\(column) = \(parameter) AND \(byteOrder(column)) = \(parameter))"
    case .sqlite, .postgresql: "\(column) = \(parameter)"
    }
  }

  /// A term of `ORDER BY` in which NULL is less than every value.
  public func order(_ expression: String, descending: Bool = false) -> String {
    let direction = descending ? "DESC" : "ASC"
    // SQLite and MariaDB do so unasked, and MariaDB has no words for it.
    guard self == .postgresql else { return "\(expression) \(direction)" }
    return "\(expression) \(direction) NULLS \(descending ? "LAST" : "FIRST")"
  }

  /// A time as it is compared with Nova's columns: in UTC, with six digits of fraction, which is how
  /// SQLite holds it as text.
  public func time(_ time: Timestamp) -> SQLValue {
    .text(ByteText(time.databaseText))
  }
}

extension Timestamp {
  /// `2026-01-01 05:16:48.000000`, as SQLAlchemy writes times into SQLite.
  var databaseText: String {
    let parts = description.dropLast().split(separator: "T", maxSplits: 1)
    let clock = parts[1].utf8.contains(UInt8(ascii: ".")) ? parts[1] : parts[1] + ".000000"
    return parts[0] + " " + clock
  }
}
