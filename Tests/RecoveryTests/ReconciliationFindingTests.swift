import Foundation
import Journal
import Projections
import Recovery
import Registry
import TestSupport
import Testing

@Suite struct ReconciliationFindingTests {
  private func row(_ number: Int) -> String { "uuid = '\(instance(number))'" }

  /// Expects exactly one finding.
  private func expectOne(
    _ kind: FindingKind, _ entity: EntityKey, mapped: CellID?, found: CellID?,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ damage: (ReconciliationBed) throws -> Void
  ) throws {
    try withReconciliation { bed in
      try damage(bed)
      let answer = try bed.reconcile()
      #expect(answer.kinds == [kind], sourceLocation: sourceLocation)
      #expect(answer.findings.first?.entity == entity, sourceLocation: sourceLocation)
      #expect(answer.findings.first?.mapped == mapped, sourceLocation: sourceLocation)
      #expect(answer.findings.first?.found == found, sourceLocation: sourceLocation)
      #expect(answer.report.count == 1, sourceLocation: sourceLocation)
      #expect(answer.report.isComplete, sourceLocation: sourceLocation)
    }
  }

  @Test func `a map that agrees with its cells has no finding`() throws {
    try withReconciliation { bed in
      let answer = try bed.reconcile()
      #expect(answer.findings.isEmpty)
      #expect(answer.report.cells.map(\.state.rows) == [0, 5, 5])
    }
  }

  @Test func `a visible instance without a mapping is missing`() throws {
    try expectOne(.missing, .instance(instance(20)), mapped: nil, found: cell(1)) {
      try $0.first.add(instance(20))
    }
  }

  @Test func `a mapping without a row is orphaned`() throws {
    try expectOne(.orphaned, .instance(instance(2)), mapped: cell(1), found: nil) {
      try $0.first.execute("DELETE FROM instances WHERE \(row(2))")
    }
  }

  @Test func `an orphaned instance that its cell has archived is said to be`() throws {
    try withReconciliation { bed in
      try bed.first.execute(
        "DELETE FROM instances WHERE \(row(2)) OR \(row(3)); "
          + "INSERT INTO shadow_instances (uuid) VALUES ('\(instance(3))')")
      #expect(try bed.reconcile().findings.map(\.isArchived) == [false, true])
    }
  }

  @Test func `a row that counts in another cell is in the wrong one`() throws {
    try expectOne(.wrongCell, .instance(instance(2)), mapped: cell(1), found: cell(2)) {
      try $0.first.execute("DELETE FROM instances WHERE \(row(2))")
      try $0.second.add(instance(2))
    }
  }

  @Test func `a visible copy counts, and the hidden one where it is mapped doesn't`() throws {
    try expectOne(.wrongCell, .instance(instance(2)), mapped: cell(1), found: cell(2)) {
      try $0.first.execute("UPDATE instances SET hidden = 1 WHERE \(row(2))")
      try $0.second.add(instance(2))
    }
  }

  @Test func `a mapping without a cell has none though a cell has the row`() throws {
    try expectOne(.noCell, .instance(instance(30)), mapped: nil, found: cell(2)) { bed in
      let draft = InstanceDraft(
        cell: nil, owner: InstanceOwner(project: "project-1", user: "user-1"))
      try bed.map.submit(.mapInstance(instance(30), draft))
      try bed.second.add(instance(30))
    }
  }

  @Test func `an instance that is accepted and in no cell yet is as it should be`() throws {
    try withReconciliation { bed in
      let draft = InstanceDraft(cell: nil, owner: InstanceOwner(project: "p", user: "u"))
      try bed.map.submit(.mapInstance(instance(30), draft))
      #expect(try bed.reconcile().findings.isEmpty)
    }
  }

  @Test func `two visible copies that no move explains are a conflict`() throws {
    try expectOne(.twoCopies, .instance(instance(2)), mapped: cell(1), found: nil) {
      try $0.second.add(instance(2))
    }
  }

  @Test func `a move that its cells agree on decides between two copies`() throws {
    try expectOne(.wrongCell, .instance(instance(2)), mapped: cell(1), found: cell(2)) { bed in
      let move =
        "INSERT INTO migrations (uuid, instance_uuid, source_compute, dest_compute, status, "
        + "created_at, cross_cell_move) VALUES ('\(UUID128(high: 9, low: 9))', '\(instance(2))', "
        + "'host1', 'host2', 'finished', '2026-02-01 00:00:00', 1)"
      for file in [bed.first, bed.second] { try file.execute(move) }
      try bed.first.execute(
        "UPDATE instances SET task_state = 'resize_migrated' WHERE \(row(2))")
      try bed.second.add(instance(2), ["vm_state": "'resized'"])
    }
  }

  @Test func `a conflict that an operator has decided is no finding`() throws {
    try withReconciliation { bed in
      try bed.second.add(instance(2))
      try bed.mend(.twoCopies)
      try bed.map.submit(
        .resolveConflict(
          .instance(instance(2)), decision: ConflictDecision.cell(cell(1)), making: nil))
      let answer = try bed.reconcile()
      #expect(answer.findings.isEmpty)
      #expect(answer.report.decided == 1)
    }
  }

  @Test func `of a decided conflict the row that was decided for is compared, and it alone`() throws
  {
    try withReconciliation { bed in
      let id = instance(2)
      try bed.second.add(id)
      try bed.mend(.twoCopies)
      try bed.map.submit(
        .resolveConflict(
          .instance(id), decision: ConflictDecision.cell(cell(1)), making: nil))
      try bed.second.execute(
        "UPDATE instances SET task_state = 'deleting', user_id = 'other' WHERE \(row(2))")
      #expect(try bed.reconcile().findings.isEmpty)
      try bed.first.execute(
        "UPDATE instances SET task_state = 'deleting', user_id = 'new' WHERE \(row(2))")
      let answer = try bed.reconcile()
      #expect(answer.kinds == [.deletionMark, .owner] && answer.report.decided == 1)
      try bed.mend(.deletionMark, .owner)
      let mended = try bed.reconcile()
      #expect(mended.findings.isEmpty && mended.report.decided == 1)
      // The other copy isn't the instance because this one is deleted by now.
      try bed.first.execute("UPDATE instances SET deleted = id WHERE \(row(2))")
      let deleted = try bed.reconcile()
      #expect(deleted.findings.isEmpty && deleted.report.decided == 1)
      try bed.first.execute(
        "DELETE FROM instances WHERE \(row(2)); INSERT INTO shadow_instances (uuid) VALUES ('\(id)')"
      )
      let gone = try bed.reconcile()
      #expect(gone.kinds == [.orphaned] && gone.findings[0].isArchived)
      #expect(gone.report.decided == 1)
      let record = try bed.record(2)
      #expect(record?.cell == cell(1) && record?.isQueuedForDelete == true)
      #expect(record?.owner.user == .clear("new"))
    }
  }

  @Test func `an instance of which there is a hidden copy alone is one`() throws {
    try expectOne(.hiddenCopy, .instance(instance(2)), mapped: cell(1), found: cell(1)) {
      try $0.first.execute("UPDATE instances SET hidden = 1 WHERE \(row(2))")
    }
  }

  @Test func `a deletion that the map doesn't know is a mark to be set`() throws {
    try expectOne(.deletionMark, .instance(instance(2)), mapped: cell(1), found: cell(1)) {
      try $0.first.execute("UPDATE instances SET task_state = 'deleting' WHERE \(row(2))")
    }
  }

  @Test func `a mark that the cell doesn't bear out is kept`() throws {
    try expectOne(.keptMark, .instance(instance(2)), mapped: cell(1), found: cell(1)) {
      try $0.map.submit(.markForDeletion(instance(2), true))
    }
  }

  @Test func `a failed delete is a class of its own`() throws {
    try expectOne(.failedDelete, .instance(instance(2)), mapped: cell(1), found: cell(1)) {
      try $0.map.submit(.markForDeletion(instance(2), true))
      try $0.first.execute("UPDATE instances SET vm_state = 'error' WHERE \(row(2))")
    }
  }

  @Test func `another owner is one, and an unknown one in the cell isn't`() throws {
    try expectOne(.owner, .instance(instance(2)), mapped: cell(1), found: cell(1)) {
      try $0.first.execute("UPDATE instances SET project_id = 'other' WHERE \(row(2))")
      try $0.first.execute("UPDATE instances SET user_id = NULL WHERE \(row(3))")
    }
  }

  @Test func `a host that the map doesn't know is unknown`() throws {
    try expectOne(.unknownHost, .host("new"), mapped: nil, found: cell(2)) {
      try $0.second.execute("INSERT INTO compute_nodes (host, deleted) VALUES ('new', 0)")
    }
  }

  @Test func `a mapped host that another cell has is in the wrong one`() throws {
    try expectOne(.wrongCellHost, .host("host1"), mapped: cell(1), found: cell(2)) {
      try $0.first.execute("DELETE FROM compute_nodes; DELETE FROM services")
      try $0.second.execute("INSERT INTO compute_nodes (host, deleted) VALUES ('host1', 0)")
    }
  }

  @Test func `a mapped host that no cell has is a ghost`() throws {
    try expectOne(.ghostHost, .host("host1"), mapped: cell(1), found: nil) {
      try $0.first.execute("DELETE FROM compute_nodes; DELETE FROM services")
    }
  }

  @Test func `a host of two cells is a twin`() throws {
    try expectOne(.twinHost, .host("host1"), mapped: cell(1), found: nil) {
      try $0.second.execute("INSERT INTO compute_nodes (host, deleted) VALUES ('host1', 0)")
    }
  }

  @Test func `more findings than are read at once are all there`() throws {
    try withReconciliation { bed in
      let rows = (100..<1300).map { "('\(instance($0))', 0, 'project-1', 'user-1')" }
      try bed.first.execute(
        "INSERT INTO instances (uuid, deleted, project_id, user_id) VALUES "
          + rows.joined(separator: ", "))
      let answer = try bed.reconcile()
      #expect(answer.report.count == 1200)
      #expect(
        answer.findings.map(\.entity) == (100..<1300).map { EntityKey.instance(instance($0)) })
    }
  }
}

@Suite struct ReconciliationSecondLookTests {
  @Test func `what is gone at the second look is no finding`() throws {
    try withReconciliation { bed in
      try bed.first.add(instance(20))
      try bed.first.add(instance(21))
      let answer = try bed.reconcile(
        .init(betweenLooks: {
          let draft = InstanceDraft(
            cell: cell(1), owner: InstanceOwner(project: "project-1", user: "user-1"))
          try bed.map.submit(.mapInstance(instance(20), draft))
        }))
      #expect(answer.findings.map(\.entity) == [.instance(instance(21))])
      #expect(answer.report.foundAtFirst == 2)
      #expect(answer.report.gone == 1)
    }
  }

  @Test func `what has become another finding is none yet`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM instances WHERE uuid = '\(instance(2))'")
      let answer = try bed.reconcile(.init(betweenLooks: { try bed.second.add(instance(2)) }))
      #expect(answer.findings.isEmpty)
      #expect(answer.report.gone == 1)
    }
  }

  @Test func `a record that was changed in between is looked at the next time`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM instances WHERE uuid = '\(instance(2))'")
      let answer = try bed.reconcile(
        .init(betweenLooks: { try bed.map.submit(.markForDeletion(instance(2), true)) }))
      #expect(answer.findings.isEmpty)
      #expect(try bed.reconcile().kinds == [.orphaned])
    }
  }

  @Test func `a host that came in between is no ghost`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM compute_nodes; DELETE FROM services")
      let answer = try bed.reconcile(
        .init(betweenLooks: {
          try bed.first.execute("INSERT INTO compute_nodes (host, deleted) VALUES ('host1', 0)")
        }))
      #expect(answer.findings.isEmpty)
    }
  }

  @Test func `a cell that is gone at the second look makes nothing of its own a finding`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM instances WHERE uuid = '\(instance(2))'")
      try bed.second.execute("DELETE FROM instances WHERE uuid = '\(instance(7))'")
      let answer = try bed.reconcile(
        .init(betweenLooks: {
          try bed.first.execute("ALTER TABLE instances RENAME COLUMN vm_state TO state")
        }))
      #expect(answer.findings.map(\.entity) == [.instance(instance(7))])
      #expect(!answer.report.isComplete)
    }
  }

  @Test func `an instance that Nova is building is left out`() throws {
    try withReconciliation { bed in
      for number in [20, 21] { try bed.first.add(instance(number)) }
      try bed.map.api.execute(
        "INSERT INTO build_requests (instance_uuid) VALUES ('\(instance(20))')")
      let answer = try bed.reconcile(.init(usesAPI: true))
      #expect(answer.findings.map(\.entity) == [.instance(instance(21))])
      #expect(answer.report.building == 1)
    }
  }
}

@Suite struct ReconciliationSickCellTests {
  /// One finding in the second cell, and the first one is ill.
  private func expectUnaffected(
    isRead: Bool, pageTime: Duration = .seconds(30),
    sourceLocation: SourceLocation = #_sourceLocation,
    _ harm: (NovaCellFile) throws -> Void
  ) throws {
    try withReconciliation { bed in
      try bed.second.execute("UPDATE instances SET task_state = 'deleting' WHERE id = 3")
      try harm(bed.first)
      let answer = try bed.reconcile(.init(pageTime: pageTime))
      #expect(
        answer.findings.filter { $0.mapped == cell(2) }.map(\.kind) == [.deletionMark],
        sourceLocation: sourceLocation)
      let ill = answer.report.cells.first { $0.state.cell == cell(1) }
      #expect(ill?.state.isFinished == isRead, sourceLocation: sourceLocation)
      #expect((ill?.state.failure == nil) == isRead, sourceLocation: sourceLocation)
      if !isRead {
        #expect(
          answer.report.pending == 6, "five instances and a host", sourceLocation: sourceLocation)
      }
    }
  }

  @Test func `a cell that is away is named, and its mappings wait`() throws {
    try expectUnaffected(isRead: false) { try FileManager.default.removeItem(atPath: $0.path) }
  }

  @Test func `a cell of another schema is named`() throws {
    try expectUnaffected(isRead: false) {
      try $0.execute("ALTER TABLE instances RENAME COLUMN vm_state TO state")
    }
  }

  @Test func `a cell that hangs is named`() throws {
    var writer: AnyObject?
    try expectUnaffected(isRead: false, pageTime: .seconds(3)) { file in
      let connection = try file.connect()
      try connection.execute("BEGIN EXCLUSIVE")
      writer = connection
    }
    _ = writer
  }

  @Test func `rubbish for a UUID is counted`() throws {
    try withReconciliation { bed in
      try bed.first.execute(
        "INSERT INTO instances (uuid, deleted) VALUES ('\(String(repeating: "x", count: 36))', 0)")
      let answer = try bed.reconcile()
      #expect(answer.findings.isEmpty)
      #expect(answer.report.cells.map(\.state.unreadable) == [0, 1, 0])
      #expect(answer.report.unreadable.count == 1)
    }
  }

  @Test func `an instance whose row can't be read is not orphaned`() throws {
    try withReconciliation { bed in
      try bed.first.execute(
        "UPDATE instances SET created_at = 'never' WHERE uuid = '\(instance(2))'")
      let answer = try bed.reconcile()
      #expect(answer.findings.isEmpty && answer.report.gone == 0 && answer.report.pending == 1)
      #expect(answer.report.cells.map(\.state.unreadable) == [0, 1, 0])
    }
  }

  @Test func `NULLs are no owner, no host and no time`() throws {
    try withReconciliation { bed in
      try bed.first.execute(
        "UPDATE instances SET project_id = NULL, user_id = NULL, host = NULL, vm_state = NULL, "
          + "created_at = NULL, hidden = NULL, display_name = NULL")
      #expect(try bed.reconcile().findings.isEmpty)
    }
  }

  @Test func `nothing is written into a cell, and no file is left behind`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM instances WHERE id = 2")
      try bed.second.add(instance(20))
      func state() throws -> [String: Data] {
        var files: [String: Data] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: bed.map.folder) {
          guard name.contains(".sqlite") else { continue }
          files[name] = try Data(contentsOf: URL(fileURLWithPath: "\(bed.map.folder)/\(name)"))
        }
        return files
      }
      let before = try state()
      try bed.mend(.missing, .orphaned) { $0.isArchivedByHand = true }
      #expect(try state() == before)
      let left = try FileManager.default.contentsOfDirectory(atPath: bed.map.store)
      #expect(!left.contains { $0.hasPrefix("reconcile-") })
    }
  }

  @Test func `what a killed run has left is taken away, and a scan's own file isn't`() throws {
    try withReconciliation { bed in
      for name in ["reconcile-1.sqlite", "scan-1.sqlite"] {
        try Data().write(to: URL(fileURLWithPath: "\(bed.map.store)/\(name)"))
      }
      try bed.reconcile()
      let left = try FileManager.default.contentsOfDirectory(atPath: bed.map.store)
      #expect(
        left.filter { $0.hasSuffix("-1.sqlite") && !$0.hasPrefix("index") } == ["scan-1.sqlite"])
    }
  }
}
