import Foundation
import Journal
import Projections
import Recovery
import Registry
import TestServers
import TestSupport
import Testing

@Suite struct MapAdoptionApplyTests {
  private typealias Run = AdoptionBed.Run

  @Test func `applies what the plan counts, and nothing the second time`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstances(1..<11, cell: { $0 % 2 + 2 }, uuid: { "\(instance($0))" })
      let plan = try bed.adopt(Run(planOnly: true)).plan
      #expect(try bed.entryCount() == 2)
      #expect(plan.cells.total == 3 && plan.cells.added == 2 && plan.cells.changed == 1)
      #expect(plan.hosts.added == 2 && plan.instances.added == 10)

      let applied = try bed.adopt()
      #expect(applied.plan.instances == plan.instances && applied.plan.cells == plan.cells)
      let map = try bed.map()
      #expect(try map.index.countInstances() == 10)
      #expect(try map.cell(cell(1))?.record.isCovered == true)
      let count = try bed.entryCount()
      let again = try bed.adopt()
      #expect(again.outcome == nil)
      #expect(again.plan.changesNothing && again.plan.instances.same == 10)
      #expect(try bed.entryCount() == count)
    }
  }

  @Test func `keeps NULL where Nova has NULL`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addCell(
        9, cell(9), name: "x", database: "sqlite:///9.sqlite",
        ["name": "NULL", "disabled": "NULL", "created_at": "NULL"])
      try bed.api.addInstance(
        1, "\(instance(1))", cell: nil,
        ["user_id": "NULL", "queued_for_delete": "NULL", "created_at": "NULL"])
      try bed.api.addInstance(2, "\(instance(2))", cell: 2, ["queued_for_delete": "1"])
      try bed.adopt()
      let map = try bed.map()
      let nameless = try #require(try map.cell(cell(9))?.record)
      #expect(nameless.name == nil && nameless.disabled == nil && nameless.row.createdAt == nil)
      let bare = try #require(try map.instance(instance(1))?.record)
      #expect(bare.cell == nil && bare.owner.user == nil && bare.isQueuedForDelete == nil)
      #expect(bare.owner.project?.clearText == "project-1")
      #expect(try map.instance(instance(2))?.record.isQueuedForDelete == true)
      #expect(try map.cell(cell(1))?.record.disabled == false)
    }
  }

  @Test func `takes SQL and canonically equal texts byte by byte`() throws {
    try withBed { bed in
      try bed.addCells()
      let sql = "'); DROP TABLE instance_mappings; --\" %s ?1 \\"
      let (composed, decomposed) = ("caf\u{E9}", "cafe\u{301}")
      try bed.api.addCell(8, cell(8), name: sql, database: "sqlite:///8.sqlite?timeout=1")
      try bed.api.addCell(9, cell(9), name: composed, database: "sqlite:///9.sqlite")
      try bed.api.addCell(10, cell(10), name: decomposed, database: "sqlite:///10.sqlite")
      for (number, text) in [(1, sql), (2, composed), (3, decomposed)] {
        try bed.api.addInstance(
          number, "\(instance(number))", cell: 2,
          ["project_id": quoted(text), "user_id": quoted(text)])
      }
      try bed.adopt()
      let map = try bed.map()
      for (id, text) in [(8, sql), (9, composed), (10, decomposed)] {
        let name = try #require(try map.cell(cell(id))?.record.name)
        #expect(Array(name.string.utf8) == Array(text.utf8))
      }
      for (number, text) in [(1, sql), (2, composed), (3, decomposed)] {
        let owner = try #require(try map.instance(instance(number))?.record.owner)
        #expect(Array(try #require(owner.project?.clearText).string.utf8) == Array(text.utf8))
        #expect(Array(try #require(owner.user?.clearText).string.utf8) == Array(text.utf8))
      }
      #expect(try bed.adopt().outcome == nil)
    }
  }

  @Test func `keeps numeric ids and times of creation`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstance(4711, "\(instance(1))", cell: 2)
      try bed.adopt()
      let map = try bed.map()
      let row = try #require(try map.instance(instance(1))?.record.row)
      #expect(row.number == 4711)
      #expect(row.createdAt == Timestamp("2026-01-02T03:04:07Z"))
      #expect(try map.cell(cell(2))?.record.row.number == 3)
      #expect(try map.host("host2")?.record.row.createdAt == Timestamp("2026-01-02T03:04:06Z"))
    }
  }

  @Test func `counts times that are none, and keeps them as unknown`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstance(
        1, "\(instance(1))", cell: 2, ["created_at": "'0000-00-00 00:00:00'"])
      try bed.api.addInstance(2, "\(instance(2))", cell: 2, ["created_at": "'soon'"])
      try bed.api.addInstance(3, "\(instance(3))", cell: 2, ["created_at": "NULL"])
      let plan = try bed.adopt().plan
      #expect(plan.unreadTimes == 2 && plan.firstUnreadTime == "instance_mappings row 1")
      let row = try bed.map().instance(instance(2))?.record.row
      #expect(row?.number == 2 && row?.createdAt == nil)
      #expect(try bed.adopt().outcome == nil)
    }
  }

  @Test func `passes over Nova's marker rows`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstance(
        1, "\(instance(1))", cell: nil, ["project_id": "'INSTANCE_MIGRATION_MARKER'"])
      try bed.api.addInstance(2, "00000000-0000-0000-0000-000000000000", cell: nil)
      try bed.api.addInstance(3, "\(instance(3))", cell: 2)
      let plan = try bed.adopt().plan
      #expect(plan.markers == 2 && plan.instances.added == 1)
      #expect(try bed.map().instance(instance(1)) == nil)
    }
  }

  @Test func `appends just what has changed`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstances(1..<6, cell: { _ in 2 }, uuid: { "\(instance($0))" })
      try bed.adopt()
      let count = try bed.entryCount()
      try bed.api.execute("UPDATE instance_mappings SET cell_id = 3 WHERE id = 4")
      let plan = try bed.adopt().plan
      #expect(plan.instances.changed == 1 && plan.instances.same == 4)
      let events = try bed.entries(after: count).map(\.event)
      #expect(events.first == .instance(instance(4), .moved(from: cell(1), to: cell(2))))
      #expect(events.count == 3)  // with "adopted" and "request finished"
    }
  }

  @Test func `takes a row that was made again under another id as one change`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstance(1, "\(instance(1))", cell: 2)
      try bed.adopt()
      let count = try bed.entryCount()
      try bed.api.execute("UPDATE instance_mappings SET id = 77")
      #expect(try bed.adopt().plan.instances.changed == 1)
      #expect(try bed.entryCount() == count + 3)
      #expect(try bed.map().instance(instance(1))?.record.row.number == 77)
    }
  }

  @Test func `refuses what only the map has, and takes it out if asked`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstances(1..<4, cell: { _ in 2 }, uuid: { "\(instance($0))" })
      try bed.adopt()
      let count = try bed.entryCount()
      try bed.api.execute(
        "DELETE FROM instance_mappings WHERE id = 2; DELETE FROM host_mappings WHERE cell_id = 3; "
          + "DELETE FROM cell_mappings WHERE id = 3")
      let plan = try bed.adopt(Run(planOnly: true)).plan
      #expect(plan.cells.surplus == 1 && plan.hosts.surplus == 1 && plan.instances.surplus == 1)
      do throws(AdoptionError) {
        try bed.adopt()
        Issue.record("was not refused")
      } catch {
        let named = "1 cell: cell2; 1 host: host2; 1 mapping: \(instance(2))"
        guard case .wouldUnmap(named) = error else { throw error }
      }
      #expect(try bed.entryCount() == count)
      try bed.adopt(Run(prunes: true))
      let map = try bed.map()
      #expect(try map.instance(instance(2)) == nil && map.instance(instance(1)) != nil)
      #expect(try map.host("host2") == nil && map.host("host1") != nil)
      #expect(try map.cell(cell(2)) == nil && map.cell(.cell0) != nil)
      #expect(try bed.adopt(Run(prunes: true)).outcome == nil)
    }
  }

  @Test func `notes from which row each entry was born`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstance(5, "\(instance(5))", cell: 2)
      try bed.adopt()
      let entries = try bed.entries(after: 2)
      let mapped = try #require(entries.first { $0.event.entity == .instance(instance(5)) })
      let evidence = try #require(mapped.draft.evidence)
      #expect(evidence.table == "instance_mappings" && evidence.rowKey == "5")
      #expect(evidence.source == ByteText("sqlite:///\(bed.api.path)"))
      let observed = entries.filter { entry in
        // Coverage is no row's: all of them are in by then.
        if case .cell(_, .coverageChanged) = entry.event { return false }
        return entry.event.entity != .store
      }
      #expect(observed.allSatisfy { $0.draft.evidence != nil })
      #expect(Set(observed.compactMap { $0.draft.evidence?.rowDigest }).count == 6)
    }
  }

  @Test func `leaves the API database's file as it is`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstances(1..<50, cell: { _ in 2 }, uuid: { "\(instance($0))" })
      let before = try Data(contentsOf: URL(fileURLWithPath: bed.api.path))
      let names = try FileManager.default.contentsOfDirectory(atPath: bed.folder)
      try bed.adopt()
      #expect(try Data(contentsOf: URL(fileURLWithPath: bed.api.path)) == before)
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: bed.folder).sorted() == names.sorted())
    }
  }

  @Test func `keeps templates as templates`() throws {
    try withBed { bed in
      try bed.api.addCell(
        1, cell(1), name: "t",
        database: "{scheme}://{username}:{password}@{hostname}/cell1?{query}",
        queue: "rabbit://{username}:{password}@{hostname}:{port}/v1")
      try bed.adopt()
      let record = try #require(try bed.map().cell(cell(1))?.record)
      let database = try #require(record.database)
      let original = try bed.keys.open(database, of: cell(1), .database)
      #expect(
        original == Array("{scheme}://{username}:{password}@{hostname}/cell1?{query}".utf8))
    }
  }
}
