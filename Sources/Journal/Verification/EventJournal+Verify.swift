extension EventJournal {
  /// What a verification has seen.
  public struct Verification: Equatable, Sendable {
    public let head: Head
    /// The first entry that was read; of those before it, the tree above their tiles was compared.
    public let firstRead: UInt64
    /// Commits that end with an entry that was read.
    public let commits: UInt64
    public let tiles: UInt64
    /// HEAD was there, which is a witness from outside of the journal.
    public let hasWitness: Bool
  }

  /// Checks the journal: that indexes are dense, epochs and times in order; each entry against its
  /// leaf hash in the tree, each tile and each root of a subtree against the leaves below it, the
  /// root behind each commit, the list of free pages, and HEAD; and that each archive is byte for byte the
  /// file that was archived.
  ///
  /// Reads everything, on all cores; takes no lease and pins nothing, so writers go on.
  ///
  /// - Parameters:
  ///   - point: Up to where an earlier verification has come: entries in whole tiles before it are not
  ///     read again, and what was changed in them since stays unseen as long as the roots of their
  ///     tiles are as they were. nil reads everything.
  ///   - progress: Is given the index of the last entry that is checked, now and then.
  /// - Throws: The first thing that is wrong, with its place; `divergedFromWitness` if the history up
  ///   to `point` is another now, and no entry says why.
  public func verify(
    after point: VerifiedPoint? = nil, progress: (UInt64) -> Void = { _ in }
  ) throws(JournalError) -> Verification {
    let seen = try HeadSlots.read(files.head)
    try checkArchiveFiles()
    let end = try refresh()
    let witness = try seen.flatMap { (seen) throws(JournalError) in
      try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
        try EventJournal.isTrue(seen, of: tip, in: snapshot, path: files.head) ? seen : nil
      }
    }
    let firstTile = try tilesToSkip(after: point)
    var pass = VerifyPass(
      file: file, last: end.position.index, witness: witness,
      tip: try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
        try TreeCheck.run(tiles: firstTile, of: snapshot)
        return try JournalTip(beforeTile: firstTile, of: snapshot)
      })
    while pass.tip.position.index < end.position.index {
      try pass.checkNext()
      progress(pass.tip.position.index)
    }
    try checkArchives(toldBy: pass.archivings)
    guard pass.tip.root == end.root, pass.tip.position == end.position else {
      throw .damagedTree(index: end.position.index, what: "its root is another")
    }
    try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
      try FreeListCheck.run(snapshot)
    }
    let width = UInt64(TileLayout.width)
    return Verification(
      head: end, firstRead: firstTile * width + 1, commits: pass.commits,
      tiles: end.position.index / width, hasWitness: seen != nil)
  }

  /// Compares each archive with what it was; of one that is another, the first damaged entry is looked for.
  private func checkArchiveFiles() throws(JournalError) {
    guard let archive = file.archive else { return }
    do throws(JournalError) { try archive.check() } catch {
      guard case .archiveDamaged(let path, let what) = error,
        let segment = archive.segments.first(where: { $0.path == path }),
        let entry = firstDamagedEntry(of: segment)
      else { throw error }
      throw segment.damaged("entry \(entry) in it is not the one of the tree, and \(what)")
    }
  }

  /// nil if the entries are those of the tree, or none can be read.
  private func firstDamagedEntry(of segment: ArchiveSegment) -> UInt64? {
    let width = UInt64(TileLayout.width)
    let tiles = (segment.first - 1) / width..<segment.last / width
    do throws(JournalError) {
      _ = try TileRun(tiles, through: segment.last, witness: nil, of: file)
      return nil
    } catch {
      guard case .damagedEntry(let index, _) = error else { return nil }
      return index
    }
  }

  /// The journal's record of archives says what its entries say; and the entry that is both in the last
  /// archive and in the journal's file is the same in both.
  private func checkArchives(toldBy archivings: [UInt64]) throws(JournalError) {
    guard let archive = file.archive, let newest = archive.segments.last else { return }
    for index in archivings {
      // A file that the journal doesn't name was left by a restore, or by an archiving that was ended.
      guard case .store(.archived(let point))? = try entry(at: index)?.event,
        let segment = archive.segments.first(where: { $0.last == point.index }),
        segment.path.hasSuffix("/" + point.file.string)
      else { continue }
      guard segment.digest == point.fileDigest else {
        throw segment.damaged("entry \(index) says that its SHA-256 is \(point.fileDigest)")
      }
    }
    let tile = try newest.tile(newest.last / UInt64(TileLayout.width) - 1)
    let archived = tile.records.last.map { Array(tile.bytes[$0]) }
    let kept = try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
      var cursor = EntryCursor(snapshot)
      guard try cursor.seek(newest.last), cursor.key == newest.last else {
        throw .missingEntry(index: newest.last)
      }
      return Array(cursor.bytes[cursor.range])
    }
    guard kept == archived else {
      throw .damagedEntry(index: newest.last, what: "it is another in \(newest.path)")
    }
  }

  /// How many tiles need not be read again: none if the history that was verified was left since.
  private func tilesToSkip(after point: VerifiedPoint?) throws(JournalError) -> UInt64 {
    guard let point, point.store == store else { return 0 }
    let later = try epochs().filter { $0.position.epoch > point.position.epoch }
    switch try history(of: point.position.index, root: point.root, leftBy: later) {
    case .continued: return point.position.index / UInt64(TileLayout.width)
    case .left, .ofUnknownEpoch: return 0
    case .rewritten: throw .divergedFromWitness(witness: point.position)
    }
  }
}

/// A walk over the journal: runs of tiles are checked beside each other, and their ends compared.
private struct VerifyPass {
  /// Tiles of one run, which is checked by one thread.
  private static let tilesOfRun: UInt64 = 16
  /// Runs that are checked before their ends are compared.
  private static let runsAtOnce: UInt64 = 256

  let file: PageFile
  let last: UInt64
  let witness: HeadWitness?
  var tip: JournalTip
  var commits: UInt64 = 0
  /// The entries that tell of an archive.
  var archivings: [UInt64] = []

  init(file: PageFile, last: UInt64, witness: HeadWitness?, tip: JournalTip) {
    self.file = file
    self.last = last
    self.witness = witness
    self.tip = tip
  }

  /// Checks the next entries, up to a million.
  mutating func checkNext() throws(JournalError) {
    let width = UInt64(TileLayout.width)
    let first = tip.position.index / width
    let tiles = (last + width - 1) / width
    let runs = min(Self.runsAtOnce, (tiles - first + Self.tilesOfRun - 1) / Self.tilesOfRun)
    let checked = SideBySide.map(0..<Int(runs)) { [file, last, witness] run in
      let start = first + UInt64(run) * Self.tilesOfRun
      return Result { () throws(JournalError) in
        try TileRun(
          start..<min(tiles, start + Self.tilesOfRun), through: last, witness: witness, of: file)
      }
    }
    for run in checked {
      let run = try run.get()
      guard run.before.chain == tip.chain, run.before.frontier == tip.frontier else {
        throw .damagedTree(
          index: tip.position.index, what: "what follows goes on from other entries")
      }
      tip = run.after
      commits += run.commits
      archivings += run.archivings
    }
  }
}
