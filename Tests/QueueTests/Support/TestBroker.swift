import Foundation
import Journal
import TestServers
import Testing

/// The private RabbitMQ of these tests, started once; it ends with this process.
final class TestBroker: Sendable {
  static let isInstalled = FileManager.default.isExecutableFile(
    atPath: "/usr/lib/rabbitmq/bin/rabbitmq-server")
  static let missing: Comment = "rabbitmq-server is missing: tools/setup --servers installs it"

  /// The broker, for every test alike.
  static func shared() throws -> TestBroker { try running.get() }
  private static let running = Result { try TestBroker() }

  let port: UInt16
  let tlsPort: UInt16
  let folder: String
  let password: String
  let authorityFile: String
  let certificateFile: String
  let keyFile: String
  private let processGroup: pid_t
  // Held so that the broker's input doesn't end before this process does.
  private let input = Pipe()

  private struct Printed: Decodable {
    var port: UInt16, tls_port: UInt16, folder: String, password: String
    var ca_file: String, certificate_file: String, key_file: String, process_group: pid_t
  }

  private static let script = Checkout.file("tools/testbed/rabbitmq")

  /// Starts a broker of its own, at a port that is free unless one is given.
  init(at chosen: UInt16? = nil) throws {
    let process = Process()
    process.executableURL = TestBroker.script
    process.arguments = ["run", "--tls"] + (chosen.map { ["--port", "\($0)"] } ?? [])
    let output = Pipe()
    process.standardOutput = output
    process.standardInput = input
    try process.run()
    var line = Data()
    while line.last != UInt8(ascii: "\n") {
      let part = output.fileHandleForReading.availableData
      if part.isEmpty { throw BrokerDidNotStart() }
      line += part
    }
    let printed = try JSONDecoder().decode(Printed.self, from: line)
    (port, tlsPort, folder) = (printed.port, printed.tls_port, printed.folder)
    (password, processGroup) = (printed.password, printed.process_group)
    (authorityFile, certificateFile) = (printed.ca_file, printed.certificate_file)
    keyFile = printed.key_file
  }

  struct BrokerDidNotStart: Error {}

  /// The password as an address has it.
  var encodedPassword: String {
    password.utf8.map { byte in
      let isPlain = Character(UnicodeScalar(byte)).isLetter && byte < 0x80
      return isPlain ? String(UnicodeScalar(byte)) : "%" + String(format: "%02X", byte)
    }.joined()
  }

  /// An address of the broker.
  func address(
    _ virtualHost: String = "cell1", user: String = "nova", password: String? = nil,
    host: String = "127.0.0.1", port: UInt16? = nil, options: String = ""
  ) -> String {
    "rabbit://\(user):\(password ?? encodedPassword)@\(host):\(port ?? self.port)/\(virtualHost)"
      + options
  }

  /// Runs rabbitmqctl on the broker.
  @discardableResult
  func control(_ words: String...) throws -> Int32 {
    let process = Process()
    process.executableURL = TestBroker.script
    process.arguments = ["ctl", folder] + words
    process.standardOutput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return process.terminationStatus
  }

  /// Kills the broker without warning; what it held is gone with it.
  func killNow() {
    kill(-processGroup, SIGKILL)
    while FileManager.default.fileExists(atPath: folder) { usleep(20_000) }
  }

  /// Ends the broker.
  func stop() { try? input.fileHandleForWriting.close() }

  /// Runs `body` while the broker is stopped by SIGSTOP.
  func whileStopped(_ body: () throws -> Void) throws {
    try FrozenProcesses.run(FrozenProcesses.ofGroup(processGroup), body)
  }

  /// Runs `body` while the broker takes nothing in, as it does when its memory is full.
  func whileOutOfMemory(_ body: () throws -> Void) throws {
    let alarm = "{{resource_limit, memory, node()}, []}"
    #expect(try control("eval", "rabbit_alarm:set_alarm(\(alarm)).") == 0)
    defer {
      _ = try? control("eval", "rabbit_alarm:clear_alarm({resource_limit, memory, node()}).")
    }
    try body()
  }
}
