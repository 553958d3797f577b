import Journal

/// What a Nova configuration says about databases and queues, read as oslo.config reads it.
///
/// Several files are read in the order given, a directory as its `*.conf` in the order of their
/// names; a later file wins over an earlier one, and the environment (`OS_GROUP__OPTION`) over all.
struct NovaConfiguration: Sendable {
  /// `[api_database] connection`: where `adopt` reads the map.
  let apiDatabase: Secret?
  /// `[database] connection`: the address of a cell, and the base of database templates.
  let database: Secret?
  /// `[DEFAULT] transport_url`: the address of a cell, and the base of queue templates.
  let transportURL: Secret?
  /// The options of `[oslo_messaging_rabbit]` that a connection needs.
  let connectionOptions: ConnectionOptions

  /// Reads files and directories.
  ///
  /// An option that is nowhere, or empty, is nil; whether that is an error is the caller's to say.
  ///
  /// - Throws: `unreadable`, `tooLarge`, `syntax`, `reference`, `option`.
  init(
    paths: [String], environment: [String: String]
  ) throws(NovaConfigurationError) {
    var files: [ConfigurationFile] = []
    for path in paths {
      for file in try ConfigurationSource.files(at: path) {
        let text = try ConfigurationSource.contents(of: file)
        files.append(try ConfigurationFile(path: file, text: text))
      }
    }
    try self.init(files: files, environment: environment)
  }

  init(
    files: [ConfigurationFile], environment: [String: String]
  ) throws(NovaConfigurationError) {
    let options = ConfigurationOptions(files: files, environment: environment)
    apiDatabase = try options.secret("api_database", "connection")
    database = try options.secret("database", "connection")
    transportURL = try options.secret("DEFAULT", "transport_url")
    connectionOptions = try Self.connectionOptions(options)
  }

  /// Older names that oslo.messaging still reads.
  private static let formerNames = [
    "ssl": "rabbit_use_ssl", "ssl_version": "kombu_ssl_version",
    "ssl_key_file": "kombu_ssl_keyfile", "ssl_cert_file": "kombu_ssl_certfile",
    "ssl_ca_file": "kombu_ssl_ca_certs",
  ]

  private static func connectionOptions(
    _ options: ConfigurationOptions
  ) throws(NovaConfigurationError) -> ConnectionOptions {
    let group = "oslo_messaging_rabbit"
    var pairs: [(name: String, value: ByteText)] = []
    for name in ConnectionOptions.names {
      let names = [name] + (formerNames[name].map { [$0] } ?? [])
      guard let found = try options.value(group, names), !found.bytes.isEmpty else { continue }
      do {
        guard let value = ByteText(utf8: found.bytes) else {
          throw AddressError.notUTF8(.queue, .options)
        }
        pairs.append((name, value))
        _ = try ConnectionOptions([(name, value)])
      } catch let error as AddressError {
        throw .option(group: group, name: name, at: found.place, error)
      } catch {
        preconditionFailure("only address errors are thrown here")
      }
    }
    do {
      return try ConnectionOptions(pairs)
    } catch {
      throw .option(group: group, name: "", at: .environment(name: ""), error)
    }
  }
}

/// Where an option was set.
enum ConfigurationPlace: Hashable, Sendable, CustomStringConvertible {
  case file(path: String, line: Int)
  case environment(name: String)

  var description: String {
    switch self {
    case .file(let path, let line): "\(path), line \(line)"
    case .environment(let name): "the environment variable \(name)"
    }
  }
}

/// Why a Nova configuration couldn't be read; no case carries a value of an option.
enum NovaConfigurationError: Error, Hashable, CustomStringConvertible {
  enum Problem: String, Hashable, Sendable {
    case noSection = "an option stands before the first [group]"
    case noBracket = "the closing bracket of a [group] is missing"
    case noGroupName = "a [group] has no name"
    case noValue = "there is neither '=' nor ':'"
    case noName = "there is no name before the '=' or ':'"
    case noContinuedLine = "an indented line continues nothing"
    case notUTF8 = "it isn't UTF-8"
  }

  enum ReferenceProblem: String, Hashable, Sendable {
    case unknown = "names an option that isn't set. Set it there, or write $$ for a plain dollar"
    case tooDeep = "leads in a circle. Break it, or write $$ for a plain dollar"
  }

  case unreadable(path: String, reason: String)
  case tooLarge(path: String, limitBytes: Int)
  case syntax(ConfigurationPlace, Problem)
  /// A `$` in the value of an option.
  case reference(group: String, name: String, at: ConfigurationPlace, ReferenceProblem)
  case option(group: String, name: String, at: ConfigurationPlace, AddressError)

  var description: String {
    switch self {
    case .unreadable(let path, let reason):
      "\(path) can't be read: \(reason). Check the path and its permissions."
    case .tooLarge(let path, let limit):
      "\(path) is larger than \(limit) bytes, which no nova.conf is. Check the path."
    case .syntax(let place, let problem):
      "\(place): \(problem.rawValue). Correct the line."
    case .reference(let group, let name, let place, let problem):
      "\(place): a '$' in [\(group)] \(name) \(problem.rawValue)."
    case .option(let group, let name, let place, let error):
      "\(place): [\(group)] \(name) can't be used. \(error)"
    }
  }
}
