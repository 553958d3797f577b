import Foundation
import Journal
import Projections
import Recovery
import Registry
import TestServers
import TestSupport
import Testing

/// A rebuild beside an old Nova API database, which says what cells can't and nothing else.
@Suite struct OldMapTests {
  private func old(_ file: NovaAPIFile) throws -> OldMap {
    try OldMap(NovaAPIDatabase(path: file.path, publicForm: "sqlite:///old.sqlite"))
  }

  /// An old database of the bed's cells: what is right in it, and what isn't any more.
  private func makeOld(_ bed: RebuildBed) throws -> NovaAPIFile {
    let file = try NovaAPIFile.make(at: bed.folder + "/old.sqlite")
    for number in 0...3 {
      try file.addCell(
        number + 1, RebuildBed.cells[number], name: "cell\(number)",
        database: "sqlite:///\(bed.path(number))")
    }
    return file
  }

  @Test func `gives instances without a cell, each marked with its source`() throws {
    try withRebuildBed { bed in
      let file = try makeOld(bed)
      try file.addInstance(
        70, "\(instance(70))", cell: nil, ["project_id": "'p'", "user_id": "'u'"])
      try file.addInstance(
        71, "00000000 0000 0000 0000 000000000071", cell: nil,
        ["project_id": "'INSTANCE_MIGRATION_MARKER'"])
      try file.addInstance(72, "not a uuid", cell: nil)
      let plan = try bed.rebuild(old: try old(file))
      #expect(plan.unscheduled.first == ["\(instance(70))"] && plan.stale.count == 0)
      let row = try #require(try bed.index().instance(instance(70)))
      #expect(row.record.cell == nil && row.record.owner == InstanceOwner(project: "p", user: "u"))
      #expect(row.record.row.number == 70)
      let evidence = try bed.evidence(at: row.changedAt)
      #expect(evidence?.source == "sqlite:///old.sqlite" && evidence?.table == "instance_mappings")
      #expect(evidence?.rowKey == "70" && evidence?.cell == nil)
      try bed.checkVerdicts()
      let content = try bed.content()
      let again = try bed.rebuild(old: try old(file))
      #expect(again.instances.differing == 0)
      let repeated = try bed.content()
      #expect(repeated == content)
    }
  }

  @Test func `a UUID that the old database has twice counts once`() throws {
    try withRebuildBed { bed in
      let file = try makeOld(bed)
      try file.addInstance(70, "\(instance(70))", cell: nil, ["project_id": "'p'"])
      try file.addInstance(71, "\(bed.cloud.cases[0].instance)", cell: 2)
      try file.execute(
        """
        CREATE TABLE twice AS SELECT * FROM instance_mappings;
        INSERT INTO twice SELECT * FROM instance_mappings;
        DROP TABLE instance_mappings; ALTER TABLE twice RENAME TO instance_mappings;
        """)
      let plan = try bed.rebuild(old: try old(file))
      #expect(plan.unscheduled.first == ["\(instance(70))"])
      #expect(try bed.index().instance(instance(70)) != nil)
      try bed.checkVerdicts()
    }
  }

  @Test func `never beats a cell, however stale it is`() throws {
    try withRebuildBed { bed in
      try bed.rebuild()
      let expected = try bed.content()
      let other = try RebuildBed(in: bed.folder, named: "other")
      let file = try makeOld(bed)
      for (place, item) in bed.cloud.cases.enumerated() where item.name != "no project" {
        // No cell, or one where it isn't, and marked as no cell marks it.
        try file.addInstance(
          place + 1, "\(item.instance)", cell: place % 2 == 0 ? nil : place % 4 + 1,
          ["user_id": "'stale'", "project_id": "'stale'", "queued_for_delete": "\(place % 2)"])
      }
      try file.addInstance(900, "\(instance(900))", cell: 2)
      try file.addHost(1, "gone", cell: 2)
      try file.addHost(2, "host1", cell: 3)
      let plan = try other.rebuild(old: try old(file))
      #expect(plan.stale.first.contains("\(instance(900))") && plan.unscheduled.count == 0)
      let found = try other.content()
      #expect(Set(found).symmetricDifference(expected) == [])
    }
  }

  @Test func `completes the owner that a cell's row lacks, and says so`() throws {
    try withRebuildBed { bed in
      let item = try #require(bed.cloud.cases.first { $0.name == "no project" })
      let file = try makeOld(bed)
      try file.addInstance(
        5, "\(item.instance)", cell: 2, ["project_id": "'p'", "user_id": "'other'"])
      let plan = try bed.rebuild(old: try old(file))
      #expect(plan.ownersCompleted.first == ["\(item.instance)"])
      #expect(plan.withoutProject.count == 0)
      let row = try #require(try bed.index().instance(item.instance))
      // The cell's own user stands.
      #expect(row.record.owner == InstanceOwner(project: "p", user: "user-1"))
      let evidence = try #require(
        try bed.evidence(at: row.record.row == .unknown ? 0 : row.changedAt))
      #expect(
        evidence.source.string.hasSuffix("owner: sqlite:///old.sqlite instance_mappings row 5"))
      #expect(evidence.cell == row.record.cell)
      // What it has said stays, also where nobody gives it again.
      try bed.rebuild()
      #expect(try bed.index().instance(item.instance)?.record.owner == row.record.owner)
    }
  }

  @Test func `what might be in a cell that is away waits for it`() throws {
    try withRebuildBed { bed in
      let file = try makeOld(bed)
      try file.addInstance(70, "\(instance(70))", cell: nil)
      let first = try bed.without([2]) { try bed.rebuild(old: try old(file)) }
      #expect(first.unscheduled.count == 0 && first.waiting == 1 && first.pending == 0)
      #expect(try bed.index().instance(instance(70)) == nil)
      try bed.rebuild(old: try old(file))
      #expect(try bed.index().instance(instance(70)) != nil)
    }
  }

  @Test func `stands in for a cell that is away, until it is back`() throws {
    try withRebuildBed { bed in
      try bed.rebuild()
      let expected = try bed.content()
      let other = try RebuildBed(in: bed.folder, named: "other")
      let file = try makeOld(bed)
      let inside = bed.cloud.cases.filter { $0.copies.map(\.cell) == [2] }
      #expect(inside.count > 1)
      for (place, item) in inside.enumerated() {
        // Marked and owned as the cell doesn't have it: it is revised, and not completed.
        try file.addInstance(
          place + 1, "\(item.instance)", cell: 3,
          [
            "project_id": "'stale'", "user_id": "'stale'",
            // What isn't marked is looked for in the cell, to know it by.
            "queued_for_delete": place == 0 ? "1" : "0",
          ])
      }
      // Of what the cell has no more, and of what is in another that was read.
      try file.addInstance(900, "\(instance(900))", cell: 3)
      let elsewhere = try #require(bed.cloud.cases.first { $0.copies.map(\.cell) == [1] })
      try file.addInstance(901, "\(elsewhere.instance)", cell: 3)
      let first = try other.without([2]) { try other.rebuild(old: try old(file)) }
      #expect(first.standIns.count == UInt64(inside.count + 1), "\(first.standIns)")
      let row = try #require(try other.index().instance(inside[0].instance))
      #expect(row.record.cell == cell(2) && row.record.isQueuedForDelete == true)
      let evidence = try other.evidence(at: row.changedAt)
      #expect(evidence?.source == "sqlite:///old.sqlite" && evidence?.table == "instance_mappings")
      #expect(evidence?.cell == cell(2))
      #expect(try other.index().instance(elsewhere.instance)?.record.cell == cell(1))
      #expect(try other.index().instance(instance(900))?.record.cell == cell(2))
      #expect(try other.index().cells().first { $0.id == cell(2) }?.row.record.isCovered == false)
      let repeated = try other.without([2]) { try other.rebuild(old: try old(file)) }
      #expect(repeated.instances.differing == 0 && repeated.standIns.count == 0)
      // Back, the cell is believed, also where nobody gives the old database again.
      let plan = try other.rebuild()
      #expect(plan.stale.first == ["\(instance(900))"] && plan.missing.count == 0)
      let found = try other.content()
      #expect(Set(found).symmetricDifference(expected) == [])
      try other.checkVerdicts()
    }
  }

  @Test func `what stands in for a cell gives way to another that has the instance`() throws {
    try withRebuildBed { bed in
      let item = try #require(bed.cloud.cases.first { $0.copies.map(\.cell) == [1] })
      let file = try makeOld(bed)
      try file.addInstance(1, "\(item.instance)", cell: 3)
      let first = try bed.without([1, 2]) { try bed.rebuild(old: try old(file)) }
      #expect(first.standIns.first == ["\(item.instance)"])
      try bed.without([2]) { _ = try bed.rebuild(old: try old(file)) }
      #expect(try bed.index().instance(item.instance)?.record.cell == cell(1))
      try bed.rebuild()
      try bed.checkVerdicts()
    }
  }

  @Test func `what the map has of an instance by now stays`() throws {
    try withRebuildBed { bed in
      let file = try makeOld(bed)
      try file.addInstance(70, "\(instance(70))", cell: nil, ["project_id": "'p'"])
      try bed.submit(
        .mapInstance(
          instance(70), InstanceDraft(cell: cell(1), owner: InstanceOwner(project: "q", user: "u")))
      )
      let plan = try bed.rebuild(old: try old(file))
      #expect(plan.unscheduled.count == 0)
      #expect(try bed.index().instance(instance(70))?.record.cell == cell(1))
    }
  }
}
