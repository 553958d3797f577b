import Journal
import Testing
import TestServers
import TestSupport

@testable import Cells

/// Reading a cell on a real MariaDB and a real PostgreSQL server, as a user who may SELECT and nothing
/// else.
@Suite(.waiting, .enabled(if: TestServer.areInstalled, needsServers))
struct ServerCellReadTests {
  @Test(arguments: ServerEngine.allCases)
  func `finds where an instance is`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    try database.add(instance, ["task_state": "'rebooting'", "hidden": flag(engine, true)])
    let placement = try #require(try connect(database).placement(of: instance))
    #expect(placement.host == "compute-1")
    #expect(placement.vmState == "active")
    #expect(placement.taskState == "rebooting")
    #expect(!placement.isDeleted)
    #expect(placement.isHidden)
  }

  @Test(arguments: ServerEngine.allCases)
  func `finds none where there is no row`(_ engine: ServerEngine) throws {
    #expect(try connect(cellDatabase(on: engine)).placement(of: instance) == nil)
  }

  @Test(arguments: ServerEngine.allCases)
  func `reads NULL and empty hosts as none`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    try database.add(instance, ["host": "NULL", "vm_state": "NULL", "hidden": "NULL"])
    try database.add(otherInstance, ["host": "''"])
    let connection = try connect(database)
    let placement = try #require(try connection.placement(of: instance))
    #expect(placement.host == nil && placement.vmState == nil && !placement.isHidden)
    #expect(try connection.placement(of: otherInstance)?.host == nil)
  }

  @Test(arguments: ServerEngine.allCases)
  func `reads the whole row with its times in UTC`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    try database.add(
      instance,
      [
        "updated_at": "'2026-06-01 12:00:00'", "deleted": "7", "display_name": "'Zoë ☃'",
        "launched_at": "NULL",
      ])
    let row = try #require(try connect(database).instance(instance))
    #expect(row.createdAt == Timestamp("2026-01-01T05:16:48Z"))
    #expect(row.updatedAt == Timestamp("2026-06-01T12:00:00Z"))
    #expect(row.launchedAt == nil && row.deletedAt == nil)
    #expect(row.displayName == "Zoë ☃")
    #expect(row.node == "compute-1.example.org")
    #expect(row.placement.isDeleted)
  }

  @Test(arguments: ServerEngine.allCases)
  func `reads text of four bytes byte for byte`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    if engine == .mariadb {
      try database.execute("ALTER TABLE instances CONVERT TO CHARACTER SET utf8mb4")
    }
    try database.add(instance, ["display_name": "'e\u{301} 😀 𝄞 \u{200F}'"])
    #expect(try connect(database).instance(instance)?.displayName == "e\u{301} 😀 𝄞 \u{200F}")
  }

  @Test(arguments: ServerEngine.allCases)
  func `places many instances in their order`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let all = (1...1_200).map { InstanceID(uuid(7, UInt64($0))) }
    var sql = ""
    for (number, id) in all.enumerated() where number % 3 != 0 {
      sql += NovaServerDatabase.insert(
        "instances",
        NovaServerDatabase.instanceRow(id).merging(["host": "'host-\(number)'"]) { $1 })
    }
    try database.execute("BEGIN; \(sql) COMMIT;")
    let placements = try connect(database).placements(of: all)
    for (number, placement) in placements.enumerated() {
      #expect(placement?.host == (number % 3 == 0 ? nil : ByteText("host-\(number)")))
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `counts instances on a host by the bytes of its name`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    for (number, host) in ["compute", "COMPUTE", "compute ", "compute"].enumerated() {
      try database.add(
        InstanceID(uuid(3, UInt64(number))),
        ["host": "'\(host)'", "deleted": number == 3 ? "4" : "0"])
    }
    #expect(try connect(database).liveInstanceCount(on: "compute") == 1)
  }

  @Test(arguments: ServerEngine.allCases)
  func `finds identities`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    for number in [3, 1, 2] as [UInt64] {
      try database.addHost("h\(number)", service: uuid(1, number), node: uuid(2, number))
    }
    let connection = try connect(database)
    #expect(try connection.uuids(of: .services, limit: 2) == [uuid(1, 1), uuid(1, 2)])
    #expect(try connection.uuids(of: .computeNodes, limit: .max).count == 3)
    #expect(try connection.has(uuid(1, 3), in: .services))
    #expect(try !connection.has(uuid(1, 4), in: .services))
  }

  @Test(arguments: ServerEngine.allCases)
  func `takes a schema without hidden`(_ engine: ServerEngine) throws {
    let database = try NovaServerDatabase.makeCell(on: .shared(engine), withHidden: false)
    try database.add(instance)
    #expect(try connect(database).placement(of: instance)?.isHidden == false)
  }

  @Test(arguments: ServerEngine.allCases, ["instances", "services", "compute_nodes"])
  func `names a table that is missing`(_ engine: ServerEngine, _ table: String) throws {
    let database = try cellDatabase(on: engine)
    try database.execute("DROP TABLE \(table)")
    #expect(throws: CellError.notACell(cell: cell, missing: "table \(table)")) {
      try connect(database)
    }
  }

  @Test(arguments: ServerEngine.allCases, ["instances.vm_state", "services.uuid"])
  func `names a column that is missing`(_ engine: ServerEngine, _ column: String) throws {
    let database = try cellDatabase(on: engine)
    let parts = column.split(separator: ".")
    try database.execute("ALTER TABLE \(parts[0]) DROP COLUMN \(parts[1])")
    #expect(throws: CellError.notACell(cell: cell, missing: "column \(column)")) {
      try connect(database)
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `names a table that may not be read`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    switch engine {
    case .mariadb:
      try database.execute(
        "REVOKE SELECT ON \(database.name).* FROM '\(database.user)'@'%'; "
          + "GRANT SELECT ON \(database.name).instances TO '\(database.user)'@'%'; "
          + "GRANT SELECT ON \(database.name).services TO '\(database.user)'@'%'")
    case .postgresql:
      try database.execute("REVOKE SELECT ON compute_nodes FROM \(database.user)")
    }
    let expected = DatabaseError.permissionDenied(table: "compute_nodes")
    #expect(throws: CellError.database(cell: cell, expected)) { try connect(database) }
  }

  @Test(arguments: ServerEngine.allCases)
  func `names a column that holds what Nova doesn't write`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let type = engine == .mariadb ? "MODIFY deleted" : "ALTER deleted TYPE"
    try database.execute("ALTER TABLE instances \(type) VARCHAR(20)")
    try database.add(instance, ["deleted": "'no number'"])
    let connection = try connect(database)
    let expected = CellError.badValue(cell: cell, column: "instances.deleted", found: "text")
    #expect(throws: expected) { try connection.placement(of: instance) }
  }

  @Test(arguments: ServerEngine.allCases)
  func `can't write, even with an account that may`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    try database.add(instance)
    switch engine {
    case .mariadb:
      try database.execute("GRANT ALL ON \(database.name).* TO '\(database.user)'@'%'")
    case .postgresql:
      try database.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO \(database.user)")
    }
    let connection = try connect(database)
    var refusal: CellError?
    do throws(CellError) {
      let query = SQLQuery(
        connection.dialect, on: .instances, "UPDATE instances SET host = 'elsewhere'")
      try connection.forEachRow(of: query) { (_) throws(DatabaseError) in }
    } catch {
      refusal = error
    }
    let code = engine == .mariadb ? "1792" : "SQLSTATE 25006"
    #expect(refusal?.description.contains(code) == true)
    #expect(try connection.placement(of: instance)?.host == "compute-1")
  }

  @Test(arguments: ServerEngine.allCases)
  func `compares times and bound values of every kind`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    try database.add(instance, ["updated_at": "'2026-06-01 12:00:00'"])
    try database.add(otherInstance, ["updated_at": "'2026-06-01 12:00:01'", "host": "NULL"])
    let connection = try connect(database)
    var query = SQLQuery(connection.dialect, on: .instances, "SELECT uuid FROM instances WHERE ")
    let time = query.bind(connection.dialect.time(Timestamp("2026-06-01T12:00:00Z")!))
    let number = query.bind(.integer(0))
    let nothing = query.bind(.null)
    query.append("updated_at > \(time) AND updated_at >= \(time) AND deleted = \(number) ")
    query.append("AND (host = \(nothing)) IS NOT TRUE")
    var found: [UUID128?] = []
    try connection.forEachRow(of: query) { (row) throws(DatabaseError) in
      found.append(try row.uuid(0))
    }
    #expect(found == [otherInstance.uuid])
  }

  @Test(arguments: ServerEngine.allCases)
  func `binds every character as itself`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let connection = try connect(database)
    for text in [
      "", "'", "\\", "\\'; DROP TABLE instances; --", "?1 $1 ?", "%", "é☃😀", "\n\r\t\u{1}",
    ] {
      var query = SQLQuery(connection.dialect, on: .instances, "SELECT CONCAT(")
      let value = query.bind(.text(ByteText(text)))
      query.append("\(value), 'x')")
      if engine == .postgresql { query = SQLQuery(.postgresql, on: .instances, "SELECT ") }
      if engine == .postgresql {
        let value = query.bind(.text(ByteText(text)))
        query.append("\(value)::text || 'x'")
      }
      var found: ByteText?
      try connection.forEachRow(of: query) { (row) throws(DatabaseError) in
        found = try row.text(0)
      }
      #expect(found == ByteText(text + "x"))
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `orders texts by their bytes, and NULL first`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let names = ["b", "a", "B", "é", "z", "a ", "-a"]
    for (number, name) in names.enumerated() {
      try database.add(InstanceID(uuid(5, UInt64(number))), ["display_name": "'\(name)'"])
    }
    try database.add(instance, ["display_name": "NULL"])
    let connection = try connect(database)
    let dialect = connection.dialect
    let order = dialect.order(dialect.byteOrder("display_name"))
    let query = SQLQuery(
      dialect, on: .instances, "SELECT display_name FROM instances ORDER BY \(order)")
    var found: [ByteText?] = []
    try connection.forEachRow(of: query) { (row) throws(DatabaseError) in
      found.append(try row.text(0))
    }
    #expect(found == [nil] + names.map { ByteText($0) }.sorted())
  }

  @Test(arguments: ServerEngine.allCases)
  func `streams many rows without keeping them`(_ engine: ServerEngine) throws {
    let database = try cellDatabase(on: engine)
    let connection = try connect(database)
    let numbers =
      engine == .mariadb
      ? "SELECT seq, REPEAT('x', 500) FROM seq_1_to_200000"
      : "SELECT n, repeat('x', 500) FROM generate_series(1, 200000) n"
    let before = residentBytes()
    var sum: Int64 = 0
    try connection.forEachRow(of: SQLQuery(connection.dialect, on: .instances, numbers)) {
      (row) throws(DatabaseError) in
      sum += try row.integer(0)
    }
    #expect(sum == 200_000 * 200_001 / 2)
    #expect(residentBytes() - before < 40 << 20)
  }
}
