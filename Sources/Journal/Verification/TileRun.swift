/// Some tiles in a row, each entry of them checked, from what the journal says stands before them.
struct TileRun: Sendable {
  /// The end of the tiles before, as the journal has it: who checks those compares it.
  let before: JournalTip
  private(set) var after: JournalTip
  /// Commits that end within.
  private(set) var commits: UInt64 = 0
  /// The entries that tell of an archive.
  private(set) var archivings: [UInt64] = []

  private let last: UInt64
  private let witness: HeadWitness?

  /// Checks the entries of tiles, up to entry `last`.
  ///
  /// - Throws: The first thing that is wrong.
  init(
    _ tiles: Range<UInt64>, through last: UInt64, witness: HeadWitness?, of file: PageFile
  ) throws(JournalError) {
    self.last = last
    self.witness = witness
    let before = try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
      try JournalTip(beforeTile: tiles.lowerBound, of: snapshot)
    }
    self.before = before
    after = before
    var first = tiles.lowerBound
    while first < tiles.upperBound {
      let part = first..<min(first + Self.tilesOfOneReading, tiles.upperBound)
      let (tip, count, seen) = (after, commits, archivings)
      try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
        (after, commits, archivings) = (tip, count, seen)
        var cursor = EntryCursor(snapshot)
        var reader = TileReader(snapshot)
        for tile in part { try check(tile, of: snapshot, by: &cursor, &reader) }
      }
      first = part.upperBound
    }
  }

  /// About half a millisecond: a longer reading would be overtaken by a busy writer again and again.
  private static let tilesOfOneReading: UInt64 = 4

  private mutating func check(
    _ tile: UInt64, of snapshot: JournalSnapshot, by cursor: inout EntryCursor,
    _ reader: inout TileReader
  ) throws(JournalError) {
    let width = UInt64(TileLayout.width)
    let first = tile * width + 1
    // The leaf hashes that the entries of a complete tile should have; none of the unfinished one.
    var leaves: [Digest] = []
    if tile < snapshot.size / width { leaves = try reader.storedLeaves(ofTile: tile) }
    for index in first...min(last, first + width - 1) {
      let isThere =
        index > first || cursor.key == first - 1 && first > 1
        ? try cursor.next() : try cursor.seek(first)
      guard isThere else { throw .missingEntry(index: index) }
      try checkEntry(
        cursor.bytes, in: cursor.range, key: cursor.key, path: cursor.path, leaves, &reader)
    }
  }

  // Hot path: once an entry.
  private mutating func checkEntry(
    _ bytes: [UInt8], in range: Range<Int>, key: UInt64, path: @autoclosure () -> String,
    _ leaves: [Digest], _ reader: inout TileReader
  ) throws(JournalError) {
    let (header, root) = try after.chain.accept(bytes, in: range, key: key, path: path())
    if header.kind == EventKind.archived.rawValue { archivings.append(header.position.index) }
    let start = range.lowerBound
    let leaf = TreeHash.leaf(bytes, in: start..<start + Int(header.entryLength))
    let place = after.openTile.count
    guard place >= leaves.count || leaf == leaves[place] else {
      throw .damagedEntry(
        index: after.position.index, what: "its digest is not that in the tree")
    }
    var subtrees: [(level: Int, root: Digest)] = []
    let isTileFull = after.append(leaf) { level, root in
      if level >= TileLayout.rootLevel { subtrees.append((level, root)) }
    }
    if isTileFull {
      try checkRoots(subtrees, by: &reader)
      after.openTile.removeAll(keepingCapacity: true)
    }
    if let root { try check(root) }
  }

  /// The root behind an entry is that of all entries up to it, and what HEAD saw there.
  private mutating func check(_ root: Digest) throws(JournalError) {
    guard root == after.frontier.root else {
      throw .damagedTree(
        index: after.position.index, what: "the root behind that entry is another")
    }
    after.root = root
    commits += 1
    guard let witness, witness.position.index == after.position.index else { return }
    guard witness.position.epoch == after.position.epoch, witness.root == root else {
      throw .divergedFromWitness(witness: witness.position)
    }
  }

  private func checkRoots(
    _ subtrees: [(level: Int, root: Digest)], by reader: inout TileReader
  ) throws(JournalError) {
    let tile = after.position.index / UInt64(TileLayout.width) - 1
    for (level, root) in subtrees {
      guard let key = TileLayout.key(ofRootAt: level, endingWith: tile),
        try reader.root(at: level, key: key) == root
      else {
        throw .damagedTree(
          index: after.position.index, what: "the root of level \(level) there is another")
      }
    }
  }
}

/// The tree above complete tiles.
enum TreeCheck {
  /// Checks that each root of a larger subtree is made of the roots of the first `tiles` tiles.
  ///
  /// - Throws: `damagedTree` for the first that isn't.
  static func run(tiles: UInt64, of snapshot: JournalSnapshot) throws(JournalError) {
    var reader = TileReader(snapshot)
    var frontier = TreeFrontier()
    for tile in 0..<tiles {
      let key = TileLayout.key(ofTile: tile) + 1
      var subtrees: [(height: Int, root: Digest)] = []
      frontier.append(try reader.root(at: TileLayout.rootLevel, key: key)) { height, root in
        subtrees.append((height, root))
      }
      for (height, root) in subtrees {
        let level = TileLayout.rootLevel + height
        guard try reader.root(at: level, key: key + UInt64(height)) == root else {
          throw .damagedTree(
            index: (tile + 1) * UInt64(TileLayout.width),
            what: "the root of level \(level) there is another")
        }
      }
    }
  }
}
