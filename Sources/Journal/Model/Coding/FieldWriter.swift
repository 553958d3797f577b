/// Writes fields: a tag, a length and a value each, in ascending order of tags.
///
/// A value that is nil is not written; that is how NULL is kept apart from empty text.
struct FieldWriter {
  var bytes: [UInt8] = []

  mutating func text(_ tag: FieldTag, _ value: ByteText?) {
    guard let value else { return }
    let utf8 = unsafe value.string.utf8Span.span.bytes
    header(tag, length: utf8.byteCount)
    unsafe utf8.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
  }

  mutating func blob(_ tag: FieldTag, _ value: [UInt8]) {
    header(tag, length: value.count)
    bytes.append(contentsOf: value)
  }

  mutating func uuid(_ tag: FieldTag, _ value: UUID128?) {
    guard let value else { return }
    header(tag, length: 16)
    append(value)
  }

  mutating func uuids(_ tag: FieldTag, _ values: [UUID128]) {
    guard !values.isEmpty else { return }
    header(tag, length: values.count * 16)
    for value in values { append(value) }
  }

  mutating func append(_ value: UUID128) {
    bytes.append(bigEndianWords: [value.high, value.low])
  }

  mutating func digest(_ tag: FieldTag, _ value: Digest?) {
    guard let value else { return }
    header(tag, length: 32)
    value.append(to: &bytes)
  }

  mutating func time(_ tag: FieldTag, _ value: Timestamp?) {
    guard let value else { return }
    header(tag, length: 8)
    bytes.append(bigEndian: value.microseconds)
  }

  mutating func flag(_ tag: FieldTag, _ value: Bool?) {
    guard let value else { return }
    header(tag, length: 1)
    bytes.append(value ? 1 : 0)
  }

  /// A flag that is written only where it is set.
  mutating func mark(_ tag: FieldTag, _ value: Bool) {
    if value { header(tag, length: 0) }
  }

  /// As few bytes as the number needs, most significant first; none for 0.
  mutating func number(_ tag: FieldTag, _ value: UInt64?) {
    guard let value else { return }
    let length = (71 - value.leadingZeroBitCount) / 8
    header(tag, length: length)
    for position in stride(from: length - 1, through: 0, by: -1) {
      bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * position)))
    }
  }

  /// A field whose value is fields again.
  mutating func nested(_ tag: FieldTag, _ content: (inout FieldWriter) -> Void) {
    bytes.append(tag.rawValue)
    bytes.append(0)
    let start = bytes.count
    content(&self)
    let length = bytes.count - start
    if length < 0x80 {
      bytes[start - 1] = UInt8(length)
    } else {
      bytes.replaceSubrange(start - 1..<start, with: FieldWriter.lengthBytes(length))
    }
  }

  @inline(__always)
  private mutating func header(_ tag: FieldTag, length: Int) {
    bytes.append(tag.rawValue)
    if length < 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: length))
    } else {
      bytes.append(contentsOf: FieldWriter.lengthBytes(length))
    }
  }

  /// Seven bits a byte, least significant first; the high bit says that more follow (LEB128).
  private static func lengthBytes(_ length: Int) -> [UInt8] {
    var rest = length
    var result: [UInt8] = []
    repeat {
      let low = UInt8(rest & 0x7F)
      rest >>= 7
      result.append(rest == 0 ? low : low | 0x80)
    } while rest != 0
    return result
  }
}
