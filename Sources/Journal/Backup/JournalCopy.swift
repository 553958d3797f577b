/// A journal made of another one's entries.
enum JournalCopy {
  /// Bytes of one transaction, about.
  private static let transactionBytes = 32 << 20

  /// Writes the first entries of a journal into a folder, as a journal with its HEAD: byte for byte
  /// as they are, at the same positions, with the same tree; then `drafts` behind them.
  ///
  /// All of it is on disk once this returns, and was read again and verified. Reads the source by
  /// checked page reads that hold up no writer; needs no lease.
  ///
  /// - Parameters:
  ///   - last: The last entry that is copied, at most the head that the source knows.
  ///   - drafts: What comes behind; without any, `last` has to end a commit.
  ///   - files: The folder, which is there, and empty.
  /// - Returns: The copy, open.
  /// - Throws: What damages the source; `full`, `storage`, `file` for the disk. What was written is
  ///   of no use then.
  static func make(
    of source: EventJournal, through last: UInt64, then drafts: [EntryDraft] = [],
    in files: StoreFiles
  ) throws(JournalError) -> EventJournal {
    let file = try NewJournalFile(
      files.journal, store: source.store, mapSizeBytes: LMDBEnvironment.defaultMapSizeBytes)
    var tip = try copyEntries(of: source, after: .empty, through: last, into: file)
    guard try tip.frontier.root == source.root(at: last) else {
      throw .damagedTree(index: last, what: "its root is not that of the entries")
    }
    if !drafts.isEmpty {
      var batch = AppendBatch()
      try batch.fill(with: drafts, after: &tip)
      try file.append(batch)
    }
    return try finish(file, of: source.store, at: tip, in: files)
  }

  /// Ends the writing of a journal, gives it its HEAD, and reads it again.
  ///
  /// - Parameters:
  ///   - archive: Where its archives are, if it has any.
  ///   - point: Up to where it was verified before, and is not read again.
  /// - Throws: As `make`.
  static func finish(
    _ file: NewJournalFile, of store: StoreID, at tip: JournalTip, in files: StoreFiles,
    archive: String? = nil, after point: VerifiedPoint? = nil
  ) throws(JournalError) -> EventJournal {
    try file.finish()
    let head = HeadSlots(files.head)
    try head.write(store: store, position: tip.position, root: tip.root, at: .now)
    try head.sync()
    return try verified(files, tip, archive: archive, after: point)
  }

  /// Copies entries behind a tip, which is the end of what the file has.
  ///
  /// - Returns: The new end.
  /// - Throws: As `make`.
  static func copyEntries(
    of source: EventJournal, after before: JournalTip, through last: UInt64,
    into file: NewJournalFile
  ) throws(JournalError) -> JournalTip {
    var tip = before
    var batch = AppendBatch()
    batch.begin(after: tip)
    while tip.position.index < last {
      let chunk = try source.chunk(from: tip.position.index + 1, through: last)
      try batch.copy(chunk, of: source.files.journal, after: &tip)
      if batch.byteCount >= transactionBytes || tip.position.index == last {
        try file.append(batch)
        batch.begin(after: tip)
      }
    }
    return tip
  }

  /// What is on disk is what was meant: every entry, the tree, each root, HEAD.
  private static func verified(
    _ files: StoreFiles, _ tip: JournalTip, archive: String?, after point: VerifiedPoint?
  ) throws(JournalError) -> EventJournal {
    let copy = try EventJournal.openCopy(files, archive: archive)
    let head = try copy.verify(after: point).head
    guard head.position == tip.position, head.root == tip.root else {
      throw .corrupt(path: files.journal, what: "it was written otherwise than it is read")
    }
    return copy
  }
}
