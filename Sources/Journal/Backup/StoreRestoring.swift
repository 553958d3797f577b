internal import Glibc

/// What a restore has done.
public struct RestoredStore: Sendable {
  public let plan: RestorePlan
  /// The entry that opens the epoch.
  public let head: KnownHead
  /// The folder within the store that holds what was there before; nil if nothing was.
  public let setAside: String?
  public let keys: Keys

  /// Whose keys the store has.
  public enum Keys: String, Sendable {
    case backup, store, none
  }
}

extension JournalBackup {
  /// Makes a store of the backup's entries up to a moment, and opens an epoch behind them.
  ///
  /// In a folder where no store is, the journal appears last, as with `StoreBeginning`. Where one is,
  /// nobody may have it open; its journal and HEAD are kept in a folder of their own, and the new
  /// journal takes the place of the old one in a single step: ended before it, the old store is there
  /// as it was, ended after it, the new one. The index is gone then: any process makes it again. Keys
  /// that are in the folder stay.
  ///
  /// Blocks for some microseconds an entry; reads every old entry, so a serving process leaves it to a
  /// child process.
  ///
  /// - Parameters:
  ///   - directory: The store's folder.
  ///   - moment: Up to where; nil for all of the backup.
  ///   - command: What this process does, for those who find the store locked.
  ///   - opening: Gives the entry that opens the epoch.
  /// - Throws: As `plan`; `journal` with `inUse` or `locked` for a store that somebody has open, and
  ///   for a full disk; `keys`, `file`. The old store is there as it was.
  public func restore(
    into directory: String, to moment: PastMoment?, command: String,
    opening: (RestorePlan) -> EntryDraft
  ) throws(BackupError) -> RestoredStore {
    _ = try target(of: moment)
    let beginning: StoreBeginning
    do throws(JournalError) {
      beginning = try StoreBeginning(directory, store: manifest.store, command: command)
    } catch {
      switch error {
      case .alreadyAStore, .journalLost:
        return try replace(StoreFiles(directory), to: moment, command: command, opening: opening)
      default: throw .journal(error)
      }
    }
    return try begin(beginning, to: moment, opening: opening)
  }

  // MARK: Where no store is

  private func begin(
    _ beginning: StoreBeginning, to moment: PastMoment?, opening: (RestorePlan) -> EntryDraft
  ) throws(BackupError) -> RestoredStore {
    let plan = try plan(to: moment, leaving: nil)
    let (made, head) = try makeJournal(in: beginning.files, plan, opening(plan))
    let keys = try restoreKeys(into: beginning.files)
    try journaling { () throws(JournalError) in try beginning.finish(with: made) }
    try? WorkFolder.remove(made.directory)
    return RestoredStore(plan: plan, head: head, setAside: nil, keys: keys)
  }

  /// The new journal, verified and on disk, in a folder within the store's.
  private func makeJournal(
    in files: StoreFiles, _ plan: RestorePlan, _ opening: EntryDraft
  ) throws(BackupError) -> (files: StoreFiles, head: KnownHead) {
    let made = StoreFiles(files.restoring)
    try filing { () throws(FileError) in try WorkFolder.renew(made.directory) }
    do throws(JournalError) {
      let head = try JournalCopy.make(
        of: journal, through: plan.target.index, then: [opening], in: made
      ).head
      return (made, KnownHead(position: head.position, root: head.root))
    } catch {
      try? WorkFolder.remove(made.directory)
      throw .journal(error)
    }
  }

  private func restoreKeys(into files: StoreFiles) throws(BackupError) -> RestoredStore.Keys {
    // Those of a store may be newer, and a key that was shredded since must not come back.
    if KeyRing.holdsKeys(files.keys) { return .store }
    guard manifest.hasKeys else { return .none }
    do throws(KeyError) { try KeyRing.copy(from: self.files.keys, to: files.keys) } catch {
      throw .keys(error)
    }
    return .backup
  }

  // MARK: In the place of a store

  private func replace(
    _ files: StoreFiles, to moment: PastMoment?, command: String,
    opening: (RestorePlan) -> EntryDraft
  ) throws(BackupError) -> RestoredStore {
    let result = try journaling { () throws(JournalError) in
      let lock = try StoreLock(files.lock)
      let lease = try lock.acquire(command: command)
      defer { lease.release() }
      return try lock.alone { () -> Result<RestoredStore, BackupError> in
        do throws(BackupError) {
          return .success(try replaceAlone(files, lock, to: moment, opening: opening))
        } catch {
          return .failure(error)
        }
      }
    }
    return try result.get()
  }

  private func replaceAlone(
    _ files: StoreFiles, _ lock: StoreLock, to moment: PastMoment?,
    opening: (RestorePlan) -> EntryDraft
  ) throws(BackupError) -> RestoredStore {
    let left = try journaling { () throws(JournalError) in
      try LeftStore.take(files, under: lock)
    }
    let plan = try plan(to: moment, leaving: left)
    let (made, head) = try makeJournal(in: files, plan, opening(plan))
    defer { try? WorkFolder.remove(made.directory) }
    let keys = try restoreKeys(into: files)
    let aside = try filing { () throws(FileError) in
      let aside = try setAside(files, left)
      try linkArchives(of: files, into: aside)
      // Any process makes the index again, and LMDB its lock file.
      for path in [files.current, files.journalLock] { try WorkFolder.remove(path) }
      try SmallFile.syncDirectory(of: files.journal)
      // Here the new store takes the old one's place: its first entry knows of what HEAD has seen.
      try SmallFile.move(made.journal, to: files.journal)
      try SmallFile.move(made.head, to: files.head)
      // The new journal has all of its entries; the archives are the old one's, and stay with it.
      if aside != nil { try? WorkFolder.remove(files.archive) }
      return aside
    }
    return RestoredStore(plan: plan, head: head, setAside: aside, keys: keys)
  }

  /// Gives the old journal and HEAD second names in a folder that says what they are.
  private func setAside(_ files: StoreFiles, _ left: LeftStore) throws(FileError) -> String? {
    let old = [files.journal, files.head].filter { FileIdentity(ofPath: $0) != nil }
    guard !old.isEmpty else { return nil }
    let place = left.head.map { "\($0.position.epoch)-\($0.position.index)" } ?? "unknown"
    let aside = try freeFolder(files.path("left-at-\(place)"))
    for path in old {
      let name = aside + "/" + (path == files.journal ? "journal.lmdb" : "HEAD")
      guard unsafe link(path, name) == 0 else { throw FileError("link", name, code: errno) }
    }
    try SmallFile.syncDirectory(of: aside + "/HEAD")
    return aside
  }

  /// Gives the archives of the old journal second names beside it.
  private func linkArchives(of files: StoreFiles, into aside: String?) throws(FileError) {
    guard let aside, FileIdentity(ofPath: files.archive) != nil else { return }
    let folder = aside + "/archive"
    guard unsafe mkdir(folder, 0o700) == 0 else { throw FileError("mkdir", folder, code: errno) }
    for name in try SmallFile.names(in: files.archive) {
      let (path, second) = (files.archive + "/" + name, folder + "/" + name)
      guard unsafe link(path, second) == 0 else { throw FileError("link", second, code: errno) }
    }
    try SmallFile.syncDirectory(of: folder + "/entries")
    try SmallFile.syncDirectory(of: folder)
  }

  private func freeFolder(_ path: String) throws(FileError) -> String {
    for number in 1...10_000 {
      let folder = number == 1 ? path : "\(path)-\(number)"
      if unsafe mkdir(folder, 0o700) == 0 { return folder }
      guard errno == EEXIST else { throw FileError("mkdir", folder, code: errno) }
    }
    throw FileError("mkdir", path, code: EEXIST)
  }
}
