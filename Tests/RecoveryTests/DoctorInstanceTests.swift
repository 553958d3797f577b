import Journal
import Projections
import Recovery
import TestSupport
import Testing

/// What the doctor finds of instances, and that its SQL mends it.
@Suite struct DoctorInstanceTests {
  @Test func `finds nothing where everything is as Nova makes it`() throws {
    try withDoctorBed { bed in
      for number in 1...50 { try bed.add(number, in: number % 2 + 1) }
      try bed.add(51, in: 1, ["deleted": "51"])
      // A move that goes on: the copy is hidden.
      try bed.add(52, in: 1)
      try bed.cells[1].add(instance(52), ["hidden": "1"])
      // Being built: no cell yet.
      try bed.api.addInstance(53, "\(instance(53))", cell: nil)
      try bed.api.execute("INSERT INTO build_requests VALUES ('\(instance(53))')")
      // What a purge left, and what online_data_migrations leaves in every cell.
      try bed.cells[0].add(instance(54), ["deleted": "54"])
      try bed.cells[0].add(InstanceID(.zero), ["deleted": "55"])
      let (findings, report) = try bed.examine()
      #expect(findings.isEmpty, "\(findings)")
      #expect(report.mappings == 53 && report.hosts == 2 && report.settled == 0)
      #expect(report.isComplete && report.undecided == 0)
    }
  }

  @Test func `finds an instance without a mapping`() throws {
    try withDoctorBed { bed in
      try bed.add(1, in: 1)
      try bed.cells[1].add(instance(2))
      try bed.cells[1].add(instance(0))
      let (findings, _) = try bed.examine()
      #expect(findings.map(\.kind) == [.unmappedInstance, .unmappedInstance])
      #expect(findings.map(\.subject) == [0, 2].map { .instance("\(instance($0))") })
      #expect(findings[0].cells == [cell(2)])
      #expect(findings[0].fix[0].text.contains("map_instances --cell_uuid \(cell(2))"))
    }
  }

  @Test func `finds a mapping to the wrong cell`() throws {
    try withDoctorBed { bed in
      try bed.api.addInstance(1, "\(instance(1))", cell: 2)
      try bed.cells[1].add(instance(1))
      // A deleted row where the mapping leads is what archive_deleted_rows loses a live one by.
      try bed.cells[0].add(instance(1), ["deleted": "7"])
      let finding = try bed.onlyFinding(.wrongCell)
      #expect(finding.cells == [cell(1), cell(2)])
    }
  }

  @Test func `finds a mapping to the hidden copy`() throws {
    try withDoctorBed { bed in
      try bed.add(1, in: 1, ["hidden": "1"])
      try bed.cells[1].add(instance(1))
      try bed.onlyFinding(.wrongCell)
    }
  }

  @Test func `finds a mapping without a cell though one has the instance`() throws {
    try withDoctorBed { bed in
      try bed.api.addInstance(1, "\(instance(1))", cell: nil)
      try bed.cells[1].add(instance(1))
      try bed.onlyFinding(.mappingWithoutCell)
    }
  }

  @Test func `finds a mapping without a cell and without a build request`() throws {
    try withDoctorBed { bed in
      try bed.api.addInstance(1, "\(instance(1))", cell: nil)
      try bed.onlyFinding(.mappingWithoutBuildRequest)
    }
  }

  @Test func `tells an archived row from one that is missing`() throws {
    try withDoctorBed { bed in
      try bed.add(3, in: 1)
      try bed.api.addInstance(1, "\(instance(1))", cell: 2)
      try bed.cells[0].execute("INSERT INTO shadow_instances VALUES ('\(instance(1))')")
      try bed.onlyFinding(.rowArchived)
      let long = ["created_at": "'2025-01-02 03:04:07.000000'"]
      try bed.api.addInstance(2, "\(instance(2))", cell: 2, long)
      try bed.onlyFinding(.rowMissing)
    }
  }

  @Test func `finds a mapping to a cell that isn't there`() throws {
    try withDoctorBed { bed in
      try bed.api.addInstance(1, "\(instance(1))", cell: 99)
      try bed.onlyFinding(.unknownCell)
      try bed.api.addInstance(2, "\(instance(2))", cell: 99)
      try bed.cells[1].add(instance(2))
      #expect(try bed.onlyFinding(.unknownCell).cells == [cell(2)])
    }
  }

  @Test func `finds two visible copies, and hides the one that isn't mapped`() throws {
    try withDoctorBed { bed in
      try bed.add(1, in: 1)
      try bed.cells[1].add(instance(1))
      let finding = try bed.onlyFinding(.twoVisibleCopies)
      #expect(finding.fix.map(\.place) == [.cell("cell2 (\(cell(2)))")])
    }
  }

  @Test func `finds a hidden copy that is alone`() throws {
    try withDoctorBed { bed in
      try bed.add(1, in: 1, ["hidden": "1"])
      try bed.onlyFinding(.loneHiddenCopy)
      try bed.cells[1].add(instance(2), ["hidden": "1"])
      try bed.onlyFinding(.loneHiddenCopy, mends: false)
    }
  }

  @Test func `finds texts that aren't UUIDs, and the others all the same`() throws {
    try withDoctorBed { bed in
      for number in 1...5 { try bed.add(number, in: 2) }
      try bed.add(6, in: 1)
      let capitals = "ABCDEF01-0000-4000-8000-000000000000"
      try bed.api.addInstance(9, "0000000X-0000-4000-8000-00000000000!", cell: 2)
      try bed.api.addInstance(10, capitals, cell: 3)
      try bed.cells[1].execute(
        "INSERT INTO instances (uuid, deleted) VALUES ('no ''uuid'' at all', 0), ('\(capitals)', 0)"
      )
      let (findings, _) = try bed.examine()
      #expect(findings.map(\.kind) == Array(repeating: .malformedUUID, count: 4))
      for finding in findings where !finding.cells.isEmpty {
        try bed.cells[1].execute(try #require(finding.fix.first).text)
      }
      for finding in findings where finding.cells.isEmpty {
        try bed.api.execute(try #require(finding.fix.first).text)
      }
      // A server whose UUID stands in capitals isn't taken away.
      #expect(try bed.examine().findings.isEmpty)
      let kept = try bed.cells[1].connect().integer(
        "SELECT count(*) FROM instances WHERE uuid = '\(capitals.lowercased())'")
      #expect(kept == 1)
    }
  }

  @Test func `finds Nova's marker rows`() throws {
    try withDoctorBed { bed in
      try bed.api.addInstance(
        1, "00000001 0000 4000 8000 000000000001", cell: nil,
        ["project_id": "'INSTANCE_MIGRATION_MARKER'"])
      try bed.onlyFinding(.markerRow)
      try bed.api.addInstance(2, "\(UUID128.zero)", cell: nil)
      try bed.onlyFinding(.markerRow)
    }
  }

  @Test func `counts NULLs that were never migrated`() throws {
    try withDoctorBed { bed in
      for number in 1...3 { try bed.add(number, in: 1) }
      try bed.api.execute(
        "UPDATE instance_mappings SET user_id = NULL; "
          + "UPDATE instance_mappings SET queued_for_delete = NULL WHERE id < 3")
      let report = try bed.examine().report
      #expect(report.counts == [.nullUser: 3, .nullQueuedForDelete: 2])
    }
  }

  @Test func `compares more rows than a page has`() throws {
    try withDoctorBed { bed in
      try bed.api.addInstances(0..<5000, cell: { $0 % 2 + 2 }, uuid: { "\(instance($0))" })
      for place in [0, 1] {
        let rows = (0..<5000).filter { $0 % 2 == place && $0 != 2001 && $0 != 4998 }.map {
          "('\(instance($0))', 0)"
        }
        try bed.cells[place].execute(
          "INSERT INTO instances (uuid, deleted) VALUES " + rows.joined(separator: ","))
      }
      try bed.cells[0].add(instance(9000))
      let (findings, report) = try bed.examine()
      #expect(
        findings.map(\.subject) == [9000, 2001, 4998].map { .instance("\(instance($0))") })
      #expect(report.mappings == 5000)
      #expect(report.cells.map(\.instances) == [0, 2500, 2499])
    }
  }

  @Test func `looks again before it believes`() throws {
    try withDoctorBed { bed in
      try bed.api.execute("PRAGMA journal_mode=wal")
      // Booted while the cells were read: in the cell, and mapped only by now.
      try bed.cells[0].add(instance(1))
      // Moved meanwhile, and deleted meanwhile.
      try bed.api.addInstance(2, "\(instance(2))", cell: 3)
      try bed.cells[0].add(instance(2))
      try bed.api.addInstance(3, "\(instance(3))", cell: 3)
      let (findings, report) = try bed.examine {
        try? bed.api.addInstance(1, "\(instance(1))", cell: 2)
        try? bed.api.execute(
          "UPDATE instance_mappings SET cell_id = 2 WHERE id = 2; "
            + "DELETE FROM instance_mappings WHERE id = 3")
      }
      #expect(findings.isEmpty && report.settled == 3, "\(findings)")
    }
  }
}
