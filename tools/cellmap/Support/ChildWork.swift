import ArgumentParser
import Foundation
import Journal

/// Work that reads old entries, done in a child process: damage that ends it leaves its parent whole.
///
/// The child is this program with a hidden command; it prints one JSON object.
enum ChildWork {
  /// Runs a hidden command and returns what it printed.
  ///
  /// - Throws: What the child says of itself, with its exit code; `integrity` if a signal ended it.
  static func run(_ arguments: [String]) throws(CommandFailure) -> [String: Any] {
    let printed = try output(of: arguments)
    guard let object = (try? JSONSerialization.jsonObject(with: printed)) as? [String: Any] else {
      throw notJSON
    }
    return object
  }

  /// The same as JSON that can be printed on; as `run`.
  static func answer(to arguments: [String]) throws(CommandFailure) -> [String: JSONValue] {
    let printed = try output(of: arguments)
    guard let value = try? JSONValue(parsing: Array(printed)), case .object(let answer) = value
    else { throw notJSON }
    return answer
  }

  private static let notJSON = CommandFailure(
    .integrity, "The child process answered with something else than JSON.")

  private static func output(of arguments: [String]) throws(CommandFailure) -> Data {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = arguments + ["--parent", "\(getpid())"]
    let output = Pipe()
    let errors = Pipe()
    process.standardOutput = output
    process.standardError = errors
    process.standardInput = FileHandle.nullDevice
    do { try process.run() } catch {
      throw CommandFailure(.storage, "The program can't be started again: \(error)")
    }
    let printed = output.fileHandleForReading.readDataToEndOfFile()
    let said = String(
      decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    guard process.terminationReason == .exit else {
      let signal = process.terminationStatus
      guard [SIGBUS, SIGSEGV, SIGILL, SIGTRAP, SIGABRT, SIGFPE].contains(signal) else {
        throw CommandFailure(
          .storage, "The process that reads the journal was ended by signal \(signal). Try again.")
      }
      throw CommandFailure(
        .integrity,
        "The journal is damaged: reading it ended with signal \(signal). Put back a copy of the store "
          + "from before the damage.")
    }
    guard let status = ExitStatus(rawValue: process.terminationStatus), status == .done else {
      let status = ExitStatus(rawValue: process.terminationStatus) ?? .integrity
      let line = said.split(separator: "\n").last.map(String.init) ?? "it said nothing."
      throw CommandFailure(status, line.replacing("cellmap: ", with: "", maxReplacements: 1))
    }
    return printed
  }
}

/// What a hidden command is given by the process that waits for it.
struct ChildOptions: ParsableArguments {
  @Option(help: .hidden) var parent: Int32?

  /// To be called first: whatever ends or stops the parent's process group, an interrupt from the
  /// terminal above all, ends or stops this process too. Foundation gives each child a group of its
  /// own. If the parent is gone already, nobody waits for the work, and none is done.
  func join() throws(CommandFailure) {
    guard let parent else { return }
    setpgid(0, getpgid(parent))
    if getppid() != parent { throw CommandFailure(.storage, "Nobody waits for this work.") }
  }
}
