internal import Journal

/// A row that was set aside, in bytes: its length with this, the cell, when it was read, and what was read: the
/// UUID, Nova's id, which of its columns aren't NULL, and these.
///
/// What was read is also what the digest of a row covers, which is in journals: that part never changes. Numbers
/// have their lowest byte first.
enum PackedInstance {
  fileprivate static let cellPlace = 4
  fileprivate static let readAtPlace = 4 + 16
  fileprivate static let uuidPlace = 4 + 16 + 8
  fileprivate static let rowIDPlace = uuidPlace + 16
  fileprivate static let presentPlace = rowIDPlace + 8
  fileprivate static let headBytes = presentPlace + 2

  /// How long the row at `offset` is, and of which instance; nil if there is none.
  static func outline(of bytes: Span<UInt8>, at offset: Int) -> (length: Int, id: UUID128)? {
    let bytes = bytes.bytes
    guard offset >= 0, bytes.byteCount - offset >= headBytes else { return nil }
    let length = Int(number(bytes, at: offset, of: UInt32.self))
    guard length >= headBytes, length <= bytes.byteCount - offset else { return nil }
    return (length, uuid(bytes, at: offset + uuidPlace))
  }

  /// The cell of the row at `offset`, which has an outline.
  static func cell(of bytes: Span<UInt8>, at offset: Int) -> CellID {
    CellID(uuid(bytes.bytes, at: offset + cellPlace))
  }

  /// The digest of the row at `offset`, which has an outline.
  static func digest(of bytes: Span<UInt8>, at offset: Int, by keys: KeyRing) -> Digest {
    let length = Int(number(bytes.bytes, at: offset, of: UInt32.self))
    return keys.digest(of: bytes.extracting(offset + uuidPlace..<offset + length))
  }

  fileprivate static func uuid(_ bytes: RawSpan, at offset: Int) -> UUID128 {
    UUID128(
      high: number(bytes, at: offset, of: UInt64.self),
      low: number(bytes, at: offset + 8, of: UInt64.self))
  }

  @inline(__always)
  fileprivate static func number<Value: FixedWidthInteger>(
    _ bytes: RawSpan, at offset: Int, of type: Value.Type
  ) -> Value where Value: BitwiseCopyable {
    Value(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type))
  }
}

extension StagedInstance {
  /// Appends the row.
  func pack(into bytes: inout [UInt8]) {
    let start = bytes.count
    bytes.append(raw: UInt32(0))
    bytes.append(raw: cell.uuid.high)
    bytes.append(raw: cell.uuid.low)
    bytes.append(raw: readAt.microseconds)
    bytes.append(raw: id.uuid.high)
    bytes.append(raw: id.uuid.low)
    bytes.append(raw: rowID)
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
        let utf8 = unsafe text.string.utf8Span.span.bytes
        bytes.append(raw: UInt32(utf8.byteCount))
        unsafe utf8.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
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
    bytes.set(present, at: start + PackedInstance.presentPlace)
    bytes.set(UInt32(bytes.count - start), at: start)
  }

  /// The row at `offset`; nil if there is none.
  init?(packedIn bytes: [UInt8], at offset: Int) {
    guard let (length, uuid) = PackedInstance.outline(of: bytes.span, at: offset) else {
      return nil
    }
    let row = bytes.span.bytes.extracting(offset..<offset + length)
    func number(_ place: Int) -> Int64 { PackedInstance.number(row, at: place, of: Int64.self) }
    id = InstanceID(uuid)
    cell = CellID(PackedInstance.uuid(row, at: PackedInstance.cellPlace))
    readAt = Timestamp(microseconds: number(PackedInstance.readAtPlace))
    rowID = number(PackedInstance.rowIDPlace)
    var place = PackedInstance.headBytes
    var present = PackedInstance.number(row, at: PackedInstance.presentPlace, of: UInt16.self)
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
      let count = Int(PackedInstance.number(row, at: place, of: UInt32.self))
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
    guard isWhole, place == length, present == 0 else { return nil }
  }
}

extension [UInt8] {
  fileprivate mutating func append(raw value: some FixedWidthInteger) {
    unsafe Swift.withUnsafeBytes(of: value.littleEndian) { bytes in
      unsafe append(contentsOf: bytes)
    }
  }

  fileprivate mutating func set<Value: FixedWidthInteger>(_ value: Value, at place: Int) {
    unsafe withUnsafeMutableBytes { bytes in
      unsafe bytes.storeBytes(of: value.littleEndian, toByteOffset: place, as: Value.self)
    }
  }
}
