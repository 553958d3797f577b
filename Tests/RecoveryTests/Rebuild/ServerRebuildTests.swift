import Journal
import Recovery
import TestServers
import TestSupport
import Testing

/// Rebuilding from cells on real servers: the same map as from SQLite files.
@Suite(
  .enabled(
    if: TestServer.areInstalled,
    "MariaDB or PostgreSQL isn't installed; tools/setup --servers installs both"))
struct ServerRebuildTests {
  @Test(arguments: ServerEngine.allCases)
  func `gives each hard case its verdict`(_ engine: ServerEngine) throws {
    try withTemporaryFolder { folder in
      let server = try TestServer.shared(engine)
      let cloud = DisasterCloud()
      var addresses: [String] = []
      for number in 0...3 {
        // The account that reads it may SELECT and nothing else.
        let database = try NovaServerDatabase.makeCell(on: server)
        try database.execute(cloud.statements(of: number).joined(separator: "\n"))
        addresses.append(try #require(database.text().exposedText()))
      }
      let bed = try RebuildBed(in: folder, addresses: addresses)
      let plan = try bed.rebuild()
      #expect(plan.isComplete)
      try bed.checkVerdicts()
      let files = try RebuildBed(in: folder, named: "files")
      try files.makeCells()
      try files.rebuild()
      let (found, expected) = (try bed.content(), try files.content())
      // The moments and numbers of rows are the same; the databases' addresses aren't in it.
      #expect(found == expected)
    }
  }
}
