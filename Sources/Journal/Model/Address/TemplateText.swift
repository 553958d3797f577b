/// The text of a template, read as symbols: a literal byte as itself, a placeholder as one symbol
/// above every byte, a doubled brace as one.
struct TemplateText: RandomAccessCollection, Sendable {
  struct Placeholder: Hashable, Sendable {
    let name: PlaceholderName
    /// From 1; nil for the name without a number.
    let number: Int?

    var text: String { number.map { "\(name.rawValue)\($0)" } ?? name.rawValue }
  }

  enum Symbol {
    case literal(UInt8)
    case placeholder(Placeholder, ordinal: Int)
  }

  private enum Entry {
    case literal(offset: Int)
    case placeholder(index: Int)
  }

  private let text: SecretBytes
  private let entries: [Entry]
  let placeholders: [Placeholder]
  let startIndex: Int
  let endIndex: Int

  /// Reads the braces of a text.
  ///
  /// - Throws: `braceUnmatched`, `placeholderUnknown`, `placeholderModified`.
  init(_ text: SecretBytes, _ field: AddressField) throws(AddressError) {
    var entries: [Entry] = []
    var placeholders: [Placeholder] = []
    var index = text.startIndex
    while index < text.endIndex {
      let byte = text[index]
      let isDoubled = index + 1 < text.endIndex && text[index + 1] == byte
      if byte != .openBrace && byte != .closeBrace {
        entries.append(.literal(offset: index))
        index += 1
      } else if isDoubled {
        entries.append(.literal(offset: index))
        index += 2
      } else {
        guard byte == .openBrace, let close = text[index...].firstIndex(of: .closeBrace) else {
          throw .braceUnmatched(field, position: index + 1)
        }
        let name = text[(index + 1)..<close]
        placeholders.append(try Self.placeholder(name, placeholders.count + 1, field))
        entries.append(.placeholder(index: placeholders.count - 1))
        index = close + 1
      }
    }
    self.init(text, entries, placeholders, 0..<entries.count)
  }

  private init(
    _ text: SecretBytes, _ entries: [Entry], _ placeholders: [Placeholder], _ range: Range<Int>
  ) {
    self.text = text
    self.entries = entries
    self.placeholders = placeholders
    startIndex = range.lowerBound
    endIndex = range.upperBound
  }

  subscript(position: Int) -> UInt16 {
    switch entries[position] {
    case .literal(let offset): UInt16(text[offset])
    case .placeholder(let index): 0x100 + UInt16(index)
    }
  }

  subscript(bounds: Range<Int>) -> TemplateText {
    TemplateText(text, entries, placeholders, bounds)
  }

  /// What stands at each place of this part.
  var symbols: some Sequence<Symbol> {
    self.lazy.map { symbol in
      symbol < 0x100
        ? .literal(UInt8(symbol))
        : .placeholder(placeholders[Int(symbol) - 0x100], ordinal: Int(symbol) - 0xFF)
    }
  }

  /// The bytes, if there is no placeholder in this part.
  var literalBytes: [UInt8]? {
    let bytes = compactMap { UInt8(exactly: $0) }
    return bytes.count == count ? bytes : nil
  }

  /// The placeholder, if this part is one and nothing else.
  var onlyPlaceholder: Placeholder? {
    guard count == 1, let symbol = first, symbol >= 0x100 else { return nil }
    return placeholders[Int(symbol) - 0x100]
  }

  private static func placeholder(
    _ text: SecretBytes, _ ordinal: Int, _ field: AddressField
  ) throws(AddressError) -> Placeholder {
    if text.contains(where: { ".[!:{".utf8.contains($0) }) {
      throw .placeholderModified(field, ordinal: ordinal)
    }
    for name in PlaceholderName.allCases where text.starts(with: name.rawValue.utf8) {
      let digits = text.dropFirst(name.rawValue.utf8.count)
      if digits.isEmpty { return Placeholder(name: name, number: nil) }
      guard name.isNumbered, digits.count <= 3, digits.first != UInt8(ascii: "0"),
        let number = HostText.port(digits)
      else { break }
      return Placeholder(name: name, number: Int(number))
    }
    throw .placeholderUnknown(field, ordinal: ordinal)
  }
}
