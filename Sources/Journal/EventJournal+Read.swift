extension EventJournal {
  /// The entry at an index, checked against its leaf hash in the tree.
  ///
  /// - Returns: nil for 0 and beyond the head; within it, an entry that isn't there is damage.
  /// - Throws: What damages it; `newerEvent` if a newer program wrote it.
  public func entry(at index: UInt64) throws(JournalError) -> Entry? {
    guard index > 0 else { return nil }
    return try entries(after: index - 1, limit: 1).first
  }

  /// Entries in order, from the one after `index`, at most `limit` of them and none beyond the head.
  ///
  /// - Throws: As `forEachEntry`, and `newerEvent`.
  public func entries(after index: UInt64, limit: Int) throws(JournalError) -> [Entry] {
    var entries: [Entry] = []
    try forEachEntry(after: index, limit: limit) { (header, bytes, start) throws(JournalError) in
      entries.append(
        try readable(at: header.position.index) { () throws(EntryError) in
          try Entry(decoding: bytes, at: start)
        })
    }
    return entries
  }

  /// The entries at some indexes, each checked as by `entry(at:)`; those of one tile are read together.
  ///
  /// - Parameter indexes: Ascending, from 1, none beyond the head that this process knows.
  /// - Throws: As `entry(at:)`.
  public func entries(at indexes: [UInt64]) throws(JournalError) -> [Entry] {
    let tip = self.tip
    precondition(
      (indexes.first ?? 1) > 0 && indexes.last ?? 0 <= tip.position.index, "entries that are there")
    var entries: [Entry] = []
    entries.reserveCapacity(indexes.count)
    var rest = indexes[...]
    while !rest.isEmpty {
      let part = rest.prefix(Self.seeksOfOneSnapshot)
      entries += try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
        try self.entries(at: part, in: snapshot, tip: tip)
      }
      rest = rest.dropFirst(part.count)
    }
    return entries
  }

  /// A busy writer would overtake a reader who looked for more.
  private static let seeksOfOneSnapshot = 64

  private func entries(
    at indexes: ArraySlice<UInt64>, in snapshot: JournalSnapshot, tip: JournalTip
  ) throws(JournalError) -> [Entry] {
    var entries: [Entry] = []
    var chunk = EntryChunk()
    var cursor = EntryCursor(snapshot)
    var rest = indexes
    while let first = rest.first {
      let tileEnd = ((first - 1) / UInt64(TileLayout.width) + 1) * UInt64(TileLayout.width)
      let part = rest.prefix { $0 <= tileEnd }
      try chunk.read(part, from: snapshot, by: &cursor, tip: tip, known: verifiedTiles)
      for place in 0..<chunk.count {
        entries.append(
          try readable(at: chunk.headers[place].position.index) { () throws(EntryError) in
            try Entry(decoding: chunk.bytes, at: chunk.starts[place])
          })
      }
      rest = rest.dropFirst(part.count)
    }
    return entries
  }

  /// The changes of the entries after `index`, as projections fold them; as `entries(after:limit:)`.
  public func changes(after index: UInt64, limit: Int) throws(JournalError) -> [EntryChange] {
    var changes: [EntryChange] = []
    try forEachEntry(after: index, limit: limit) { (header, bytes, start) throws(JournalError) in
      changes.append(
        try readable(at: header.position.index) { () throws(EntryError) in
          try Entry.change(decoding: bytes, at: start)
        })
    }
    return changes
  }

  /// The changes of some kinds of things after `index`, up to the head that this process knows.
  ///
  /// Every entry is read and checked, and the others are not decoded: some microseconds an entry.
  ///
  /// - Throws: As `forEachEntry`, and `newerEvent` for an event of one of them.
  public func changes(
    of kinds: EntityKey.Kind..., after index: UInt64
  ) throws(JournalError) -> [EntryChange] {
    var changes: [EntryChange] = []
    try forEachEntry(after: index) { (header, bytes, start) throws(JournalError) in
      guard kinds.contains(header.entityKind) else { return }
      changes.append(
        try readable(at: header.position.index) { () throws(EntryError) in
          try Entry.change(decoding: bytes, at: start)
        })
    }
    return changes
  }

  /// Calls `body` with each entry after `index`, at most `limit` of them, up to the head that this
  /// process knows (`refresh()` moves it).
  ///
  /// Each entry is checked before it is handed out: its place, and its leaf hash in the tree.
  ///
  /// - Parameter body: Gets the fixed part, a buffer, and where in it the entry begins.
  /// - Throws: `missingEntry`, `damagedEntry`, `damagedTree`, `corrupt`, `truncated`, `file`; what
  ///   `body` throws.
  // Hot path: replay reads millions of entries; a tile at a time, no allocation an entry.
  public func forEachEntry(
    after index: UInt64, limit: Int = .max,
    _ body: (EntryHeader, [UInt8], Int) throws(JournalError) -> Void
  ) throws(JournalError) {
    let tip = self.tip
    let last = tip.position.index
    guard index < last, limit > 0 else { return }
    let end = UInt64(limit) < last - index ? index + UInt64(limit) : last
    var chunk = EntryChunk()
    var next = index + 1
    while next <= end {
      try read(&chunk, from: next, through: end, tip: tip)
      for entry in 0..<chunk.count {
        try body(chunk.headers[entry], chunk.bytes, chunk.starts[entry])
      }
      next += UInt64(chunk.count)
    }
  }

  /// The entries of one tile, or a part of them: those from `first` on, up to the end of its tile
  /// and none beyond `last`, which is at most the head that this process knows.
  ///
  /// - Throws: As `forEachEntry`.
  public func chunk(
    from first: UInt64, through last: UInt64
  ) throws(JournalError) -> EntryChunk {
    let tip = self.tip
    precondition(first > 0 && first <= last && last <= tip.position.index, "entries that are there")
    var chunk = EntryChunk()
    try read(&chunk, from: first, through: last, tip: tip)
    return chunk
  }

  private func read(
    _ chunk: inout EntryChunk, from first: UInt64, through last: UInt64, tip: JournalTip
  ) throws(JournalError) {
    let tileEnd = ((first - 1) / UInt64(TileLayout.width) + 1) * UInt64(TileLayout.width)
    try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
      var cursor = EntryCursor(snapshot)
      try chunk.read(first...min(last, tileEnd), from: snapshot, by: &cursor, tip: tip)
    }
  }

  /// The hashes that prove that an entry is in the tree of the first `size` entries.
  ///
  /// - Throws: The errors of damage.
  public func inclusionProof(
    ofEntry index: UInt64, in size: UInt64
  ) throws(JournalError) -> [Digest] {
    precondition(index > 0 && index <= size, "a proof is about an entry of the tree")
    return try proof { (source) throws(JournalError) in
      try TreeProof.inclusion(ofLeaf: index - 1, in: size, source)
    }
  }

  /// The hashes that prove that the first `first` entries are the beginning of the first `second`.
  ///
  /// - Throws: The errors of damage.
  public func consistencyProof(
    from first: UInt64, to second: UInt64
  ) throws(JournalError) -> [Digest] {
    try proof { (source) throws(JournalError) in
      try TreeProof.consistency(from: first, to: second, source)
    }
  }

  private func proof(
    _ body: (TreeProof.Source<JournalError>) throws(JournalError) -> [Digest]
  ) throws(JournalError) -> [Digest] {
    let tip = self.tip
    return try JournalSnapshot.read(file) { (snapshot) throws(JournalError) in
      var reader = TileReader(snapshot)
      let complete = tip.position.index / UInt64(TileLayout.width) * UInt64(TileLayout.width)
      return try body { (level, position) throws(JournalError) in
        let first = position << UInt64(level)
        guard first >= complete else { return try reader.root(at: level, position: position) }
        let start = Int(first - complete)
        precondition(
          start + 1 << level <= tip.openTile.count, "a proof is about entries of the journal")
        return TreeFrontier.root(of: tip.openTile[start..<start + 1 << level])
      }
    }
  }

  func readable<Value>(
    at index: UInt64, _ read: () throws(EntryError) -> Value
  ) throws(JournalError) -> Value {
    do throws(EntryError) {
      return try read()
    } catch .malformed(let what) {
      throw .damagedEntry(index: index, what: what)
    } catch {
      throw .newerEvent(error)
    }
  }
}

/// Entries of one tile, read and checked: their places, and their leaf hashes in the tree.
public struct EntryChunk: Sendable {
  /// The entries, one after the other, each with the root behind it if it is the last of its commit.
  public private(set) var bytes: [UInt8] = []
  /// Where each entry begins.
  public private(set) var starts: [Int] = []
  private(set) var headers: [EntryHeader] = []

  init() {}

  /// The chunk of an entry that was exported, with the root behind it.
  init(_ line: EntryLine) {
    bytes = line.entry + (line.root?.bytes ?? [])
    starts = [0]
    headers = [line.header]
  }

  /// How many entries there are.
  public var count: Int { starts.count }

  /// The places in `starts` of the entries from an index on; the entries follow on each other.
  public func places(from index: UInt64) -> Range<Int> {
    guard let first = headers.first?.position.index, index > first else { return 0..<count }
    return Int(min(index - first, UInt64(count)))..<count
  }

  /// Where an entry stands in `bytes`, with the root behind it if it has one.
  func record(at place: Int) -> Range<Int> {
    starts[place]..<(place + 1 < count ? starts[place + 1] : bytes.count)
  }

  /// Most entries of a bulk command are no longer; longer ones make the buffer grow.
  private static let usualEntryBytes = 384

  /// Reads entries that lie in one tile, and compares their leaf hashes with the tile's.
  ///
  /// - Parameters:
  ///   - indexes: At least one, ascending.
  ///   - cursor: Of the snapshot's entries.
  ///   - known: Tiles that were read before; nil for whoever reads each tile once.
  mutating func read(
    _ indexes: some Collection<UInt64>, from snapshot: JournalSnapshot,
    by cursor: inout EntryCursor, tip: JournalTip, known: VerifiedTiles? = nil
  ) throws(JournalError) {
    guard let first = indexes.first else { return }
    bytes.removeAll(keepingCapacity: true)
    starts.removeAll(keepingCapacity: true)
    headers.removeAll(keepingCapacity: true)
    starts.reserveCapacity(indexes.count)
    headers.reserveCapacity(indexes.count)
    bytes.reserveCapacity(indexes.count * Self.usualEntryBytes)
    let width = UInt64(TileLayout.width)
    let tile = (first - 1) / width
    var leaves = tip.openTile
    if tile < tip.position.index / width {
      func read() throws(JournalError) -> [Digest] {
        var reader = TileReader(snapshot)
        return try reader.leaves(ofTile: tile)
      }
      if let known { leaves = try known.leaves(ofTile: tile, read) } else { leaves = try read() }
    }
    var before: UInt64 = 0
    for index in indexes {
      let isThere =
        index == before + 1 && index > first ? try cursor.next() : try cursor.seek(index)
      before = index
      guard isThere, cursor.key == index else { throw .missingEntry(index: index) }
      do throws(JournalError) {
        try take(cursor, leaf: leaves[Int((index - 1) % width)])
      } catch {
        throw cursor.naming(error)
      }
    }
  }

  private mutating func take(_ cursor: EntryCursor, leaf: Digest) throws(JournalError) {
    let index = cursor.key
    let header = try EntryChain.header(
      cursor.bytes, in: cursor.range, index: index, path: cursor.path)
    let start = cursor.range.lowerBound
    let end = start + Int(header.entryLength)
    guard header.position.index == index,
      TreeHash.leaf(cursor.bytes, in: start..<end) == leaf
    else { throw .damagedEntry(index: index, what: "its digest is not that in the tree") }
    starts.append(bytes.count)
    headers.append(header)
    bytes.append(contentsOf: cursor.bytes[cursor.range])
  }
}
