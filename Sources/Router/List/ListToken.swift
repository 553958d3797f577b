internal import Cells
internal import Journal

/// The text that gives the next page: the progress of a list, its version and checksum, and which
/// list it belongs to.
///
/// In base64 for URLs (RFC 4648, section 5): version, order, question, flags, values, tail, missed
/// cells, delivered rows that cells and that the map told of, and eight bytes of SHA-256 over all that.
struct ListToken {
  /// What a token belongs to: the order and the question, each by eight bytes of its digest.
  struct Binding: Hashable {
    let order: UInt64
    let question: UInt64
  }

  static let version: UInt8 = 2

  let binding: Binding
  private let columns: [InstanceColumn]

  init(for request: InstanceListRequest, in store: StoreID) {
    columns = request.order.keys.map(\.column)
    var order: [UInt8] = []
    for key in request.order.keys {
      order += Array(key.column.rawValue.utf8) + [key.isDescending ? 1 : 0]
    }
    var question: [UInt8] = store.uuid.bytes
    let filter = request.filter
    for text in [filter.project, filter.user, filter.host, filter.vmState, filter.name] {
      question.append(text == nil ? 0 : 1)
      question.append(text: text ?? "")
    }
    question.append(word: UInt64(bitPattern: filter.changedSince?.microseconds ?? .min))
    question += filter.instance?.uuid.bytes ?? []
    question += [filter.deletion.rawValue, filter.includesHidden ? 1 : 0]
    switch request.scope {
    case .everything: question.append(0)
    case .withoutCell: question.append(1)
    case .cell(let id): question += [2] + id.uuid.bytes
    }
    binding = Binding(
      order: TreeHash.plain(order).words.0, question: TreeHash.plain(question).words.0)
  }

  // MARK: Writing

  func text(of progress: ListProgress) -> String {
    var bytes: [UInt8] = [Self.version]
    bytes.append(word: binding.order)
    bytes.append(word: binding.question)
    bytes.append(
      (progress.after == nil ? 0 : 1) | (progress.tail == nil ? 0 : 2)
        | (progress.tail?.after == nil ? 0 : 4) | (progress.delivered.isOverfull ? 8 : 0))
    for value in progress.after ?? [] { bytes.append(value) }
    if let last = progress.tail?.after { bytes += last.uuid.bytes }
    bytes.append(word: UInt64(progress.missed.count))
    for (cell, missed) in progress.missed.sorted(by: { $0.key < $1.key }) {
      bytes += cell.uuid.bytes + [missed.rawValue]
    }
    bytes.append(word: UInt64(progress.delivered.marks.count))
    for mark in progress.delivered.marks.sorted() { bytes.append(word: mark, bytes: 6) }
    bytes.append(word: UInt64(progress.delivered.told.count))
    for mark in progress.delivered.told.sorted() { bytes.append(word: mark, bytes: 6) }
    bytes.append(word: TreeHash.plain(bytes).words.0)
    return Base64.url.text(of: bytes)
  }

  // MARK: Reading

  func progress(of text: String) throws(ListTokenFault) -> ListProgress {
    guard let bytes = Base64.url.bytes(of: text), bytes.count > 8 else { throw .malformed }
    let body = Array(bytes.dropLast(8))
    var checksum = TokenReader(bytes: bytes, offset: body.count)
    guard try checksum.word() == TreeHash.plain(body).words.0 else { throw .malformed }
    var reader = TokenReader(bytes: body)
    let version = try reader.byte()
    guard version == Self.version else { throw .otherVersion(version) }
    guard try reader.word() == binding.order else { throw .otherOrder }
    guard try reader.word() == binding.question else { throw .otherQuestion }
    let flags = try reader.byte()
    var progress = ListProgress()
    if flags & 1 != 0 {
      progress.after = []
      for column in columns { progress.after?.append(try reader.value(for: column)) }
    }
    if flags & 2 != 0 {
      progress.tail = .init(after: flags & 4 == 0 ? nil : InstanceID(try reader.uuid()))
    }
    for _ in 0..<(try reader.count(of: 17)) {
      let cell = CellID(try reader.uuid())
      guard let missed = ListProgress.Missed(rawValue: try reader.byte()) else { throw .malformed }
      progress.missed[cell] = missed
    }
    func readMarks() throws(ListTokenFault) -> Set<UInt64> {
      var marks: Set<UInt64> = []
      for _ in 0..<(try reader.count(of: 6)) { marks.insert(try reader.word(bytes: 6)) }
      return marks
    }
    let (marks, told) = (try readMarks(), try readMarks())
    guard reader.isAtEnd,
      let delivered = DeliveredRows(marks: marks, told: told, isOverfull: flags & 8 != 0)
    else { throw .malformed }
    progress.delivered = delivered
    return progress
  }
}

/// Why a token gives no page.
public enum ListTokenFault: Error, Hashable, Sendable {
  /// It was cut, changed, or never was one.
  case malformed
  /// Another version of this program gave it.
  case otherVersion(UInt8)
  /// It belongs to a list in another order.
  case otherOrder
  /// It belongs to a list with another filter or scope, or of another store.
  case otherQuestion
}

extension ListTokenFault: CustomStringConvertible {
  public var description: String {
    switch self {
    case .malformed: "The page token is cut or changed. Give it as it was printed, or begin anew."
    case .otherVersion(let version):
      "The page token is of version \(version), which this program doesn't read. Begin the list anew."
    case .otherOrder:
      "The page token belongs to a list in another order. Give the same --sort, or begin anew."
    case .otherQuestion:
      "The page token belongs to a list with other filters, or of another store. "
        + "Give the same filters, or begin anew."
    }
  }
}

extension [UInt8] {
  fileprivate mutating func append(word: UInt64, bytes: Int = 8) {
    for place in (0..<bytes).reversed() {
      append(UInt8(truncatingIfNeeded: word >> UInt64(place * 8)))
    }
  }

  fileprivate mutating func append(text: ByteText) {
    append(word: UInt64(text.string.utf8.count))
    append(contentsOf: text.string.utf8)
  }

  fileprivate mutating func append(_ value: SortValue) {
    switch value {
    case .null: append(0)
    case .time(let time):
      append(1)
      append(word: UInt64(bitPattern: time.microseconds))
    case .text(let text):
      append(2)
      append(text: text)
    case .uuid(let uuid):
      append(3)
      append(contentsOf: uuid.bytes)
    }
  }
}

/// Reads the parts of a token; `malformed` where one is missing.
private struct TokenReader {
  let bytes: [UInt8]
  var offset = 0

  var isAtEnd: Bool { offset == bytes.count }

  private mutating func take(_ count: Int) throws(ListTokenFault) -> ArraySlice<UInt8> {
    guard count >= 0, count <= bytes.count - offset else { throw .malformed }
    defer { offset += count }
    return bytes[offset..<offset + count]
  }

  mutating func byte() throws(ListTokenFault) -> UInt8 { try word(bytes: 1).low }

  mutating func word(bytes count: Int = 8) throws(ListTokenFault) -> UInt64 {
    try take(count).reduce(0) { $0 << 8 | UInt64($1) }
  }

  /// A number of things of a size, which the bytes have room for.
  mutating func count(of size: Int) throws(ListTokenFault) -> Int {
    let count = try word()
    guard count <= UInt64((bytes.count - offset) / size) else { throw .malformed }
    return Int(count)
  }

  mutating func uuid() throws(ListTokenFault) -> UUID128 {
    UUID128(high: try word(), low: try word())
  }

  mutating func value(for column: InstanceColumn) throws(ListTokenFault) -> SortValue {
    switch (try byte(), column) {
    case (0, let column) where column != .uuid: return .null
    case (1, .createdAt), (1, .updatedAt), (1, .launchedAt):
      let time = Timestamp(microseconds: Int64(bitPattern: try word()))
      guard time.isOfFourDigitYear else { throw .malformed }
      return .time(time)
    case (2, .displayName), (2, .host), (2, .project), (2, .vmState):
      guard let text = ByteText(utf8: try take(try count(of: 1))) else { throw .malformed }
      return .text(text)
    case (3, .uuid): return .uuid(try uuid())
    default: throw .malformed
    }
  }
}

extension UInt64 {
  fileprivate var low: UInt8 { UInt8(truncatingIfNeeded: self) }
}
