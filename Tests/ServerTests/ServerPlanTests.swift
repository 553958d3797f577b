import Journal
import TestServers
import TestSupport
import Testing

@testable import Cells

/// Which of Nova's indexes serve the statements of pages, as the servers plan them.
@Suite(.waiting, .enabled(if: TestServer.areInstalled, needsServers))
struct ServerPlanTests {
  /// 5,000 rows with times of their own, of 50 projects, a tenth of them never changed.
  private func filled(_ engine: ServerEngine) throws -> NovaServerDatabase {
    let database = try cellDatabase(on: engine)
    let rows = (0..<5_000).map { number in
      let time =
        "2026-01-0\(1 + number % 9) 0\(number % 10):\(10 + number / 100):\(10 + number % 50)"
      return "('\(InstanceID(uuid(0xD, UInt64(number))))', 'host-\(number % 100)', 'active', "
        + "'project-\(number % 50)', 'user', 'vm-\(number)', '\(time)', "
        + "\(number % 10 == 0 ? "NULL" : "'\(time)'"), \(number % 20 == 0 ? number : 0))"
    }
    try database.execute(
      "INSERT INTO instances (uuid, host, vm_state, project_id, user_id, display_name, "
        + "created_at, updated_at, deleted) VALUES " + rows.joined(separator: ", "))
    try database.execute(engine == .mariadb ? "ANALYZE TABLE instances" : "ANALYZE instances")
    return database
  }

  /// The plans of a page's statements, one text for each.
  private func plans(
    _ database: NovaServerDatabase, _ keys: [InstanceOrder.Key], after: [SortValue]?,
    _ change: (inout InstanceFilter) -> Void = { _ in }
  ) throws -> [String] {
    let dialect: SQLDialect = database.server.engine == .mariadb ? .mariadb : .postgresql
    var filter = InstanceFilter()
    change(&filter)
    let query = InstancePageQuery(
      order: InstanceOrder(keys), filter: filter, after: after, limit: 100)
    let sql = InstancePageSQL(
      query, of: NovaCellTables(dialect: dialect, hasHidden: true), uuid: "uuid")
    return try sql.segments.map { segment in
      let statement = sql.statement(segment, limit: 100)
      var text = statement.text
      for (place, value) in statement.values.enumerated().reversed() {
        guard case .text(let word) = value else { continue }
        text.replace(dialect.parameter(place + 1), with: quoted(word.string))
      }
      return try database.execute("EXPLAIN \(text)")
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `pages by UUID and by time are read from an index`(_ engine: ServerEngine) throws {
    let database = try filled(engine)
    let time = SortValue.time(try #require(Timestamp("2026-01-05T05:30:00Z")))
    let last = SortValue.uuid(uuid(0xD, 2_500))
    for (column, value, index) in [
      (InstanceColumn.uuid, last, "uniq_instances0uuid"),
      (.createdAt, time, "instances_deleted_created_at_idx"),
      (.updatedAt, time, "instances_updated_at_project_id_idx"),
    ] {
      for isDescending in [false, true] {
        let afters: [[SortValue]?] = column == .uuid ? [nil, [last]] : [nil, [value, last]]
        for after in afters {
          for plan in try plans(database, [.init(column, isDescending: isDescending)], after: after)
          {
            try check(plan, column, index, engine)
          }
        }
      }
    }
  }

  /// PostgreSQL sorts no more than rows of equal values, and NULLs; MariaDB not even those, since it is
  /// asked for the group of the last value by itself.
  private func check(
    _ plan: String, _ column: InstanceColumn, _ index: String, _ engine: ServerEngine
  ) throws {
    switch engine {
    case .mariadb:
      #expect(plan.contains("\t\(index)"), "\(plan)")
      #expect(!plan.contains("filesort") || plan.contains("\tref\t"), "\(plan)")
    case .postgresql:
      let ofNulls = plan.contains("IS NULL")
      #expect(plan.contains(index) || ofNulls && plan.contains("Index Scan"), "\(plan)")
      let isSorted = plan.contains("Sort Key") && !plan.contains("Incremental Sort")
      #expect(!isSorted || ofNulls, "\(plan)")
    }
  }

  /// How many rows MariaDB's storage engine was asked for in a session.
  private func rowsRead(_ connection: CellConnection) throws -> Int {
    let query = SQLQuery(.mariadb, on: .instances, "SHOW SESSION STATUS LIKE 'Handler_read%'")
    var count = 0
    try connection.forEachRow(of: query) { row throws(DatabaseError) in
      count += Int(try row.text(1)?.string ?? "") ?? 0
    }
    return count
  }

  @Test(arguments: [InstanceColumn.uuid, .createdAt, .updatedAt], [false, true])
  func `a page of MariaDB's costs about its length wherever it begins`(
    column: InstanceColumn, isDescending: Bool
  ) throws {
    let connection = try connect(filled(.mariadb))
    // Asked for once in a connection.
    #expect(try connection.uuidOrder() == "uuid")
    var query = InstancePageQuery(
      order: InstanceOrder([.init(column, isDescending: isDescending)]), filter: InstanceFilter(),
      limit: 100)
    var (pages, rows) = (0, 0)
    while true {
      let before = try rowsRead(connection)
      let page = try connection.page(query)
      let cost = try rowsRead(connection) - before
      (pages, rows) = (pages + 1, rows + page.count)
      // All are 5,000. A tenth of `updated_at` is NULL, and read for each page of those.
      let isAmongNulls = column == .updatedAt && page.contains { $0.values[0] == .null }
      #expect(cost < (isAmongNulls ? 1_300 : 400), "page \(pages) of \(page.count) rows")
      guard page.count == 100, let last = page.last else { break }
      query.after = last.values
    }
    // A twentieth has a number for a mark, but for the first, whose number is 0.
    #expect(rows == 4_751)
  }

  @Test(arguments: ServerEngine.allCases)
  func `a project's and a host's instances are found by index`(_ engine: ServerEngine) throws {
    let database = try filled(engine)
    let project = try plans(database, [.init(.displayName)], after: nil) {
      $0.project = "project-7"
    }
    let host = try plans(database, [.init(.displayName)], after: nil) { $0.host = "host-7" }
    #expect(project.allSatisfy { $0.contains("instances_project_id") }, "\(project)")
    #expect(host.allSatisfy { $0.contains("instances_host_") }, "\(host)")
  }
}
