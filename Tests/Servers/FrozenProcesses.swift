import Foundation

/// Processes that are stopped where they stand, as a machine that hangs does.
public enum FrozenProcesses {
  /// Calls `body` while some processes stand still, each of their threads.
  public static func run<Result>(_ processes: [Int32], _ body: () throws -> Result) rethrows
    -> Result
  {
    for process in processes { kill(process, SIGSTOP) }
    defer { for process in processes { kill(process, SIGCONT) } }
    for process in processes { while !isStopped(process) { usleep(1_000) } }
    return try body()
  }

  /// The processes of a group.
  public static func ofGroup(_ group: Int32) -> [Int32] {
    let numbers = entries("/proc").compactMap { Int32($0) }
    return numbers.filter {
      status("/proc/\($0)").dropFirst(2).first.flatMap { Int32($0) } == group
    }
  }

  /// Whether every thread of a process stands still; the signal reaches them one by one.
  private static func isStopped(_ process: Int32) -> Bool {
    let folder = "/proc/\(process)/task"
    return entries(folder).allSatisfy { thread in
      guard let state = status("\(folder)/\(thread)").first else { return true }
      return state == "T" || state == "Z"
    }
  }

  private static func entries(_ folder: String) -> [String] {
    (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
  }

  /// State, parent, group and more of a process or a thread; empty if there is none.
  private static func status(_ folder: String) -> [Substring] {
    let text = (try? String(contentsOfFile: folder + "/stat", encoding: .utf8)) ?? ""
    return text.split(separator: ")").last?.split(separator: " ") ?? []
  }
}
