extension DatabaseAddress {
  /// The address without its secrets, in one spelling for all spellings of it: printable ASCII, a
  /// lower-case scheme and host, the port always there, options by name.
  ///
  /// Made piece by piece from what is known to be no secret: scheme, user, hosts, path, and options
  /// of the allow-list that hold none. Every password and secret option is `****`.
  public var publicForm: ByteText {
    let scheme = driver.map { "\(dialect)+\($0)" } ?? dialect
    let shownOptions = (options + placeOptions).sorted { $0.name < $1.name }
    let query =
      shownOptions.isEmpty ? "" : "?" + shownOptions.map(\.publicForm).joined(separator: "&")
    return ByteText("\(scheme)://\(shownCredentials)\(shownPlace)\(query)")
  }

  /// What makes two addresses the same database: engine, servers, and name; for a file its path,
  /// taken from `baseDirectory` if it is relative.
  ///
  /// User, password, driver, options and the order of servers don't count. Aliases of one server
  /// (`localhost` and `127.0.0.1`, a link to a file) aren't seen here.
  public func normalisedLocation(baseDirectory: ByteText) -> ByteText {
    let name = PercentCoding.encoded(database.string.utf8)
    switch place {
    case .memory:
      return "sqlite://"
    case .file:
      let path = filePath(baseDirectory: baseDirectory) ?? ""
      return ByteText("sqlite:///" + PercentCoding.encoded(path.string.utf8, keeping: "/"))
    case .servers(let servers):
      let hosts = servers.map(\.locationText).sorted().joined(separator: ",")
      return ByteText("\(engine)://\(hosts)/\(name)")
    case .socket(let path, let port):
      let socket = PercentCoding.encoded(path.string.utf8, keeping: "/")
      let suffix = engine == .postgresql ? ":\(port)" : ""
      return ByteText("\(engine)://localhost/\(name)?socket=\(socket)\(suffix)")
    }
  }

  /// The path of a SQLite file: absolute where `baseDirectory` is, without `.`, `..` and double
  /// slashes; nil for other places.
  ///
  /// `..` is taken by the letter, without looking at links.
  public func filePath(baseDirectory: ByteText) -> ByteText? {
    guard case .file(let path) = place else { return nil }
    var bytes = Array(path.string.utf8)
    if bytes.first != .slash { bytes = Array(baseDirectory.string.utf8) + [.slash] + bytes }
    var parts: [ArraySlice<UInt8>] = []
    for part in bytes.split(separator: .slash) where !part.elementsEqual(".".utf8) {
      if part.elementsEqual("..".utf8) { _ = parts.popLast() } else { parts.append(part) }
    }
    let joined = parts.joined(separator: [.slash])
    return ByteText(utf8: bytes.first == .slash ? [.slash] + joined : Array(joined))
  }

  private var shownCredentials: String {
    guard user != nil || password != nil else { return "" }
    let name = PercentCoding.encoded((user ?? "").string.utf8)
    return name + (password == nil ? "" : ":****") + "@"
  }

  private var shownPlace: String {
    let name = PercentCoding.encoded(database.string.utf8)
    switch place {
    case .memory: return ""
    case .file(let path): return "/" + PercentCoding.encoded(path.string.utf8, keeping: "/")
    case .servers(let servers): return servers.count == 1 ? "\(servers[0])/\(name)" : "/\(name)"
    case .socket: return "/\(name)"
    }
  }

  /// The options that say a place which the authority can't.
  private var placeOptions: [AddressOption] {
    switch place {
    case .memory, .file: return []
    case .servers(let servers):
      if servers.count == 1 { return [] }
      let hosts = ByteText(servers.map(\.description).joined(separator: ","))
      return [AddressOption(name: "host", value: .clear(hosts))]
    case .socket(let path, let port):
      if engine == .mysql { return [AddressOption(name: "unix_socket", value: .clear(path))] }
      return [
        AddressOption(name: "host", value: .clear(path)),
        AddressOption(name: "port", value: .clear(ByteText(String(port)))),
      ]
    }
  }
}
