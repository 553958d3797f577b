import Foundation

/// A value of JSON, printed with sorted keys on one line.
enum JSONValue: Encodable, Equatable {
  case null
  case flag(Bool)
  case number(Int64)
  case text(String)
  case list([JSONValue])
  case object([String: JSONValue])

  static func text(_ value: String?) -> JSONValue { value.map { .text($0) } ?? .null }
  static func flag(_ value: Bool?) -> JSONValue { value.map { .flag($0) } ?? .null }
  static func number(_ value: some BinaryInteger) -> JSONValue { .number(Int64(clamping: value)) }
  static func printed(_ value: (some CustomStringConvertible)?) -> JSONValue {
    value.map { .text($0.description) } ?? .null
  }

  func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    switch self {
    case .null: try container.encodeNil()
    case .flag(let value): try container.encode(value)
    case .number(let value): try container.encode(value)
    case .text(let value): try container.encode(value)
    case .list(let value): try container.encode(value)
    case .object(let value): try container.encode(value)
    }
  }

  /// The text of the value.
  var line: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(self) else {
      preconditionFailure("Every JSONValue can be encoded.")
    }
    return String(decoding: data, as: UTF8.self)
  }
}
