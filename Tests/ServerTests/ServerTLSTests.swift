import Foundation
import Journal
import Synchronization
import Testing
import TestServers
import TestSupport

@testable import Cells

/// Encrypted connections, with an authority that the test makes with `openssl`.
@Suite(.waiting, .enabled(if: TestServer.areInstalled, needsServers))
struct ServerTLSTests {
  @Test(arguments: ServerEngine.allCases)
  func `verifies authority and name`(_ engine: ServerEngine) throws {
    let bed = try TLSBed.shared(engine)
    let connection = try connect(bed.database, host: "localhost", bed.options(ca: "ca.pem"))
    #expect(try connection.placement(of: instance) == nil)
    #expect(try bed.isEncrypted(connection))
  }

  @Test(arguments: ServerEngine.allCases)
  func `refuses an authority that isn't the server's`(_ engine: ServerEngine) throws {
    let bed = try TLSBed.shared(engine)
    let error = refusal {
      try connect(bed.database, host: "localhost", bed.options(ca: "other-ca.pem"))
    }
    #expect(isTLSFailure(error))
    #expect("\(String(describing: error))".contains("s3cret") == false)
  }

  @Test(arguments: ServerEngine.allCases)
  func `refuses a certificate of another name`(_ engine: ServerEngine) throws {
    // The certificate names localhost, and no address.
    let bed = try TLSBed.shared(engine)
    #expect(isTLSFailure(refusal { try connect(bed.database, bed.options(ca: "ca.pem")) }))
  }

  @Test(arguments: ServerEngine.allCases)
  func `leaves the name unverified where the address says so`(_ engine: ServerEngine) throws {
    let bed = try TLSBed.shared(engine)
    let connection = try connect(bed.database, bed.options(ca: "ca.pem", verifiesName: false))
    #expect(try bed.isEncrypted(connection))
    let other = bed.options(ca: "other-ca.pem", verifiesName: false)
    #expect(isTLSFailure(refusal { try connect(bed.database, other) }))
  }

  @Test(arguments: ServerEngine.allCases)
  func `encrypts without verifying where only that is asked`(_ engine: ServerEngine) throws {
    let bed = try TLSBed.shared(engine)
    let query = engine == .mariadb ? "?ssl=true" : "?sslmode=require"
    #expect(try bed.isEncrypted(try connect(bed.database, query)))
  }

  @Test(arguments: ServerEngine.allCases)
  func `shows a client certificate`(_ engine: ServerEngine) throws {
    let bed = try TLSBed.shared(engine)
    let database = try NovaServerDatabase.makeCell(on: bed.server)
    try bed.requireCertificate(of: database)
    let query = bed.options(ca: "ca.pem")
    #expect(refusal { try connect(database, host: "localhost", query) } != nil)
    let names = engine == .mariadb ? ("ssl_cert", "ssl_key") : ("sslcert", "sslkey")
    let withCertificate =
      query + "&\(names.0)=\(bed.folder)/client.pem&\(names.1)=\(bed.folder)/client.key"
    let connection = try connect(database, host: "localhost", withCertificate)
    #expect(try connection.placement(of: instance) == nil)
  }

  @Test(arguments: ServerEngine.allCases)
  func `never goes on in clear where encryption is asked`(_ engine: ServerEngine) throws {
    let options = engine == .mariadb ? ["--skip-ssl"] : []
    let server = try TestServer.start(engine, options: options)
    defer { try? server.stop() }
    let database = try NovaServerDatabase.makeCell(on: server)
    let query = engine == .mariadb ? "?ssl=true" : "?sslmode=require"
    #expect(isTLSFailure(refusal { try connect(database, query) }))
    #expect(try connect(database).placement(of: instance) == nil)
  }

  @Test func `insists on the TLS of MariaDB's option file`() throws {
    let bed = try TLSBed.shared(.mariadb)
    try withTemporaryFolder { folder in
      func query(_ lines: String) throws -> String {
        let path = folder + "/my.cnf"
        try "[client]\n\(lines)\n".write(toFile: path, atomically: false, encoding: .utf8)
        return "?read_default_file=\(path)"
      }
      let ca = "ssl-ca = \(bed.folder)/ca.pem"
      #expect(try bed.isEncrypted(connect(bed.database, host: "localhost", query(ca))))
      let other = try query("ssl-ca = \(bed.folder)/other-ca.pem")
      #expect(isTLSFailure(refusal { try connect(bed.database, host: "localhost", other) }))
      // The certificate names no address.
      let own = try query(ca)
      #expect(isTLSFailure(refusal { try connect(bed.database, own) }))
      let lax = try query(ca + "\nssl-verify-server-cert = 0")
      #expect(try bed.isEncrypted(connect(bed.database, lax)))
      // A server without TLS gets no login in clear.
      let plain = try cellDatabase(on: .mariadb)
      let proxy = try FaultProxy(to: plain.server.port, .none)
      defer { proxy.stop() }
      let asked = try query("ssl")
      #expect(isTLSFailure(refusal { try connect(plain, port: proxy.port, asked) }))
      #expect(proxy.passedBytes < 200, "the server's greeting, and no word on a login")
    }
  }

  @Test func `a handshake by MariaDB's option file ends at the deadline, and so does a session`()
    throws
  {
    let bed = try TLSBed.shared(.mariadb)
    try withTemporaryFolder { folder in
      let path = folder + "/my.cnf"
      try "[client]\nssl-ca = \(bed.folder)/ca.pem\n".write(
        toFile: path, atomically: false, encoding: .utf8)
      let query = "?read_default_file=\(path)"
      for fault in [
        FaultProxy.Fault.stallsAfter(bytes: 90), .stallsAfter(bytes: 1_500),
        .dripsAfter(bytes: 90, pause: .milliseconds(20)),
      ] {
        let proxy = try FaultProxy(to: bed.server.port, fault)
        defer { proxy.stop() }
        let begin = ContinuousClock.now
        let error = refusal {
          try connect(bed.database, host: "localhost", port: proxy.port, query, within: 400)
        }
        #expect(begin.duration(to: .now) < .milliseconds(400) + busyMachine)
        guard case .deadlinePassed = error else {
          Issue.record("\(String(describing: error))")
          continue
        }
      }
      let connection = try connect(bed.database, host: "localhost", query)
      try bed.server.whileFrozen {
        try connection.begin(until: soon(300))
        #expect(throws: CellError.deadlinePassed(cell: cell)) {
          try connection.placement(of: instance)
        }
      }
    }
  }

  /// The option by which an address names its authorities, and what it needs to be looked at.
  private func query(_ engine: ServerEngine, authority path: String) -> String {
    engine == .mariadb ? "?ssl_ca=\(path)" : "?sslmode=verify-ca&sslrootcert=\(path)"
  }

  @Test(arguments: ServerEngine.allCases)
  func `names a pipe where a certificate is to be`(_ engine: ServerEngine) throws {
    let bed = try TLSBed.shared(engine)
    try withTemporaryFolder { folder in
      let pipe = folder + "/pipe"
      #expect(mkfifo(pipe, 0o600) == 0)
      let error = refusal { try connect(bed.database, query(engine, authority: pipe)) }
      let name = engine == .mariadb ? "ssl_ca" : "sslrootcert"
      #expect(
        error
          == .optionUnusable(name: name, reason: "'\(pipe)' is a pipe or a socket, and no file"))
    }
  }

  @Test func `a file that doesn't answer costs the deadline and no more`() throws {
    let bed = try TLSBed.shared(.postgresql)
    // Reading it waits for a terminal that never comes.
    let begin = ContinuousClock.now
    let error = refusal {
      try connect(bed.database, query(.postgresql, authority: "/dev/ptmx"), within: 400)
    }
    #expect(begin.duration(to: .now) < .milliseconds(400) + busyMachine)
    guard case .deadlinePassed = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test func `libmariadb is given no file that it might wait for`() throws {
    let bed = try TLSBed.shared(.mariadb)
    let error = refusal { try connect(bed.database, query(.mariadb, authority: "/dev/ptmx")) }
    #expect(error == .optionUnusable(name: "ssl_ca", reason: "'/dev/ptmx' is no file"))
    let good = bed.options(ca: "ca.pem")
    #expect(try bed.isEncrypted(connect(bed.database, host: "localhost", good, within: 5_000)))
  }

  @Test(arguments: ServerEngine.allCases)
  func `a handshake that hangs or drips ends at the deadline`(_ engine: ServerEngine) throws {
    let bed = try TLSBed.shared(engine)
    // The proxy lets pass what comes before the handshake, and then a byte now and then.
    for pause in [Duration.seconds(60), .milliseconds(20)] {
      let greeting = engine == .mariadb ? 90 : 1
      let proxy = try FaultProxy(
        to: bed.server.port, .dripsAfter(bytes: greeting, pause: pause))
      defer { proxy.stop() }
      let begin = ContinuousClock.now
      let error = refusal {
        try connect(
          bed.database, host: "localhost", port: proxy.port, bed.options(ca: "ca.pem"),
          within: 400)
      }
      let took = begin.duration(to: .now)
      guard case .deadlinePassed = error else {
        Issue.record("\(String(describing: error))")
        continue
      }
      #expect(took >= .milliseconds(350) && took < .milliseconds(400) + busyMachine, "\(took)")
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a server frozen in an encrypted session is given up at the deadline`(
    _ engine: ServerEngine
  ) throws {
    let bed = try TLSBed.make(engine)
    defer { bed.stop() }
    let connection = try connect(bed.database, host: "localhost", bed.options(ca: "ca.pem"))
    try bed.server.whileFrozen {
      let begin = ContinuousClock.now
      try connection.begin(until: soon(300))
      #expect(throws: CellError.deadlinePassed(cell: cell)) {
        try connection.placement(of: instance)
      }
      #expect(begin.duration(to: .now) < .milliseconds(300) + busyMachine)
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a failure of one connection is none of another on the same thread`(
    _ engine: ServerEngine
  ) throws {
    let bed = try TLSBed.shared(engine)
    let proxy = try FaultProxy(to: bed.server.port, .none)
    defer { proxy.stop() }
    let query = bed.options(ca: "ca.pem")
    let healthy = try connect(bed.database, host: "localhost", query)
    for _ in 0..<5 {
      let doomed = try connect(bed.database, host: "localhost", port: proxy.port, query)
      proxy.disconnect()
      #expect(throws: CellError.self) { try doomed.placement(of: instance) }
      #expect(try healthy.placement(of: instance) == nil)
    }
  }

  @Test func `leaves the process's handling of SIGPIPE alone, encrypted too`() throws {
    let before = brokenPipeHandling()
    let bed = try TLSBed.shared(.mariadb)
    try connect(bed.database, host: "localhost", bed.options(ca: "ca.pem"))
    #expect(brokenPipeHandling() == before)
  }
}

/// A server with a certificate for `localhost`, its authority, another one, and a client's.
final class TLSBed: Sendable {
  let folder: String
  let server: TestServer
  let database: NovaServerDatabase

  private static let beds = Mutex<[ServerEngine: TLSBed]>([:])

  /// The one that all tests of this process share.
  static func shared(_ engine: ServerEngine) throws -> TLSBed {
    try beds.withLock { beds in
      if let bed = beds[engine] { return bed }
      let bed = try make(engine)
      beds[engine] = bed
      return bed
    }
  }

  static func make(_ engine: ServerEngine) throws -> TLSBed { try TLSBed(engine) }

  private init(_ engine: ServerEngine) throws {
    let folder = TestServer.newFolder(engine)
    self.folder = folder
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    try TestServer.run("/bin/sh", ["-eu", "-s", folder], input: Self.certificates)
    let files = ["ca.pem", "server.pem", "server.key"].map { "\(folder)/\($0)" }
    let options =
      engine == .mariadb
      ? ["--ssl-ca=\(files[0])", "--ssl-cert=\(files[1])", "--ssl-key=\(files[2])"]
      : [
        "-c", "ssl=on", "-c", "ssl_ca_file=\(files[0])", "-c", "ssl_cert_file=\(files[1])",
        "-c", "ssl_key_file=\(files[2])",
      ]
    // The server's user reads its key.
    let owner = engine == .mariadb ? "mysql" : "postgres"
    if getuid() == 0 { try TestServer.run("/bin/chown", [owner, files[2]], input: "") }
    server = try TestServer.start(engine, folder: folder, options: options)
    database = try NovaServerDatabase.makeCell(on: server)
  }

  func stop() { try? server.stop() }

  private static let certificates = """
    cd "$1"
    for authority in ca other-ca; do
      openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$authority" \
        -keyout $authority.key -out $authority.pem 2>/dev/null
    done
    for name in server client; do
      openssl req -newkey rsa:2048 -nodes -subj "/CN=$name" -keyout $name.key -out $name.csr \
        2>/dev/null
      printf 'subjectAltName=DNS:localhost' >extensions
      openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
        -extfile extensions -out $name.pem 2>/dev/null
      chmod 0600 $name.key
    done
    """

  /// The query of an address that verifies against one of the authorities.
  func options(ca: String, verifiesName: Bool = true) -> String {
    switch server.engine {
    case .mariadb:
      "?ssl_ca=\(folder)/\(ca)" + (verifiesName ? "" : "&ssl_verify_identity=false")
    case .postgresql:
      "?sslmode=\(verifiesName ? "verify-full" : "verify-ca")&sslrootcert=\(folder)/\(ca)"
    }
  }

  /// Lets the database's reader in only with a certificate of the authority.
  func requireCertificate(of database: NovaServerDatabase) throws {
    switch server.engine {
    case .mariadb: try database.execute("ALTER USER '\(database.user)'@'%' REQUIRE X509")
    case .postgresql:
      let path = "\(server.socket)/data/pg_hba.conf"
      let rules = try String(contentsOfFile: path, encoding: .utf8)
      let rule = "hostssl all \(database.user) all scram-sha-256 clientcert=verify-ca\n"
      // In place: the file stays the server's.
      try (rule + rules).write(toFile: path, atomically: false, encoding: .utf8)
      let loaded = try server.execute("SELECT pg_conf_load_time()")
      try server.execute("SELECT pg_reload_conf()")
      // A new session has what the server had read when it began.
      let isRead = try eventually { try server.execute("SELECT pg_conf_load_time()") != loaded }
      #expect(isRead)
    }
  }

  func isEncrypted(_ connection: CellConnection) throws -> Bool {
    let text =
      server.engine == .mariadb
      ? "SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS "
        + "WHERE VARIABLE_NAME = 'SSL_CIPHER'"
      : "SELECT cipher FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    var cipher: ByteText?
    try connection.forEachRow(of: SQLQuery(connection.dialect, on: .instances, text)) {
      (row) throws(DatabaseError) in
      cipher = try row.text(0)
    }
    return cipher.map { $0 != "" } ?? false
  }
}

private func isTLSFailure(_ error: DatabaseError?) -> Bool {
  if case .tlsFailed = error { return true }
  Issue.record("\(String(describing: error))")
  return false
}
