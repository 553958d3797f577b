/// One configuration file, split into options by the rules of oslo.config's own parser.
struct ConfigurationFile: Sendable {
  struct Option: Sendable {
    let group: String
    let name: String
    var value: [UInt8]
    let line: Int
  }

  let path: String
  /// In the order written; a repeated option is there as often.
  private(set) var options: [Option] = []

  /// Splits a text.
  ///
  /// - Throws: `syntax`, with the line.
  init(path: String, text: [UInt8]) throws(NovaConfigurationError) {
    self.path = path
    var group: String?
    var continued: Option?
    let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      let place = ConfigurationPlace.file(path: path, line: index + 1)
      let line = line.trimmedEnd
      if line.isEmpty {
        finish(&continued)
      } else if line.first == UInt8(ascii: " ") || line.first == UInt8(ascii: "\t") {
        guard continued != nil else { throw .syntax(place, .noContinuedLine) }
        continued?.value += [UInt8(ascii: "\n")] + line.trimmedStart
      } else {
        finish(&continued)
        switch line.first {
        case UInt8(ascii: "#"), UInt8(ascii: ";"): break
        case UInt8(ascii: "["): group = try Self.groupName(line, place)
        default: continued = try Self.option(line, group, index + 1, place)
        }
      }
    }
    finish(&continued)
  }

  private mutating func finish(_ option: inout Option?) {
    if let option { options.append(option) }
    option = nil
  }

  /// Groups are named without regard to case, but for `DEFAULT`.
  private static func groupName(
    _ line: ArraySlice<UInt8>, _ place: ConfigurationPlace
  ) throws(NovaConfigurationError) -> String {
    guard line.last == UInt8(ascii: "]") else { throw .syntax(place, .noBracket) }
    let name = try text(line.dropFirst().dropLast(), place)
    if name.isEmpty { throw .syntax(place, .noGroupName) }
    return name == "DEFAULT" ? name : name.lowercased()
  }

  private static func option(
    _ line: ArraySlice<UInt8>, _ group: String?, _ number: Int, _ place: ConfigurationPlace
  ) throws(NovaConfigurationError) -> Option {
    guard let mark = line.firstIndex(where: { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ":") })
    else { throw .syntax(place, .noValue) }
    let name = try text(line[..<mark].trimmedStart.trimmedEnd, place)
    if name.isEmpty { throw .syntax(place, .noName) }
    guard let group else { throw .syntax(place, .noSection) }
    var value = line[(mark + 1)...].trimmedStart.trimmedEnd
    if let quote = value.first, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'"),
      value.last == quote
    {
      value = value.dropFirst().dropLast()
    }
    return Option(group: group, name: name, value: Array(value), line: number)
  }

  private static func text(
    _ bytes: ArraySlice<UInt8>, _ place: ConfigurationPlace
  ) throws(NovaConfigurationError) -> String {
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw .syntax(place, .notUTF8)
    }
    return text
  }
}

extension ArraySlice<UInt8> {
  private static func isBlank(_ byte: UInt8) -> Bool {
    byte == 0x20 || (0x09...0x0D).contains(byte)
  }

  fileprivate var trimmedStart: ArraySlice<UInt8> { drop(while: Self.isBlank) }

  fileprivate var trimmedEnd: ArraySlice<UInt8> {
    let end = lastIndex { !Self.isBlank($0) }.map { $0 + 1 } ?? startIndex
    return self[startIndex..<end]
  }
}
