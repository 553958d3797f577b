/// What has become of the history that a kept checkpoint saw.
public enum CheckpointComparison: Hashable, Sendable {
  /// The journal goes on from there.
  case continued(ConsistencyProof)
  /// An epoch was opened that says that it left entries of that history, up to the checkpoint or
  /// beyond: a restore.
  case left(EpochStart)
  /// Of an epoch that the journal doesn't have. One that it has says that it left so many entries, and the unknown one
  /// may have been among them; it may be another copy's as well.
  case ofUnknownEpoch(EpochStart)
  /// The journal has other entries than it had, or fewer, and no entry of it says so.
  case rewritten(why: String)
}

extension EventJournal {
  /// A checkpoint of the first entries of the journal, up to an index or to the head that this process
  /// knows.
  ///
  /// - Throws: The errors of damage.
  public func checkpoint(at index: UInt64? = nil) throws(JournalError) -> TreeCheckpoint {
    let size = index ?? head.position.index
    guard let epoch = try epochs().last(where: { $0.position.index <= size }) else {
      throw .missingEntry(index: 1)
    }
    return TreeCheckpoint(
      store: store, epoch: epoch.opening.id, size: size, root: try root(at: size))
  }

  /// The same, once all that it speaks of is on disk: what is signed, the store has for ever.
  ///
  /// - Throws: The errors of damage; `file`.
  public func durableCheckpoint() throws(JournalError) -> TreeCheckpoint {
    _ = try refresh()
    let checkpoint = try checkpoint()
    try syncHead()
    // A commit is seen a moment before it is on disk.
    do throws(FileError) { try SmallFile.sync(files.journal) } catch { throw .file(error) }
    return checkpoint
  }

  /// Compares the journal with a checkpoint of this store.
  ///
  /// Looks at the tree alone: that the entries are those of the tree is `verify`'s to say.
  ///
  /// - Parameter checkpoint: Of this store; that it is genuine was checked before.
  /// - Throws: The errors of damage.
  public func compare(
    with checkpoint: TreeCheckpoint
  ) throws(JournalError) -> CheckpointComparison {
    precondition(checkpoint.store == store, "a journal is compared with its own checkpoint")
    let epochs = try epochs()
    let own = epochs.first { $0.opening.id == checkpoint.epoch }
    let later = epochs.filter { own == nil || $0.position.epoch > own?.position.epoch ?? 0 }
    let history = try history(of: checkpoint.size, root: checkpoint.root, leftBy: later)
    if own == nil, case .left(let start) = history, start.opening.leftRoot != checkpoint.root {
      return .ofUnknownEpoch(start)
    }
    guard case .continued = history else { return history }
    guard epochs.last(where: { $0.position.index <= checkpoint.size }) == own else {
      return .rewritten(why: "entry \(checkpoint.size) is of another epoch")
    }
    return history
  }

  /// What has become of a history of `size` entries with a root.
  ///
  /// - Parameter later: The epochs that may have left it.
  func history(
    of size: UInt64, root: Digest, leftBy later: [EpochStart]
  ) throws(JournalError) -> CheckpointComparison {
    let head = head.position.index
    let found = size <= head ? try self.root(at: size) : nil
    if found == root { return .continued(try proveConsistency(from: size, to: head)) }
    // Of the very head that the epoch left, if it is that one.
    let confession = later.last { start in
      start.hasLeft(size)
        && (start.opening.leftIndex != size || start.opening.leftRoot == root)
    }
    if let confession { return .left(confession) }
    return .rewritten(
      why: found.map { "its first \(size) entries have root \($0), not \(root)" }
        ?? "it has \(head) entries of at least \(size)")
  }
}
