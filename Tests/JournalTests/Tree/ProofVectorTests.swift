@testable import Journal
import Testing

/// Proofs that others published, and those of the second implementation.
@Suite struct ProofVectorTests {
  static let published: PublishedVectors = read("rfc6962.json")
  static let reference: ProofVectors = read("tree.json")
  private static let leaves = published.inputs.map { TreeHash.leaf([UInt8](hexadecimal: $0)) }

  private static func root(_ size: Int) -> Digest {
    TreeFrontier.root(of: leaves[0..<size])
  }

  private static func subtree(_ level: Int, _ position: UInt64) -> Digest {
    let start = Int(position) << level
    return TreeFrontier.root(of: leaves[start..<start + 1 << level])
  }

  @Test func `has the published roots`() {
    for (size, root) in Self.published.roots.enumerated() {
      #expect(Self.root(size).description == root)
    }
  }

  @Test func `makes and takes the published proofs of inclusion, and no forgery of them`() {
    for vector in Self.published.inclusion {
      let path = digests(vector.path)
      let (leaf, size) = (UInt64(vector.leaf), UInt64(vector.size))
      #expect(TreeProof.inclusion(ofLeaf: leaf, in: size, Self.subtree) == path)
      let proof = { (path: [Digest]) in
        InclusionProof(
          index: leaf + 1, digest: Self.leaves[vector.leaf], size: size,
          root: Self.root(vector.size), path: path)
      }
      #expect(proof(path).isValid)
      for forged in forgeries(of: path) { #expect(!proof(forged).isValid) }
    }
  }

  @Test func `makes and takes the published proofs of consistency, and no forgery of them`() {
    for vector in Self.published.consistency {
      let path = digests(vector.path)
      let (first, second) = (UInt64(vector.first), UInt64(vector.second))
      #expect(TreeProof.consistency(from: first, to: second, Self.subtree) == path)
      let proof = { (path: [Digest]) in
        ConsistencyProof(
          first: first, firstRoot: Self.root(vector.first), second: second,
          secondRoot: Self.root(vector.second), path: path)
      }
      #expect(proof(path).isValid)
      for forged in forgeries(of: path) { #expect(!proof(forged).isValid) }
    }
  }

  /// Leaf i is the leaf hash of the 8 bytes of i.
  @Test func `makes the proofs of the second implementation`() {
    let leaves = (0..<1500).map { TreeHash.leaf(UInt64($0).bigEndianBytes) }
    let subtree = { (level: Int, position: UInt64) -> Digest in
      let start = Int(position) << level
      return TreeFrontier.root(of: leaves[start..<start + 1 << level])
    }
    for vector in Self.reference.inclusion {
      #expect(
        TreeProof.inclusion(ofLeaf: UInt64(vector.leaf), in: UInt64(vector.size), subtree)
          == digests(vector.path))
    }
    for vector in Self.reference.consistency {
      #expect(
        TreeProof.consistency(from: UInt64(vector.old), to: UInt64(vector.new), subtree)
          == digests(vector.path))
    }
  }

  private func digests(_ path: [String]) -> [Digest] {
    path.compactMap { Digest(hexadecimal: $0) }
  }
}

/// The path with a bit changed, a node left out, doubled or swapped.
private func forgeries(of path: [Digest]) -> [[Digest]] {
  var forged = [path + [TreeHash.empty]]
  for (place, node) in path.enumerated() {
    var changed = path
    changed[place] = Digest(
      words: (node.words.0 ^ 1, node.words.1, node.words.2, node.words.3))
    forged.append(changed)
    var shorter = path
    shorter.remove(at: place)
    forged.append(shorter)
    var longer = path
    longer.insert(node, at: place)
    forged.append(longer)
    guard place > 0 else { continue }
    var swapped = path
    swapped.swapAt(place - 1, place)
    forged.append(swapped)
  }
  return forged
}

struct PublishedVectors: Decodable {
  struct Inclusion: Decodable {
    let leaf: Int
    let size: Int
    let path: [String]
  }
  struct Consistency: Decodable {
    let first: Int
    let second: Int
    let path: [String]
  }
  let inputs: [String]
  let roots: [String]
  let inclusion: [Inclusion]
  let consistency: [Consistency]
}

struct ProofVectors: Decodable {
  struct Inclusion: Decodable {
    let size: Int
    let leaf: Int
    let path: [String]
  }
  struct Consistency: Decodable {
    let old: Int
    let new: Int
    let path: [String]
  }
  let inclusion: [Inclusion]
  let consistency: [Consistency]
}
