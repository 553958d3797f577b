internal import Glibc
public import Journal

/// A connection to a database on a server, for reading alone unless it is asked to let write.
///
/// Its session is READ ONLY until `allowWriting`, speaks UTF-8 and has its times in UTC. Every call returns by the
/// deadline, whatever the server or the network do; after an error the connection is of no more use.
/// It belongs to one thread at a time.
public enum ServerConnection: Sendable {
  case mariadb(MariaDBConnection)
  case postgresql(PostgreSQLConnection)

  /// Opens a connection to the first of an address's servers that takes one.
  public static func open(
    _ address: DatabaseAddress, until deadline: ContinuousClock.Instant
  ) throws(DatabaseError) -> ServerConnection {
    switch address.engine {
    case .mysql: .mariadb(try MariaDBConnection.open(address, until: deadline))
    case .postgresql: .postgresql(try PostgreSQLConnection.open(address, until: deadline))
    case .sqlite: preconditionFailure("a SQLite file has no server")
    }
  }

  public var dialect: SQLDialect {
    switch self {
    case .mariadb: .mariadb
    case .postgresql: .postgresql
    }
  }

  /// The server, as messages name it.
  public var server: String {
    switch self {
    case .mariadb(let connection): connection.server
    case .postgresql(let connection): connection.server
    }
  }

  /// Begins a piece of work that is broken off at `deadline`.
  ///
  /// - Throws: `connectionLost` if the server has closed the connection meanwhile.
  public func begin(until deadline: ContinuousClock.Instant) throws(DatabaseError) {
    switch self {
    case .mariadb(let connection): try connection.begin(until: deadline)
    case .postgresql(let connection): try connection.begin(until: deadline)
    }
  }

  /// Runs a query and gives `body` each of its rows as it comes.
  public func forEachRow(
    of query: SQLQuery, _ body: (SQLRow) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    switch self {
    case .mariadb(let connection): try connection.forEachRow(of: query, body)
    case .postgresql(let connection): try connection.forEachRow(of: query, body)
    }
  }

  /// Begins one snapshot that all queries read until the connection is closed.
  public func beginSnapshot() throws(DatabaseError) {
    switch self {
    case .mariadb(let connection):
      try connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
      try connection.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
    case .postgresql(let connection):
      try connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    }
  }
}

extension ServerConnection {
  /// Lets the session write, in transactions of READ COMMITTED.
  func allowWriting() throws(DatabaseError) {
    switch self {
    case .mariadb(let connection): try connection.allowWriting()
    case .postgresql(let connection): try connection.allowWriting()
    }
  }

  /// Runs one of the words that begin and end a transaction.
  func run(_ words: String) throws(DatabaseError) {
    switch self {
    case .mariadb(let connection): try connection.execute(words)
    case .postgresql(let connection): try connection.execute(words)
    }
  }

  /// Runs a statement, and returns how many rows it has written.
  func change(_ statement: SQLQuery) throws(DatabaseError) -> UInt64 {
    switch self {
    case .mariadb(let connection): try connection.change(statement)
    case .postgresql(let connection): try connection.change(statement)
    }
  }
}

/// How long each of several attempts to connect may take: an equal share of what is left, and no more
/// than the address's own `connect_timeout`.
struct ConnectionAttempts {
  private var left: Int
  private let deadline: ContinuousClock.Instant
  private let limit: Duration?

  init(_ count: Int, _ address: DatabaseAddress, until deadline: ContinuousClock.Instant) {
    left = max(1, count)
    self.deadline = deadline
    limit = address.option("connect_timeout").flatMap { Double($0) }
      .flatMap { $0 > 0 ? .seconds($0) : nil }
  }

  /// The deadline of the next attempt.
  mutating func next() -> ContinuousClock.Instant {
    let now = ContinuousClock.now
    let share = now.advanced(by: now.duration(to: deadline) / left)
    left = max(1, left - 1)
    guard let limit else { return share }
    return min(share, now.advanced(by: limit))
  }
}

extension DatabaseAddress {
  /// The clear value of an option; nil where it isn't there.
  func option(_ name: String) -> String? {
    options.first { $0.name == name }?.clearValue?.string
  }

  /// The truth of an option that is a flag; nil where it isn't there.
  func flag(_ name: String) -> Bool? {
    option(name).map { Self.isTrue($0) }
  }

  static func isTrue(_ flag: String) -> Bool {
    ["1", "true", "yes", "on"].contains(flag.lowercased())
  }

  /// The value of an option that is a secret; nil where it isn't there.
  func secret(_ name: String) -> Secret? {
    guard case .secret(let secret) = options.first(where: { $0.name == name })?.value else {
      return nil
    }
    return secret
  }
}

/// A client library's own words on a failure, made fit for a message: one line of printable ASCII, and
/// nothing at all if the password is in it.
func sanitised(_ text: String, without password: Secret?) -> String {
  let bytes = Array(text.utf8)
  let hasPassword =
    password.map { (secret) in
      secret.withExposed { (clear: Span<UInt8>) in
        guard clear.count > 2, bytes.count >= clear.count else { return false }
        return (0...(bytes.count - clear.count)).contains { start in
          clear.indices.allSatisfy { bytes[start + $0] == clear[$0] }
        }
      }
    } ?? false
  if hasPassword { return "no further words" }
  // libpq has a line for each attempt, and hints behind them.
  let lines = text.split(whereSeparator: \.isNewline).map(String.init)
  let line = lines.last { $0.contains("FATAL") } ?? lines.first ?? ""
  let shown = line.unicodeScalars.filter { (0x20...0x7E).contains($0.value) }
  return String(String.UnicodeScalarView(shown.prefix(200)))
}
