internal import Synchronization

/// Leaf hashes of complete tiles that this process has found right: 255 hashes say so, and a complete
/// tile never changes. Entries are still checked against them each time that they are read.
///
/// For questions about single entries, which meet the same tiles again and again.
final class VerifiedTiles: Sendable {
  /// Tiles kept: a megabyte.
  private static let capacity = 128

  private let known = Mutex<(tiles: [UInt64: [Digest]], order: [UInt64])>(([:], []))

  /// The leaf hashes of a tile, as they are known or as `read` finds them.
  func leaves(
    ofTile tile: UInt64, _ read: () throws(JournalError) -> [Digest]
  ) throws(JournalError) -> [Digest] {
    if let leaves = known.withLock({ $0.tiles[tile] }) { return leaves }
    let leaves = try read()
    known.withLock { known in
      guard known.tiles.updateValue(leaves, forKey: tile) == nil else { return }
      known.order.append(tile)
      if known.order.count > Self.capacity { known.tiles[known.order.removeFirst()] = nil }
    }
    return leaves
  }
}
