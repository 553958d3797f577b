/// What a restore does: up to where the history goes, and what it leaves behind.
public struct RestorePlan: Sendable {
  /// The last entry that is kept.
  public let target: Position
  /// The last entry that the new history shares with what is left.
  public let common: KnownHead
  /// The highest head that is known of what is left: of the backup, or of the store in the folder.
  public let left: KnownHead
  /// An epoch above every one that is known.
  public let epoch: UInt32
  /// The entries that are left behind; nil if they can't be read.
  public let dropped: EntrySummary?
  /// Whose entries `dropped` is about.
  public let droppedOf: Side
  /// The request that is cut in two: its last entries are dropped, others are kept.
  public let splitRequest: RequestID?
  /// Why the journal of the store in the folder can't be read; nil if it can, or there is none.
  public let fault: JournalError?

  public enum Side: String, Sendable { case backup, store }
}

extension JournalBackup {
  /// Plans a restore; nothing is changed.
  ///
  /// - Parameters:
  ///   - moment: Up to where; nil for all of the backup.
  ///   - store: What is in the folder that is restored into; nil for no store.
  /// - Throws: `noSuchMoment`, `otherStore`; `journal` for damage in the backup.
  public func plan(
    to moment: PastMoment?, leaving store: LeftStore?
  ) throws(BackupError) -> RestorePlan {
    if let store, let found = store.store, found != manifest.store {
      throw .otherStore(
        path: store.directory, found: found, backup: manifest.store)
    }
    let target = try target(of: moment)
    let own = KnownHead(position: manifest.position, root: manifest.root)
    let left = [store?.head, own].compactMap(\.self).max {
      $0.position.index < $1.position.index
    }
    let shared = try store?.journal.flatMap { (journal) throws(BackupError) in
      try sharedEntries(with: journal, through: target.index)
    }
    let isStoreLeft = left != own && shared != nil
    let common = isStoreLeft ? shared ?? target.index : target.index
    let dropped = try droppedEntries(of: store?.journal, after: shared, target: target.index)
    return RestorePlan(
      target: target, common: try known(common), left: left ?? own,
      epoch: max(own.position.epoch, store?.highestEpoch ?? 0) + 1, dropped: dropped.summary,
      droppedOf: dropped.side, splitRequest: try splitRequest(at: target.index),
      fault: store?.fault)
  }

  /// The first two entries, with cell0, are never taken apart.
  func target(of moment: PastMoment?) throws(BackupError) -> Position {
    guard let moment else { return manifest.position }
    let position = try journaling { () throws(JournalError) in try journal.position(at: moment) }
    guard let position, position.index >= 2 else { throw try noSuchMoment(moment) }
    return position
  }

  private func noSuchMoment(_ moment: PastMoment) throws(BackupError) -> BackupError {
    let first = try journaling { () throws(JournalError) in try journal.header(at: 2)?.orderedAt }
    let last = manifest.orderedAt
    return .noSuchMoment(
      moment, head: manifest.position, times: min(first ?? last, last)...last)
  }

  private func known(_ index: UInt64) throws(BackupError) -> KnownHead {
    try journaling { () throws(JournalError) in
      let position = index == 0 ? Position.start : try journal.header(at: index)?.position
      guard let position else { throw .missingEntry(index: index) }
      return KnownHead(position: position, root: try journal.root(at: index))
    }
  }

  /// How many entries at the front of the backup the store has too: as many as have the same root.
  private func sharedEntries(
    with store: EventJournal, through last: UInt64
  ) throws(BackupError) -> UInt64? {
    var (low, high) = (UInt64(0), min(last, store.head.position.index))
    while low < high {
      let middle = (low + high + 1) / 2
      let mine = try journaling { () throws(JournalError) in try journal.root(at: middle) }
      // The store may be damaged within: then it isn't known what it shares.
      guard let other = try? store.root(at: middle) else { return nil }
      if mine == other { low = middle } else { high = middle - 1 }
    }
    return low
  }

  private func droppedEntries(
    of store: EventJournal?, after shared: UInt64?, target: UInt64
  ) throws(BackupError) -> (summary: EntrySummary?, side: RestorePlan.Side) {
    if let store, let shared { return (try? EntrySummary(of: store, after: shared), .store) }
    let summary = try journaling { () throws(JournalError) in
      try EntrySummary(of: journal, after: target)
    }
    return (summary, .backup)
  }

  private func splitRequest(at index: UInt64) throws(BackupError) -> RequestID? {
    try journaling { () throws(JournalError) in
      guard let last = try journal.header(at: index), let next = try journal.header(at: index + 1),
        last.request == next.request, last.request != .none
      else { return nil }
      return last.request
    }
  }
}
