internal import Glibc

/// A journal's file that is being written; nobody reads it before it is finished.
final class NewJournalFile {
  private let path: String
  private let store: StoreID
  private let environment: LMDBEnvironment
  private var transactionID: UInt64 = 0

  /// Makes the file; one that is there already must be empty.
  init(_ path: String, store: StoreID, mapSizeBytes: Int) throws(JournalError) {
    self.path = path
    self.store = store
    try Self.reserveLockFile(path + "-lock")
    do throws(LMDBError) {
      environment = try LMDBEnvironment.shared(path, mapSizeBytes: mapSizeBytes)
    } catch {
      throw error.journalError(path: path)
    }
  }

  /// More than LMDB's lock file has.
  private static let lockFileBytes: off_t = 16_384

  /// LMDB maps its lock file and writes into it: on a full disk that ends the process, unless the file
  /// has its space before.
  private static func reserveLockFile(_ path: String) throws(JournalError) {
    let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw .file(FileError("open", path, code: errno)) }
    defer { close(descriptor) }
    let code = posix_fallocate(descriptor, 0, lockFileBytes)
    guard code == 0 else {
      unsafe unlink(path)
      throw .file(FileError("posix_fallocate", path, code: code))
    }
  }

  /// Writes what stands before the entries of a journal that doesn't begin with the first; to be called
  /// once, before all else.
  ///
  /// - Throws: `full`, `storage`; the file is of no use then.
  func begin(_ beginning: ShortJournal.Beginning) throws(JournalError) {
    precondition(transactionID == 0, "it is the first record")
    let roots = beginning.roots
    let bytes = roots.flatMap { $0.root.bytes }
    do throws(LMDBWriteError) {
      try environment.write(
        after: 0, growthBytes: bytes.count + beginning.entry.count, checksPlace: true
      ) { [store] (transaction) throws(LMDBError) in
        let main = try transaction.database(nil, create: false)
        let record = StoreRecord(store: store, firstIndex: beginning.firstIndex)
        try transaction.put(StoreRecord.key, record.bytes, into: main)
        try transaction.put(JournalArchive.key, beginning.archive, into: main)
        let entries = try transaction.database("entries", create: true)
        try transaction.append(
          beginning.firstIndex, beginning.entry, in: 0..<beginning.entry.count, to: entries)
        let tiles = try transaction.database("tiles", create: true)
        for (place, root) in roots.enumerated() {
          try transaction.append(root.key, bytes, in: 32 * place..<32 * place + 32, to: tiles)
        }
      }
    } catch {
      throw error.cause.journalError(path: path)
    }
    transactionID = 1
  }

  /// Writes the next records in one transaction.
  ///
  /// - Throws: `full`, `storage`; the file is of no use then.
  func append(_ batch: AppendBatch) throws(JournalError) {
    let isFirst = transactionID == 0
    do throws(LMDBWriteError) {
      try environment.write(after: transactionID, growthBytes: batch.byteCount, checksPlace: true) {
        [store] (transaction) throws(LMDBError) in
        if isFirst {
          let main = try transaction.database(nil, create: false)
          try transaction.put(StoreRecord.key, StoreRecord(store: store).bytes, into: main)
        }
        try batch.put(into: transaction)
      }
    } catch {
      throw error.cause.journalError(path: path)
    }
    transactionID += 1
  }

  /// Closes the file; it is on disk once this returns, and LMDB's lock file is gone.
  func finish() throws(JournalError) {
    environment.close()
    unsafe unlink(path + "-lock")
    // LMDB made it with our mode, but creation itself has to reach the disk.
    do throws(FileError) { try SmallFile.sync(path) } catch { throw .file(error) }
  }
}
