import Foundation
public import Journal
import Synchronization

/// The engines that cells are kept on beside SQLite.
public enum ServerEngine: String, CaseIterable, Sendable, CustomStringConvertible {
  case mariadb, postgresql

  public var description: String { rawValue }

  /// The scheme of an address as Nova's deployers write it.
  public var scheme: String { self == .mariadb ? "mysql+pymysql" : "postgresql+psycopg2" }

  /// Whether the server's program is there; `tools/setup --servers` installs it.
  public var isInstalled: Bool {
    let folders =
      (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map(String.init)
      + ["/usr/sbin", "/usr/bin"]
      + ((try? FileManager.default.contentsOfDirectory(atPath: "/usr/lib/postgresql")) ?? [])
      .map { "/usr/lib/postgresql/\($0)/bin" }
    let program = self == .mariadb ? "mariadbd" : "initdb"
    return folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(program)") }
  }
}

/// A private database server of `tools/testbed`, on loopback and in a temporary folder.
public final class TestServer: Sendable {
  public let engine: ServerEngine
  public let port: Int
  /// The socket's file for MariaDB, its folder for PostgreSQL.
  public let socket: String
  private let folder: String
  private let options: [String]
  private let processNumber: Mutex<Int32>
  private static let counter = Mutex(0)

  /// Whether both servers can be started here.
  public static var areInstalled: Bool { ServerEngine.allCases.allSatisfy(\.isInstalled) }

  /// Starts a server of its own; whoever stops or kills servers has one.
  ///
  /// - Parameter folder: Where it lies; what is in it already is removed with it.
  public static func start(
    _ engine: ServerEngine, folder: String? = nil, options: [String] = []
  ) throws -> TestServer {
    try TestServer(engine, folder: folder ?? newFolder(engine), port: "", options: options)
  }

  /// A path for a server's folder that nothing else has.
  public static func newFolder(_ engine: ServerEngine) -> String {
    FileManager.default.temporaryDirectory.path
      + "/cellmap-\(engine)-\(UUID().uuidString.prefix(8))"
  }

  /// The server that all tests of this process share, stopped when the process ends.
  public static func shared(_ engine: ServerEngine) throws -> TestServer {
    try sharedServers.withLock { servers in
      if let server = servers[engine] { return server }
      let server = try start(engine)
      servers[engine] = server
      return server
    }
  }

  private static let sharedServers = Mutex<[ServerEngine: TestServer]>([:])

  private init(_ engine: ServerEngine, folder: String, port: String, options: [String]) throws {
    self.engine = engine
    self.folder = folder
    self.options = options
    let values = try Self.start(engine, folder, port, options)
    self.port = Int(values["port"] ?? "") ?? 0
    socket = values["socket"] ?? ""
    processNumber = Mutex(Int32(values["pid"] ?? "") ?? 0)
  }

  private static func start(
    _ engine: ServerEngine, _ folder: String, _ port: String, _ options: [String]
  ) throws -> [String: String] {
    let output = try run(
      script(engine), ["start", folder, port] + options, input: "",
      environment: ["TESTBED_OWNER": "\(ProcessInfo.processInfo.processIdentifier)"])
    var values: [String: String] = [:]
    for line in output.split(separator: "\n") {
      let parts = line.split(separator: "=", maxSplits: 1).map(String.init)
      if parts.count == 2 { values[parts[0]] = parts[1] }
    }
    return values
  }

  /// Ends the server and removes its folder.
  public func stop() throws {
    try Self.run(Self.script(engine), ["stop", folder], input: "")
  }

  /// Kills the server without warning; its files stay.
  public func kill() throws {
    for process in processes { Foundation.kill(process, SIGKILL) }
    while Foundation.kill(processNumber.withLock(\.self), 0) == 0, !isZombie { usleep(10_000) }
  }

  /// Starts a killed server again, at the same place.
  public func restart() throws {
    let values = try Self.start(engine, folder, "\(port)", options)
    processNumber.withLock { $0 = Int32(values["pid"] ?? "") ?? 0 }
  }

  /// Stops the server's processes where they stand, as a machine that hangs does, for as long as
  /// `body` runs.
  public func whileFrozen<Result>(_ body: () throws -> Result) rethrows -> Result {
    try FrozenProcesses.run(processes, body)
  }

  private var isZombie: Bool {
    let number = processNumber.withLock(\.self)
    let status = (try? String(contentsOfFile: "/proc/\(number)/stat", encoding: .utf8)) ?? ") Z"
    return status.split(separator: ")").last?.hasPrefix(" Z") ?? true
  }

  /// The server's process and its children, of which PostgreSQL has one for each connection.
  private var processes: [Int32] {
    let parent = processNumber.withLock(\.self)
    let task = "/proc/\(parent)/task/\(parent)/children"
    let children = (try? String(contentsOfFile: task, encoding: .utf8)) ?? ""
    return [parent] + children.split(separator: " ").compactMap { Int32($0) }
  }

  /// Runs SQL as the server's administrator.
  @discardableResult
  public func execute(_ sql: String, in database: String = "") throws -> String {
    switch engine {
    case .mariadb:
      try Self.run(
        "/usr/bin/env",
        [
          "mariadb", "--no-defaults", "--user=root", "--socket=\(socket)", "--batch",
          "--skip-column-names", "--default-character-set=utf8mb4",
        ] + (database.isEmpty ? [] : [database]), input: sql)
    case .postgresql:
      try Self.run(
        "/usr/bin/env",
        [
          "psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1",
          "--host=\(socket)", "--port=\(port)", "--username=postgres",
          database.isEmpty ? "postgres" : database,
        ], input: sql, environment: ["PGCLIENTENCODING": "UTF8"])
    }
  }

  /// A name that no other database or user of this process has.
  public static func uniqueName(_ prefix: String) -> String {
    counter.withLock { number in
      number += 1
      return "\(prefix)_\(number)"
    }
  }

  /// An address of a database here; user, password and name are percent-encoded.
  public func address(
    _ database: String, user: String, password: String, host: String = "127.0.0.1",
    port: Int? = nil, _ query: String = ""
  ) -> Secret {
    func encoded(_ text: String) -> String {
      text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? text
    }
    return Secret(
      "\(engine.scheme)://\(encoded(user)):\(encoded(password))@\(host):\(port ?? self.port)/"
        + "\(encoded(database))\(query)")
  }

  // MARK: - Processes

  private static func script(_ engine: ServerEngine) -> String {
    Checkout.file("tools/testbed/\(engine.rawValue)").path
  }

  /// Runs a program to its end and returns what it wrote.
  @discardableResult
  public static func run(
    _ program: String, _ arguments: [String], input: String, environment: [String: String] = [:]
  ) throws -> String {
    // Not Foundation's Process: it takes a child for running as long as any descendant lives.
    let files = NSTemporaryDirectory() + "cellmap-run-\(UUID().uuidString)"
    defer { for end in ["in", "out"] { try? FileManager.default.removeItem(atPath: files + end) } }
    try input.write(toFile: files + "in", atomically: false, encoding: .utf8)
    let variables = ProcessInfo.processInfo.environment.merging(environment) { $1 }
    let code = spawnAndWait(
      [program] + arguments, variables.map { "\($0.key)=\($0.value)" }, input: files + "in",
      output: files + "out")
    let output = (try? String(contentsOfFile: files + "out", encoding: .utf8)) ?? ""
    guard code == 0 else {
      throw TestServerError(text: "\(program) \(arguments.joined(separator: " ")): \(output)")
    }
    return output
  }
}

/// Runs a program with files for its input and output, and returns its exit code.
private func spawnAndWait(
  _ arguments: [String], _ environment: [String], input: String, output: String
) -> Int32 {
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
  posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
  posix_spawn_file_actions_adddup2(&actions, 1, 2)
  var texts = arguments.map { strdup($0) } + [nil]
  var variables = environment.map { strdup($0) } + [nil]
  defer { for text in texts + variables { free(text) } }
  var child = pid_t()
  let code = posix_spawn(&child, arguments[0], &actions, nil, &texts, &variables)
  guard code == 0 else { return code }
  var status: Int32 = 0
  while waitpid(child, &status, 0) == -1 && errno == EINTR {}
  return status == 0 ? 0 : max(1, status >> 8)
}

/// What a program of the test bed said when it failed.
public struct TestServerError: Error, CustomStringConvertible {
  let text: String
  public var description: String { text }
}
