import Foundation
import Journal
import Registry
import Synchronization
import TestServers
import TestSupport
import Testing

@testable import Recovery

/// Others write between the look and the write: theirs stands, and is told of.
@Suite struct PublicationRaceTests {
  private typealias Run = AdoptionBed.Publishing

  /// SQL that others run once, when a table's rows are about to be written.
  private func meanwhile(
    _ api: PublishedAPI, at call: Int = 1, _ sql: String
  ) -> () -> Void {
    let calls = Mutex(0)
    return {
      let number = calls.withLock { calls in
        calls += 1
        return calls
      }
      if number == call { #expect(throws: Never.self) { try api.run(sql) } }
    }
  }

  @Test(arguments: APIEngine.available)
  func `a row that was changed is passed over, whichever column it was`(
    _ engine: APIEngine
  ) throws {
    try withPublishing(engine) { bed, api in
      try bed.publish(into: api)
      _ = try api.run("UPDATE instance_mappings SET cell_id = 1;")
      let sql = """
        UPDATE instance_mappings SET cell_id = NULL WHERE id = 1;
        UPDATE instance_mappings SET project_id = 'PROJECT-1' WHERE id = 2;
        UPDATE instance_mappings SET user_id = NULL WHERE id = 4;
        UPDATE instance_mappings SET queued_for_delete = \(engine.flag(true)) WHERE id = 5;
        UPDATE instance_mappings SET updated_at = '2026-03-01 00:00:00' WHERE id = 7;
        DELETE FROM instance_mappings WHERE id = 8;
        """
      let done = try bed.publish(into: api, Run(meanwhile: meanwhile(api, sql))).done
      // 3, 6 and 9 are in cell0 anyhow.
      #expect(done.instances.changed == 1 && done.instances.left == 6)
      #expect(
        done.findings.filter { $0.kind == .overtaken }.map(\.key)
          == [1, 2, 4, 5, 7, 8].map { "\(instance($0))" })
      #expect(try api.instance(instance(1), "coalesce(cell_id, 0)") == "0")
      #expect(try api.instance(instance(2), "cell_id") == "1")
      #expect(try api.instance(instance(5), "cell_id") == "1")
      #expect(try api.instance(instance(8), "count(*)") == "0")
      #expect(try api.instance(instance(10), "cell_id") == "2")
      // What was left is written by the next run, where the rules let it.
      #expect(try bed.publish(into: api).done.leftCount <= 1)
      #expect(try api.instance(instance(8), "cell_id") == "3")
    }
  }

  @Test(arguments: APIEngine.available)
  func `a row that came meanwhile stays, and a number that was taken costs no row`(
    _ engine: APIEngine
  ) throws {
    try withPublishing(engine) { bed, api in
      let columns = "INSERT INTO instance_mappings (id, instance_uuid, cell_id, project_id) VALUES "
      let sql =
        columns + "(77, '\(instance(1))', 1, 'theirs'); "
        + columns + "(2, '\(instance(80))', 1, 'theirs');"
      let done = try bed.publish(into: api, Run(meanwhile: meanwhile(api, at: 3, sql))).done
      #expect(done.instances.added == 9 && done.instances.left == 1)
      #expect(done.findings.map(\.key) == ["\(instance(1))"])
      #expect(try api.instance(instance(1), "project_id") == "theirs")
      #expect(try api.instance(instance(80), "id") == "2")
      #expect(try api.instance(instance(2), "count(*)") == "1")
    }
  }

  @Test(arguments: APIEngine.available)
  func `an instance that is built meanwhile stays`(_ engine: APIEngine) throws {
    try withPublishing(engine, instances: 3) { bed, api in
      try bed.publish(into: api)
      _ = try api.run("UPDATE instance_mappings SET cell_id = NULL;")
      let sql =
        "INSERT INTO build_requests (project_id, instance_uuid) VALUES ('p', '\(instance(1))');"
      let done = try bed.publish(into: api, Run(meanwhile: meanwhile(api, sql))).done
      #expect(done.instances.changed == 2 && done.instances.left == 1)
      #expect(try api.instance(instance(1), "coalesce(cell_id, 0)") == "0")
    }
  }

  @Test func `a mapping without a cell isn't written once its build request is gone`() throws {
    try withPublishing(instances: 0) { bed, api in
      try bed.submit(
        .mapInstance(
          instance(1),
          InstanceDraft(cell: nil, owner: InstanceOwner(project: "p", user: "u"))))
      try api.addBuildRequest(instance(1))
      let done = try bed.publish(
        into: api, Run(meanwhile: meanwhile(api, at: 3, "DELETE FROM build_requests;"))
      ).done
      #expect(done.instances.added == 0 && done.instances.left == 1)
      #expect(try api.instance(instance(1), "count(*)") == "0")
    }
  }

  @Test func `a number that is no more its cell's is written nowhere`() throws {
    try withPublishing(instances: 6) { bed, api in
      // The cells are read once more after they are written: this comes behind that.
      let sql = "UPDATE cell_mappings SET uuid = '\(cell(60))' WHERE id = 3;"
      let done = try bed.publish(into: api, Run(meanwhile: meanwhile(api, at: 3, sql))).done
      #expect(done.instances.added == 4 && done.instances.left == 2)
      #expect(try api.value("SELECT count(*) FROM instance_mappings WHERE cell_id = 3") == "0")
    }
  }

  @Test func `a cell that was changed meanwhile keeps its change`() throws {
    try withPublishing(instances: 1) { bed, api in
      try bed.publish(into: api)
      _ = try api.run("UPDATE cell_mappings SET name = 'x' WHERE id = 2;")
      let sql = "UPDATE cell_mappings SET transport_url = 'rabbit://new/' WHERE id = 2;"
      let done = try bed.publish(into: api, Run(meanwhile: meanwhile(api, sql))).done
      #expect(done.cells.left == 1 && done.cells.changed == 0)
      #expect(
        try api.value("SELECT name || transport_url FROM cell_mappings WHERE id = 2")
          == "xrabbit://new/")
    }
  }
}

/// A server breaks off a transaction in favour of another: it is tried again.
@Suite(.enabled(if: TestServer.areInstalled, "no servers"), .serialized)
struct PublicationDeadlockTests {
  @Test(arguments: ServerEngine.allCases)
  func `a deadlock costs nothing but time`(_ engine: ServerEngine) throws {
    let options = engine == .mariadb ? ["--innodb-lock-wait-timeout=1"] : []
    let server = try TestServer.start(engine, options: options)
    defer { try? server.stop() }
    let kind = APIEngine(rawValue: engine.rawValue) ?? .sqlite
    try withPublishing(kind, instances: 500, on: server) { bed, api in
      try bed.publish(into: api)
      _ = try api.run("UPDATE instance_mappings SET user_id = 'x';")
      let lock = "UPDATE instance_mappings SET project_id = project_id WHERE id ="
      // MariaDB: our wait runs out (1205). PostgreSQL: the other one has our first row in its way, and
      // waits longer for it than we for its last (40P01).
      let other =
        engine == .mariadb
        ? "SET SESSION innodb_lock_wait_timeout = 600; "
          + "BEGIN; \(lock) 500; SELECT SLEEP(3); COMMIT;"
        : "SET deadlock_timeout = '60s'; BEGIN; \(lock) 500; SELECT pg_sleep(1); \(lock) 1; COMMIT;"
      let ended = DispatchSemaphore(value: 0)
      Thread {
        #expect(throws: Never.self) { try api.run(other) }
        ended.signal()
      }.start()
      usleep(400_000)
      let done = try bed.publish(into: api).done
      ended.wait()
      #expect(done.instances.changed == 500 && done.leftCount == 0)
      #expect(try bed.publish(into: api).plan.changesNothing)
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a server that hangs ends it at the deadline, and the same command goes on`(
    _ engine: ServerEngine
  ) throws {
    let server = try TestServer.start(engine)
    defer { try? server.stop() }
    let kind = APIEngine(rawValue: engine.rawValue) ?? .sqlite
    try withPublishing(kind, on: server) { bed, api in
      let (frozen, thaw, ended) = (
        DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
      )
      var pages = 0
      var run = AdoptionBed.Publishing(patience: .seconds(15))
      run.meanwhile = {
        pages += 1
        // Cells and hosts are written by then.
        guard pages == 3 else { return }
        Thread {
          server.whileFrozen {
            frozen.signal()
            thaw.wait()
          }
          ended.signal()
        }.start()
        frozen.wait()
      }
      let error = #expect(throws: PublicationError.self) { try bed.publish(into: api, run) }
      thaw.signal()
      if pages >= 3 { ended.wait() }
      let text = try #require(error).description
      #expect(text.contains("had not answered at the deadline"), "\(text)")
      #expect(text.contains("give the same command again to go on"), "\(text)")
      let done = try bed.publish(into: api).done
      #expect(done.leftCount == 0 && done.hosts.added == 0)
      #expect(try bed.publish(into: api).plan.changesNothing)
    }
  }
}
