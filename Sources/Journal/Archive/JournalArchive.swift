/// The files that hold the entries before the first one of a journal's file.
///
/// The journal names them in its record `archive`; that they are the right ones the tree says, of which
/// the journal keeps the roots of all tiles.
final class JournalArchive: Sendable {
  static let key = "archive"
  static let recordBytes = 40

  let segments: [ArchiveSegment]
  /// The last entry that they have.
  var last: UInt64 { segments.last?.last ?? 0 }

  /// Reads the record of a journal.
  ///
  /// - Parameter path: The journal's file.
  /// - Throws: `corrupt` for a record that breaks the format.
  init(
    _ bytes: [UInt8], in range: Range<Int>, folder: String, store: StoreID, path: String
  ) throws(JournalError) {
    guard !range.isEmpty, range.count % JournalArchive.recordBytes == 0 else {
      throw .corrupt(path: path, what: "its record of archives has \(range.count) bytes")
    }
    var segments: [ArchiveSegment] = []
    var before: UInt64 = 0
    for start in stride(
      from: range.lowerBound, to: range.upperBound, by: JournalArchive.recordBytes)
    {
      let last = bytes.bigEndianWord(at: start)
      guard last > before, last % UInt64(TileLayout.width) == 0 else {
        throw .corrupt(path: path, what: "its record of archives names entry \(last)")
      }
      segments.append(
        ArchiveSegment(
          folder: folder, store: store, first: before + 1, last: last,
          digest: bytes.digest(at: start + 8)))
      before = last
    }
    self.segments = segments
  }

  /// The record of archives, as a journal has it.
  static func record(_ segments: [(last: UInt64, digest: Digest)]) -> [UInt8] {
    var bytes: [UInt8] = []
    for segment in segments {
      bytes.append(bigEndian: segment.last)
      segment.digest.append(to: &bytes)
    }
    return bytes
  }

  /// The file that has a tile.
  func segment(ofTile tile: UInt64) -> ArchiveSegment {
    let index = tile * UInt64(TileLayout.width) + 1
    precondition(index <= last, "the tile is archived")
    var (low, high) = (0, segments.count - 1)
    while low < high {
      let middle = (low + high) / 2
      if segments[middle].last < index { low = middle + 1 } else { high = middle }
    }
    return segments[low]
  }

  /// Checks each file byte for byte, side by side.
  ///
  /// - Throws: The first thing that is wrong.
  func check() throws(JournalError) {
    let results = SideBySide.map(0..<segments.count) { [segments] place in
      Result { () throws(JournalError) in try segments[place].check() }
    }
    for result in results { try result.get() }
  }
}
