@testable import Journal
import Testing

@Suite struct TreeFrontierTests {
  /// The inputs of Certificate Transparency's own tests (RFC 6962 and 9162 use the same tree).
  static let inputs = [
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
  ].map { [UInt8](hexadecimal: $0) }

  @Test func `the root of nothing is the digest of nothing`() {
    #expect(
      TreeFrontier().root.description
        == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
  }

  @Test func `eight known leaves have their known root`() {
    #expect(
      TreeFrontier.root(of: Self.inputs.map { TreeHash.leaf($0) }).description
        == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328")
  }

  @Test func `has the roots of the reference`() {
    let vectors: TreeVectors = read("tree.json")
    let roots = Dictionary(uniqueKeysWithValues: vectors.roots.map { ($0.size, $0.root) })
    var frontier = TreeFrontier()
    #expect(frontier.root.description == roots[0])
    for leaf in 0..<(roots.keys.max() ?? 0) {
      frontier.append(TreeHash.leaf(UInt64(leaf).bigEndianBytes))
      if let root = roots[leaf + 1] { #expect(frontier.root.description == root) }
    }
  }

  @Test func `goes on from the roots of its subtrees`() throws {
    var whole = TreeFrontier()
    for leaf in 0..<11 { whole.append(hash(leaf)) }
    let roots = [0..<8, 8..<10, 10..<11].map { TreeFrontier.root(of: $0.map(hash)) }
    #expect(TreeFrontier(size: 11, subtreeRoots: roots)?.root == whole.root)
    #expect(TreeFrontier(size: 11, subtreeRoots: Array(roots.dropLast())) == nil)
  }

  @Test func `tiles and their roots have dense keys`() {
    var next: UInt64 = 0
    for tile in 0..<5000 as Range<UInt64> {
      #expect(TileLayout.key(ofTile: tile) == next)
      next += 1
      var level = TileLayout.rootLevel
      while let key = TileLayout.key(ofRootAt: level, endingWith: tile) {
        #expect(key == next)
        next += 1
        level += 1
      }
      #expect(level == TileLayout.rootLevel + 1 + (tile + 1).trailingZeroBitCount)
    }
  }
}

@Suite struct TreeProofTests {
  static let leaves = (0..<70).map { hash($0) }

  private static func subtree(_ level: Int, _ position: UInt64) -> Digest {
    let start = Int(position) << level
    return TreeFrontier.root(of: leaves[start..<start + 1 << level])
  }

  @Test func `every leaf of every size is proven, and no other`() {
    for size in 1..<70 {
      let root = TreeFrontier.root(of: Self.leaves[0..<size])
      for leaf in 0..<size {
        let path = TreeProof.inclusion(ofLeaf: UInt64(leaf), in: UInt64(size), Self.subtree)
        let verifies = { (leaf: Int, hash: Digest, path: [Digest]) in
          TreeProof.verifiesInclusion(
            ofLeaf: UInt64(leaf), hash: hash, in: UInt64(size), root: root, path: path)
        }
        #expect(verifies(leaf, Self.leaves[leaf], path))
        #expect(!verifies(leaf, hash(leaf + 1000), path))
        #expect(!verifies(size, Self.leaves[leaf], path))
        #expect(!verifies(leaf, Self.leaves[leaf], path + [hash(0)]))
        if !path.isEmpty { #expect(!verifies(leaf, Self.leaves[leaf], Array(path.dropLast()))) }
      }
    }
  }

  @Test func `every size is the beginning of every later one, and of no other tree`() {
    for second in 1..<70 {
      let newRoot = TreeFrontier.root(of: Self.leaves[0..<second])
      for first in stride(from: 0, through: second, by: 1 + second / 12) {
        let oldRoot = TreeFrontier.root(of: Self.leaves[0..<first])
        let path = TreeProof.consistency(from: UInt64(first), to: UInt64(second), Self.subtree)
        let verifies = { (old: Digest, new: Digest, path: [Digest]) in
          TreeProof.verifiesConsistency(
            from: UInt64(first), root: old, to: UInt64(second), root: new, path: path)
        }
        #expect(verifies(oldRoot, newRoot, path))
        #expect(!verifies(hash(1000), newRoot, path))
        #expect(!verifies(oldRoot, newRoot, path + [hash(0)]))
        if first > 0 { #expect(!verifies(oldRoot, hash(1000), path)) }
      }
    }
  }
}

struct TreeVectors: Decodable {
  struct Root: Decodable {
    let size: Int
    let root: String
  }
  let roots: [Root]
}

private func hash(_ number: Int) -> Digest { TreeHash.leaf(UInt64(number).bigEndianBytes) }

extension UInt64 {
  var bigEndianBytes: [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: self >> (56 - 8 * $0)) } }
}
