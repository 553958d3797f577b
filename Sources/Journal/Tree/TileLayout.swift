/// Where the `tiles` database keeps the tiles and the roots of complete subtrees.
///
/// Tile t and the roots that it completes have sequential keys, so that every record is appended.
/// Tile t begins at K(t) = 3·t − popcount(t): t tiles, and before them one record for each complete
/// subtree of 2^j tiles, which number 2·t − popcount(t).
public enum TileLayout {
  /// Leaves of one tile.
  public static let width = 256
  /// The level of a tile's root: 2^8 leaves.
  public static let rootLevel = 8
  /// Bytes of a tile.
  public static let tileBytes = width * 32

  /// The key of tile t.
  public static func key(ofTile tile: UInt64) -> UInt64 {
    3 * tile - UInt64(tile.nonzeroBitCount)
  }

  /// The key of the root of the complete subtree at `level` (8 and above) whose last tile is
  /// `tile`; nil if no complete subtree of that level ends there.
  public static func key(ofRootAt level: Int, endingWith tile: UInt64) -> UInt64? {
    let height = level - rootLevel
    guard height >= 0, height <= (tile + 1).trailingZeroBitCount else { return nil }
    return key(ofTile: tile) + 1 + UInt64(height)
  }

  /// The keys and levels of the roots from which the tree of `tiles` complete tiles is made, largest
  /// subtree first.
  static func frontierRoots(tiles: UInt64) -> [(level: Int, key: UInt64)] {
    var roots: [(level: Int, key: UInt64)] = []
    var covered: UInt64 = 0
    for bit in stride(from: 63, through: 0, by: -1) where tiles & 1 << UInt64(bit) != 0 {
      covered += 1 << UInt64(bit)
      roots.append((rootLevel + bit, key(ofTile: covered - 1) + 1 + UInt64(bit)))
    }
    return roots
  }
}
