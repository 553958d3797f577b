/// A SHA-256 digest or HMAC: 32 bytes held in place, without an allocation.
public struct Digest: Hashable, Sendable {
  /// The bytes as four words, most significant first.
  public let words: (UInt64, UInt64, UInt64, UInt64)

  /// The digest of 32 bytes; nil for any other count.
  public init?(bytes: some Collection<UInt8>) {
    guard bytes.count == 32 else { return nil }
    var words: [4 of UInt64] = [0, 0, 0, 0]
    var index = 0
    for byte in bytes {
      words[index >> 3] = words[index >> 3] << 8 | UInt64(byte)
      index += 1
    }
    self.words = (words[0], words[1], words[2], words[3])
  }

  /// The digest of 32 bytes in place; nil for any other count.
  @inline(__always)
  public init?(bytes: RawSpan) {
    guard let digest = unsafe bytes.withUnsafeBytes({ unsafe Digest(rawBytes: $0) }) else {
      return nil
    }
    self = digest
  }

  @inline(__always)
  @unsafe init?(rawBytes bytes: UnsafeRawBufferPointer) {
    guard bytes.count == 32 else { return nil }
    words = unsafe (
      UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)),
      UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
      UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt64.self)),
      UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 24, as: UInt64.self))
    )
  }

  /// The digest whose 32 bytes `write` writes.
  @inline(__always)
  @unsafe init(writtenBy write: (UnsafeMutableRawPointer) -> Void) {
    var words: [4 of UInt64] = [0, 0, 0, 0]
    unsafe withUnsafeMutableBytes(of: &words) { bytes in
      if let first = bytes.baseAddress { unsafe write(first) }
    }
    self.words = (
      UInt64(bigEndian: words[0]), UInt64(bigEndian: words[1]), UInt64(bigEndian: words[2]),
      UInt64(bigEndian: words[3])
    )
  }

  /// 32 bytes of 0: no digest yet.
  public static let zero = Digest(words: (0, 0, 0, 0))

  /// The digest in four words, most significant first.
  public init(words: (UInt64, UInt64, UInt64, UInt64)) { self.words = words }

  /// The 32 bytes, in order.
  public var bytes: [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(32)
    append(to: &result)
    return result
  }

  /// Appends the 32 bytes.
  public func append(to buffer: inout [UInt8]) {
    buffer.append(bigEndianWords: [words.0, words.1, words.2, words.3])
  }

  public static func == (left: Self, right: Self) -> Bool { left.words == right.words }

  public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

extension Digest: CustomStringConvertible {
  /// 64 lower-case hexadecimal digits.
  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    return String(
      decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}

extension Digest {
  /// The digest written as 64 lower-case hexadecimal digits; nil for anything else.
  public init?(hexadecimal text: String) {
    let digits = Array(text.utf8)
    guard digits.count == 64 else { return nil }
    var bytes: [UInt8] = []
    for place in stride(from: 0, to: 64, by: 2) {
      guard let byte = UInt8(String(decoding: digits[place...place + 1], as: UTF8.self), radix: 16)
      else { return nil }
      bytes.append(byte)
    }
    self.init(bytes: bytes)
    guard description == text else { return nil }
  }
}

extension [UInt8] {
  /// Appends the bytes of an integer, most significant first.
  @inline(__always)
  mutating func append<Integer: FixedWidthInteger>(bigEndian value: Integer) {
    unsafe Swift.withUnsafeBytes(of: value.bigEndian) { unsafe append(contentsOf: $0) }
  }

  /// Appends the bytes of several words at once, each most significant first.
  @inline(__always)
  mutating func append<let count: Int>(bigEndianWords words: [count of UInt64]) {
    var words = words
    for index in words.indices { words[index] = words[index].bigEndian }
    unsafe Swift.withUnsafeBytes(of: words) { unsafe append(contentsOf: $0) }
  }
}
