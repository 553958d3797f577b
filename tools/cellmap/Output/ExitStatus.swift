/// The exit codes of the command; documented in docs/command-line.md, never used again for
/// another meaning.
enum ExitStatus: Int32, CaseIterable {
  case done = 0
  /// A difference, or a check that failed.
  case finding = 1
  /// An instance, cell or host that the map doesn't know.
  case unknown = 2
  case locked = 3
  case integrity = 4
  case partial = 5
  /// Storage is full or failing.
  case storage = 6
  /// A cell is unreachable, bad, or not itself.
  case cell = 7
  /// A queue is unreachable or unroutable.
  case queue = 8
  /// Refused by a rule or a guard.
  case refused = 9
  /// Ask again with the same request id.
  case outcomeUnknown = 10
  case usage = 64
}

/// Why a command ends with another code than 0.
struct CommandFailure: Error {
  let status: ExitStatus
  /// One line: the thing, and the next step.
  let message: String

  init(_ status: ExitStatus, _ message: String) {
    self.status = status
    self.message = message
  }
}
