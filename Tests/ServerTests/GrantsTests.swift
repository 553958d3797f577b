import Foundation
import Journal
import Recovery
import Testing
import TestServers
import TestSupport

@testable import Cells

/// The grants of docs/grants.md are enough for all that it names, word for word.
@Suite(.waiting, .enabled(if: TestServer.areInstalled, needsServers))
struct GrantsTests {
  @Test(arguments: ServerEngine.allCases)
  func `a cell is read with the documented grants`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    try database.add(instance)
    try database.addHost("compute-1", service: uuid(1, 1), node: uuid(2, 1))
    let user = try grant("\(engine) cell", on: database, replacing: "nova_cell1")
    let text = database.server.address(database.name, user: user, password: "PASSWORD")
    let connection = try open(text)
    #expect(try connection.placement(of: instance)?.host == "compute-1")
    #expect(try connection.instance(instance) != nil)
    #expect(try connection.liveInstanceCount(on: "compute-1") == 1)
    #expect(try connection.uuids(of: .services, limit: 9) == [uuid(1, 1)])
    #expect(try connection.uuids(of: .computeNodes, limit: 9) == [uuid(2, 1)])
  }

  @Test(arguments: ServerEngine.allCases)
  func `a map is adopted with the documented grants`(_ engine: ServerEngine) throws {
    let database = try NovaServerDatabase.makeAPI(on: .shared(engine))
    let user = try grant("\(engine) api", on: database, replacing: "nova_api")
    let text = database.server.address(database.name, user: user, password: "PASSWORD")
    let api = try NovaAPIDatabase(try DatabaseAddress(parsing: text), relativeTo: "/")
    #expect(try api.cells().isEmpty)
    #expect(try api.hosts(after: nil, limit: 10).isEmpty)
    #expect(try api.instances(after: nil, limit: 10).isEmpty)
    #expect(try api.known(among: [instance]).isEmpty)
  }

  @Test(arguments: ServerEngine.allCases)
  func `the doctor reads what it reads with the documented grants`(_ engine: ServerEngine) throws {
    for (name, table, column) in [
      ("api", "build_requests", "instance_uuid"), ("cell", "shadow_instances", "uuid"),
    ] {
      let isCell = name == "cell"
      let database =
        isCell ? try cellDatabase(on: engine) : try NovaServerDatabase.makeAPI(on: .shared(engine))
      try database.execute("CREATE TABLE \(table) (\(column) VARCHAR(36))")
      let original = isCell ? "nova_cell1" : "nova_api"
      let user = try grant("\(engine) \(name)", on: database, replacing: original)
      _ = try grant("\(engine) doctor-\(name)", on: database, replacing: original)
      let text = database.server.address(database.name, user: user, password: "PASSWORD")
      let address = try DatabaseAddress(parsing: text)
      let opened = try DatabaseConnection.open(
        address, relativeTo: "/", until: .now + .seconds(20))
      var query = SQLQuery(opened.dialect, on: isCell ? .shadowInstances : .buildRequests)
      query.append("SELECT \(column) FROM \(table)")
      try opened.forEachRow(of: query, until: .now + .seconds(20)) { _ in }
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `what global tables are made of is read with the documented grants`(
    _ engine: ServerEngine
  ) throws {
    let database = try cellDatabase(on: engine)
    try database.add(instance)
    try database.execute(
      "INSERT INTO instance_extra (instance_uuid, deleted, flavor) VALUES ('\(instance)', 0, 'f')")
    let user = try grant("\(engine) cell", on: database, replacing: "nova_cell1")
    _ = try grant("\(engine) globals-cell", on: database, replacing: "nova_cell1")
    let connection = try open(
      database.server.address(database.name, user: user, password: "PASSWORD"))
    #expect(try connection.embeddedGlobals(afterRow: 0, limit: 9).rows.map(\.flavor) == ["f"])
    #expect(try connection.requestFacts(of: [instance])[instance]?.flavor == "f")
    #expect(try connection.globalCounts().requestSpecs == 1)
  }

  /// Runs a block of the page with other names, and returns the user's.
  private func grant(
    _ block: String, on database: NovaServerDatabase, replacing name: String
  ) throws -> String {
    let text = try String(contentsOf: Checkout.file("docs/grants.md"), encoding: .utf8)
    let start = try #require(text.range(of: "```sql \(block)\n")).upperBound
    let end = try #require(text[start...].range(of: "```")).lowerBound
    let user = database.name + "_granted"
    try database.execute(
      text[start..<end].replacingOccurrences(of: name, with: database.name)
        .replacingOccurrences(of: "cellmap", with: user))
    return user
  }
}
