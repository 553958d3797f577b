internal import Journal

extension KeyRing {
  /// The digest of a row of Nova's other than an instance's, of the columns that `add` adds.
  func rowDigest(_ add: (inout RowText) -> Void) -> Digest {
    var row = RowText()
    add(&row)
    return digest(of: row.bytes)
  }
}

/// The columns of a row as text, each behind its length, so that NULL and empty text differ.
struct RowText {
  fileprivate private(set) var bytes: [UInt8] = []
  /// A column whose length isn't known before it is written.
  private var column: [UInt8] = []

  init() { bytes.reserveCapacity(256) }

  mutating func add(_ text: ByteText?) {
    guard let text else { return add() }
    begin(text.string.utf8.count)
    bytes.append(contentsOf: text.string.utf8)
  }

  mutating func add(_ uuid: UUID128) {
    begin(36)
    bytes.append(textOf: uuid)
  }

  mutating func add(_ time: Timestamp?) {
    guard let time else { return add() }
    column.removeAll(keepingCapacity: true)
    time.append(to: &column)
    begin(column.count)
    bytes.append(contentsOf: column)
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
}
