/// The paths of entries in a row, into one tree: what the entries of a tile share is made once.
struct InclusionPaths {
  private let journal: EventJournal
  private let size: UInt64
  /// The levels of the tile of the last entry, leaves first; a complete tile has nine.
  private var levels: [[Digest]] = []
  private var tile: UInt64?
  /// The path from the tile's root.
  private var upper: [Digest] = []

  /// - Parameter size: The entries of the tree; at most the head that the journal knows.
  init(of journal: EventJournal, in size: UInt64) {
    self.journal = journal
    self.size = size
  }

  /// The path of an entry.
  ///
  /// - Throws: The errors of damage.
  mutating func path(of index: UInt64) throws(JournalError) -> [Digest] {
    let width = UInt64(TileLayout.width)
    let wanted = (index - 1) / width
    guard (wanted + 1) * width <= size else {
      return try journal.inclusionProof(ofEntry: index, in: size)
    }
    if tile != wanted { try load(wanted) }
    var place = Int((index - 1) % width)
    var path: [Digest] = []
    for level in levels.dropLast() {
      path.append(level[place ^ 1])
      place >>= 1
    }
    return path + upper
  }

  private mutating func load(_ tile: UInt64) throws(JournalError) {
    let first = tile * UInt64(TileLayout.width) + 1
    levels = [try journal.leafHashes(ofTile: tile)]
    while let level = levels.last, level.count > 1 {
      levels.append(
        stride(from: 0, to: level.count, by: 2).map { TreeHash.node(level[$0], level[$0 + 1]) })
    }
    upper = Array(
      try journal.inclusionProof(ofEntry: first, in: size).dropFirst(TileLayout.rootLevel))
    self.tile = tile
  }
}

extension EventJournal {
  /// The leaf hashes of a complete tile.
  fileprivate func leafHashes(ofTile tile: UInt64) throws(JournalError) -> [Digest] {
    try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
      var reader = TileReader(snapshot)
      return try reader.leaves(ofTile: tile)
    }
  }
}
