internal import Journal

/// What was done when a call failed, and what its failure means.
struct PostgreSQLFailureContext {
  var server: String
  var user: String
  var database: String
  var password: Secret?
  var table = ""
  var operation = "connect"

  /// What a SQLSTATE means.
  ///
  /// Source: PostgreSQL's appendix "Error Codes".
  func error(_ state: String) -> DatabaseError {
    switch state {
    case "28P01", "28000": .credentialRefused(server: server, user: user)
    case "3D000": .databaseRefused(server: server, database: database)
    case "42501":
      table.isEmpty
        ? .databaseRefused(server: server, database: database) : .permissionDenied(table: table)
    case "42P01", "3F000": .missing("table \(table)")
    case "42703": .missing("such column in \(table)")
    case "53300", "57P03", "08P01", "08004": .serverRefused(server: server, code: shown(state))
    case "57P01", "57P02", "57P05", "25P03", "08006", "08003": .connectionLost(server: server)
    case "57014": .deadlinePassed(server: server)
    default: .failed(server: server, operation: operation, code: shown(state))
    }
  }

  /// What libpq's words on a failed attempt to connect mean.
  func openingError(_ message: String) -> DatabaseError {
    let reason = sanitised(message, without: password)
    if let state = Self.sqlState(in: reason) { return error(state) }
    let lowered = reason.lowercased()
    if lowered.contains("received invalid") || lowered.contains("lost synchronization") {
      return .protocolBroken(server: server, reason: reason)
    }
    if lowered.contains("ssl") || lowered.contains("certificate") || lowered.contains("tls") {
      return .tlsFailed(server: server, reason: reason)
    }
    if lowered.contains("closed the connection") || lowered.contains("expected")
      || lowered.contains("unsupported") || lowered.contains("could not receive")
    {
      return .protocolBroken(server: server, reason: reason)
    }
    if lowered.contains("password") || lowered.contains("authentication") {
      return .credentialRefused(server: server, user: user)
    }
    return .unreachable(server: server, reason: reason)
  }

  /// What libpq's words on a connection that ended mean.
  func brokenError(_ message: String) -> DatabaseError {
    let reason = sanitised(message, without: password)
    if let state = Self.sqlState(in: reason) { return error(state) }
    let lowered = reason.lowercased()
    if lowered.contains("synchroniz") || lowered.contains("unexpected")
      || lowered.contains("invalid") || lowered.contains("insufficient data")
      || lowered.contains("out of memory") || lowered.contains("no sqlstate")
    {
      return .protocolBroken(server: server, reason: reason)
    }
    return .connectionLost(server: server)
  }

  private func shown(_ state: String) -> String {
    Self.isSQLState(state) ? "SQLSTATE \(state)" : "an unknown code"
  }

  private static func isSQLState(_ text: some StringProtocol) -> Bool {
    text.utf8.count == 5
      && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) }
  }

  /// The code at the end of `FATAL:  28P01`, which is all that a server's error is shown by.
  private static func sqlState(in reason: String) -> String? {
    guard let last = reason.split(separator: " ").last, isSQLState(last),
      reason.contains(":  \(last)")
    else { return nil }
    return String(last)
  }
}
