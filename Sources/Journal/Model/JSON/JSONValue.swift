/// A value of JSON (RFC 8259), as it is read and printed: numbers stay the text that they were
/// written as, and a printed object has its members by name.
public enum JSONValue: Hashable, Sendable {
  case null
  case flag(Bool)
  case number(JSONNumber)
  case text(String)
  case list([JSONValue])
  case object([String: JSONValue])

  public static func text(_ value: String?) -> JSONValue { value.map { .text($0) } ?? .null }
  public static func flag(_ value: Bool?) -> JSONValue { value.map { .flag($0) } ?? .null }
  public static func number(_ value: some BinaryInteger) -> JSONValue {
    .number(JSONNumber(value))
  }
  /// A time in seconds, to the millisecond.
  public static func seconds(_ time: Duration) -> JSONValue {
    .number(JSONNumber(checked: "\((time / .milliseconds(1)).rounded() / 1000)"))
  }
  public static func printed(_ value: (some CustomStringConvertible)?) -> JSONValue {
    value.map { .text($0.description) } ?? .null
  }

  /// Texts are the same byte by byte: a name that is only spelt as another is another name.
  public static func == (left: Self, right: Self) -> Bool {
    switch (left, right) {
    case (.null, .null): true
    case (.flag(let left), .flag(let right)): left == right
    case (.number(let left), .number(let right)): left == right
    case (.text(let left), .text(let right)): ByteText(left) == ByteText(right)
    case (.list(let left), .list(let right)): left == right
    case (.object(let left), .object(let right)): left == right
    case (.null, _), (.flag, _), (.number, _), (.text, _), (.list, _), (.object, _): false
    }
  }

  /// The member of an object; nil for other values, and where there is none.
  public subscript(name: String) -> JSONValue? {
    if case .object(let members) = self { members[name] } else { nil }
  }

  /// The text of a string; nil for other values.
  public var string: String? {
    if case .text(let text) = self { text } else { nil }
  }

  /// The text of the value, on one line, without spaces.
  public var line: String {
    var bytes: [UInt8] = []
    write(to: &bytes)
    return String(decoding: bytes, as: UTF8.self)
  }

  private func write(to bytes: inout [UInt8]) {
    switch self {
    case .null: bytes += "null".utf8
    case .flag(let value): bytes += (value ? "true" : "false").utf8
    case .number(let number): bytes += number.text.utf8
    case .text(let text): Self.write(text, to: &bytes)
    case .list(let items):
      bytes.append(UInt8(ascii: "["))
      for (place, item) in items.enumerated() {
        if place > 0 { bytes.append(UInt8(ascii: ",")) }
        item.write(to: &bytes)
      }
      bytes.append(UInt8(ascii: "]"))
    case .object(let members):
      bytes.append(UInt8(ascii: "{"))
      let sorted = members.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
      for (place, member) in sorted.enumerated() {
        if place > 0 { bytes.append(UInt8(ascii: ",")) }
        Self.write(member.key, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        member.value.write(to: &bytes)
      }
      bytes.append(UInt8(ascii: "}"))
    }
  }

  private static func write(_ text: String, to bytes: inout [UInt8]) {
    bytes.append(UInt8(ascii: "\""))
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
      case UInt8(ascii: "\n"): bytes += "\\n".utf8
      case UInt8(ascii: "\r"): bytes += "\\r".utf8
      case UInt8(ascii: "\t"): bytes += "\\t".utf8
      case 0x08: bytes += "\\b".utf8
      case 0x0C: bytes += "\\f".utf8
      case 0..<0x20:
        let hexadecimal = String(byte, radix: 16)
        bytes += ("\\u00" + (byte < 0x10 ? "0" : "") + hexadecimal).utf8
      default: bytes.append(byte)
      }
    }
    bytes.append(UInt8(ascii: "\""))
  }
}

extension JSONValue: ExpressibleByStringLiteral {
  public init(stringLiteral value: String) { self = .text(value) }
}

/// A number of JSON as it is written: `1.0` stays `1.0`, and no digit of a long one is lost.
public struct JSONNumber: Hashable, Sendable, CustomStringConvertible {
  public let text: String

  public init(_ value: some BinaryInteger) { text = String(value) }

  /// Text that the parser has found to be a number.
  init(checked text: String) { self.text = text }

  public var description: String { text }
}
