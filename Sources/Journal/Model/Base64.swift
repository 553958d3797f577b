/// Base64 (RFC 4648): bytes as text. What is read has to be exactly what is written.
public struct Base64: Sendable {
  /// With `+` and `/`, padded (section 4).
  public static let standard = Base64(last: "+/", isPadded: true)
  /// With `-` and `_`, for URLs, without padding (section 5).
  public static let url = Base64(last: "-_", isPadded: false)

  private let alphabet: [UInt8]
  /// The value of each byte; 64 for those that aren't of the alphabet.
  private let values: [UInt8]
  private let isPadded: Bool

  private init(last: String, isPadded: Bool) {
    alphabet = Array(
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789\(last)".utf8)
    var values = [UInt8](repeating: 64, count: 256)
    for (value, byte) in alphabet.enumerated() { values[Int(byte)] = UInt8(value) }
    self.values = values
    self.isPadded = isPadded
  }

  public func text(of bytes: some Collection<UInt8>) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    var (bits, count): (UInt32, UInt32) = (0, 0)
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 8
      while count >= 6 {
        count -= 6
        text.append(alphabet[Int(bits >> count & 63)])
      }
    }
    if count > 0 { text.append(alphabet[Int(bits << (6 - count) & 63)]) }
    if isPadded { while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) } }
    return String(decoding: text, as: UTF8.self)
  }

  /// The bytes; nil for anything that `text(of:)` doesn't make.
  public func bytes(of text: String) -> [UInt8]? {
    var characters = text.utf8[...]
    if isPadded {
      guard characters.count % 4 == 0 else { return nil }
      for _ in 0..<2 where characters.last == UInt8(ascii: "=") { characters.removeLast() }
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(characters.count * 3 / 4)
    var (bits, count): (UInt32, UInt32) = (0, 0)
    for character in characters {
      let value = values[Int(character)]
      guard value < 64 else { return nil }
      bits = bits << 6 | UInt32(value)
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> count))
      }
    }
    // What is left of the last character is nothing, and less than a character.
    return count < 6 && bits & (1 << count - 1) == 0 ? bytes : nil
  }
}
