import Journal
import Synchronization
import Testing
import TestServers
import TestSupport

@testable import Cells

/// What servers and networks do when they are ill, and that every call comes back by its deadline.
@Suite(.waiting, .enabled(if: TestServer.areInstalled, needsServers))
struct ServerFaultTests {
  @Test(arguments: ServerEngine.allCases)
  func `a frozen server is given up at the deadline, in a query and in opening`(
    _ engine: ServerEngine
  ) throws {
    let server = try TestServer.start(engine)
    defer { try? server.stop() }
    let database = try NovaServerDatabase.makeCell(on: server)
    let connection = try connect(database)
    server.whileFrozen {
      let attempts: [() throws -> Void] = [
        {
          try connection.begin(until: soon(200))
          _ = try connection.placement(of: instance)
        }, { try connect(database, within: 200) },
      ]
      for attempt in attempts {
        let begin = ContinuousClock.now
        #expect(throws: CellError.deadlinePassed(cell: cell)) { try attempt() }
        #expect(begin.duration(to: .now) < .milliseconds(200) + busyMachine)
      }
    }
    #expect(try connect(database).placement(of: instance) == nil)
  }

  @Test(arguments: ServerEngine.allCases)
  func `a silent listener is given up at the deadline`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let proxy = try FaultProxy(to: database.server.port, .silent)
    defer { proxy.stop() }
    try expectDeadline { try connect(database, port: proxy.port, within: 250) }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a stalled or dripping answer is given up at the deadline`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    try database.add(instance)
    for dripping in [false, true] {
      let proxy = try FaultProxy(to: database.server.port, .none)
      defer { proxy.stop() }
      try connect(database, port: proxy.port)
      let opening = proxy.passedBytes
      // Some bytes into the answer, and some into the greeting.
      for bytes in [opening + 9, 9] {
        proxy.change(
          to: dripping
            ? .dripsAfter(bytes: bytes, pause: .milliseconds(15)) : .stallsAfter(bytes: bytes))
        try expectDeadline {
          let connection = try connect(database, port: proxy.port, within: 300)
          try connection.begin(until: soon(300))
          // Enough of an answer to outlast the deadline byte by byte.
          for _ in 0..<3 { _ = try connection.instance(instance) }
        }
      }
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `garbage instead of a server is told as such`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    var generator = SeededGenerator(seed: 20_260_801)
    for round in 0..<60 {
      let length = Int.random(in: 1...400, using: &generator)
      var bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
      // Some that begin as the protocol does.
      if round % 3 == 1, length > 5 {
        bytes.replaceSubrange(0..<5, with: [UInt8(truncatingIfNeeded: length), 0, 0, 0, 10])
      }
      if round % 3 == 2, length > 5 { bytes.replaceSubrange(0..<5, with: [0x52, 0, 0, 0, 8]) }
      let proxy = try FaultProxy(to: 1, .answers(bytes, times: round % 4 == 0 ? 200 : 1))
      defer { proxy.stop() }
      let error = refusal { try connect(database, port: proxy.port, within: 300) }
      #expect(error != nil, "round \(round)")
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `HTTP instead of a server is told as such`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let page = Array("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".utf8)
    let proxy = try FaultProxy(to: 1, .answers(page, times: 1))
    defer { proxy.stop() }
    let error = refusal { try connect(database, port: proxy.port) }
    guard case .protocolBroken = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a cut after any byte is an error, and never a part of an answer`(
    _ engine: ServerEngine
  ) throws {
    let database = try cellDatabase(on: engine)
    for number in 0..<3 as Range<UInt64> {
      try database.add(InstanceID(uuid(6, number)), ["host": "'host-\(number)-☃'"])
    }
    let proxy = try FaultProxy(to: database.server.port, .none)
    defer { proxy.stop() }
    func rows() throws -> [InstancePlacement?] {
      let connection = try connect(database, port: proxy.port)
      return try connection.placements(of: (0..<3).map { InstanceID(uuid(6, $0)) })
    }
    let whole = try rows()
    let total = proxy.passedBytes
    #expect(whole.allSatisfy { $0 != nil } && total > 500)
    var (kinds, survivors): ([String: Int], Int) = ([:], 0)
    for bytes in 0..<total {
      proxy.change(to: .cutsAfter(bytes: bytes))
      do {
        let answer = try rows()
        // Only what the libraries don't need may be missing.
        #expect(answer == whole, "cut after \(bytes) of \(total)")
        survivors += 1
      } catch let error as CellError {
        kinds[
          "\(error)".split(separator: ":").dropFirst().first.map(String.init) ?? "", default: 0] +=
          1
        #expect(!"\(error)".contains("s3cret"))
      }
    }
    #expect(survivors <= 16, "\(survivors) of \(total) cuts went unnoticed")
    #expect(kinds.values.reduce(0, +) + survivors == total)
  }

  @Test(arguments: ServerEngine.allCases)
  func `a killed server is an error, and the pool goes on once it is back`(
    _ engine: ServerEngine
  ) throws {
    let server = try TestServer.start(engine)
    defer { try? server.stop() }
    let database = try NovaServerDatabase.makeCell(on: server)
    try database.add(instance)
    let pool = CellConnectionPool(
      cell: cell, location: .server(try database.address()), identity: .none)
    func host() throws(CellError) -> ByteText? {
      try pool.withConnection(until: soon()) { lent throws(CellError) in
        try lent.connection.placement(of: instance)?.host
      }
    }
    #expect(try host() == "compute-1")
    try server.kill()
    #expect(throws: CellError.self) { try host() }
    try server.restart()
    #expect(try host() == "compute-1")
  }

  @Test(arguments: ServerEngine.allCases)
  func `an idle connection that the server closed is replaced without an error`(
    _ engine: ServerEngine
  ) throws {
    let database = try cellDatabase(on: engine)
    try database.add(instance)
    let pool = CellConnectionPool(
      cell: cell, location: .server(try database.address()), identity: .none)
    for _ in 0..<3 {
      let host = try pool.withConnection(until: soon()) { lent throws(CellError) in
        try lent.connection.placement(of: instance)?.host
      }
      #expect(host == "compute-1")
      try disconnectAll(of: database)
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `changed credentials refuse new connections until the address has them`(
    _ engine: ServerEngine
  ) throws {
    let database = try cellDatabase(on: engine)
    try database.add(instance)
    let pool = CellConnectionPool(
      cell: cell, location: .server(try database.address()), identity: .none)
    func host(_ pool: CellConnectionPool) throws(CellError) -> ByteText? {
      try pool.withConnection(until: soon()) { lent throws(CellError) in
        try lent.connection.placement(of: instance)?.host
      }
    }
    #expect(try host(pool) == "compute-1")
    try database.setPassword("new")
    try disconnectAll(of: database)
    let error = refusal { try host(pool) }
    guard case .credentialRefused = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    let text = database.server.address(database.name, user: database.user, password: "new")
    let changed = CellConnectionPool(
      cell: cell, location: .server(try DatabaseAddress(parsing: text)), identity: .none)
    #expect(try host(changed) == "compute-1")
  }

  @Test(arguments: ServerEngine.allCases)
  func `too many connections are told as such`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    switch engine {
    case .mariadb:
      try database.execute(
        "GRANT USAGE ON *.* TO '\(database.user)'@'%' WITH MAX_USER_CONNECTIONS 1")
    case .postgresql: try database.execute("ALTER ROLE \(database.user) CONNECTION LIMIT 1")
    }
    let first = try connect(database)
    let error = refusal { try connect(database) }
    guard case .serverRefused = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(try first.placement(of: instance) == nil)
  }

  @Test(arguments: ServerEngine.allCases)
  func `a given-up connection leaves no file open`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let proxy = try FaultProxy(to: database.server.port, .silent)
    defer { proxy.stop() }
    func sockets() -> Int { openSockets(to: proxy.port) }
    for _ in 0..<20 { _ = refusal { try connect(database, port: proxy.port, within: 20) } }
    #expect(sockets() == 0)
  }

  private func disconnectAll(of database: NovaServerDatabase) throws {
    switch database.server.engine {
    case .mariadb: try database.execute("KILL USER '\(database.user)'@'%'")
    case .postgresql:
      try database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
          + "WHERE usename = '\(database.user)'")
    }
    // The end of the connection takes its way.
    for _ in 0..<100 where try connections(of: database) > 0 { usleepMilliseconds(10) }
    usleepMilliseconds(50)
  }

  private func connections(of database: NovaServerDatabase) throws -> Int {
    let text =
      database.server.engine == .mariadb
      ? "SELECT count(*) FROM information_schema.PROCESSLIST WHERE USER = '\(database.user)'"
      : "SELECT count(*) FROM pg_stat_activity WHERE usename = '\(database.user)'"
    let answer = try database.execute(text)
    return Int(answer.split(whereSeparator: \.isWhitespace).first ?? "0") ?? 0
  }

  private func expectDeadline(_ body: () throws -> Void) throws {
    let begin = ContinuousClock.now
    #expect(throws: CellError.deadlinePassed(cell: cell)) { try body() }
    #expect(begin.duration(to: .now) < .milliseconds(300) + busyMachine)
  }
}

/// Numbers that are the same in each run.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    // SplitMix64.
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}
