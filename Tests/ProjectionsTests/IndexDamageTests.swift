import Foundation
import Journal
import Projections
import TestSupport
import Testing

@Suite struct IndexDamageTests {
  /// What a reader said of a damaged file.
  private enum Answer: Equatable {
    case right, refused
  }

  /// Asks the index at `path` everything that `history` knows; a wrong answer is recorded.
  private func interrogate(
    _ path: String, _ history: RandomHistory, unknown: [InstanceID], _ note: Comment
  ) -> Answer {
    var answer = Answer.right
    func expect<Value: Equatable>(_ expected: Value, _ ask: () throws -> Value) {
      do {
        let value = try ask()
        #expect(value == expected, note)
      } catch {
        answer = .refused
      }
    }
    guard let reader = try? IndexReader(path: path) else { return .refused }
    let head = Position(epoch: 1, index: history.head)
    expect(IndexCheckpoint(position: head, root: RandomHistory.root(history.head))) {
      try reader.checkpoint()
    }
    for id in history.known {
      expect(history.instances[id]) { try reader.instance(id) }
      expect(history.instances[id].map(InstanceRoute.init)) { try reader.lookup(id) }
    }
    for id in unknown { expect(nil) { try reader.lookup(id) } }
    for (id, row) in history.cells { expect(row) { try reader.cell(id) } }
    for (name, row) in history.hosts { expect(row) { try reader.host(name) } }
    expect(nil) { try reader.cell(CellID(UUID128(high: 3, low: 3))) }
    expect(history.cells.count) { try reader.cells().count }
    return answer
  }

  @Test func `1,000 flipped bits give no wrong row and no false absence`() throws {
    let seed: UInt64 = 77
    var generator = SeededGenerator(seed: seed &+ 1)
    let history = RandomHistory(seed: seed, count: 600)
    let unknown = (0..<20).map { _ in
      InstanceID(UUID128(high: generator.next(), low: generator.next()))
    }
    try withTemporaryFolder { folder in
      let path = folder + "/i"
      try makeIndex(of: history, at: path)
      let sound = try Data(contentsOf: URL(fileURLWithPath: path))
      #expect(interrogate(path, history, unknown: unknown, "before") == .right)
      removeIndex(at: path)
      var refused = 0
      for round in 0..<1_000 {
        let bit = Int.random(in: 0..<(sound.count * 8), using: &generator)
        var flipped = sound
        flipped[bit / 8] ^= 1 << (bit % 8)
        try flipped.write(to: URL(fileURLWithPath: path))
        let note: Comment = "seed \(seed), round \(round), bit \(bit)"
        if interrogate(path, history, unknown: unknown, note) == .refused { refused += 1 }
        removeIndex(at: path)
      }
      #expect(refused > 100, "too few flips were seen for the test to mean anything: \(refused)")
    }
  }

  @Test(arguments: [0, 100, 4096, 20_000])
  func `refuses a truncated file`(length: Int) throws {
    let history = RandomHistory(seed: 8, count: 300)
    try withTemporaryFolder { folder in
      let path = folder + "/i"
      try makeIndex(of: history, at: path)
      removeWAL(of: path)
      let sound = try Data(contentsOf: URL(fileURLWithPath: path))
      try sound.prefix(length).write(to: URL(fileURLWithPath: path))
      #expect(throws: ProjectionError.self) { try IndexReader(path: path).checkIndex() }
    }
  }

  @Test func `refuses another database and another version`() throws {
    try withTemporaryFolder { folder in
      let foreign = folder + "/foreign"
      try SQLiteConnection(path: foreign, mode: .readWriteCreate).execute("CREATE TABLE t (a)")
      #expect(throws: ProjectionError.notAnIndex(path: foreign)) { try IndexReader(path: foreign) }
      #expect(throws: ProjectionError.notAnIndex(path: foreign)) {
        try IndexProjector(path: foreign)
      }
      let newer = folder + "/newer"
      try makeIndex(of: RandomHistory(seed: 1, count: 10), at: newer)
      try SQLiteConnection(path: newer, mode: .readWrite).execute("PRAGMA user_version=4")
      #expect(throws: ProjectionError.otherVersion(path: newer, found: 4, expected: 3)) {
        try IndexReader(path: newer)
      }
    }
  }

  @Test func `a row that was changed behind its back is refused, by reader and projector`() throws {
    var history = RandomHistory(seed: 9, count: 200)
    try withTemporaryFolder { folder in
      let path = folder + "/i"
      try makeIndex(of: history, at: path)
      let connection = try SQLiteConnection(path: path, mode: .readWrite)
      try connection.execute("UPDATE instance SET cell = x'00112233445566778899aabbccddeeff'")
      let reader = try IndexReader(path: path)
      for id in history.instances.keys {
        #expect(throws: ProjectionError.self) { try reader.lookup(id) }
        #expect(throws: ProjectionError.self) { try reader.instance(id) }
      }
      #expect(throws: ProjectionError.self) { try reader.checkIndex() }
      let id = try #require(history.instances.keys.first)
      history.append(.instance(id, .moved(from: nil, to: .cell0)))
      let projector = try IndexProjector(path: path)
      #expect(throws: ProjectionError.self) {
        try projector.apply(history.changes.suffix(1), root: RandomHistory.root(history.head))
      }
      #expect(try reader.checkpoint().position.index == 200)
    }
  }

  @Test func `a row that vanished is not taken for one that never was`() throws {
    let history = RandomHistory(seed: 10, count: 200)
    try withTemporaryFolder { folder in
      let path = folder + "/i"
      try makeIndex(of: history, at: path)
      let connection = try SQLiteConnection(path: path, mode: .readWrite)
      try connection.execute("DELETE FROM instance; DELETE FROM cell; DELETE FROM host")
      let reader = try IndexReader(path: path)
      for id in history.instances.keys {
        #expect(throws: ProjectionError.self) { try reader.lookup(id) }
      }
      #expect(throws: ProjectionError.self) { try reader.cell(.cell0) }
      #expect(throws: ProjectionError.self) { try reader.cells() }
      #expect(throws: ProjectionError.self) { try reader.hosts() }
    }
  }

  private func removeWAL(of path: String) {
    for suffix in ["-wal", "-shm"] {
      try? FileManager.default.removeItem(atPath: path + suffix)
    }
  }
}

extension InstanceRoute {
  /// What routing needs of a whole row.
  init(_ row: InstanceRow) {
    self.init(
      cell: row.record.cell, isQueuedForDelete: row.record.isQueuedForDelete,
      changedAt: row.changedAt)
  }
}
