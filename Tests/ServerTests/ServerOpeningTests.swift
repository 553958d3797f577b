import Foundation
import Journal
import Testing
import TestServers
import TestSupport

@testable import Cells

/// What opening a connection to a server comes to, when all is well and when it isn't.
@Suite(.waiting, .enabled(if: TestServer.areInstalled, needsServers))
struct ServerOpeningTests {
  /// Printable ASCII and more, as operators' password generators make it.
  private static let special =
    String(String.UnicodeScalarView((0x21...0x7E).map { UnicodeScalar($0)! })) + " é☃😀"

  @Test(arguments: ServerEngine.allCases)
  func `takes a password with every special character`(_ engine: ServerEngine) throws {
    let database = try NovaServerDatabase.makeCell(on: .shared(engine), password: Self.special)
    try database.add(instance)
    #expect(try connect(database).placement(of: instance) != nil)
  }

  @Test(arguments: ServerEngine.allCases)
  func `names a refused user and never the password`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    try database.setPassword("another")
    let error = refusal { try connect(database) }
    let server = "127.0.0.1:\(database.server.port)"
    #expect(error == .credentialRefused(server: server, user: database.user))
    #expect("\(String(describing: error))".contains("s3cret") == false)
  }

  @Test(arguments: ServerEngine.allCases)
  func `names a database that isn't there`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let server = database.server
    let text = server.address("nowhere", user: database.user, password: database.password)
    let error = refusal { try open(text) }
    #expect(error == .databaseRefused(server: "127.0.0.1:\(server.port)", database: "nowhere"))
  }

  @Test(arguments: ServerEngine.allCases)
  func `says that nobody listens`(_ engine: ServerEngine) throws {
    let error = refusal { try open(Secret("\(engine.scheme)://u:p@127.0.0.1:1/d")) }
    guard case .unreachable(let server, let reason) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(server == "127.0.0.1:1")
    #expect(reason.contains("refused") || reason.contains("111"))
  }

  @Test(arguments: ServerEngine.allCases)
  func `says that a name can't be resolved`(_ engine: ServerEngine) throws {
    let error = refusal { try open(Secret("\(engine.scheme)://u:p@no-such-host.invalid/d")) }
    guard case .unreachable = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `connects by name, by IPv6 and by socket`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let server = database.server
    for host in ["localhost", "[::1]"] {
      #expect(try connect(database, host: host).placement(of: instance) == nil)
    }
    let query =
      engine == .mariadb
      ? "?unix_socket=\(server.socket)" : "?host=\(server.socket)&port=\(server.port)"
    let text = Secret(
      "\(engine.scheme)://\(database.user):\(database.password)@/\(database.name)\(query)")
    #expect(try open(text).placement(of: instance) == nil)
  }

  @Test func `takes the next of several servers of PostgreSQL`() throws {
    let database = try cellDatabase(on: .postgresql)
    let text = Secret(
      "postgresql://\(database.user):\(database.password)@/\(database.name)"
        + "?host=127.0.0.1:1&host=no-such-host.invalid&host=127.0.0.1:\(database.server.port)")
    #expect(try open(text).placement(of: instance) == nil)
  }

  @Test func `takes host, user and password from MariaDB's option file`() throws {
    try withTemporaryFolder { folder in
      let database = try cellDatabase(on: .mariadb)
      let path = folder + "/my.cnf"
      try """
      [cells]
      host = 127.0.0.1
      port = \(database.server.port)
      user = \(database.user)
      password = \(database.password)
      """.write(toFile: path, atomically: true, encoding: .utf8)
      let text = Secret(
        "mysql+pymysql:///\(database.name)?read_default_file=\(path)&read_default_group=cells")
      #expect(try open(text).placement(of: instance) == nil)
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `speaks UTC and UTF-8 whatever the server's defaults are`(_ engine: ServerEngine) throws {
    let options =
      engine == .mariadb
      ? [
        "--default-time-zone=+05:00", "--character-set-server=latin1",
        "--sql-mode=ANSI,TRADITIONAL",
      ]
      : ["-c", "timezone=Asia/Kolkata", "-c", "datestyle=German", "-c", "client_encoding=LATIN1"]
    let server = try TestServer.start(engine, options: options)
    defer { try? server.stop() }
    let database = try NovaServerDatabase.makeCell(on: server)
    try database.add(instance, ["display_name": "'Zoë'"])
    let row = try #require(try connect(database).instance(instance))
    #expect(row.createdAt == Timestamp("2026-01-01T05:16:48Z"))
    #expect(row.displayName == "Zoë")
    let connection = try connect(database)
    let now = engine == .mariadb ? "SELECT CAST(now() AS CHAR)" : "SELECT localtimestamp(0)::text"
    var moment: Timestamp?
    try connection.forEachRow(of: SQLQuery(connection.dialect, on: .instances, now)) {
      (row) throws(DatabaseError) in
      moment = try row.time(0)
    }
    let difference = try #require(moment).microseconds - Timestamp.now.microseconds
    #expect(abs(difference) < 60_000_000)
  }

  @Test(arguments: ServerEngine.allCases)
  func `an option that can't be followed is named`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let query = engine == .mariadb ? "?ssl_mode=sometimes" : "?sslnegotiation=direct"
    let error = refusal { try connect(database, query) }
    guard case .optionUnusable(let name, _) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(query.contains(name))
  }

  @Test(arguments: ServerEngine.allCases, [true, false])
  func `takes every number from its smallest to its largest`(
    _ engine: ServerEngine, isLargest: Bool
  ) throws {
    let limits: KeyValuePairs<String, UInt64> =
      engine == .mariadb
      ? [
        "connect_timeout": 31_536_000, "read_timeout": 31_536_000, "write_timeout": 31_536_000,
        "client_flag": 4_294_967_295, "max_allowed_packet": 4_294_967_295,
      ]
      : [
        "connect_timeout": 2_147_483_647, "tcp_user_timeout": 2_147_483_647,
        "keepalives_idle": 32_767, "keepalives_interval": 32_767, "keepalives_count": 127,
      ]
    let query = limits.map { name, largest in
      // libpq hands a 0 on to Linux, which takes none.
      "\(name)=\(isLargest ? largest : name.hasPrefix("keepalives_") ? 1 : 0)"
    }.joined(separator: "&")
    let connection = try connect(try cellDatabase(on: engine), "?" + query)
    #expect(try connection.placement(of: instance) == nil)
  }

  @Test func `leaves the process's handling of SIGPIPE alone`() throws {
    let before = brokenPipeHandling()
    try connect(try cellDatabase(on: .mariadb))
    #expect(brokenPipeHandling() == before)
  }

  @Test(arguments: ServerEngine.allCases)
  func `a name that isn't resolved costs the deadline and no more`(_ engine: ServerEngine) throws {
    let text = try cellDatabase(on: engine).text(host: "db.slower.invalid")
    let begin = ContinuousClock.now
    let error = refusal { try open(text, within: 300) }
    // The name takes half a minute.
    #expect(begin.duration(to: .now) < .seconds(20))
    guard case .deadlinePassed? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }
}
