/// An option behind the `?` of an address: a name from the allow-list of its scheme, and a value.
public struct AddressOption: Hashable, Sendable {
  public enum Value: Hashable, Sendable {
    case clear(ByteText)
    case secret(Secret)
  }

  public let name: String
  public let value: Value

  public init(name: String, value: Value) {
    self.name = name
    self.value = value
  }

  /// The value, unless it is a secret.
  public var clearValue: ByteText? {
    if case .clear(let text) = value { text } else { nil }
  }

  var publicForm: String {
    switch value {
    case .clear(let text): "\(name)=\(PercentCoding.encoded(text.string.utf8, keeping: "/:,"))"
    case .secret: "\(name)=****"
    }
  }
}

/// What the value of an option must look like.
public enum OptionShape: Hashable, Sendable, CustomStringConvertible {
  case text, path, flag, secret
  /// From 0, with a fraction or without.
  case number(upTo: UInt64)
  case wholeNumber(upTo: UInt64)

  public var description: String {
    switch self {
    case .text: "letters, digits and . _ - + : , only"
    case .path: "a path"
    case .number(let limit): "a number from 0 to \(limit)"
    case .wholeNumber(let limit): "a whole number from 0 to \(limit)"
    case .flag: "true or false"
    case .secret: "a secret"
    }
  }

  /// Whether the decoded value has this shape. Flags are written as oslo.config and the database
  /// drivers take them.
  func matches(_ value: some Collection<UInt8>) -> Bool {
    switch self {
    case .path, .secret: return true
    case .text:
      return value.count <= 255
        && value.allSatisfy { PercentCoding.isLetterOrDigit($0) || "._-+:,".utf8.contains($0) }
    case .number(let limit): return Self.isNumber(value, upTo: limit, parts: 2)
    case .wholeNumber(let limit): return Self.isNumber(value, upTo: limit, parts: 1)
    case .flag:
      let lowered = String(decoding: value, as: UTF8.self).lowercased()
      return ["0", "1", "true", "false", "yes", "no", "on", "off"].contains(lowered)
    }
  }

  /// Digits, of which the first part is the whole number.
  private static func isNumber(
    _ value: some Collection<UInt8>, upTo limit: UInt64, parts: Int
  ) -> Bool {
    let digits = value.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard value.count <= 20, digits.count <= parts,
      digits.allSatisfy({ !$0.isEmpty && $0.allSatisfy { (0x30...0x39).contains($0) } }),
      let whole = UInt64(String(decoding: digits[0], as: UTF8.self))
    else { return false }
    return whole < limit || whole == limit && digits.count == 1
  }
}

/// The options an engine or transport takes.
struct OptionRules: Sendable {
  private let shapes: [String: OptionShape]

  init(_ shapes: [OptionShape: String]) {
    var byName: [String: OptionShape] = [:]
    for (shape, names) in shapes {
      for name in names.split(separator: " ") { byName[String(name)] = shape }
    }
    self.shapes = byName
  }

  func shape(of name: String) -> OptionShape? { shapes[name] }

  var names: [String] { shapes.keys.sorted() }

  /// Splits an item at its first `=`, decodes its name, and finds its shape.
  ///
  /// - Throws: `optionUnknown`, which shows the name only if it looks like one;
  ///   `optionWithoutValue`.
  func recognise(
    _ item: SecretBytes, field: AddressField, scheme: String
  ) throws(AddressError) -> (name: String, shape: OptionShape, value: SecretBytes) {
    let equals = item.firstIndex(of: .equals) ?? item.endIndex
    let name = Self.shownName(PercentCoding.decoded(item[..<equals], plusIsSpace: true))
    guard let shape = shapes[name] else {
      throw .optionUnknown(field, scheme: scheme, name: name)
    }
    let value = item[equals...].dropFirst()
    guard !value.isEmpty else { throw .optionWithoutValue(field, name: name) }
    return (name, shape, value)
  }

  /// The name if it can be one, else a stand-in for messages: 1 to 64 letters, digits and `_.-`.
  static func shownName(_ bytes: [UInt8]) -> String {
    let isName =
      (1...64).contains(bytes.count)
      && bytes.allSatisfy { PercentCoding.isLetterOrDigit($0) || "_.-".utf8.contains($0) }
    return isName ? String(decoding: bytes, as: UTF8.self) : "(not a name)"
  }
}

extension AddressOption {
  /// Reads every item of a query in the order they have in the public form (by name).
  ///
  /// - Throws: the `option…` cases; `notUTF8`, `controlInPiece`.
  static func parse(
    _ items: [SecretBytes], rules: OptionRules, field: AddressField, scheme: String,
    repeatable: Set<String> = []
  ) throws(AddressError) -> [AddressOption] {
    var options: [AddressOption] = []
    for item in items {
      let (name, shape, text) = try rules.recognise(item, field: field, scheme: scheme)
      guard repeatable.contains(name) || !options.contains(where: { $0.name == name }) else {
        throw .optionRepeated(field, name: name)
      }
      if shape == .secret {
        let secret = PercentCoding.decodedSecret(text, plusIsSpace: true)
        try AddressText.check(SecretBytes(of: secret), field, .options)
        options.append(AddressOption(name: name, value: .secret(secret)))
      } else {
        let value = PercentCoding.decoded(text, plusIsSpace: true)
        try AddressText.check(value, field, .options)
        guard shape.matches(value), let clear = ByteText(utf8: value) else {
          throw .optionInvalid(field, name: name, expected: shape)
        }
        options.append(AddressOption(name: name, value: .clear(clear)))
      }
    }
    return options.enumerated()
      .sorted { ($0.element.name, $0.offset) < ($1.element.name, $1.offset) }.map(\.element)
  }
}
