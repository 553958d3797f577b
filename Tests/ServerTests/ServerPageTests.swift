import Journal
import Testing
import TestServers
import TestSupport

@testable import Cells

/// Pages of the same rows on each engine: in the same order, with the same values.
@Suite(.waiting, .enabled(if: TestServer.areInstalled, needsServers))
struct ServerPageTests {
  private struct Chance {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func number(_ bound: Int) -> Int {
      // Knuth's MMIX constants; the upper bits are the good ones.
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % bound
    }
    mutating func happens(_ share: Int) -> Bool { number(100) < share }
    mutating func pick<Value>(_ values: [Value]) -> Value { values[number(values.count)] }
  }

  /// Rows with few values, so that many are equal, some differ in case or in a space at the end, and
  /// some are NULL; as SQL, by column.
  private func rows(_ chance: inout Chance) -> [(id: InstanceID, values: [String: String])] {
    let names = ["a", "A", "a ", "b", "é", "e\u{301}", "ß", "ss", "", "vm-9", "vm-10", "\u{FF5E}"]
    return (0..<120).map { number in
      func text(_ values: [String]) -> String {
        chance.happens(15) ? "NULL" : quoted(chance.pick(values))
      }
      func time() -> String {
        chance.happens(15) ? "NULL" : "'2026-01-01 00:00:0\(chance.number(4))'"
      }
      return (
        InstanceID(uuid(0xB, UInt64(number))),
        [
          "display_name": text(names), "host": text(["h1", "H1", "h2", ""]),
          "project_id": text(["p1", "P1", "p2"]), "vm_state": text(["active", "error"]),
          "created_at": time(), "updated_at": time(), "launched_at": time(),
          "deleted": chance.happens(15) ? "\(number)" : "0",
          "hidden": chance.pick(["NULL", "true", "false"]),
        ]
      )
    }
  }

  private func query(_ chance: inout Chance) -> InstancePageQuery {
    let keys = (0..<chance.number(4)).map { _ in
      InstanceOrder.Key(chance.pick(InstanceColumn.allCases), isDescending: chance.happens(50))
    }
    var filter = InstanceFilter()
    if chance.happens(25) { filter.project = "p1" }
    if chance.happens(25) { filter.host = ByteText(chance.pick(["h1", ""])) }
    if chance.happens(25) { filter.vmState = "active" }
    if chance.happens(25) { filter.name = ByteText(chance.pick(["a", "é", "m-", "%"])) }
    if chance.happens(25) { filter.changedSince = Timestamp("2026-01-01T00:00:02Z") }
    filter.deletion = chance.pick([.live, .live, .deleted, .any])
    filter.includesHidden = chance.happens(30)
    return InstancePageQuery(
      order: InstanceOrder(keys), filter: filter, limit: 1 + chance.number(40))
  }

  /// A SQLite cell's file and the two servers' databases, with the same rows.
  private func withEngines(
    _ rows: [(id: InstanceID, values: [String: String])],
    _ body: ([CellConnection]) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      let file = try NovaCellFile.make(at: folder + "/cell.sqlite")
      // SQLAlchemy writes six digits of fraction into SQLite.
      let times = ["created_at", "updated_at", "launched_at"]
      for (id, values) in rows {
        var row = values
        for time in times where row[time] != "NULL" {
          row[time] = (row[time] ?? "").dropLast() + ".000000'"
        }
        try file.add(id, row)
      }
      var connections = [
        try CellConnection.open(.sqlite(path: file.path), of: cell, until: soon())
      ]
      for engine in ServerEngine.allCases {
        let database = try cellDatabase(on: engine)
        if engine == .mariadb {
          try database.execute("ALTER TABLE instances CONVERT TO CHARACTER SET utf8mb4")
        }
        let insertions = rows.map { id, values in
          NovaServerDatabase.insert(
            "instances", NovaServerDatabase.instanceRow(id).merging(values) { $1 })
        }
        try database.execute("BEGIN; \(insertions.joined()) COMMIT;")
        connections.append(try connect(database))
      }
      try body(connections)
    }
  }

  @Test(arguments: [1, 2, 3, UInt64.random(in: 0 ... .max)])
  func `each engine gives the same pages`(seed: UInt64) throws {
    var chance = Chance(seed: seed)
    try withEngines(rows(&chance)) { connections in
      for round in 0..<60 {
        var asked = query(&chance)
        while true {
          let pages = try connections.map { connection in
            try connection.begin(until: soon())
            return try connection.page(asked)
          }
          #expect(pages[1] == pages[0], "MariaDB, seed \(seed), round \(round), \(asked)")
          #expect(pages[2] == pages[0], "PostgreSQL, seed \(seed), round \(round), \(asked)")
          guard pages[1] == pages[0], pages[2] == pages[0] else { return }
          guard let last = pages[0].last else { break }
          asked.after = last.values
        }
      }
    }
  }

  /// By time a server reads no more than it must, and puts the page together from more than one
  /// statement: at each length of a page another row is its last.
  @Test(arguments: [7, UInt64.random(in: 0 ... .max)])
  func `pages by time have each row once, however many are equal or NULL`(seed: UInt64) throws {
    var chance = Chance(seed: seed)
    try withEngines(rows(&chance)) { connections in
      for column in [InstanceColumn.createdAt, .updatedAt, .launchedAt] {
        for isDescending in [false, true] {
          let second = InstanceOrder.Key(.displayName, isDescending: chance.happens(50))
          let first = InstanceOrder.Key(column, isDescending: isDescending)
          for keys in [[first], [first, second]] {
            let order = InstanceOrder(keys)
            var whole = InstancePageQuery(order: order, filter: InstanceFilter(), limit: 1_000)
            try connections[0].begin(until: soon())
            let expected = try connections[0].page(whole)
              .sorted { order.precedes($0.values, $1.values) }
            for (connection, length) in zip(
              connections[1...].flatMap { Array(repeating: $0, count: 6) },
              [1, 2, 5, 13, 40, expected.count, 1, 3, 7, 29, expected.count - 1, 1_000])
            {
              whole.limit = length
              #expect(
                try pages(whole, on: connection) == expected,
                "seed \(seed), \(keys), \(length) rows, \(connection.dialect)")
            }
          }
        }
      }
    }
  }

  private func pages(
    _ query: InstancePageQuery, on connection: CellConnection
  ) throws -> [InstancePageRow] {
    try connection.begin(until: soon())
    var (query, rows) = (query, [InstancePageRow]())
    while true {
      let page = try connection.page(query)
      rows += page
      guard page.count == query.limit, let last = page.last else { return rows }
      query.after = last.values
    }
  }

  /// In Danish `aa` is a letter behind `z`.
  @Test(arguments: ServerEngine.allCases)
  func `pages by UUID are in the order of bytes, whatever the database's alphabet`(
    _ engine: ServerEngine
  ) throws {
    let database = try NovaServerDatabase.makeCell(on: .shared(engine), isDanish: true)
    let ids = ["a0", "aa", "ab", "b0", "f0", "ff"].map { pair in
      InstanceID("\(pair)000000-0000-4000-8000-00000000aa\(pair)")!
    }
    for id in ids { try database.add(id, ["project_id": "'p'"]) }
    let connection = try connect(database)
    for keys in [[], [InstanceOrder.Key(.project)], [.init(.createdAt)]] {
      for isDescending in [false, true] {
        let order = InstanceOrder(keys + [.init(.uuid, isDescending: isDescending)])
        for limit in [1, 4] {
          let query = InstancePageQuery(order: order, filter: InstanceFilter(), limit: limit)
          let found = try pages(query, on: connection).map(\.instance.id)
          #expect(found == (isDescending ? ids.reversed() : ids), "\(keys), \(limit)")
        }
      }
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a column in another character set is ordered by its UTF-8 bytes`(
    _ engine: ServerEngine
  ) throws {
    let database = try cellDatabase(on: engine)
    if engine == .mariadb {
      try database.execute(
        "ALTER TABLE instances MODIFY display_name VARCHAR(255) CHARACTER SET latin1")
    }
    // In latin1 the bytes of ä and z have the other order than a and z have as words.
    for (number, name) in ["ä", "z", "Z"].enumerated() {
      try database.add(
        InstanceID(uuid(0xC, UInt64(number))), ["display_name": quoted(name)])
    }
    let connection = try connect(database)
    let order = InstanceOrder([.init(.displayName)])
    let rows = try connection.page(
      InstancePageQuery(order: order, filter: InstanceFilter(), limit: 10))
    #expect(rows.map(\.instance.displayName) == ["Z", "z", "ä"])
    let rest = try connection.page(
      InstancePageQuery(
        order: order, filter: InstanceFilter(), after: rows[1].values, limit: 10))
    #expect(rest.map(\.instance.displayName) == ["ä"])
  }
}
