/// A journal made of another one's later entries.
enum ShortJournal {
  /// Writes a journal into a folder that begins with the last entry of an archive: byte for byte as the
  /// entries are, at the same positions, with the roots of all tiles.
  ///
  /// All of it is on disk once this returns, and was read again and verified.
  ///
  /// - Parameters:
  ///   - point: The archive whose entries are left out, but for the last.
  ///   - files: The folder, which is there, and empty.
  /// - Throws: What damages the source or the archive; `full`, `storage`, `file` for the disk.
  static func make(
    of source: EventJournal, behind point: ArchivePoint, in files: StoreFiles
  ) throws(JournalError) {
    let tiles = point.index / UInt64(TileLayout.width)
    let segments = (source.file.archive?.segments ?? []).map { (last: $0.last, digest: $0.digest) }
    let file = try NewJournalFile(
      files.journal, store: source.store, mapSizeBytes: LMDBEnvironment.defaultMapSizeBytes)
    let (beginning, before) = try JournalSnapshot.read(source.file) {
      (snapshot) throws(JournalError) in
      try makeBeginning(of: snapshot, tiles: tiles, segments + [(point.index, point.fileDigest)])
    }
    try file.begin(beginning)
    let last = source.head.position.index
    let tip = try JournalCopy.copyEntries(of: source, after: before, through: last, into: file)
    guard tip.frontier.root == source.head.root else {
      throw .damagedTree(index: last, what: "its root is not that of the entries")
    }
    let copy = try JournalCopy.finish(
      file, of: source.store, at: tip, in: files, archive: source.files.archive,
      after: VerifiedPoint(
        store: source.store, position: before.position, root: point.root, verifiedAt: .now,
        fullAt: .now, fullPosition: before.position))
    guard copy.archivedCount == point.index else {
      throw .corrupt(path: files.journal, what: "it was written otherwise than it is read")
    }
  }

  /// What stands before the entries of a journal that doesn't begin with the first.
  struct Beginning {
    let firstIndex: UInt64
    /// The record of archives.
    let archive: [UInt8]
    /// The last archived entry, with what stands behind it.
    let entry: [UInt8]
    /// Roots of subtrees, and their keys.
    let roots: [(key: UInt64, root: Digest)]
  }

  private static func makeBeginning(
    of snapshot: JournalSnapshot, tiles: UInt64, _ segments: [(last: UInt64, digest: Digest)]
  ) throws(JournalError) -> (Beginning, JournalTip) {
    let index = tiles * UInt64(TileLayout.width)
    var cursor = EntryCursor(snapshot)
    guard try cursor.seek(index), cursor.key == index else { throw .missingEntry(index: index) }
    let entry = Array(cursor.bytes[cursor.range])
    var reader = TileReader(snapshot)
    var roots: [(key: UInt64, root: Digest)] = []
    for tile in 0..<tiles {
      let levels = (tile + 1).trailingZeroBitCount
      for level in 0...levels {
        let key = TileLayout.key(ofTile: tile) + 1 + UInt64(level)
        roots.append((key, try reader.root(at: TileLayout.rootLevel + level, key: key)))
      }
    }
    return (
      Beginning(
        firstIndex: index, archive: JournalArchive.record(segments), entry: entry, roots: roots),
      try JournalTip(beforeTile: tiles, of: snapshot)
    )
  }
}
