/// The pieces of the address that templates are expanded from, as Nova's `urllib` sees them:
/// nothing is decoded, and a base needs no scheme or option that cellmap knows.
struct TemplateBase {
  private let field: AddressField
  private let scheme: SecretBytes
  /// Everything between `//` and the path: all hosts with their credentials.
  let netloc: SecretBytes
  private let path: SecretBytes
  private let query: SecretBytes
  private let fragment: SecretBytes
  /// The parts of the netloc between commas.
  let hosts: [SecretBytes]

  init(_ base: Secret, _ field: AddressField) throws(AddressError) {
    guard let text = try? AddressText.whole(base, field) else { throw .baseInvalid(field, .text) }
    guard let colon = text.firstIndex(of: .colon),
      text[(colon + 1)...].starts(with: [.slash, .slash]),
      AddressText.scheme(text[..<colon]) != nil
    else { throw .baseInvalid(field, .scheme) }
    self.field = field
    scheme = text[..<colon]
    let rest = text[(colon + 3)...]
    let netlocEnd =
      rest.firstIndex { $0 == .slash || $0 == .question || $0 == .hash } ?? rest.endIndex
    let fragmentStart = rest[netlocEnd...].firstIndex(of: .hash) ?? rest.endIndex
    let queryStart = rest[netlocEnd..<fragmentStart].firstIndex(of: .question) ?? fragmentStart
    netloc = rest[..<netlocEnd]
    hosts = netloc.split(separator: .comma, omittingEmptySubsequences: false)
    path = rest[netlocEnd..<queryStart].drop { $0 == .slash }
    query = rest[queryStart..<fragmentStart].dropFirst()
    fragment = rest[fragmentStart...].dropFirst()
  }

  /// The text of a piece. Path, query and fragment are empty where the base has none.
  ///
  /// - Throws: `placeholderWithoutValue`; `baseInvalid` for a port that is none.
  func value(of placeholder: TemplateText.Placeholder) throws(AddressError) -> [UInt8] {
    switch placeholder.name {
    case .scheme: return Self.lowered(scheme)
    case .path: return Array(path)
    case .query: return Array(query)
    case .fragment: return Array(fragment)
    case .username, .password, .hostname, .port:
      guard let value = try netlocValue(of: placeholder) else {
        throw .placeholderWithoutValue(field, name: placeholder.text)
      }
      return value
    }
  }

  private func netlocValue(
    of placeholder: TemplateText.Placeholder
  ) throws(AddressError) -> [UInt8]? {
    var part = netloc
    if let number = placeholder.number {
      guard hosts.count > 1, number <= hosts.count else { return nil }
      part = hosts[number - 1]
    }
    let at = part.lastIndex(of: .at)
    let credentials = at.map { part[..<$0] }
    let colon = credentials?.firstIndex(of: .colon)
    switch placeholder.name {
    case .username: return credentials.map { Array($0[..<(colon ?? $0.endIndex)]) }
    case .password: return colon.flatMap { colon in credentials.map { Array($0[(colon + 1)...]) } }
    default: break
    }
    var host = AddressLayout<SecretBytes>.Host()
    host.setPlace(part[(at.map { $0 + 1 } ?? part.startIndex)...])
    if host.isMalformed { throw .baseInvalid(field, .host) }
    guard placeholder.name == .port else { return host.name.map(Self.lowered) }
    guard let text = host.port else { return nil }
    guard let port = HostText.port(text) else { throw .baseInvalid(field, .port) }
    return Array(String(port).utf8)
  }

  private static func lowered(_ text: SecretBytes) -> [UInt8] {
    text.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
  }
}
