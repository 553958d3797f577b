import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct HostDiscoverCommandTests {
  private func hosts(_ bed: CommandBed) throws -> [String: String] {
    let objects = try bed.done("host", "list", "--json").objects
    return Dictionary(
      uniqueKeysWithValues: try objects.map {
        (try #require($0["host"] as? String), try #require($0["cell_name"] as? String))
      })
  }

  private func file(_ name: String, _ bed: CommandBed) -> NovaCellFile {
    NovaCellFile(path: bed.path("\(name).sqlite"))
  }

  @Test func `maps the hosts of every cell, by nodes or by services alone`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try file("alpha", bed).execute(
        """
        UPDATE compute_nodes SET mapped = 1;
        INSERT INTO compute_nodes (host, deleted, mapped) VALUES ('nodes-only', 0, 1);
        INSERT INTO compute_nodes (host, deleted) VALUES ('gone', 7), (NULL, 0), ('', 0);
        INSERT INTO services (host, "binary", report_count, deleted)
          VALUES ('service-only', 'nova-compute', 1, 0), ('conductor', 'nova-conductor', 1, 0);
        """)
      try bed.done("host", "discover", "--reason", "t")
      #expect(
        try hosts(bed) == [
          "alpha-host": "alpha", "nodes-only": "alpha", "service-only": "alpha",
          "beta-host": "beta",
        ])
    }
  }

  @Test func `appends nothing where nothing is new`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let first = try bed.done("host", "discover", "--reason", "t", "--json").object
      #expect((first["new"] as? [Any])?.count == 2)
      let second = try bed.done("host", "discover", "--reason", "t", "--json").object
      #expect(second["changed"] as? Bool == false)
      #expect(second["known"] as? Int == 2)
      #expect(second["position"] as? String == first["position"] as? String)
    }
  }

  @Test func `repeats its answer under its request id`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let request = "\(UUID128.random())"
      let words = ["host", "discover", "--reason", "t", "--request-id", request, "--json"]
      let first = try bed.done(words).object
      let second = try bed.done(words).object
      #expect(second["repeated"] as? Bool == true)
      #expect(second["mapped"] as? Int == 2)
      #expect(second["position"] as? String == first["position"] as? String)
      #expect(try bed.run(words + ["--cell", "alpha"]).status == 9)
    }
  }

  @Test func `a dry run writes nothing`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let before = try bed.done("status", "--json").object["position"] as? String
      let object = try bed.done("host", "discover", "--dry-run", "--json").object
      #expect((object["new"] as? [Any])?.count == 2)
      #expect(try bed.done("status", "--json").object["position"] as? String == before)
    }
  }

  @Test func `names a host that two cells have with both, and maps it to none`() throws {
    try withCommand { bed in
      try bed.makeStore()
      for name in ["alpha", "beta"] {
        try file(name, bed).execute("INSERT INTO compute_nodes (host, deleted) VALUES ('twin', 0)")
      }
      let ran = try bed.run("host", "discover", "--reason", "t", "--json")
      #expect(ran.status == 1, "\(ran.err)")
      let clashes = try #require(try ran.object["clashes"] as? [[String: Any]])
      #expect(clashes.count == 1)
      #expect(clashes[0]["host"] as? String == "twin")
      #expect(clashes[0]["cells"] as? [String] == ["\(cell(1))", "\(cell(2))"])
      #expect(clashes[0]["mapped"] is NSNull)
      #expect(try hosts(bed) == ["alpha-host": "alpha", "beta-host": "beta"])
    }
  }

  @Test func `never moves a host that is mapped to another cell`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done("host", "add", "alpha-host", "--cell", "beta", "--reason", "t")
      let ran = try bed.run("host", "discover", "--reason", "t")
      #expect(ran.status == 1, "\(ran.err)")
      #expect(ran.out.contains("CLASH: stays in beta"), "\(ran.out)")
      #expect(try hosts(bed) == ["alpha-host": "beta", "beta-host": "beta"])
    }
  }

  @Test func `maps what it finds while a cell is down, and says which`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try FileManager.default.removeItem(atPath: bed.path("alpha.sqlite"))
      let ran = try bed.run("host", "discover", "--reason", "t", "--json")
      #expect(ran.status == 5, "\(ran.err)")
      #expect(try ran.object["complete"] as? Bool == false)
      #expect(try hosts(bed) == ["beta-host": "beta"])
    }
  }

  @Test func `names a host that the map can't hold`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try file("alpha", bed).execute("INSERT INTO compute_nodes (host, deleted) VALUES ('a b', 0)")
      let ran = try bed.run("host", "discover", "--reason", "t", "--json")
      #expect(ran.status == 1, "\(ran.err)")
      #expect((try ran.object["problems"] as? [Any])?.count == 1)
      #expect(try hosts(bed) == ["alpha-host": "alpha", "beta-host": "beta"])
    }
  }

  @Test func `records the evidence by which a cell is recognised`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done("host", "discover", "--reason", "t")
      // The databases change places: each has the other's evidence now.
      let (alpha, beta, held) = (
        bed.path("alpha.sqlite"), bed.path("beta.sqlite"), bed.path("held")
      )
      try FileManager.default.moveItem(atPath: alpha, toPath: held)
      try FileManager.default.moveItem(atPath: beta, toPath: alpha)
      try FileManager.default.moveItem(atPath: held, toPath: beta)
      let ran = try bed.run("host", "discover", "--dry-run", "--json")
      #expect(ran.status == 5, "\(ran.err)")
      #expect(ran.out.contains("leads to the database of cell"), "\(ran.out)")
    }
  }
}
