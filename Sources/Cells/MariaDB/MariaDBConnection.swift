internal import CMariaDB
internal import Glibc
internal import Journal

/// One connection to one MariaDB or MySQL server, through MariaDB Connector/C's non-blocking calls.
///
/// Each call waits on the calling thread by `poll`, until the deadline at most. Closed with its last
/// reference. Not protected by itself: it belongs to one thread at a time, which its owner sees to.
@safe public final class MariaDBConnection: @unchecked Sendable {
  /// The server, as messages name it.
  let server: String
  private let handle: UnsafeMutablePointer<MYSQL>
  /// While it opens: whether it may come to that.
  private var usesTLS: Bool
  private let password: Secret?
  private var failureContext: MariaDBFailureContext
  private let guardian: SocketGuard
  /// A call was broken off: what comes from the server now answers something else.
  private var isBroken = false
  var deadline: ContinuousClock.Instant

  /// Room for the library's calls, which run on a stack of their own: OpenSSL's handshake and the
  /// system's resolver need more than its 60 KiB.
  private static let stackBytes = 256 << 10

  init(
    _ options: MariaDBOptions, server: String, tls: MariaDBTLS, guardian: SocketGuard,
    until deadline: ContinuousClock.Instant
  ) {
    MariaDBLibrary.start()
    guard let handle = unsafe mysql_init(nil) else { preconditionFailure("no memory") }
    unsafe self.handle = handle
    self.server = server
    self.guardian = guardian
    self.deadline = deadline
    usesTLS = tls.use != .never
    password = options.password
    failureContext = MariaDBFailureContext(
      server: server, user: options.user ?? "(no user)", database: options.database,
      isOpening: true)
    var stackBytes = Self.stackBytes
    unsafe mysql_options(handle, MYSQL_OPT_NONBLOCK, &stackBytes)
  }

  deinit {
    if isBroken, let socket { _ = shutdown(socket, Int32(SHUT_RDWR)) }
    guardian.release()
    let handle = unsafe handle
    withoutBrokenPipeSignal { unsafe mysql_close(handle) }
  }

  private var socket: Int32? {
    let socket = unsafe mysql_get_socket(handle)
    return socket >= 0 ? socket : nil
  }

  /// Sets an option whose value is text; the library keeps a copy.
  func set(_ option: mysql_option, to text: String) { unsafe mysql_options(handle, option, text) }

  /// Sets an option whose value is a flag.
  func set(_ option: mysql_option, to flag: Bool) {
    var value: my_bool = flag ? 1 : 0
    unsafe mysql_options(handle, option, &value)
  }

  /// Sets an option whose value is a number.
  func set(_ option: mysql_option, to number: UInt32) {
    var number = number
    unsafe mysql_options(handle, option, &number)
  }

  /// Most bytes of a packet, in both directions.
  func limitPackets(to bytes: Int) {
    var bytes = UInt(bytes)
    unsafe mysql_options(handle, MYSQL_OPT_MAX_ALLOWED_PACKET, &bytes)
  }

  /// Connects and logs in; nil where the library has its own default.
  func connect(
    host: String, port: UInt32, socketPath: String?, user: String, database: String?,
    needsTLS: Bool
  ) throws(DatabaseError) {
    let password = password.map { $0.withExposed { (clear: Span<UInt8>) in clear.copy } }
    let texts = [
      CText(host), CText(user), CText(bytes: password), CText(database), CText(socketPath),
    ]
    defer { for text in texts { text.wipe() } }
    var connected: UnsafeMutablePointer<MYSQL>?
    try drive(
      {
        unsafe mysql_real_connect_start(
          &connected, handle, texts[0].pointer, texts[1].pointer, texts[2].pointer,
          texts[3].pointer, port, texts[4].pointer, 0)
      }, { unsafe mysql_real_connect_cont(&connected, handle, $0) })
    guard unsafe connected != nil else { throw failure() }
    usesTLS = unsafe mysql_get_ssl_cipher(handle) != nil
    if needsTLS, !usesTLS {
      throw .tlsFailed(server: server, reason: "the server doesn't offer it")
    }
    makeNonBlocking()
    guardian.release()
    failureContext.isOpening = false
  }

  /// What holds for every query: read only, UTC, and SQL as it is written here.
  func prepareSession() throws(DatabaseError) {
    try execute("SET NAMES utf8mb4")
    try execute("SET SESSION time_zone = '+00:00', sql_mode = ''")
    try execute("SET SESSION TRANSACTION READ ONLY")
  }

  func begin(until deadline: ContinuousClock.Instant) throws(DatabaseError) {
    self.deadline = deadline
    guard !isBroken, let socket, !SocketWait.isClosed(socket) else {
      isBroken = true
      throw .connectionLost(server: server)
    }
  }

  /// Runs a statement that has no rows.
  func execute(_ sql: String) throws(DatabaseError) {
    failureContext.table = ""
    failureContext.operation = "prepare its session"
    try send(sql)
    guard let result = unsafe mysql_use_result(handle) else { return try requireNoError() }
    unsafe try free(result)
  }

  /// Lets the session write: a value that doesn't fit its column is refused, not cut, and a statement
  /// sees what was committed before it began.
  func allowWriting() throws(DatabaseError) {
    try execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'")
    try execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE")
  }

  /// Runs a statement, and returns how many rows it has written.
  func change(_ statement: SQLQuery) throws(DatabaseError) -> UInt64 {
    precondition(statement.dialect == .mariadb, "a statement in the connection's dialect")
    failureContext.table = statement.table.rawValue
    failureContext.operation = "write \(statement.table)"
    try send(statement.withLiterals)
    let count = unsafe mysql_affected_rows(handle)
    if let result = unsafe mysql_use_result(handle) {
      unsafe try free(result)
      return 0
    }
    try requireNoError()
    return UInt64(count)
  }

  /// Runs a query and gives `body` each of its rows as it comes.
  func forEachRow(
    of query: SQLQuery, _ body: (SQLRow) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    precondition(query.dialect == .mariadb, "a query in the connection's dialect")
    failureContext.table = query.table.rawValue
    failureContext.operation = "read \(query.table)"
    try send(query.withLiterals)
    guard let result = unsafe mysql_use_result(handle) else { return try requireNoError() }
    do throws(DatabaseError) {
      unsafe try read(result, of: query.table, body)
    } catch {
      // The rest of the rows isn't waited for.
      abandon()
      unsafe try? free(result)
      throw error
    }
    unsafe try free(result)
  }

  private func read(
    _ result: UnsafeMutablePointer<MYSQL_RES>, of table: NovaTable,
    _ body: (SQLRow) throws(DatabaseError) -> Void
  ) throws(DatabaseError) {
    let row = ServerRow(of: table, names: unsafe names(of: result))
    let count = Int(unsafe mysql_num_fields(result))
    var watch = RowWatch(until: deadline)
    while true {
      var fetched: MYSQL_ROW?
      try drive(
        { unsafe mysql_fetch_row_start(&fetched, result) },
        { unsafe mysql_fetch_row_cont(&fetched, result, $0) })
      guard let values = unsafe fetched else { return try requireNoError() }
      guard let lengths = unsafe mysql_fetch_lengths(result) else { throw failure() }
      for column in 0..<count {
        let bytes = unsafe values[column].map {
          unsafe UnsafeRawBufferPointer(start: $0, count: Int(lengths[column]))
        }
        unsafe try row.set(column, to: bytes)
      }
      try body(.server(row))
      if watch.isOverAfterRow() { throw .deadlinePassed(server: server) }
    }
  }

  private func names(of result: UnsafeMutablePointer<MYSQL_RES>) -> [String] {
    let count = Int(unsafe mysql_num_fields(result))
    guard let fields = unsafe mysql_fetch_fields(result) else { return [] }
    return (0..<count).map { column in
      unsafe fields[column].name.map { unsafe String(cString: $0) } ?? ""
    }
  }
}

// MARK: - Driving the library

extension MariaDBConnection {
  private func send(_ sql: String) throws(DatabaseError) {
    var code: Int32 = 0
    let text = CText(sql)
    defer { text.wipe() }
    try drive(
      {
        unsafe mysql_real_query_start(&code, handle, text.pointer, UInt(sql.utf8.count))
      }, { unsafe mysql_real_query_cont(&code, handle, $0) })
    guard code == 0 else { throw failure() }
  }

  private func free(_ result: UnsafeMutablePointer<MYSQL_RES>) throws(DatabaseError) {
    try drive(
      { unsafe mysql_free_result_start(result) }, { unsafe mysql_free_result_cont(result, $0) })
  }

  /// Runs a call of the library to its end, waiting for the socket as it asks to.
  ///
  /// - Throws: `deadlinePassed`; the call has been ended, and the connection with it.
  private func drive(
    _ start: () -> Int32, _ proceed: (Int32) -> Int32
  ) throws(DatabaseError) {
    guard usesTLS else { return try driveAll(start, proceed) }
    try withoutBrokenPipeSignal { () throws(DatabaseError) in try driveAll(start, proceed) }
  }

  private func driveAll(
    _ start: () -> Int32, _ proceed: (Int32) -> Int32
  ) throws(DatabaseError) {
    if usesTLS { MariaDBLibrary.forgetTLSErrors() }
    var waits = start()
    while waits != 0 {
      let socket = socket ?? -1
      if failureContext.isOpening, socket >= 0 { guardian.hold(socket) }
      makeNonBlocking()
      guard let events = SocketWait.events(Self.pollEvents(waits), on: socket, until: deadline)
      else {
        unwind(proceed)
        throw .deadlinePassed(server: server)
      }
      if usesTLS { MariaDBLibrary.forgetTLSErrors() }
      waits = proceed(Self.libraryEvents(events))
    }
  }

  /// Ends a call that is under way: the library frees what it holds only by running to its end.
  private func unwind(_ proceed: (Int32) -> Int32) {
    abandon()
    for _ in 0..<1_000 {
      let all = Int32(MYSQL_WAIT_READ | MYSQL_WAIT_WRITE | MYSQL_WAIT_TIMEOUT)
      if proceed(all) == 0 { return }
    }
  }

  private func abandon() {
    isBroken = true
    if let socket { _ = shutdown(socket, Int32(SHUT_RDWR)) }
  }

  /// The library makes its socket a blocking one again once it is connected, and reads through
  /// OpenSSL as if it weren't.
  private func makeNonBlocking() {
    guard usesTLS, let socket else { return }
    let flags = fcntl(socket, F_GETFL)
    if flags >= 0, flags & O_NONBLOCK == 0 { _ = fcntl(socket, F_SETFL, flags | O_NONBLOCK) }
  }

  private static func pollEvents(_ waits: Int32) -> Int32 {
    (waits & Int32(MYSQL_WAIT_READ) != 0 ? POLLIN : 0)
      | (waits & Int32(MYSQL_WAIT_WRITE) != 0 ? POLLOUT : 0)
      | (waits & Int32(MYSQL_WAIT_EXCEPT) != 0 ? POLLPRI : 0)
  }

  private static func libraryEvents(_ events: Int32) -> Int32 {
    let isOver = events & (POLLERR | POLLHUP | POLLNVAL) != 0
    return (events & POLLIN != 0 || isOver ? Int32(MYSQL_WAIT_READ) : 0)
      | (events & POLLOUT != 0 || isOver ? Int32(MYSQL_WAIT_WRITE) : 0)
      | (events & POLLPRI != 0 ? Int32(MYSQL_WAIT_EXCEPT) : 0)
  }

  private func requireNoError() throws(DatabaseError) {
    if unsafe mysql_errno(handle) != 0 { throw failure() }
  }

  /// What the library says of its last call.
  private func failure() -> DatabaseError {
    let code = unsafe mysql_errno(handle)
    if code >= 2000, code < 3000 { isBroken = true }
    let handle = unsafe handle
    return MariaDBLibrary.error(
      code,
      reason: sanitised(unsafe String(cString: mysql_error(handle)), without: password),
      context: failureContext)
  }
}
