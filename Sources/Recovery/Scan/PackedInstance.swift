internal import Journal

/// A row that was set aside, in bytes: its length with this, the UUID, the cell, Nova's id, which of its
/// columns aren't NULL, and these. Numbers are in the machine's order: no other one reads the file.
enum PackedInstance {
  fileprivate static let headBytes = 4 + 16 + 16 + 8 + 8 + 2

  /// How long the row at `offset` is, and of which instance; nil if there is none.
  static func outline(of bytes: Span<UInt8>, at offset: Int) -> (length: Int, id: UUID128)? {
    let bytes = bytes.bytes
    guard offset >= 0, bytes.byteCount - offset >= headBytes else { return nil }
    let length = Int(unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt32.self))
    guard length >= headBytes, length <= bytes.byteCount - offset else { return nil }
    return (length, uuid(bytes, at: offset + 4))
  }

  fileprivate static func uuid(_ bytes: RawSpan, at offset: Int) -> UUID128 {
    unsafe UUID128(
      high: bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self),
      low: bytes.unsafeLoadUnaligned(fromByteOffset: offset + 8, as: UInt64.self))
  }
}

extension StagedInstance {
  /// Appends the row.
  func pack(into bytes: inout [UInt8]) {
    let start = bytes.count
    bytes.append(raw: UInt32(0))
    bytes.append(raw: id.uuid.high)
    bytes.append(raw: id.uuid.low)
    bytes.append(raw: cell.uuid.high)
    bytes.append(raw: cell.uuid.low)
    bytes.append(raw: rowID)
    bytes.append(raw: readAt.microseconds)
    let columns = bytes.count
    bytes.append(raw: UInt16(0))
    var present: UInt16 = (isDeleted ? 1 : 0) | (isHidden ? 2 : 0)
    var bit: UInt16 = 4
    func add(_ time: Timestamp?) {
      if let time {
        present |= bit
        bytes.append(raw: time.microseconds)
      }
      bit <<= 1
    }
    func add(_ text: ByteText?) {
      if let text {
        present |= bit
        bytes.append(raw: UInt32(text.string.utf8.count))
        bytes.append(contentsOf: text.string.utf8)
      }
      bit <<= 1
    }
    add(createdAt)
    add(updatedAt)
    add(deletedAt)
    add(launchedAt)
    add(project)
    add(user)
    add(host)
    add(vmState)
    add(taskState)
    bytes.set(present, at: columns)
    bytes.set(UInt32(bytes.count - start), at: start)
  }

  /// The row at `offset`; nil if there is none.
  init?(packedIn bytes: [UInt8], at offset: Int) {
    guard let (length, uuid) = PackedInstance.outline(of: bytes.span, at: offset) else {
      return nil
    }
    let row = bytes.span.bytes.extracting(offset..<offset + length)
    func number(_ place: Int) -> Int64 {
      unsafe row.unsafeLoadUnaligned(fromByteOffset: place, as: Int64.self)
    }
    id = InstanceID(uuid)
    cell = CellID(PackedInstance.uuid(row, at: 20))
    rowID = number(36)
    readAt = Timestamp(microseconds: number(44))
    var place = PackedInstance.headBytes
    var present = unsafe row.unsafeLoadUnaligned(fromByteOffset: place - 2, as: UInt16.self)
    isDeleted = present & 1 != 0
    isHidden = present & 2 != 0
    present >>= 2
    var isWhole = true
    func isThere() -> Bool {
      defer { present >>= 1 }
      return present & 1 != 0
    }
    func time() -> Timestamp? {
      guard isThere() else { return nil }
      guard length - place >= 8 else {
        isWhole = false
        return nil
      }
      defer { place += 8 }
      return Timestamp(microseconds: number(place))
    }
    func text() -> ByteText? {
      guard isThere() else { return nil }
      guard length - place >= 4 else {
        isWhole = false
        return nil
      }
      let count = Int(unsafe row.unsafeLoadUnaligned(fromByteOffset: place, as: UInt32.self))
      place += 4
      guard count <= length - place else {
        isWhole = false
        return nil
      }
      defer { place += count }
      let text = unsafe row.extracting(place..<place + count).withUnsafeBytes {
        unsafe ByteText(utf8: $0)
      }
      if text == nil { isWhole = false }
      return text
    }
    createdAt = time()
    updatedAt = time()
    deletedAt = time()
    launchedAt = time()
    project = text()
    user = text()
    host = text()
    vmState = text()
    taskState = text()
    guard isWhole, place == length else { return nil }
  }
}

extension [UInt8] {
  fileprivate mutating func append(raw value: some FixedWidthInteger) {
    unsafe Swift.withUnsafeBytes(of: value) { bytes in unsafe append(contentsOf: bytes) }
  }

  fileprivate mutating func set<Value: FixedWidthInteger>(_ value: Value, at place: Int) {
    unsafe withUnsafeMutableBytes { bytes in
      unsafe bytes.storeBytes(of: value, toByteOffset: place, as: Value.self)
    }
  }
}
