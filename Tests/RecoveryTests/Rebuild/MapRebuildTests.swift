import Foundation
import Journal
import Projections
import Recovery
import Registry
import TestSupport
import Testing

@Suite struct MapRebuildTests {
  @Test func `gives each hard case its verdict, and says how many rules placed`() throws {
    try withRebuildBed { bed in
      let plan = try bed.rebuild()
      try bed.checkVerdicts()
      #expect(plan.isComplete)
      let count = bed.cloud.cases.count { $0.verdict == .conflict }
      #expect(plan.conflictCount == UInt64(count + 1))
      #expect(plan.hiddenOnly.count == 1 && plan.withoutProject.count == 1)
      #expect(plan.rules[.moveTarget] == 2 && plan.rules[.moveSource] == 1)
      #expect(plan.rules[.latestDeleted] == 3 && plan.rules[.cellBeatsCell0] == 1)
      #expect(plan.cells.map(\.markers) == [1, 1, 1, 1])
      let cells = try bed.index().cells()
      #expect(cells.allSatisfy { $0.row.record.isCovered })
    }
  }

  @Test func `a plan writes nothing, and a repeated rebuild changes nothing`() throws {
    try withRebuildBed { bed in
      let before = try bed.content()
      let plan = try bed.rebuild(planOnly: true)
      let after = try bed.content()
      #expect(after == before && plan.instances.added > 0)
      let staged = try FileManager.default.contentsOfDirectory(atPath: bed.store)
      #expect(!staged.contains { $0.hasPrefix("scan-") })
      try bed.rebuild()
      let content = try bed.content()
      let again = try bed.rebuild()
      #expect(again.instances.differing == 0 && again.hosts.differing == 0)
      #expect(again.conflicts.allSatisfy { $0.isKnown })
      let repeated = try bed.content()
      #expect(repeated == content)
    }
  }

  @Test func `another writer in the midst of it costs no instance, and what it decided stands`()
    throws
  {
    try withTemporaryFolder { folder in
      let bed = try RebuildBed(in: folder)
      try bed.makeCells()
      // Several chunks, of which the first ones go past the index.
      try bed.add(13_000, to: 1)
      try bed.rebuild()
      let expected = try bed.content()
      let other = try RebuildBed(in: folder, named: "other")
      // The last instance of all, and in a cell that doesn't have it.
      let last = try #require(try bed.index().instances(limit: 20_000).last?.id)
      var isDecided = false
      let plan = try other.rebuild(applying: { done in
        guard !isDecided, done >= 9_000 else { return }
        let draft = InstanceDraft(
          cell: cell(2), owner: InstanceOwner(project: "other" as ByteText, user: "other"))
        isDecided = (try? other.submit(.mapInstance(last, draft))) != nil
      })
      #expect(isDecided && plan.overtaken == 1)
      let found = try other.content()
      let differing = Set(found).symmetricDifference(expected)
      #expect(found.count == expected.count)
      #expect(differing.count == 2 && differing.allSatisfy { $0.hasPrefix("\(last)") })
      #expect(try other.index().instance(last)?.record.cell == cell(2))
      #expect(plan.instances.added + 1 == UInt64(try other.index().instances(limit: 20_000).count))
    }
  }

  /// What is no more sure is a conflict first, and then loses its mapping.
  private func expectConflictsFirst(_ bed: RebuildBed) throws {
    let journal = try EventJournal.open(bed.store)
    var conflicts: Set<EntityKey> = []
    for index in 1...journal.head.position.index {
      switch try journal.entry(at: index)?.event {
      case .conflict(let entity, .found): conflicts.insert(entity)
      case .instance(let id, .unmapped): #expect(conflicts.contains(.instance(id)), "\(index)")
      default: break
      }
    }
  }

  @Test(arguments: [[0], [1], [2], [3], [1, 2], [2, 3], [0, 3], [1, 2, 3]])
  func `ends the same, whatever cells were away at first`(_ away: [Int]) throws {
    try withTemporaryFolder { folder in
      let bed = try RebuildBed(in: folder)
      try bed.makeCells()
      try bed.rebuild()
      let expected = try bed.content()
      let other = try RebuildBed(in: folder, named: "other")
      let first = try other.without(away) { try other.rebuild() }
      #expect(first.unread.map(\.cell) == away.map { RebuildBed.cells[$0] })
      let uncovered = try other.index().cells().filter { !$0.row.record.isCovered }.map(\.id)
      #expect(uncovered == away.map { RebuildBed.cells[$0] })
      // They come back one by one.
      if away.count > 1 { _ = try other.without([away[0]]) { try other.rebuild() } }
      try other.rebuild()
      let found = try other.content()
      #expect(Set(found).symmetricDifference(expected) == [])
      try expectConflictsFirst(other)
      try other.checkVerdicts()
    }
  }

  @Test func `a cell that is away loses nothing of what is known of it`() throws {
    try withRebuildBed { bed in
      try bed.rebuild()
      let expected = try bed.content()
      let plan = try bed.without([2]) { try bed.rebuild() }
      #expect(plan.pending > 0 && plan.missing.count == 0)
      let kept = try bed.content()
      // Conflicts name the cells that they are between.
      let records = expected.filter { !$0.hasPrefix("instance ") && !$0.hasPrefix("host ") }
      #expect(Set(records.filter { $0.contains("\(cell(2))") }).subtracting(kept) == [])
      try bed.rebuild()
      let found = try bed.content()
      #expect(Set(found).symmetricDifference(expected) == [])
    }
  }

  @Test func `completes a map of before, and takes back none of its marks`() throws {
    try withRebuildBed(cause: .initialized) { bed in
      let plain = bed.cloud.cases[0].instance
      let deleted = try #require(bed.cloud.cases.first { $0.name == "deleted, not archived" })
      // So many of cell1 are known that it is recognised by them.
      let own = bed.cloud.cases.filter { $0.name.contains("accepted") }.map(\.instance)
      let known = own.map { ($0, cell(1)) } + [(plain, cell(2)), (deleted.instance, cell(1))]
      for (id, cell) in known {
        try bed.submit(
          .mapInstance(
            id, InstanceDraft(cell: cell, owner: InstanceOwner(project: "old", user: "old"))))
      }
      try bed.submit(.markForDeletion(plain, true))
      let lost = instance(77)
      try bed.submit(
        .mapInstance(
          lost, InstanceDraft(cell: cell(1), owner: InstanceOwner(project: "p", user: "u"))))
      let plan = try bed.rebuild()
      let index = try bed.index()
      let moved = try #require(try index.instance(plain)?.record)
      #expect(moved.cell == cell(1), "the cell that has it")
      #expect(moved.isQueuedForDelete == true, "a mark isn't cleared because a cell says live")
      #expect(moved.owner.project == .clear("project-1"))
      #expect(try index.instance(deleted.instance)?.record.isQueuedForDelete == true)
      #expect(plan.missing.first == ["\(lost)"])
      #expect(try index.instance(lost)?.record.cell == cell(1), "it stays")
      let epochs = try index.epochs()
      #expect(epochs.map(\.row.cause) == [.initialized, .rebuilt])
      // What the first has completed is no reason for the next.
      try bed.rebuild()
      let later = try bed.index()
      #expect(try later.epochs().count == 2, "it goes on in the epoch of the first")
      #expect(try later.instance(plain)?.record.isQueuedForDelete == true)
    }
  }

  @Test(arguments: [true, nil])
  func `a mark and Nova's own number stay in all rebuilds, and a mark of a cell goes with it`(
    _ mark: Bool?
  ) throws {
    try withRebuildBed { bed in
      try bed.rebuild()
      let (kept, own) = (instance(900), instance(901))
      let file = NovaCellFile(path: bed.path(1))
      try file.add(kept)
      try file.add(own, ["task_state": "'deleting'"])
      let row = NovaRow(number: 17, createdAt: Timestamp(microseconds: 1_700_000_000_000_000))
      let record = InstanceRecord(
        cell: cell(1), owner: InstanceOwner(project: "old", user: "old"), isQueuedForDelete: mark,
        row: row)
      try bed.take(Observation(.instance(kept, record), evidence: nil))
      for (round, state) in ["'deleting'", "NULL", "NULL"].enumerated() {
        try file.execute(
          "UPDATE instances SET task_state = \(state) WHERE uuid = '\(own)'; "
            + "UPDATE instances SET user_id = 'user\(round)' WHERE uuid = '\(kept)'")
        try bed.rebuild()
        let found = try #require(try bed.index().instance(kept)?.record)
        #expect(found.owner.user == .clear(ByteText("user\(round)")))
        #expect(found.isQueuedForDelete == mark && found.row == row, "\(round)")
        #expect(try bed.index().instance(own)?.record.isQueuedForDelete == (round == 0))
      }
    }
  }

  @Test func `a conflict about what others mapped leaves it mapped, and is counted apart`() throws {
    try withRebuildBed(cause: .initialized) { bed in
      // So many of cell1 are known that it is recognised by them.
      let own = bed.cloud.cases.filter { $0.name.contains("accepted") }.map(\.instance)
      let conflict = try #require(
        bed.cloud.cases.first { $0.name == "live in three cells" }
      ).instance
      for id in own + [conflict] {
        try bed.submit(
          .mapInstance(
            id, InstanceDraft(cell: cell(1), owner: InstanceOwner(project: "p", user: "u"))))
      }
      for _ in 1...2 {
        let plan = try bed.rebuild()
        #expect(plan.conflictsMapped == 1 && plan.conflictCount > 1)
        #expect(try bed.index().instance(conflict)?.record.cell == cell(1))
        #expect(try bed.index().conflict(of: .instance(conflict))?.record.decision == nil)
      }
    }
  }

  @Test func `foretells how many records the map has then`() throws {
    try withRebuildBed { bed in
      func check(_ plan: RebuildPlan) throws {
        let index = try bed.index()
        #expect(plan.instances.after == (try index.countInstances()))
        #expect(plan.hosts.after == UInt64(try index.hosts().count))
      }
      // What is revised later is taken out again.
      for away in [[2, 3], [1], []] {
        let foretold = try bed.without(away) { try bed.rebuild(planOnly: true) }
        let plan = try bed.without(away) { try bed.rebuild() }
        #expect(foretold.instances.after == plan.instances.after)
        try check(plan)
      }
    }
  }

  @Test func `what others decide while the cells are read stands`() throws {
    try withRebuildBed { bed in
      let id = bed.cloud.cases[0].instance
      let plan = try bed.rebuild {
        try bed.submit(
          .mapInstance(
            id, InstanceDraft(cell: cell(3), owner: InstanceOwner(project: "p", user: "u"))))
      }
      #expect(plan.overtaken == 1)
      let row = try bed.index().instance(id)
      #expect(row?.record.cell == cell(3))
    }
  }

  @Test func `a decided conflict stays decided, until other cells are in it`() throws {
    try withRebuildBed { bed in
      try bed.rebuild()
      let item = try #require(bed.cloud.cases.first { $0.name == "both visible, no move" })
      let record = InstanceRecord(
        cell: cell(3), owner: InstanceOwner(project: "project-1", user: "user-1"))
      try bed.submit(
        .resolveConflict(
          .instance(item.instance), decision: ConflictDecision.cell(cell(3)),
          making: .instance(item.instance, record)))
      try bed.submit(
        .resolveConflict(
          .host("twin"), decision: ConflictDecision.cell(cell(1)),
          making: .host("twin", HostRecord(cell: cell(1)))))
      let plan = try bed.rebuild()
      #expect(plan.decided == 2)
      #expect(try bed.index().instance(item.instance)?.record.cell == cell(3))
      #expect(try bed.index().host("twin")?.record.cell == cell(1))
      // The row in the cell that was decided for says the rest, and the other nothing.
      for (number, mark) in [(1, "'deleting', host = 'other'"), (3, "NULL, host = 'new'")] {
        try NovaCellFile(path: bed.path(number)).execute(
          "UPDATE instances SET task_state = \(mark) WHERE uuid = '\(item.instance)'")
      }
      #expect(try bed.rebuild().decided == 2)
      let refreshed = try bed.index().instance(item.instance)?.record
      #expect(refreshed?.cell == cell(3) && refreshed?.lastSeen?.host == "new")
      #expect(refreshed?.isQueuedForDelete != true)
      try NovaCellFile(path: bed.path(3)).execute(
        "UPDATE instances SET task_state = 'deleting', user_id = 'new' WHERE uuid = '\(item.instance)'"
      )
      #expect(try bed.rebuild().decided == 2)
      let deleting = try bed.index().instance(item.instance)?.record
      #expect(deleting?.cell == cell(3) && deleting?.isQueuedForDelete == true)
      #expect(deleting?.owner.user == .clear("new"))
      #expect(try bed.rebuild().instances.changed == 0)
      let file = NovaCellFile(path: bed.path(2))
      try file.add(item.instance)
      let widened = try bed.rebuild()
      #expect(widened.decided == 1)
      let conflict = try bed.index().conflict(of: .instance(item.instance))?.record
      #expect(conflict?.decision == nil && conflict?.kind == "live in more than two cells")
      #expect(try bed.index().instance(item.instance)?.record.cell == cell(3), "as it was decided")
      // Gone from two of them, the rules decide, and the conflict is settled.
      for number in [2, 1] {
        try NovaCellFile(path: bed.path(number)).execute(
          "DELETE FROM instances WHERE uuid = '\(item.instance)'")
      }
      let narrowed = try bed.rebuild()
      #expect(narrowed.settled == 1)
      #expect(
        try bed.index().conflict(of: .instance(item.instance))?.record.decision
          == ConflictDecision.byRules)
    }
  }

  @Test(arguments: [3, nil])
  func `a copy that was decided against isn't the instance because the other was deleted`(
    _ decided: Int?
  ) throws {
    try withRebuildBed { bed in
      try bed.rebuild()
      let item = try #require(bed.cloud.cases.first { $0.name == "both visible, no move" })
      let id = item.instance
      let owner = InstanceOwner(project: "project-1", user: "user-1")
      try bed.submit(
        .resolveConflict(
          .instance(id),
          decision: decided.map { ConflictDecision.cell(cell($0)) } ?? ConflictDecision.unmapped,
          making: decided.map { .instance(id, InstanceRecord(cell: cell($0), owner: owner)) }))
      try NovaCellFile(path: bed.path(3)).execute(
        "UPDATE instances SET deleted = id, deleted_at = '2026-03-01 00:00:00' WHERE uuid = '\(id)'"
      )
      for _ in 1...2 {
        let plan = try bed.rebuild()
        #expect(plan.decided == 1 && plan.overruled.count == 0)
        let record = try bed.index().instance(id)?.record
        #expect(record?.cell == decided.map { cell($0) })
        #expect(record?.isQueuedForDelete == decided.map { _ in true })
      }
      // Gone from the cell, it isn't the other's either.
      let file = NovaCellFile(path: bed.path(3))
      try file.execute("DELETE FROM instances WHERE uuid = '\(id)'")
      let gone = try bed.rebuild()
      #expect(gone.decided == 1 && gone.missing.count == (decided == nil ? 0 : 1))
      #expect(try bed.index().instance(id)?.record.cell == decided.map { cell($0) })
      // What is hidden counts for nobody.
      try file.add(id, ["hidden": "1"])
      let plan = try bed.rebuild()
      #expect(plan.overruled.first == ["instance \(id)"] && plan.hasFindings)
      #expect(try bed.index().instance(id)?.record.cell == cell(1))
      #expect(
        try bed.index().conflict(of: .instance(id))?.record.decision == ConflictDecision.byRules)
      #expect(try bed.rebuild().overruled.count == 0)
    }
  }

  @Test func `instances in error are named: a cell doesn't say that a delete had failed`() throws {
    try withRebuildBed { bed in
      for (number, row) in [(1, "'error', NULL"), (2, "'error', 'deleting'"), (0, "'error', NULL")]
      {
        try NovaCellFile(path: bed.path(number)).execute(
          """
          INSERT INTO instances (uuid, deleted, project_id, vm_state, task_state)
            VALUES ('\(instance(700 + number))', 0, 'p', \(row));
          """)
      }
      #expect(try bed.rebuild().inError.first == ["\(instance(701))"])
      #expect(try bed.index().instance(instance(701))?.record.isQueuedForDelete == false)
      // The map still doesn't know it of anybody who could.
      #expect(try bed.rebuild().inError.count == 1)
    }
  }

  @Test func `rows that Nova doesn't write are named, and the others are taken`() throws {
    try withRebuildBed { bed in
      let file = NovaCellFile(path: bed.path(1))
      try file.execute(
        """
        INSERT INTO instances (uuid, deleted) VALUES ('zzzzzzzz-zzzz-4zzz-8zzz-zzzzzzzzzzzz', 0);
        INSERT INTO instances (uuid, deleted, created_at)
          VALUES ('\(instance(1))', 0, 'yesterday'), ('\(instance(2))', 'x', NULL);
        """)
      let plan = try bed.rebuild()
      #expect(plan.cells[1].unreadable == 3 && plan.unreadable.count == 3, "\(plan.unreadable)")
      try bed.checkVerdicts()
      let covered = try bed.index().cells().map { $0.row.record.isCovered }
      #expect(covered == [true, false, true, true])
    }
  }

  @Test func `what the map's rules refuse is named, and the others are taken`() throws {
    try withRebuildBed { bed in
      try NovaCellFile(path: bed.path(1)).execute(
        "INSERT INTO compute_nodes (host, deleted) VALUES ('bad' || char(10) || 'name', 0)")
      try NovaCellFile(path: bed.path(0)).execute(
        "INSERT INTO compute_nodes (host, deleted) VALUES ('host-of-cell0', 0)")
      try NovaCellFile(path: bed.path(2)).add(instance(1), ["project_id": "'a' || char(7)"])
      let plan = try bed.rebuild()
      #expect(plan.refused.count == 3, "\(plan.refused)")
      try bed.checkVerdicts()
      #expect(try bed.index().instance(instance(1)) == nil)
      let covered = try bed.index().cells().map { $0.row.record.isCovered }
      #expect(covered == [true, true, false, true])
    }
  }

  @Test func `nothing is written into a cell, and each entry carries its evidence`() throws {
    try withRebuildBed { bed in
      let before = try (0...3).map { try Data(contentsOf: URL(fileURLWithPath: bed.path($0))) }
      try bed.rebuild()
      let after = try (0...3).map { try Data(contentsOf: URL(fileURLWithPath: bed.path($0))) }
      #expect(before == after)
      let journal = try EventJournal.open(bed.store)
      let head = try journal.refresh().position.index
      var digests: Set<Digest> = []
      var notes = 0
      for index in 1...head {
        let entry = try #require(try journal.entry(at: index))
        switch entry.event {
        case .instance, .host:
          let evidence = try #require(entry.draft.evidence)
          #expect(evidence.cell != nil && !evidence.source.string.isEmpty)
          if case .instance = entry.event { digests.insert(evidence.rowDigest) }
        case .store(.scanFinished(let progress)):
          #expect(progress.digest != .zero || progress.rows == 0)
          notes += 1
        default: break
        }
      }
      #expect(digests.count > 20 && notes == 4)
    }
  }

  @Test func `reads in pages, and no faster than it may`() throws {
    try withRebuildBed { bed in
      var settings = ScanSettings()
      settings.pageRows = 2
      settings.rowsPerSecond = 40
      let began = ContinuousClock.now
      try bed.rebuild(settings: settings)
      // The fullest cell has more than 16 rows.
      #expect(began.duration(to: .now) > .milliseconds(300))
      try bed.checkVerdicts()
    }
  }

  @Test func `a row counts whatever its number is`() throws {
    try withRebuildBed { bed in
      for (number, row) in [(1, 0), (2, -3)] {
        try NovaCellFile(path: bed.path(number)).execute(
          "UPDATE instances SET id = \(row) WHERE id = (SELECT min(id) FROM instances)")
      }
      try bed.rebuild()
      try bed.checkVerdicts()
    }
  }

  @Test func `a schema that no Nova has is said to be, and read`() throws {
    try withRebuildBed { bed in
      for (number, revision) in [(1, "ab450ba04102"), (2, "ffffffffffff")] {
        try NovaCellFile(path: bed.path(number)).execute(
          "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL); "
            + "INSERT INTO alembic_version VALUES ('\(revision)')")
      }
      let plan = try bed.rebuild()
      #expect(plan.cells.map(\.unknownSchema) == [nil, nil, "ffffffffffff", nil])
      #expect(plan.cells[2].schemaRemark("cell2")?.contains("'ffffffffffff'") == true)
      try bed.checkVerdicts()
    }
  }
}
