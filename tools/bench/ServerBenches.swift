import Cells
import Journal
import Router
import TestServers

/// Routes and lists against MariaDB and PostgreSQL, beside their client libraries: 20,000 instances
/// in four cells, which are databases on one server.
enum ServerBenches {
  private static let instances = 20_000
  private static let limit = 1_000

  private static func withCells<Result>(
    _ fixtures: Fixtures, _ name: String, on engine: ServerEngine,
    _ body: (ServerCells, [RawServer]) throws -> Result
  ) throws -> Result {
    try withServers([engine]) { servers in
      let cells = try ServerCells(
        fixtures, "\(name)-\(engine)", on: Array(repeating: servers[0], count: 4),
        instances: instances)
      let raw = try cells.databases.map { try RawServer($0) }
      defer { for connection in raw { connection.close() } }
      return try body(cells, raw)
    }
  }

  static func route(_ fixtures: Fixtures, on engine: ServerEngine) throws -> Comparison {
    try withCells(fixtures, "server-routes", on: engine) { cells, raw in
      let router = try cells.store.router { $0.cacheCapacity = 1_024 }
      let index = try RawRoute(cells.store)
      let (groups, size) = (20, 50)
      let numbers = (0..<groups * size).map { Workload.scattered($0, below: instances) }
      let ids = numbers.map(Workload.instance)
      let (ours, theirs) = try Measurement.inTurn(rounds: 10) { _ in
        try Measurement.round(groups, of: size) { group in
          for place in group * size..<(group + 1) * size { try cells.route(router, ids[place]) }
        }
      } _: { _ in
        try Measurement.round(groups, of: size) { group in
          for place in group * size..<(group + 1) * size {
            _ = try index.cell(of: ids[place])
            let rows = try raw[numbers[place] % raw.count].countRows(
              "SELECT host, vm_state, task_state, deleted, hidden FROM instances "
                + "WHERE uuid = '\(ids[place])'")
            guard rows == 1 else { throw BenchError.unexpected("an instance isn't in its cell") }
          }
        }
      }
      return Comparison(
        name: "full route against cells on \(engine.product)", operation: "route", ours: ours,
        raw: theirs, rawName: "SQLite's statement on the index and \(engine.library)'s query",
        sync: "reads only", budget: .none)
    }
  }

  static func list(_ fixtures: Fixtures, on engine: ServerEngine) throws -> Comparison {
    try withCells(fixtures, "server-lists", on: engine) { cells, raw in
      let router = try cells.store.router()
      try cells.list(router, limit: limit, isLive: true)
      let batch = limit * 11 / (raw.count * 10)
      let (ours, theirs) = try Measurement.inTurn(rounds: 10) { _ in
        try Measurement.round(10) { _ in try cells.list(router, limit: limit, isLive: true) }
      } _: { _ in
        try Measurement.round(10) { _ in
          for connection in raw {
            let rows = try connection.countRows(
              """
              SELECT host, vm_state, task_state, deleted, hidden, node, display_name, project_id,
                user_id, created_at, updated_at, deleted_at, launched_at, uuid FROM instances
                WHERE deleted = 0 AND hidden IS NOT TRUE ORDER BY uuid LIMIT \(batch)
              """)
            guard rows == batch else { throw BenchError.unexpected("a page is short") }
          }
        }
      }
      return Comparison(
        name: "list of \(limit) of \(instances) over 4 cells on \(engine.product), by UUID",
        operation: "list", ours: ours, raw: theirs,
        rawName: "each cell's page by \(engine.library)", sync: "reads only", budget: .none)
    }
  }
}

extension ServerEngine {
  fileprivate var product: String { self == .mariadb ? "MariaDB" : "PostgreSQL" }
  fileprivate var library: String { self == .mariadb ? "libmariadb" : "libpq" }
}
