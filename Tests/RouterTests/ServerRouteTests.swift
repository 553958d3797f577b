import Cells
import Journal
import Router
import TestServers
import TestSupport
import Testing

/// Routes into cells on real servers.
@Suite(
  .waiting,
  .enabled(
    if: TestServer.areInstalled,
    "MariaDB or PostgreSQL isn't installed; tools/setup --servers installs both"))
struct ServerRouteTests {
  @Test(arguments: ServerEngine.allCases)
  func `finds the host in a proven cell, and deleted instances`(_ engine: ServerEngine) throws {
    try withStore { store in
      let (cell, database) = try store.addCell(on: .shared(engine))
      let live = try store.addInstance(cell, nil)
      let deleted = try store.addInstance(cell, nil)
      try database.add(live, ["host": "'compute-7'"])
      try database.add(deleted, ["deleted": "3", "host": "'compute-8'"])
      let router = try store.router()
      guard case .found(let route) = try router.outcome(live) else {
        Issue.record("not found")
        return
      }
      #expect(route.placement.host == "compute-7" && route.isCellProven)
      #expect(try router.outcome(deleted).summary == "deleted compute-8")
      let missing = try store.addInstance(cell, nil)
      #expect(try router.outcome(missing).summary == "missing")
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a frozen cell is answered from the map by the deadline, and holds up no other`(
    _ engine: ServerEngine
  ) throws {
    let server = try TestServer.start(engine)
    defer { try? server.stop() }
    try withStore { store in
      let (cell, _) = try store.addCell(on: server)
      let sighting = HostSighting(host: "compute-1", at: .now, source: "test")
      let frozen = try store.addInstance(cell, nil, lastSeen: sighting)
      let (other, file) = try store.addCell(2)
      let healthy = try store.addInstance(other, file)
      let router = try store.router()
      _ = try router.outcome(frozen)
      try server.whileFrozen {
        let begin = ContinuousClock.now
        guard case .cellUnavailable(_, _, let why, let lastSeen) = try router.outcome(frozen, 300)
        else {
          Issue.record("was answered")
          return
        }
        #expect(begin.duration(to: .now) < .milliseconds(300) + busyMachine)
        #expect("\(why)".contains("deadline") && lastSeen?.host == "compute-1")
        #expect(try router.host(healthy) == "compute-1")
      }
      #expect(try router.outcome(frozen).summary == "missing")
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a connection that the server closed in mid-call is opened once more`(
    _ engine: ServerEngine
  ) throws {
    let server = try TestServer.start(engine)
    defer { try? server.stop() }
    try withStore { store in
      let (cell, database) = try store.addCell(on: server)
      let id = try store.addInstance(cell, nil)
      try database.add(id, ["host": "'compute-7'"])
      let router = try store.router()
      for _ in 0..<2 {
        #expect(try router.host(id) == "compute-7")
        try server.kill()
        try server.restart()
      }
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a changed address acts at the next call`(_ engine: ServerEngine) throws {
    try withStore { store in
      let (cell, database) = try store.addCell(on: .shared(engine))
      let id = try store.addInstance(cell, nil)
      try database.add(id, ["host": "'before'"])
      let router = try store.router()
      #expect(try router.host(id) == "before")
      let other = try NovaServerDatabase.makeCell(on: .shared(engine))
      try other.addHost("h", service: uuid(1, 77), node: uuid(2, 77))
      try other.add(id, ["host": "'after'"])
      let text = try #require(other.text().exposedText())
      let before = try #require(try router.cells().first { $0.id == cell }).row.record
      let after = try store.record(cell, "server cell", database: text)
      try store.append(
        .cell(cell, .addressesChanged(from: before.addresses, to: after.addresses)))
      #expect(try router.host(id) == "after")
    }
  }
}

extension TestStore {
  /// Adds a cell with a database on a server, and the evidence of one host in it.
  func addCell(
    _ number: Int = 77, on server: TestServer
  ) throws -> (id: CellID, database: NovaServerDatabase) {
    let database = try NovaServerDatabase.makeCell(on: server)
    let address = try #require(database.text().exposedText())
    return (try addCell(number, in: database, at: address), database)
  }

  /// Adds a cell whose database is reached at an address, and the evidence of one host in it.
  func addCell(
    _ number: Int, in database: NovaServerDatabase, at address: String
  ) throws -> CellID {
    let id = CellID(uuid(9, number))
    let (service, node) = (uuid(1, number), uuid(2, number))
    try database.addHost("h", service: service, node: node)
    let record = try record(id, "server cell", database: address)
    try append(
      .cell(id, .added(record)),
      .cell(id, .identityRecorded(CellIdentity(services: [service], computeNodes: [node]))))
    return id
  }
}
