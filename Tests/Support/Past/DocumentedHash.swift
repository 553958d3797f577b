import struct Crypto.SHA256
public import Journal

/// A column of a row, in the forms that docs/index-format.md names.
public enum DocumentedColumn: Hashable, Sendable {
  case null
  case integer(Int64)
  case text([UInt8])
  case blob([UInt8])

  static func text(_ text: ByteText?) -> Self { text.map { .text(Array($0.string.utf8)) } ?? .null }
  static func number(_ number: UInt64?) -> Self {
    number.map { .integer(Int64(bitPattern: $0)) } ?? .null
  }
  static func flag(_ flag: Bool?) -> Self { flag.map { .integer($0 ? 1 : 0) } ?? .null }
  static func time(_ time: Timestamp?) -> Self {
    time.map { .integer($0.microseconds) } ?? .null
  }
  static func uuid(_ uuid: UUID128?) -> Self {
    uuid.map { .blob(bytes(of: $0.high) + bytes(of: $0.low)) } ?? .null
  }
  static func digest(_ digest: Digest) -> Self {
    let words = digest.words
    return .blob([words.0, words.1, words.2, words.3].flatMap { bytes(of: $0) })
  }

  /// Most significant first.
  static func bytes(of word: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) }
  }
}

/// The hash of a row and the digest of a file's content, written after docs/index-format.md alone: what
/// the code says of itself is compared with it.
public enum DocumentedHash {
  private static let c0: UInt64 = 0x6a09_e667_f3bc_c909
  private static let c1: UInt64 = 0xbb67_ae85_84ca_a73b
  private static let c2: UInt64 = 0x3c6e_f372_fe94_f82b
  private static let c3: UInt64 = 0xa54f_f53a_5f1d_36f1

  /// The 128 bits that stand for a row of a table.
  public static func row(table: Int, _ columns: [DocumentedColumn]) -> UInt128 {
    var now = c0 &+ UInt64(table)
    var next = c1
    for column in columns {
      for (x, y) in words(of: column) {
        let product = UInt128(x ^ c1) * UInt128(y ^ now)
        let folded = UInt64(truncatingIfNeeded: product >> 64) ^ UInt64(truncatingIfNeeded: product)
        (now, next) = (next, folded &+ rotated(x, 32) &+ rotated(now, 23))
      }
    }
    let low = scrambled(now &+ rotated(next, 31))
    return UInt128(scrambled(next ^ c3)) << 64 | UInt128(low)
  }

  /// The half that a row carries, as a signed integer.
  public static func checksum(_ hash: UInt128) -> Int64 { Int64(truncatingIfNeeded: hash) }

  private static func words(of column: DocumentedColumn) -> [(UInt64, UInt64)] {
    switch column {
    case .null: return [(1 &* c2, 0)]
    case .integer(let value): return [(2 &* c2, UInt64(bitPattern: value))]
    case .text(let bytes): return words(of: bytes, tag: 3 + 256 * UInt64(bytes.count))
    case .blob(let bytes): return words(of: bytes, tag: 4 + 256 * UInt64(bytes.count))
    }
  }

  private static func words(of bytes: [UInt8], tag: UInt64) -> [(UInt64, UInt64)] {
    let length = max(16, (bytes.count + 15) / 16 * 16)
    let padded = bytes + [UInt8](repeating: 0, count: length - bytes.count)
    var pairs = stride(from: 0, to: length, by: 16).map { place in
      (littleEndian(padded[place..<place + 8]), littleEndian(padded[place + 8..<place + 16]))
    }
    pairs[0].0 ^= tag &* c2
    return pairs
  }

  private static func littleEndian(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static func rotated(_ word: UInt64, _ bits: UInt64) -> UInt64 {
    word << bits | word >> (64 - bits)
  }

  private static func scrambled(_ word: UInt64) -> UInt64 {
    var word = (word ^ word >> 32) &* c2
    word = (word ^ word >> 29) &* c0
    return word ^ word >> 32
  }
}

/// Rows counted and summed by bucket.
public struct DocumentedBuckets {
  private var buckets: [Int: (count: UInt64, sum: UInt128)] = [:]

  public init() {}

  public mutating func add(_ hash: UInt128, to bucket: Int) {
    let before = buckets[bucket] ?? (0, 0)
    buckets[bucket] = (before.count + 1, before.sum &+ hash)
  }

  /// SHA-256 over the buckets that aren't empty, ascending.
  public var contentDigest: Journal.Digest? {
    var bytes: [UInt8] = []
    for (number, bucket) in buckets.sorted(by: { $0.key < $1.key }) {
      bytes += DocumentedColumn.bytes(of: UInt64(number)).suffix(4)
      bytes += DocumentedColumn.bytes(of: bucket.count)
      bytes += DocumentedColumn.bytes(of: UInt64(truncatingIfNeeded: bucket.sum >> 64))
      bytes += DocumentedColumn.bytes(of: UInt64(truncatingIfNeeded: bucket.sum))
    }
    return Journal.Digest(bytes: Array(SHA256.hash(data: bytes)))
  }
}
