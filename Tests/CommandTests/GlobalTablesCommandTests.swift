import Foundation
import Journal
import TestSupport
import Testing

/// What the cells have of Nova's global tables, from the dry run of a rebuild to its publication.
@Suite(.waiting) struct GlobalTablesCommandTests {
  private static let tables = """
    CREATE TABLE build_requests (id INTEGER NOT NULL PRIMARY KEY, instance_uuid VARCHAR(36));
    CREATE TABLE request_specs (created_at DATETIME, updated_at DATETIME,
      id INTEGER NOT NULL PRIMARY KEY, instance_uuid VARCHAR(36) NOT NULL UNIQUE, spec TEXT);
    CREATE TABLE flavors (created_at DATETIME, updated_at DATETIME,
      id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL UNIQUE, memory_mb INTEGER NOT NULL,
      vcpus INTEGER NOT NULL, swap INTEGER NOT NULL, vcpu_weight INTEGER,
      flavorid VARCHAR(255) NOT NULL UNIQUE, rxtx_factor FLOAT, root_gb INTEGER,
      ephemeral_gb INTEGER, disabled BOOLEAN, is_public BOOLEAN, description TEXT);
    CREATE TABLE flavor_extra_specs (created_at DATETIME, updated_at DATETIME,
      id INTEGER NOT NULL PRIMARY KEY, flavor_id INTEGER NOT NULL, "key" VARCHAR(255) NOT NULL,
      value VARCHAR(255));
    CREATE TABLE key_pairs (created_at DATETIME, updated_at DATETIME,
      id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(255) NOT NULL, user_id VARCHAR(255) NOT NULL,
      fingerprint VARCHAR(255), public_key TEXT, type VARCHAR(4), UNIQUE (user_id, name));
    """

  private func flavor(_ number: Int) -> String {
    #"{"cur": {"nova_object.name": "Flavor", "nova_object.version": "1.2", "nova_object.data": "#
      + #"{"id": \#(number), "name": "m\#(number)", "flavorid": "f\#(number)", "memory_mb": 1, "#
      + #""vcpus": 1, "swap": 0, "extra_specs": {"a": "b"}}}}"#
  }

  /// Gives the instances of the cells a flavor each, and one of them a key pair.
  private func furnish(_ bed: CommandBed) throws {
    let keys =
      #"{"nova_object.name": "KeyPairList", "nova_object.data": {"objects": [{"nova_object.name": "#
      + #""KeyPair", "nova_object.data": {"id": 1, "name": "k", "user_id": "user-1", "#
      + #""public_key": "ssh-rsa A"}}]}}"#
    for (number, name) in ["alpha", "beta"].enumerated() {
      try NovaCellFile(path: bed.path("\(name).sqlite")).execute(
        """
        INSERT INTO instance_extra (instance_uuid, deleted, flavor, keypairs)
          SELECT uuid, 0, '\(flavor(number + 1))', '\(keys)' FROM instances;
        UPDATE instances SET instance_type_id = \(number + 1), key_name = 'k';
        """)
    }
  }

  @Test func `the dry run foretells what is published, and a second run has nothing to do`() throws
  {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try furnish(bed)
      try bed.done("cell", "export", "cells.yaml", "--reveal")
      let dry = try bed.done(
        "--store", "none", "rebuild", "--cells", "cells.yaml", "--dry-run", "--json")
      let foretold = try #require(try dry.object["nova_tables"] as? [[String: Any]])
      func count(_ table: String) -> Int? {
        foretold.first { $0["table"] as? String == table }?["count"] as? Int
      }
      #expect(count("request_specs") == 20 && count("flavors, flavor_extra_specs") == 2)
      #expect(count("key_pairs") == 1 && count("instance_mappings") == 20)
      #expect(foretold.first { $0["table"] as? String == "quotas" } == nil)
      #expect(
        foretold.contains {
          $0["table"] as? String == "build_requests" && $0["state"] as? String == "lost"
        })
      let shown = try bed.done("--store", "none", "rebuild", "--cells", "cells.yaml", "--dry-run")
      #expect(shown.out.contains("request_specs") && shown.out.contains("evacuate"))

      let target = try NovaAPIFile.make(at: bed.path("target.sqlite"))
      try target.execute(Self.tables)
      let words = [
        "publish", "sqlite:///target.sqlite", "--request-specs", "--flavors", "--keypairs",
        "--reason", "t",
      ]
      let done = try bed.done(words + ["--json"]).object
      func new(_ table: String) -> Int? { (done[table] as? [String: Any])?["new"] as? Int }
      #expect(new("request_specs") == 20 && new("flavors") == 2 && new("keypairs") == 1)
      let again = try bed.done(words)
      #expect(again.out.contains("Nothing to change.") && again.out.contains("request_specs"))
    }
  }

  @Test func `a cell that is away is a partial answer, and a lacking table a refusal`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try furnish(bed)
      let target = try NovaAPIFile.make(at: bed.path("target.sqlite"))
      try target.execute(
        "CREATE TABLE build_requests (id INTEGER NOT NULL PRIMARY KEY, instance_uuid VARCHAR(36))")
      let words = ["publish", "sqlite:///target.sqlite", "--reason", "t"]
      let refused = try bed.run(words + ["--flavors"])
      #expect(refused.status != 0 && refused.err.contains("flavors"), "\(refused)")
      try target.execute(String(Self.tables.split(separator: ";", maxSplits: 1)[1]))
      try FileManager.default.removeItem(atPath: bed.path("beta.sqlite"))
      let partly = try bed.run(words + ["--request-specs", "--json"])
      #expect(partly.status == 5, "\(partly)")
      let object = try partly.object
      #expect((object["request_specs"] as? [String: Any])?["new"] as? Int == 10)
      #expect((object["unread"] as? [String: Any])?.keys.first == "\(cell(2))")
      let told = try bed.run(words + ["--request-specs"]).err
      #expect(told.contains("cellmap: cell beta was not read: "), "\(told)")
      #expect(told.components(separatedBy: "\(cell(2))").count == 2, "\(told)")
    }
  }

  @Test func `an old API database gives a rebuild its cells, their UUIDs and names`() throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      try api.addInstance(900, "\(instance(900))", cell: nil)
      // All of the cells are its own.
      let request = "\(UUID128.random())"
      let words = ["rebuild", "--reason", "lost", "--request-id", request]
      try bed.done(words + ["--with-old", "sqlite:///api.sqlite"])
      // Without the old database it is another rebuild.
      let other = try bed.run(words)
      #expect(other.status == 9 && other.err.contains(request), "\(other)")
      let cells = try bed.done("cell", "list", "--json").objects
      #expect(Set(cells.compactMap { $0["cell"] as? String }).contains("\(cell(1))"))
      let route = try bed.done("route", "\(instance(900))", "--json").object
      #expect(route["cell"] is NSNull && route["project"] as? String == "project-1")
      // Or those of a file that knows their addresses, and one of them by a name.
      try bed.write(
        """
        cells:
          - {name: cell0, database: 'sqlite:///cell0.sqlite'}
          - {name: renamed, database: 'sqlite:///alpha.sqlite'}
          - {name: beta, database: 'sqlite:///./beta.sqlite'}
        """, to: "cells.yaml")
      let done = try bed.done(
        "--store", "second", "rebuild", "--cells", "cells.yaml", "--with-old",
        "sqlite:///api.sqlite",
        "--reason", "lost", "--json"
      ).object
      #expect(
        ((done["old"] as? [String: Any])?["unscheduled"] as? [String: Any])?["count"] as? Int == 1)
      let found = try bed.done("--store", "second", "cell", "list", "--json").objects
      func name(_ id: CellID) -> String? {
        found.first { $0["cell"] as? String == "\(id)" }?["cell_name"] as? String
      }
      #expect(name(cell(1)) == "renamed" && name(cell(2)) == "beta")
      let none = try bed.run(
        "--store", "third", "rebuild", "--with-old", "sqlite:///none.sqlite", "--reason", "t")
      #expect(none.status == 7, "\(none)")
    }
  }

  @Test func `a rebuild says which UUIDs it made, and publish what it leaves out`() throws {
    try withCommand { bed in
      _ = try bed.makeCloud()
      try bed.write(
        """
        cells:
          - {name: cell0, database: 'sqlite:///cell0.sqlite'}
          - {name: alpha, database: 'sqlite:///alpha.sqlite', queue: 'rabbit://nova:pw@alpha/'}
          - {name: beta, database: 'sqlite:///beta.sqlite', queue: 'rabbit://nova:pw@beta/'}
        """, to: "cells.yaml")
      for name in ["alpha", "beta"] {
        try NovaCellFile(path: bed.path("\(name).sqlite")).add(instance(900))
      }
      try FileManager.default.moveItem(
        atPath: bed.path("cell0.sqlite"), toPath: bed.path("cell0.away"))
      let ran = try bed.run("rebuild", "--cells", "cells.yaml", "--reason", "t")
      #expect(ran.status == 5 && ran.out.contains("for cell alpha"), "\(ran)")
      let target = try NovaAPIFile.make(at: bed.path("target.sqlite"))
      try target.execute(Self.tables)
      let dry = try bed.done("publish", "sqlite:///target.sqlite", "--dry-run")
      #expect(dry.err.contains("1 conflict is open") && dry.err.contains("cell0"), "\(dry)")
      let json = try bed.done("publish", "sqlite:///target.sqlite", "--dry-run", "--json").object
      #expect(json["open_conflicts"] as? Int == 1)
      #expect(json["cells_with_incomplete_coverage"] as? Int == 1)
    }
  }
}
