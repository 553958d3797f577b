internal import CPostgreSQL
internal import Journal

/// A parameter of libpq's connections.
struct PostgreSQLParameter: Sendable {
  let name: String
  let bytes: [UInt8]

  init(_ name: String, _ text: String) {
    self.name = name
    bytes = Array(text.utf8)
  }

  init(_ name: String, _ secret: Secret) {
    self.name = name
    bytes = secret.withExposed { (clear: Span<UInt8>) in clear.copy }
  }
}

extension PostgreSQLConnection {
  /// Opens a connection to the first server that takes one, logs in and prepares the session.
  ///
  /// Names are resolved here, with a deadline; libpq connects by address and still verifies names.
  static func open(
    _ address: DatabaseAddress, until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> PostgreSQLConnection {
    let common = try parameters(of: address)
    switch address.place {
    case .socket(let path, let port):
      return try connected(
        common + [
          PostgreSQLParameter("host", path.string), PostgreSQLParameter("port", "\(port)"),
        ],
        address, server: path.string, until: deadline)
    case .servers(let servers):
      return try open(servers, common, address, until: deadline)
    case .file, .memory: preconditionFailure("PostgreSQL has a server")
    }
  }

  private static func open(
    _ servers: [ServerAddress], _ common: [PostgreSQLParameter], _ address: DatabaseAddress,
    until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> PostgreSQLConnection {
    var hosts = ConnectionAttempts(servers.count, address, until: deadline)
    var last: DatabaseError?
    for server in servers {
      let hostDeadline = hosts.next()
      do throws(DatabaseError) {
        let found = try NameResolution.addresses(of: server, until: hostDeadline)
        var attempts = ConnectionAttempts(found.count, address, until: hostDeadline)
        for numeric in found {
          let place = [
            PostgreSQLParameter("host", server.host.string),
            PostgreSQLParameter("hostaddr", numeric), PostgreSQLParameter("port", "\(server.port)"),
          ]
          do throws(DatabaseError) {
            let connection = try connected(
              common + place, address, server: server.description, until: attempts.next())
            connection.deadline = deadline
            return connection
          } catch {
            last = error
            guard error.isWorthAnotherServer else { throw error }
          }
        }
      } catch {
        last = error
        guard error.isWorthAnotherServer else { throw error }
      }
    }
    throw last ?? .unreachable(server: "(no server)", reason: "the address names none")
  }

  /// libpq reads the files that an address names as it goes, and as if time didn't matter: then it
  /// runs on a thread of its own.
  private static func connected(
    _ parameters: [PostgreSQLParameter], _ address: DatabaseAddress, server: String,
    until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> PostgreSQLConnection {
    @Sendable func attempt() -> Result<PostgreSQLConnection, DatabaseError> {
      do throws(DatabaseError) {
        for name in files {
          let path = address.option(name) ?? address.secret(name)?.exposedText()
          if let path { try NamedFile(option: name, path: path).requireNoPipe() }
        }
        let connection = PostgreSQLConnection(
          parameters, server: server,
          context: PostgreSQLFailureContext(
            server: server, user: address.user?.string ?? "(no user)",
            database: address.database.string, password: address.password),
          until: deadline)
        try connection.connect()
        try connection.prepareSession()
        return .success(connection)
      } catch {
        return .failure(error)
      }
    }
    guard
      (files + ["service"]).contains(where: { name in address.options.contains { $0.name == name } }
      )
    else { return try attempt().get() }
    guard let result = onOwnThread(until: deadline, attempt) else {
      throw .deadlinePassed(server: server)
    }
    return try result.get()
  }

  /// The options that name a file, or a folder of them.
  private static let files = [
    "passfile", "sslcert", "sslcrl", "sslcrldir", "sslkey", "sslrootcert",
  ]

  /// The options that libpq takes as they are.
  private static let passedOn = [
    "channel_binding", "gssencmode", "keepalives_count", "keepalives_idle", "keepalives_interval",
    "krbsrvname", "load_balance_hosts", "service", "ssl_max_protocol_version",
    "ssl_min_protocol_version", "sslcert", "sslcertmode", "sslcrl", "sslcrldir", "sslkey",
    "sslmode", "sslnegotiation", "sslrootcert", "target_session_attrs", "tcp_user_timeout",
  ]

  /// Everything but the place.
  ///
  /// - Throws: `optionUnusable` for one that this libpq doesn't have yet.
  private static func parameters(
    of address: DatabaseAddress
  ) throws(DatabaseError) -> [PostgreSQLParameter] {
    var result = [
      PostgreSQLParameter("dbname", address.database.string),
      PostgreSQLParameter("client_encoding", "UTF8"),
      PostgreSQLParameter("application_name", address.option("application_name") ?? "cellmap"),
      PostgreSQLParameter("sslmode", address.option("sslmode") ?? "prefer"),
      // Kerberos asks name servers, without a deadline.
      PostgreSQLParameter("gssencmode", address.option("gssencmode") ?? "disable"),
    ]
    if let user = address.user { result.append(PostgreSQLParameter("user", user.string)) }
    if let password = address.password { result.append(PostgreSQLParameter("password", password)) }
    let known = knownParameters
    for name in passedOn where !result.contains(where: { $0.name == name }) {
      guard let value = address.option(name) else { continue }
      guard known.contains(name) else {
        throw .optionUnusable(name: name, reason: "this version of libpq doesn't know it")
      }
      result.append(PostgreSQLParameter(name, value))
    }
    for name in ["keepalives", "sslcompression", "sslsni"] {
      if let flag = address.flag(name) {
        result.append(PostgreSQLParameter(name, flag ? "1" : "0"))
      }
    }
    for name in ["passfile", "sslpassword"] {
      if let secret = address.secret(name) { result.append(PostgreSQLParameter(name, secret)) }
    }
    return result
  }

  /// The parameters that the installed libpq knows.
  private static var knownParameters: Set<String> {
    guard let options = unsafe PQconndefaults() else { return [] }
    defer { unsafe PQconninfoFree(options) }
    var names: Set<String> = []
    var next = unsafe options
    while let keyword = unsafe next.pointee.keyword {
      names.insert(unsafe String(cString: keyword))
      unsafe next += 1
    }
    return names
  }
}

extension DatabaseError {
  /// Whether another server of the same address may do better; a wrong password is wrong everywhere.
  var isWorthAnotherServer: Bool {
    switch self {
    case .credentialRefused, .databaseRefused, .optionUnusable: false
    default: true
    }
  }
}
