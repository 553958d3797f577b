internal import Dispatch

/// The records of one commit, made in memory before the transaction begins.
///
/// It is used again for each commit, so that its buffers keep their size.
struct AppendBatch {
  /// Entries one after the other, each behind the byte that its leaf hash begins with, so that it is
  /// hashed in one piece; then the root that stands behind the last.
  private var bytes: [UInt8] = []
  /// Where each entry ends; the last one with its root.
  private var ends: [Int] = []
  private var firstIndex: UInt64 = 0
  /// Tiles and roots that the commit completes, one after the other.
  private var tileBytes: [UInt8] = []
  private var tileEnds: [Int] = []
  private var firstTileKey: UInt64 = 0

  /// Bytes that LMDB is given.
  var byteCount: Int { bytes.count - ends.count + tileBytes.count }

  /// Encodes drafts as the entries after a tip, and moves the tip behind them.
  ///
  /// The leaf hash is computed from the very bytes that LMDB is handed.
  ///
  /// - Throws: `invalidDraft`; the tip is then worth nothing.
  // Hot path: at most 1 µs an entry with its hashes, no allocation but in the hash function.
  mutating func fill(
    with drafts: [EntryDraft], after tip: inout JournalTip
  ) throws(JournalError) {
    begin(after: tip)
    for draft in drafts {
      bytes.append(TreeHash.leafPrefix)
      let place = tip.chain.next(
        opening: draft.openedEpoch, observedAt: draft.authorship.observedAt)
      do throws(EntryError) {
        try draft.append(to: &bytes, at: place.position, orderedAt: place.orderedAt)
      } catch {
        throw .invalidDraft(error)
      }
      ends.append(bytes.count)
    }
    for leaf in leaves() { add(leaf, to: &tip) }
    tip.root = tip.frontier.root
    tip.root.append(to: &bytes)
    ends[ends.count - 1] = bytes.count
  }

  /// Forgets its records; the next ones come after a tip.
  mutating func begin(after tip: JournalTip) {
    bytes.removeAll(keepingCapacity: true)
    ends.removeAll(keepingCapacity: true)
    tileBytes.removeAll(keepingCapacity: true)
    tileEnds.removeAll(keepingCapacity: true)
    firstIndex = tip.position.index + 1
    firstTileKey = TileLayout.key(ofTile: tip.position.index / UInt64(TileLayout.width))
  }

  /// Takes entries of another journal over as they are, with the roots behind them, and moves the
  /// tip behind them.
  ///
  /// - Parameter path: The file that they come from.
  /// - Throws: What they are accused of: each has to follow the tip, and each root to be the tree's.
  mutating func copy(
    _ chunk: EntryChunk, of path: String, after tip: inout JournalTip
  ) throws(JournalError) {
    for place in 0..<chunk.count {
      let (index, start) = (tip.position.index + 1, bytes.count + 1)
      bytes.append(TreeHash.leafPrefix)
      bytes.append(contentsOf: chunk.bytes[chunk.record(at: place)])
      let (_, root) = try tip.chain.accept(
        bytes, in: start..<bytes.count, key: index, path: path)
      let end = bytes.count - (root == nil ? 0 : 32)
      ends.append(bytes.count)
      add(TreeHash.leaf(prefixed: bytes, in: start - 1..<end), to: &tip)
      guard let root else { continue }
      guard root == tip.frontier.root else {
        throw .damagedTree(index: index, what: "the root behind that entry is another")
      }
      tip.root = root
    }
  }

  /// Entries above which a second thread hashes half of them: below, waking it takes longer.
  private static let sharedHashing = 256

  /// The leaf hashes of the entries. They are more than half of what an entry costs here.
  private func leaves() -> [Digest] {
    guard ends.count >= Self.sharedHashing else { return ends.indices.map(leaf) }
    return unsafe [Digest](unsafeUninitializedCapacity: ends.count) { buffer, count in
      // Each half is written by one thread, and both are done before the buffer is let go of.
      nonisolated(unsafe) let digests = unsafe buffer
      let middle = ends.count / 2
      DispatchQueue.concurrentPerform(iterations: 2) { half in
        for place in half == 0 ? 0..<middle : middle..<ends.count {
          unsafe digests.initializeElement(at: place, to: leaf(place))
        }
      }
      count = ends.count
    }
  }

  private func leaf(_ place: Int) -> Digest {
    TreeHash.leaf(prefixed: bytes, in: (place == 0 ? 0 : ends[place - 1])..<ends[place])
  }

  @inline(__always)
  private mutating func add(_ leaf: Digest, to tip: inout JournalTip) {
    var roots: [Digest] = []
    let isTileFull = tip.append(leaf) { level, root in
      if level >= TileLayout.rootLevel { roots.append(root) }
    }
    guard isTileFull else { return }
    for leaf in tip.openTile { leaf.append(to: &tileBytes) }
    tileEnds.append(tileBytes.count)
    for root in roots {
      root.append(to: &tileBytes)
      tileEnds.append(tileBytes.count)
    }
    tip.openTile.removeAll(keepingCapacity: true)
  }

  /// Puts all records; may be called again in a new transaction.
  func put(into transaction: borrowing LMDBWriteTransaction) throws(LMDBError) {
    let entries = try transaction.database("entries", create: true)
    try AppendBatch.put(bytes, ends, gap: 1, from: firstIndex, to: entries, in: transaction)
    let tiles = try transaction.database("tiles", create: true)
    try AppendBatch.put(
      tileBytes, tileEnds, gap: 0, from: firstTileKey, to: tiles, in: transaction)
  }

  /// - Parameter gap: Bytes in front of each record that are not part of it.
  private static func put(
    _ bytes: [UInt8], _ ends: [Int], gap: Int, from key: UInt64, to database: LMDBDatabase,
    in transaction: borrowing LMDBWriteTransaction
  ) throws(LMDBError) {
    var start = 0
    for offset in 0..<ends.count {
      try transaction.append(
        key + UInt64(offset), bytes, in: start + gap..<ends[offset], to: database)
      start = ends[offset]
    }
  }
}

extension EntryDraft {
  /// The epoch that the event opens, if it opens one.
  fileprivate var openedEpoch: UInt32? {
    guard case .store(.epochOpened(let opening)) = event else { return nil }
    return opening.epoch
  }
}
