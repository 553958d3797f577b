import Foundation
import Journal
import TestSupport
import Testing

@testable import Recovery

/// Statements in a file, run by the engine's own client: the same as a publication, and back.
@Suite struct PublicationScriptTests {
  private func diverge(_ api: PublishedAPI) throws {
    // Within a literal MariaDB takes one for an escape.
    let backslash = api.engine == .mariadb ? "\\\\" : "\\"
    _ = try api.run(
      """
      INSERT INTO cell_mappings (id, uuid, name, transport_url, database_connection, created_at)
        VALUES (2, '\(cell(1))', 'o''ld\(backslash)', 'rabbit://a:old%27@b/', 'sqlite:///1.sqlite',
          '2026-01-01 00:00:00');
      INSERT INTO host_mappings (id, host, cell_id) VALUES (40, 'host2', 2);
      INSERT INTO instance_mappings
        (id, instance_uuid, cell_id, project_id, user_id, updated_at)
        VALUES (40, '\(instance(3))', NULL, 'caf\u{E9}', NULL, '2026-01-03 00:00:00'),
          (41, '\(instance(4))', 2, 'q', 'u', NULL), (3, '\(instance(5_000))', 2, 'q', 'u', NULL);
      """)
  }

  @Test(arguments: APIEngine.available)
  func `does what publishing does, and its inverse puts everything back`(
    _ engine: APIEngine
  ) throws {
    try withPublishing(engine, instances: 1_200) { bed, api in
      let other = try PublishedAPI(engine, in: bed.folder)
      try diverge(api)
      try diverge(other)
      let before = try api.content()
      let path = bed.folder + "/publish.sql"
      let plan = try bed.writeScript(for: api, to: path)
      #expect(plan.instances.added == 1_198 && plan.instances.changed == 2)
      #expect(try api.content() == before)
      for file in [path, path + ".undo"] {
        let mode = try FileManager.default.attributesOfItem(atPath: file)[.posixPermissions]
        #expect(mode as? Int == 0o600)
      }
      _ = try api.run(try String(contentsOfFile: path, encoding: .utf8))
      try bed.publish(into: other)
      #expect(try api.facts() == other.facts())
      #expect(try bed.publish(into: api).plan.changesNothing)
      let after = try api.content()
      // Given again, no statement finds its row as it was.
      _ = try api.run(try String(contentsOfFile: path, encoding: .utf8))
      #expect(try api.content() == after)
      _ = try api.run(try String(contentsOfFile: path + ".undo", encoding: .utf8))
      #expect(try api.content() == before)
    }
  }

  @Test func `neither writes over what others wrote since`() throws {
    try withPublishing(instances: 4) { bed, api in
      try diverge(api)
      let path = bed.folder + "/publish.sql"
      try bed.writeScript(for: api, to: path)
      _ = try api.run("UPDATE instance_mappings SET user_id = 'theirs' WHERE id = 41;")
      _ = try api.run(try String(contentsOfFile: path, encoding: .utf8))
      #expect(try api.instance(instance(4), "user_id") == "theirs")
      _ = try api.run("UPDATE instance_mappings SET user_id = 'theirs' WHERE id = 2;")
      _ = try api.run(try String(contentsOfFile: path + ".undo", encoding: .utf8))
      #expect(try api.instance(instance(2), "user_id") == "theirs")
      #expect(try api.instance(instance(1), "count(*)") == "0")
    }
  }

  @Test func `secrets are written only when asked for, and nothing is left otherwise`() throws {
    try withPublishing(instances: 4) { bed, api in
      let path = bed.folder + "/publish.sql"
      #expect {
        try bed.writeScript(for: api, to: path, revealing: false)
      } throws: { error in
        guard case .secretsHidden = error as? PublicationError else { return false }
        return true
      }
      let left = try FileManager.default.contentsOfDirectory(atPath: bed.folder)
      #expect(!left.contains { $0.hasPrefix("publish.sql") })
      // Where no address differs there is nothing to hide.
      try bed.publish(into: api)
      _ = try api.run("DELETE FROM instance_mappings;")
      try bed.writeScript(for: api, to: path, revealing: false)
      let text = try String(contentsOfFile: path, encoding: .utf8)
      #expect(text.contains("INSERT INTO instance_mappings") && !text.contains("s3cret"))
    }
  }
}
