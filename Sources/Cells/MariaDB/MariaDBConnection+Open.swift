internal import CMariaDB
internal import Journal

extension MariaDBConnection {
  /// Opens a connection, logs in and prepares the session.
  ///
  /// The library shakes hands for TLS as if time didn't matter, and verifies only a name that it has
  /// resolved itself; where it does either, it runs on a thread of its own, which the deadline ends
  /// by ending the socket.
  static func open(
    _ address: DatabaseAddress, until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> MariaDBConnection {
    let options = try MariaDBOptions(address, until: deadline)
    let tls = try MariaDBTLS(options)
    let places = try places(of: options, tls, until: deadline)
    var attempts = ConnectionAttempts(places.count, address, until: deadline)
    var last: DatabaseError?
    for place in places {
      do throws(DatabaseError) {
        let connection = try open(place, options, tls, until: attempts.next())
        connection.deadline = deadline
        return connection
      } catch {
        last = error
        guard error.isWorthAnotherServer else { throw error }
      }
    }
    throw last ?? .deadlinePassed(server: "\(address.publicForm)")
  }

  /// One way in to a server.
  private struct Place {
    var host: String
    var port: UInt16 = 0
    var socketPath: String?
    /// As messages name it.
    var server: String
    /// The library has a name to resolve.
    var needsThread: Bool
  }

  private static func places(
    of options: MariaDBOptions, _ tls: MariaDBTLS, until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> [Place] {
    switch try options.place {
    case .socket(let path, _):
      return [
        Place(
          host: "localhost", socketPath: path.string, server: path.string, needsThread: false)
      ]
    case .servers(let servers):
      let server = servers[0]
      let found = try NameResolution.addresses(of: server, until: deadline)
      let hosts = tls.verifiesName ? [server.host.string] : found
      return hosts.map { host in
        Place(
          host: host, port: server.port, server: server.description,
          needsThread: !NameResolution.isNumeric(host))
      }
    case .file, .memory: preconditionFailure("MariaDB has a server")
    }
  }

  private static func open(
    _ place: Place, _ options: MariaDBOptions, _ tls: MariaDBTLS,
    until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> MariaDBConnection {
    let guardian = SocketGuard()
    @Sendable func attempt() -> Result<MariaDBConnection, DatabaseError> {
      do throws(DatabaseError) {
        return .success(
          try connected(place, options, tls, guardian: guardian, until: deadline))
      } catch {
        return .failure(error)
      }
    }
    // Whoever speaks TLS has files to read, too.
    guard place.needsThread || tls.use != .never else { return try attempt().get() }
    guard let result = onOwnThread(until: deadline, attempt) else {
      guardian.end()
      throw .deadlinePassed(server: place.server)
    }
    return try result.get()
  }

  /// Most bytes of an answer's packet; a row of Nova's that is read here has far fewer.
  private static let maximumPacketBytes = 16 << 20

  /// Most bytes of a file of certificates; Debian's of all authorities has a quarter of a megabyte.
  private static let maximumFileBytes = 16 << 20

  /// The ways of logging in that show the password to nobody who isn't entitled to it.
  private static let authentications = [
    "mysql_native_password", "client_ed25519", "caching_sha2_password", "sha256_password",
  ]

  private static func connected(
    _ place: Place, _ options: MariaDBOptions, _ tls: MariaDBTLS, guardian: SocketGuard,
    until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> MariaDBConnection {
    let connection = MariaDBConnection(
      options, server: place.server, tls: tls, guardian: guardian, until: deadline)
    // A server may ask for any file that this process can read; it gets none.
    connection.set(MYSQL_OPT_LOCAL_INFILE, to: UInt32(0))
    connection.set(MYSQL_SET_CHARSET_NAME, to: "utf8mb4")
    connection.limitPackets(to: maximumPacketBytes)
    let asked = options.address.option("auth_plugin").map { [$0] } ?? []
    connection.set(
      MARIADB_OPT_RESTRICTED_AUTH, to: (authentications + asked).joined(separator: ","))
    if options.address.flag("compress") == true { connection.set(MYSQL_OPT_COMPRESS, to: true) }
    if tls.use != .never { try connection.apply(tls, of: options) }
    if place.socketPath == nil {
      connection.set(MYSQL_OPT_PROTOCOL, to: MYSQL_PROTOCOL_TCP.rawValue)
    }
    let database = options.database
    try connection.connect(
      host: place.host, port: UInt32(place.port), socketPath: place.socketPath,
      user: options.user ?? "", database: database.isEmpty ? nil : database,
      needsTLS: tls.use == .always)
    try connection.prepareSession()
    return connection
  }

  /// - Throws: `optionUnusable` for a file that is none, or can't be read.
  private func apply(_ tls: MariaDBTLS, of options: MariaDBOptions) throws(DatabaseError) {
    if tls.use == .always { set(MYSQL_OPT_SSL_ENFORCE, to: true) }
    // Any option of TLS makes the library offer it.
    set(MARIADB_OPT_TLS_VERSION, to: options.option("tls_version") ?? "TLSv1.2,TLSv1.3")
    // The library reads them under a lock that all of its connections share: a file that doesn't
    // answer would hang every cell.
    for name in ["ssl_ca", "ssl_cert", "ssl_key"] {
      guard let path = options.option(name) else { continue }
      _ = try NamedFile(option: name, path: path).contents(atMost: Self.maximumFileBytes)
    }
    for (name, option) in [
      ("ssl_cert", MYSQL_OPT_SSL_CERT), ("ssl_key", MYSQL_OPT_SSL_KEY),
      ("ssl_cipher", MYSQL_OPT_SSL_CIPHER),
    ] {
      if let value = options.option(name) { set(option, to: value) }
    }
    if let secret = options.secret("ssl_key_password"), let text = secret.exposedText() {
      set(MARIADB_OPT_TLS_PASSPHRASE, to: text)
    }
    guard tls.verifiesAuthority else { return }
    let (file, folder) = (options.option("ssl_ca"), options.option("ssl_capath"))
    if let file { set(MYSQL_OPT_SSL_CA, to: file) }
    if let folder = folder ?? (file == nil ? Self.systemAuthorities : nil) {
      set(MYSQL_OPT_SSL_CAPATH, to: folder)
    }
    if tls.verifiesName { set(MYSQL_OPT_SSL_VERIFY_SERVER_CERT, to: true) }
  }

  /// Where Linux keeps the authorities that everybody trusts.
  private static let systemAuthorities = "/etc/ssl/certs"
}

extension SQLQuery {
  /// The text with each placeholder replaced by its value.
  ///
  /// Text is written in hexadecimal, so that no character of it can end a literal, whatever the
  /// server's mode.
  var withLiterals: String {
    var result: [UInt8] = []
    var bytes = text.utf8[...]
    while let byte = bytes.popFirst() {
      guard byte == UInt8(ascii: "?") else {
        result.append(byte)
        continue
      }
      var number = 0
      while let digit = bytes.first, (0x30...0x39).contains(digit) {
        number = number * 10 + Int(digit - 0x30)
        bytes.removeFirst()
      }
      precondition((1...values.count).contains(number), "a placeholder of the query")
      result.append(contentsOf: Self.literal(values[number - 1]).utf8)
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func literal(_ value: SQLValue) -> String {
    switch value {
    case .integer(let value): return "\(value)"
    case .null: return "NULL"
    case .text(let text): return hexadecimal(text)
    }
  }

  /// A text as a literal that means the same whatever the session's mode and character set.
  static func hexadecimal(_ text: ByteText) -> String {
    let digits = Array("0123456789abcdef".utf8)
    let hexadecimal = text.string.utf8.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
    return "_utf8mb4 X'" + String(decoding: hexadecimal, as: UTF8.self) + "'"
  }
}
