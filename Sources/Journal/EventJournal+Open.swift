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
    let lock = try StoreLock(files.lock)
    // The witness first: a commit in between must not look like a step back.
    let witness = try HeadSlots.read(files.head)
    let file = try PageFile(files.journal)
    let (record, tip) = try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
      let tip = try JournalTip(of: snapshot)
      guard tip.position != .start else { throw file.corrupt("it has no entries") }
      if let witness { try check(witness, against: tip, in: snapshot, path: files.head) }
      return (snapshot.record, tip)
    }
    let journal = EventJournal(
      files: files, lock: lock, options: options, file: file, store: record.store, tip: tip)
    if witness == nil { _ = try journal.verify() }
    return journal
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
    var cursor = TreeCursor(snapshot.entries, of: snapshot.file)
    let index = witness.position.index
    guard try cursor.seek(index), cursor.key == index else { throw .missingEntry(index: index) }
    let header = try EntryChain.header(
      cursor.bytes, in: cursor.range, index: index, path: snapshot.file.path)
    guard header.position == witness.position,
      EntryChain.root(cursor.bytes, in: cursor.range, behind: header) == witness.root
    else { throw .divergedFromWitness(witness: witness.position) }
  }
}
