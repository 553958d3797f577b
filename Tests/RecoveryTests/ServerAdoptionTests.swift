import Journal
import Projections
import Recovery
import Registry
import TestServers
import TestSupport
import Testing

/// Taking over the map of an API database on a real server: the same as of a SQLite file.
@Suite(
  .enabled(
    if: TestServer.areInstalled,
    "MariaDB or PostgreSQL isn't installed; tools/setup --servers installs both"))
struct ServerAdoptionTests {
  private typealias Run = AdoptionBed.Run

  @Test(arguments: ServerEngine.allCases)
  func `makes the same map as a SQLite file with the same rows`(_ engine: ServerEngine) throws {
    try withAPIs(engine) { bed, api, other in
      for (number, host) in ["Host-A", "host-b", "host_c", "-h"].enumerated() {
        try bed.api.addHost(number + 10, host, cell: 2)
        try api.addHost(number + 10, host, cell: 2)
      }
      for number in 1...2_300 {
        let cell = number % 5 == 0 ? nil : number % 3 + 1
        try bed.api.addInstance(number, "\(instance(number))", cell: cell, row(number, .sqlite))
      }
      try api.addInstances(1...2_300) { number in
        (
          number % 5 == 0 ? nil : number % 3 + 1,
          row(number, engine == .mariadb ? .sqlite : .boolean)
        )
      }
      try bed.adopt()
      let applied = try other.adopt(from: try api.open())
      #expect(applied.plan.problemCount == 0, "\(applied.plan.problems)")
      let (expected, found) = (try bed.map().index, try other.map().index)
      #expect(try found.hosts().map(\.name) == expected.hosts().map(\.name))
      #expect(try found.hosts().map(\.row.record) == expected.hosts().map(\.row.record))
      #expect(try records(found) == records(expected))
      #expect(try cells(found) == cells(expected))
      #expect(try other.adopt(from: try api.open()).outcome == nil)
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `passes over Nova's own marker rows`(_ engine: ServerEngine) throws {
    try withAPIs(engine) { _, api, bed in
      try api.addInstance(
        1, "\(instance(1))", cell: nil, ["project_id": "'INSTANCE_MIGRATION_MARKER'"])
      try api.addInstance(2, "\(UUID128.zero)", cell: nil, [:])
      let plan = try bed.adopt(from: try api.open()).plan
      #expect(plan.markers == 2 && plan.instances.total == 0)
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `reads one snapshot, whatever is written meanwhile`(_ engine: ServerEngine) throws {
    try withAPIs(engine) { _, api, bed in
      try api.addInstance(1, "\(instance(1))", cell: 2, [:])
      let source = try api.open()
      try api.addInstance(2, "\(instance(2))", cell: 2, [:])
      try api.database.execute("DELETE FROM instance_mappings WHERE id = 1")
      try bed.adopt(from: source)
      let map = try bed.map()
      #expect(try map.instance(instance(1)) != nil)
      #expect(try map.instance(instance(2)) == nil)
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `takes out what the database has not, when asked`(_ engine: ServerEngine) throws {
    try withAPIs(engine) { _, api, bed in
      try api.addInstances(1...1_500) { _ in (2, [:]) }
      try api.addHost(9, "gone", cell: 2)
      try bed.adopt(from: try api.open())
      try api.database.execute(
        "DELETE FROM instance_mappings WHERE id % 2 = 0; "
          + "DELETE FROM host_mappings WHERE host = 'gone'")
      do throws(AdoptionError) {
        try bed.adopt(from: try open(api))
        Issue.record("was not refused")
      } catch {
        guard case .wouldUnmap(let what) = error else { throw error }
        #expect(what.hasPrefix("1 host: gone; 750 mappings: ") && what.hasSuffix(" …"), "\(what)")
      }
      try bed.adopt(Run(prunes: true), from: try api.open())
      #expect(try bed.map().index.countInstances() == 750)
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `tells what is not a Nova API database, and what may not be read`(
    _ engine: ServerEngine
  ) throws {
    let cell = try NovaServerDatabase.makeCell(on: .shared(engine))
    do throws(AdoptionError) {
      _ = try NovaAPIDatabase(try address(of: cell), relativeTo: "/")
      Issue.record("was opened")
    } catch {
      guard case .notNovaAPI = error else { throw error }
      #expect(error.description.contains("table cell_mappings"))
      #expect(!error.description.contains(cell.password))
    }
    let api = try NovaServerDatabase.makeAPI(on: .shared(engine))
    try api.execute(
      engine == .mariadb
        ? "REVOKE SELECT ON \(api.name).* FROM '\(api.user)'@'%'; "
          + "GRANT SELECT ON \(api.name).cell_mappings TO '\(api.user)'@'%'"
        : "REVOKE SELECT ON host_mappings FROM \(api.user)")
    do throws(AdoptionError) {
      _ = try NovaAPIDatabase(try address(of: api), relativeTo: "/")
      Issue.record("was opened")
    } catch {
      guard case .unreadable = error else { throw error }
      #expect(error.description.contains("host_mappings"))
      #expect(error.description.contains("docs/grants.md"))
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a server that dies in the middle costs nothing but the rest`(_ engine: ServerEngine) throws
  {
    let server = try TestServer.start(engine)
    defer { try? server.stop() }
    try withAPIs(engine, on: server) { _, api, bed in
      try api.addInstances(1...3_000) { _ in (2, [:]) }
      let request = RequestID(.random())
      let source = try api.open()
      do throws(AdoptionError) {
        try bed.adopt(
          Run(request: request), from: source,
          after: { rows in
            if rows > 1_000, rows < 2_000 { try? server.kill() }
          })
        Issue.record("was not noticed")
      } catch {
        guard case .unreadable = error else { throw error }
      }
      try server.restart()
      try bed.adopt(Run(request: request), from: try api.open())
      #expect(try bed.map().index.countInstances() == 3_000)
    }
  }

  // MARK: -

  private enum Flag { case sqlite, boolean }

  /// Columns of an instance's mapping that differ from row to row, NULLs among them.
  private func row(_ number: Int, _ flag: Flag) -> [String: String] {
    let flags = flag == .sqlite ? ["0", "1", "NULL"] : ["false", "true", "NULL"]
    return [
      "user_id": number % 7 == 0 ? "NULL" : "'user é \(number % 4)'",
      "project_id": "'project-\(number % 6)'", "queued_for_delete": flags[number % 3],
      "created_at": number % 11 == 0 ? "NULL" : "'2026-01-02 03:04:0\(number % 10)'",
    ]
  }

  private func withAPIs(
    _ engine: ServerEngine, on server: TestServer? = nil,
    _ body: (_ file: AdoptionBed, _ api: ServerAPI, _ bed: AdoptionBed) throws -> Void
  ) throws {
    let server = try server ?? .shared(engine)
    try withTemporaryFolder { folder in
      let file = try AdoptionBed(in: folder)
      try file.addCells()
      let api = ServerAPI(database: try NovaServerDatabase.makeAPI(on: server))
      try api.addCells()
      try body(file, api, try AdoptionBed(in: folder, named: "other"))
    }
  }

  private func open(_ api: ServerAPI) throws(AdoptionError) -> NovaAPIDatabase {
    do { return try api.open() } catch {
      guard let error = error as? AdoptionError else { fatalError("\(error)") }
      throw error
    }
  }

  private func address(of database: NovaServerDatabase) throws(AdoptionError) -> DatabaseAddress {
    do { return try database.address() } catch { fatalError("\(error)") }
  }

  private func records(_ index: IndexReader) throws -> [String] {
    var (all, after): ([String], InstanceID?) = ([], nil)
    while case let page = try index.instances(after: after, limit: 1_000), let last = page.last {
      for item in page {
        let record = item.row.record
        all.append(
          "\(item.id) \(String(describing: record.cell)) \(record.owner) "
            + "\(String(describing: record.isQueuedForDelete)) \(record.row)")
      }
      after = last.id
    }
    return all
  }

  private func cells(_ index: IndexReader) throws -> [String] {
    try index.allCells().sorted { $0.key < $1.key }.map { id, row in
      "\(id) \(String(describing: row.record.name)) "
        + "\(String(describing: row.record.database?.publicForm)) "
        + "\(String(describing: row.record.disabled)) \(row.record.row)"
    }
  }
}

/// An API database on a server, written as `NovaAPIFile` writes one.
struct ServerAPI {
  let database: NovaServerDatabase

  func open() throws -> NovaAPIDatabase {
    try NovaAPIDatabase(try database.address(), relativeTo: "/")
  }

  func addCells() throws {
    let flag = database.server.engine == .mariadb ? "0" : "false"
    func add(_ number: Int, _ id: CellID, _ name: String, _ file: String, _ queue: String) throws {
      try database.add(
        to: "cell_mappings",
        [
          "id": "\(number)", "uuid": quoted("\(id)"), "name": quoted(name),
          "database_connection": quoted("sqlite:///\(file).sqlite"), "transport_url": quoted(queue),
          "disabled": flag, "created_at": "'2026-01-02 03:04:05'",
        ])
    }
    try add(1, .cell0, "cell0", "cell0", "none:///")
    for number in [1, 2] {
      try add(
        number + 1, cell(number), "cell\(number)", "\(number)",
        "rabbit://nova:s3cret@mq\(number):5672/")
      try addHost(number, "host\(number)", cell: number + 1)
    }
  }

  func addHost(_ number: Int, _ host: String, cell: Int) throws {
    try database.add(
      to: "host_mappings",
      [
        "id": "\(number)", "host": quoted(host), "cell_id": "\(cell)",
        "created_at": "'2026-01-02 03:04:06'",
      ])
  }

  func addInstance(_ number: Int, _ uuid: String, cell: Int?, _ values: [String: String]) throws {
    try database.execute(statement(number, uuid, cell, values))
  }

  func addInstances(
    _ numbers: ClosedRange<Int>, _ row: (Int) -> (cell: Int?, values: [String: String])
  ) throws {
    let statements = numbers.map { number in
      let row = row(number)
      return statement(number, "\(instance(number))", row.cell, row.values)
    }
    try database.execute("BEGIN; \(statements.joined(separator: "\n")) COMMIT;")
  }

  private func statement(
    _ number: Int, _ uuid: String, _ cell: Int?, _ values: [String: String]
  ) -> String {
    let row = [
      "id": "\(number)", "instance_uuid": quoted(uuid), "cell_id": cell.map { "\($0)" } ?? "NULL",
      "project_id": "'project-1'", "user_id": "'user-1'",
      "queued_for_delete": database.server.engine == .mariadb ? "0" : "false",
      "created_at": "'2026-01-02 03:04:07'",
    ]
    return NovaServerDatabase.insert("instance_mappings", row.merging(values) { $1 })
  }
}
