/// Percent-encoding as Python's `urllib.parse` has it, since Nova reads addresses through it.
enum PercentCoding {
  /// The bytes of `text`, each `%XX` decoded once; a `%` without two digits stays as it is.
  static func decoded(_ text: some Collection<UInt8>, plusIsSpace: Bool = false) -> [UInt8] {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(text.count)
    decode(text, plusIsSpace: plusIsSpace) { decoded.append($0) }
    return decoded
  }

  /// The same as a secret, by way of memory that is wiped.
  static func decodedSecret(_ text: SecretBytes, plusIsSpace: Bool = false) -> Secret {
    var count = 0
    decode(text, plusIsSpace: plusIsSpace) { _ in count += 1 }
    var decoded = WipedBytes(capacity: count)
    decode(text, plusIsSpace: plusIsSpace) { decoded.append($0) }
    return decoded.secret()
  }

  /// The bytes in the form that public forms use: letters, digits, `-._~` and what is named in
  /// `keeping` as they are, everything else as `%XX`.
  static func encoded(_ bytes: some Sequence<UInt8>, keeping: StaticString = "") -> String {
    var text = ""
    for byte in bytes {
      if isUnreserved(byte) || keeping.description.utf8.contains(byte) {
        text.unicodeScalars.append(UnicodeScalar(byte))
      } else {
        text += "%" + hexadecimal(byte)
      }
    }
    return text
  }

  /// Two upper-case digits.
  static func hexadecimal(_ byte: UInt8) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return byte < 16 ? "0" + digits : digits
  }

  private static func decode(
    _ text: some Collection<UInt8>, plusIsSpace: Bool, into append: (UInt8) -> Void
  ) {
    var rest = text[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), let high = rest.first.flatMap(digit),
        let low = rest.dropFirst().first.flatMap(digit)
      {
        append(high << 4 | low)
        rest = rest.dropFirst(2)
      } else {
        append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
      }
    }
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  private static func isUnreserved(_ byte: UInt8) -> Bool {
    isLetterOrDigit(byte) || "-._~".utf8.contains(byte)
  }

  static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "A")...UInt8(ascii: "Z"):
      true
    default: false
    }
  }
}

/// What may stand in an address at all, read scalar by scalar without a copy of the text.
enum TextCheck {
  enum Problem: Error, Equatable {
    case notUTF8
    /// A control, a line separator or a mark that reorders text, ending at this byte from 1.
    case invisible(position: Int)
  }

  /// Throws unless `bytes` are UTF-8 without invisible characters, or spaces if those are refused.
  static func check(
    _ bytes: some Sequence<UInt8>, spaceAllowed: Bool
  ) throws(Problem) {
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    var position = 0
    while true {
      switch decoder.decode(&iterator) {
      case .emptyInput: return
      case .error: throw .notUTF8
      case .scalarValue(let scalar):
        position += UTF8.width(scalar)
        if isInvisible(scalar) || (scalar == " " && !spaceAllowed) {
          throw .invisible(position: position)
        }
      }
    }
  }

  private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x00...0x1F, 0x7F...0x9F: true  // C0, DEL, C1
    case 0x2028, 0x2029, 0xFEFF: true  // line and paragraph separator, byte order mark
    case 0x061C, 0x200B...0x200F, 0x202A...0x202E, 0x2060...0x2069: true  // bidi, zero width
    case 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x202F, 0x205F, 0x3000: true  // other spaces
    default: false
    }
  }
}
