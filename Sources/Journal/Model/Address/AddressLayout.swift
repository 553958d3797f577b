/// Where the pieces of an address lie, before one of them is decoded or judged.
///
/// One split serves addresses and templates: in a template's text a placeholder is a single symbol
/// above every byte, so that it can't be taken for a delimiter.
struct AddressLayout<Text: RandomAccessCollection & Sendable>
where Text.Index == Int, Text.Element: FixedWidthInteger & UnsignedInteger, Text.SubSequence == Text
{
  struct Host {
    var user: Text?
    var password: Text?
    /// The name without brackets; nil where nothing is written.
    var name: Text?
    var isBracketed = false
    /// What stands between the closing bracket and the port; anything but nothing is an error.
    var isMalformed = false
    var port: Text?
  }

  var scheme: Text
  var hosts: [Host] = []
  /// What follows the first slash behind the hosts; nil without one.
  var path: Text?
  /// The items of the query, empty ones left out.
  var query: [Text] = []
  var fragment: Text?
  /// What follows the credentials of a database, or the hosts of a queue: a raw `@` there means
  /// that a password wasn't encoded.
  var afterCredentials: Text
}

extension AddressLayout {
  /// Splits a database address as SQLAlchemy's `make_url` does: a password ends at the first `@`,
  /// and may hold `/`, `?`, `#` and `:` raw. Nil without `scheme://`.
  init?(database text: Text) {
    guard let (scheme, rest) = Self.schemeAndRest(of: text) else { return nil }
    var host = Host()
    var place = rest
    let userEnd = rest.firstIndex { $0 == .colon || $0 == .slash } ?? rest.endIndex
    if userEnd < rest.endIndex, rest[userEnd] == .colon,
      let at = rest[(userEnd + 1)...].firstIndex(of: .at)
    {
      host.user = rest[..<userEnd]
      host.password = rest[(userEnd + 1)..<at]
      place = rest[(at + 1)...]
    } else if let at = rest[..<userEnd].lastIndex(of: .at) {
      host.user = rest[..<at]
      place = rest[(at + 1)...]
    }
    let hostEnd = place.firstIndex { $0 == .slash || $0 == .question } ?? place.endIndex
    host.setPlace(place[..<hostEnd])
    let queryStart = place[hostEnd...].firstIndex(of: .question) ?? place.endIndex
    self.init(scheme: scheme, hosts: [host], afterCredentials: place)
    if hostEnd < queryStart { path = place[(hostEnd + 1)..<queryStart] }
    query = Self.items(of: place[queryStart...].dropFirst())
  }

  /// Splits a queue address as `TransportURL.parse` does: the hosts end at the first `/`, `?` or
  /// `#`, are separated by commas, and credentials end at a host's last `@`. Nil without
  /// `scheme://`.
  init?(queue text: Text) {
    guard let (scheme, rest) = Self.schemeAndRest(of: text) else { return nil }
    let hostsEnd =
      rest.firstIndex { $0 == .slash || $0 == .question || $0 == .hash } ?? rest.endIndex
    let tail = rest[hostsEnd...]
    let fragmentStart = tail.firstIndex(of: .hash) ?? tail.endIndex
    let queryStart = tail[..<fragmentStart].firstIndex(of: .question) ?? fragmentStart
    self.init(scheme: scheme, afterCredentials: tail)
    hosts = rest[..<hostsEnd].split(separator: .comma).map(Self.host)
    if hostsEnd < queryStart { path = tail[(hostsEnd + 1)..<queryStart] }
    query = Self.items(of: tail[queryStart..<fragmentStart].dropFirst())
    if fragmentStart < tail.endIndex { fragment = tail[(fragmentStart + 1)...] }
  }

  private static func schemeAndRest(of text: Text) -> (Text, Text)? {
    guard let colon = text.firstIndex(of: .colon),
      text[(colon + 1)...].starts(with: [.slash, .slash])
    else { return nil }
    return (text[..<colon], text[(colon + 3)...])
  }

  private static func items(of query: Text) -> [Text] { query.split(separator: .ampersand) }

  private static func host(_ text: Text) -> Host {
    var host = Host()
    guard let at = text.lastIndex(of: .at) else {
      host.setPlace(text)
      return host
    }
    let credentials = text[..<at]
    if let colon = credentials.firstIndex(of: .colon) {
      host.user = credentials[..<colon]
      host.password = credentials[(colon + 1)...]
    } else {
      host.user = credentials
    }
    host.setPlace(text[(at + 1)...])
    return host
  }
}

extension AddressLayout.Host {
  /// Splits `name[:port]` or `[IPv6][:port]`.
  mutating func setPlace(_ place: Text) {
    var afterName = place[place.endIndex...]
    if place.first == .openBracket {
      isBracketed = true
      guard let close = place.firstIndex(of: .closeBracket) else {
        isMalformed = true
        return
      }
      name = place[(place.startIndex + 1)..<close]
      afterName = place[(close + 1)...]
    } else {
      let colon = place.firstIndex(of: .colon) ?? place.endIndex
      if colon > place.startIndex { name = place[..<colon] }
      afterName = place[colon...]
    }
    guard let first = afterName.first else { return }
    guard first == .colon else {
      isMalformed = true
      return
    }
    if afterName.count > 1 { port = afterName.dropFirst() }
  }
}

/// The delimiters of an address.
extension FixedWidthInteger {
  static var hash: Self { 0x23 }
  static var ampersand: Self { 0x26 }
  static var comma: Self { 0x2C }
  static var slash: Self { 0x2F }
  static var colon: Self { 0x3A }
  static var equals: Self { 0x3D }
  static var question: Self { 0x3F }
  static var at: Self { 0x40 }
  static var openBracket: Self { 0x5B }
  static var closeBracket: Self { 0x5D }
  static var openBrace: Self { 0x7B }
  static var closeBrace: Self { 0x7D }
}
