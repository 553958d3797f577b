/// Where the parts of an archive's file are: docs/archive-format.md.
enum SegmentLayout {
  static let magic = Array("CELLARCH".utf8)
  static let format: UInt32 = 1
  /// Magic, format, zero, store, first index, last index, root behind the last entry.
  static let headerBytes = 80
  /// The table's offset, and the digest of all bytes before it.
  static let footerBytes = 40
  /// A record's length stands before it.
  static let lengthBytes = 4
  static let tableEntryBytes = 8

  static let smallestRecord = EntryHeader.length
  static let largestRecord = EntryHeader.maximumEntryLength + 32
  /// Bytes of a tile's block.
  static let blockBytes =
    TileLayout.tileBytes + TileLayout.width * (lengthBytes + smallestRecord)...TileLayout.tileBytes
    + TileLayout.width * (lengthBytes + largestRecord)

  static func header(store: StoreID, first: UInt64, last: UInt64, root: Digest) -> [UInt8] {
    var bytes = magic
    bytes.append(bigEndian: format)
    bytes.append(bigEndian: UInt32(0))
    bytes.append(contentsOf: store.uuid.bytes)
    bytes.append(bigEndian: first)
    bytes.append(bigEndian: last)
    root.append(to: &bytes)
    return bytes
  }

  /// The name of the file of some entries, in the folder of archives.
  static func fileName(first: UInt64, last: UInt64) -> String { "entries-\(first)-\(last)" }

  /// The entries that a file's name says it has; nil for the name of another file.
  static func entries(ofFile name: String) -> ClosedRange<UInt64>? {
    let parts = name.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 3, let first = UInt64(parts[1]), let last = UInt64(parts[2]),
      first > 0, first <= last, fileName(first: first, last: last) == name
    else { return nil }
    return first...last
  }
}

/// A tile's entries out of an archive: as they are, not checked against the tree yet.
struct ArchivedTile: Sendable {
  /// The block of the tile: 256 leaf hashes, and each record behind its length.
  let bytes: [UInt8]
  /// Where each entry is, with the root behind it if it has one.
  let records: [Range<Int>]

  /// - Returns: nil if the block breaks the format.
  init?(_ bytes: [UInt8]) {
    var records: [Range<Int>] = []
    records.reserveCapacity(TileLayout.width)
    var start = TileLayout.tileBytes
    for _ in 0..<TileLayout.width {
      guard start + SegmentLayout.lengthBytes <= bytes.count else { return nil }
      let length = Int(bytes.bigEndianWord32(at: start))
      start += SegmentLayout.lengthBytes
      guard (SegmentLayout.smallestRecord...SegmentLayout.largestRecord).contains(length),
        length <= bytes.count - start
      else { return nil }
      records.append(start..<start + length)
      start += length
    }
    guard start == bytes.count else { return nil }
    self.bytes = bytes
    self.records = records
  }

  /// The leaf hashes as they stand there.
  var leaves: [Digest] { (0..<TileLayout.width).map { bytes.digest(at: 32 * $0) } }
}
