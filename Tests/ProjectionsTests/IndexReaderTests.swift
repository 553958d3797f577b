import Foundation
import Journal
import Projections
import TestSupport
import Testing

@Suite struct IndexReaderTests {
  private static let history = RandomHistory(seed: 21, count: 2_000)

  private func withIndex(_ body: (IndexReader) throws -> Void) throws {
    try withTemporaryFolder { folder in
      try makeIndex(of: Self.history, at: folder + "/i")
      try body(IndexReader(path: folder + "/i"))
    }
  }

  @Test func `lists instances in pages, each once, in the order of their UUIDs`() throws {
    try withIndex { (reader) throws in
      var listed: [InstanceID] = []
      while true {
        let page = try reader.instances(after: listed.last, limit: 17)
        listed += page.map(\.id)
        for item in page { #expect(item.row == Self.history.instances[item.id]) }
        if page.count < 17 { break }
      }
      #expect(listed == Self.history.instances.keys.sorted())
    }
  }

  @Test func `lists and counts the instances of a cell, and those of none yet`() throws {
    try withIndex { (reader) throws in
      for cell in Self.history.cells.keys.map(Optional.some) + [nil] {
        let expected = Self.history.instances.filter { $0.value.record.cell == cell }.keys.sorted()
        var listed: [InstanceID] = []
        while true {
          let page = try reader.instances(in: cell, after: listed.last, limit: 5)
          listed += page.map(\.id)
          if page.count < 5 { break }
        }
        #expect(listed == expected)
        #expect(try reader.countInstances(in: cell) == expected.count)
      }
    }
  }

  @Test func `lists and counts by project and user; NULL marks count for the quota`() throws {
    try withIndex { (reader) throws in
      let owners = Set(
        Self.history.instances.values.compactMap { $0.record.owner.project?.clearText })
      #expect(!owners.isEmpty)
      for project in owners {
        for user in [nil, ByteText("user-0"), "user-1", "nobody"] {
          let matching = Self.history.instances.filter {
            $0.value.record.owner.project?.clearText == project
              && (user == nil || $0.value.record.owner.user?.clearText == user)
          }
          let counted = matching.filter { $0.value.record.isQueuedForDelete != true }.count
          #expect(try reader.countNotQueued(project: project, user: user) == counted)
          let listed = try reader.instances(project: project, user: user, limit: 10_000)
          #expect(listed.map(\.id) == matching.keys.sorted())
        }
      }
    }
  }

  @Test func `counts for the quota from the index by owner alone`() throws {
    try withIndex { (reader) throws in
      let connection = try SQLiteConnection(path: reader.path, mode: .readOnly)
      let plan = try connection.prepare(
        "EXPLAIN QUERY PLAN SELECT count(*) FROM instance INDEXED BY instance_by_owner "
          + "WHERE project = ?1 AND queued_for_delete IS NOT 1 AND user = ?2")
      #expect(try plan.step())
      #expect(try plan.text(3).string.contains("COVERING INDEX instance_by_owner"))
    }
  }

  @Test func `names the epoch of an index`() throws {
    try withIndex { (reader) throws in
      #expect(try reader.position(of: 40) == Position(epoch: 1, index: 40))
      #expect(try reader.epochs().map(\.epoch) == [1])
      #expect(try reader.epochs().first?.row.first == 1)
    }
  }

  @Test func `a snapshot stands still while the projector goes on`() throws {
    let history = Self.history
    try withTemporaryFolder { folder in
      let projector = try IndexProjector.create(at: folder + "/i", store: history.store)
      try projector.apply(history.changes[..<500], root: RandomHistory.root(500))
      let reader = try IndexReader(path: folder + "/i", trust: projector.trust)
      #expect(try reader.beginSnapshot().position.index == 500)
      try projector.apply(history.changes[500..<900], root: RandomHistory.root(900))
      #expect(try reader.checkpoint().position.index == 500)
      let later = try #require(
        history.changes[500..<900].compactMap { change -> InstanceID? in
          if case .instance(let id, .mapped) = change.event { id } else { nil }
        }.first)
      #expect(try reader.instance(later) == nil)
      #expect(try reader.beginSnapshot().position.index == 900)
      try reader.endSnapshot()
      #expect(try reader.checkpoint().position.index == 900)
    }
  }

  @Test func `believes an absence again after the projector changed the bucket`() throws {
    let history = Self.history
    try withTemporaryFolder { folder in
      let projector = try IndexProjector.create(at: folder + "/i", store: history.store)
      let shared = try IndexReader(path: folder + "/i", trust: projector.trust)
      for end in stride(from: 100, through: 1_000, by: 100) {
        try projector.apply(
          history.changes[(end - 100)..<end], root: RandomHistory.root(UInt64(end)))
        let alone = try IndexReader(path: folder + "/i")
        for number in 0..<50 {
          let unknown = InstanceID(UUID128(high: UInt64(number) << 52, low: 1))
          #expect(try shared.lookup(unknown) == nil)
          #expect(try alone.lookup(unknown) == nil)
        }
      }
    }
  }

  @Test func `answers from a folder it can't write, with and without a WAL`() throws {
    try withTemporaryFolder { folder in
      try makeIndex(of: Self.history, at: folder + "/i")
      let id = try #require(Self.history.instances.keys.first)
      try FileManager.default.setAttributes([.posixPermissions: 0o500], ofItemAtPath: folder)
      defer {
        try? FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder)
      }
      #expect(try IndexReader(path: folder + "/i").lookup(id) != nil)
      try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder)
      for suffix in ["-wal", "-shm"] {
        try FileManager.default.removeItem(atPath: folder + "/i" + suffix)
      }
      try FileManager.default.setAttributes([.posixPermissions: 0o500], ofItemAtPath: folder)
      #expect(try IndexReader(path: folder + "/i").lookup(id) != nil)
    }
  }

  @Test func `shows people text, times and positions`() throws {
    var history = RandomHistory(seed: 1, count: 2)
    let cell = CellID(UUID128(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210))
    var record = InstanceRecord(cell: cell, owner: InstanceOwner(project: "p'é", user: nil))
    record.row = NovaRow(number: 7, createdAt: Timestamp("2026-01-01T05:16:48.25Z"))
    record.lastSeen = HostSighting(
      host: "compute-1", at: Timestamp(microseconds: -1), source: "adopt")
    history.append(.cell(cell, .added(CellRecord(name: "alpha"))))
    history.append(.host("compute-1", .mapped(HostRecord(cell: cell))))
    history.append(.instance(InstanceID(UUID128(high: 1, low: 2)), .mapped(record)))
    try withTemporaryFolder { folder in
      try makeIndex(of: history, at: folder + "/i")
      let connection = try SQLiteConnection(path: folder + "/i", mode: .readOnly)
      let row = try connection.prepare("SELECT * FROM instances")
      #expect(try row.step())
      let text = { (name: String) throws -> ByteText? in
        try row.textIfPresent(row.column(named: name))
      }
      #expect(try text("instance") == "00000000-0000-0001-0000-000000000002")
      #expect(try text("cell") == "01234567-89ab-cdef-fedc-ba9876543210")
      #expect(try text("cell_name") == "alpha")
      #expect(try text("project") == "p'é")
      #expect(try text("user") == nil)
      #expect(try text("created_at") == "2026-01-01T05:16:48.250000Z")
      #expect(try text("last_known_host_at") == "1969-12-31T23:59:59.999999Z")
      #expect(try text("position") == "1:5")
      for view in ["cells", "hosts", "requests", "epochs", "checkpoint"] {
        #expect(try connection.integer("SELECT count(*) FROM \(view)") ?? 0 > 0, "\(view)")
      }
      let host = try connection.prepare("SELECT host, cell_name, created_at, position FROM hosts")
      #expect(try host.step())
      #expect(try host.text(1) == "alpha")
      #expect(host.isNull(2))
      #expect(try host.text(3) == "1:4")
    }
  }
}
