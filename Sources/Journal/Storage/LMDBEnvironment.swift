internal import CLMDB
internal import Glibc
internal import Synchronization

/// The one LMDB environment of a data file in this process: what the journal is written through.
///
/// LMDB loses its locks if a process opens a file twice and closes one of them, so that all who ask
/// for a file get the same environment (`shared`). It is used with its default durability:
/// `MDB_NOSYNC`, `MDB_NOMETASYNC`, `MDB_MAPASYNC` and `MDB_WRITEMAP` lose what was acknowledged, or
/// kill the process on a full disk. Nothing is read through it, so it has no readers of its own.
@safe final class LMDBEnvironment: Sendable {
  /// Address space, not disk: the file grows with its contents.
  static let defaultMapSizeBytes = 64 << 30
  static let flags = UInt32(MDB_NOSUBDIR) | UInt32(MDB_NOTLS)
  static let mode: mdb_mode_t = 0o600

  let path: String
  /// Held during a whole write transaction, which LMDB ties to its thread.
  private let state: Mutex<LMDBHandle>

  private static let open = Mutex<[FileIdentity: WeakEnvironment]>([:])

  private struct WeakEnvironment {
    weak var environment: LMDBEnvironment?
  }

  /// The environment of an existing file; the one that is open already, if one is.
  ///
  /// Only after `PageFile` has found the file sound.
  ///
  /// - Parameter mapSizeBytes: The map to begin with; it grows by itself.
  static func shared(
    _ path: String, mapSizeBytes: Int = defaultMapSizeBytes
  ) throws(LMDBError) -> LMDBEnvironment {
    try open.withLock { (open) throws(LMDBError) in
      if let identity = FileIdentity(ofPath: path), let known = open[identity]?.environment {
        return known
      }
      let environment = try LMDBEnvironment(path, mapSizeBytes: mapSizeBytes)
      open = open.filter { $0.value.environment != nil }
      if let identity = FileIdentity(ofPath: path) {
        open[identity] = WeakEnvironment(environment: environment)
      }
      return environment
    }
  }

  private init(_ path: String, mapSizeBytes: Int) throws(LMDBError) {
    self.path = path
    state = Mutex(try LMDBHandle(path, mapSizeBytes: mapSizeBytes))
  }

  deinit {
    state.withLock { $0.close() }
  }

  /// Whether LMDB's data file and lock file are still those that were opened: a lock file that was
  /// deleted or put back no longer excludes others.
  var isInPlace: Bool {
    state.withLock { $0.isInPlace }
  }

  /// Closes LMDB's environment; the next write opens it anew.
  func close() {
    state.withLock { $0.close() }
  }

  /// Runs `body` in a write transaction and commits it.
  ///
  /// If the map is too small it grows, and `body` runs once more in a new transaction.
  ///
  /// - Parameters:
  ///   - last: The last committed transaction, as the caller saw it in the file. If LMDB would write
  ///     another one than the next, its lock file is not the one the others used: it is opened anew.
  ///   - growthBytes: At least how much the map grows by.
  ///   - checksPlace: Whether to look if LMDB's two files are still those that were opened.
  /// - Throws: `LMDBWriteError`; unless it says `commit`, nothing was written.
  func write(
    after last: UInt64, growthBytes: Int, checksPlace: Bool,
    _ body: (borrowing LMDBWriteTransaction) throws(LMDBError) -> Void
  ) throws(LMDBWriteError) {
    try state.withLock { (state) throws(LMDBWriteError) in
      do throws(LMDBError) {
        try state.prepare(checksPlace: checksPlace)
      } catch {
        throw .begin(error)
      }
      do throws(LMDBWriteError) {
        try state.write(after: last, body)
      } catch .body(let error) where error.isMapFull {
        do throws(LMDBError) {
          try state.grow(byAtLeast: growthBytes)
        } catch {
          throw .begin(error)
        }
        try state.write(after: last, body)
      }
    }
  }
}

/// What failed, and with it whether anything can have been written.
enum LMDBWriteError: Error, Equatable {
  /// No transaction began.
  case begin(LMDBError)
  /// Another transaction came in between.
  case overtaken(expected: UInt64, actual: UInt64)
  /// The transaction was aborted.
  case body(LMDBError)
  /// The commit failed before the meta page was written: nothing was committed.
  case commit(LMDBError)
  /// Writing the meta page failed: it may be on disk or not.
  case metaPage(LMDBError)
}
