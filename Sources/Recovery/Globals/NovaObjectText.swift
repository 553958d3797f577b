internal import Journal

/// Nova's objects as it writes them into text columns: JSON of oslo.versionedobjects.
///
/// Source: `VersionedObject.obj_to_primitive`.
enum NovaObjectText {
  /// Why a text isn't what Nova writes there.
  struct Problem: Error {
    let text: String
  }

  /// An object. A version is the oldest that has the fields, so that every release reads it.
  static func object(_ name: String, _ version: String, _ fields: [String: JSONValue]) -> JSONValue
  {
    .object([
      "nova_object.name": .text(name), "nova_object.namespace": "nova",
      "nova_object.version": .text(version), "nova_object.data": .object(fields),
    ])
  }

  /// The value that a column's text holds; nil for NULL and for JSON's null.
  static func value(_ text: ByteText?, of column: String) throws(Problem) -> JSONValue? {
    guard let text else { return nil }
    do throws(JSONError) {
      let value = try JSONValue(parsing: text.string)
      return value == .null ? nil : value
    } catch {
      throw Problem(text: "its \(column) \(error)")
    }
  }

  /// The fields of an object of a class.
  static func fields(
    of value: JSONValue?, _ name: String, in column: String
  ) throws(Problem) -> [String: JSONValue] {
    guard value?["nova_object.name"]?.string == name,
      case .object(let fields)? = value?["nova_object.data"]
    else { throw Problem(text: "its \(column) holds no \(name) of Nova's") }
    return fields
  }

  /// The text of a value in ASCII alone, as Nova's own is: any character set holds it.
  static func text(_ value: JSONValue) -> ByteText {
    let line = value.line
    if line.utf8.allSatisfy({ $0 < 0x80 }) { return ByteText(line) }
    var text = ""
    for unit in line.utf16 {
      if unit < 0x80 {
        text.unicodeScalars.append(Unicode.Scalar(UInt8(unit)))
      } else {
        let digits = String(unit, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      }
    }
    return ByteText(text)
  }
}

extension JSONValue {
  /// The integer that a number, or a text, says.
  var integer: Int64? {
    switch self {
    case .number(let number): Int64(number.text)
    case .text(let text): Int64(text)
    default: nil
    }
  }

  var isTrue: Bool? { if case .flag(let flag) = self { flag } else { nil } }
}
