import Glibc
import Journal

/// The lines of standard input, as they come: a caller that asks one question and waits gets its
/// answer. The process has one, so what was read ahead is kept here.
enum StandardInput {
  /// The bytes of a line that are kept; the rest of a longer one is skipped.
  static let maximumLine = 65_536

  // Used by the main thread alone.
  nonisolated(unsafe) private static var ahead: ArraySlice<UInt8> = []
  nonisolated(unsafe) private static var isAtEnd = false
  nonisolated(unsafe) private static var isSkipping = false

  /// The next line without its end; nil at the end of the input.
  static func line() throws(CommandFailure) -> [UInt8]? {
    while true {
      if let line = takeLine() { return line }
      if isAtEnd { return nil }
      try read()
    }
  }

  /// The lines that are there, at most `limit`; blocks until there is one. Empty at the end.
  static func lines(limit: Int) throws(CommandFailure) -> [[UInt8]] {
    guard let first = try line() else { return [] }
    var lines = [first]
    while lines.count < limit {
      if let line = takeLine() {
        lines.append(line)
      } else if !isAtEnd, hasMore {
        try read()
      } else {
        break
      }
    }
    return lines
  }

  private static func takeLine() -> [UInt8]? {
    while true {
      let end = ahead.firstIndex(of: UInt8(ascii: "\n"))
      if isSkipping {
        ahead = ahead[(end.map { $0 + 1 } ?? ahead.endIndex)...]
        if end == nil { return nil }
        isSkipping = false
        continue
      }
      if let end, end - ahead.startIndex <= maximumLine {
        let line = ahead[..<end]
        ahead = ahead[(end + 1)...]
        return Array(line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
      }
      if ahead.count > maximumLine {
        isSkipping = true
        defer { ahead = ahead.dropFirst(maximumLine) }
        return Array(ahead.prefix(maximumLine))
      }
      guard isAtEnd, !ahead.isEmpty else { return nil }
      defer { ahead = [] }
      return Array(ahead)
    }
  }

  private static func read() throws(CommandFailure) {
    var block = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = Glibc.read(STDIN_FILENO, &block, block.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else {
        throw CommandFailure(
          .usage, "Standard input can't be read: \(String(cString: strerror(errno))).")
      }
      if count == 0 { isAtEnd = true }
      // What is left of a block is less than a line; what was taken of it goes here.
      ahead = ahead + block[..<count]
      return
    }
  }

  private static var hasMore: Bool {
    var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    return poll(&input, 1, 0) > 0
  }
}
