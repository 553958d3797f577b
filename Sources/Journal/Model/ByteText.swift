internal import Glibc

/// Text from outside, equal only if its UTF-8 bytes are equal.
///
/// Swift's `String` finds "é" and "e" + U+0301 equal; LMDB, SQLite, SHA-256 and Nova don't. Names,
/// hosts, projects and users are held in this type, so that the map agrees with them.
public struct ByteText: Hashable, Comparable, Sendable {
  /// The text, for output.
  public let string: String

  public init(_ string: String) { self.string = string }

  /// The text whose UTF-8 bytes are these, or nil if they aren't UTF-8.
  public init?(utf8 bytes: some Collection<UInt8>) {
    guard let string = String(validating: bytes, as: UTF8.self) else { return nil }
    self.string = string
  }

  /// The same from bytes in one piece, which is faster than from any collection.
  public init?(utf8 bytes: UnsafeRawBufferPointer) {
    // What isn't UTF-8 is repaired, and then is another text.
    var string = unsafe String(decoding: bytes, as: UTF8.self)
    let isWhole = string.withUTF8 { text in
      unsafe text.count == bytes.count
        && (text.isEmpty || memcmp(text.baseAddress!, bytes.baseAddress!, text.count) == 0)
    }
    guard isWhole else { return nil }
    self.string = string
  }

  public static func == (left: Self, right: Self) -> Bool {
    let (left, right) = (left.string.utf8Span.span, right.string.utf8Span.span)
    guard left.count == right.count else { return false }
    return unsafe left.withUnsafeBufferPointer { left in
      unsafe right.withUnsafeBufferPointer { right in
        unsafe left.count == 0 || memcmp(left.baseAddress!, right.baseAddress!, left.count) == 0
      }
    }
  }

  public static func < (left: Self, right: Self) -> Bool {
    left.string.utf8.lexicographicallyPrecedes(right.string.utf8)
  }

  public func hash(into hasher: inout Hasher) {
    var copy = string
    copy.withUTF8 { bytes in unsafe hasher.combine(bytes: UnsafeRawBufferPointer(bytes)) }
    hasher.combine(0xFF as UInt8)
  }
}

extension ByteText: ExpressibleByStringLiteral, CustomStringConvertible {
  public init(stringLiteral value: String) { self.init(value) }
  public var description: String { string }
}
