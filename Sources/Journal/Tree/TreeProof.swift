/// Proofs of RFC 9162: that an entry is in a tree (section 2.1.3), and that a tree is the beginning
/// of another (section 2.1.4).
///
/// They are made from a source of subtree roots: `(level, position)` is the complete subtree of
/// 2^level leaves that begins at leaf `position · 2^level`.
public enum TreeProof {
  /// Gives the root of a complete subtree.
  public typealias Source<Failure: Error> = (_ level: Int, _ position: UInt64) throws(Failure) ->
    Digest

  /// The hashes that lead from leaf `leaf` to the root of the first `size` leaves.
  ///
  /// - Throws: What `source` throws.
  public static func inclusion<Failure: Error>(
    ofLeaf leaf: UInt64, in size: UInt64, _ source: Source<Failure>
  ) throws(Failure) -> [Digest] {
    precondition(leaf < size, "a proof is about a leaf of the tree")
    var path: [Digest] = []
    var range = 0..<size
    while range.count64 > 1 {
      let middle = range.lowerBound + split(range.count64)
      if leaf < middle {
        path.append(try root(of: middle..<range.upperBound, source))
        range = range.lowerBound..<middle
      } else {
        path.append(try root(of: range.lowerBound..<middle, source))
        range = middle..<range.upperBound
      }
    }
    return path.reversed()
  }

  /// The hashes that prove that the tree of `first` leaves is the beginning of that of `second`.
  ///
  /// - Throws: What `source` throws.
  public static func consistency<Failure: Error>(
    from first: UInt64, to second: UInt64, _ source: Source<Failure>
  ) throws(Failure) -> [Digest] {
    precondition(first <= second, "a tree only grows")
    guard first > 0, first < second else { return [] }
    var path: [Digest] = []
    var range = 0..<second
    var isWholeOld = true
    while range.upperBound != first {
      let middle = range.lowerBound + split(range.count64)
      if first <= middle {
        path.append(try root(of: middle..<range.upperBound, source))
        range = range.lowerBound..<middle
      } else {
        path.append(try root(of: range.lowerBound..<middle, source))
        range = middle..<range.upperBound
        isWholeOld = false
      }
    }
    if !isWholeOld { path.append(try root(of: range, source)) }
    return path.reversed()
  }

  /// Whether a path leads from a leaf to a root.
  public static func verifiesInclusion(
    ofLeaf leaf: UInt64, hash: Digest, in size: UInt64, root: Digest, path: [Digest]
  ) -> Bool {
    guard leaf < size else { return false }
    var (node, last, result) = (leaf, size - 1, hash)
    for sibling in path {
      guard last > 0 else { return false }
      if node & 1 == 1 || node == last {
        result = TreeHash.node(sibling, result)
        while node & 1 == 0, node != 0 {
          node >>= 1
          last >>= 1
        }
      } else {
        result = TreeHash.node(result, sibling)
      }
      node >>= 1
      last >>= 1
    }
    return last == 0 && result == root
  }

  /// Whether a path shows that the first root's tree is the beginning of the second's.
  public static func verifiesConsistency(
    from first: UInt64, root firstRoot: Digest, to second: UInt64, root secondRoot: Digest,
    path: [Digest]
  ) -> Bool {
    guard first <= second else { return false }
    if first == second { return path.isEmpty && firstRoot == secondRoot }
    if first == 0 { return path.isEmpty && firstRoot == TreeHash.empty }
    var hashes = path[...]
    if first.nonzeroBitCount == 1 { hashes = [firstRoot] + path }
    guard let start = hashes.popFirst() else { return false }
    var (node, last) = (first - 1, second - 1)
    while node & 1 == 1 {
      node >>= 1
      last >>= 1
    }
    var (oldRoot, newRoot) = (start, start)
    for sibling in hashes {
      guard last > 0 else { return false }
      if node & 1 == 1 || node == last {
        oldRoot = TreeHash.node(sibling, oldRoot)
        newRoot = TreeHash.node(sibling, newRoot)
        while node & 1 == 0, node != 0 {
          node >>= 1
          last >>= 1
        }
      } else {
        newRoot = TreeHash.node(newRoot, sibling)
      }
      node >>= 1
      last >>= 1
    }
    return last == 0 && oldRoot == firstRoot && newRoot == secondRoot
  }

  /// The largest power of two smaller than `count`.
  private static func split(_ count: UInt64) -> UInt64 {
    1 << UInt64(63 - (count - 1).leadingZeroBitCount)
  }

  /// The root of a range that begins where a complete subtree of its size could.
  private static func root<Failure: Error>(
    of range: Range<UInt64>, _ source: Source<Failure>
  ) throws(Failure) -> Digest {
    let count = range.count64
    if count.nonzeroBitCount == 1 {
      let level = count.trailingZeroBitCount
      return try source(level, range.lowerBound >> UInt64(level))
    }
    let middle = range.lowerBound + split(count)
    return TreeHash.node(
      try root(of: range.lowerBound..<middle, source),
      try root(of: middle..<range.upperBound, source))
  }
}

extension Range<UInt64> {
  fileprivate var count64: UInt64 { upperBound - lowerBound }
}
