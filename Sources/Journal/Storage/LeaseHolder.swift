internal import Glibc

/// Who holds the write lease, as the holder itself wrote it: the system can't tell.
public struct LeaseHolder: Equatable, Sendable {
  public let processID: Int32
  /// When the process began, in clock ticks after the system's start: tells two processes of one
  /// number apart.
  public let processStart: UInt64
  public let user: String
  public let command: String
  public let since: Timestamp

  /// This process.
  ///
  /// - Parameter command: What it does, in a few words; never an argument that may be a secret.
  public static func current(command: String) -> LeaseHolder {
    LeaseHolder(
      processID: getpid(), processStart: processStart, user: "uid \(getuid())",
      command: command, since: .now)
  }

  /// Read once: the lease is taken for each command of a lone caller.
  private static let processStart = start(ofProcess: getpid())

  /// Whether the process is still there. One that isn't has left its name behind, and who took the
  /// lease after it has not written down its own yet.
  var isAlive: Bool { processStart != 0 && processStart == Self.start(ofProcess: processID) }

  /// Field 22 of /proc/PID/stat (proc(5)); the second field is in parentheses and may hold spaces.
  /// 0 if there is no such process.
  private static func start(ofProcess id: Int32) -> UInt64 {
    guard let bytes = try? SmallFile.read("/proc/\(id)/stat", limit: 4096),
      let end = bytes.lastIndex(of: UInt8(ascii: ")"))
    else { return 0 }
    let fields = bytes[(end + 1)...].split(separator: UInt8(ascii: " "))
    return fields.count > 19 ? UInt64(String(decoding: fields[19], as: UTF8.self)) ?? 0 : 0
  }

  /// The lines that stand in the lock file.
  var text: String {
    "\(processID)\n\(processStart)\n\(since.microseconds)\n\(oneLine(user))\n\(oneLine(command))\n"
  }

  init?(text: String) {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.count >= 5, let processID = Int32(lines[0]), let start = UInt64(lines[1]),
      let since = Int64(lines[2])
    else { return nil }
    self.init(
      processID: processID, processStart: start, user: String(lines[3]), command: String(lines[4]),
      since: Timestamp(microseconds: since))
  }

  init(processID: Int32, processStart: UInt64, user: String, command: String, since: Timestamp) {
    self.processID = processID
    self.processStart = processStart
    self.user = user
    self.command = command
    self.since = since
  }

  private func oneLine(_ text: String) -> String {
    String(decoding: text.utf8.prefix(200).map { $0 < 32 ? 32 : $0 }, as: UTF8.self)
  }
}

extension LeaseHolder: CustomStringConvertible {
  public var description: String {
    "process \(processID) (\(user), \(command)) since \(since)"
  }
}
