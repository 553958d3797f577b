import Journal
import TestServers
import Testing

@testable import Cells

/// Which of Nova's indexes serve the statements of pages, as the servers plan them.
@Suite(.enabled(if: TestServer.areInstalled, needsServers))
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
    let sql = InstancePageSQL(query, of: NovaCellTables(dialect: dialect, hasHidden: true))
    return try (0..<sql.count).map { number in
      let statement = sql.statement(number, limit: 100)
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

  /// PostgreSQL sorts no more than rows of equal values, and NULLs. MariaDB reads times from the page's
  /// first on, and sorts what it reads.
  private func check(
    _ plan: String, _ column: InstanceColumn, _ index: String, _ engine: ServerEngine
  ) throws {
    switch engine {
    case .mariadb:
      #expect(plan.contains("\t\(index)"), "\(plan)")
      #expect(column != .uuid || !plan.contains("filesort"), "\(plan)")
    case .postgresql:
      let ofNulls = plan.contains("IS NULL")
      #expect(plan.contains(index) || ofNulls && plan.contains("Index Scan"), "\(plan)")
      let isSorted = plan.contains("Sort Key") && !plan.contains("Incremental Sort")
      #expect(!isSorted || ofNulls, "\(plan)")
    }
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
