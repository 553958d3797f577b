import Foundation
import Journal
import TestSupport
import Testing

extension WithBroker {
  @Suite(.waiting) struct Probing {
    let broker: TestBroker
    init() throws { broker = try TestBroker.shared() }

    /// A store whose cell `alpha` is disabled, new to the map, and has the broker for its queue.
    private func withStore(_ body: (CommandBed) throws -> Void) throws {
      try withCommand { bed in
        try bed.makeStore()
        try bed.done("cell", "disable", "alpha", "--reason", "t")
        try bed.setQueue(to: broker.address())
        try body(bed)
      }
    }

    private func steps(_ ran: CommandBed.Ran) throws -> [String: Bool] {
      let steps = try #require(try ran.object["steps"] as? [[String: Any]])
      return Dictionary(
        uniqueKeysWithValues: try steps.map {
          (try #require($0["step"] as? String), try #require($0["passed"] as? Bool))
        })
    }

    @Test func `passes a cell whose hosts answer, which may be enabled then`() throws {
      try withStore { bed in
        let listener = try ComputeListener(host: "alpha-host", on: broker)
        defer { listener.end() }
        try NovaCellFile(path: bed.path("alpha.sqlite"))
          .execute("UPDATE services SET version = 66, last_seen_up = '2026-01-01 00:00:00.000000'")
        let refused = try bed.run("cell", "enable", "alpha", "--reason", "t")
        #expect(refused.status == 9, "\(refused.err)")
        #expect(refused.err.contains("'cell probe alpha'"), "\(refused.err)")
        let ran = try bed.done("cell", "probe", "alpha", "--json")
        let object = try ran.object
        #expect(object["passed"] as? Bool == true)
        #expect(object["identity"] as? String == "new")
        #expect(
          try steps(ran) == [
            "addresses": true, "names": true, "database": true, "identity": true, "hosts": true,
            "broker": true, "ping": true,
          ])
        let host = try #require((object["hosts"] as? [[String: Any]])?.first)
        #expect(host["answers"] as? Bool == true)
        #expect(host["version"] as? Int == 66)
        let cells = try #require(object["cells"] as? [[String: Any]])
        #expect(cells.map { $0["cell_name"] as? String } == ["alpha", "beta"])
        #expect(!(ran.out + ran.err).contains(broker.encodedPassword))
        let request = "\(UUID128.random())"
        let words = ["cell", "enable", "alpha", "--reason", "t", "--request-id", request, "--json"]
        #expect(try bed.done(words).object["changed"] as? Bool == true)
        try bed.done("cell", "disable", "alpha", "--reason", "t")
        #expect(try bed.done(words).object["repeated"] as? Bool == true)
        let again = try bed.done("cell", "probe", "alpha", "--json").object
        #expect(again["identity"] as? String == "recorded")
      }
    }

    @Test func `a change of the cell wants another probe`() throws {
      try withStore { bed in
        let listener = try ComputeListener(host: "alpha-host", on: broker)
        defer { listener.end() }
        try bed.done("cell", "probe", "alpha")
        try bed.done("cell", "rename", "alpha", "omega", "--reason", "t")
        #expect(try bed.run("cell", "enable", "omega", "--reason", "t").status == 9)
        try bed.done("cell", "enable", "omega", "--force", "--reason", "t")
      }
    }

    @Test func `ends with 8 where a host doesn't answer, and the cell stays disabled`() throws {
      try withStore { bed in
        let ran = try bed.run("cell", "probe", "alpha", "--json", "--deadline", "30000")
        #expect(ran.status == 8, "\(ran.err)")
        #expect(try steps(ran)["ping"] == false)
        #expect(try steps(ran)["broker"] == true)
        #expect(try bed.run("cell", "enable", "alpha", "--reason", "t").status == 9)
      }
    }

    @Test func `ends with 8 where the broker is dead`() throws {
      try withStore { bed in
        try bed.setQueue(to: broker.address(port: try freePort()))
        let ran = try bed.run("cell", "probe", "alpha", "--json")
        #expect(ran.status == 8, "\(ran.err)")
        #expect(try steps(ran)["broker"] == false)
        #expect(try steps(ran)["database"] == true)
        #expect(!ran.out.contains(broker.encodedPassword))
      }
    }

    @Test func `ends with 8 where there is no queue, and looks at the database all the same`()
      throws
    {
      try withStore { bed in
        try bed.done("cell", "address", "alpha", "--queue", "none:///", "--reason", "t")
        let words = ["cell", "probe", "alpha", "--json", "--request-id", "\(UUID128.random())"]
        for _ in 1...2 {
          let ran = try bed.run(words)
          #expect(ran.status == 8, "\(ran.err)")
          #expect(
            try steps(ran) == [
              "addresses": true, "names": true, "database": true, "identity": true, "hosts": true,
              "broker": false,
            ])
          #expect(ran.out.contains("none:///"), "\(ran.out)")
        }
        try FileManager.default.removeItem(atPath: bed.path("alpha.sqlite"))
        #expect(try bed.run("cell", "probe", "alpha").status == 7)
      }
    }

    @Test func `says that a UUID is none, and passes`() throws {
      try withStore { bed in
        let listener = try ComputeListener(host: "alpha-host", on: broker)
        defer { listener.end() }
        try NovaCellFile(path: bed.path("alpha.sqlite"))
          .execute("INSERT INTO compute_nodes (deleted, uuid) VALUES (0, 'none')")
        let ran = try bed.done("cell", "probe", "alpha")
        #expect(ran.out.contains("; 1 more have no UUID that is one"), "\(ran.out)")
      }
    }

    @Test func `ends with 7 where the database can't be read, and asks the broker all the same`()
      throws
    {
      try withStore { bed in
        try FileManager.default.removeItem(atPath: bed.path("alpha.sqlite"))
        let ran = try bed.run("cell", "probe", "alpha", "--json")
        #expect(ran.status == 7, "\(ran.err)")
        #expect(
          try steps(ran) == [
            "addresses": true, "names": true, "database": false, "broker": true,
          ])
      }
    }

    @Test func `ends with 7 where the database is another cell's`() throws {
      try withStore { bed in
        try bed.done("host", "discover", "--cell", "beta", "--reason", "t")
        let path = bed.path("alpha.sqlite")
        try FileManager.default.removeItem(atPath: path)
        try FileManager.default.copyItem(atPath: bed.path("beta.sqlite"), toPath: path)
        let ran = try bed.run("cell", "probe", "alpha", "--accept", "--reason", "t", "--json")
        #expect(ran.status == 7, "\(ran.err)")
        #expect(try ran.object["identity"] as? String == "another cell")
      }
    }

    @Test func `an emptied database is unknown until an operator accepts it`() throws {
      try withStore { bed in
        let listener = try ComputeListener(host: "alpha-host", on: broker)
        defer { listener.end() }
        try bed.done("host", "discover", "--cell", "alpha", "--reason", "t")
        let file = NovaCellFile(path: bed.path("alpha.sqlite"))
        try file.execute("DELETE FROM services; DELETE FROM compute_nodes")
        try file.addHost("alpha-host", service: .random(), node: .random())
        let unknown = try bed.run("cell", "probe", "alpha", "--json")
        #expect(unknown.status == 7, "\(unknown.err)")
        #expect(try unknown.object["identity"] as? String == "unknown")
        #expect(try bed.run("cell", "probe", "alpha", "--accept").status == 64, "wants a reason")
        try bed.done("cell", "probe", "alpha", "--accept", "--reason", "reinstalled")
        let known = try bed.done("cell", "probe", "alpha", "--json").object
        #expect(known["identity"] as? String == "recorded")
      }
    }

    @Test func `cell0 needs neither hosts nor a queue`() throws {
      try withStore { bed in
        let object = try bed.done("cell", "probe", "cell0", "--json").object
        #expect(object["passed"] as? Bool == true)
      }
    }
  }
}
