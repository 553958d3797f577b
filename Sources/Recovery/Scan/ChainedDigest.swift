internal import Journal

/// A digest over many: of each 128 of them, behind that of those before.
struct ChainedDigest {
  private var before = Digest.zero
  private var following: [UInt8] = []

  mutating func add(_ digest: Digest, by keys: KeyRing) {
    if following.isEmpty {
      following.reserveCapacity(129 * 32)
      before.append(to: &following)
    }
    digest.append(to: &following)
    guard following.count == 129 * 32 else { return }
    before = self.digest(by: keys)
    following.removeAll(keepingCapacity: true)
  }

  func digest(by keys: KeyRing) -> Digest {
    following.isEmpty ? before : keys.digest(of: following)
  }
}
