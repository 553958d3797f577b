extension EventJournal {
  /// Opens the journal of a store, after its file, its end and the HEAD witness were checked.
  ///
  /// Reads the last entries only (at most 255, for the unfinished tile), however long the journal
  /// is; but all of it if HEAD can't be read. Takes no lease and needs no right to write.
  ///
  /// - Throws: `noStore`, `notAStore`, `journalLost`, `unsafePermissions`, `networkFileSystem`,
  ///   `newerFormat`; `truncated`, `corrupt`, `missingEntry`, `damagedEntry`, `damagedTree` for
  ///   damage; `steppedBack`, `divergedFromWitness` or `foreignWitness` if HEAD has seen another
  ///   journal; `inUse` while the journal is being replaced; `file`.
  public static func open(
    _ directory: String, options: Options = Options()
  ) throws(JournalError) -> EventJournal {
    let files = StoreFiles(directory)
    try StoreDirectory.check(files)
    return try open(files, lock: StoreLock(files.lock), options: options)
  }

  /// Opens a journal that nobody writes, a backup's, after the same checks; nothing is written beside
  /// it, and it can't be written.
  ///
  /// - Throws: As `open`, but for what is asked of a store's directory.
  ///
  /// - Parameter archive: Where its archives are, if they aren't in its folder.
  static func openCopy(
    _ files: StoreFiles, archive: String? = nil
  ) throws(JournalError) -> EventJournal {
    try open(
      files, lock: StoreLock(reading: files.journal), options: Options(), archive: archive)
  }

  static func open(
    _ files: StoreFiles, lock: StoreLock, options: Options, archive: String? = nil
  ) throws(JournalError) -> EventJournal {
    // The witness first: a commit in between must not look like a step back.
    let witness = try HeadSlots.read(files.head)
    let file = try PageFile(files.journal, archiveFolder: archive ?? files.archive)
    let (record, tip) = try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
      let tip = try JournalTip(of: snapshot)
      guard tip.position != .start else { throw file.corrupt("it has no entries") }
      if let witness { _ = try isTrue(witness, of: tip, in: snapshot, path: files.head) }
      return (snapshot.record, tip)
    }
    let journal = EventJournal(
      files: files, lock: lock, options: options, file: file, store: record.store, tip: tip)
    if witness == nil { _ = try journal.verify() }
    return journal
  }

  /// Whether a witness saw this history; false if it saw one that the journal says it has left.
  ///
  /// - Throws: `steppedBack`, `divergedFromWitness` or `foreignWitness` for anything else.
  static func isTrue(
    _ witness: HeadWitness, of tip: JournalTip, in snapshot: JournalSnapshot, path: String
  ) throws(JournalError) -> Bool {
    do throws(JournalError) {
      try check(witness, against: tip, in: snapshot, path: path)
      return true
    } catch {
      switch error {
      case .steppedBack, .divergedFromWitness:
        guard try hasLeft(witness, tip: tip, in: snapshot) else { throw error }
        return false
      default: throw error
      }
    }
  }

  /// Whether the journal's epoch was opened by one who knew of what a witness of an earlier epoch
  /// saw: a restore puts the journal in place, and then HEAD.
  private static func hasLeft(
    _ witness: HeadWitness, tip: JournalTip, in snapshot: JournalSnapshot
  ) throws(JournalError) -> Bool {
    guard witness.position.epoch < tip.position.epoch,
      let opening = try opening(of: tip.position.epoch, through: tip.position.index, in: snapshot)
    else { return false }
    return witness.position.index < opening.leftIndex
      || witness.position.index == opening.leftIndex && witness.root == opening.leftRoot
  }

  /// What the first entry of the last epoch says; nil if it says nothing.
  private static func opening(
    of epoch: UInt32, through last: UInt64, in snapshot: JournalSnapshot
  ) throws(JournalError) -> EpochOpening? {
    var cursor = EntryCursor(snapshot)
    var (low, high) = (UInt64(1), last)
    while low < high {
      let middle = (low + high) / 2
      guard try cursor.seek(middle), cursor.key == middle else {
        throw .missingEntry(index: middle)
      }
      let header = try EntryChain.header(
        cursor.bytes, in: cursor.range, index: middle, path: cursor.path)
      if header.position.epoch < epoch { low = middle + 1 } else { high = middle }
    }
    guard try cursor.seek(low), cursor.key == low,
      let entry = try? Entry(decoding: cursor.bytes, at: cursor.range.lowerBound),
      case .store(.epochOpened(let opening)) = entry.event
    else { return nil }
    return opening
  }

  /// HEAD may be behind, with the root that the journal had there; anything else is another history.
  private static func check(
    _ witness: HeadWitness, against tip: JournalTip, in snapshot: JournalSnapshot, path: String
  ) throws(JournalError) {
    guard witness.store == snapshot.record.store else {
      throw .foreignWitness(path: path, store: snapshot.record.store, witness: witness.store)
    }
    guard witness.position.index <= tip.position.index else {
      throw .steppedBack(journal: tip.position, witness: witness.position)
    }
    var cursor = EntryCursor(snapshot)
    let index = witness.position.index
    guard try cursor.seek(index), cursor.key == index else { throw .missingEntry(index: index) }
    let header = try EntryChain.header(
      cursor.bytes, in: cursor.range, index: index, path: cursor.path)
    guard header.position == witness.position,
      EntryChain.root(cursor.bytes, in: cursor.range, behind: header) == witness.root
    else { throw .divergedFromWitness(witness: witness.position) }
  }
}
