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
  /// - Parameter command: What makes it, for those who wait meanwhile.
  /// - Throws: `alreadyAStore`, `notAStore` for a directory with other files, `journalLost`,
  ///   `unsafePermissions`, `networkFileSystem`, `locked`, `file`.
  public init(
    _ directory: String, store: StoreID = StoreID(.random()), command: String = "init"
  ) throws(JournalError) {
    files = StoreFiles(directory)
    self.store = store
    try StoreDirectory.prepare(files)
    lock = try StoreLock(files.lock)
    lease = try lock.acquire(command: command)
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
    let file = try NewJournalFile(
      files.newJournal, store: store, mapSizeBytes: options.mapSizeBytes)
    try file.append(batch)
    try file.finish()
    let head = HeadSlots(files.head)
    try head.write(store: store, position: tip.position, root: tip.root, at: .now)
    try head.sync()
    guard unsafe rename(files.newJournal, files.journal) == 0 else {
      throw .file(FileError("rename", files.journal, code: errno))
    }
    try StoreDirectory.finish(files)
    return try EventJournal.open(files.directory, options: options)
  }

  /// Puts a journal and its HEAD in place that were made in a folder within the store's; the store
  /// exists once this returns.
  ///
  /// - Throws: `file`; there is no store then.
  func finish(with made: StoreFiles) throws(JournalError) {
    do throws(FileError) {
      try SmallFile.move(made.head, to: files.head)
      try SmallFile.move(made.journal, to: files.journal)
    } catch {
      throw .file(error)
    }
    try StoreDirectory.finish(files)
  }
}
