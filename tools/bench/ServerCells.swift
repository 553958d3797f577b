import Cells
import Foundation
import Journal
import Router
import TestServers

/// A store whose cells are databases on private servers, with the instances of the workload.
struct ServerCells {
  let store: BenchStore
  let databases: [NovaServerDatabase]
  let instances: Int

  /// Makes a database for each server that is named: cells may share one.
  init(_ fixtures: Fixtures, _ name: String, on servers: [TestServer], instances: Int) throws {
    databases = try Self.databases(on: servers, instances: instances)
    self.instances = instances
    store = try BenchStore(
      in: fixtures.folder, name: name, databases: databases.map { $0.text() })
    try store.populate(instances)
    try store.serve(store.replay().number)
  }

  /// A database for each server that is named, among which the instances of the workload are dealt out.
  static func databases(
    on servers: [TestServer], instances: Int
  ) throws -> [NovaServerDatabase] {
    let databases = try servers.map { try NovaServerDatabase.makeCell(on: $0) }
    for (place, database) in databases.enumerated() {
      try fill(database, stride(from: place, to: instances, by: databases.count))
    }
    return databases
  }

  private static func fill(_ database: NovaServerDatabase, _ numbers: StrideTo<Int>) throws {
    let rows = numbers.map { number in
      let id = Workload.instance(number)
      let time = String(
        format: "%02d %02d:%02d:%02d", 1 + number / 86_400, number / 3_600 % 24, number / 60 % 60,
        number % 60)
      return "('\(id)', 'compute-\(number % 40)', 'compute-\(number % 40).example.org', "
        + "'active', '\(id)', '\(id)', 'server-\(number)', "
        + "'2026-01-\(time)', '2026-01-30 05:16:58', 0, 0, NULL)"
    }
    var sql = "BEGIN;"
    for start in stride(from: 0, to: rows.count, by: 500) {
      sql += "INSERT INTO instances (uuid, host, node, vm_state, project_id, user_id, "
      sql += "display_name, created_at, launched_at, deleted, cleaned, hidden) VALUES "
      sql += rows[start..<min(rows.count, start + 500)].joined(separator: ", ") + ";"
    }
    try database.execute(sql + "COMMIT;")
    try database.execute(
      database.server.engine == .mariadb ? "ANALYZE TABLE instances" : "ANALYZE instances")
  }

  /// A page of instances; `isLive` wants the answer of every cell.
  func list(
    _ router: CellRouter, limit: Int, isLive: Bool, within patience: Duration = .seconds(10)
  ) throws {
    var request = InstanceListRequest()
    request.limit = limit
    let list = try router.list(request, until: .now + patience)
    guard list.rows.count == limit else {
      throw BenchError.unexpected("a list has \(list.rows.count) rows")
    }
    let answered = list.cells.count { $0.target.id != .cell0 && $0.outcome.isAnswered }
    guard isLive == (answered == databases.count) else {
      throw BenchError.unexpected("\(list.cells.map(\.outcome))")
    }
  }

  /// The route of an instance whose host its cell tells.
  func route(_ router: CellRouter, _ id: InstanceID) throws {
    let route = try router.route(id, until: .now + .seconds(1))
    guard case .found(let live) = route.outcome, live.placement.host != nil else {
      throw BenchError.unexpected("\(route.outcome)")
    }
  }
}

/// Starts servers, and stops them once `body` is through.
func withServers<Result>(
  _ engines: [ServerEngine], _ body: ([TestServer]) throws -> Result
) throws -> Result {
  var servers: [TestServer] = []
  defer { for server in servers { try? server.stop() } }
  for engine in engines { servers.append(try TestServer.start(engine)) }
  return try body(servers)
}
