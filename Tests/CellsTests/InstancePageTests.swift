import Journal
import Projections
import Testing
import TestServers
import TestSupport

@testable import Cells

@Suite struct InstancePageTests {
  private func id(_ number: Int) -> InstanceID { InstanceID(uuid(3, number)) }

  private func query(
    _ keys: [InstanceOrder.Key], limit: Int = 100, after: [SortValue]? = nil,
    _ change: (inout InstanceFilter) -> Void = { _ in }
  ) -> InstancePageQuery {
    var filter = InstanceFilter()
    change(&filter)
    return InstancePageQuery(
      order: InstanceOrder(keys), filter: filter, after: after, limit: limit)
  }

  private func ids(_ connection: CellConnection, _ query: InstancePageQuery) throws -> [InstanceID]
  {
    try connection.page(query).map(\.instance.id)
  }

  @Test func `reads the row, and what it is sorted by as the database has it`() throws {
    try withCell { file in
      try file.add(
        id(1),
        [
          "host": "''", "updated_at": "'2026-01-02 03:04:05.000007'", "display_name": "'é'",
          "launched_at": "NULL",
        ])
      let keys = InstanceColumn.allCases.map { InstanceOrder.Key($0) }
      // After the UUID nothing is left to sort by.
      let rows = try open(file).page(query(keys.reversed()))
      let row = try #require(rows.first)
      #expect(rows.count == 1 && row.instance.placement.host == nil)
      #expect(
        row.values == [
          .null, .text("active"), .text("project-1"), .text(""), .text("é"),
          .time(try #require(Timestamp("2026-01-02T03:04:05.000007Z"))),
          .time(try #require(Timestamp("2026-01-01T05:16:48Z"))), .uuid(id(1).uuid),
        ])
      #expect(row.instance == (try open(file).instance(id(1))))
    }
  }

  @Test func `NULL is less than any value, and text has the order of its bytes`() throws {
    try withCell { file in
      let names = [nil, "", "A", "B", "a", "a ", "e\u{301}", "é", "\u{FF5E}", "\u{10000}"]
      for (number, name) in names.enumerated() {
        try file.add(id(100 - number), ["display_name": name.map { quoted($0) } ?? "NULL"])
      }
      let ascending = names.indices.map { id(100 - $0) }
      for column in [InstanceColumn.displayName] {
        let connection = try open(file)
        let up = InstanceOrder.Key(column)
        let down = InstanceOrder.Key(column, isDescending: true)
        #expect(try ids(connection, query([up])) == ascending)
        #expect(try ids(connection, query([down])) == ascending.reversed())
        for (key, order) in [(up, ascending), (down, ascending.reversed())] {
          var after: [SortValue]?
          for expected in order {
            let page = try connection.page(query([key], limit: 1, after: after))
            #expect(page.map(\.instance.id) == [expected])
            after = page.last?.values
          }
          #expect(try connection.page(query([key], limit: 1, after: after)).isEmpty)
        }
      }
    }
  }

  @Test(arguments: [InstanceColumn.createdAt, .updatedAt, .host, .project, .launchedAt])
  func `pages go over from values to NULLs and back`(column: InstanceColumn) throws {
    try withCell { file in
      for number in 0..<12 {
        let isText = column == .host || column == .project
        let value = isText ? "'v\(number / 4)'" : "'2026-01-01 00:00:0\(number / 4).000000'"
        try file.add(id(number), [column.name: number % 3 == 0 ? "NULL" : value])
      }
      let connection = try open(file)
      for isDescending in [false, true] {
        let key = InstanceOrder.Key(column, isDescending: isDescending)
        let whole = try ids(connection, query([key]))
        #expect(whole.count == 12)
        let nulls = Set([0, 3, 6, 9].map { id($0) })
        #expect(Set(isDescending ? whole.suffix(4) : whole.prefix(4)) == nulls)
        for size in 1...5 {
          var (paged, after): ([InstanceID], [SortValue]?) = ([], nil)
          while true {
            let page = try connection.page(query([key], limit: size, after: after))
            paged += page.map(\.instance.id)
            guard let last = page.last else { break }
            after = last.values
          }
          #expect(paged == whole)
        }
      }
    }
  }

  @Test func `filters what is asked for, and neither deleted nor hidden rows without asking`()
    throws
  {
    try withCell { file in
      try file.add(id(1), ["host": "'h'", "display_name": "'web-1'"])
      try file.add(id(2), ["deleted": "2", "updated_at": "'2026-02-01 00:00:00.000000'"])
      try file.add(id(3), ["hidden": "1"])
      try file.add(id(4), ["hidden": "0", "vm_state": "'error'", "user_id": "'other'"])
      let connection = try open(file)
      func ids(_ change: (inout InstanceFilter) -> Void) throws -> [InstanceID] {
        try self.ids(connection, query([], change))
      }
      #expect(try ids { _ in } == [id(1), id(4)])
      #expect(try ids { $0.includesHidden = true } == [id(1), id(3), id(4)])
      #expect(try ids { $0.deletion = .any } == [id(1), id(2), id(4)])
      #expect(try ids { $0.deletion = .deleted } == [id(2)])
      #expect(try ids { $0.host = "h" } == [id(1)])
      #expect(try ids { $0.vmState = "error" } == [id(4)])
      #expect(try ids { $0.user = "other" } == [id(4)])
      #expect(try ids { $0.project = "Project-1" } == [])
      #expect(try ids { $0.name = "b-" } == [id(1)])
      #expect(try ids { $0.name = "WEB" } == [])
      #expect(try ids { $0.name = "%" } == [])
      #expect(try ids { $0.instance = id(4) } == [id(4)])
      #expect(
        try ids {
          $0.deletion = .any
          $0.changedSince = Timestamp("2026-01-31T00:00:00Z")
        } == [id(2)])
      #expect(try ids { $0.changedSince = Timestamp("2026-01-01T05:16:48Z") } == [id(1), id(4)])
    }
  }

  @Test func `a schema without hidden copies has none to leave out`() throws {
    try withCell(withHidden: false) { file in
      try file.add(id(1))
      #expect(try ids(open(file), query([])) == [id(1)])
    }
  }

  @Test func `a row that Nova wouldn't write is named, not passed over`() throws {
    try withCell { file in
      try file.add(id(1))
      try file.add(id(2), ["created_at": "'2026-01-01 05:16:48'"])
      let connection = try open(file)
      #expect(try ids(connection, query([])).count == 2)
      // As text it would sort before the same moment in Nova's form.
      #expect(
        throws: CellError.badValue(
          cell: cell, column: "instances.created_at", found: "a time in another form")
      ) { try connection.page(query([.init(.createdAt)])) }
      try file.execute("UPDATE instances SET uuid = 'no-uuid' WHERE uuid = '\(id(1))'")
      #expect(
        throws: CellError.badValue(
          cell: cell, column: "instances.uuid", found: "text that is no UUID")
      ) { try open(file).page(query([])) }
    }
  }

  // MARK: Statements

  private func plan(_ file: NovaCellFile, _ query: InstancePageQuery) throws -> [String] {
    let sql = InstancePageSQL(
      query, of: NovaCellTables(dialect: .sqlite, hasHidden: true), uuid: "uuid")
    let connection = try SQLiteConnection(path: file.path, mode: .readOnly)
    var steps: [String] = []
    for segment in sql.segments {
      let statement = try connection.prepare(
        "EXPLAIN QUERY PLAN " + sql.statement(segment, limit: 10).text)
      while try statement.step() { steps.append(try statement.text(3).string) }
    }
    return steps
  }

  @Test func `the orders that Nova has an index for are read from it, on every page`() throws {
    try withCell { file in
      let time = SortValue.time(Timestamp(microseconds: 0))
      let last = SortValue.uuid(id(1).uuid)
      for (column, value) in [
        (InstanceColumn.createdAt, time), (.updatedAt, time), (.host, .text("h")),
        (.project, .text("p")), (.uuid, last),
      ] {
        for isDescending in [false, true] {
          let key = InstanceOrder.Key(column, isDescending: isDescending)
          let afters: [[SortValue]?] =
            column == .uuid ? [nil, [last]] : [nil, [value, last], [.null, last]]
          for after in afters {
            let steps = try plan(file, query([key], after: after))
            #expect(
              steps.allSatisfy { $0.contains("USING INDEX") || $0.hasPrefix("USE TEMP B-TREE") },
              "\(steps)")
            // Only rows of equal values are sorted, and NULLs.
            let isSorted = steps.contains("USE TEMP B-TREE FOR ORDER BY")
            #expect(!isSorted || steps.contains { $0.contains("=?") }, "\(steps)")
          }
        }
      }
    }
  }

  @Test func `a project's instances are found by the project`() throws {
    try withCell { file in
      for column in InstanceColumn.allCases {
        let steps = try plan(file, query([.init(column)]) { $0.project = "p" })
        #expect(
          steps.allSatisfy { $0.contains("(project_id=?") || $0.hasPrefix("USE TEMP") }, "\(steps)")
      }
    }
  }

  @Test(arguments: [InstanceColumn.displayName, .vmState, .launchedAt])
  func `an order without an index is one scan, not several`(column: InstanceColumn) throws {
    try withCell { file in
      let value: SortValue = column.isTime ? .time(Timestamp(microseconds: 0)) : .text("v")
      for after in [nil, [value, .uuid(id(1).uuid)]] {
        let steps = try plan(file, query([.init(column)], after: after))
        let expected: [String] = ["SCAN instances", "USE TEMP B-TREE FOR ORDER BY"]
        #expect(steps == expected)
      }
    }
  }

  @Test func `each dialect has its own words for the same order`() {
    let asked = query(
      [.init(.displayName, isDescending: true), .init(.createdAt)], limit: 5,
      after: [.text("n"), .null, .uuid(id(1).uuid)]
    ) {
      $0.project = "p"
      $0.name = "x"
    }
    func text(_ dialect: SQLDialect) -> String {
      InstancePageSQL(asked, of: NovaCellTables(dialect: dialect, hasHidden: true), uuid: "uuid")
        .statement(
          .all, limit: 5
        ).text
    }
    let values = InstancePageSQL(
      asked, of: NovaCellTables(dialect: .postgresql, hasHidden: true), uuid: "uuid"
    )
    .statement(.all, limit: 5).values
    #expect(
      values == [
        .text("p"), .text("x"), .text(ByteText("\(InstanceID(.zero))")), .text("n"),
        .text(ByteText("\(id(1))")),
      ])
    let sqlite: [String] = [
      "FROM instances WHERE project_id = ?1 AND instr(display_name, ?2) > 0 AND +deleted = 0 ",
      "AND hidden IS NOT TRUE AND uuid <> ?3 AND (((display_name COLLATE BINARY < ?4 OR ",
      "display_name COLLATE BINARY IS NULL)) OR (display_name COLLATE BINARY = ?4 AND ",
      "created_at IS NOT NULL) OR (display_name COLLATE BINARY = ?4 AND created_at IS NULL ",
      "AND uuid > ?5)) ",
      "ORDER BY display_name COLLATE BINARY DESC, created_at ASC, uuid ASC LIMIT 5",
    ]
    #expect(text(.sqlite).hasSuffix(sqlite.joined()))
    let postgresql: [String] = [
      "FROM instances WHERE project_id = $1 AND strpos(display_name, $2) > 0 AND deleted = 0 ",
      "AND hidden IS NOT TRUE AND uuid <> $3 AND (((display_name COLLATE \"C\" < $4 OR ",
      "display_name COLLATE \"C\" IS NULL)) OR (display_name COLLATE \"C\" = $4 AND ",
      "created_at IS NOT NULL) OR (display_name COLLATE \"C\" = $4 AND created_at IS NULL ",
      "AND uuid > $5)) ",
      "ORDER BY display_name COLLATE \"C\" DESC NULLS LAST, created_at ASC NULLS FIRST, ",
      "uuid ASC LIMIT 5",
    ]
    #expect(text(.postgresql).hasSuffix(postgresql.joined()))
    let mariadb =
      "ORDER BY CAST(CONVERT(display_name USING utf8mb4) AS BINARY) DESC, created_at ASC, uuid ASC"
    #expect(text(.mariadb).contains(mariadb))
  }
}
