import Foundation
import Journal
import Projections
import Registry
import TestServers
import TestSupport
import Testing

@testable import Recovery

@Suite struct MapPublicationTests {
  private typealias Run = AdoptionBed.Publishing

  @Test(arguments: APIEngine.available)
  func `an empty database becomes the map, and gives it back`(_ engine: APIEngine) throws {
    try withTemporaryFolder { folder in
      let bed = try AdoptionBed(in: folder)
      try bed.addCells()
      let (sql, composed) = ("'); DROP TABLE x; --\" %s ?1 $1 \\", "caf\u{E9}")
      try bed.api.addCell(
        9, cell(9), name: sql, database: "sqlite:///9.sqlite?timeout=1",
        queue: "rabbit://u:p%27w@h1:1,u2:p2@h2:2/v", ["name": "NULL", "disabled": "NULL"])
      for (number, host) in ["Host-A", "host-b", "host_c", "-h"].enumerated() {
        try bed.api.addHost(number + 10, host, cell: 9)
      }
      for number in 1...2_300 {
        let texts = ["user \(number % 4)", composed, sql]
        try bed.api.addInstance(
          number * 2, "\(instance(number))", cell: number % 5 == 0 ? 9 : number % 3 + 1,
          [
            "user_id": number % 7 == 0 ? "NULL" : quoted(texts[number % 3]),
            "project_id": quoted("project-\(number % 6)"),
            "queued_for_delete": ["0", "1", "NULL"][number % 3],
            "created_at": number % 11 == 0 ? "NULL" : "'2026-01-02 03:04:0\(number % 10)'",
          ])
      }
      try bed.adopt()
      let api = try PublishedAPI(engine, in: folder)
      let published = try bed.publish(into: api)
      #expect(published.done.leftCount == 0 && published.done.findings == [])
      #expect(published.done.cells.added == 4 && published.done.hosts.added == 6)
      #expect(published.done.instances.added == 2_300)
      #expect(published.done.written == published.plan.written)

      let other = try AdoptionBed(in: folder, named: "other")
      try other.adopt(from: try NovaAPIDatabase(api.address, relativeTo: folder))
      #expect(try other.facts() == bed.facts())

      let (content, count) = (try api.content(), try bed.entryCount())
      let again = try bed.publish(into: api)
      #expect(again.outcome == nil && again.plan.changesNothing)
      #expect(again.plan.instances.same == 2_300 && again.plan.leftCount == 0)
      #expect(try api.content() == content)
      #expect(try bed.entryCount() == count)
    }
  }

  @Test(arguments: APIEngine.available)
  func `a database that sorts by another alphabet is walked in the same order`(
    _ engine: APIEngine
  ) throws {
    try withTemporaryFolder { folder in
      let bed = try AdoptionBed(in: folder)
      try bed.addCells()
      // More than a page, and by UUIDs that begin with all pairs of digits, "aa" among them.
      try bed.api.addInstances(1..<1_500, cell: { $0 % 2 + 2 }) { number in
        "\(UUID128(high: UInt64(number) &* 0x9E37_79B9_7F4A_7C15, low: UInt64(number)))"
      }
      try bed.adopt()
      let api = try PublishedAPI(engine, in: folder, isDanish: true)
      let published = try bed.publish(into: api)
      #expect(published.done.instances.added == 1_499 && published.done.findings == [])
      let again = try bed.publish(into: api)
      #expect(again.outcome == nil && again.plan.instances.same == 1_499)
      let other = try AdoptionBed(in: folder, named: "other")
      try other.adopt(from: try NovaAPIDatabase(api.address, relativeTo: folder))
      #expect(try other.facts() == bed.facts())
    }
  }

  @Test func `is noted in the journal, with its author, counts and request`() throws {
    try withPublishing { bed, api in
      let before = try bed.entryCount()
      let run = Run()
      let published = try bed.publish(into: api, run)
      let entries = try bed.entries(after: before)
      #expect(entries.count == 2)
      guard case .store(.published(let transfer)) = entries[0].event,
        case .store(.requestFinished(let counts)) = entries[1].event
      else {
        Issue.record("\(entries.map(\.event))")
        return
      }
      #expect(transfer.database == api.address.publicForm)
      #expect(transfer.cells == 3 && transfer.hosts == 2 && transfer.instances == 10)
      #expect(counts == ChangeCounts(cells: 3, hosts: 2, instances: 10))
      #expect(entries[0].draft.request.id == run.request)
      #expect(entries[0].draft.authorship.reason == "test")
      #expect(published.outcome?.finished == counts)
    }
  }

  @Test func `a run that died before it was noted is noted by its repetition`() throws {
    try withPublishing { bed, api in
      var run = Run()
      try bed.withPublication(into: api, run) { publication, registry in
        let plan = try publication.plan { _ in }
        try registry.close()
        #expect(throws: PublicationError.self) {
          _ = try publication.apply(plan, through: registry) { _ in }
        }
      }
      let before = try bed.entryCount()
      #expect(try bed.publish(into: api, run).outcome == nil)
      run.isRetry = true
      let noted = try bed.publish(into: api, run)
      #expect(noted.plan.changesNothing && noted.outcome != nil)
      #expect(try bed.entryCount() == before + 2)
    }
  }

  @Test(arguments: APIEngine.available)
  func `writes only rows that differ, and leaves those that the map hasn't`(
    _ engine: APIEngine
  ) throws {
    try withPublishing(engine) { bed, api in
      try bed.publish(into: api)
      _ = try api.run(
        """
        UPDATE instance_mappings SET cell_id = 1 WHERE id = 1;
        UPDATE instance_mappings SET project_id = 'PROJECT-1' WHERE id = 3;
        UPDATE host_mappings SET cell_id = 3 WHERE host = 'host1';
        UPDATE cell_mappings SET name = 'Cell1', disabled = \(engine.flag(true)) WHERE id = 2;
        DELETE FROM instance_mappings WHERE id = 2;
        INSERT INTO host_mappings (id, host, cell_id) VALUES (50, 'stranger', 2);
        INSERT INTO instance_mappings (id, instance_uuid, cell_id, project_id)
          VALUES (50, '\(instance(50))', 2, 'p');
        INSERT INTO instance_mappings (id, instance_uuid, project_id)
          VALUES (51, '6b6d1d7c 0000', 'INSTANCE_MIGRATION_MARKER');
        INSERT INTO cell_mappings (id, uuid, name) VALUES (50, '\(cell(50))', 'stranger');
        """)
      try api.addBuildRequest(instance(70))
      let requests = try api.value("SELECT count(*) FROM build_requests")
      let done = try bed.publish(into: api).done
      #expect(done.instances.changed == 2 && done.instances.added == 1)
      #expect(done.hosts.changed == 1 && done.cells.changed == 1)
      #expect(done.instances.same == 7 && done.hosts.same == 1 && done.cells.same == 2)
      #expect(done.leftCount == 0 && done.markers == 1)
      #expect(
        Set(done.findings.filter { $0.kind == .surplus }.map(\.key))
          == ["\(cell(50))", "stranger", "\(instance(50))"])
      #expect(try api.instance(instance(1), "cell_id") == "2")
      #expect(try api.instance(instance(2), "id") == "2")
      #expect(try api.instance(instance(3), "project_id") == "project-1")
      #expect(try api.instance(instance(50), "count(*)") == "1")
      #expect(try api.value("SELECT name FROM cell_mappings WHERE id = 2") == "cell1")
      #expect(try api.value("SELECT count(updated_at) FROM instance_mappings") == "2")
      #expect(try api.value("SELECT count(updated_at) FROM cell_mappings") == "1")
      #expect(try api.value("SELECT count(*) FROM build_requests") == requests)
      #expect(try bed.publish(into: api).outcome == nil)
    }
  }

  @Test(arguments: APIEngine.available)
  func `keeps numbers where they are free, and the database's own away from them`(
    _ engine: APIEngine
  ) throws {
    try withPublishing(engine) { bed, api in
      // Mapped by us: never had a number of Nova's.
      for number in 20...22 {
        try bed.submit(
          .mapInstance(
            instance(number),
            InstanceDraft(cell: cell(1), owner: InstanceOwner(project: "p", user: "u"))))
      }
      _ = try api.run(
        "INSERT INTO cell_mappings (id, uuid, name, transport_url, database_connection) "
          + "VALUES (2, '\(cell(50))', 'other', 'none:///', 'sqlite:///50.sqlite'); "
          + "INSERT INTO instance_mappings (id, instance_uuid, cell_id, project_id) "
          + "VALUES (5, '\(instance(50))', 2, 'p');")
      let done = try bed.publish(into: api).done
      #expect(done.leftCount == 0)
      // The number 2 is another cell's: cell 1 has one that nobody ever had.
      #expect(try api.value("SELECT uuid FROM cell_mappings WHERE id = 2") == "\(cell(50))")
      #expect(try api.value("SELECT id FROM cell_mappings WHERE uuid = '\(cell(1))'") == "4")
      #expect(try api.value("SELECT id FROM cell_mappings WHERE uuid = '\(cell(2))'") == "3")
      #expect(try api.value("SELECT cell_id FROM host_mappings WHERE host = 'host1'") == "4")
      #expect(try api.instance(instance(4), "id") == "4")
      #expect(try api.instance(instance(5), "id") != "5")
      let others = try [5, 20, 21, 22].map { Int(try api.instance(instance($0), "id")) ?? 0 }
      #expect(Set(others) == [11, 12, 13, 14])
      for (table, columns, values) in [
        ("cell_mappings", "uuid", "'\(cell(60))'"), ("host_mappings", "host, cell_id", "'n', 3"),
        ("instance_mappings", "instance_uuid, project_id", "'\(instance(60))', 'p'"),
      ] {
        let most = Int(try api.value("SELECT max(id) FROM \(table)")) ?? 0
        _ = try api.run("INSERT INTO \(table) (\(columns)) VALUES (\(values));")
        let next = Int(try api.value("SELECT max(id) FROM \(table)")) ?? 0
        #expect(next > most, "\(table)")
      }
    }
  }

  @Test func `a dry run tells what differs, and writes nothing`() throws {
    try withPublishing { bed, api in
      let (content, count) = (try api.content(), try bed.entryCount())
      let plan = try bed.publish(into: api, Run(planOnly: true)).plan
      #expect(plan.cells.added == 3 && plan.hosts.added == 2 && plan.instances.added == 10)
      #expect(plan.differences.count == 15)
      let shown = plan.differences.flatMap(\.columns).map(\.to)
      #expect(!shown.contains { $0.contains("s3cret") })
      #expect(shown.contains("rabbit://nova:****@mq1:5672/"))
      #expect(try api.content() == content)
      #expect(try bed.entryCount() == count)
    }
  }

  @Test(arguments: APIEngine.available)
  func `refuses a database that isn't a Nova API database`(_ engine: APIEngine) throws {
    try withPublishing(engine) { bed, api in
      _ = try api.run("DROP TABLE build_requests;")
      #expect {
        try bed.publish(into: api)
      } throws: { error in
        guard case .source(.notNovaAPI(_, let what)) = error as? PublicationError else {
          return false
        }
        return what.contains("build_requests")
      }
    }
  }
}
