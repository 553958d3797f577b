import Foundation
import Journal
import Projections
import TestSupport
import Testing

@Suite struct IndexProjectorTests {
  @Test func `an index holds what the folds say, row by row`() throws {
    let history = RandomHistory(seed: 1, count: 4_000)
    try withTemporaryFolder { folder in
      try makeIndex(of: history, at: folder + "/i")
      let reader = try IndexReader(path: folder + "/i")
      #expect(
        try reader.checkpoint()
          == IndexCheckpoint(
            position: Position(epoch: 1, index: 4_000), root: RandomHistory.root(4_000)))
      #expect(reader.store == history.store)
      for id in history.known {
        let row = history.instances[id]
        #expect(try reader.instance(id) == row)
        let route = try reader.lookup(id)
        #expect(route?.changedAt == row?.changedAt)
        #expect(route?.cell == row?.record.cell)
        #expect(route?.isQueuedForDelete == row?.record.isQueuedForDelete)
      }
      for (id, row) in history.cells { #expect(try reader.cell(id) == row) }
      for (name, row) in history.hosts { #expect(try reader.host(name) == row) }
      for (id, row) in history.requests { #expect(try reader.request(id) == row) }
      for (entity, index) in history.departed {
        #expect(try reader.departure(of: entity) == index)
        #expect(try reader.lastChange(of: entity) == index)
      }
      #expect(try reader.countInstances() == UInt64(history.instances.count))
      #expect(try reader.cells().count == history.cells.count)
      #expect(try reader.hosts().count == history.hosts.count)
    }
  }

  @Test(arguments: [UInt64(11), 12, 13])
  func `equal history gives an equal digest whatever the batches`(seed: UInt64) throws {
    let history = RandomHistory(seed: seed, count: 1_500)
    try withTemporaryFolder { folder in
      try makeIndex(of: history, at: folder + "/whole")
      var generator = SeededGenerator(seed: seed)
      let projector = try IndexProjector.create(at: folder + "/cut", store: history.store)
      try project(history.changes, with: projector) {
        Int.random(in: 1...60, using: &generator)
      }
      let whole = try IndexReader(path: folder + "/whole")
      let cut = try IndexReader(path: folder + "/cut")
      #expect(try whole.checkIndex() == cut.checkIndex(), "seed \(seed)")
      #expect(try whole.contentDigest() == cut.checkIndex())
      #expect(try whole.checkpoint() == cut.checkpoint())
    }
  }

  @Test func `a further entry changes the digest`() throws {
    var history = RandomHistory(seed: 5, count: 100)
    try withTemporaryFolder { folder in
      try makeIndex(of: history, at: folder + "/a")
      let before = try IndexReader(path: folder + "/a").contentDigest()
      let (id, row) = try #require(history.instances.first)
      history.append(.instance(id, .moved(from: row.record.cell, to: CellID(UUID128.random()))))
      try makeIndex(of: history, at: folder + "/b")
      #expect(try IndexReader(path: folder + "/b").contentDigest() != before)
    }
  }

  @Test func `refuses entries that don't follow on its checkpoint and keeps what it had`() throws {
    let history = RandomHistory(seed: 2, count: 300)
    try withTemporaryFolder { folder in
      let path = folder + "/i"
      let projector = try IndexProjector.create(at: path, store: history.store)
      try projector.apply(history.changes[..<100], root: RandomHistory.root(100))
      let digest = try IndexReader(path: path).checkIndex()
      #expect(throws: ProjectionError.outOfOrder(path: path, expected: 101, found: 102)) {
        try projector.apply(history.changes[101..<200], root: RandomHistory.root(200))
      }
      let hole = Array(history.changes[100..<150]) + Array(history.changes[151..<160])
      #expect(throws: ProjectionError.outOfOrder(path: path, expected: 151, found: 152)) {
        try projector.apply(hole, root: RandomHistory.root(160))
      }
      #expect(try IndexReader(path: path).checkIndex() == digest)
      try projector.apply(history.changes[100...], root: RandomHistory.root(300))
      #expect(try IndexReader(path: path).checkpoint().position.index == 300)
      _ = try IndexReader(path: path).checkIndex()
    }
  }

  @Test func `two projectors in turn take over what the other wrote`() throws {
    let history = RandomHistory(seed: 3, count: 900)
    try withTemporaryFolder { folder in
      let first = try IndexProjector.create(at: folder + "/i", store: history.store)
      let second = try IndexProjector(path: folder + "/i")
      for start in stride(from: 0, to: 900, by: 100) {
        let projector = start % 200 == 0 ? first : second
        let end = start + 100
        try projector.apply(
          history.changes[start..<end], root: RandomHistory.root(UInt64(end)))
      }
      try makeIndex(of: history, at: folder + "/whole")
      #expect(
        try IndexReader(path: folder + "/i").checkIndex()
          == IndexReader(path: folder + "/whole").checkIndex())
    }
  }

  @Test func `refuses to make an index over a file that exists`() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/i"
      try Data("mine".utf8).write(to: URL(fileURLWithPath: path))
      #expect(throws: ProjectionError.fileExists(path: path)) {
        try IndexProjector.create(at: path, store: RandomHistory(seed: 1, count: 2).store)
      }
      #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == Data("mine".utf8))
    }
  }

  @Test func `keeps evidence until it is replaced or the cell is gone`() throws {
    var history = RandomHistory(seed: 4, count: 2)
    let cell = CellID(UUID128(high: 9, low: 9))
    let (one, two) = (UUID128(high: 1, low: 1), UUID128(high: 2, low: 2))
    history.append(.cell(cell, .added(CellRecord(name: "a"))))
    history.append(
      .cell(cell, .identityRecorded(CellIdentity(services: [one], computeNodes: [], server: "s"))))
    history.append(
      .cell(cell, .identityRecorded(CellIdentity(services: [one], computeNodes: [two]))))
    let gathered = history
    history.append(
      .cell(
        cell,
        .identityRecorded(
          CellIdentity(services: [two], computeNodes: [], replacesEarlier: true))))
    let replaced = history
    history.append(.cell(cell, .removed(CellRecord(name: "a"))))
    try withTemporaryFolder { folder in
      let reader = { (name: String, history: RandomHistory) throws -> IndexReader in
        try makeIndex(of: history, at: folder + name)
        return try IndexReader(path: folder + name)
      }
      let items = try reader("/a", gathered).identities(of: cell)
      #expect(items.map(\.kind) == [.server, .service, .computeNode])
      #expect(items.map(\.recordedAt) == [4, 4, 5])
      #expect(items.map(\.server) == ["s", nil, nil])
      #expect(try reader("/b", replaced).identities(of: cell).map(\.uuid) == [two])
      #expect(try IndexReader(path: folder + "/b").identities(under: two).map(\.cell) == [cell])
      #expect(try reader("/c", history).identities(of: cell).isEmpty)
    }
  }
}
