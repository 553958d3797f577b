/// Reads fields in the order in which `FieldWriter` writes them, and accepts nothing that it
/// wouldn't write: tags ascend, lengths and numbers are as short as they can be.
struct FieldReader {
  private let bytes: [UInt8]
  private var offset: Int
  private let end: Int
  /// The last tag that was passed; tags below or equal may not come again.
  private var passed: Int = -1

  init(_ bytes: [UInt8], from offset: Int, to end: Int) {
    self.bytes = bytes
    self.offset = offset
    self.end = end
  }

  var isAtEnd: Bool { offset == end }
  /// Where the next field begins.
  var place: Int { offset }

  /// The next field's value if it bears the tag; nil if the field is absent.
  private mutating func value(_ tag: FieldTag) throws(EntryError) -> Range<Int>? {
    guard offset < end, bytes[offset] == tag.rawValue else { return nil }
    return try next().value
  }

  private mutating func next() throws(EntryError) -> (tag: UInt8, value: Range<Int>) {
    let tag = bytes[offset]
    guard Int(tag) > passed else { throw .malformed("field \(tag) is out of order") }
    var cursor = offset + 1
    var (length, shift) = (0, 0)
    while true {
      guard cursor < end, shift <= 28 else { throw .malformed("the length of field \(tag)") }
      let byte = bytes[cursor]
      cursor += 1
      length |= Int(byte & 0x7F) << shift
      if byte & 0x80 == 0 {
        guard byte != 0 || shift == 0 else { throw .malformed("the length of field \(tag)") }
        break
      }
      shift += 7
    }
    guard length <= end - cursor else { throw .malformed("field \(tag) is cut short") }
    passed = Int(tag)
    offset = cursor + length
    return (tag, cursor..<offset)
  }

  /// The next field, whatever it is; there has to be one.
  mutating func nextField() throws(EntryError) -> (tag: UInt8, value: Range<Int>) { try next() }

  /// Passes over fields below a tag.
  mutating func skip(below tag: FieldTag) throws(EntryError) {
    while offset < end, bytes[offset] < tag.rawValue { _ = try next() }
  }

  /// Nothing may be left: a field this program doesn't know means a newer version.
  func finish() throws(EntryError) {
    guard isAtEnd else { throw .malformed("field \(bytes[offset]) is unknown here") }
  }

  mutating func text(_ tag: FieldTag) throws(EntryError) -> ByteText? {
    guard let range = try value(tag) else { return nil }
    guard let text = ByteText(utf8: bytes[range]) else {
      throw .malformed("field \(tag.rawValue) is not UTF-8")
    }
    return text
  }

  mutating func blob(_ tag: FieldTag) throws(EntryError) -> [UInt8]? {
    try value(tag).map { Array(bytes[$0]) }
  }

  mutating func uuid(_ tag: FieldTag) throws(EntryError) -> UUID128? {
    guard let range = try value(tag) else { return nil }
    guard range.count == 16 else { throw .malformed("field \(tag.rawValue) is no UUID") }
    return uuid(at: range.lowerBound)
  }

  mutating func uuids(_ tag: FieldTag) throws(EntryError) -> [UUID128] {
    guard let range = try value(tag) else { return [] }
    guard range.count % 16 == 0, !range.isEmpty else {
      throw .malformed("field \(tag.rawValue) is no list of UUIDs")
    }
    return stride(from: range.lowerBound, to: range.upperBound, by: 16).map { uuid(at: $0) }
  }

  private func uuid(at start: Int) -> UUID128 {
    UUID128(high: bytes.bigEndianWord(at: start), low: bytes.bigEndianWord(at: start + 8))
  }

  mutating func digest(_ tag: FieldTag) throws(EntryError) -> Digest? {
    guard let range = try value(tag) else { return nil }
    guard let digest = Digest(bytes: bytes[range]) else {
      throw .malformed("field \(tag.rawValue) is no digest")
    }
    return digest
  }

  mutating func time(_ tag: FieldTag) throws(EntryError) -> Timestamp? {
    guard let range = try value(tag) else { return nil }
    guard range.count == 8 else { throw .malformed("field \(tag.rawValue) is no time") }
    return Timestamp(microseconds: Int64(bitPattern: bytes.bigEndianWord(at: range.lowerBound)))
  }

  mutating func flag(_ tag: FieldTag) throws(EntryError) -> Bool? {
    guard let range = try value(tag) else { return nil }
    guard range.count == 1, bytes[range.lowerBound] <= 1 else {
      throw .malformed("field \(tag.rawValue) is no flag")
    }
    return bytes[range.lowerBound] == 1
  }

  mutating func mark(_ tag: FieldTag) throws(EntryError) -> Bool {
    guard let range = try value(tag) else { return false }
    guard range.isEmpty else { throw .malformed("field \(tag.rawValue) is no mark") }
    return true
  }

  mutating func number(_ tag: FieldTag) throws(EntryError) -> UInt64? {
    guard let range = try value(tag) else { return nil }
    guard range.count <= 8, range.isEmpty || bytes[range.lowerBound] != 0 else {
      throw .malformed("field \(tag.rawValue) is no number")
    }
    return bytes[range].reduce(0) { $0 << 8 | UInt64($1) }
  }

  mutating func nested<Value>(
    _ tag: FieldTag, _ content: (inout FieldReader) throws(EntryError) -> Value
  ) throws(EntryError) -> Value? {
    guard let range = try value(tag) else { return nil }
    var reader = FieldReader(bytes, from: range.lowerBound, to: range.upperBound)
    let value = try content(&reader)
    try reader.finish()
    return value
  }
}

extension Optional {
  /// The value of a field that must be there.
  func required(_ tag: FieldTag) throws(EntryError) -> Wrapped {
    guard let self else { throw .malformed("field \(tag.rawValue) is missing") }
    return self
  }
}

extension [UInt8] {
  /// The eight bytes from `start`, most significant first.
  @inline(__always)
  func bigEndianWord(at start: Int) -> UInt64 {
    UInt64(bigEndian: loaded(at: start))
  }

  /// The integer whose bytes begin at `start`, in the machine's order.
  @inline(__always)
  func loaded<Integer: FixedWidthInteger & BitwiseCopyable>(at start: Int) -> Integer {
    precondition(start >= 0 && start <= count - MemoryLayout<Integer>.size, "bytes that are there")
    return unsafe withUnsafeBytes { bytes in
      unsafe bytes.loadUnaligned(fromByteOffset: start, as: Integer.self)
    }
  }
}
