internal import Glibc

extension [UInt8] {
  /// So many bytes of 0. Also in a build without optimisation a page costs no loop over its bytes.
  public static func zeros(_ count: Int) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: count) { bytes, initialized in
      if let first = bytes.baseAddress { unsafe memset(first, 0, count) }
      initialized = count
    }
  }
}

extension [UInt8] {
  /// Writes bytes of another array over the first of this one, which has as many at least.
  mutating func replaceFirst(with bytes: [UInt8], in range: Range<Int>) {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= bytes.count && range.count <= count,
      "bytes that are there, in a place that is there")
    unsafe withUnsafeMutableBytes { first in
      unsafe bytes.withUnsafeBytes { bytes in
        unsafe first.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
      }
    }
  }
}

/// Numbers and UUIDs as characters, without a `String` on the way.
extension [UInt8] {
  /// Appends a number in decimal digits, with zeros before it up to `width` characters.
  public mutating func append(decimal number: Int, width: Int = 1) {
    if width <= 2, 0..<100 ~= number {
      let (tens, ones) = number.quotientAndRemainder(dividingBy: 10)
      if width == 2 || tens > 0 { append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: tens)) }
      return append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: ones))
    }
    unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
      var (first, rest) = (digits.count, number.magnitude)
      while rest > 0 || first == digits.count {
        first -= 1
        unsafe digits[first] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
        rest /= 10
      }
      let count = digits.count - first + (number < 0 ? 1 : 0)
      for _ in 0..<Swift.max(0, width - count) { append(UInt8(ascii: "0")) }
      if number < 0 { append(UInt8(ascii: "-")) }
      unsafe append(contentsOf: digits[first...])
    }
  }

  /// Appends a UUID's 36 characters, as its `description` has them.
  public mutating func append(textOf uuid: UUID128) {
    unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 36) { text in
      unsafe uuid.write(to: text)
      unsafe append(contentsOf: text)
    }
  }
}
