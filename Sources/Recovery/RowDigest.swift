internal import Journal

extension KeyRing {
  /// The digest of a row of Nova's, of the columns that `add` adds.
  func rowDigest(_ add: (inout RowText) -> Void) -> Digest {
    var row = RowText()
    add(&row)
    return digest(of: row)
  }

  func digest(of row: RowText) -> Digest { digest(of: row.bytes) }

  /// The digest over the rows of a cell so far, and one more, given by its own.
  func digest(_ before: Digest, followedBy row: Digest) -> Digest {
    var both: [UInt8] = []
    both.reserveCapacity(64)
    before.append(to: &both)
    row.append(to: &both)
    return digest(of: both)
  }
}

/// The columns of a row as text, each behind its length, so that NULL and empty text differ.
struct RowText {
  fileprivate private(set) var bytes: [UInt8] = []
  /// A column whose length isn't known before it is written.
  private var column: [UInt8] = []
  private var day = Timestamp.DayText()

  init() {
    bytes.reserveCapacity(512)
    column.reserveCapacity(36)
  }

  mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  mutating func add(_ text: ByteText?) {
    guard let text else { return add() }
    begin(text.string.utf8.count)
    bytes.append(contentsOf: text.string.utf8)
  }

  mutating func add(_ uuid: UUID128) {
    begin(36)
    bytes.append(textOf: uuid)
  }

  mutating func add(_ number: Int64) { add { $0.append(decimal: Int(number)) } }

  mutating func add(_ time: Timestamp?) {
    guard let time else { return add() }
    column.removeAll(keepingCapacity: true)
    time.append(to: &column, by: &day)
    addColumn()
  }

  mutating func add(_ flag: Bool) {
    begin(1)
    bytes.append(UInt8(ascii: flag ? "1" : "0"))
  }

  mutating func add(_ flag: Bool?) { if let flag { add(flag) } else { add() } }

  /// NULL.
  private mutating func add() { begin(-1) }

  private mutating func begin(_ count: Int) {
    bytes.append(decimal: count)
    bytes.append(UInt8(ascii: ":"))
  }

  private mutating func add(_ write: (inout [UInt8]) -> Void) {
    column.removeAll(keepingCapacity: true)
    write(&column)
    addColumn()
  }

  private mutating func addColumn() {
    begin(column.count)
    bytes.append(contentsOf: column)
  }
}
