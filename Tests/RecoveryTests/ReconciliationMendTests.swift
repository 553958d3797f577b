import Journal
import Projections
import Recovery
import Registry
import TestSupport
import Testing

@Suite struct ReconciliationMendTests {
  private func row(_ number: Int) -> String { "uuid = '\(instance(number))'" }

  @Test func `a missing instance is mapped with what its row says, and the row is the evidence`()
    throws
  {
    try withReconciliation { bed in
      try bed.first.add(instance(20), ["task_state": "'deleting'", "host": "'host1'"])
      let count = try bed.map.entryCount()
      let answer = try bed.mend(.missing)
      #expect(answer.result?.instances == 1)
      let record = try bed.record(20)
      #expect(record?.cell == cell(1))
      #expect(record?.owner == InstanceOwner(project: "project-1", user: "user-1"))
      #expect(record?.isQueuedForDelete == true)
      #expect(record?.row.createdAt == Timestamp("2026-01-01T05:16:48Z"))
      #expect(record?.lastSeen?.host == "host1")
      let entry = try bed.map.entries(after: count).first {
        $0.event.entity == .instance(instance(20))
      }
      #expect(entry?.draft.evidence?.cell == cell(1))
      #expect(entry?.draft.evidence?.table == "instances")
      #expect(try bed.reconcile().findings.isEmpty)
    }
  }

  @Test func `an instance in the wrong cell is moved, and nothing else of it changes`() throws {
    try withReconciliation { bed in
      let before = try bed.record(2)
      try bed.first.execute("DELETE FROM instances WHERE \(row(2))")
      try bed.second.add(instance(2), ["project_id": "'other'", "task_state": "'deleting'"])
      try bed.mend(.wrongCell)
      let after = try bed.record(2)
      #expect(after?.cell == cell(2))
      #expect(after?.owner == before?.owner)
      #expect(after?.isQueuedForDelete == false)
      #expect(after?.row == before?.row)
    }
  }

  @Test func `a mapping without a cell gets the one that has the row`() throws {
    try withReconciliation { bed in
      let draft = InstanceDraft(
        cell: nil, owner: InstanceOwner(project: "project-1", user: "user-1"))
      try bed.map.submit(.mapInstance(instance(30), draft))
      try bed.second.add(instance(30))
      try bed.mend(.noCell)
      #expect(try bed.record(30)?.cell == cell(2))
    }
  }

  @Test func `a conflict is settled by the mend that maps what it was about`() throws {
    try withReconciliation { bed in
      for file in [bed.first, bed.second] { try file.add(instance(20), ["host": "'host1'"]) }
      try bed.mend(.twoCopies)
      #expect(try bed.map.map().index.conflict(of: .instance(instance(20))) != nil)
      // While it is one, nothing is missing.
      #expect(try bed.mend(.missing).result?.instances == 0)
      // Deleted there and archived: without the archive that cell would look restored.
      try bed.second.execute(
        "DELETE FROM instances WHERE \(row(20)); "
          + "INSERT INTO shadow_instances (uuid) VALUES ('\(instance(20))')")
      let answer = try bed.mend(.missing)
      #expect(answer.result?.instances == 1 && answer.result?.settled == 1)
      #expect(try bed.record(20)?.cell == cell(1))
      let conflict = try bed.map.map().index.conflict(of: .instance(instance(20)))?.record
      #expect(conflict == nil || conflict?.decision != nil)
    }
  }

  @Test func `a class that wasn't asked for stays`() throws {
    try withReconciliation { bed in
      try bed.first.add(instance(20))
      try bed.first.execute("UPDATE instances SET task_state = 'deleting' WHERE \(row(2))")
      try bed.mend(.deletionMark)
      #expect(try bed.record(20) == nil)
      #expect(try bed.record(2)?.isQueuedForDelete == true)
    }
  }

  @Test func `owner and mark of one instance are mended together`() throws {
    try withReconciliation { bed in
      try bed.first.execute(
        "UPDATE instances SET task_state = 'deleting', user_id = 'other' WHERE \(row(2))")
      let answer = try bed.mend(.deletionMark, .owner)
      #expect(answer.result?.overtaken == 0)
      let record = try bed.record(2)
      #expect(record?.isQueuedForDelete == true)
      #expect(record?.owner == InstanceOwner(project: "project-1", user: "other"))
    }
  }

  @Test func `a mark is never cleared, whatever is asked for`() throws {
    try withReconciliation { bed in
      for number in [2, 3] { try bed.map.submit(.markForDeletion(instance(number), true)) }
      try bed.first.execute("UPDATE instances SET vm_state = 'error' WHERE \(row(3))")
      try bed.first.execute("UPDATE instances SET user_id = 'other' WHERE \(row(2))")
      var options = MendOptions(Set(FindingKind.allCases))
      options.limit = 1000
      options.unmaps = true
      options.takesProvisional = true
      try bed.reconcile(.init(options: options))
      #expect(try bed.record(2)?.isQueuedForDelete == true)
      #expect(try bed.record(2)?.owner.user == .clear("other"))
      #expect(try bed.record(3)?.isQueuedForDelete == true)
    }
  }

  @Test func `hosts are mapped and moved`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM compute_nodes; DELETE FROM services")
      try bed.second.execute(
        "INSERT INTO compute_nodes (host, deleted) VALUES ('host1', 0), ('new', 0)")
      let answer = try bed.mend(.unknownHost, .wrongCellHost)
      #expect(answer.result?.hosts == 2)
      #expect(try bed.map.map().host("host1")?.record.cell == cell(2))
      #expect(try bed.map.map().host("new")?.record.cell == cell(2))
    }
  }

  @Test func `conflicts are recorded for an operator to decide`() throws {
    try withReconciliation { bed in
      try bed.second.add(instance(2))
      try bed.second.execute("INSERT INTO compute_nodes (host, deleted) VALUES ('host1', 0)")
      try bed.mend(.twoCopies, .twinHost)
      #expect(try bed.map.map().conflict(of: .instance(instance(2)))?.record.decision == nil)
      #expect(try bed.map.map().conflict(of: .instance(instance(2))) != nil)
      #expect(try bed.map.map().conflict(of: .host("host1")) != nil)
      #expect(try bed.record(2)?.cell == cell(1))
    }
  }

  // MARK: What is gone

  @Test func `a row that is missing is no deletion by itself`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM instances WHERE \(row(2))")
      let before = try bed.record(2)
      let answer = try bed.mend(.orphaned) { $0.unmaps = true }
      #expect(answer.plan?.unproven == 1)
      #expect(answer.result?.outcome == nil)
      #expect(try bed.record(2) == before)
    }
  }

  @Test func `an archived instance is marked, and stays mapped`() throws {
    try withReconciliation { bed in
      try archive(2, in: bed.first)
      try bed.mend(.orphaned)
      #expect(try bed.record(2)?.isQueuedForDelete == true)
      #expect(try bed.record(2)?.cell == cell(1))
      let again = try bed.mend(.orphaned)
      #expect(again.plan?.wantsUnmapping == 1)
      #expect(again.result?.outcome == nil)
    }
  }

  @Test func `an archived instance is unmapped where that is said`() throws {
    try withReconciliation { bed in
      try archive(2, in: bed.first)
      try bed.mend(.orphaned) { $0.unmaps = true }
      #expect(try bed.record(2) == nil)
    }
  }

  @Test func `the operator's word stands for the archive`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM instances WHERE \(row(2))")
      try bed.mend(.orphaned) { $0.isArchivedByHand = true }
      #expect(try bed.record(2)?.isQueuedForDelete == true)
    }
  }

  @Test func `an instance that another cell has archived is not gone`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM instances WHERE \(row(2))")
      try bed.second.execute("INSERT INTO shadow_instances (uuid) VALUES ('\(instance(2))')")
      #expect(try bed.mend(.orphaned).plan?.unproven == 1)
    }
  }

  @Test func `a ghost host stays, and goes where that is said`() throws {
    try withReconciliation { bed in
      try bed.first.execute("DELETE FROM compute_nodes; DELETE FROM services")
      #expect(try bed.mend(.ghostHost).plan?.wantsUnmapping == 1)
      #expect(try bed.map.map().host("host1") != nil)
      try bed.mend(.ghostHost) { $0.unmaps = true }
      #expect(try bed.map.map().host("host1") == nil)
    }
  }

  private func archive(_ number: Int, in file: NovaCellFile) throws {
    try file.execute(
      "INSERT INTO shadow_instances (uuid, created_at) SELECT uuid, created_at FROM instances "
        + "WHERE \(row(number)); DELETE FROM instances WHERE \(row(number))")
  }
}

@Suite struct ReconciliationOthersTests {
  @Test func `what others decide between the looks and the mends stands`() throws {
    try withReconciliation { bed in
      for number in [20, 21] { try bed.first.add(instance(number)) }
      var options = MendOptions([.missing])
      options.limit = 1000
      let answer = try bed.reconcile(
        .init(
          options: options,
          beforeMending: {
            let draft = InstanceDraft(
              cell: cell(2), owner: InstanceOwner(project: "theirs", user: "theirs"))
            try bed.map.submit(.mapInstance(instance(20), draft))
          }))
      #expect(answer.result?.overtaken == 1)
      #expect(answer.result?.instances == 1)
      #expect(try bed.record(20)?.cell == cell(2))
      #expect(try bed.record(21)?.cell == cell(1))
    }
  }

  @Test func `what the rules don't take hinders nothing else`() throws {
    try withReconciliation { bed in
      try bed.cell0.execute("INSERT INTO compute_nodes (host, deleted) VALUES ('zero', 0)")
      try bed.first.execute("INSERT INTO compute_nodes (host, deleted) VALUES ('new', 0)")
      let answer = try bed.mend(.unknownHost)
      #expect(answer.result?.refusedCount == 1)
      #expect(answer.result?.hosts == 1)
    }
  }

  @Test func `the same command under the same id goes on with what is left`() throws {
    try withReconciliation { bed in
      try bed.first.add(instance(20))
      let request = RequestID(.random())
      // Stopped after its first chunk.
      try bed.map.submit(
        .take([
          Observation(
            .instance(
              instance(20),
              InstanceRecord(
                cell: cell(1), owner: InstanceOwner(project: "project-1", user: "user-1"))),
            evidence: nil)
        ]), request: request,
        bulk: BulkMark(
          title: "reconcile", chunk: KeyRange(kind: .instance, first: "a", last: "b")))
      try bed.first.add(instance(21))
      let answer = try bed.reconcile(.init(options: options, request: request))
      #expect(answer.result?.outcome?.finished != nil)
      #expect(try bed.record(21)?.cell == cell(1))
    }
  }

  @Test func `a stopped command is ended though nothing is left`() throws {
    try withReconciliation { bed in
      let request = RequestID(.random())
      try bed.map.submit(
        .take([Observation(.host("host1", HostRecord(cell: cell(2))), evidence: nil)]),
        request: request,
        bulk: BulkMark(title: "reconcile", chunk: KeyRange(kind: .host, first: "a", last: "b")))
      let answer = try bed.reconcile(.init(options: MendOptions([.missing]), request: request))
      #expect(answer.result?.outcome?.finished == ChangeCounts())
    }
  }

  private var options: MendOptions {
    var options = MendOptions([.missing])
    options.limit = 1000
    return options
  }
}
