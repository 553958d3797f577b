internal import Glibc

/// A store that is being made: its directory is ready, and nobody else makes it.
///
/// `journal.lmdb` appears last, by a rename: until `finish` has returned there is no store, and what
/// a crash leaves is thrown away by the next attempt. Keys are put into `files.keys` in between.
public final class StoreBeginning: Sendable {
  public let files: StoreFiles
  public let store: StoreID
  private let lock: StoreLock
  private let lease: WriteLease

  /// Prepares a directory: a new one, or an existing one without files of anybody (a mount point).
  ///
  /// - Throws: `alreadyAStore`, `notAStore` for a directory with other files, `journalLost`,
  ///   `unsafePermissions`, `networkFileSystem`, `locked`, `file`.
  public init(
    _ directory: String, store: StoreID = StoreID(.random())
  ) throws(JournalError) {
    files = StoreFiles(directory)
    self.store = store
    try StoreDirectory.prepare(files)
    lock = try StoreLock(files.lock)
    lease = try lock.acquire(command: "init")
    // Another may have made the store while this one waited.
    try StoreDirectory.prepare(files)
    try StoreDirectory.begin(files)
  }

  /// Writes the first entries and puts the journal in its place; the store exists once this returns.
  ///
  /// - Parameter drafts: The first opens an epoch.
  /// - Throws: As `EventJournal.append`; there is no store then.
  public func finish(
    _ drafts: [EntryDraft], options: EventJournal.Options = EventJournal.Options()
  ) throws(JournalError) -> EventJournal {
    precondition(!drafts.isEmpty, "a store begins with the opening of an epoch")
    var tip = JournalTip.empty
    var batch = AppendBatch()
    try batch.fill(with: drafts, after: &tip)
    try writeJournal(batch, mapSizeBytes: options.mapSizeBytes)
    let head = HeadSlots(files.head)
    try head.write(store: store, position: tip.position, root: tip.root, at: .now)
    try head.sync()
    guard unsafe rename(files.newJournal, files.journal) == 0 else {
      throw .file(FileError("rename", files.journal, code: errno))
    }
    try StoreDirectory.finish(files)
    return try EventJournal.open(files.directory, options: options)
  }

  private func writeJournal(
    _ batch: AppendBatch, mapSizeBytes: Int
  ) throws(JournalError) {
    let path = files.newJournal
    do throws(LMDBError) {
      let environment = try LMDBEnvironment.shared(path, mapSizeBytes: mapSizeBytes)
      do throws(LMDBWriteError) {
        try environment.write(after: 0, growthBytes: batch.byteCount, checksPlace: true) {
          [store] (transaction) throws(LMDBError) in
          let main = try transaction.database(nil, create: false)
          try transaction.put(StoreRecord.key, StoreRecord(store: store).bytes, into: main)
          try batch.put(into: transaction)
        }
      } catch {
        throw error.cause
      }
    } catch {
      throw error.journalError(path: path)
    }
    unsafe unlink(path + "-lock")
    // LMDB made it with our mode, but creation itself has to reach the disk.
    let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw .file(FileError("open", path, code: errno)) }
    defer { close(descriptor) }
    guard fsync(descriptor) == 0 else { throw .file(FileError("fsync", path, code: errno)) }
  }
}
