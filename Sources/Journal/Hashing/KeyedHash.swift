internal import COpenSSL

/// HMAC-SHA-256 under one key, which is taken in once: a rebuild signs each row of Nova's, and a library's
/// own HMAC costs ten times the hash then, most of it for memory.
///
/// Source: RFC 2104. Safe to use from every thread; the key's traces are wiped with it.
@safe final class KeyedHash: Sendable {
  private nonisolated(unsafe) let key: UnsafeMutablePointer<cellmap_hmac_key>

  /// - Parameter bytes: The key, of at most 64 bytes, as all of a store's are.
  init(_ bytes: UnsafeRawBufferPointer) {
    precondition(bytes.count <= 64, "a key of one block")
    unsafe key = .allocate(capacity: 1)
    unsafe cellmap_hmac_take_key(
      key, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
  }

  deinit {
    unsafe cellmap_hmac_wipe(key)
    unsafe key.deallocate()
  }

  // Hot path: at most 1 µs for a row of 300 bytes; 0 allocations.
  func code(of bytes: Span<UInt8>) -> Digest {
    unsafe bytes.withUnsafeBytes { bytes in
      unsafe Digest { digest in
        unsafe cellmap_hmac(key, bytes.baseAddress, bytes.count, digest)
      }
    }
  }
}
