import CLMDB
import Journal

/// The records of one commit, as this code's journal would write them.
///
/// Roots and tiles are filled with any bytes: LMDB only looks at how many there are.
struct RawCommit {
  private(set) var bytes: [UInt8] = []
  private(set) var ends: [Int] = []
  private(set) var firstIndex: UInt64 = 0
  private(set) var tileSizes: [Int] = []
  private(set) var firstTileKey: UInt64 = 0

  private static let rootBytes = 32

  /// The commits of drafts that follow an entry.
  static func commits(of batches: [[EntryDraft]], after last: UInt64) throws -> [RawCommit] {
    var index = last
    return try batches.map { drafts in
      var commit = RawCommit()
      commit.firstIndex = index + 1
      commit.firstTileKey = TileLayout.key(ofTile: index / UInt64(TileLayout.width))
      for draft in drafts {
        index += 1
        try draft.append(
          to: &commit.bytes, at: Position(epoch: 1, index: index),
          orderedAt: draft.authorship.observedAt)
        commit.ends.append(commit.bytes.count)
        if index.isMultiple(of: UInt64(TileLayout.width)) {
          let tiles = index / UInt64(TileLayout.width)
          commit.tileSizes.append(TileLayout.tileBytes)
          commit.tileSizes += Array(
            repeating: rootBytes, count: tiles.trailingZeroBitCount + 1)
        }
      }
      commit.bytes += Array(repeating: 0x5A, count: rootBytes)
      commit.ends[commit.ends.count - 1] += rootBytes
      return commit
    }
  }
}

/// LMDB as its own documentation has it: sequential keys, appended, one transaction a commit.
final class RawLMDB {
  private var environment: OpaquePointer?
  private let tile = [UInt8](repeating: 0xA5, count: TileLayout.tileBytes)

  init(path: String) throws {
    try check(mdb_env_create(&environment))
    try check(mdb_env_set_maxdbs(environment, 2))
    try check(mdb_env_set_mapsize(environment, 64 << 30))
    try check(
      mdb_env_open(environment, path, UInt32(MDB_NOSUBDIR) | UInt32(MDB_NOTLS), 0o600))
  }

  deinit { mdb_env_close(environment) }

  /// Returns once the commit is on disk.
  func write(_ commit: RawCommit) throws {
    var transaction: OpaquePointer?
    try check(mdb_txn_begin(environment, nil, 0, &transaction))
    var entries: MDB_dbi = 0
    var tiles: MDB_dbi = 0
    try check(mdb_dbi_open(transaction, "entries", UInt32(MDB_CREATE), &entries))
    try check(mdb_dbi_open(transaction, "tiles", UInt32(MDB_CREATE), &tiles))
    var start = 0
    for offset in commit.ends.indices {
      try append(
        commit.firstIndex + UInt64(offset), commit.bytes, start..<commit.ends[offset], entries,
        transaction)
      start = commit.ends[offset]
    }
    for (offset, size) in commit.tileSizes.enumerated() {
      try append(commit.firstTileKey + UInt64(offset), tile, 0..<size, tiles, transaction)
    }
    try check(mdb_txn_commit(transaction))
  }

  private func append(
    _ key: UInt64, _ bytes: [UInt8], _ range: Range<Int>, _ database: MDB_dbi,
    _ transaction: OpaquePointer?
  ) throws {
    var key = key.bigEndian
    let code = withUnsafeMutableBytes(of: &key) { key in
      bytes.withUnsafeBytes { bytes in
        var keyValue = MDB_val(mv_size: 8, mv_data: key.baseAddress)
        var value = MDB_val(
          mv_size: range.count,
          mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress! + range.lowerBound))
        return mdb_put(transaction, database, &keyValue, &value, UInt32(MDB_APPEND))
      }
    }
    try check(code)
  }

  private func check(_ code: Int32) throws {
    guard code == 0 else { throw BenchError.library("LMDB", code) }
  }
}

/// Why a measurement can't be made.
enum BenchError: Error, CustomStringConvertible {
  case library(String, Int32)
  case unexpected(String)

  var description: String {
    switch self {
    case .library(let name, let code): "\(name) failed with \(code)"
    case .unexpected(let what): what
    }
  }
}
