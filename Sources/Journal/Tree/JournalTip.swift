/// The end of the journal as a process knows it: enough to check what comes, and to write it.
struct JournalTip: Equatable, Sendable {
  /// The transaction that was read last; a newer one may have come since.
  var transactionID: UInt64
  var chain: EntryChain
  var frontier: TreeFrontier
  /// Leaf hashes of the unfinished tile.
  var openTile: [Digest]
  var root: Digest

  static let empty = JournalTip(
    transactionID: 0, chain: .start, frontier: TreeFrontier(), openTile: [], root: TreeHash.empty)

  var position: Position { chain.position }

  /// Adds a leaf to the tree in memory.
  ///
  /// - Returns: True if it completes a tile; the caller then takes `openTile` away.
  mutating func append(_ leaf: Digest, completed: (Int, Digest) -> Void) -> Bool {
    frontier.append(leaf, completed: completed)
    openTile.append(leaf)
    return openTile.count == TileLayout.width
  }

  /// The tip of a snapshot, from the roots of its complete tiles and at most 255 entries, checked
  /// against the root behind the last entry.
  ///
  /// - Throws: `damagedTree`, `damagedEntry`, `missingEntry`, `corrupt` and what reading throws.
  init(of snapshot: JournalSnapshot) throws(JournalError) {
    self = .empty
    transactionID = snapshot.transactionID
    let size = snapshot.size
    guard size > 0 else { return }
    let tiles = size / UInt64(TileLayout.width)
    // Of archived tiles the roots alone are there.
    let archived = snapshot.archivedCount / UInt64(TileLayout.width)
    guard archived <= tiles,
      snapshot.tiles.entryCount == TileLayout.key(ofTile: tiles) - archived
    else {
      throw .damagedTree(
        index: size, what: "it has \(snapshot.tiles.entryCount) records of tiles")
    }
    try readRoots(of: snapshot, tiles: tiles)
    try readOpenTile(of: snapshot, from: tiles * UInt64(TileLayout.width) + 1, through: size)
  }

  /// The tip in front of a tile, as the journal has it: the roots of the tiles before, and where the
  /// entry before stands. No entry is checked, and the root of the last commit is not known.
  ///
  /// - Throws: `damagedTree`, `damagedEntry`, `missingEntry` and what reading throws.
  init(beforeTile tile: UInt64, of snapshot: JournalSnapshot) throws(JournalError) {
    self = .empty
    transactionID = snapshot.transactionID
    guard tile > 0 else { return }
    try readRoots(of: snapshot, tiles: tile)
    let index = tile * UInt64(TileLayout.width)
    var cursor = EntryCursor(snapshot)
    guard try cursor.seek(index), cursor.key == index else { throw .missingEntry(index: index) }
    try readChain(of: cursor, at: index)
  }

  /// Goes on from an entry that is not checked but for its fixed part.
  private mutating func readChain(
    of cursor: EntryCursor, at index: UInt64
  ) throws(JournalError) {
    let header = try EntryChain.header(
      cursor.bytes, in: cursor.range, index: index, path: cursor.path)
    guard cursor.key == index, header.position.index == index else {
      throw .missingEntry(index: index)
    }
    chain = EntryChain(position: header.position, orderedAt: header.orderedAt)
    if let root = EntryChain.root(cursor.bytes, in: cursor.range, behind: header) {
      self.root = root
    }
  }

  private init(
    transactionID: UInt64, chain: EntryChain, frontier: TreeFrontier, openTile: [Digest],
    root: Digest
  ) {
    self.transactionID = transactionID
    self.chain = chain
    self.frontier = frontier
    self.openTile = openTile
    self.root = root
  }

  private mutating func readRoots(
    of snapshot: JournalSnapshot, tiles: UInt64
  ) throws(JournalError) {
    var reader = TileReader(snapshot)
    var roots: [Digest] = []
    for (level, key) in TileLayout.frontierRoots(tiles: tiles) {
      roots.append(try reader.root(at: level, key: key))
    }
    let size = tiles * UInt64(TileLayout.width)
    guard let frontier = TreeFrontier(size: size, subtreeRoots: roots) else {
      preconditionFailure("a root for each bit of the size")
    }
    self.frontier = frontier
  }

  /// Reads one entry more than the open tile has, so that there is always one to start from.
  private mutating func readOpenTile(
    of snapshot: JournalSnapshot, from first: UInt64, through last: UInt64
  ) throws(JournalError) {
    var cursor = EntryCursor(snapshot)
    let before = max(first - 1, 1)
    guard try cursor.seek(before) else { throw .missingEntry(index: before) }
    if first > 1 { try readChain(of: cursor, at: before) }
    if first > last {
      // No open tile: the entry before is the last, and its root that of the tiles.
      guard root == frontier.root, root != TreeHash.empty else {
        throw .damagedTree(index: last, what: "the root behind the last entry is not that of it")
      }
      return
    }
    if first > 1 { guard try cursor.next() else { throw .missingEntry(index: first) } }
    try take(Int(last - first) + 1, from: &cursor, of: snapshot)
  }

  /// Takes the next entries from where the cursor stands, and checks each root that stands behind
  /// one; behind the last entry of the snapshot there is one.
  ///
  /// - Throws: What the entries are accused of.
  mutating func take(
    _ count: Int, from cursor: inout EntryCursor, of snapshot: JournalSnapshot
  ) throws(JournalError) {
    for number in 0..<count {
      if number > 0 {
        guard try cursor.next() else { throw .missingEntry(index: chain.position.index + 1) }
      }
      let root = try takeEntry(cursor)
      if chain.position.index == snapshot.size {
        guard root != nil else {
          throw .damagedTree(
            index: chain.position.index, what: "no root stands behind the last entry")
        }
      }
    }
  }

  private mutating func takeEntry(_ cursor: EntryCursor) throws(JournalError) -> Digest? {
    let (header, root) = try chain.accept(
      cursor.bytes, in: cursor.range, key: cursor.key, path: cursor.path)
    let start = cursor.range.lowerBound
    let leaf = TreeHash.leaf(cursor.bytes, in: start..<start + Int(header.entryLength))
    if append(leaf, completed: { _, _ in }) { openTile.removeAll(keepingCapacity: true) }
    guard let root else { return nil }
    guard root == frontier.root else {
      throw .damagedTree(
        index: chain.position.index, what: "the root behind that entry is another")
    }
    self.root = root
    return root
  }
}
