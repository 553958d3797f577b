/// The right edge of a Merkle tree: the roots of the complete subtrees of which its leaves are made.
///
/// From it the root can be told and leaves can be added, without any other hash of the tree.
public struct TreeFrontier: Equatable, Sendable {
  /// Leaves of the tree.
  public private(set) var size: UInt64
  /// The root of the complete subtree of 2^level leaves, valid where bit `level` of `size` is set.
  private var roots: [Digest]

  /// The tree without leaves.
  public init() {
    size = 0
    roots = [Digest](repeating: TreeHash.empty, count: 64)
  }

  /// The tree of `size` leaves.
  ///
  /// - Parameter subtreeRoots: The roots of its complete subtrees, largest first: one for each set
  ///   bit of `size`.
  public init?(size: UInt64, subtreeRoots: [Digest]) {
    guard subtreeRoots.count == size.nonzeroBitCount else { return nil }
    self.init()
    self.size = size
    var next = 0
    for level in stride(from: 63, through: 0, by: -1) where size & 1 << UInt64(level) != 0 {
      roots[level] = subtreeRoots[next]
      next += 1
    }
  }

  /// The roots of its complete subtrees, largest first: one for each set bit of `size`.
  public var subtreeRoots: [Digest] {
    stride(from: 63, through: 0, by: -1).compactMap { level in
      size & 1 << UInt64(level) != 0 ? roots[level] : nil
    }
  }

  public static func == (left: Self, right: Self) -> Bool {
    left.size == right.size && left.subtreeRoots == right.subtreeRoots
  }

  /// Adds a leaf.
  ///
  /// - Parameter completed: Is given the level and root of each complete subtree that ends with this
  ///   leaf, from level 1 up.
  // Hot path: one node hash a leaf on average, no allocation.
  @inline(__always)
  mutating func append(_ leaf: Digest, completed: (Int, Digest) -> Void) {
    var root = leaf
    var level = 0
    while size & 1 << UInt64(level) != 0 {
      root = TreeHash.node(roots[level], root)
      level += 1
      completed(level, root)
    }
    roots[level] = root
    size += 1
  }

  /// Adds a leaf.
  public mutating func append(_ leaf: Digest) {
    append(leaf) { _, _ in }
  }

  /// The root of the tree.
  public var root: Digest {
    guard size > 0 else { return TreeHash.empty }
    var level = size.trailingZeroBitCount
    var root = roots[level]
    level += 1
    while level < 64 {
      if size & 1 << UInt64(level) != 0 { root = TreeHash.node(roots[level], root) }
      level += 1
    }
    return root
  }

  /// The root of a tree of the given leaf hashes.
  public static func root(of leaves: some Sequence<Digest>) -> Digest {
    var frontier = TreeFrontier()
    for leaf in leaves { frontier.append(leaf) }
    return frontier.root
  }
}
