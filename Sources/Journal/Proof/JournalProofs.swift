/// That an entry is in the tree of the first `size` entries.
public struct InclusionProof: Hashable, Sendable {
  public let index: UInt64
  /// The entry's digest: its leaf in the tree.
  public let digest: Digest
  public let size: UInt64
  public let root: Digest
  public let path: [Digest]

  public init(index: UInt64, digest: Digest, size: UInt64, root: Digest, path: [Digest]) {
    self.index = index
    self.digest = digest
    self.size = size
    self.root = root
    self.path = path
  }

  /// Whether the path leads from the digest to the root (RFC 9162, section 2.1.3.2).
  public var isValid: Bool {
    index > 0
      && TreeProof.verifiesInclusion(
        ofLeaf: index - 1, hash: digest, in: size, root: root, path: path)
  }
}

/// That the first `first` entries are the beginning of the first `second`.
public struct ConsistencyProof: Hashable, Sendable {
  public let first: UInt64
  public let firstRoot: Digest
  public let second: UInt64
  public let secondRoot: Digest
  public let path: [Digest]

  public init(
    first: UInt64, firstRoot: Digest, second: UInt64, secondRoot: Digest, path: [Digest]
  ) {
    self.first = first
    self.firstRoot = firstRoot
    self.second = second
    self.secondRoot = secondRoot
    self.path = path
  }

  /// Whether the path leads to both roots (RFC 9162, section 2.1.4.2).
  public var isValid: Bool {
    TreeProof.verifiesConsistency(
      from: first, root: firstRoot, to: second, root: secondRoot, path: path)
  }
}

extension EventJournal {
  /// The bytes of an entry, checked against its leaf hash in the tree.
  ///
  /// - Parameter index: From 1, at most the head that this process knows.
  /// - Throws: The errors of damage.
  public func entryBytes(at index: UInt64) throws(JournalError) -> [UInt8] {
    let chunk = try chunk(from: index, through: index)
    return Array(chunk.bytes[..<Int(chunk.headers[0].entryLength)])
  }

  /// Proves that an entry is in the tree of the first `size` entries; the proof was checked.
  ///
  /// Reads a few dozen pages, however long the journal is.
  ///
  /// - Parameters:
  ///   - index: From 1, at most `size`.
  ///   - size: At most the head that this process knows.
  /// - Throws: The errors of damage.
  public func proveInclusion(
    of index: UInt64, in size: UInt64
  ) throws(JournalError) -> InclusionProof {
    let proof = InclusionProof(
      index: index, digest: TreeHash.leaf(try entryBytes(at: index)), size: size,
      root: try root(at: size), path: try inclusionProof(ofEntry: index, in: size))
    guard proof.isValid else {
      throw .damagedTree(index: size, what: "it does not hold entry \(index)")
    }
    return proof
  }

  /// Proves that the first `first` entries are the beginning of the first `second`; the proof was
  /// checked.
  ///
  /// Reads a few dozen pages, however long the journal is.
  ///
  /// - Parameters:
  ///   - first: From 1, at most `second`.
  ///   - second: At most the head that this process knows.
  /// - Throws: The errors of damage.
  public func proveConsistency(
    from first: UInt64, to second: UInt64
  ) throws(JournalError) -> ConsistencyProof {
    let proof = ConsistencyProof(
      first: first, firstRoot: try root(at: first), second: second,
      secondRoot: try root(at: second), path: try consistencyProof(from: first, to: second))
    guard proof.isValid else {
      throw .damagedTree(index: second, what: "it does not go on from entry \(first)")
    }
    return proof
  }
}
