import ArgumentParser
import Foundation
import Journal
import Synchronization

/// Work that reads old entries, done in a child process: damage that ends it leaves its parent whole.
///
/// The child is this program with a hidden command; it prints one JSON object.
enum ChildWork {
  /// Runs a hidden command and returns what it printed.
  ///
  /// - Throws: What the child says of itself, with its exit code; `integrity` if a signal ended it.
  ///
  /// - Parameter progress: Is told on another thread how far it has come, where a person watches; the
  ///   command has to know --progress.
  static func run(
    _ arguments: [String], progress: (@Sendable (UInt64) -> Void)? = nil
  ) throws(CommandFailure) -> [String: Any] {
    let isWatched = progress != nil && Console.isWatched
    let printed = try output(
      of: arguments + (isWatched ? ["--progress"] : []), progress: progress)
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

  /// Begins the lines of standard error that tell how far a hidden command has come.
  static let progressMark = "progress "

  private static func output(
    of arguments: [String], progress: (@Sendable (UInt64) -> Void)? = nil
  ) throws(CommandFailure) -> Data {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
    process.arguments = arguments + ["--parent", "\(getpid())"]
    let output = Pipe()
    let errors = ChildErrors(progress)
    process.standardOutput = output
    process.standardError = errors.pipe
    process.standardInput = FileHandle.nullDevice
    do { try process.run() } catch {
      throw CommandFailure(.storage, "The program can't be started again: \(error)")
    }
    errors.begin()
    let printed = output.fileHandleForReading.readDataToEndOfFile()
    let said = errors.end()
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

/// What a child says on standard error, read beside what it answers.
private final class ChildErrors: Sendable {
  let pipe = Pipe()
  private let progress: (@Sendable (UInt64) -> Void)?
  private let said = Mutex("")
  private let isRead = DispatchSemaphore(value: 0)

  init(_ progress: (@Sendable (UInt64) -> Void)?) { self.progress = progress }

  func begin() {
    Thread.detachNewThread { [self] in
      var rest = Data()
      while case let data = pipe.fileHandleForReading.availableData, !data.isEmpty {
        rest += data
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
          take(String(decoding: rest[..<end], as: UTF8.self))
          rest = Data(rest[(end + 1)...])
        }
      }
      if !rest.isEmpty { take(String(decoding: rest, as: UTF8.self)) }
      isRead.signal()
    }
  }

  private func take(_ line: String) {
    if line.hasPrefix(ChildWork.progressMark),
      let done = UInt64(line.dropFirst(ChildWork.progressMark.count))
    {
      progress?(done)
    } else {
      said.withLock { $0 += line + "\n" }
    }
  }

  /// All that it said but its progress, once it has said all.
  func end() -> String {
    isRead.wait()
    return said.withLock { $0 }
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
