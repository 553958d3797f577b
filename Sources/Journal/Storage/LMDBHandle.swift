internal import CLMDB
internal import Glibc

/// The handle of an environment, and what it was opened on. One thread at a time.
@safe struct LMDBHandle: ~Copyable, @unchecked Sendable {
  // LMDB's environment may be used by any thread; nil after a failure that needs a new one.
  private var handle: OpaquePointer?
  private let path: String
  private var mapSizeBytes: Int
  private var dataFile: FileIdentity?
  private var lockFile: FileIdentity?
  private var readersCheckedAt = 0

  private static let readerCheckSeconds = 60

  init(_ path: String, mapSizeBytes: Int) throws(LMDBError) {
    self.path = path
    self.mapSizeBytes = mapSizeBytes
    try open()
  }

  /// Whether the data file and the lock file are still those that were opened.
  var isInPlace: Bool {
    dataFile == FileIdentity(ofPath: path) && lockFile == FileIdentity(ofPath: path + "-lock")
  }

  private mutating func open() throws(LMDBError) {
    var handle: OpaquePointer?
    try check(unsafe mdb_env_create(&handle), "mdb_env_create")
    do throws(LMDBError) {
      try check(unsafe mdb_env_set_maxdbs(handle, 2), "mdb_env_set_maxdbs")
      try check(unsafe mdb_env_set_mapsize(handle, mapSizeBytes), "mdb_env_set_mapsize")
      try check(
        unsafe mdb_env_open(handle, path, LMDBEnvironment.flags, LMDBEnvironment.mode),
        "mdb_env_open")
    } catch {
      unsafe mdb_env_close(handle)
      throw error
    }
    unsafe self.handle = handle
    dataFile = FileIdentity(ofPath: path)
    lockFile = FileIdentity(ofPath: path + "-lock")
    readersCheckedAt = 0
  }

  mutating func close() {
    if let handle = unsafe handle { unsafe mdb_env_close(handle) }
    unsafe handle = nil
  }

  /// Opens the environment anew if it was closed or its files were replaced, and once a minute lets
  /// go of the places of readers that died: a tool of somebody else's may leave one behind.
  mutating func prepare(checksPlace: Bool) throws(LMDBError) {
    if checksPlace, unsafe handle != nil, !isInPlace { close() }
    if unsafe handle == nil { try open() }
    var now = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &now)
    guard readersCheckedAt == 0 || now.tv_sec - readersCheckedAt >= Self.readerCheckSeconds else {
      return
    }
    readersCheckedAt = max(1, now.tv_sec)
    var dead: Int32 = 0
    try check(unsafe mdb_reader_check(handle, &dead), "mdb_reader_check")
  }

  mutating func write(
    after last: UInt64,
    _ body: (borrowing LMDBWriteTransaction) throws(LMDBError) -> Void
  ) throws(LMDBWriteError) {
    var transaction = try begin()
    if transaction.id != last + 1 {
      // LMDB counts in its lock file. One that was deleted and made again counts for itself.
      let actual = transaction.id
      transaction = try reopened(dropping: transaction)
      guard transaction.id == last + 1 else {
        throw .overtaken(expected: last + 1, actual: actual)
      }
    }
    do throws(LMDBError) {
      try body(transaction)
    } catch {
      throw .body(error)
    }
    do throws(LMDBError) {
      try transaction.commit()
    } catch {
      throw isBroken ? .metaPage(error) : .commit(error)
    }
  }

  /// Whether LMDB refuses all further writes: it does so once writing a meta page has failed.
  private var isBroken: Bool {
    guard let handle = unsafe handle else { return true }
    return (try? unsafe LMDBWriteTransaction(on: handle)) == nil
  }

  private mutating func begin() throws(LMDBWriteError) -> LMDBWriteTransaction {
    guard let handle = unsafe handle else { preconditionFailure("the environment is prepared") }
    do throws(LMDBError) {
      do throws(LMDBError) {
        return try unsafe LMDBWriteTransaction(on: handle)
      } catch  where error.isMapResized {
        try check(unsafe mdb_env_set_mapsize(handle, 0), "mdb_env_set_mapsize")
        return try unsafe LMDBWriteTransaction(on: handle)
      }
    } catch {
      throw .begin(error)
    }
  }

  private mutating func reopened(
    dropping transaction: consuming LMDBWriteTransaction
  ) throws(LMDBWriteError) -> LMDBWriteTransaction {
    _ = consume transaction
    close()
    do throws(LMDBError) {
      try open()
    } catch {
      throw .begin(error)
    }
    return try begin()
  }

  /// Makes the map twice as large. Nothing is mapped by readers, so nobody has to be waited for.
  mutating func grow(byAtLeast bytes: Int) throws(LMDBError) {
    var information = unsafe MDB_envinfo()
    try check(unsafe mdb_env_info(handle, &information), "mdb_env_info")
    let size = unsafe information.me_mapsize
    mapSizeBytes = max(2 * size, size + 4 * bytes)
    try check(unsafe mdb_env_set_mapsize(handle, mapSizeBytes), "mdb_env_set_mapsize")
  }
}
