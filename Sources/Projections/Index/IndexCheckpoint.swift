public import Journal

/// How far an index has come: the last entry in it, and the root of the journal's tree there.
public struct IndexCheckpoint: Hashable, Sendable {
  public var position: Position
  /// The root over the entries up to `position`; tells one history from another of equal length.
  public var root: Digest

  /// Before the first entry: the root of an empty tree, SHA-256 of nothing.
  public static let start = IndexCheckpoint(
    position: .start,
    root: Digest(
      words: (
        0xe3b0_c442_98fc_1c14, 0x9afb_f4c8_996f_b924, 0x27ae_41e4_649b_934c, 0xa495_991b_7852_b855
      )))

  public init(position: Position, root: Digest) {
    self.position = position
    self.root = root
  }
}
