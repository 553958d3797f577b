internal import Journal
public import Projections

/// Why a database, of a cell or of Nova's API, was not opened or read.
///
/// `CellError` says of which cell; here are the server, the reason and the next step. No case
/// carries a password, a row's value, or what a server wrote in its own words.
public enum DatabaseError: Error, Equatable, Sendable {
  /// No server at the place: nobody listens, no way there, no such name. `reason` is the system's.
  case unreachable(server: String, reason: String)
  /// The server doesn't take this user with this password, from here.
  case credentialRefused(server: String, user: String)
  /// The server has no such database, or this user may not open it.
  case databaseRefused(server: String, database: String)
  /// No encrypted connection with the server that the address asks for.
  case tlsFailed(server: String, reason: String)
  /// What answers isn't a server of that engine, or it broke the protocol.
  case protocolBroken(server: String, reason: String)
  /// The server is there and has no place for us now: too many connections, starting, stopping.
  case serverRefused(server: String, code: String)
  /// The connection ended in the middle of its work.
  case connectionLost(server: String)
  case deadlinePassed(server: String)
  /// The database has no such table or column (`table instances`, `column instances.host`).
  case missing(String)
  /// The user may not read a table.
  case permissionDenied(table: String)
  /// A column holds what Nova doesn't write there.
  case badValue(column: String, found: String)
  /// An option of the address can't be followed.
  case optionUnusable(name: String, reason: String)
  /// Any other refusal: the server's number, or SQLSTATE.
  case failed(server: String, operation: String, code: String)
  /// A SQLite file failed.
  case file(ProjectionError)
}

extension DatabaseError: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unreachable, .credentialRefused, .databaseRefused, .tlsFailed, .serverRefused,
      .optionUnusable:
      connectionDescription
    case .protocolBroken(let server, let reason):
      "What answers at \(server) is no such database server, or broke off (\(reason)). Check host "
        + "and port."
    case .connectionLost(let server):
      "The connection to \(server) ended in the middle of an answer. Try again."
    case .deadlinePassed(let server):
      "\(server) had not answered at the deadline. Look whether it runs, and try again."
    case .missing(let what):
      "The database has no \(what). Check the address."
    case .permissionDenied(let table):
      "This user may not read the table \(table). Grant SELECT on it; docs/grants.md has the list."
    case .badValue(let column, let found):
      "\(column) holds \(found), which Nova doesn't write there. Repair that row."
    case .failed(let server, let operation, let code):
      "\(server) failed to \(operation) with \(code)."
    case .file(let error): error.description
    }
  }

  private var connectionDescription: String {
    switch self {
    case .unreachable(let server, let reason):
      "\(server) can't be reached: \(reason). Check the address, the server and the way there."
    case .credentialRefused(let server, let user):
      "\(server) doesn't let in \(user) with that password from here. Correct the address or the "
        + "server's list of users."
    case .databaseRefused(let server, let database):
      "\(server) has no database \(database), or this user may not open it."
    case .tlsFailed(let server, let reason):
      "No encrypted connection to \(server) as the address asks: \(reason)."
    case .serverRefused(let server, let code):
      "\(server) takes no connection now (\(code)). Try again."
    case .optionUnusable(let name, let reason):
      "The option \(name) of the address can't be followed: \(reason)."
    default: ""
    }
  }
}

extension DatabaseError {
  /// Whether one value alone can't be read, and the rows after it can.
  var isOfValue: Bool {
    switch self {
    case .badValue, .file(.columnType), .file(.notUTF8): true
    default: false
    }
  }
}

extension CellError {
  /// What a database's failure says of a cell.
  init(_ error: DatabaseError, of cell: CellID, table: NovaTable?) {
    switch error {
    case .file(let error): self.init(error, of: cell, table: table?.rawValue)
    case .badValue(let column, let found):
      self = .badValue(cell: cell, column: column, found: found)
    case .missing(let what): self = .notACell(cell: cell, missing: what)
    case .deadlinePassed: self = .deadlinePassed(cell: cell)
    default: self = .database(cell: cell, error)
    }
  }

  /// Whether the connection had gone stale, and a new one may well succeed.
  public var isStaleConnection: Bool {
    switch self {
    case .replaced, .database(_, .connectionLost): true
    default: false
    }
  }
}
