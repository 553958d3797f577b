public import Journal

/// Where a cell's queue is and how a connection to it is made: from the queue's address and the
/// connection options that belong to it.
public struct QueueLocation: Sendable {
  /// The brokers of the cluster, in the order written.
  let brokers: [Broker]
  let virtualHost: ByteText
  /// nil for plain TCP.
  let security: TransportSecurity?
  /// 0 for none.
  let heartbeatSeconds: UInt16
  /// What the broker's own lists call the connection.
  let name = "cellmap"

  /// Reads an address, templates expanded, and the options beside it.
  ///
  /// - Throws: `noQueue`, `transportNotSupported`, `optionNotSupported`.
  public init(_ address: QueueAddress, options: ConnectionOptions) throws(QueueFault) {
    guard address.isRabbit else {
      throw address.transport == .none
        ? .noQueue : .transportNotSupported(address.transport.rawValue)
    }
    brokers = address.hosts.map {
      Broker(server: $0.server, user: $0.user ?? "", password: $0.password ?? Secret(""))
    }
    virtualHost = address.virtualHost
    let options = options.overridden(by: address)
    security = options.usesTLS == true ? try TransportSecurity(options) : nil
    // Nova's default is AMQPLAIN, which says the same in another form.
    let method = options["rabbit_login_method"]?.string ?? "PLAIN"
    guard ["PLAIN", "AMQPLAIN"].contains(method) else {
      throw .optionNotSupported(name: "rabbit_login_method", value: method)
    }
    let heartbeat = address.options.first { $0.name == "heartbeat_timeout_threshold" }
    heartbeatSeconds = heartbeat.flatMap { $0.clearValue.flatMap { UInt16($0.string) } } ?? 60
  }
}

/// One broker of a cluster, with the credentials for it.
struct Broker: Sendable {
  let server: ServerAddress
  let user: ByteText
  let password: Secret
}

/// How TLS is spoken: version 1.2 at least, and the broker's certificate always checked.
struct TransportSecurity: Sendable {
  /// The certificates of the authorities that are believed.
  let authorityFile: String
  /// The certificate that this side shows.
  let ownCertificate: (certificateFile: String, keyFile: String)?

  /// Debian's bundle of public authorities, for brokers without one of their own.
  static let systemAuthorities = "/etc/ssl/certs/ca-certificates.crt"

  /// - Throws: `optionNotSupported` for a version below 1.2.
  init(_ options: ConnectionOptions) throws(QueueFault) {
    authorityFile = options["ssl_ca_file"]?.string ?? Self.systemAuthorities
    let certificate = options["ssl_cert_file"]?.string
    let key = options["ssl_key_file"]?.string
    // One file may hold both, as Python takes it.
    ownCertificate = (certificate ?? key).map { ($0, key ?? $0) }
    if let version = options["ssl_version"]?.string,
      ["sslv2", "sslv3", "tlsv1", "tlsv1_1"].contains(version.lowercased())
    {
      throw .optionNotSupported(name: "ssl_version", value: version)
    }
  }
}
