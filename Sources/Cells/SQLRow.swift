public import Journal
public import Projections

/// The current row of a query, its columns read by their place from 0.
///
/// Valid only while the body that it was given to runs. A value of another type than asked for
/// throws `badValue` with the names of table and column, whatever the engine.
public enum SQLRow {
  case sqlite(SQLiteStatement, NovaTable)
  case server(ServerRow)

  /// The integer in a column; NULL throws.
  @inline(__always)
  public func integer(_ column: Int) throws(DatabaseError) -> Int64 {
    switch self {
    case .sqlite(let statement, _):
      do throws(ProjectionError) { return try statement.integer(column) } catch {
        throw .file(error)
      }
    case .server(let row):
      guard let value = try row.integer(column) else { throw row.badValue(column, "NULL") }
      return value
    }
  }

  /// The integer in a column; nil for NULL.
  @inline(__always)
  public func integerIfPresent(_ column: Int) throws(DatabaseError) -> Int64? {
    switch self {
    case .sqlite(let statement, _):
      do throws(ProjectionError) { return try statement.integerIfPresent(column) } catch {
        throw .file(error)
      }
    case .server(let row): return try row.integer(column)
    }
  }

  /// The truth of a flag, which Nova keeps as a number or a boolean; nil for NULL.
  @inline(__always)
  public func flag(_ column: Int) throws(DatabaseError) -> Bool? {
    switch self {
    case .sqlite(let statement, _):
      do throws(ProjectionError) { return try statement.flagIfPresent(column) } catch {
        throw .file(error)
      }
    case .server(let row): return try row.flag(column)
    }
  }

  /// The text in a column, byte for byte; nil for NULL.
  @inline(__always)
  public func text(_ column: Int) throws(DatabaseError) -> ByteText? {
    switch self {
    case .sqlite(let statement, _):
      do throws(ProjectionError) { return try statement.textIfPresent(column) } catch {
        throw .file(error)
      }
    case .server(let row): return try row.text(column)
    }
  }

  /// The text in a column; NULL throws.
  public func requiredText(_ column: Int) throws(DatabaseError) -> ByteText {
    guard let text = try text(column) else { throw badValue(column, "NULL") }
    return text
  }

  /// The text in a column as a secret, which no error shows; nil for NULL.
  public func secret(_ column: Int) throws(DatabaseError) -> Secret? {
    switch self {
    case .sqlite(let statement, _):
      do throws(ProjectionError) {
        return try statement.textBytesIfPresent(column).map { Secret($0) }
      } catch {
        throw .file(error)
      }
    case .server(let row): return row.bytes(column).map { Secret($0) }
    }
  }

  /// The moment in a column, which Nova keeps in UTC; nil for NULL.
  public func time(_ column: Int) throws(DatabaseError) -> Timestamp? {
    unsafe try parsed(column, "text that is no time") { unsafe Timestamp(utf8: $0) }
  }

  /// The UUID in a column, which Nova keeps as text; nil for NULL.
  public func uuid(_ column: Int) throws(DatabaseError) -> UUID128? {
    unsafe try parsed(column, "text that is no UUID") { unsafe UUID128(ascii: $0) }
  }

  /// What the bytes of a text say, read where they are; nil for NULL.
  private func parsed<Value>(
    _ column: Int, _ otherwise: String, _ parse: (UnsafeBufferPointer<UInt8>) -> Value?
  ) throws(DatabaseError) -> Value? {
    var value: Value?
    switch self {
    case .sqlite(let statement, _):
      do throws(ProjectionError) {
        let isThere = try statement.withTextIfPresent(column) { span in
          value = unsafe span.withUnsafeBytes {
            unsafe parse($0.assumingMemoryBound(to: UInt8.self))
          }
        }
        if !isThere { return nil }
      } catch {
        throw .file(error)
      }
    case .server(let row):
      guard let text = try row.text(column) else { return nil }
      var string = text.string
      value = string.withUTF8 { unsafe parse($0) }
    }
    guard let value else { throw badValue(column, otherwise) }
    return value
  }

  private func badValue(_ column: Int, _ found: String) -> DatabaseError {
    switch self {
    case .sqlite(let statement, let table):
      .badValue(column: "\(table).\(statement.columnName(column))", found: found)
    case .server(let row): row.badValue(column, found)
    }
  }
}

/// A row that a server sent: each column's text, as both client libraries give it.
///
/// One object serves all rows of a result. Its bytes are the library's, and are valid until the next
/// row is fetched.
@safe public final class ServerRow {
  let table: NovaTable
  private let names: [String]
  private var columns: [UnsafeRawBufferPointer?]

  init(of table: NovaTable, names: [String]) {
    self.table = table
    self.names = names
    unsafe columns = Array(repeating: nil, count: names.count)
  }

  /// Nova's columns are shorter, and what is longer isn't Nova's.
  static let maximumValueBytes = 1 << 20

  /// Sets a column of the current row.
  func set(_ column: Int, to bytes: UnsafeRawBufferPointer?) throws(DatabaseError) {
    if let count = unsafe bytes?.count, count > Self.maximumValueBytes {
      throw badValue(column, "a value that is too long")
    }
    unsafe columns[column] = bytes
  }

  func bytes(_ column: Int) -> [UInt8]? { unsafe columns[column].map { unsafe [UInt8]($0) } }

  func text(_ column: Int) throws(DatabaseError) -> ByteText? {
    guard let bytes = unsafe columns[column] else { return nil }
    guard let text = unsafe ByteText(utf8: bytes) else {
      throw badValue(column, "text that isn't UTF-8")
    }
    return text
  }

  func integer(_ column: Int) throws(DatabaseError) -> Int64? {
    guard let bytes = unsafe columns[column] else { return nil }
    guard let text = unsafe String(validating: bytes, as: UTF8.self), let value = Int64(text) else {
      throw badValue(column, "text")
    }
    return value
  }

  func flag(_ column: Int) throws(DatabaseError) -> Bool? {
    guard let bytes = unsafe columns[column] else { return nil }
    if bytes.count == 1, let byte = unsafe bytes.first {
      // PostgreSQL writes a boolean as a letter.
      if byte == UInt8(ascii: "t") { return true }
      if byte == UInt8(ascii: "f") { return false }
    }
    return try integer(column).map { $0 != 0 }
  }

  func badValue(_ column: Int, _ found: String) -> DatabaseError {
    .badValue(column: "\(table).\(names[column])", found: found)
  }
}
