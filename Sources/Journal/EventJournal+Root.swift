extension EventJournal {
  /// The root of the tree of the first `index` entries.
  ///
  /// At the head it is known; elsewhere it is made of the roots of complete subtrees and of at most
  /// 255 leaf hashes.
  ///
  /// - Parameter index: At most the head that this process knows.
  /// - Throws: The errors of damage.
  public func root(at index: UInt64) throws(JournalError) -> Digest {
    let tip = self.tip
    precondition(index <= tip.position.index, "a root is asked of entries of the journal")
    if index == tip.position.index { return tip.root }
    let complete = tip.position.index / UInt64(TileLayout.width) * UInt64(TileLayout.width)
    return try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
      var reader = TileReader(snapshot)
      var roots: [Digest] = []
      var covered: UInt64 = 0
      for level in stride(from: 63, through: 0, by: -1) where index & 1 << UInt64(level) != 0 {
        let end = covered + 1 << UInt64(level)
        if end <= complete {
          roots.append(try reader.root(at: level, position: covered >> UInt64(level)))
        } else {
          let leaves = tip.openTile[Int(covered - complete)..<Int(end - complete)]
          roots.append(TreeFrontier.root(of: leaves))
        }
        covered = end
      }
      guard let frontier = TreeFrontier(size: index, subtreeRoots: roots) else {
        preconditionFailure("one root for each subtree")
      }
      return frontier.root
    }
  }
}
