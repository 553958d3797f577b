import Foundation
import Journal
import Projections
import TestSupport
import Testing

@Suite struct IndexGenerationsTests {
  private let history = RandomHistory(seed: 31, count: 120)

  /// A store's folder whose current index, generation 1, holds `history`.
  private func withStore(_ body: (IndexGenerations) throws -> Void) throws {
    try withTemporaryFolder(named: "a store") { folder in
      let generations = IndexGenerations(folder: folder)
      try makeIndex(of: history, at: generations.path(of: 1))
      try generations.switchCurrent(to: 1)
      try body(generations)
    }
  }

  private func open(
    _ generations: IndexGenerations, store: StoreID? = nil, head: UInt64 = 120,
    rootAt: (UInt64) -> Digest = RandomHistory.root
  ) throws -> IndexReader {
    let reader = try generations.open(store: store ?? history.store).reader
    let checkpoint = try reader.checkpoint()
    try IndexGenerations.compare(
      checkpoint, at: reader.path, head: head, root: rootAt(checkpoint.position.index))
    return reader
  }

  /// The fault that opening runs into.
  private func fault(_ body: () throws -> IndexReader) -> IndexFault? {
    do {
      _ = try body()
    } catch ProjectionError.fault(let fault) {
      return fault
    } catch {
      Issue.record(error)
    }
    return nil
  }

  @Test func `opens the index that CURRENT names, behind the journal or level with it`() throws {
    try withStore { (generations) throws in
      #expect(try open(generations).checkpoint().position.index == 120)
      #expect(try open(generations, head: 500).checkpoint().position.index == 120)
      #expect(try generations.current().number == 1)
    }
  }

  @Test func `tells a store without CURRENT from one whose CURRENT is damaged`() throws {
    try withStore { (generations) throws in
      let path = generations.folder + "/CURRENT"
      let sound = try Data(contentsOf: URL(fileURLWithPath: path))
      for bit in 0..<(sound.count * 8) {
        var flipped = sound
        flipped[bit / 8] ^= 1 << (bit % 8)
        try flipped.write(to: URL(fileURLWithPath: path))
        #expect(fault { try open(generations) } == .unreadableCurrent, "bit \(bit)")
      }
      try Data(repeating: 0x41, count: 5_000).write(to: URL(fileURLWithPath: path))
      #expect(fault { try open(generations) } == .unreadableCurrent)
      try FileManager.default.removeItem(atPath: path)
      #expect(fault { try open(generations) } == .noCurrent)
    }
  }

  @Test func `recognises a missing, truncated, foreign and newer file`() throws {
    try withStore { (generations) throws in
      let path = generations.path(of: 1)
      let other = StoreID(UUID128(high: 1, low: 1))
      #expect(
        fault { try open(generations, store: other) }
          == .otherStore(path: path, found: history.store))
      try SQLiteConnection(path: path, mode: .readWrite).execute("PRAGMA user_version=9")
      #expect(fault { try open(generations) } == .otherVersion(path: path, found: 9))
      removeIndex(at: path)
      #expect(fault { try open(generations) } == .missing(path: path))
      try Data().write(to: URL(fileURLWithPath: path))
      #expect(fault { try open(generations) }?.isSafeToReplace == true)
      try Data(repeating: 7, count: 9_000).write(to: URL(fileURLWithPath: path))
      #expect(fault { try open(generations) }?.isSafeToReplace == true)
    }
  }

  @Test func `does not replace an index that knows more than the journal, or another past`() throws
  {
    try withStore { (generations) throws in
      let path = generations.path(of: 1)
      let checkpoint = Position(epoch: 1, index: 120)
      let ahead = fault { try open(generations, head: 119) }
      #expect(ahead == .aheadOfJournal(path: path, checkpoint: checkpoint, head: 119))
      #expect(ahead?.isSafeToReplace == false)
      let diverged = fault { try open(generations) { RandomHistory.root($0 + 1) } }
      #expect(diverged == .diverged(path: path, checkpoint: checkpoint))
      #expect(diverged?.isSafeToReplace == false)
    }
  }

  @Test func `a generation that is being made, in this process too, is nobody's to remove`() throws
  {
    try withStore { (generations) throws in
      var new: HeldGeneration? = try generations.reserve()
      #expect(new?.number == 2)
      #expect(try generations.reserve().number == 3, "two replays never have one number")
      try makeIndex(of: history, at: generations.path(of: 2))  // whole, and not switched to yet
      #expect(try generations.prune(keeping: 0, store: history.store).isEmpty)
      #expect(generations.removeAbandonedScratch() == [])
      new = nil
      #expect(try generations.prune(keeping: 0, store: history.store).map(\.number) == [2])
    }
  }

  @Test func `the mark of a killed replay keeps nothing, and goes`() throws {
    try withStore { (generations) throws in
      try makeIndex(of: history, at: generations.path(of: 2))
      try Data().write(to: URL(fileURLWithPath: generations.folder + "/index-2.making"))
      #expect(try generations.prune(keeping: 0, store: history.store).map(\.number) == [2])
      let left = try FileManager.default.contentsOfDirectory(atPath: generations.folder)
      #expect(!left.contains { $0.hasPrefix("index-2") }, "\(left)")
      try Data().write(to: URL(fileURLWithPath: generations.folder + "/index-3.making"))
      #expect(generations.removeAbandonedScratch() == ["index-3.making"])
    }
  }

  @Test func `switches forth and back, and never uses a number again`() throws {
    try withStore { (generations) throws in
      let first = try generations.current()
      #expect(try generations.nextNumber() == 2)
      try makeIndex(of: history, at: generations.path(of: 2))
      try generations.switchCurrent(to: 2)
      #expect(try generations.current().number == 2)
      #expect(try open(generations).path == generations.path(of: 2))
      try generations.switchCurrent(to: 1)
      #expect(try open(generations).path == generations.path(of: 1))
      #expect(try generations.current() != first, "the mark differs, though the number doesn't")
      try generations.remove(2)
      #expect(try generations.numbers() == [1])
      #expect(try generations.nextNumber() == 3)
      try makeIndex(of: history, at: generations.path(of: 3))
      try generations.remove(3)
      #expect(try generations.nextNumber() == 4, "though CURRENT was written before it was made")
      try generations.switchCurrent(to: 1)
      #expect(try generations.nextNumber() == 4)
      try FileManager.default.removeItem(atPath: generations.folder + "/CURRENT")
      #expect(try generations.nextNumber() == 2)
    }
  }
}
