internal import CPostgreSQL
internal import Glibc
internal import Journal

/// One connection to one PostgreSQL server, through libpq's non-blocking calls.
///
/// Each call waits on the calling thread by `poll`, until the deadline at most. Closed with its last
/// reference. Not protected by itself: it belongs to one thread at a time, which its owner sees to.
@safe public final class PostgreSQLConnection: @unchecked Sendable {
  /// The server, as messages name it.
  let server: String
  private let handle: OpaquePointer
  private var failureContext: PostgreSQLFailureContext
  /// A call was broken off: what comes from the server now answers something else.
  private var isBroken = false
  var deadline: ContinuousClock.Instant

  /// Begins to connect with libpq's parameters.
  init(
    _ parameters: [PostgreSQLParameter], server: String, context: PostgreSQLFailureContext,
    until deadline: ContinuousClock.Instant
  ) {
    let names = parameters.map { CText($0.name) }
    let values = parameters.map { CText(bytes: $0.bytes) }
    defer { for text in names + values { text.wipe() } }
    var keywords = unsafe names.map { unsafe UnsafePointer<CChar>($0.pointer) } + [nil]
    var texts = unsafe values.map { unsafe UnsafePointer<CChar>($0.pointer) } + [nil]
    guard let handle = unsafe PQconnectStartParams(&keywords, &texts, 0) else {
      preconditionFailure("no memory")
    }
    unsafe self.handle = handle
    self.server = server
    self.deadline = deadline
    failureContext = context
    // Only the code of a server's error: its words are in its own language, and its own.
    unsafe PQsetErrorVerbosity(handle, PQERRORS_SQLSTATE)
    unsafe PQsetNoticeProcessor(handle, { _, _ in }, nil)
  }

  deinit {
    if isBroken { abandon() }
    unsafe PQfinish(handle)
  }

  private var socket: Int32 { unsafe PQsocket(handle) }

  /// Completes the connection and the login.
  func connect() throws(DatabaseError) {
    var state = PGRES_POLLING_WRITING
    while state != PGRES_POLLING_OK {
      guard unsafe PQstatus(handle) != CONNECTION_BAD, state != PGRES_POLLING_FAILED else {
        isBroken = true
        throw failureContext.openingError(message)
      }
      try wait(for: state == PGRES_POLLING_READING ? POLLIN : POLLOUT)
      state = unsafe PQconnectPoll(handle)
    }
    unsafe PQsetnonblocking(handle, 1)
  }

  /// What holds for every query: read only, UTC, and texts as they are written here.
  func prepareSession() throws(DatabaseError) {
    try execute(
      "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY; SET TIME ZONE 'UTC'; "
        + "SET datestyle = 'ISO, YMD'; SET client_encoding = 'UTF8'; "
        + "SET standard_conforming_strings = on")
  }

  func begin(until deadline: ContinuousClock.Instant) throws(DatabaseError) {
    self.deadline = deadline
    guard !isBroken, socket >= 0, !SocketWait.isClosed(socket) else {
      isBroken = true
      throw .connectionLost(server: server)
    }
  }

  /// Runs statements that have no rows.
  func execute(_ sql: String) throws(DatabaseError) {
    failureContext.table = ""
    failureContext.operation = "prepare its session"
    guard unsafe PQsendQuery(handle, sql) == 1 else { throw lost() }
    try flush()
    while let result = try nextResult() { try result.check(failureContext) }
  }

  /// Lets the session write; a statement sees what was committed before it began.
  func allowWriting() throws(DatabaseError) {
    try execute(
      "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE")
  }

  /// Runs a statement, and returns how many rows it has written.
  func change(_ statement: SQLQuery) throws(DatabaseError) -> UInt64 {
    precondition(statement.dialect == .postgresql, "a statement in the connection's dialect")
    failureContext.table = statement.table.rawValue
    failureContext.operation = "write \(statement.table)"
    try send(statement)
    var (count, failure): (UInt64, DatabaseError?) = (0, nil)
    while let result = try nextResult() {
      do throws(DatabaseError) {
        try result.check(failureContext)
        count += result.writtenRows
      } catch {
        // A refusal by the server ends its answer, and the connection is good for more.
        guard result.isRefusal else {
          isBroken = true
          throw error
        }
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
    return count
  }

  /// Runs a query and gives `body` each of its rows as it comes.
  func forEachRow(
    of query: SQLQuery, _ body: (SQLRow) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    precondition(query.dialect == .postgresql, "a query in the connection's dialect")
    failureContext.table = query.table.rawValue
    failureContext.operation = "read \(query.table)"
    try send(query)
    guard unsafe PQsetSingleRowMode(handle) == 1 else { throw lost() }
    var row: ServerRow?
    var failure: DatabaseError?
    var watch = RowWatch(until: deadline)
    while let result = try nextResult() {
      do throws(DatabaseError) {
        guard try result.check(failureContext), failure == nil else { continue }
        let target = row ?? ServerRow(of: query.table, names: result.names)
        row = target
        try result.fill(target)
        try body(.server(target))
      } catch {
        // A refusal by the server ends its answer, and the connection is good for more.
        guard result.isRefusal else {
          isBroken = true
          throw error
        }
        failure = failure ?? error
      }
      if watch.isOverAfterRow() { throw passed() }
    }
    if let failure { throw failure }
  }
}

// MARK: - Driving the library

extension PostgreSQLConnection {
  private func send(_ query: SQLQuery) throws(DatabaseError) {
    let values = query.values.map { value in
      switch value {
      case .integer(let value): CText("\(value)")
      case .text(let text): CText(text.string)
      case .null: CText(nil)
      }
    }
    defer { for value in values { value.wipe() } }
    for case .text(let text) in query.values where text.string.utf8.contains(0) {
      throw .failed(server: server, operation: "take a text with a NUL", code: "22021")
    }
    let pointers = unsafe values.map { unsafe UnsafePointer<CChar>($0.pointer) }
    // A text's type is left to the server, as for a literal.
    let types = query.values.map { value -> Oid in
      if case .integer = value { Self.bigint } else { 0 }
    }
    let isSent = unsafe PQsendQueryParams(
      handle, query.text, Int32(values.count), types, pointers, nil, nil, 0)
    guard isSent == 1 else { throw lost() }
    try flush()
  }

  /// `INT8OID` of PostgreSQL's catalogue, which doesn't change.
  private static let bigint: Oid = 20

  private func flush() throws(DatabaseError) {
    while true {
      let left = unsafe PQflush(handle)
      if left == 0 { return }
      if left < 0 { throw lost() }
      // While it is written, an answer may have to be read for the server to go on.
      let events = try wait(for: POLLIN | POLLOUT)
      if events & POLLIN != 0, unsafe PQconsumeInput(handle) == 0 { throw lost() }
    }
  }

  /// The next part of the answer, waited for; nil at its end.
  private func nextResult() throws(DatabaseError) -> PostgreSQLResult? {
    while unsafe PQisBusy(handle) == 1 {
      try wait(for: POLLIN)
      if unsafe PQconsumeInput(handle) == 0 { throw lost() }
    }
    guard let result = unsafe PQgetResult(handle) else {
      if unsafe PQstatus(handle) == CONNECTION_BAD { throw lost() }
      return nil
    }
    let part = unsafe PostgreSQLResult(result)
    if unsafe PQstatus(handle) == CONNECTION_BAD { throw lost(part) }
    return part
  }

  @discardableResult
  private func wait(for events: Int32) throws(DatabaseError) -> Int32 {
    guard let events = SocketWait.events(events, on: socket, until: deadline) else {
      throw passed()
    }
    return events
  }

  private func passed() -> DatabaseError {
    abandon()
    return .deadlinePassed(server: server)
  }

  private func abandon() {
    isBroken = true
    if socket >= 0 { _ = shutdown(socket, Int32(SHUT_RDWR)) }
  }

  /// What ended the connection: the server's last word, if it had one.
  private func lost(_ last: PostgreSQLResult? = nil) -> DatabaseError {
    isBroken = true
    if let last, let state = last.sqlState { return failureContext.error(state) }
    return failureContext.brokenError(message)
  }

  private var message: String {
    let handle = unsafe handle
    return unsafe String(cString: PQerrorMessage(handle))
  }
}

/// One part of an answer; freed with its last reference.
@safe final class PostgreSQLResult {
  private let handle: OpaquePointer

  init(_ handle: OpaquePointer) { unsafe self.handle = handle }

  deinit { unsafe PQclear(handle) }

  /// The five characters of the server's refusal; nil without one.
  var sqlState: String? {
    unsafe PQresultErrorField(handle, Int32(UInt8(ascii: "C"))).map { unsafe String(cString: $0) }
  }

  /// The server refused the query.
  var isRefusal: Bool { unsafe PQresultStatus(handle) == PGRES_FATAL_ERROR }

  /// Whether this is a row.
  ///
  /// - Throws: The server's refusal; `protocolBroken` for what isn't an answer to a query.
  @discardableResult
  func check(_ context: PostgreSQLFailureContext) throws(DatabaseError) -> Bool {
    switch unsafe PQresultStatus(handle) {
    case PGRES_SINGLE_TUPLE: return true
    case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY: return false
    case PGRES_FATAL_ERROR:
      guard let sqlState else { throw context.brokenError("no SQLSTATE") }
      throw context.error(sqlState)
    default: throw .protocolBroken(server: context.server, reason: "an answer to something else")
    }
  }

  /// How many rows the statement has written; 0 for one that only reads.
  var writtenRows: UInt64 {
    guard unsafe PQresultStatus(handle) == PGRES_COMMAND_OK else { return 0 }
    return unsafe UInt64(String(cString: PQcmdTuples(handle))) ?? 0
  }

  var names: [String] {
    let count = unsafe PQnfields(handle)
    return (0..<count).map { column in
      unsafe PQfname(handle, column).map { unsafe String(cString: $0) } ?? ""
    }
  }

  /// Gives the columns of the first row to `row`, as long as this lives.
  func fill(_ row: ServerRow) throws(DatabaseError) {
    let count = unsafe PQnfields(handle)
    for column in 0..<count {
      let value =
        unsafe PQgetisnull(handle, 0, column) == 1
        ? nil
        : UnsafeRawBufferPointer(
          start: PQgetvalue(handle, 0, column), count: Int(PQgetlength(handle, 0, column)))
      unsafe try row.set(Int(column), to: value)
    }
  }
}
