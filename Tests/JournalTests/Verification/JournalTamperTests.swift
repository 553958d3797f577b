import Foundation
@testable import Journal
import Testing

/// Whatever is changed in a journal so that it says something else is found. Small here; as large as
/// CELLMAP_TAMPER_CASES says ('tools/test --faults' says 1,500).
@Suite struct JournalTamperTests {
  private static let cases =
    ProcessInfo.processInfo.environment["CELLMAP_TAMPER_CASES"].flatMap { Int($0) } ?? 200

  private enum Kind: CaseIterable {
    case byteOfEntry, byteOfRoot, byteOfTile, swap, swapWithIndexes, removal, removalOfMany,
      insertion,
      insertionWithIndex, truncation, stepBack, movedRoot, lostRoot, entryAndLeaf, entryAndTile,
      entryAndTree, lostTile
  }

  @Test func `each change of what a journal says is found`() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededGenerator(seed: seed)
    try withTemporaryDirectory { folder in
      let store = folder + "/s"
      let sound = try Self.sample(in: store)
      var found: [Kind: Int] = [:]
      for round in 0..<Self.cases {
        let kind = Kind.allCases[round % Kind.allCases.count]
        var changed = sound
        Self.change(&changed, kind, &generator)
        try #require(changed.entries != sound.entries || changed.tiles != sound.tiles)
        try changed.write(to: store)
        #expect(Self.isFound(store), "\(kind) is not found, seed \(seed), round \(round)")
        found[kind, default: 0] += 1
      }
      #expect(found.count == min(Self.cases, Kind.allCases.count))
      try sound.write(to: store)
      #expect(!Self.isFound(store))
    }
  }

  @Test func `a complete rewriting is found against a kept checkpoint, and by nothing else`() throws
  {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededGenerator(seed: seed)
    try withTemporaryDirectory { folder in
      let store = folder + "/s"
      let sound = try Self.sample(in: store)
      let kept = try EventJournal.open(store).checkpoint()
      for _ in 0..<max(4, Self.cases / 50) {
        let index = Int.random(in: 3...sound.entries.count - 1, using: &generator)
        try sound.rewritten(changing: index, in: store)
        #expect(!Self.isFound(store), "seed \(seed)")
        guard case .rewritten = try EventJournal.open(store).compare(with: kept) else {
          Issue.record("entry \(index) was rewritten unseen, seed \(seed)")
          continue
        }
      }
    }
  }

  /// docs/threat-model.md says so: what was committed together is no part of the tree.
  @Test func `a commit's end that is gone from the middle is found by nothing`() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededGenerator(seed: seed)
    try withTemporaryDirectory { folder in
      let store = folder + "/s"
      let sound = try Self.sample(in: store)
      let kept = try EventJournal.open(store).checkpoint()
      for _ in 0..<max(4, Self.cases / 50) {
        var changed = sound
        let place = Int.random(in: 0..<sound.entries.count / 2, using: &generator)
        changed.entries[Self.commitEnd(sound, from: place)].removeLast(32)
        try changed.write(to: store)
        #expect(!Self.isFound(store), "seed \(seed)")
        guard case .continued = try EventJournal.open(store).compare(with: kept) else {
          Issue.record("the checkpoint tells it, seed \(seed)")
          continue
        }
      }
    }
  }

  /// Two tiles and some entries more, in commits of many sizes.
  private static func sample(in store: String) throws -> JournalRecords {
    let journal = try makeJournal(store)
    var number = 0
    for round in 0..<60 {
      let count = 1 + round % 19
      try journal.appendNow(Drafts.mappings(number..<number + count))
      number += count
    }
    return try JournalRecords(of: journal)
  }

  private static func isFound(_ store: String) -> Bool {
    do throws(JournalError) {
      _ = try EventJournal.open(store).verify()
      return false
    } catch {
      return [.integrity, .notAStore, .newerFormat].contains(error.category)
    }
  }

  private static func change(
    _ records: inout JournalRecords, _ kind: Kind, _ generator: inout SeededGenerator
  ) {
    let count = records.entries.count
    let place = Int.random(in: 0..<count - 1, using: &generator)
    let flip = UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
    switch kind {
    case .byteOfEntry:
      let byte = Int.random(in: 0..<records.length(of: place), using: &generator)
      records.entries[place][byte] ^= flip
    case .byteOfRoot:
      let place = commitEnd(records, from: place)
      let length = records.length(of: place)
      records.entries[place][Int.random(in: length..<length + 32, using: &generator)] ^= flip
    case .byteOfTile:
      let tile = Int.random(in: 0..<records.tiles.count, using: &generator)
      let byte = Int.random(in: 0..<records.tiles[tile].count, using: &generator)
      records.tiles[tile][byte] ^= flip
    case .swap: records.entries.swapAt(place, place + 1)
    case .swapWithIndexes:
      records.entries.swapAt(place, place + 1)
      for place in place...place + 1 { setIndex(&records.entries[place], place + 1) }
    case .removal: records.entries.remove(at: place)
    case .removalOfMany:
      let end = Int.random(in: place + 1...count - 1, using: &generator)
      records.entries.removeSubrange(place..<end)
    case .insertion: records.entries.insert(records.entries[place], at: place)
    case .insertionWithIndex:
      records.entries.insert(records.entries[place], at: place)
      setIndex(&records.entries[place + 1], place + 2)
    case .truncation: records.entries.removeSubrange((place + 1)...)
    case .stepBack:
      records.entries.removeSubrange((commitEnd(records, from: place / 2) + 1)...)
      let tiles = UInt64(records.entries.count / TileLayout.width)
      records.tiles.removeSubrange(Int(TileLayout.key(ofTile: tiles))...)
    case .movedRoot:
      let place = commitEnd(records, from: place / 2)
      let root = records.entries[place].suffix(32)
      records.entries[place].removeLast(32)
      records.entries[place + 1] =
        Array(records.entries[place + 1][..<records.length(of: place + 1)]) + root
    case .lostRoot: records.entries[count - 1].removeLast(32)
    case .entryAndLeaf, .entryAndTile, .entryAndTree:
      let byte = Int.random(in: 72..<records.length(of: place), using: &generator)
      records.entries[place][byte] ^= flip
      mend(&records, place, upTo: kind)
    case .lostTile:
      records.tiles.remove(at: Int.random(in: 0..<records.tiles.count, using: &generator))
    }
  }

  /// Makes leaf, tile and tree fit a changed entry; the roots behind commits stay.
  private static func mend(_ records: inout JournalRecords, _ place: Int, upTo kind: Kind) {
    let tile = place / TileLayout.width
    let key = Int(TileLayout.key(ofTile: UInt64(tile)))
    guard key < records.tiles.count else { return }
    let leaf = TreeHash.leaf(Array(records.entries[place][..<records.length(of: place)]))
    let start = place % TileLayout.width * 32
    records.tiles[key].replaceSubrange(start..<start + 32, with: leaf.bytes)
    guard kind != .entryAndLeaf else { return }
    let leaves = (0..<TileLayout.width).map { records.tiles[key].digest(at: 32 * $0) }
    records.tiles[key + 1] = TreeFrontier.root(of: leaves).bytes
    guard kind == .entryAndTree else { return }
    var frontier = TreeFrontier()
    for tile in 0..<UInt64(records.entries.count / TileLayout.width) {
      let key = Int(TileLayout.key(ofTile: tile)) + 1
      frontier.append(records.tiles[key].digest(at: 0)) { height, root in
        records.tiles[key + height] = root.bytes
      }
    }
  }

  private static func commitEnd(_ records: JournalRecords, from place: Int) -> Int {
    (place..<records.entries.count).first { records.entries[$0].count > records.length(of: $0) }
      ?? records.entries.count - 1
  }

  private static func setIndex(_ record: inout [UInt8], _ index: Int) {
    for byte in 0..<8 { record[16 + byte] = UInt8(truncatingIfNeeded: index >> (56 - 8 * byte)) }
  }
}
