import Foundation
import Journal
import Projections
import Recovery
import Registry
import TestSupport
import Testing

/// What a conflict does to mappings and decisions, whatever cells were away, and for whichever run.
@Suite struct ProvisionalMappingTests {
  @Test
  func `a conflict takes the mapping of what was read while a cell was away, and of nothing else`()
    throws
  {
    try withRebuildBed { bed in
      let ids = (900...902).map { instance($0) }
      try NovaCellFile(path: bed.path(1)).add(ids[0])
      try bed.rebuild()
      try NovaCellFile(path: bed.path(1)).add(ids[1])
      try NovaCellFile(path: bed.path(2)).add(ids[0])
      for number in [1, 2] {
        let file = NovaCellFile(path: bed.path(number))
        try file.add(ids[2])
        try file.execute("INSERT INTO compute_nodes (host, deleted) VALUES ('late-twin', 0)")
      }
      // Of those that are in cell 2 now, the first was known before it was away; the last wasn't.
      _ = try bed.without([2]) { try bed.rebuild() }
      #expect(try ids.allSatisfy { try bed.index().instance($0)?.record.cell == cell(1) })
      #expect(try bed.index().host("late-twin")?.record.cell == cell(1))
      for _ in 1...2 {
        let plan = try bed.rebuild()
        #expect(plan.conflictsMapped == 1)
        let index = try bed.index()
        #expect(try index.instance(ids[0])?.record.cell == cell(1))
        #expect(try index.conflict(of: .instance(ids[0]))?.record.decision == nil)
        #expect(try index.instance(ids[1])?.record.cell == cell(1))
        #expect(try index.instance(ids[2]) == nil)
        #expect(try index.host("late-twin") == nil)
      }
    }
  }

  @Test(arguments: [[1], [2], [3], [1, 3]], [false, true])
  func `ends the same where cells were away for a run that was killed, or wasn't`(
    _ away: [Int], _ isKilled: Bool
  ) throws {
    try withTemporaryFolder { folder in
      let bed = try RebuildBed(in: folder)
      try bed.makeCells()
      // Deleted where it has an owner, and live where it has none.
      let moved = instance(901)
      try NovaCellFile(path: bed.path(1)).add(
        moved, ["deleted": "5", "deleted_at": "'2026-02-03 10:00:00'"])
      try NovaCellFile(path: bed.path(2)).add(moved, ["project_id": "NULL", "user_id": "NULL"])
      try bed.rebuild()
      let expected = try bed.content()
      let other = try RebuildBed(in: folder, named: "other")
      other.areAllKilled = isKilled
      _ = try other.without(away) { try other.rebuild(isKilledAtEnd: isKilled) }
      // The same scan goes on, under another request.
      let plan = try other.rebuild()
      #expect(plan.overtaken == 0)
      let found = try other.content()
      #expect(Set(found).symmetricDifference(expected) == [])
    }
  }

  @Test
  func `a mapping stays that an operator has decided for, though the conflict is another now`()
    throws
  {
    try withRebuildBed { bed in
      let id = instance(900)
      for number in [1, 2] { try NovaCellFile(path: bed.path(number)).add(id) }
      _ = try bed.without([2, 3]) { try bed.rebuild() }
      let found = FoundConflict(kind: "seen by a comparison", evidence: "{}")
      try bed.take(Observation(.conflict(.instance(id), found), evidence: nil))
      let record = try #require(try bed.index().instance(id)?.record)
      try bed.submit(
        .resolveConflict(
          .instance(id), decision: ConflictDecision.cell(cell(1)), making: .instance(id, record)))
      try bed.rebuild()
      #expect(try bed.index().conflict(of: .instance(id))?.record.decision == nil)
      #expect(try bed.index().instance(id)?.record.cell == cell(1))
    }
  }

  /// What happens between the rebuilds, with a cell away or not, is no reason for another end.
  @Test(arguments: [false, true], [EpochOpening.Cause.rebuilt, .initialized])
  func `a mapping stays whose mark or row has changed while a cell was away`(
    _ isAway: Bool, _ cause: EpochOpening.Cause
  ) throws {
    try withRebuildBed(cause: cause) { bed in
      let id = instance(900)
      let file = NovaCellFile(path: bed.path(1))
      try file.add(id)
      if cause == .initialized {
        // So many of cell1 are known that it is recognised by them.
        let own = bed.cloud.cases.filter { $0.name.contains("accepted") }.map(\.instance)
        for id in own + [id] {
          try bed.submit(
            .mapInstance(
              id, InstanceDraft(cell: cell(1), owner: InstanceOwner(project: "p", user: "u"))))
        }
      } else {
        try bed.rebuild()
      }
      try file.execute("UPDATE instances SET task_state = 'deleting' WHERE uuid = '\(id)'")
      try NovaCellFile(path: bed.path(2)).add(id)
      if isAway { _ = try bed.without([2]) { try bed.rebuild() } }
      for _ in 1...2 { try bed.rebuild() }
      #expect(try bed.index().instance(id)?.record.cell == cell(1))
      #expect(try bed.index().conflict(of: .instance(id))?.record.decision == nil)
      #expect(try bed.index().conflict(of: .instance(id)) != nil)
    }
  }

  @Test
  func `a mapping goes that was made while a cell was away, though its mark has changed since`()
    throws
  {
    try withRebuildBed { bed in
      let id = instance(900)
      for number in [1, 2] { try NovaCellFile(path: bed.path(number)).add(id) }
      _ = try bed.without([2]) { try bed.rebuild() }
      #expect(try bed.index().instance(id)?.record.cell == cell(1))
      try NovaCellFile(path: bed.path(1)).execute(
        "UPDATE instances SET task_state = 'deleting' WHERE uuid = '\(id)'")
      _ = try bed.without([2]) { try bed.rebuild() }
      #expect(try bed.index().instance(id)?.record.isQueuedForDelete == true)
      try bed.rebuild()
      #expect(try bed.index().instance(id) == nil)
    }
  }

  @Test(arguments: [ConflictDecision.unmapped, nil])
  func `a conflict stands, open or decided, while one of its cells is away`(
    _ decision: ByteText?
  ) throws {
    try withRebuildBed { bed in
      try bed.rebuild()
      let item = try #require(bed.cloud.cases.first { $0.name == "both visible, no move" })
      let entities: [EntityKey] = [.instance(item.instance), .host("twin")]
      if decision != nil {
        for entity in entities {
          try bed.submit(.resolveConflict(entity, decision: ConflictDecision.unmapped, making: nil))
        }
      }
      let expected = try bed.content()
      for away in [[1], [2], [3], []] {
        let plan = try bed.without(away) { try bed.rebuild() }
        for entity in entities {
          #expect(try bed.index().conflict(of: entity)?.record.decision == decision, "\(away)")
        }
        #expect(try bed.index().instance(item.instance) == nil, "\(away)")
        #expect(try bed.index().host("twin") == nil, "\(away)")
        #expect(plan.settled == 0 && (away.isEmpty || plan.pending > 0))
      }
      let found = try bed.content()
      #expect(Set(found).symmetricDifference(expected) == [])
    }
  }

  @Test func `a decision that the map doesn't hold any more is open again`() throws {
    try withRebuildBed { bed in
      try bed.rebuild()
      let item = try #require(bed.cloud.cases.first { $0.name == "both visible, no move" })
      let entity = EntityKey.instance(item.instance)
      try bed.submit(.resolveConflict(entity, decision: ConflictDecision.unmapped, making: nil))
      try bed.submit(
        .mapInstance(
          item.instance,
          InstanceDraft(cell: cell(3), owner: InstanceOwner(project: "p", user: "u"))))
      let plan = try bed.rebuild()
      #expect(plan.decided == 0 && plan.conflictsMapped == 1)
      #expect(try bed.index().conflict(of: entity)?.record.decision == nil)
      #expect(try bed.index().instance(item.instance)?.record.cell == cell(3))
    }
  }

  @Test(arguments: [ConflictDecision.unmapped, nil])
  func `a row that can't be read leaves its instance as it is`(_ decision: ByteText?) throws {
    try withRebuildBed { bed in
      let plain = instance(900)
      let (first, second) = (
        NovaCellFile(path: bed.path(1)), NovaCellFile(path: bed.path(2))
      )
      try first.add(plain)
      for file in [first, second] { try file.add(instance(901)) }
      try bed.rebuild()
      let entity = EntityKey.instance(instance(901))
      if let decision {
        try bed.submit(.resolveConflict(entity, decision: decision, making: nil))
      }
      let expected = try bed.content()
      try second.add(plain)
      try first.execute(
        "UPDATE instances SET created_at = 'x' WHERE uuid IN ('\(plain)', '\(instance(901))')")
      let plan = try bed.rebuild()
      #expect(plan.missing.count == 0 && plan.settled == 0 && plan.pending == 2)
      let found = try bed.content()
      #expect(Set(found).symmetricDifference(expected) == [])
      #expect(try bed.index().conflict(of: entity)?.record.decision == decision)
    }
  }
}
