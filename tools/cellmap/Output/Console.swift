import Glibc

/// What the command prints: answers on standard output, everything else on standard error.
enum Console {
  /// Prints an answer. A reader that went away ends the process quietly; an answer that can't be written ends it
  /// with `storage`, so that nobody keeps half a file for a whole one.
  static func print(_ line: String) {
    guard let failure = write(line + "\n", to: STDOUT_FILENO) else { return }
    endProgress()
    remark(
      "The answer can't be written to standard output: \(String(cString: strerror(failure))). What the "
        + "command has done stays done; make room, and ask again.")
    exit(ExitStatus.storage.rawValue)
  }

  /// Prints an answer for people; what might control their terminal is written out.
  static func say(_ line: String) { print(safe(line)) }

  /// Prints a remark, a warning or an error of cellmap's.
  static func remark(_ text: String) { note("cellmap: " + safe(CellNames.spoken(text))) }

  /// Prints a line beside the answer, as it is.
  static func note(_ line: String) { write(line + "\n", to: STDERR_FILENO) }

  /// A person watches standard error.
  static var isWatched: Bool { isatty(STDERR_FILENO) == 1 }

  /// Shows how far long work has come; only where a person watches.
  static func progress(_ text: String) {
    if isWatched { write("\r\u{1B}[2K" + text, to: STDERR_FILENO) }
  }

  /// Takes the last progress away.
  static func endProgress() { progress("") }

  /// - Returns: The system's error, if not all was written.
  @discardableResult
  private static func write(_ text: String, to file: Int32) -> Int32? {
    var rest = Substring(text).utf8
    while !rest.isEmpty {
      let written = Array(rest).withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if written < 0, errno == EINTR { continue }
      if written < 0, errno == EAGAIN {
        // The pipe was made such that nobody waits for its reader; a slow one is no failure.
        var ready = pollfd(fd: file, events: Int16(POLLOUT), revents: 0)
        _ = poll(&ready, 1, -1)
        continue
      }
      guard written > 0 else { return written < 0 ? errno : ENOSPC }
      rest = rest.dropFirst(written)
    }
    return nil
  }

  /// The text with everything that could control a terminal written as `\u{…}`.
  static func safe(_ text: String) -> String {
    var result = ""
    for scalar in text.unicodeScalars {
      switch scalar.value {
      case 0...0x1F, 0x7F...0x9F, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }
}
