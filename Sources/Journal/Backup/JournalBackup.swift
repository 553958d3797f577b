/// A backup of a store: a folder with the journal, its HEAD, a manifest and, if that was asked for, the
/// keys. The index is not in it, since it is made again from the journal.
public struct JournalBackup: Sendable {
  /// The backup's folder.
  public let path: String
  public let manifest: BackupManifest
  /// Its journal, which can only be read.
  public let journal: EventJournal

  var files: StoreFiles { StoreFiles(path) }
}

/// Making one.
extension JournalBackup {
  /// Makes a backup of all entries up to the head, while others write.
  ///
  /// Blocks for some microseconds an entry; takes no lease and pins nothing. Reads every old entry,
  /// so a serving process leaves it to a child process. The folder gets its name when everything in
  /// it was read again, verified, and is on disk; ended before that, nothing bears the name, and
  /// `PATH.new` is thrown away by the next attempt.
  ///
  /// - Parameters:
  ///   - path: The folder to be made; nothing may be there.
  ///   - withKeys: Whether the store's keys go in: whoever has them reads every address.
  ///   - program: What makes it, and its version.
  /// - Throws: `targetExists`, `beingMade`; `journal` for damage found in the store, or a full disk;
  ///   `keys`, `file`. There is no backup then.
  public static func create(
    of journal: EventJournal, at path: String, withKeys: Bool, program: String
  ) throws(BackupError) -> JournalBackup {
    let target = StoreFiles(path).directory
    try checkIsFree(target)
    let mark = try takeMark(of: target)
    return try withExtendedLifetime(mark) { () throws(BackupError) in
      let work = StoreFiles(target + workSuffix)
      do throws(BackupError) {
        try fill(work, from: journal, withKeys: withKeys, program: program)
        try checkIsFree(target)
        try filing { () throws(FileError) in try SmallFile.move(work.directory, to: target) }
      } catch {
        try? WorkFolder.remove(work.directory)
        throw error
      }
      if withKeys { KeyCopies.note(target, in: journal.files.keys) }
      return try open(target)
    }
  }

  private static let workSuffix = ".new"
  private static let markSuffix = ".making"

  private static func checkIsFree(_ path: String) throws(BackupError) {
    guard FileIdentity(ofPath: path) == nil else { throw .targetExists(path: path) }
  }

  private static func takeMark(of target: String) throws(BackupError) -> WorkMark {
    let mark = try journaling { () throws(JournalError) in
      try WorkMark.take(target + markSuffix)
    }
    guard let mark else { throw .beingMade(path: target) }
    return mark
  }

  /// Removes what a process left that was ended while it made a backup; one that is being made stays.
  public static func removeAbandoned(_ path: String) {
    let target = StoreFiles(path).directory
    guard let mark = try? takeMark(of: target) else { return }
    withExtendedLifetime(mark) { try? WorkFolder.remove(target + workSuffix) }
  }

  private static func fill(
    _ work: StoreFiles, from journal: EventJournal, withKeys: Bool, program: String
  ) throws(BackupError) {
    try filing { () throws(FileError) in try WorkFolder.renew(work.directory) }
    let copy = try journaling { () throws(JournalError) in
      let last = try journal.refresh().position.index
      return try JournalCopy.make(of: journal, through: last, in: work)
    }
    // After the entries: the key of a sealed address is there before its entry is.
    if withKeys {
      do throws(KeyError) {
        try KeyShredding.finishAbandoned(of: journal)
        try KeyRing.copy(from: journal.files.keys, to: work.keys)
        try KeyRing.open(in: work.keys, store: journal.store).addresses.check()
      } catch {
        throw .keys(error)
      }
    }
    let head = copy.head
    let manifest = BackupManifest(
      store: journal.store, position: head.position, root: head.root, orderedAt: head.orderedAt,
      madeAt: .now, program: program, files: try digests(of: work))
    try filing { () throws(FileError) in
      try SmallFile.replace(work.manifest, with: manifest.line)
      // A commit is seen a moment before it is on disk: what is in a backup, the store has for ever.
      try SmallFile.sync(journal.files.journal)
      try SmallFile.sync(journal.files.head)
    }
  }

  private static func digests(of files: StoreFiles) throws(BackupError) -> [String: FileDigest] {
    try filing { () throws(FileError) in
      var names = ["journal.lmdb", "HEAD"]
      if FileIdentity(ofPath: files.keys) != nil {
        names += try SmallFile.names(in: files.keys).map { "keys/" + $0 }
      }
      var digests: [String: FileDigest] = [:]
      for name in names { digests[name] = try FileDigest(of: files.path(name)) }
      return digests
    }
  }
}

/// Reading one.
extension JournalBackup {
  /// Opens a backup after every byte of it was compared with the manifest; nothing is written into
  /// it.
  ///
  /// Blocks while it reads all of it.
  ///
  /// - Throws: `notABackup`, `newerFormat`; `damaged` with the file that is missing or changed;
  ///   `journal` for what else the journal is accused of; `file`.
  public static func open(_ path: String) throws(BackupError) -> JournalBackup {
    let files = StoreFiles(path)
    guard FileIdentity(ofPath: files.directory) != nil else {
      throw .notABackup(path: files.directory, why: "there is no such folder")
    }
    let manifest = try BackupManifest(readFrom: files.manifest)
    guard manifest.files["journal.lmdb"] != nil, manifest.files["HEAD"] != nil else {
      throw .damaged(path: files.manifest, what: "it names no journal")
    }
    for name in manifest.files.keys.sorted() {
      try check(files.path(name), against: manifest.files[name])
    }
    let journal = try journaling { () throws(JournalError) in try EventJournal.openCopy(files) }
    let head = journal.head
    guard journal.store == manifest.store, head.position == manifest.position,
      head.root == manifest.root
    else { throw .damaged(path: files.journal, what: "it is not the journal of the manifest") }
    return JournalBackup(path: files.directory, manifest: manifest, journal: journal)
  }

  private static func check(_ path: String, against wanted: FileDigest?) throws(BackupError) {
    let found: FileDigest
    do throws(FileError) { found = try FileDigest(of: path) } catch {
      guard error.isMissing else { throw .file(error) }
      throw .damaged(path: path, what: "it is missing")
    }
    guard found == wanted else {
      throw .damaged(path: path, what: "its bytes are not those of the manifest")
    }
  }
}

/// Calls the journal, and gives its errors as a backup's.
func journaling<Result>(
  _ body: () throws(JournalError) -> Result
) throws(BackupError) -> Result {
  do throws(JournalError) { return try body() } catch { throw .journal(error) }
}

/// Works on files, and gives the errors as a backup's.
func filing<Result>(_ body: () throws(FileError) -> Result) throws(BackupError) -> Result {
  do throws(FileError) { return try body() } catch { throw .file(error) }
}
