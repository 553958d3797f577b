internal import COpenSSL

/// The three hashes of an RFC 9162 Merkle tree, section 2.1.1.
///
/// Made by OpenSSL: swift-crypto makes two objects for each hash, which cost as much as an entry's blocks.
public enum TreeHash {
  /// The root of a tree without leaves: SHA-256 of nothing.
  public static let empty = plain([])

  /// SHA-256(`00` ‖ entry): the digest of an entry and its leaf in the tree.
  public static func leaf(_ entry: [UInt8]) -> Digest {
    leaf(entry, in: 0..<entry.count)
  }

  /// The leaf hash of the bytes in a range of a buffer.
  // Hot path: once an entry on append and on read.
  static func leaf(_ buffer: [UInt8], in range: Range<Int>) -> Digest {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= buffer.count, "a leaf lies in its buffer")
    return unsafe buffer.withUnsafeBytes { bytes in
      let entry = unsafe UnsafeRawBufferPointer(rebasing: bytes[range])
      return unsafe Digest { digest in
        unsafe cellmap_sha256_behind(leafPrefix, entry.baseAddress, entry.count, digest)
      }
    }
  }

  /// What stands in front of an entry in its leaf hash.
  static let leafPrefix: UInt8 = 0

  /// The leaf hash of an entry that stands in a buffer behind `leafPrefix`; the range covers both.
  // Hot path: once an entry on append.
  static func leaf(prefixed buffer: [UInt8], in range: Range<Int>) -> Digest {
    precondition(
      range.lowerBound >= 0 && range.upperBound <= buffer.count
        && buffer[range.lowerBound] == leafPrefix, "a leaf lies in its buffer behind its prefix")
    return unsafe buffer.withUnsafeBytes { bytes in
      unsafe digest(of: UnsafeRawBufferPointer(rebasing: bytes[range]))
    }
  }

  @unsafe private static func digest(of bytes: UnsafeRawBufferPointer) -> Digest {
    unsafe Digest { digest in unsafe cellmap_sha256(bytes.baseAddress, bytes.count, digest) }
  }

  /// SHA-256(`01` ‖ left ‖ right).
  // Hot path: about once an entry on append.
  public static func node(_ left: Digest, _ right: Digest) -> Digest {
    unsafe withUnsafeTemporaryAllocation(byteCount: 65, alignment: 8) { bytes in
      unsafe bytes[0] = 1
      unsafe left.store(into: bytes, at: 1)
      unsafe right.store(into: bytes, at: 33)
      return unsafe digest(of: UnsafeRawBufferPointer(bytes))
    }
  }

  /// SHA-256 of bytes, without a prefix: the checksum of small records.
  public static func plain(_ bytes: [UInt8]) -> Digest {
    unsafe bytes.withUnsafeBytes { bytes in unsafe digest(of: bytes) }
  }
}

extension Digest {
  @unsafe fileprivate func store(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) {
    unsafe bytes.storeBytes(of: words.0.bigEndian, toByteOffset: offset, as: UInt64.self)
    unsafe bytes.storeBytes(of: words.1.bigEndian, toByteOffset: offset + 8, as: UInt64.self)
    unsafe bytes.storeBytes(of: words.2.bigEndian, toByteOffset: offset + 16, as: UInt64.self)
    unsafe bytes.storeBytes(of: words.3.bigEndian, toByteOffset: offset + 24, as: UInt64.self)
  }
}

extension [UInt8] {
  /// The digest whose 32 bytes begin at `start`.
  @inline(__always)
  func digest(at start: Int) -> Digest {
    precondition(start >= 0 && start <= count - 32, "32 bytes that are there")
    return Digest(
      words: (
        bigEndianWord(at: start), bigEndianWord(at: start + 8), bigEndianWord(at: start + 16),
        bigEndianWord(at: start + 24)
      ))
  }
}
