import Foundation
import Journal
import Projections
import Registry
import TestServers
import TestSupport
import Testing

@testable import Recovery

/// What publishing never does, whatever the mode.
@Suite struct PublicationRulesTests {
  private typealias Run = AdoptionBed.Publishing
  private static let past = "'2026-02-01 00:00:00'"
  private static let future = "'2099-01-01 00:00:00'"

  /// Makes the target equal to the map, then differ, and publishes again.
  private func published(
    _ bed: AdoptionBed, _ api: PublishedAPI, after sql: String, beside: Bool = false
  ) throws -> AdoptionBed.Published {
    try bed.publish(into: api)
    _ = try api.run(sql)
    return try bed.publish(into: api, Run(isNovaStopped: !beside))
  }

  @Test(arguments: [false, true])
  func `never sets a cell to NULL`(beside: Bool) throws {
    try withPublishing(instances: 3) { bed, api in
      try bed.publish(into: api)
      try bed.submit(.remapInstance(instance(1), to: nil))
      let done = try bed.publish(into: api, Run(isNovaStopped: !beside))
      #expect(try api.instance(instance(1), "cell_id") == "2")
      #expect(done.done.instances.left == 1 && done.outcome == nil)
      #expect(done.reasons(.kept).contains { $0.contains("no cell for it") })
    }
  }

  @Test(arguments: [false, true])
  func `writes a mapping without a cell only beside its build request`(beside: Bool) throws {
    try withPublishing(instances: 0) { bed, api in
      let owner = InstanceOwner(project: "p", user: "u")
      for number in [1, 2] {
        try bed.submit(.mapInstance(instance(number), InstanceDraft(cell: nil, owner: owner)))
      }
      try api.addBuildRequest(instance(2))
      let done = try bed.publish(into: api, Run(isNovaStopped: !beside))
      #expect(try api.instance(instance(1), "count(*)") == "0")
      #expect(try api.instance(instance(2), "cell_id IS NULL") == "1")
      #expect(done.done.instances.added == 1 && done.done.instances.left == 1)
      #expect(done.done.findings.first { $0.kind == .kept }?.key == "\(instance(1))")
    }
  }

  @Test(arguments: [false, true])
  func `never changes a mapping whose build request exists`(beside: Bool) throws {
    try withPublishing(instances: 3) { bed, api in
      let request = "INSERT INTO build_requests (project_id, instance_uuid) VALUES ('p', '"
      let done = try published(
        bed, api,
        after: "UPDATE instance_mappings SET cell_id = NULL WHERE id < 3; "
          + request + "\(instance(1))');", beside: beside)
      #expect(try api.instance(instance(1), "cell_id IS NULL") == "1")
      // Beside a running Nova the other isn't as it was seen.
      #expect(try api.instance(instance(2), beside ? "cell_id IS NULL" : "cell_id = 3") == "1")
      #expect(done.done.instances.changed == (beside ? 0 : 1))
      #expect(done.done.instances.left == (beside ? 2 : 1))
      #expect(done.reasons(.kept).contains { $0.contains("build_request") })
    }
  }

  @Test(
    arguments: [
      ("'2026-02-01 00:00:00'", true), ("'2099-01-01 00:00:00'", false), ("NULL", false),
    ], [false, true])
  func `clears a deletion mark only by evidence younger than the row`(
    row: (time: String, isOlder: Bool), beside: Bool
  ) throws {
    try withPublishing(instances: 3) { bed, api in
      let done = try published(
        bed, api,
        after: "UPDATE instance_mappings SET queued_for_delete = 1, created_at = NULL, "
          + "updated_at = \(row.time) WHERE id = 1;", beside: beside)
      // Beside a running Nova it isn't what was last seen there.
      let isCleared = row.isOlder && !beside
      #expect(try api.instance(instance(1), "queued_for_delete") == (isCleared ? "0" : "1"))
      #expect(done.done.instances.left == (isCleared ? 0 : 1))
      #expect(done.reasons(.kept).count == (isCleared ? 0 : 1))
    }
  }

  @Test func `beside a running Nova a mark is cleared that was seen, and no other`() throws {
    try withPublishing(instances: 2) { bed, api in
      for number in [1, 2] { try bed.submit(.markForDeletion(instance(number), true)) }
      try bed.publish(into: api)
      for number in [1, 2] { try bed.submit(.markForDeletion(instance(number), false)) }
      _ = try api.run(
        "UPDATE instance_mappings SET created_at = NULL, updated_at = \(Self.past);"
          + "UPDATE instance_mappings SET updated_at = \(Self.future) WHERE id = 2;")
      try bed.publish(into: api, Run(isNovaStopped: false))
      #expect(try api.instance(instance(1), "queued_for_delete") == "0")
      #expect(try api.instance(instance(2), "queued_for_delete") == "1")
    }
  }

  @Test func `a later change of something else is no evidence of the mark`() throws {
    try withPublishing(instances: 3) { bed, api in
      try bed.publish(into: api)
      _ = try api.run(
        "UPDATE instance_mappings SET queued_for_delete = 1, updated_at = \(Self.past);")
      try bed.submit(.setOwner(instance(1), InstanceOwner(project: "q", user: "u")))
      try bed.submit(.markForDeletion(instance(2), true))
      try bed.submit(.markForDeletion(instance(2), false))
      let done = try bed.publish(into: api).done
      #expect(try api.instance(instance(1), "project_id") == "q")
      #expect(try api.instance(instance(1), "queued_for_delete") == "1")
      #expect(try api.instance(instance(2), "queued_for_delete") == "0")
      #expect(try api.instance(instance(3), "queued_for_delete") == "0")
      #expect(done.instances.changed == 3 && done.instances.left == 1)
    }
  }

  @Test(arguments: [false, true])
  func `never puts NULL where there was a user, a flag or a name`(beside: Bool) throws {
    try withPublishing(instances: 0) { bed, api in
      try bed.api.addInstance(
        1, "\(instance(1))", cell: 2, ["user_id": "NULL", "queued_for_delete": "NULL"])
      try bed.api.execute("UPDATE cell_mappings SET name = NULL, disabled = NULL WHERE id = 2")
      try bed.adopt()
      let done = try published(
        bed, api,
        after: """
          UPDATE instance_mappings SET user_id = 'u', queued_for_delete = 1;
          UPDATE cell_mappings SET name = 'n', disabled = 1 WHERE id = 2;
          """, beside: beside)
      #expect(done.outcome == nil && done.done.leftCount == 0)
      #expect(try api.instance(instance(1), "user_id || queued_for_delete") == "u1")
      #expect(try api.value("SELECT name || disabled FROM cell_mappings WHERE id = 2") == "n1")
    }
  }

  @Test func `never uses the number of another cell again, nor one that rows still name`() throws {
    try withPublishing(instances: 0) { bed, api in
      // SQLite checks no foreign keys: rows of a cell that is gone may be left.
      _ = try api.run(
        """
        INSERT INTO instance_mappings (id, instance_uuid, cell_id, project_id)
          VALUES (1, '\(instance(1))', 3, 'p'), (2, '\(instance(2))', 70, 'p');
        INSERT INTO cell_mappings (id, uuid, name, transport_url, database_connection)
          VALUES (2, '\(cell(50))', 'other', 'none:///', 'sqlite:///50.sqlite');
        """)
      try bed.publish(into: api)
      #expect(
        try api.value("SELECT group_concat(id) FROM (SELECT id FROM cell_mappings ORDER BY id)")
          == "1,2,71,72")
      #expect(try api.value("SELECT uuid FROM cell_mappings WHERE id = 2") == "\(cell(50))")
    }
  }

  @Test func `names and counts what Nova's tables can't hold`() throws {
    try withPublishing(instances: 2) { bed, api in
      let owner = InstanceOwner(project: ByteText?.none, user: "u")
      let record = InstanceRecord(cell: cell(1), owner: owner)
      try bed.submit(
        .take([Observation(.instance(instance(9), record), evidence: nil)]),
        bulk: BulkMark(title: "t", chunk: KeyRange(kind: .instance, first: "a", last: "b")))
      try bed.submit(
        .addCell(id: cell(8), CellDraft(name: "new", addresses: AddressDraft())))
      let done = try bed.publish(into: api).done
      #expect(done.instances.left == 1 && done.cells.left == 1 && done.instances.added == 2)
      let unpublishable = done.findings.filter { $0.kind == .unpublishable }
      #expect(unpublishable.map(\.key) == ["\(cell(8))", "\(instance(9))"])
      #expect(done.findingCounts[.unpublishable] == 2)
    }
  }

  @Test func `never makes a second cell of one database`() throws {
    try withPublishing(instances: 3) { bed, api in
      _ = try api.run(
        "INSERT INTO cell_mappings (id, uuid, name, transport_url, database_connection) "
          + "VALUES (7, '\(cell(50))', 'again', 'none:///', 'sqlite:///1.sqlite');")
      let done = try bed.publish(into: api).done
      #expect(done.cells.added == 2 && done.cells.left == 1)
      #expect(try api.value("SELECT count(*) FROM cell_mappings") == "3")
      // What is in it has no place either, and says so.
      #expect(done.hosts.left == 1 && done.instances.left == 1)
    }
  }

  @Test(arguments: [false, true])
  func `beside a running Nova a row that is newer than the map's knowledge stays`(
    beside: Bool
  ) throws {
    try withPublishing(instances: 3) { bed, api in
      try bed.publish(into: api)
      try bed.submit(.renameCell(cell(1), to: "x"))
      try bed.submit(.renameCell(cell(2), to: "y"))
      try bed.submit(.remapInstance(instance(1), to: cell(2)))
      try bed.submit(.remapInstance(instance(2), to: cell(1)))
      // Nova wrote them again, and left what the map changes as it was.
      _ = try api.run(
        """
        UPDATE instance_mappings SET updated_at = \(Self.past);
        UPDATE instance_mappings SET updated_at = \(Self.future) WHERE id = 2;
        UPDATE cell_mappings SET updated_at = \(Self.future) WHERE id = 2;
        UPDATE cell_mappings SET updated_at = \(Self.past) WHERE id = 3;
        """)
      let done = try bed.publish(into: api, Run(isNovaStopped: !beside))
      #expect(try api.instance(instance(1), "cell_id") == "3")
      #expect(try api.instance(instance(2), "cell_id") == (beside ? "3" : "2"))
      #expect(
        try api.value("SELECT name FROM cell_mappings WHERE id = 2") == (beside ? "cell1" : "x"))
      #expect(try api.value("SELECT name FROM cell_mappings WHERE id = 3") == "y")
      #expect(done.done.leftCount == (beside ? 2 : 0))
    }
  }

  @Test func `what a column can't hold is left, and the rest is written`() throws {
    try withPublishing(.sqlite, instances: 0) { bed, api in
      _ = try api.run(
        """
        DROP TABLE instance_mappings;
        CREATE TABLE instance_mappings (
          created_at DATETIME, updated_at DATETIME, id INTEGER NOT NULL PRIMARY KEY,
          instance_uuid VARCHAR(36) NOT NULL UNIQUE, cell_id INTEGER,
          project_id VARCHAR(255) NOT NULL CHECK (project_id <> 'bad'),
          queued_for_delete BOOLEAN, user_id VARCHAR(255));
        """)
      for number in 1...5 {
        try bed.api.addInstance(
          number, "\(instance(number))", cell: 2,
          ["project_id": number == 3 ? "'bad'" : "'good'"])
      }
      try bed.adopt()
      let done = try bed.publish(into: api).done
      #expect(done.instances.added == 4 && done.instances.left == 1)
      #expect(done.findings.map(\.key) == ["\(instance(3))"])
    }
  }

  @Test(.enabled(if: TestServer.areInstalled, "no servers"), arguments: ServerEngine.allCases)
  func `a server's strictness is kept: nothing is cut, and the rest is written`(
    _ engine: ServerEngine
  ) throws {
    try withPublishing(APIEngine(rawValue: engine.rawValue) ?? .sqlite, instances: 0) { bed, api in
      _ = try api.run(
        engine == .mariadb
          ? "ALTER TABLE instance_mappings MODIFY user_id VARCHAR(5);"
          : "ALTER TABLE instance_mappings ALTER COLUMN user_id TYPE VARCHAR(5);")
      for number in 1...5 {
        try bed.api.addInstance(
          number, "\(instance(number))", cell: 2,
          ["user_id": number == 3 ? "'too long'" : "'good'"])
      }
      try bed.adopt()
      let done = try bed.publish(into: api).done
      #expect(done.instances.added == 4 && done.instances.left == 1)
      #expect(done.findings.map(\.key) == ["\(instance(3))"])
    }
  }
}
