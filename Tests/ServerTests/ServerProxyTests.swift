import Foundation
import Journal
import Testing
import TestServers
import TestSupport

@testable import Cells

/// A real HAProxy between cellmap and the server, as kolla and others deploy it.
@Suite(
  .waiting,
  .enabled(
    if: TestServer.areInstalled && HAProxy.isInstalled,
    "MariaDB, PostgreSQL or HAProxy isn't installed; tools/setup --servers installs them"))
struct ServerProxyTests {
  @Test(arguments: ServerEngine.allCases)
  func `reads a cell through HAProxy`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    try database.add(instance)
    let proxy = try HAProxy(to: [database.server.port])
    defer { proxy.stop() }
    #expect(try connect(database, port: proxy.port).placement(of: instance)?.host == "compute-1")
  }

  @Test(arguments: ServerEngine.allCases)
  func `an idle connection that HAProxy has closed is replaced without an error`(
    _ engine: ServerEngine
  ) throws {
    let database = try cellDatabase(on: engine)
    try database.add(instance)
    let proxy = try HAProxy(to: [database.server.port], idleMilliseconds: 3_000)
    defer { proxy.stop() }
    // A connection to a database that isn't proven to be the cell's is kept for a second only.
    let knowledge = IdentityKnowledge(
      recorded: { _ in RecordedIdentity(services: [], computeNodes: [], instances: [instance]) },
      cellsRecording: { _ in [] })
    let pool = CellConnectionPool(
      cell: cell, location: .server(try database.address(port: proxy.port)), identity: knowledge)
    for isSecond in [false, true] {
      if isSecond { sleep(4) }
      try pool.withConnection(until: soon()) { lent throws(CellError) in
        _ = try lent.connection.placement(of: instance)
      }
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `no server behind HAProxy is told within the deadline`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let proxy = try HAProxy(to: [1])
    defer { proxy.stop() }
    let begin = ContinuousClock.now
    #expect(refusal { try connect(database, port: proxy.port, within: 2_000) } != nil)
    #expect(begin.duration(to: .now) < .seconds(2) + busyMachine)
  }

  @Test(arguments: ServerEngine.allCases)
  func `the second server is taken once the first is gone`(_ engine: ServerEngine) throws {
    let servers = [try TestServer.start(engine), try TestServer.start(engine)]
    defer { for server in servers { try? server.stop() } }
    // Databases and users of the same names, as replicas have.
    let first = try NovaServerDatabase.makeCell(on: servers[0])
    let second = try first.copy(on: servers[1])
    try first.add(instance, ["host": "'first'"])
    try second.add(instance, ["host": "'second'"])
    let proxy = try HAProxy(to: servers.map(\.port))
    defer { proxy.stop() }
    let location = CellDatabaseLocation.server(try first.address(port: proxy.port))
    func newPool() -> CellConnectionPool {
      CellConnectionPool(cell: cell, location: location, identity: .none)
    }
    func host(_ pool: CellConnectionPool) throws(CellError) -> ByteText? {
      try pool.withConnection(until: soon()) { lent throws(CellError) in
        try lent.connection.placement(of: instance)?.host
      }
    }
    #expect(eventually { (try? host(newPool())) == "first" })
    let pool = newPool()
    #expect(try host(pool) == "first")
    try servers[0].kill()
    // Once HAProxy's checks have noticed, one connection may be broken, and no more.
    #expect(eventually { (try? host(newPool())) == "second" })
    #expect(try (try? host(pool)) ?? host(pool) == "second")
  }
}

/// A private HAProxy on loopback.
final class HAProxy {
  let port: Int
  private let folder: String
  private let process: pid_t

  static var isInstalled: Bool {
    FileManager.default.isExecutableFile(atPath: "/usr/sbin/haproxy")
  }

  /// Passes connections on to the first of the ports that answers.
  init(to ports: [Int], idleMilliseconds: Int = 60_000) throws {
    folder = NSTemporaryDirectory() + "cellmap-haproxy-\(UUID().uuidString.prefix(8))"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    // A listener that is never used: its port is free once it is gone.
    let placeholder = try FaultProxy(to: 1, .silent)
    port = placeholder.port
    placeholder.stop()
    let servers = ports.enumerated().map { place, port in
      "  server s\(place) 127.0.0.1:\(port) check inter 200 fall 2"
        + (place > 0 ? " backup" : "") + " on-marked-down shutdown-sessions"
    }
    let configuration = """
      global
        pidfile \(folder)/pid
      defaults
        mode tcp
        timeout connect 500
        timeout client \(idleMilliseconds)
        timeout server \(idleMilliseconds)
      listen cell
        bind 127.0.0.1:\(port)
      \(servers.joined(separator: "\n"))

      """
    let file = folder + "/haproxy.cfg"
    try configuration.write(toFile: file, atomically: true, encoding: .utf8)
    try TestServer.run("/usr/sbin/haproxy", ["-D", "-f", file, "-p", folder + "/pid"], input: "")
    let text = try String(contentsOfFile: folder + "/pid", encoding: .utf8)
    process = pid_t(text.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
    usleepMilliseconds(600)
  }

  func stop() {
    if process > 0 { kill(process, SIGKILL) }
    try? FileManager.default.removeItem(atPath: folder)
  }
}
