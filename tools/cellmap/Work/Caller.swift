import Foundation
import Glibc
import Journal

/// Who runs this process, as the system tells it; never what an argument claims.
enum Caller {
  /// The real user, and where they differ the user who logged in and the one who called sudo:
  /// `root (login alice, sudo alice)`.
  static var actor: ByteText {
    let real = userName(getuid())
    var origins: [String] = []
    if let login = loginUser, login != real { origins.append("login \(login)") }
    if let caller = ProcessInfo.processInfo.environment["SUDO_USER"], !caller.isEmpty {
      origins.append("sudo \(Console.safe(caller))")
    }
    return ByteText(origins.isEmpty ? real : "\(real) (\(origins.joined(separator: ", ")))")
  }

  /// The name and version that entries bear.
  static let program = ByteText("cellmap \(Version.number)")

  static func authorship(reason: String?, correlation: String? = nil) -> Authorship {
    Authorship(
      actor: actor, program: program, reason: reason.map { ByteText($0) },
      correlation: correlation.map { ByteText($0) }, observedAt: .now)
  }

  private static func userName(_ id: uid_t) -> String {
    guard let entry = getpwuid(id), let name = entry.pointee.pw_name else { return "uid \(id)" }
    return String(cString: name)
  }

  /// The audit system's login uid; unset (-1) for processes that no login began.
  private static var loginUser: String? {
    guard let text = try? String(contentsOfFile: "/proc/self/loginuid", encoding: .utf8),
      let id = UInt32(text.trimmingCharacters(in: .whitespacesAndNewlines)), id != .max
    else { return nil }
    return userName(id)
  }
}

/// The version of the command.
enum Version {
  static let number = "0.1.0"
}
