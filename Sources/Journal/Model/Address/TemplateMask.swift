/// Makes the public form of a template, and refuses one whose expansion couldn't be an address or
/// would show a password as something else.
struct TemplateMask {
  private let layout: AddressLayout<TemplateText>
  private let field: AddressField

  init(_ text: TemplateText, _ field: AddressField) throws(AddressError) {
    let layout =
      switch field {
      case .database: AddressLayout(database: text)
      case .queue: AddressLayout(queue: text)
      }
    guard let layout else { throw .schemeMissing(field) }
    self.layout = layout
    self.field = field
  }

  func publicForm() throws(AddressError) -> ByteText {
    let scheme = try shownScheme()
    if layout.afterCredentials.contains(.at) { throw .unencoded(field, character: .at) }
    if field == .database, layout.afterCredentials.contains(.hash) {
      throw .unencoded(field, character: .hash)
    }
    var hosts: [String] = []
    for (index, host) in layout.hosts.enumerated() {
      hosts.append(try shown(host, ordinal: index + 1))
    }
    var text = "\(scheme)://\(hosts.joined(separator: ","))"
    if let path = layout.path {
      try check(path, allowing: [.username, .hostname, .port, .path])
      text += "/" + shown(path)
    }
    if !layout.query.isEmpty { text += "?" + (try shownQuery()) }
    return ByteText(text + (try shownFragment()))
  }

  /// Scheme, hosts, path and the options that say a place, without credentials; literal if no
  /// placeholder is among them.
  var place: (text: String, isLiteral: Bool) {
    var parts = [layout.scheme] + layout.hosts.flatMap { [$0.name, $0.port].compactMap(\.self) }
    let hosts = layout.hosts.map { host in
      let name = host.name.map { shown($0).lowercased() } ?? ""
      return (host.isBracketed ? "[\(name)]" : name) + (host.port.map { ":" + shown($0) } ?? "")
    }
    var text = "\(shown(layout.scheme).lowercased())://\(hosts.joined(separator: ","))"
    if let path = layout.path {
      parts.append(path)
      text += "/" + shown(path)
    }
    let options = layout.query.filter { item in
      ["host=", "port=", "unix_socket="].contains { item.starts(with: $0.utf8.map(UInt16.init)) }
    }
    parts += options
    if !options.isEmpty { text += "?" + options.map(shown).sorted().joined(separator: "&") }
    return (text, parts.allSatisfy { $0.literalBytes != nil })
  }

  private func shownScheme() throws(AddressError) -> String {
    if layout.scheme.onlyPlaceholder?.name == .scheme { return "{scheme}" }
    try check(layout.scheme, allowing: [])
    guard let scheme = layout.scheme.literalBytes.flatMap({ AddressText.scheme($0) }) else {
      throw .schemeMissing(field)
    }
    guard rules(of: scheme) != nil else { throw .schemeUnknown(field, scheme: scheme) }
    return scheme
  }

  private func rules(of scheme: String) -> OptionRules? {
    switch field {
    case .queue: return QueueAddress.Transport(rawValue: scheme)?.rules
    case .database:
      let parts = scheme.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
      guard let engine = DatabaseEngine(dialect: parts[0]),
        parts.count == 1 || engine.drivers.contains(String(parts[1]))
      else { return nil }
      return engine.rules
    }
  }

  private func shown(
    _ host: AddressLayout<TemplateText>.Host, ordinal: Int
  ) throws(AddressError) -> String {
    if host.isMalformed { throw .hostInvalid(field, host: ordinal) }
    var text = ""
    if let user = host.user {
      try check(user, allowing: [.username, .hostname, .port, .path])
      text += shown(user)
    }
    if let password = host.password { text += ":" + masked(password) }
    if host.user != nil || host.password != nil { text += "@" }
    if let name = host.name {
      try check(name, allowing: [.username, .hostname, .port])
      let extra: StaticString = host.isBracketed ? ".:" : ".-_"
      guard
        name.allSatisfy({ symbol in
          guard let byte = UInt8(exactly: symbol) else { return true }
          return PercentCoding.isLetterOrDigit(byte) || extra.description.utf8.contains(byte)
        })
      else { throw .hostInvalid(field, host: ordinal) }
      let lowered = shown(name).lowercased()
      text += host.isBracketed ? "[\(lowered)]" : lowered
    }
    guard let port = host.port else { return text }
    try check(port, allowing: [.port])
    guard port.allSatisfy({ (0x30...0x39).contains($0) || $0 >= 0x100 }) else {
      throw .portInvalid(field, host: ordinal)
    }
    return text + ":" + shown(port)
  }

  private func shownQuery() throws(AddressError) -> String {
    var items: [String] = []
    for item in layout.query {
      if item.onlyPlaceholder?.name == .query {
        items.append("{query}")
        continue
      }
      let equals = item.firstIndex(of: .equals) ?? item.endIndex
      try check(item[..<equals], allowing: [])
      let name = OptionRules.shownName(
        PercentCoding.decoded(item[..<equals].literalBytes ?? [], plusIsSpace: true))
      guard let shape = shape(of: name) else {
        let scheme = layout.scheme.literalBytes.map { String(decoding: $0, as: UTF8.self) }
        throw .optionUnknown(field, scheme: scheme ?? "{scheme}", name: name)
      }
      let value = item[equals...].dropFirst()
      if value.isEmpty { throw .optionWithoutValue(field, name: name) }
      if shape != .secret { try check(value, allowing: [.username, .hostname, .port, .path]) }
      items.append("\(name)=\(shape == .secret ? masked(value) : shown(value))")
    }
    return items.joined(separator: "&")
  }

  /// The shape of an option; where the scheme is a placeholder, of any scheme that takes it.
  private func shape(of name: String) -> OptionShape? {
    if let scheme = layout.scheme.literalBytes.flatMap({ AddressText.scheme($0) }) {
      return rules(of: scheme)?.shape(of: name)
    }
    let candidates: [OptionRules] =
      switch field {
      case .database: DatabaseEngine.allCases.map(\.rules)
      case .queue: [QueueAddress.Transport.rabbit.rules]
      }
    return candidates.lazy.compactMap { $0.shape(of: name) }.first
  }

  private func shownFragment() throws(AddressError) -> String {
    guard let fragment = layout.fragment else { return "" }
    if fragment.isEmpty { return "#" }
    guard fragment.onlyPlaceholder?.name == .fragment else {
      throw .unencoded(field, character: .hash)
    }
    return "#{fragment}"
  }

  private func check(
    _ part: TemplateText, allowing names: Set<PlaceholderName>
  ) throws(AddressError) {
    for case .placeholder(let placeholder, let ordinal) in part.symbols
    where !names.contains(placeholder.name) {
      throw .placeholderMisplaced(field, ordinal: ordinal)
    }
  }

  /// A part as it is written; literal braces, and other than printable ASCII, percent-encoded.
  private func shown(_ part: TemplateText) -> String {
    part.symbols.reduce(into: "") { text, symbol in
      switch symbol {
      case .literal(let byte) where byte < 0x7F && byte != .openBrace && byte != .closeBrace:
        text.unicodeScalars.append(UnicodeScalar(byte))
      case .literal(let byte): text += "%" + PercentCoding.hexadecimal(byte)
      case .placeholder(let placeholder, _): text += "{\(placeholder.text)}"
      }
    }
  }

  /// A part with each run of literal bytes as four stars.
  private func masked(_ part: TemplateText) -> String {
    var text = part.isEmpty ? "****" : ""
    var isInLiteral = false
    for symbol in part.symbols {
      if case .placeholder(let placeholder, _) = symbol {
        text += "{\(placeholder.text)}"
        isInLiteral = false
      } else if !isInLiteral {
        text += "****"
        isInLiteral = true
      }
    }
    return text
  }
}
