internal import CSQLiteOptions
internal import GRDBSQLite
internal import Glibc

/// One connection to one SQLite file, closed when the last statement and reference are gone.
///
/// Opened without SQLite's mutexes (`SQLITE_OPEN_NOMUTEX`): it and its statements belong to one
/// thread at a time, and whoever moves them between threads synchronises that; but for one that is
/// opened to be shared, where each statement has its own thread. Every connection has
/// `mmap_size=0`, `trusted_schema=OFF`, `cell_size_check=ON` and the defensive flag, so that a
/// damaged or hostile file can give errors but neither signals nor side effects.
///
/// Source: sqlite3.h 3.40.1; `SQLITE_DBCONFIG_…` at sqlite.org/c3ref.
@safe public final class SQLiteConnection {
  /// How a file is opened.
  public enum Mode: Sendable, Equatable {
    /// Reads only; the file must exist. Never checkpoints, never writes the database file.
    case readOnly
    /// Reads only a file that nobody writes, without locks and without its WAL
    /// (`immutable=1`): for a folder in which SQLite can't make its `-shm` file.
    case immutable
    /// Reads and writes an existing file; closing doesn't checkpoint.
    case readWrite
    /// As `readWrite`, and makes a missing file with mode 0600.
    case readWriteCreate
    /// As `readWriteCreate`, and refuses a file that exists.
    case readWriteNew
  }

  /// The path as it was given.
  public let path: String
  /// How the file was opened.
  public let mode: Mode
  let handle: OpaquePointer
  /// The file is an index of ours: what SQLite can't make sense of in it is damage.
  private let holdsIndex: Bool
  private let deadlineBox: UnsafeMutablePointer<ContinuousClock.Instant?>

  /// Opens the file at `path`; whether it is a database at all shows at the first statement.
  ///
  /// The path is taken as it is: `?`, `%`, spaces and the prefix `file:` have no meaning in it.
  ///
  /// - Parameters:
  ///   - maximumValueBytes: The longest text or blob that is read or bound; longer ones fail with
  ///     `SQLITE_TOOBIG`.
  ///   - isShared: Several threads may work on it at once, each with statements of its own
  ///     (`SQLITE_OPEN_FULLMUTEX`). A deadline is no one's then.
  /// - Throws: `unusablePath`, or `sqlite` with the code of `sqlite3_open_v2`.
  public convenience init(
    path: String, mode: Mode, maximumValueBytes: Int32 = 16 << 20, isShared: Bool = false
  ) throws(ProjectionError) {
    try self.init(
      path: path, mode: mode, maximumValueBytes: maximumValueBytes, isShared: isShared,
      holdsIndex: false)
  }

  init(
    path: String, mode: Mode, maximumValueBytes: Int32 = 16 << 20, isShared: Bool = false,
    holdsIndex: Bool
  ) throws(ProjectionError) {
    guard !path.isEmpty, !path.utf8.contains(0) else { throw .unusablePath(path) }
    if mode == .readWriteCreate || mode == .readWriteNew {
      try Self.createPrivateFile(at: path, mustBeNew: mode == .readWriteNew)
    }
    var opened: OpaquePointer?
    let code = unsafe sqlite3_open_v2(
      Self.fileName(for: path, mode: mode), &opened, Self.openFlags(mode, isShared), nil)
    guard code == SQLITE_OK, let opened = unsafe opened else {
      unsafe sqlite3_close(opened)
      throw .sqlite(code: code & 0xff, extendedCode: code, operation: "open", path: path)
    }
    self.path = path
    self.mode = mode
    self.holdsIndex = holdsIndex
    unsafe self.handle = opened
    unsafe self.deadlineBox = .allocate(capacity: 1)
    unsafe deadlineBox.initialize(to: nil)
    try configure(maximumValueBytes: maximumValueBytes)
  }

  deinit {
    // Every statement holds a reference to its connection, so none is left here.
    unsafe sqlite3_close(handle)
    unsafe deadlineBox.deallocate()
  }

  /// The instant at which running and waiting calls are broken off; nil for no limit.
  ///
  /// A call that runs into it throws `deadlinePassed` or, if it waited for a lock, `busy`. Without
  /// a deadline a locked file throws `busy` at once.
  public var deadline: ContinuousClock.Instant? {
    get { unsafe deadlineBox.pointee }
    set {
      let hadDeadline = unsafe deadlineBox.pointee != nil
      unsafe deadlineBox.pointee = newValue
      if hadDeadline != (newValue != nil) { installDeadlineHandlers(newValue != nil) }
    }
  }

  /// Prepares `sql`, which must be one statement, for repeated use.
  ///
  /// - Throws: `statementRefused` with SQLite's message for unknown tables and columns; `sqlite`
  ///   for a file that is not a database or can't be read.
  public func prepare(_ sql: String) throws(ProjectionError) -> SQLiteStatement {
    try SQLiteStatement(sql, on: self)
  }

  /// Runs every statement of `sql`, ignoring their rows.
  ///
  /// - Throws: as `prepare` and `SQLiteStatement.step`; statements before the failing one have run.
  public func execute(_ sql: String) throws(ProjectionError) {
    let code = unsafe sqlite3_exec(handle, sql, nil, nil, nil)
    if code == SQLITE_ERROR { throw refusal(lastMessage) }
    try check(code, "execute")
  }

  /// The first column of the first row of `sql` as an integer; nil without a row or for NULL.
  public func integer(_ sql: String) throws(ProjectionError) -> Int64? {
    let statement = try prepare(sql)
    guard try statement.step() else { return nil }
    return try statement.integerIfPresent(0)
  }

  /// Whether a transaction is open on this connection.
  public var isInTransaction: Bool { unsafe sqlite3_get_autocommit(handle) == 0 }

  /// Moves the pages of the WAL into the database file and lets the WAL begin anew.
  ///
  /// Only the holder of the write lease may call it. Readers that hold an old snapshot make it do
  /// less, never fail.
  ///
  /// - Returns: Whether the whole WAL was moved.
  public func checkpoint() throws(ProjectionError) -> Bool {
    var frames: Int32 = 0
    var moved: Int32 = 0
    let code = unsafe sqlite3_wal_checkpoint_v2(
      handle, nil, SQLITE_CHECKPOINT_PASSIVE, &frames, &moved)
    if code & 0xff == SQLITE_BUSY { return false }
    try check(code, "checkpoint")
    return frames == moved
  }

  /// Throws what `code` says unless it is `SQLITE_OK`; the one place that looks at result codes.
  @inline(__always)
  func check(_ code: Int32, _ operation: StaticString) throws(ProjectionError) {
    if code != SQLITE_OK { throw failure(code, operation) }
  }

  /// The error of a result code.
  @inline(never)
  func failure(_ code: Int32, _ operation: StaticString) -> ProjectionError {
    let operation = operation.description
    switch code & 0xff {
    case SQLITE_BUSY, SQLITE_LOCKED: return .busy(operation: operation, path: path)
    case SQLITE_INTERRUPT: return .deadlinePassed(operation: operation, path: path)
    case SQLITE_CORRUPT where holdsIndex, SQLITE_NOTADB where holdsIndex,
      SQLITE_FORMAT where holdsIndex, SQLITE_ERROR where holdsIndex,
      SQLITE_IOERR where holdsIndex && code == SQLITE_IOERR | 2 << 8:
      return .damaged(
        path: path, what: "SQLite's code \(code) (\(Self.meaning(of: code & 0xff)))")
    default:
      return .sqlite(
        code: code & 0xff, extendedCode: code, operation: operation, path: path)
    }
  }

  /// The error of a statement whose text SQLite refused.
  func refusal(_ message: String) -> ProjectionError {
    holdsIndex
      ? .damaged(path: path, what: message) : .statementRefused(message: message, path: path)
  }

  /// The error of a column that doesn't hold what its reader needs.
  @inline(never)
  func unreadable(_ error: ProjectionError, column: String) -> ProjectionError {
    holdsIndex ? .damaged(path: path, what: "the type of column \(column)") : error
  }

  /// SQLite's words for a primary result code.
  static func meaning(of code: Int32) -> String {
    unsafe sqlite3_errstr(code).map { unsafe String(cString: $0) } ?? "unknown"
  }

  var lastMessage: String {
    unsafe sqlite3_errmsg(handle).map { unsafe String(cString: $0) } ?? "unknown"
  }
}

// MARK: - Opening

extension SQLiteConnection {
  private static func openFlags(_ mode: Mode, _ isShared: Bool) -> Int32 {
    let common =
      (isShared ? SQLITE_OPEN_FULLMUTEX : SQLITE_OPEN_NOMUTEX) | SQLITE_OPEN_EXRESCODE
    return switch mode {
    case .readOnly: common | SQLITE_OPEN_READONLY
    case .immutable: common | SQLITE_OPEN_READONLY | SQLITE_OPEN_URI
    case .readWrite, .readWriteCreate, .readWriteNew: common | SQLITE_OPEN_READWRITE
    }
  }

  /// The name SQLite is given: a URI only where `immutable` needs one, else a path that can't be
  /// mistaken for `:memory:` or a URI.
  private static func fileName(for path: String, mode: Mode) -> String {
    let plain = path.utf8.first == UInt8(ascii: "/") ? path : "./" + path
    guard mode == .immutable else { return plain }
    var uri = "file:"
    for byte in plain.utf8 { uri += escaped(byte) }
    return uri + "?immutable=1"
  }

  private static func escaped(_ byte: UInt8) -> String {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."),
      UInt8(ascii: "-"), UInt8(ascii: "_"):
      return String(UnicodeScalar(byte))
    default:
      let digits = String(byte, radix: 16, uppercase: true)
      return digits.utf8.count == 1 ? "%0" + digits : "%" + digits
    }
  }

  /// Makes a missing file with mode 0600, which SQLite then copies to its `-wal` and `-shm`.
  ///
  /// Only a file that this call made is closed here: closing any other would drop the locks that
  /// this process has on it.
  private static func createPrivateFile(
    at path: String, mustBeNew: Bool
  ) throws(ProjectionError) {
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    if descriptor >= 0 {
      close(descriptor)
    } else if errno == EEXIST {
      if mustBeNew { throw .fileExists(path: path) }
    } else {
      throw .sqlite(
        code: SQLITE_CANTOPEN, extendedCode: SQLITE_CANTOPEN, operation: "create", path: path)
    }
  }

  private func configure(maximumValueBytes: Int32) throws(ProjectionError) {
    for (option, on) in [
      (SQLITE_DBCONFIG_DEFENSIVE, true), (SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
      (SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true), (SQLITE_DBCONFIG_DQS_DML, false),
      (SQLITE_DBCONFIG_DQS_DDL, false), (SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, false),
    ] {
      try check(
        unsafe cellmap_sqlite3_set_option(
          UnsafeMutableRawPointer(handle), Int32(option), on ? 1 : 0), "configure")
    }
    unsafe sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, maximumValueBytes)
    unsafe sqlite3_limit(handle, SQLITE_LIMIT_ATTACHED, 0)
    unsafe sqlite3_limit(handle, SQLITE_LIMIT_WORKER_THREADS, 0)
    try execute("PRAGMA mmap_size=0; PRAGMA cell_size_check=ON;")
    if mode == .readOnly || mode == .immutable { try execute("PRAGMA query_only=ON;") }
  }

  /// Virtual machine steps between two looks at the clock: some tens of microseconds.
  private static let stepsBetweenDeadlineChecks: Int32 = 1_000

  private func installDeadlineHandlers(_ on: Bool) {
    guard on else {
      unsafe sqlite3_progress_handler(handle, 0, nil, nil)
      unsafe sqlite3_busy_handler(handle, nil, nil)
      return
    }
    unsafe sqlite3_progress_handler(
      handle, Self.stepsBetweenDeadlineChecks,
      { box in unsafe SQLiteConnection.hasPassed(box) ? 1 : 0 }, deadlineBox)
    unsafe sqlite3_busy_handler(
      handle,
      { box, attempt in
        if unsafe SQLiteConnection.hasPassed(box) { return 0 }
        usleep(attempt < 10 ? 200 : 2_000)
        return 1
      }, deadlineBox)
  }

  private static func hasPassed(_ box: UnsafeMutableRawPointer?) -> Bool {
    guard
      let box = unsafe box?.assumingMemoryBound(to: ContinuousClock.Instant?.self),
      let deadline = unsafe box.pointee
    else { return false }
    return ContinuousClock.now >= deadline
  }
}
