import Foundation
import Journal
import TestServers
import TestSupport
import Testing

extension WithBroker {
  /// `cell probe` and `host discover` of a cell on a real server, with the real broker.
  @Suite(
    .waiting,
    .enabled(
      if: TestServer.areInstalled,
      "MariaDB or PostgreSQL isn't installed; tools/setup --servers installs both"))
  struct ServerProbing {
    let broker: TestBroker
    init() throws { broker = try TestBroker.shared() }

    /// A store with one new, disabled cell on a server, which has one host.
    private func withCell(
      on server: TestServer, _ body: (CommandBed, NovaServerDatabase) throws -> Void
    ) throws {
      let database = try NovaServerDatabase.makeCell(on: server)
      try database.addHost(
        "server-host", service: UUID128(high: 0x7000, low: 9), node: UUID128(high: 0x7001, low: 9))
      try withCommand { bed in
        try bed.done("init")
        let address = try #require(database.text().exposedText())
        try bed.done(
          "cell", "add", "alpha", "--database", "-", "--queue", "none:///", "--disabled",
          "--reason", "t", input: address)
        try bed.setQueue(to: broker.address())
        try body(bed, database)
      }
    }

    @Test(arguments: ServerEngine.allCases)
    func `passes a cell whose hosts answer, and maps them`(_ engine: ServerEngine) throws {
      try withCell(on: .shared(engine)) { bed, database in
        try database.execute(
          "UPDATE services SET version = 66, last_seen_up = '2026-01-01 00:00:00', "
            + "disabled = \(engine == .mariadb ? "1" : "true"), "
            + "forced_down = \(engine == .mariadb ? "0" : "false")")
        let listener = try ComputeListener(host: "server-host", on: broker)
        defer { listener.end() }
        #expect(try bed.run("cell", "enable", "alpha", "--reason", "t").status == 9)
        let ran = try bed.done("cell", "probe", "alpha", "--json")
        let object = try ran.object
        #expect(object["passed"] as? Bool == true && object["identity"] as? String == "new")
        let host = try #require((object["hosts"] as? [[String: Any]])?.first)
        #expect(host["host"] as? String == "server-host" && host["answers"] as? Bool == true)
        #expect(host["version"] as? Int == 66)
        #expect(!(ran.out + ran.err).contains(database.password))
        try bed.done("cell", "enable", "alpha", "--reason", "t")

        try database.execute("UPDATE compute_nodes SET mapped = 1")
        let dry = try bed.done("host", "discover", "--dry-run", "--json").object
        #expect((dry["new"] as? [Any])?.count == 1)
        try bed.done("host", "discover", "--reason", "t")
        let hosts = try bed.done("host", "list", "--json").objects
        #expect(hosts.map { $0["host"] as? String } == ["server-host"])
        let again = try bed.done("host", "discover", "--reason", "t", "--json").object
        #expect(again["changed"] as? Bool == false && again["known"] as? Int == 1)
        let known = try bed.done("cell", "probe", "alpha", "--json").object
        #expect(known["identity"] as? String == "recorded")
      }
    }

    @Test(arguments: ServerEngine.allCases)
    func `a stopped server ends a probe and a discovery by the deadline, with 7 and 5`(
      _ engine: ServerEngine
    ) throws {
      let server = try TestServer.start(engine)
      defer { try? server.stop() }
      try withCell(on: server) { bed, _ in
        try server.whileFrozen {
          let begin = ContinuousClock.now
          let probe = try bed.run("cell", "probe", "alpha", "--json", "--deadline", "5000")
          #expect(probe.status == 7, "\(probe.err)")
          let steps = try #require(try probe.object["steps"] as? [[String: Any]])
          let passed = steps.filter { $0["passed"] as? Bool == true }
            .compactMap { $0["step"] as? String }
          #expect(passed.contains("broker") && !passed.contains("database"))
          let discovery = try bed.run(
            "host", "discover", "--reason", "t", "--deadline", "5000")
          #expect(discovery.status == 5, "\(discovery.status) \(discovery.err)")
          #expect(begin.duration(to: .now) < .seconds(60))
        }
      }
    }
  }
}
