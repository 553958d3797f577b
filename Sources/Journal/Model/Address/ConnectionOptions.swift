/// What a cell's queue needs to be reached beside its address: Nova's `[oslo_messaging_rabbit]`.
///
/// Paths and flags only, no secrets. An option that isn't there has oslo.messaging's default; one
/// that is also in the address is overridden by it.
public struct ConnectionOptions: Hashable, Sendable {
  /// The options by name; flags are `true` or `false`.
  public let values: [(name: String, value: ByteText)]

  public static let none = ConnectionOptions(checked: [])

  /// The options this holds, by name.
  public static let names = rules.names

  /// Reads options.
  ///
  /// - Throws: `optionUnknown`, `optionRepeated`, `optionInvalid`, `controlInPiece`.
  public init(_ pairs: [(name: String, value: ByteText)]) throws(AddressError) {
    var checked: [(name: String, value: ByteText)] = []
    for (name, value) in pairs {
      guard let shape = Self.rules.shape(of: name) else {
        let shown = OptionRules.shownName(Array(name.utf8))
        throw .optionUnknown(.queue, scheme: "rabbit", name: shown)
      }
      if checked.contains(where: { $0.name == name }) { throw .optionRepeated(.queue, name: name) }
      try AddressText.check(value.string.utf8, .queue, .options)
      guard shape.matches(Array(value.string.utf8)) else {
        throw .optionInvalid(.queue, name: name, expected: shape)
      }
      checked.append((name, shape == .flag ? Self.flag(value) : value))
    }
    self.init(checked: checked)
  }

  /// Reads what `canonicalText` wrote.
  ///
  /// - Throws: as the other initialiser, and `optionWithoutValue`.
  public init(parsing text: ByteText) throws(AddressError) {
    var pairs: [(name: String, value: ByteText)] = []
    for item in Array(text.string.utf8).split(separator: UInt8.ampersand) {
      let equals = item.firstIndex(of: .equals) ?? item.endIndex
      let name = OptionRules.shownName(Array(item[..<equals]))
      let bytes = PercentCoding.decoded(item[equals...].dropFirst())
      guard !bytes.isEmpty else { throw .optionWithoutValue(.queue, name: name) }
      guard let value = ByteText(utf8: bytes) else { throw .notUTF8(.queue, .options) }
      pairs.append((name, value))
    }
    try self.init(pairs)
  }

  private init(checked: [(name: String, value: ByteText)]) {
    values = checked.sorted { $0.name < $1.name }
  }

  /// The value of an option, where it is there.
  public subscript(name: String) -> ByteText? { values.first { $0.name == name }?.value }

  /// Whether connections use TLS, where it is said.
  public var usesTLS: Bool? { self["ssl"].map { $0 == "true" } }

  /// The options as one text, equal for equal options: `name=value` by name, joined by `&`, values
  /// percent-encoded.
  public var canonicalText: ByteText {
    ByteText(
      values.map { "\($0.name)=\(PercentCoding.encoded($0.value.string.utf8, keeping: "/"))" }
        .joined(separator: "&"))
  }

  /// These options, with those that an address has in their place, as oslo.messaging takes them.
  public func overridden(by address: QueueAddress) -> ConnectionOptions {
    var result = values
    for option in address.options {
      guard let shape = Self.rules.shape(of: option.name), let value = option.clearValue else {
        continue
      }
      result.removeAll { $0.name == option.name }
      result.append((option.name, shape == .flag ? Self.flag(value) : value))
    }
    return ConnectionOptions(checked: result)
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.values.elementsEqual(right.values) { $0 == $1 }
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(canonicalText) }

  private static func flag(_ value: ByteText) -> ByteText {
    ["1", "true", "yes", "on"].contains(value.string.lowercased()) ? "true" : "false"
  }

  private static let rules = OptionRules([
    .flag: """
    amqp_auto_delete amqp_durable_queues rabbit_quorum_queue rabbit_stream_fanout \
    rabbit_transient_quorum_queue ssl
    """,
    .text: "rabbit_login_method ssl_version",
    .path: "ssl_ca_file ssl_cert_file ssl_key_file",
  ])
}
