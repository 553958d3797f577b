public import Journal

/// Why the current index can't be used, and what it may be replaced by.
public enum IndexFault: Error, Hashable, Sendable {
  /// The store has no `CURRENT`: a new store, or the file was deleted.
  case noCurrent
  /// `CURRENT` is there and isn't whole.
  case unreadableCurrent
  /// The file that `CURRENT` names isn't there.
  case missing(path: String)
  /// The file isn't an index, or is truncated, or its content contradicts itself.
  case damaged(path: String, what: String)
  /// The file was written by another version of this program.
  case otherVersion(path: String, found: Int64)
  /// The file belongs to another store.
  case otherStore(path: String, found: StoreID)
  /// The index holds entries that the journal doesn't: the journal has stepped back.
  case aheadOfJournal(path: String, checkpoint: Position, head: UInt64)
  /// The journal's tree has another root at the checkpoint: it is another history.
  case diverged(path: String, checkpoint: Position)

  /// Whether the journal may simply be replayed: nothing about it is in doubt.
  ///
  /// An index that is ahead of the journal, or of another history or store, is a witness that the
  /// journal may be the wrong one: replacing it is an operator's decision.
  public var isSafeToReplace: Bool {
    switch self {
    case .noCurrent, .unreadableCurrent, .missing, .damaged, .otherVersion: true
    case .otherStore, .aheadOfJournal, .diverged: false
    }
  }
}

extension IndexFault: CustomStringConvertible {
  public var description: String {
    switch self {
    case .noCurrent: "The store has no index yet. Make it with 'cellmap replay'."
    case .unreadableCurrent:
      "The file CURRENT, which names the index, is damaged. Make the index with 'cellmap replay'."
    case .missing(let path): "The index \(path) is gone. Make it again with 'cellmap replay'."
    case .damaged(let path, let what):
      "The index \(path) is damaged: \(what). Make it again with 'cellmap replay'."
    case .otherVersion(let path, let found):
      "The index \(path) has version \(found); this program reads \(IndexSchema.version). "
        + "Make it again with 'cellmap replay'."
    case .otherStore(let path, let found):
      "The index \(path) belongs to the store \(found). Put the right file back, or make the index "
        + "again with 'cellmap replay'."
    case .aheadOfJournal(let path, let checkpoint, let head):
      "The index \(path) has come to \(checkpoint), but the journal ends at entry \(head): the "
        + "journal has lost entries. Put the right journal back before anything else; if it is the "
        + "right one, 'cellmap replay'."
    case .diverged(let path, let checkpoint):
      "The index \(path) was made from another history than this journal has up to \(checkpoint). "
        + "Put the right journal back before anything else; if it is the right one, "
        + "'cellmap replay'."
    }
  }
}
