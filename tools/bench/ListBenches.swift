import Cells
import Foundation
import GRDBSQLite
import Journal
import Projections
import Router

/// Lists over cells: a page of 1,000 of 20,000 instances in four cells.
enum ListBenches {
  private static let instances = 20_000
  private static let limit = 1_000
  private static let patience = Duration.milliseconds(200)

  /// A store of its own: what a list costs depends on the cells, not on the map.
  private static func store(_ fixtures: Fixtures, _ name: String) throws -> BenchStore {
    let store = try fixtures.emptyStore(name)
    try store.populate(instances)
    try store.serve(store.replay().number)
    try CellDatabases.make(for: store, instances: instances)
    return store
  }

  private static func request(_ keys: InstanceOrder.Key...) -> InstanceListRequest {
    var request = InstanceListRequest(order: InstanceOrder(keys))
    request.limit = limit
    return request
  }

  private static func list(
    _ router: CellRouter, _ request: InstanceListRequest,
    within patience: Duration = .seconds(10)
  ) throws -> InstanceList {
    let list = try router.list(request, until: .now + patience)
    guard list.rows.count == limit else {
      throw BenchError.unexpected("a list has \(list.rows.count) rows")
    }
    return list
  }

  /// Each of the workload's cells must have answered: rows of the map are no measure.
  private static func requireLive(_ list: InstanceList) throws {
    for cell in list.cells where Workload.cells.contains(cell.target.id) {
      guard cell.outcome.isAnswered else { throw BenchError.unexpected("\(cell.outcome)") }
    }
  }

  /// The cells' pages, read one after the other with prepared statements, and not merged.
  static func byUUID(_ fixtures: Fixtures) throws -> Comparison {
    try compare(fixtures, "lists", "by UUID", request(), order: "uuid")
  }

  static func byCreation(_ fixtures: Fixtures) throws -> Comparison {
    try compare(
      fixtures, "lists-created", "by created_at, newest first",
      request(.init(.createdAt, isDescending: true)), order: "created_at DESC, uuid")
  }

  private static func compare(
    _ fixtures: Fixtures, _ folder: String, _ words: String, _ request: InstanceListRequest,
    order: String
  ) throws -> Comparison {
    let store = try store(fixtures, folder)
    let router = try store.router()
    try requireLive(try list(router, request))
    let batch = limit * 11 / (Workload.cells.count * 10)
    let statements = try Workload.cells.indices.map { place in
      try RawSQLite(path: store.cellDatabase(place + 1), readOnly: true).prepare(
        """
        SELECT host, vm_state, task_state, deleted, hidden, node, display_name, project_id,
          user_id, created_at, updated_at, deleted_at, launched_at, uuid FROM instances
          WHERE \(order == "uuid" ? "+" : "")deleted = 0 AND hidden IS NOT TRUE
          ORDER BY \(order) LIMIT \(batch)
        """)
    }
    let (ours, theirs) = try Measurement.inTurn(rounds: 10) { _ in
      try Measurement.round(20) { _ in _ = try list(router, request) }
    } _: { _ in
      try Measurement.round(20) { _ in
        for statement in statements { try read(statement, rows: batch) }
      }
    }
    return Comparison(
      name: "list of \(limit) of \(instances) over 4 cells, \(words)", operation: "list",
      ours: ours, raw: theirs, rawName: "each cell's page by a raw prepared statement",
      sync: "reads only", budget: .none)
  }

  private static func read(_ statement: RawStatement, rows: Int) throws {
    var (count, bytes) = (0, 0)
    while sqlite3_step(statement.handle) == SQLITE_ROW {
      for column: Int32 in 0..<14 {
        if sqlite3_column_text(statement.handle, column) != nil {
          bytes += Int(sqlite3_column_bytes(statement.handle, column))
        }
      }
      count += 1
    }
    sqlite3_reset(statement.handle)
    guard count == rows, bytes > 0 else { throw BenchError.unexpected("a page is short") }
  }

  /// One of the cells hangs: a writer holds its file. The breaker is closed before each list.
  static func hung(_ fixtures: Fixtures) throws -> Comparison {
    let store = try store(fixtures, "lists-hung")
    let writer = try RawSQLite(path: store.cellDatabase(1))
    try writer.execute("BEGIN EXCLUSIVE")
    var ours = Measurement()
    for _ in 0..<10 {
      let router = try store.router()
      ours.add(
        try Measurement.round(1) { _ in _ = try list(router, request(), within: patience) })
    }
    return Comparison(
      name: "the same by UUID, one cell hung, deadline 200 ms", operation: "list", ours: ours,
      raw: nil, rawName: "", sync: "reads only", budget: .nanosecondsOfWorst(atMost: 300e6))
  }

  /// The same once its breaker is open, beside the list of healthy cells.
  static func skipped(_ fixtures: Fixtures) throws -> Comparison {
    let store = try store(fixtures, "lists-skipped")
    let healthy = try store.router()
    try requireLive(try list(healthy, request()))
    let degraded = try store.router { $0.pool.breaker.firstPause = .seconds(600) }
    // The file is away while the other router, which has it open, reads on.
    let path = store.cellDatabase(1)
    guard rename(path, path + ".away") == 0 else { throw BenchError.library("rename", errno) }
    for _ in 0..<4 { _ = try list(degraded, request()) }
    guard rename(path + ".away", path) == 0 else { throw BenchError.library("rename", errno) }
    guard try !list(degraded, request()).isComplete else {
      throw BenchError.unexpected("no breaker is open")
    }
    let (ours, theirs) = try Measurement.inTurn(rounds: 10) { _ in
      try Measurement.round(20) { _ in _ = try list(degraded, request()) }
    } _: { _ in
      try Measurement.round(20) { _ in _ = try list(healthy, request()) }
    }
    return Comparison(
      name: "the same with its breaker open", operation: "list", ours: ours, raw: theirs,
      rawName: "all cells healthy", sync: "reads only", budget: .ratio(atLeast: 1 / 1.2))
  }
}
