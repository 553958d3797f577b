internal import Journal

/// Binds a row's columns to a statement in their order and hashes them on the way, so that what is
/// stored and what its checksum covers can't differ.
struct RowBinder {
  let statement: SQLiteStatement
  private var hasher: RowHasher
  private var parameter = 1

  @inline(__always)
  init(_ statement: SQLiteStatement, table: Int) {
    self.statement = statement
    hasher = RowHasher(table: UInt64(table))
    statement.beginRow()
  }

  @inline(__always)
  mutating func add(_ integer: Int64?) throws(ProjectionError) {
    try statement.bind(integer, at: parameter)
    hasher.add(integer)
    parameter += 1
  }

  /// Adds an unsigned number; SQLite keeps its bits as a signed one.
  @inline(__always)
  mutating func add(number: UInt64?) throws(ProjectionError) {
    try add(number.map { Int64(bitPattern: $0) })
  }

  /// Adds a three-valued flag: NULL, 0 or 1.
  @inline(__always)
  mutating func add(flag: Bool?) throws(ProjectionError) {
    try add(flag.map { $0 ? 1 : 0 })
  }

  @inline(__always)
  mutating func add(time: Timestamp?) throws(ProjectionError) {
    try add(time?.microseconds)
  }

  @inline(__always)
  mutating func add(_ uuid: UUID128?) throws(ProjectionError) {
    guard let uuid else { return try addNull() }
    try statement.bind(uuid, at: parameter)
    hasher.add(key: (uuid.high, uuid.low))
    parameter += 1
  }

  @inline(__always)
  mutating func add(_ text: ByteText?) throws(ProjectionError) {
    guard let text else { return try addNull() }
    let bytes = unsafe text.string.utf8Span.span.bytes
    try unsafe bytes.withUnsafeBytes { (bytes) throws(ProjectionError) in
      unsafe try add(bytes, tag: RowHasher.text)
    }
  }

  mutating func add(blob: [UInt8]?) throws(ProjectionError) {
    guard let blob else { return try addNull() }
    let bytes = unsafe blob.span.bytes
    try unsafe bytes.withUnsafeBytes { (bytes) throws(ProjectionError) in
      unsafe try add(bytes, tag: RowHasher.blob)
    }
  }

  @inline(__always)
  private mutating func add(
    _ bytes: UnsafeRawBufferPointer, tag: UInt64
  ) throws(ProjectionError) {
    unsafe try statement.bindInRow(bytes, isText: tag == RowHasher.text, at: parameter)
    unsafe hasher.add(bytes, tag: tag)
    parameter += 1
  }

  /// Adds a text that may be sealed: text if it is clear, else a blob of 1 (sealed) or 2
  /// (shredded), the key's 16 bytes, and what is sealed.
  @inline(__always)
  mutating func add(personal: PersonalText?) throws(ProjectionError) {
    switch personal {
    case nil: try addNull()
    case .clear(let text): try add(text)
    case .sealed(let key, let bytes): try add(blob: PersonalBlob.sealed(key, bytes))
    case .shredded(let key): try add(blob: PersonalBlob.shredded(key))
    }
  }

  /// Adds a column with the checksum of the columns before it, so that they can be read and checked
  /// without the others.
  @inline(__always)
  mutating func addChecksumSoFar() throws(ProjectionError) {
    try add(hasher.finish().checksum)
  }

  /// Binds the checksum as the last column.
  @inline(__always)
  mutating func finish() throws(ProjectionError) -> RowHash {
    let hash = hasher.finish()
    try statement.bind(hash.checksum, at: parameter)
    return hash
  }

  private mutating func addNull() throws(ProjectionError) {
    try statement.bindNull(at: parameter)
    hasher.addNull()
    parameter += 1
  }
}

/// A text that isn't clear, as a column holds it.
enum PersonalBlob {
  static func sealed(_ key: KeyID, _ bytes: [UInt8] = []) -> [UInt8] {
    [1] + key.uuid.bytes + bytes
  }

  static func shredded(_ key: KeyID) -> [UInt8] { [2] + key.uuid.bytes }

  /// Behind all that are sealed, and not behind one that is shredded.
  static let firstShredded: [UInt8] = [2]
}

/// Reads the columns of a row in their order.
struct RowReader {
  let statement: SQLiteStatement
  private var column: Int

  @inline(__always)
  init(_ statement: SQLiteStatement, from column: Int = 0) {
    self.statement = statement
    self.column = column
  }

  @inline(__always)
  private mutating func next() -> Int {
    defer { column += 1 }
    return column
  }

  mutating func integer() throws(ProjectionError) -> Int64 { try statement.integer(next()) }

  mutating func integerIfPresent() throws(ProjectionError) -> Int64? {
    try statement.integerIfPresent(next())
  }

  mutating func number() throws(ProjectionError) -> UInt64 {
    UInt64(bitPattern: try statement.integer(next()))
  }

  mutating func numberIfPresent() throws(ProjectionError) -> UInt64? {
    try statement.integerIfPresent(next()).map { UInt64(bitPattern: $0) }
  }

  mutating func flagIfPresent() throws(ProjectionError) -> Bool? {
    try statement.flagIfPresent(next())
  }

  mutating func timeIfPresent() throws(ProjectionError) -> Timestamp? {
    try statement.integerIfPresent(next()).map { Timestamp(microseconds: $0) }
  }

  mutating func uuid() throws(ProjectionError) -> UUID128 { try statement.uuid(next()) }

  mutating func uuidIfPresent() throws(ProjectionError) -> UUID128? {
    try statement.uuidIfPresent(next())
  }

  mutating func text() throws(ProjectionError) -> ByteText { try statement.text(next()) }

  mutating func textIfPresent() throws(ProjectionError) -> ByteText? {
    try statement.textIfPresent(next())
  }

  mutating func blob() throws(ProjectionError) -> [UInt8] { try statement.blob(next()) }

  mutating func blobIfPresent() throws(ProjectionError) -> [UInt8]? {
    try statement.blobIfPresent(next())
  }

  mutating func digest() throws(ProjectionError) -> Digest {
    let digest = try statement.withBlob(next()) { Digest(bytes: $0) }
    guard let digest else { throw unreadable("a digest of 32 bytes") }
    return digest
  }

  mutating func personalIfPresent() throws(ProjectionError) -> PersonalText? {
    let column = next()
    switch statement.type(column) {
    case .null: return nil
    case .text: return .clear(try statement.text(column))
    default:
      let bytes = try statement.blob(column)
      guard bytes.count >= 17, let key = UUID128(bytes: bytes[1..<17]) else {
        throw unreadable("a sealed text")
      }
      if bytes[0] == 1 { return .sealed(key: KeyID(key), bytes: Array(bytes[17...])) }
      guard bytes[0] == 2, bytes.count == 17 else { throw unreadable("a sealed text") }
      return .shredded(key: KeyID(key))
    }
  }

  /// The error of a value that no writer of this program makes.
  func unreadable(_ expected: String) -> ProjectionError {
    .damaged(path: statement.connection.path, what: "a row without \(expected)")
  }
}

extension SQLiteStatement {
  /// The hash of the current row's first `count` columns.
  @inline(__always)
  func rowHash(columns count: Int, table: Int) throws(ProjectionError) -> RowHash {
    var hasher = RowHasher(table: UInt64(table))
    for column in 0..<count {
      switch type(column) {
      case .null: hasher.addNull()
      case .integer: hasher.add(try integer(column))
      case .text: try unsafe withTextColumn(column) { unsafe hasher.add($0, tag: RowHasher.text) }
      case .blob: try unsafe withBlobColumn(column) { unsafe hasher.add($0, tag: RowHasher.blob) }
      case .real:
        throw .damaged(path: connection.path, what: "a number with a fraction")
      }
    }
    return hasher.finish()
  }
}
