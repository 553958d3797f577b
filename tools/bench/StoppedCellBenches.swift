import Cells
import Dispatch
import Glibc
import Journal
import Router
import TestServers

/// Cells on MariaDB of which one stands still: its server was stopped where it stood, as by a
/// machine that hangs.
enum StoppedCellBenches {
  private static let patience = Duration.milliseconds(200)
  private static let limit = 400
  private static let restMicroseconds: UInt32 = 300_000

  /// Seven cells on one server, and one that is alone on its own, the first.
  private static func withEightCells<Result>(
    _ fixtures: Fixtures, _ name: String, _ body: (ServerCells, TestServer) throws -> Result
  ) throws -> Result {
    try withServers([.mariadb, .mariadb]) { servers in
      let cells = try ServerCells(
        fixtures, name, on: [servers[0]] + Array(repeating: servers[1], count: 7),
        instances: 8_000)
      return try body(cells, servers[0])
    }
  }

  /// The breaker is closed before each list, and connections to all cells are open.
  static func list(_ fixtures: Fixtures) throws -> Comparison {
    try withEightCells(fixtures, "stopped") { cells, server in
      var ours = Measurement()
      for _ in 0..<20 {
        let router = try cells.store.router()
        try cells.list(router, limit: limit, isLive: true)
        try server.whileFrozen {
          ours.add(
            try Measurement.round(1) { _ in
              try cells.list(router, limit: limit, isLive: false, within: patience)
            })
        }
      }
      return Comparison(
        name: "list of \(limit) over 8 cells on MariaDB, one stopped, deadline 200 ms",
        operation: "list", ours: ours, raw: nil, rawName: "", sync: "reads only",
        budget: .nanosecondsOfWorst(atMost: 300e6))
    }
  }

  /// The same once the breaker is open, beside the list of eight healthy cells.
  static func skipped(_ fixtures: Fixtures) throws -> Comparison {
    try withEightCells(fixtures, "stopped-skipped") { cells, server in
      let healthy = try cells.store.router()
      let degraded = try cells.store.router { $0.pool.breaker.firstPause = .seconds(600) }
      try cells.list(healthy, limit: limit, isLive: true)
      try server.whileFrozen {
        for _ in 0..<4 {
          try cells.list(degraded, limit: limit, isLive: false, within: patience)
        }
      }
      let (ours, theirs) = try Measurement.inTurn(rounds: 10) { _ in
        try server.whileFrozen {
          try Measurement.round(20) { _ in try cells.list(degraded, limit: limit, isLive: false) }
        }
      } _: { _ in
        try Measurement.round(20) { _ in try cells.list(healthy, limit: limit, isLive: true) }
      }
      return Comparison(
        name: "the same with its breaker open", operation: "list", ours: ours, raw: theirs,
        rawName: "all cells healthy", sync: "reads only", budget: .ratio(atLeast: 1 / 1.2))
    }
  }

  /// Routes to the other cells while lists wait for the stopped one, beside the same without.
  static func routes(_ fixtures: Fixtures) throws -> Comparison {
    try withEightCells(fixtures, "stopped-routes") { cells, server in
      let router = try cells.store.router { $0.pool.breaker.failures = .max }
      try cells.list(router, limit: limit, isLive: true)
      let ids = (0..<4_000).filter { !$0.isMultiple(of: 8) }.map(Workload.instance)
      func round() throws -> Measurement.Round {
        try Measurement.round(ids.count) { try cells.route(router, ids[$0]) }
      }
      let (ours, theirs) = try Measurement.inTurn(rounds: 20) { _ in
        let lists = DispatchGroup()
        // They end with the round, when the cell goes on. At half their time they would ask the others
        // ahead, which is work and no waiting.
        defer { lists.wait() }
        return try server.whileFrozen {
          for _ in 0..<4 {
            lists.enter()
            OwnThread.start {
              _ = try? router.list(InstanceListRequest(), until: .now + .seconds(120))
              lists.leave()
            }
          }
          // The other cells' answers are merged by now; what is left is to wait.
          usleep(Self.restMicroseconds)
          return try round()
        }
      } _: { _ in
        // The same rest: a processor that comes from one is slower for a while.
        usleep(Self.restMicroseconds)
        return try round()
      }
      return Comparison(
        name: "routes to the others while 4 lists wait for the stopped cell", operation: "route",
        ours: ours, raw: theirs, rawName: "all cells healthy", sync: "reads only",
        budget: .ratio(atLeast: 0.95))
    }
  }

  /// Five cells whose every query takes half a second.
  static func slow(_ fixtures: Fixtures) throws -> Comparison {
    try withServers([.mariadb]) { servers in
      let cells = try ServerCells(
        fixtures, "slow", on: Array(repeating: servers[0], count: 5), instances: 5_000)
      let router = try cells.store.router()
      try cells.list(router, limit: limit, isLive: true)
      for database in cells.databases { try database.makeSlow(seconds: 0.5) }
      var ours = Measurement()
      for _ in 0..<10 {
        ours.add(
          try Measurement.round(1) { _ in try cells.list(router, limit: limit, isLive: true) })
      }
      return Comparison(
        name: "list of \(limit) over 5 cells of half a second each", operation: "list",
        ours: ours, raw: nil, rawName: "", sync: "reads only",
        budget: .nanosecondsOfWorst(atMost: 600e6))
    }
  }

  /// A router is opened and looks up mappings while every cell's server stands still.
  static func map(_ fixtures: Fixtures) throws -> Comparison {
    try withServers([.mariadb]) { servers in
      let cells = try ServerCells(
        fixtures, "all-stopped", on: Array(repeating: servers[0], count: 4), instances: 20_000)
      let ids = (0..<100).map { Workload.instance(Workload.scattered($0, below: 20_000)) }
      func round() throws -> Measurement.Round {
        try Measurement.round(50) { _ in
          let router = try cells.store.router { $0.cacheCapacity = 1_024 }
          for id in ids {
            guard try router.mapping(of: id)?.target != nil else {
              throw BenchError.unexpected("a mapping is missing")
            }
          }
        }
      }
      let (ours, theirs) = try Measurement.inTurn(rounds: 10) { _ in
        try servers[0].whileFrozen { try round() }
      } _: { _ in
        try round()
      }
      return Comparison(
        name: "a router opened and 100 mappings looked up, all cells stopped", operation: "open",
        ours: ours, raw: theirs, rawName: "all cells healthy", sync: "reads only",
        budget: .ratio(atLeast: 0.9))
    }
  }
}
