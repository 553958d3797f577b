/// Where a database is and how it is reached, read from an address as SQLAlchemy reads it.
///
/// The grammar, the options and the public form are in docs/addresses.md.
public struct DatabaseAddress: Hashable, Sendable {
  /// Where the database is.
  public enum Place: Hashable, Sendable {
    /// A file of SQLite; relative to a directory that the caller gives, unless it begins with `/`.
    case file(path: ByteText)
    /// A database of SQLite that ends with its connection.
    case memory
    /// Servers that hold the same database, tried in this order; never empty.
    case servers([ServerAddress])
    /// A socket on this machine; the port is a part of the name of PostgreSQL's.
    case socket(path: ByteText, port: UInt16)
  }

  public let engine: DatabaseEngine
  /// The dialect as written, `mysql` or `mariadb` for one engine.
  public let dialect: String
  /// SQLAlchemy's driver, `pymysql` in `mysql+pymysql`.
  public let driver: String?
  public let user: ByteText?
  public let password: Secret?
  public let place: Place
  /// The name of the database on its server; empty for a file, and where MySQL's option file
  /// names it.
  public let database: ByteText
  /// The options but those that say place, user and password, by name.
  public let options: [AddressOption]
  /// The text this was read from, byte for byte.
  public let original: Secret

  /// Reads an address, as it is after a template has been expanded.
  ///
  /// - Throws: an `AddressError` that names the piece and never holds a part of a password.
  public init(parsing original: Secret) throws(AddressError) {
    let text = try AddressText.whole(original, .database)
    guard let layout = AddressLayout(database: text), let host = layout.hosts.first,
      let scheme = AddressText.scheme(layout.scheme)
    else { throw .schemeMissing(.database) }
    (engine, dialect, driver) = try Self.engine(of: scheme)
    self.original = original
    if engine == .sqlite {
      (place, options) = try Self.file(layout, host)
      (user, password, database) = (nil, nil, "")
      return
    }
    for character: UInt8 in [.at, .hash] where layout.afterCredentials.contains(character) {
      throw .unencoded(.database, character: character)
    }
    var options = try AddressOption.parse(
      layout.query, rules: engine.rules, field: .database, scheme: dialect,
      repeatable: engine == .postgresql ? ["host"] : [])
    place = try Self.server(host, engine, &options)
    user = try Self.user(host, &options)
    password = try Self.password(host, &options)
    database =
      try layout.path.map { path throws(AddressError) in
        try AddressText.decoded(path, .database, .path)
      } ?? ""
    self.options = options
    if database == "", !options.contains(where: { $0.name == "read_default_file" }) {
      throw .databaseMissing(engine)
    }
  }

  /// The exact text this was read from.
  public var printed: Secret { original }
}

extension DatabaseAddress {
  private static func engine(
    of scheme: String
  ) throws(AddressError) -> (DatabaseEngine, String, String?) {
    let parts = scheme.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
    guard let engine = DatabaseEngine(dialect: parts[0]) else {
      throw .schemeUnknown(.database, scheme: scheme)
    }
    guard let driver = parts.dropFirst().first.map(String.init) else {
      return (engine, scheme, nil)
    }
    guard engine.drivers.contains(driver) else {
      throw .driverUnknown(engine: engine, driver: driver)
    }
    return (engine, String(parts[0]), driver)
  }

  /// `sqlite:///relative`, `sqlite:////absolute`, `sqlite://` and `sqlite:///:memory:`.
  private static func file(
    _ layout: AddressLayout<SecretBytes>, _ host: AddressLayout<SecretBytes>.Host
  ) throws(AddressError) -> (Place, [AddressOption]) {
    for (piece, isThere) in [
      (AddressPiece.user, host.user != nil), (.port, host.port != nil),
      (.host, host.name != nil || host.isMalformed),
    ] where isThere {
      throw .pieceNotAllowed(.database, piece, scheme: "sqlite")
    }
    let options = try AddressOption.parse(
      layout.query, rules: DatabaseEngine.sqlite.rules, field: .database, scheme: "sqlite")
    guard let path = layout.path, !path.isEmpty else { return (.memory, options) }
    let decoded = try AddressText.decoded(path, .database, .path)
    return (decoded == ":memory:" ? .memory : .file(path: decoded), options)
  }

  private static func user(
    _ host: AddressLayout<SecretBytes>.Host, _ options: inout [AddressOption]
  ) throws(AddressError) -> ByteText? {
    let option = options.remove(named: "user")
    guard let text = host.user, !text.isEmpty else { return option?.clearValue }
    if option != nil { throw .optionConflict(.database, name: "user", with: .user) }
    return try AddressText.decoded(text, .database, .user)
  }

  private static func password(
    _ host: AddressLayout<SecretBytes>.Host, _ options: inout [AddressOption]
  ) throws(AddressError) -> Secret? {
    var found = try host.password.map { text throws(AddressError) in
      try AddressText.password(text, .database)
    }
    for name in ["password", "passwd"] {
      guard case .secret(let secret) = options.remove(named: name)?.value else { continue }
      if found != nil { throw .optionConflict(.database, name: name, with: .password) }
      found = secret
    }
    return found
  }

  private static func server(
    _ host: AddressLayout<SecretBytes>.Host, _ engine: DatabaseEngine,
    _ options: inout [AddressOption]
  ) throws(AddressError) -> Place {
    let written = try AddressText.server(
      host, ordinal: 1, defaultPort: engine.defaultPort, .database)
    switch engine {
    case .sqlite: preconditionFailure("SQLite has no server")
    case .mysql: return try mysqlPlace(written, &options)
    case .postgresql: return try postgresqlPlace(written, &options)
    }
  }

  private static func mysqlPlace(
    _ written: ServerAddress?, _ options: inout [AddressOption]
  ) throws(AddressError) -> Place {
    var server = written ?? ServerAddress(host: "localhost", port: 3306)
    if let port = options.remove(named: "port")?.clearValue {
      if written != nil { throw .optionConflict(.database, name: "port", with: .host) }
      guard let value = HostText.port(Array(port.string.utf8)) else {
        throw .portInvalid(.database, host: 1)
      }
      server = ServerAddress(host: server.host, port: value)
    }
    guard let path = options.remove(named: "unix_socket")?.clearValue else {
      return .servers([server])
    }
    guard server.host == "localhost" else {
      throw .optionConflict(.database, name: "unix_socket", with: .host)
    }
    return .socket(path: path, port: server.port)
  }

  /// PostgreSQL's `host` may be a socket directory, a list, or be repeated as `host:port`.
  private static func postgresqlPlace(
    _ written: ServerAddress?, _ options: inout [AddressOption]
  ) throws(AddressError) -> Place {
    var hosts: [ByteText] = []
    while let option = options.remove(named: "host") { hosts.append(option.clearValue ?? "") }
    let ports = options.remove(named: "port")?.clearValue?.string
    if let written {
      if !hosts.isEmpty { throw .optionConflict(.database, name: "host", with: .host) }
      if ports != nil { throw .optionConflict(.database, name: "port", with: .host) }
      return .servers([written])
    }
    if hosts.isEmpty { hosts = ["localhost"] }
    if hosts.count == 1, let path = hosts.first, path.string.utf8.first == .slash {
      return .socket(path: path, port: try port(ports, ordinal: 1) ?? 5432)
    }
    return .servers(try postgresqlServers(hosts, ports))
  }

  private static func postgresqlServers(
    _ hosts: [ByteText], _ ports: String?
  ) throws(AddressError) -> [ServerAddress] {
    let names = hosts.flatMap { $0.string.utf8.split(separator: .comma).map { String($0) ?? "" } }
    let listed = ports.map { $0.split(separator: ",", omittingEmptySubsequences: false) } ?? []
    guard listed.isEmpty || listed.count == 1 || listed.count == names.count else {
      throw .portInvalid(.database, host: min(listed.count, names.count) + 1)
    }
    var servers: [ServerAddress] = []
    for (index, name) in names.enumerated() {
      let listedPort = listed.isEmpty ? nil : String(listed[listed.count == 1 ? 0 : index])
      let fallback = try port(listedPort, ordinal: index + 1) ?? 5432
      var host = AddressLayout<SecretBytes>.Host()
      host.setPlace(SecretBytes(of: Secret(name)))
      let server = try AddressText.server(
        host, ordinal: index + 1, defaultPort: fallback, .database)
      guard let server else { throw .hostMissing(.database, host: index + 1) }
      servers.append(server)
    }
    if servers.isEmpty { throw .hostMissing(.database, host: 1) }
    return servers
  }

  private static func port(_ text: String?, ordinal: Int) throws(AddressError) -> UInt16? {
    guard let text else { return nil }
    guard let port = HostText.port(Array(text.utf8)) else {
      throw .portInvalid(.database, host: ordinal)
    }
    return port
  }
}

extension [AddressOption] {
  /// Takes out the first option of a name.
  mutating func remove(named name: String) -> AddressOption? {
    firstIndex { $0.name == name }.map { remove(at: $0) }
  }
}
