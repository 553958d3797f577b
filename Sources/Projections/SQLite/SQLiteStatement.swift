internal import GRDBSQLite
public import Journal

/// The storage class of a value in SQLite.
public enum SQLiteColumnType: Sendable, Equatable {
  case integer, real, text, blob, null
}

/// One prepared statement: bind, step, read the columns, reset.
///
/// Parameters count from 1 and columns from 0, as in SQLite. It belongs to the thread that uses its
/// connection. A column's bytes live until the next `step` or `reset`; nothing here hands a pointer
/// out that could outlive them.
@safe public final class SQLiteStatement {
  /// The connection it was prepared on, kept open by it.
  public let connection: SQLiteConnection
  /// The number of columns of a row.
  public let columnCount: Int
  let handle: OpaquePointer
  /// 16 bytes for each parameter, so that a key is bound by reference: a bound copy would cost an
  /// allocation for each lookup.
  private let keys: UnsafeMutableRawPointer
  private let parameterCount: Int
  /// Room for the texts and blobs of one row, likewise bound by reference; made when first used.
  private var rowBytes: UnsafeMutableRawPointer?
  private var rowBytesUsed = 0

  init(_ sql: String, on connection: SQLiteConnection) throws(ProjectionError) {
    var prepared: OpaquePointer?
    let code = unsafe sqlite3_prepare_v3(
      connection.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, nil)
    if code == SQLITE_ERROR {
      throw connection.refusal(connection.lastMessage)
    }
    try connection.check(code, "prepare")
    guard let prepared = unsafe prepared else {
      throw .statementRefused(message: "no statement in the text", path: connection.path)
    }
    self.connection = connection
    unsafe self.handle = prepared
    self.columnCount = Int(unsafe sqlite3_column_count(prepared))
    self.parameterCount = Int(unsafe sqlite3_bind_parameter_count(prepared))
    unsafe self.keys = .allocate(byteCount: max(1, parameterCount) * 16, alignment: 16)
  }

  deinit {
    unsafe sqlite3_finalize(handle)
    unsafe keys.deallocate()
    unsafe rowBytes?.deallocate()
  }

  /// Moves to the next row; false once there is none.
  ///
  /// - Throws: `busy`, `deadlinePassed` or `sqlite`; the statement has been reset then.
  @inline(__always)
  public func step() throws(ProjectionError) -> Bool {
    let code = unsafe sqlite3_step(handle)
    if code == SQLITE_ROW { return true }
    if code == SQLITE_DONE { return false }
    unsafe sqlite3_reset(handle)
    throw connection.failure(code, "step")
  }

  /// Runs the statement to its end, ignoring rows, and resets it.
  public func run() throws(ProjectionError) {
    while try step() {}
    reset()
  }

  /// Makes the statement ready to run again; its parameters stay bound.
  @inline(__always)
  public func reset() {
    // The result repeats the code that `step` has already thrown.
    unsafe sqlite3_reset(handle)
  }
}

// MARK: - Binding

extension SQLiteStatement {
  /// Binds an integer.
  @inline(__always)
  public func bind(_ value: Int64, at parameter: Int) throws(ProjectionError) {
    try connection.check(unsafe sqlite3_bind_int64(handle, Int32(parameter), value), "bind")
  }

  /// Binds an integer, or NULL for nil.
  @inline(__always)
  public func bind(_ value: Int64?, at parameter: Int) throws(ProjectionError) {
    if let value { try bind(value, at: parameter) } else { try bindNull(at: parameter) }
  }

  /// Binds NULL.
  @inline(__always)
  public func bindNull(at parameter: Int) throws(ProjectionError) {
    try connection.check(unsafe sqlite3_bind_null(handle, Int32(parameter)), "bind")
  }

  /// Binds a copy of `bytes` as text, which SQLite takes as UTF-8 without looking.
  public func bind(text bytes: RawSpan, at parameter: Int) throws(ProjectionError) {
    let code = unsafe bytes.withUnsafeBytes { bytes in
      unsafe sqlite3_bind_text(
        handle, Int32(parameter),
        (bytes.baseAddress ?? UnsafeRawPointer(keys)).assumingMemoryBound(to: CChar.self),
        Int32(clamping: bytes.count), Self.copied)
    }
    try connection.check(code, "bind")
  }

  /// Binds a copy of `text`'s UTF-8.
  public func bind(_ text: String, at parameter: Int) throws(ProjectionError) {
    unsafe try bind(text: text.utf8Span.span.bytes, at: parameter)
  }

  /// Binds a copy of `text`, or NULL for nil.
  public func bind(_ text: ByteText?, at parameter: Int) throws(ProjectionError) {
    if let text { try bind(text.string, at: parameter) } else { try bindNull(at: parameter) }
  }

  /// Binds a copy of `bytes` as a blob.
  public func bind(blob bytes: RawSpan, at parameter: Int) throws(ProjectionError) {
    let code = unsafe bytes.withUnsafeBytes { bytes in
      unsafe sqlite3_bind_blob(
        handle, Int32(parameter), bytes.baseAddress ?? UnsafeRawPointer(keys),
        Int32(clamping: bytes.count), Self.copied)
    }
    try connection.check(code, "bind")
  }

  /// Binds a copy of an array as a blob.
  func bind(_ blob: [UInt8], at parameter: Int) throws(ProjectionError) {
    let bytes = unsafe blob.span.bytes
    try bind(blob: bytes, at: parameter)
  }

  /// Binds a UUID as a blob of 16 bytes, without an allocation.
  @inline(__always)
  public func bind(_ uuid: UUID128, at parameter: Int) throws(ProjectionError) {
    try bind(key: (uuid.high, uuid.low), at: parameter)
  }

  /// Binds a 16-byte key, given as its two big-endian halves, without an allocation.
  @inline(__always)
  public func bind(key: (high: UInt64, low: UInt64), at parameter: Int) throws(ProjectionError) {
    precondition(1...parameterCount ~= parameter, "a parameter of the statement")
    let place = unsafe keys + (parameter - 1) * 16
    unsafe place.storeBytes(of: key.high.bigEndian, as: UInt64.self)
    unsafe (place + 8).storeBytes(of: key.low.bigEndian, as: UInt64.self)
    try connection.check(
      unsafe sqlite3_bind_blob(handle, Int32(parameter), place, 16, nil), "bind")
  }

  /// Most bytes of texts and blobs of a row that are bound by reference; more are copied by SQLite.
  private static let rowBytesCapacity = 2_048

  /// Frees the room for the texts and blobs of a row; all of them must be bound anew.
  @inline(__always)
  func beginRow() { rowBytesUsed = 0 }

  /// Binds text or a blob of a row, from a copy that lives until the next `beginRow`.
  ///
  /// SQLite's own copies would each cost an allocation.
  @inline(__always)
  func bindInRow(
    _ bytes: UnsafeRawBufferPointer, isText: Bool, at parameter: Int
  ) throws(ProjectionError) {
    let room = unsafe rowBytes ?? .allocate(byteCount: Self.rowBytesCapacity, alignment: 16)
    unsafe rowBytes = room
    var place = unsafe UnsafeRawPointer(room + rowBytesUsed)
    var lifetime: sqlite3_destructor_type?
    if rowBytesUsed + bytes.count <= Self.rowBytesCapacity {
      if let start = bytes.baseAddress {
        unsafe (room + rowBytesUsed).copyMemory(from: start, byteCount: bytes.count)
      }
      rowBytesUsed += bytes.count
    } else {
      unsafe place = bytes.baseAddress ?? place
      unsafe lifetime = Self.copied
    }
    let (number, count) = (Int32(parameter), Int32(clamping: bytes.count))
    let code =
      unsafe isText
      ? sqlite3_bind_text(
        handle, number, place.assumingMemoryBound(to: CChar.self), count, lifetime)
      : sqlite3_bind_blob(handle, number, place, count, lifetime)
    try connection.check(code, "bind")
  }

  /// `SQLITE_TRANSIENT`, a cast that Swift doesn't import: SQLite copies what is bound.
  private static var copied: sqlite3_destructor_type {
    unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self)
  }
}

// MARK: - Columns

extension SQLiteStatement {
  /// The name of a column as the statement gives it.
  public func columnName(_ column: Int) -> String {
    unsafe sqlite3_column_name(handle, Int32(column)).map { unsafe String(cString: $0) } ?? ""
  }

  /// The place of the column called `name` (compared by bytes).
  ///
  /// - Throws: `missingColumn`.
  public func column(named name: String) throws(ProjectionError) -> Int {
    for column in 0..<columnCount where columnName(column).utf8.elementsEqual(name.utf8) {
      return column
    }
    throw .missingColumn(name: name, path: connection.path)
  }

  /// What a column holds in the current row.
  @inline(__always)
  public func type(_ column: Int) -> SQLiteColumnType {
    switch unsafe sqlite3_column_type(handle, Int32(column)) {
    case SQLITE_INTEGER: .integer
    case SQLITE_FLOAT: .real
    case SQLITE_TEXT: .text
    case SQLITE_BLOB: .blob
    default: .null
    }
  }

  /// Whether a column is NULL in the current row.
  @inline(__always)
  public func isNull(_ column: Int) -> Bool {
    unsafe sqlite3_column_type(handle, Int32(column)) == SQLITE_NULL
  }

  /// The integer in a column.
  ///
  /// - Throws: `columnType` for anything but an integer.
  @inline(__always)
  public func integer(_ column: Int) throws(ProjectionError) -> Int64 {
    try require(.integer, column)
    return unsafe sqlite3_column_int64(handle, Int32(column))
  }

  /// The integer in a column; nil for NULL.
  @inline(__always)
  public func integerIfPresent(_ column: Int) throws(ProjectionError) -> Int64? {
    switch type(column) {
    case .integer: unsafe sqlite3_column_int64(handle, Int32(column))
    case .null: nil
    default: throw typeFailure(.integer, column)
    }
  }

  /// Whether a column is not 0, as Nova and SQLite keep flags; nil for NULL.
  @inline(__always)
  public func flagIfPresent(_ column: Int) throws(ProjectionError) -> Bool? {
    try integerIfPresent(column).map { $0 != 0 }
  }

  /// The text in a column, byte for byte.
  ///
  /// - Throws: `columnType` for anything but text; `notUTF8`.
  public func text(_ column: Int) throws(ProjectionError) -> ByteText {
    try require(.text, column)
    return try readText(column)
  }

  private func readText(_ column: Int) throws(ProjectionError) -> ByteText {
    guard let text = try unsafe withTextColumn(column, { unsafe ByteText(utf8: $0) }) else {
      let name = columnName(column)
      throw connection.unreadable(.notUTF8(column: name, path: connection.path), column: name)
    }
    return text
  }

  /// The text in a column; nil for NULL.
  public func textIfPresent(_ column: Int) throws(ProjectionError) -> ByteText? {
    switch type(column) {
    case .text: try readText(column)
    case .null: nil
    default: throw typeFailure(.text, column)
    }
  }

  /// The bytes of the text in a column, copied, whether or not they are UTF-8.
  ///
  /// - Throws: `columnType` for anything but text.
  public func textBytes(_ column: Int) throws(ProjectionError) -> [UInt8] {
    try require(.text, column)
    return try unsafe withTextColumn(column) { unsafe [UInt8]($0) }
  }

  /// The bytes of the text in a column, copied; nil for NULL.
  public func textBytesIfPresent(_ column: Int) throws(ProjectionError) -> [UInt8]? {
    isNull(column) ? nil : try textBytes(column)
  }

  /// The bytes of the blob in a column, copied.
  ///
  /// - Throws: `columnType` for anything but a blob.
  public func blob(_ column: Int) throws(ProjectionError) -> [UInt8] {
    try require(.blob, column)
    return try unsafe withBlobColumn(column) { unsafe [UInt8]($0) }
  }

  /// The bytes of the blob in a column, copied; nil for NULL.
  public func blobIfPresent(_ column: Int) throws(ProjectionError) -> [UInt8]? {
    isNull(column) ? nil : try blob(column)
  }

  /// Calls `body` with the bytes of the text in a column, without copying them, unless it is NULL.
  ///
  /// - Returns: Whether there is a text.
  /// - Throws: `columnType` for anything but text.
  public func withTextIfPresent(
    _ column: Int, _ body: (RawSpan) -> Void
  ) throws(ProjectionError) -> Bool {
    switch type(column) {
    case .text: break
    case .null: return false
    default: throw typeFailure(.text, column)
    }
    try unsafe withTextColumn(column) { unsafe body($0.bytes) }
    return true
  }

  /// Calls `body` with the bytes of the blob in a column, without copying them.
  ///
  /// - Throws: `columnType` for anything but a blob.
  public func withBlob<Result>(
    _ column: Int, _ body: (RawSpan) -> Result
  ) throws(ProjectionError) -> Result {
    try require(.blob, column)
    return try unsafe withBlobColumn(column) { unsafe body($0.bytes) }
  }

  /// The 16-byte key in a blob column as its two big-endian halves.
  ///
  /// - Throws: `columnType` for anything but a blob, or one of another length.
  @inline(__always)
  public func key(_ column: Int) throws(ProjectionError) -> (high: UInt64, low: UInt64) {
    try require(.blob, column)
    return try bytes16(column)
  }

  /// The 16 bytes of a column that is a blob.
  @inline(__always)
  private func bytes16(_ column: Int) throws(ProjectionError) -> (high: UInt64, low: UInt64) {
    let bytes = unsafe sqlite3_column_blob(handle, Int32(column))
    guard let bytes = unsafe bytes, unsafe sqlite3_column_bytes(handle, Int32(column)) == 16 else {
      throw typeFailure(.blob, column)
    }
    return (
      UInt64(bigEndian: unsafe bytes.loadUnaligned(as: UInt64.self)),
      UInt64(bigEndian: unsafe (bytes + 8).loadUnaligned(as: UInt64.self))
    )
  }

  /// The UUID in a blob column of 16 bytes.
  ///
  /// - Throws: as `key`.
  @inline(__always)
  public func uuid(_ column: Int) throws(ProjectionError) -> UUID128 {
    let halves = try key(column)
    return UUID128(high: halves.high, low: halves.low)
  }

  /// The UUID in a blob column of 16 bytes; nil for NULL.
  @inline(__always)
  public func uuidIfPresent(_ column: Int) throws(ProjectionError) -> UUID128? {
    switch type(column) {
    case .blob: break
    case .null: return nil
    default: throw typeFailure(.blob, column)
    }
    let halves = try bytes16(column)
    return UUID128(high: halves.high, low: halves.low)
  }

  @inline(__always)
  private func require(_ expected: SQLiteColumnType, _ column: Int) throws(ProjectionError) {
    if type(column) != expected { throw typeFailure(expected, column) }
  }

  @inline(never)
  private func typeFailure(_ expected: SQLiteColumnType, _ column: Int) -> ProjectionError {
    let name = columnName(column)
    return connection.unreadable(
      .columnType(column: name, expected: expected, found: type(column), path: connection.path),
      column: name)
  }

  /// Calls `body` with the bytes of a column that is text, which it must not keep; a UTF-16 database's are
  /// converted.
  @inline(__always)
  func withTextColumn<Result>(
    _ column: Int, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(ProjectionError) -> Result {
    let start = unsafe UnsafeRawPointer(sqlite3_column_text(handle, Int32(column)))
    return unsafe try withBytes(of: column, from: start, body)
  }

  /// Calls `body` with the bytes of a column that is a blob, which it must not keep.
  @inline(__always)
  func withBlobColumn<Result>(
    _ column: Int, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(ProjectionError) -> Result {
    unsafe try withBytes(of: column, from: sqlite3_column_blob(handle, Int32(column)), body)
  }

  @inline(__always)
  private func withBytes<Result>(
    of column: Int, from start: UnsafeRawPointer?, _ body: (UnsafeRawBufferPointer) -> Result
  ) throws(ProjectionError) -> Result {
    let count = Int(unsafe sqlite3_column_bytes(handle, Int32(column)))
    if unsafe start == nil && count > 0 { throw connection.failure(SQLITE_NOMEM, "column") }
    return unsafe body(UnsafeRawBufferPointer(start: start, count: count))
  }
}
