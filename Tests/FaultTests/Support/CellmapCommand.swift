import Foundation
import Glibc

/// The built command, run as a child process: it lies beside the test bundle.
enum Cellmap {
  static let program: String = {
    let own = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    return (own as NSString).deletingLastPathComponent + "/cellmap"
  }()

  /// Starts the command in a process group of its own.
  static func start(_ arguments: [String]) throws -> RunningCommand {
    try RunningCommand(program: program, arguments: arguments)
  }

  /// Runs the command to its end.
  @discardableResult
  static func run(_ arguments: String...) throws -> FinishedCommand { try run(arguments) }

  @discardableResult
  static func run(_ arguments: [String]) throws -> FinishedCommand {
    try start(arguments).wait()
  }
}

/// How a command ended and what it printed.
struct FinishedCommand {
  /// The exit code; nil if a signal ended it.
  let status: Int32?
  let signal: Int32?
  let output: String
  let errors: String

  /// The JSON object on standard output, if it is one.
  var object: [String: Any] {
    (try? JSONSerialization.jsonObject(with: Data(output.utf8))) as? [String: Any] ?? [:]
  }

  /// The index of the position that the answer names: what was acknowledged.
  var acknowledged: UInt64? {
    guard let position = object["position"] as? String else { return nil }
    return position.split(separator: ":").last.flatMap { UInt64($0) }
  }

  var summary: String { "exit \(status ?? -1), signal \(signal ?? 0): \(errors) \(output)" }
}

/// A command that runs; its output goes to files, so that it never waits for its reader.
///
/// Whoever starts it waits for it: a test has its child processes to itself.
final class RunningCommand: @unchecked Sendable {  // Its properties don't change after `init`.
  let processID: pid_t
  private let outputPath: String
  private let errorPath: String

  init(program: String, arguments: [String]) throws {
    let base = NSTemporaryDirectory() + "/cellmap-output-\(UUID().uuidString)"
    (outputPath, errorPath) = (base + ".out", base + ".err")
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    let flags = O_WRONLY | O_CREAT | O_APPEND
    posix_spawn_file_actions_addopen(&actions, 1, outputPath, flags, 0o600)
    posix_spawn_file_actions_addopen(&actions, 2, errorPath, flags, 0o600)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    posix_spawnattr_setpgroup(&attributes, 0)
    var words = ([program] + arguments).map { strdup($0) } + [nil]
    defer { words.forEach { free($0) } }
    var id: pid_t = 0
    let code = posix_spawn(&id, program, &actions, &attributes, &words, environ)
    guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EIO) }
    processID = id
  }

  /// Sends a signal to the command, or to it and its children.
  func send(_ signal: Int32, andChildren: Bool = false) {
    kill(andChildren ? -processID : processID, signal)
  }

  /// Waits until it has stopped (SIGSTOP).
  func waitUntilStopped() {
    var status: Int32 = 0
    waitpid(processID, &status, WUNTRACED)
  }

  /// Waits for its end and gives what it printed.
  func wait() throws -> FinishedCommand {
    var status: Int32 = 0
    while waitpid(processID, &status, 0) == -1 && errno == EINTR {}
    defer { for path in [outputPath, errorPath] { unlink(path) } }
    let output = (try? Data(contentsOf: URL(filePath: outputPath))) ?? Data()
    let errors = (try? Data(contentsOf: URL(filePath: errorPath))) ?? Data()
    let signal = status & 0x7F
    return FinishedCommand(
      status: signal == 0 ? status >> 8 & 0xFF : nil, signal: signal == 0 ? nil : signal,
      output: String(decoding: output, as: UTF8.self),
      errors: String(decoding: errors, as: UTF8.self))
  }
}

/// The words of a command that adds a cell with addresses of its own.
func addCell(_ name: String, _ store: String? = nil) -> [String] {
  [
    "cell", "add", name, "--database", "sqlite:///\(name).sqlite", "--queue",
    "rabbit://nova:secret@mq.example.org:5672/\(name)", "--reason", "test",
  ] + (store.map { ["--store", $0] } ?? [])
}

/// Runs another program to its end; for what the tests need made.
func runProgram(_ path: String, _ arguments: [String]) throws -> FinishedCommand {
  try RunningCommand(program: path, arguments: arguments).wait()
}

/// The time that `body` takes, in microseconds.
func microseconds(_ body: () throws -> Void) rethrows -> Int {
  let duration = try ContinuousClock().measure(body)
  return Int(duration / .microseconds(1))
}
