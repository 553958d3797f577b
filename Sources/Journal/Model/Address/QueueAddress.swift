/// Where the message queue of a cell is, read from an address as oslo.messaging reads it.
///
/// The grammar, the options and the public form are in docs/addresses.md.
public struct QueueAddress: Hashable, Sendable {
  /// How messages travel.
  public enum Transport: String, Hashable, Sendable, CaseIterable {
    case rabbit
    /// Another name of `rabbit`.
    case kombu
    /// No queue: Nova writes it for cell0.
    case none
    /// The queue inside of a process that Nova's tests use.
    case fake
  }

  /// One broker of a cluster, with the credentials written for it: they aren't inherited.
  public struct Host: Hashable, Sendable {
    public let server: ServerAddress
    public let user: ByteText?
    public let password: Secret?
  }

  public let transport: Transport
  /// In the order written; empty only for `none` and `fake`.
  public let hosts: [Host]
  /// `/` where none is written.
  public let virtualHost: ByteText
  /// The options by name.
  public let options: [AddressOption]
  /// The text this was read from, byte for byte.
  public let original: Secret

  /// Whether there is a broker to connect to.
  public var isRabbit: Bool { transport == .rabbit || transport == .kombu }

  /// Reads an address, as it is after a template has been expanded.
  ///
  /// Without a host, `rabbit://` means `guest:guest@localhost:5672`, as it does for Nova.
  ///
  /// - Throws: an `AddressError` that names the piece and never holds a part of a password.
  public init(parsing original: Secret) throws(AddressError) {
    let text = try AddressText.whole(original, .queue)
    guard let layout = AddressLayout(queue: text),
      let scheme = AddressText.scheme(layout.scheme)
    else { throw .schemeMissing(.queue) }
    guard let transport = Transport(rawValue: scheme) else {
      throw .schemeUnknown(.queue, scheme: scheme)
    }
    self.original = original
    self.transport = transport
    for character: UInt8 in [.hash, .at] where Self.isUnencoded(character, in: layout) {
      throw .unencoded(.queue, character: character)
    }
    hosts = try Self.hosts(layout, transport)
    let path = try layout.path.map { text throws(AddressError) in
      try AddressText.decoded(text, .queue, .path)
    }
    virtualHost = path.flatMap { $0 == "" ? nil : $0 } ?? "/"
    options = try AddressOption.parse(
      layout.query, rules: transport.rules, field: .queue, scheme: scheme)
    if transport == .none {
      if !hosts.isEmpty { throw .pieceNotAllowed(.queue, .host, scheme: scheme) }
      if virtualHost != "/" { throw .pieceNotAllowed(.queue, .path, scheme: scheme) }
    }
  }

  /// The exact text this was read from.
  public var printed: Secret { original }
}

extension QueueAddress {
  /// An empty fragment is what a template leaves of `#{fragment}`; it says nothing.
  private static func isUnencoded(
    _ character: UInt8, in layout: AddressLayout<SecretBytes>
  ) -> Bool {
    if character == .hash { return layout.fragment?.isEmpty == false }
    return layout.afterCredentials.contains(character)
  }

  private static func hosts(
    _ layout: AddressLayout<SecretBytes>, _ transport: Transport
  ) throws(AddressError) -> [Host] {
    var hosts: [Host] = []
    for (index, part) in layout.hosts.enumerated() {
      let server = try AddressText.server(
        part, ordinal: index + 1, defaultPort: 5672, .queue)
      guard let server else { throw .hostMissing(.queue, host: index + 1) }
      if part.user != nil, let last = hosts.last, last.user == nil {
        throw .credentialsMixed(host: index + 1)
      }
      let user = try part.user.map { text throws(AddressError) in
        try AddressText.decoded(text, .queue, .user)
      }
      let password = try part.password.map { text throws(AddressError) in
        try AddressText.password(text, .queue)
      }
      hosts.append(Host(server: server, user: user, password: password))
    }
    if hosts.isEmpty, transport == .rabbit || transport == .kombu {
      let server = ServerAddress(host: "localhost", port: 5672)
      return [Host(server: server, user: "guest", password: Secret("guest"))]
    }
    return hosts
  }
}

extension QueueAddress {
  /// The address without its secrets, in one spelling for all spellings of it: printable ASCII, a
  /// lower-case scheme and host, every port, options by name.
  ///
  /// Made piece by piece from what is known to be no secret: scheme, users, hosts, virtual host, and
  /// options of the allow-list that hold none. Every password is `****`.
  public var publicForm: ByteText {
    let shownHosts = hosts.map { host in
      let user = host.user.map { PercentCoding.encoded($0.string.utf8) } ?? ""
      let password = host.password == nil ? "" : ":****"
      let credentials = host.user == nil && host.password == nil ? "" : "\(user)\(password)@"
      return "\(credentials)\(host.server)"
    }
    let query = options.isEmpty ? "" : "?" + options.map(\.publicForm).joined(separator: "&")
    return ByteText(
      "\(transport.rawValue)://\(shownHosts.joined(separator: ","))/\(shownVirtualHost)\(query)")
  }

  /// What makes two addresses the same queue: servers and virtual host. Users, passwords, options
  /// and the order of servers don't count.
  public var normalisedLocation: ByteText {
    let family = isRabbit ? "rabbit" : transport.rawValue
    let servers = hosts.map(\.server.locationText).sorted().joined(separator: ",")
    return ByteText("\(family)://\(servers)/\(shownVirtualHost)")
  }

  private var shownVirtualHost: String {
    virtualHost == "/" ? "" : PercentCoding.encoded(virtualHost.string.utf8)
  }
}

extension QueueAddress.Transport {
  /// The allow-list of a transport's options; docs/addresses.md has it as a table.
  var rules: OptionRules {
    switch self {
    case .rabbit, .kombu: Self.rabbitRules
    case .none, .fake: Self.noRules
    }
  }

  private static let noRules = OptionRules([:])
  private static let rabbitRules = OptionRules([
    .flag: """
    amqp_auto_delete amqp_durable_queues direct_mandatory_flag enable_cancel_on_failover \
    heartbeat_in_pthread rabbit_ha_queues rabbit_quorum_queue rabbit_stream_fanout \
    rabbit_transient_quorum_queue ssl ssl_enforce_fips_mode use_queue_manager
    """,
    // AMQP has 16 bits for it.
    .wholeNumber(upTo: 65_535): "heartbeat_timeout_threshold",
    .number(upTo: 9_223_372_036_854_775_807): """
    conn_pool_min_size conn_pool_ttl heartbeat_rate kombu_missing_consumer_retry_timeout \
    kombu_reconnect_delay kombu_reconnect_splay \
    rabbit_interval_max rabbit_qos_prefetch_count rabbit_quorum_delivery_limit \
    rabbit_quorum_max_memory_bytes rabbit_quorum_max_memory_length rabbit_retry_backoff \
    rabbit_retry_interval rabbit_transient_queues_ttl rpc_conn_pool_size
    """,
    .text: """
    hostname kombu_compression kombu_failover_strategy processname rabbit_login_method \
    ssl_version
    """,
    .path: "ssl_ca_file ssl_cert_file ssl_key_file",
  ])
}
