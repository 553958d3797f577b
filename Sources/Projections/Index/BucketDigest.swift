internal import Crypto
internal import Journal

/// The digest of a file's content, made of its buckets.
enum BucketDigest {
  /// SHA-256 over the buckets that aren't empty, each as its number (4 bytes), count (8) and sum (16),
  /// most significant first.
  static func of(_ buckets: [Bucket]) -> Journal.Digest {
    var hasher = SHA256()
    for (number, bucket) in buckets.enumerated() where bucket != Bucket() {
      var bytes: [UInt8] = []
      bytes.reserveCapacity(28)
      bytes.append(word: UInt64(number), bytes: 4)
      bytes.append(word: bucket.count, bytes: 8)
      bytes.append(word: bucket.sumHalves.high, bytes: 8)
      bytes.append(word: bucket.sumHalves.low, bytes: 8)
      hasher.update(data: bytes)
    }
    guard let digest = Journal.Digest(bytes: Array(hasher.finalize())) else {
      preconditionFailure("SHA-256 has 32 bytes")
    }
    return digest
  }
}

extension [UInt8] {
  fileprivate mutating func append(word: UInt64, bytes: Int) {
    for place in (0..<bytes).reversed() {
      append(UInt8(truncatingIfNeeded: word >> UInt64(8 * place)))
    }
  }
}
