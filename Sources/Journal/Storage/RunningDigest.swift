internal import Crypto

/// The SHA-256 of bytes that come one after the other.
struct RunningDigest {
  private var hash = SHA256()

  mutating func add(_ bytes: ArraySlice<UInt8>) { hash.update(data: bytes) }

  /// The digest of what was added so far.
  var digest: Digest {
    let digest = unsafe hash.finalize().withUnsafeBytes { unsafe Digest(rawBytes: $0) }
    guard let digest else { preconditionFailure("SHA-256 has 32 bytes") }
    return digest
  }
}
