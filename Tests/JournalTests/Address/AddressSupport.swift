import Journal

/// A database address from a text.
func database(_ text: String) throws(AddressError) -> DatabaseAddress {
  try DatabaseAddress(parsing: Secret(text))
}

/// A queue address from a text.
func queue(_ text: String) throws(AddressError) -> QueueAddress {
  try QueueAddress(parsing: Secret(text))
}

/// Random numbers that a seed gives again (SplitMix64).
struct SeededNumbers: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

/// Secrets to plant, and every form in which they might leak.
enum Canary {
  static let all: [String] = [
    "s3cret-plain", "p@ssw0rd-at", "co:lon-colon", "sl/ash/slash", "quest?ion-mark", "ha#sh-hash",
    "per%cent-sign", "com,ma-comma", "am&per=sand", "plus+sign+plus", "space in secret",
    "br[ack]ets-in", "cur{ly}-brace", "quo\"te'quote", "back\\slash-back", "ünïcödé-geheim",
    "密码是秘密的", "all@:/?#%,&=+in one", "%40%2F-encoded-look", String(repeating: "Lang9@", count: 33),
  ]

  /// The secret as it is, percent-encoded in both cases, in base64 and in hexadecimal.
  static func forms(of secret: String) -> [String] {
    let bytes = Array(secret.utf8)
    return [
      secret, encoded(secret), encoded(secret, digits: "0123456789abcdef"), base64(bytes),
      hexadecimal(bytes, "0123456789abcdef"), hexadecimal(bytes, "0123456789ABCDEF"),
    ]
  }

  static func encoded(_ text: String, digits: String = "0123456789ABCDEF") -> String {
    text.utf8.map { byte in
      let scalar = UnicodeScalar(byte)
      let plain = scalar.properties.isAlphabetic && byte < 0x80 || (0x30...0x39).contains(byte)
      return plain || "-._~".utf8.contains(byte)
        ? String(scalar) : "%" + hexadecimal([byte], digits)
    }.joined()
  }

  private static func hexadecimal(_ bytes: [UInt8], _ digits: String) -> String {
    let digits = Array(digits)
    return bytes.map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }.joined()
  }

  private static func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let value = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
      for shift in [18, 12, 6, 0].prefix(group.count + 1) {
        text.append(alphabet[value >> shift & 63])
      }
    }
    return text
  }
}
