import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct PublishCommandTests {
  /// A store with an adopted map, and an empty API database `target.sqlite`.
  private func withTarget(_ body: (CommandBed, NovaAPIFile) throws -> Void) throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try body(bed, try makeTarget(bed))
    }
  }

  private func makeTarget(_ bed: CommandBed) throws -> NovaAPIFile {
    let target = try NovaAPIFile.make(at: bed.path("target.sqlite"))
    try target.execute(
      "CREATE TABLE build_requests (id INTEGER NOT NULL PRIMARY KEY, instance_uuid VARCHAR(36))")
    return target
  }

  private func bytes(_ bed: CommandBed, _ name: String) throws -> Data {
    try Data(contentsOf: URL(filePath: bed.path(name)))
  }

  private let words = ["publish", "sqlite:///target.sqlite", "--reason", "t"]

  @Test func `publishes, says what to restart, and has nothing to do the second time`() throws {
    try withTarget { bed, _ in
      let done = try bed.done(words + ["--json"]).object
      #expect(done["changed"] as? Bool == true && done["left"] as? Int == 0)
      #expect((done["instances"] as? [String: Any])?["new"] as? Int == 20)
      #expect((done["restart"] as? [String])?.contains("nova-api") == true)
      #expect(done["sighup"] as? [String] == ["nova-scheduler"])
      #expect((done["entries"] as? [Int])?.count == 2)
      let content = try bytes(bed, "target.sqlite")
      let again = try bed.done(words)
      #expect(again.out.contains("Nothing to change."))
      #expect(try bytes(bed, "target.sqlite") == content)
      let script = try bed.done("publish", "sqlite:///target.sqlite", "--emit-sql", "nothing.sql")
      #expect(script.out.contains("Nothing to change: ") && !script.out.contains("Wrote"))
      let other = try bed.done(words + ["--json"]).object
      #expect(other["changed"] as? Bool == false && other["entries"] is NSNull)
    }
  }

  @Test func `the same request is answered once more, and another one refused`() throws {
    try withTarget { bed, target in
      let request = ["--request-id", "\(instance(900))"]
      let first = try bed.done(words + request + ["--json"]).object
      try target.execute("DELETE FROM instance_mappings")
      let second = try bed.done(words + request + ["--json"]).object
      #expect(second["repeated"] as? Bool == true)
      #expect(second["entries"] as? [Int] == first["entries"] as? [Int])
      #expect((second["finished"] as? [String: Any])?["instances"] as? Int == 20)
      let refused = try bed.run(words + request + ["--nova-stopped"])
      #expect(refused.status == 9, "\(refused)")
    }
  }

  @Test func `a dry run shows the differences, wants no reason and writes nothing`() throws {
    try withTarget { bed, _ in
      let content = try bytes(bed, "target.sqlite")
      let position = try bed.done("status", "--json").object["position"] as? String
      let shown = try bed.done("publish", "sqlite:///target.sqlite", "--dry-run")
      #expect(shown.out.contains("new cell_mappings \(cell(1))"))
      #expect(shown.out.contains("rabbit://nova:****@alpha:5672/"))
      #expect(shown.out.contains("A dry run") && !shown.out.contains("nova:pw"))
      #expect(try bytes(bed, "target.sqlite") == content)
      #expect(try bed.done("status", "--json").object["position"] as? String == position)
    }
  }

  @Test func `what is left is a partial answer`() throws {
    try withTarget { bed, target in
      try bed.done(words)
      try target.execute(
        "UPDATE instance_mappings SET queued_for_delete = 1, updated_at = '2099-01-01 00:00:00' "
          + "WHERE id = 1")
      let left = try bed.run(words + ["--json"])
      #expect(left.status == 5, "\(left)")
      let object = try left.object
      #expect(object["left"] as? Int == 1)
      let findings = object["findings"] as? [[String: Any]]
      #expect(findings?.first?["kind"] as? String == "kept")
      #expect(findings?.first?["table"] as? String == "instance_mappings")
    }
  }

  @Test func `refusals have the codes of the page, and write nothing`() throws {
    try withTarget { bed, _ in
      let content = try bytes(bed, "target.sqlite")
      for (arguments, status) in [
        (["publish"], 64), (["publish", "sqlite:///target.sqlite"], 64),
        (["publish", "sqlite:///target.sqlite", "--reason", " "], 64),
        (words + ["--nova-conf", "x"], 64), (words + ["--reveal"], 64),
        (words + ["--dry-run", "--emit-sql", "x"], 64), (words + ["--settle", "0"], 64),
        (words + ["--deadline", "0"], 64),
        (["publish", "sqlite:///alpha.sqlite", "--reason", "t"], 64),
        (["publish", "sqlite:///nowhere.sqlite", "--reason", "t"], 7),
        (words + ["--emit-sql", "x.sql"], 9),
        (words + ["--emit-sql", "no/x.sql", "--reveal"], 6),
      ] as [([String], Int32)] {
        let ran = try bed.run(arguments)
        #expect(ran.status == status && ran.out.isEmpty && !ran.err.isEmpty, "\(arguments) \(ran)")
      }
      #expect(try bytes(bed, "target.sqlite") == content)
      #expect(!FileManager.default.fileExists(atPath: bed.path("x.sql")))
    }
  }

  @Test func `a stopped Nova is looked at in cell0's database`() throws {
    try withTarget { bed, _ in
      let stopped = words + ["--nova-stopped", "--settle", "1"]
      let cell0 = NovaCellFile(path: bed.path("cell0.sqlite"))
      func beat(_ modifier: String) throws {
        try cell0.execute(
          """
          DELETE FROM services;
          INSERT INTO services (host, "binary", report_count, deleted, uuid, last_seen_up)
            VALUES ('ctl', 'nova-conductor', 1, 0, '\(cell(77))', datetime('now', '\(modifier)'));
          """)
      }
      try beat("-60 seconds")
      let refused = try bed.run(stopped)
      #expect(refused.status == 9 && refused.err.contains("nova-conductor on ctl"), "\(refused)")
      try beat("-180 seconds")
      try bed.done(stopped)
      unlink(bed.path("cell0.sqlite"))
      let blind = try bed.run(stopped)
      #expect(blind.status == 9 && blind.err.contains("cell0"), "\(blind)")
    }
  }

  @Test func `statements are written into a file of mode 0600, secrets only there`() throws {
    try withTarget { bed, _ in
      let content = try bytes(bed, "target.sqlite")
      let ran = try bed.done(
        "publish", "sqlite:///target.sqlite", "--emit-sql", "p.sql", "--reveal", "--json")
      #expect(!ran.out.contains("nova:pw") && !ran.err.contains("nova:pw"))
      #expect(try ran.object["script"] as? String == "p.sql")
      for name in ["p.sql", "p.sql.undo"] {
        let mode = try FileManager.default.attributesOfItem(atPath: bed.path(name))
        #expect(mode[.posixPermissions] as? Int == 0o600)
      }
      #expect(String(decoding: try bytes(bed, "p.sql"), as: UTF8.self).contains("nova:pw@alpha"))
      #expect(try bytes(bed, "target.sqlite") == content)
    }
  }

  @Test func `takes the address from a nova.conf, and what is refused names no password`() throws {
    try withTarget { bed, _ in
      try bed.write("[api_database]\nconnection = sqlite:///target.sqlite\n", to: "nova.conf")
      try bed.done("publish", "--nova-conf", "nova.conf", "--reason", "t")
      let ran = try bed.run(
        "publish", "mysql+pymysql://nova:Canary9@127.0.0.1:1/nova_api", "--reason", "t")
      #expect(ran.status == 7 && !ran.err.contains("Canary9"), "\(ran)")
    }
  }
}
