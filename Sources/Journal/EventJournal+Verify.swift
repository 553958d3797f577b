extension EventJournal {
  /// What a full verification has seen.
  public struct Verification: Equatable, Sendable {
    public let head: Head
    public let commits: UInt64
    public let tiles: UInt64
  }

  /// Checks the whole journal: that indexes are dense, epochs and times in order; each entry against
  /// its leaf hash in the tree, each tile and each root of a subtree against the leaves below it,
  /// the root behind each commit, the list of free pages, and HEAD.
  ///
  /// Reads everything; takes no lease and pins nothing, so writers go on.
  ///
  /// - Parameter progress: Is given the number of entries that are checked, once for each tile.
  /// - Throws: The first thing that is wrong, with its place.
  public func verify(
    progress: (UInt64) -> Void = { _ in }
  ) throws(JournalError) -> Verification {
    let seen = try HeadSlots.read(files.head)
    let end = try refresh()
    let witness = try seen.flatMap { (seen) throws(JournalError) in
      try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
        try EventJournal.isTrue(seen, of: tip, in: snapshot, path: files.head) ? seen : nil
      }
    }
    var pass = VerifyPass()
    while pass.tip.position.index < end.position.index {
      let before = pass
      pass = try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
        var pass = before
        try pass.checkTile(of: snapshot, through: end.position.index)
        return pass
      }
      if let witness, pass.passed(witness.position.index, since: before.tip.position.index) {
        try pass.check(witness)
      }
      progress(pass.tip.position.index)
    }
    guard pass.tip.root == end.root, pass.tip.position == end.position else {
      throw .damagedTree(index: end.position.index, what: "its root is another")
    }
    try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
      try FreeListCheck.run(snapshot)
    }
    return Verification(
      head: end, commits: pass.commits, tiles: end.position.index / UInt64(TileLayout.width))
  }
}

/// A walk over the whole journal, a tile at a time.
private struct VerifyPass {
  var tip = JournalTip.empty
  var commits: UInt64 = 0
  /// What the tile in work should consist of.
  private var leaves: [Digest] = []
  private var roots: [UInt64: (epoch: UInt32, root: Digest)] = [:]

  mutating func checkTile(
    of snapshot: JournalSnapshot, through last: UInt64
  ) throws(JournalError) {
    roots.removeAll(keepingCapacity: true)
    var cursor = TreeCursor(snapshot.entries, of: snapshot.file)
    let first = tip.position.index + 1
    let end = min(last, tip.position.index + UInt64(TileLayout.width))
    try readTile(ofEntry: first, of: snapshot)
    guard try cursor.seek(first) else { throw .missingEntry(index: first) }
    for index in first...end {
      if index > first { guard try cursor.next() else { throw .missingEntry(index: index) } }
      try checkEntry(cursor, of: snapshot)
    }
  }

  /// The leaf hashes that the entries of a complete tile should have; none for the unfinished one.
  private mutating func readTile(
    ofEntry index: UInt64, of snapshot: JournalSnapshot
  ) throws(JournalError) {
    let tile = (index - 1) / UInt64(TileLayout.width)
    leaves = []
    guard tile < snapshot.entries.entryCount / UInt64(TileLayout.width) else { return }
    var reader = TileReader(snapshot)
    leaves = try reader.leaves(ofTile: tile)
  }

  func passed(_ index: UInt64, since before: UInt64) -> Bool {
    index > before && index <= tip.position.index
  }

  func check(_ witness: HeadWitness) throws(JournalError) {
    guard let seen = roots[witness.position.index], seen.epoch == witness.position.epoch,
      seen.root == witness.root
    else { throw .divergedFromWitness(witness: witness.position) }
  }

  private mutating func checkEntry(
    _ cursor: TreeCursor, of snapshot: JournalSnapshot
  ) throws(JournalError) {
    let (header, root) = try tip.chain.accept(
      cursor.bytes, in: cursor.range, key: cursor.key, path: snapshot.file.path)
    let start = cursor.range.lowerBound
    let leaf = TreeHash.leaf(cursor.bytes, in: start..<start + Int(header.entryLength))
    var subtrees: [(level: Int, root: Digest)] = []
    let place = tip.openTile.count
    guard place >= leaves.count || leaf == leaves[place] else {
      throw .damagedEntry(
        index: tip.position.index, what: "its digest is not that in the tree")
    }
    let isTileFull = tip.append(leaf) { level, root in
      if level >= TileLayout.rootLevel { subtrees.append((level, root)) }
    }
    if isTileFull {
      try checkRoots(subtrees, of: snapshot)
      tip.openTile.removeAll(keepingCapacity: true)
    }
    guard let root else { return }
    guard root == tip.frontier.root else {
      throw .damagedTree(
        index: tip.position.index, what: "the root behind that entry is another")
    }
    tip.root = root
    roots[tip.position.index] = (tip.position.epoch, root)
    commits += 1
  }

  private func checkRoots(
    _ subtrees: [(level: Int, root: Digest)], of snapshot: JournalSnapshot
  ) throws(JournalError) {
    let tile = tip.position.index / UInt64(TileLayout.width) - 1
    var reader = TileReader(snapshot)
    for (level, root) in subtrees {
      guard let key = TileLayout.key(ofRootAt: level, endingWith: tile),
        try reader.root(at: level, key: key) == root
      else {
        throw .damagedTree(
          index: tip.position.index, what: "the root of level \(level) there is another")
      }
    }
  }
}
