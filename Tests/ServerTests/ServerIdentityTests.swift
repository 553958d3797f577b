import Journal
import Testing
import TestServers
import TestSupport

@testable import Cells

/// Whether a database on a server is the cell's own; several cells may share a server.
@Suite(.waiting, .enabled(if: TestServer.areInstalled, needsServers))
struct ServerIdentityTests {
  /// Cells on one server, each with a host, and what is recorded of them.
  private struct Cloud {
    var databases: [NovaServerDatabase] = []
    let cells = (0..<4).map { CellID(uuid(0x4000_9000, $0)) }

    init(on engine: ServerEngine) throws {
      for number in 0..<4 as Range<UInt64> {
        let database = try cellDatabase(on: engine)
        try database.addHost("h", service: uuid(1, number), node: uuid(2, number))
        databases.append(database)
      }
    }

    func knowledge(of cell: CellID) -> IdentityKnowledge {
      let place = UInt64(cells.firstIndex(of: cell) ?? 99)
      return IdentityKnowledge(
        recorded: { _ throws(CellError) in
          RecordedIdentity(services: [uuid(1, place)], computeNodes: [], instances: [])
        },
        cellsRecording: { [cells] uuid throws(CellError) in
          uuid.high <= 2 && uuid.low < 4 ? [cells[Int(uuid.low)]] : []
        })
    }

    func pool(_ cell: Int, at database: Int) throws -> CellConnectionPool {
      CellConnectionPool(
        cell: cells[cell], location: .server(try databases[database].address()),
        identity: knowledge(of: cells[cell]))
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `each of several cells on one server is itself, and no other`(
    _ engine: ServerEngine
  ) throws {
    let cloud = try Cloud(on: engine)
    for cell in 0..<4 {
      for database in 0..<4 {
        let pool = try cloud.pool(cell, at: database)
        func isProven() throws(CellError) -> Bool {
          try pool.withConnection(until: soon()) { lent throws(CellError) in lent.isProven }
        }
        if cell == database {
          #expect(try isProven())
        } else {
          let expected = CellError.wrongCell(
            cell: cloud.cells[cell], actual: cloud.cells[database])
          #expect(throws: expected) { try isProven() }
        }
      }
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a known cell whose database was emptied is refused`(_ engine: ServerEngine) throws {
    let cloud = try Cloud(on: engine)
    try cloud.databases[0].execute("DELETE FROM services; DELETE FROM compute_nodes")
    let pool = try cloud.pool(0, at: 0)
    #expect(throws: CellError.identityUnknown(cell: cloud.cells[0], known: 1)) {
      try pool.withConnection(until: soon()) { _ throws(CellError) in }
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a new, empty cell is accepted as unproven`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let pool = CellConnectionPool(
      cell: cell, location: .server(try database.address()), identity: .none)
    let isProven = try pool.withConnection(until: soon()) { lent throws(CellError) in
      lent.isProven
    }
    #expect(!isProven)
  }

  @Test(arguments: ServerEngine.allCases)
  func `another server with the cell's data behind the address is accepted`(
    _ engine: ServerEngine
  ) throws {
    let cloud = try Cloud(on: engine)
    let other = try TestServer.start(engine)
    defer { try? other.stop() }
    let copy = try NovaServerDatabase.makeCell(on: other)
    try copy.addHost("h", service: uuid(1, 0), node: uuid(2, 0))
    for database in [cloud.databases[0], copy] {
      let pool = CellConnectionPool(
        cell: cloud.cells[0], location: .server(try database.address()),
        identity: cloud.knowledge(of: cloud.cells[0]))
      let isProven = try pool.withConnection(until: soon()) { lent throws(CellError) in
        lent.isProven
      }
      #expect(isProven)
    }
  }
}
