/// Why a text isn't JSON that is taken; `byte` counts from 1.
public enum JSONError: Error, Hashable, Sendable, CustomStringConvertible {
  case unexpected(byte: Int)
  case endMissing
  case notUTF8
  /// Two members of one object have the same name: which one counts depends on who reads it.
  case memberRepeated(byte: Int)
  case tooDeep(limit: Int)

  public var description: String {
    switch self {
    case .unexpected(let byte): "is no JSON at byte \(byte)"
    case .endMissing: "is JSON without its end"
    case .notUTF8: "is JSON that isn't UTF-8"
    case .memberRepeated(let byte): "has two members of one name, the second at byte \(byte)"
    case .tooDeep(let limit): "is nested more than \(limit) deep"
    }
  }
}

extension JSONValue {
  /// The most lists and objects within each other.
  public static let maximumDepth = 128

  /// Reads one value; spaces around it are allowed, anything else is not.
  public init(parsing text: String) throws(JSONError) { try self.init(parsing: Array(text.utf8)) }

  /// Reads one value from UTF-8.
  public init(parsing bytes: [UInt8]) throws(JSONError) {
    var parser = JSONParser(bytes: bytes)
    self = try parser.value(depth: 0)
    try parser.finish()
  }
}

/// Reads RFC 8259, strictly: no comments, no trailing commas, no lone surrogates.
private struct JSONParser {
  let bytes: [UInt8]
  private var position = 0

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func finish() throws(JSONError) {
    skipSpaces()
    if position < bytes.count { throw unexpected }
  }

  mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    skipSpaces()
    switch try peek() {
    case UInt8(ascii: "{"): return try object(depth: try deeper(depth))
    case UInt8(ascii: "["): return try list(depth: try deeper(depth))
    case UInt8(ascii: "\""): return .text(try string())
    case UInt8(ascii: "t"): return try word("true", .flag(true))
    case UInt8(ascii: "f"): return try word("false", .flag(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: return .number(try number())
    }
  }

  private func deeper(_ depth: Int) throws(JSONError) -> Int {
    guard depth < JSONValue.maximumDepth else { throw .tooDeep(limit: JSONValue.maximumDepth) }
    return depth + 1
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
    position += 1
    var members: [String: JSONValue] = [:]
    if try skip(UInt8(ascii: "}")) { return .object(members) }
    repeat {
      skipSpaces()
      let start = position
      let name = try string()
      guard try skip(UInt8(ascii: ":")) else { throw unexpected }
      let value = try value(depth: depth)
      guard members.updateValue(value, forKey: name) == nil else {
        throw .memberRepeated(byte: start + 1)
      }
    } while try skip(UInt8(ascii: ","))
    guard try skip(UInt8(ascii: "}")) else { throw unexpected }
    return .object(members)
  }

  private mutating func list(depth: Int) throws(JSONError) -> JSONValue {
    position += 1
    var items: [JSONValue] = []
    if try skip(UInt8(ascii: "]")) { return .list(items) }
    repeat { items.append(try value(depth: depth)) } while try skip(UInt8(ascii: ","))
    guard try skip(UInt8(ascii: "]")) else { throw unexpected }
    return .list(items)
  }

  private mutating func word(_ word: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
    for expected in word.utf8 {
      guard try peek() == expected else { throw unexpected }
      position += 1
    }
    return value
  }

  private mutating func number() throws(JSONError) -> JSONNumber {
    let start = position
    if try peek() == UInt8(ascii: "-") { position += 1 }
    if try peek() == UInt8(ascii: "0") { position += 1 } else { try digits() }
    if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
      position += 1
      try digits()
    }
    if position < bytes.count, bytes[position] | 0x20 == UInt8(ascii: "e") {
      position += 1
      if [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(try peek()) { position += 1 }
      try digits()
    }
    return JSONNumber(checked: String(decoding: bytes[start..<position], as: UTF8.self))
  }

  private mutating func digits() throws(JSONError) {
    let start = position
    while position < bytes.count, (0x30...0x39).contains(bytes[position]) { position += 1 }
    guard position > start else { throw position < bytes.count ? unexpected : .endMissing }
  }

  private mutating func string() throws(JSONError) -> String {
    guard try peek() == UInt8(ascii: "\"") else { throw unexpected }
    position += 1
    var text: [UInt8] = []
    while true {
      let byte = try peek()
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        guard let string = String(validating: text, as: UTF8.self) else { throw .notUTF8 }
        return string
      case UInt8(ascii: "\\"):
        position += 1
        try escape(into: &text)
      case 0..<0x20: throw unexpected
      default:
        position += 1
        text.append(byte)
      }
    }
  }

  private mutating func escape(into text: inout [UInt8]) throws(JSONError) {
    let byte = try peek()
    let plain: [UInt8: UInt8] = [
      UInt8(ascii: "\""): UInt8(ascii: "\""), UInt8(ascii: "\\"): UInt8(ascii: "\\"),
      UInt8(ascii: "/"): UInt8(ascii: "/"), UInt8(ascii: "b"): 0x08, UInt8(ascii: "f"): 0x0C,
      UInt8(ascii: "n"): 0x0A, UInt8(ascii: "r"): 0x0D, UInt8(ascii: "t"): 0x09,
    ]
    if let meant = plain[byte] {
      position += 1
      return text.append(meant)
    }
    guard byte == UInt8(ascii: "u") else { throw unexpected }
    position += 1
    let first = UInt32(try unit())
    guard (0xD800..<0xDC00).contains(first) else { return try append(first, to: &text) }
    for expected in "\\u".utf8 {
      guard try peek() == expected else { throw unexpected }
      position += 1
    }
    let second = UInt32(try unit())
    guard (0xDC00..<0xE000).contains(second) else { throw unexpected }
    try append(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00), to: &text)
  }

  /// The four hexadecimal digits of an escape.
  private mutating func unit() throws(JSONError) -> UInt16 {
    var value: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = UUID128.value(ofHexDigit: try peek()) else { throw unexpected }
      value = value << 4 | UInt16(digit)
      position += 1
    }
    return value
  }

  private func append(_ code: UInt32, to text: inout [UInt8]) throws(JSONError) {
    guard let scalar = UnicodeScalar(code) else { throw unexpected }
    text += UTF8.encode(scalar).map { Array($0) } ?? []
  }

  private func peek() throws(JSONError) -> UInt8 {
    guard position < bytes.count else { throw .endMissing }
    return bytes[position]
  }

  /// Passes over a byte, and the spaces before it, if it is next.
  private mutating func skip(_ byte: UInt8) throws(JSONError) -> Bool {
    skipSpaces()
    guard try peek() == byte else { return false }
    position += 1
    return true
  }

  private mutating func skipSpaces() {
    while position < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) {
      position += 1
    }
  }

  private var unexpected: JSONError { .unexpected(byte: position + 1) }
}
