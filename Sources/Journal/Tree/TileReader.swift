/// Reads tiles and roots of complete subtrees from a snapshot.
struct TileReader {
  private let snapshot: JournalSnapshot
  private var cursor: TreeCursor

  init(_ snapshot: JournalSnapshot) {
    self.snapshot = snapshot
    cursor = TreeCursor(snapshot.tiles, of: snapshot.file)
  }

  /// The root that stands under a key.
  ///
  /// - Throws: `damagedTree` if no root stands there.
  mutating func root(at level: Int, key: UInt64) throws(JournalError) -> Digest {
    guard try cursor.seek(key), cursor.key == key, cursor.range.count == 32 else {
      throw damaged("the root of level \(level) under key \(key) is missing")
    }
    return cursor.bytes.digest(at: cursor.range.lowerBound)
  }

  /// The leaf hashes of a complete tile, checked against the root that stands behind it.
  ///
  /// - Throws: `damagedTree` if it is missing or its root differs.
  mutating func leaves(ofTile tile: UInt64) throws(JournalError) -> [Digest] {
    let key = TileLayout.key(ofTile: tile)
    let leaves = try storedLeaves(ofTile: tile)
    guard TreeFrontier.root(of: leaves) == (try root(at: TileLayout.rootLevel, key: key + 1)) else {
      throw archive(of: tile)?.damaged("tile \(tile) is not the one of its root in the journal")
        ?? damaged("tile \(tile) is not the one of its root")
    }
    return leaves
  }

  /// The leaf hashes of a complete tile as they stand there: who makes its root of them compares it.
  ///
  /// - Throws: `damagedTree` if it is missing.
  mutating func storedLeaves(ofTile tile: UInt64) throws(JournalError) -> [Digest] {
    if let archive = archive(of: tile) { return try archive.tile(tile).leaves }
    let key = TileLayout.key(ofTile: tile)
    guard try cursor.seek(key), cursor.key == key, cursor.range.count == TileLayout.tileBytes
    else { throw damaged("tile \(tile) is missing") }
    let (bytes, start) = (cursor.bytes, cursor.range.lowerBound)
    return (0..<TileLayout.width).map { bytes.digest(at: start + 32 * $0) }
  }

  /// The root of the complete subtree of 2^level leaves that begins at leaf position · 2^level.
  ///
  /// - Throws: `damagedTree`.
  mutating func root(at level: Int, position: UInt64) throws(JournalError) -> Digest {
    guard level < TileLayout.rootLevel else {
      let tilesLog = UInt64(level - TileLayout.rootLevel)
      let lastTile = ((position + 1) << tilesLog) - 1
      guard let key = TileLayout.key(ofRootAt: level, endingWith: lastTile) else {
        preconditionFailure("a complete subtree ends with that tile")
      }
      return try root(at: level, key: key)
    }
    let first = position << UInt64(level)
    let leaves = try leaves(ofTile: first / UInt64(TileLayout.width))
    let start = Int(first % UInt64(TileLayout.width))
    return TreeFrontier.root(of: leaves[start..<start + 1 << level])
  }

  /// The file that has a tile, if it is archived.
  private func archive(of tile: UInt64) -> ArchiveSegment? {
    guard tile < snapshot.archivedCount / UInt64(TileLayout.width) else { return nil }
    return snapshot.archive?.segment(ofTile: tile)
  }

  private func damaged(_ what: String) -> JournalError {
    .damagedTree(index: snapshot.size, what: what)
  }
}
