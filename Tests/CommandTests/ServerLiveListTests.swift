import Foundation
import Journal
import Testing
import TestServers
import TestSupport

/// The command's lists over cells on real servers, one of which goes away.
@Suite(
  .waiting,
  .enabled(
    if: TestServer.areInstalled,
    "MariaDB or PostgreSQL isn't installed; tools/setup --servers installs both"))
struct ServerLiveListTests {
  /// A store with cell0 in a file and two cells on a server, the second behind the proxy, and two
  /// instances in each.
  private func makeStore(
    _ bed: CommandBed, _ engine: ServerEngine
  ) throws -> FaultProxy {
    let server = try TestServer.shared(engine)
    try bed.done("init", "--cell0", "sqlite:///cell0.sqlite")
    _ = try NovaCellFile.make(at: bed.path("cell0.sqlite"))
    let proxy = try FaultProxy(to: server.port, .none)
    for (number, name) in ["alpha", "beta"].enumerated() {
      let database = try NovaServerDatabase.makeCell(on: server)
      try database.addHost(
        "\(name)-host", service: UUID128(high: 0x7000, low: UInt64(number)),
        node: UUID128(high: 0x7001, low: UInt64(number)))
      let address = try #require(
        database.text(port: number == 1 ? proxy.port : nil).exposedText())
      try bed.done(
        "cell", "add", name, "--uuid", "\(cell(number + 1))", "--database", address, "--queue",
        "none:///", "--reason", "t")
      for index in [number, number + 2] {
        try database.add(instance(index), ["project_id": "'p'"])
        try bed.done(
          "instance", "map", "\(instance(index))", "--cell", name, "--project", "p", "--reason", "t"
        )
      }
    }
    return proxy
  }

  @Test(arguments: ServerEngine.allCases)
  func `a cell that is gone makes a list incomplete, or an error where it has to be whole`(
    engine: ServerEngine
  ) throws {
    try withCommand { bed in
      let proxy = try makeStore(bed, engine)
      defer { proxy.stop() }
      func list(_ further: String..., deadline: Int = 60_000) throws -> CommandBed.Ran {
        try bed.run(
          ["instance", "list", "--live", "--json", "--deadline", "\(deadline)"] + further)
      }
      let ids = (0..<4).map { "\(instance($0))" }
      func statuses(_ ran: CommandBed.Ran) throws -> [String] {
        let rows = try ran.objects.dropLast()
        #expect(rows.map { $0["instance"] as? String } == ids)
        return rows.map { $0["status"] as? String ?? "" }
      }
      let whole = try list("--require-complete")
      #expect(whole.status == 0, "\(whole.err)")
      #expect(try statuses(whole) == ["LIVE", "LIVE", "LIVE", "LIVE"])
      proxy.change(to: .refuses)
      let partial = try list()
      #expect(partial.status == 0 && partial.err.isEmpty)
      #expect(try statuses(partial) == ["LIVE", "UNKNOWN", "LIVE", "UNKNOWN"])
      #expect(try partial.objects.last?["complete"] as? Bool == false)
      let refused = try list("--require-complete")
      #expect(refused.status == 5 && refused.out.isEmpty && refused.err.contains("beta"))
      proxy.change(to: .silent)
      let late = try list(deadline: 15_000)
      let cells = try #require(try late.objects.last?["cells"] as? [[String: Any]])
      #expect(
        cells.first { $0["cell_name"] as? String == "beta" }?["outcome"] as? String == "timed_out")
      #expect(try statuses(late) == ["LIVE", "UNKNOWN", "LIVE", "UNKNOWN"])
    }
  }
}
