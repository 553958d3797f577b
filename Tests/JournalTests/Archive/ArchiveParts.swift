import Foundation
@testable import Journal

/// An archive's file in its parts, to be changed and put together again as a file that fits itself.
struct ArchiveParts: Equatable {
  struct Tile: Equatable {
    var leaves: [Digest]
    /// Each entry with the root behind it, if it has one.
    var records: [[UInt8]]
  }

  let store: StoreID
  var first: UInt64
  var last: UInt64
  var root: Digest
  var tiles: [Tile]

  /// - Parameter bytes: A sound file.
  init(_ bytes: [UInt8], of store: StoreID) {
    self.store = store
    first = bytes.bigEndianWord(at: 32)
    last = bytes.bigEndianWord(at: 40)
    root = bytes.digest(at: 48)
    let table = Int(bytes.bigEndianWord(at: bytes.count - SegmentLayout.footerBytes))
    let count = Int(last - first + 1) / TileLayout.width
    let starts = (0..<count).map { Int(bytes.bigEndianWord(at: table + 8 * $0)) } + [table]
    tiles = zip(starts, starts.dropFirst()).map { start, end in
      guard let tile = ArchivedTile(Array(bytes[start..<end])) else {
        preconditionFailure("a sound file")
      }
      return Tile(leaves: tile.leaves, records: tile.records.map { Array(tile.bytes[$0]) })
    }
  }

  var bytes: [UInt8] {
    var bytes = SegmentLayout.header(store: store, first: first, last: last, root: root)
    var table: [UInt8] = []
    for tile in tiles {
      table.append(bigEndian: UInt64(bytes.count))
      for leaf in tile.leaves { leaf.append(to: &bytes) }
      for record in tile.records {
        bytes.append(bigEndian: UInt32(record.count))
        bytes.append(contentsOf: record)
      }
    }
    let start = UInt64(bytes.count)
    bytes.append(contentsOf: table)
    bytes.append(bigEndian: start)
    return bytes + TreeHash.plain(bytes).bytes
  }

  /// Bytes of an entry without the root behind it.
  static func length(of record: [UInt8]) -> Int { EntryHeader.entryLength(of: record, at: 0) }
}

/// A way to make an archive say something else.
enum ArchiveForgery: CaseIterable {
  case byteOfEntry, byteOfRoot, byteOfLeaf, headerRoot, otherEntries, swap, swapWithIndexes,
    removal,
    insertion, movedRoot, lostRoot, addedRoot, entryAndLeaf, swappedTiles, doubledTile, stepBack

  func change(_ parts: inout ArchiveParts, _ generator: inout SeededGenerator) {
    let tile = Int.random(in: parts.tiles.indices, using: &generator)
    let place = Int.random(in: 0..<TileLayout.width - 1, using: &generator)
    let flip = UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
    let end = parts.tiles[tile].records.indices.first { place in
      let record = parts.tiles[tile].records[place]
      return record.count > ArchiveParts.length(of: record)
    }
    switch self {
    case .byteOfEntry, .entryAndLeaf:
      var record = parts.tiles[tile].records[place]
      let length = ArchiveParts.length(of: record)
      record[Int.random(in: 72..<length, using: &generator)] ^= flip
      parts.tiles[tile].records[place] = record
      guard self == .entryAndLeaf else { return }
      parts.tiles[tile].leaves[place] = TreeHash.leaf(Array(record[..<length]))
    case .byteOfRoot:
      guard let end else { return }
      let byte = parts.tiles[tile].records[end].count - Int.random(in: 1...32, using: &generator)
      parts.tiles[tile].records[end][byte] ^= flip
    case .byteOfLeaf:
      parts.tiles[tile].leaves[place] = TreeHash.plain([flip])
    case .headerRoot: parts.root = TreeHash.plain([flip])
    case .otherEntries:
      parts.first += 256
      parts.last += 256
    case .swap, .swapWithIndexes:
      parts.tiles[tile].records.swapAt(place, place + 1)
      guard self == .swapWithIndexes else { return }
      for place in place...place + 1 {
        let index = parts.first + UInt64(tile * TileLayout.width + place)
        for byte in 0..<8 {
          parts.tiles[tile].records[place][16 + byte] = UInt8(
            truncatingIfNeeded: index >> UInt64(56 - 8 * byte))
        }
      }
    case .removal:
      parts.tiles[tile].records.remove(at: place)
      parts.tiles[tile].records.append(parts.tiles[tile].records[254])
    case .insertion:
      parts.tiles[tile].records.insert(parts.tiles[tile].records[place], at: place)
      parts.tiles[tile].records.removeLast()
    case .movedRoot, .lostRoot:
      guard let end, end + 1 < TileLayout.width else { return }
      let root = parts.tiles[tile].records[end].suffix(32)
      parts.tiles[tile].records[end].removeLast(32)
      guard self == .movedRoot else { return }
      let next = parts.tiles[tile].records[end + 1]
      parts.tiles[tile].records[end + 1] = Array(next[..<ArchiveParts.length(of: next)]) + root
    case .addedRoot:
      guard let end else { return }
      let root = parts.tiles[tile].records[end].suffix(32)
      let other = end == 0 ? 1 : end - 1
      let record = parts.tiles[tile].records[other]
      parts.tiles[tile].records[other] = Array(record[..<ArchiveParts.length(of: record)]) + root
    case .swappedTiles: parts.tiles.swapAt(0, 1)
    case .doubledTile: parts.tiles[1] = parts.tiles[0]
    case .stepBack:
      parts.tiles.removeLast()
      parts.last -= 256
    }
  }
}
