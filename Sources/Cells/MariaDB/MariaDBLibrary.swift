internal import CMariaDB
internal import Glibc
internal import Journal

/// MariaDB Connector/C as a whole: begun once, and its error numbers.
enum MariaDBLibrary {
  /// Begins the library; again and again is the same as once.
  static func start() { _ = started }

  private static let started: Bool = {
    // Its TLS part puts a handler of its own in the place of SIGPIPE's, for the whole process.
    var disposition = sigaction()
    unsafe sigaction(SIGPIPE, nil, &disposition)
    let code = mysql_server_init(0, nil, nil)
    unsafe sigaction(SIGPIPE, &disposition, nil)
    precondition(code == 0, "libmariadb can't be begun")
    return true
  }()

  /// Forgets the errors that OpenSSL keeps for this thread.
  ///
  /// The library asks OpenSSL whether a call may be tried again without doing so before; an old error
  /// of any other connection then looks like one of this.
  static func forgetTLSErrors() { clearErrors?() }

  /// `ERR_clear_error` of the OpenSSL that the library brought along; it offers no way to it.
  private static let clearErrors: (@convention(c) () -> Void)? = {
    guard let symbol = unsafe dlsym(nil, "ERR_clear_error") else { return nil }
    return unsafe unsafeBitCast(symbol, to: (@convention(c) () -> Void).self)
  }()

  /// What a failure means.
  ///
  /// Source: errmsg.h (2000 and up are the library's own) and mysqld_error.h.
  static func error(
    _ code: UInt32, reason: @autoclosure () -> String, context: MariaDBFailureContext
  ) -> DatabaseError {
    let server = context.server
    switch code {
    case 2002, 2003, 2004, 2005: return .unreachable(server: server, reason: reason())
    case 2006, 2013, 2055, 1927:
      return context.isOpening
        ? .protocolBroken(server: server, reason: "it ended the connection")
        : .connectionLost(server: server)
    case 2026: return .tlsFailed(server: server, reason: reason())
    case 2007, 2012, 2014, 2020, 2027, 2058...2061, 2000:
      return .protocolBroken(server: server, reason: reason())
    case 1045, 1251, 1698, 1862, 4151: return .credentialRefused(server: server, user: context.user)
    case 1044, 1049: return .databaseRefused(server: server, database: context.database)
    case 1040, 1053, 1129, 1130, 1203, 1226, 9001:
      return .serverRefused(server: server, code: "\(code)")
    case 1142, 1143, 1370: return .permissionDenied(table: context.table)
    case 1146: return .missing("table \(context.table)")
    case 1054: return .missing("such column in \(context.table)")
    case 1969, 3024: return .deadlinePassed(server: server)
    default:
      return .failed(server: server, operation: context.operation, code: "\(code)")
    }
  }
}

/// What was done when a call failed.
struct MariaDBFailureContext {
  var server: String
  var user: String
  var database: String
  var table = ""
  var operation = "connect"
  var isOpening = false
}
