import Cells
import Dispatch
import Glibc
import Journal
import Router
import Synchronization
import TestServers
import TestSupport
import Testing

/// Lists over cells on real servers, one of which stands still. The benches say how near it comes to a
/// healthy list: here other tests run beside it, and the bounds are such as only a broken promise meets.
@Suite(
  .serialized,
  .enabled(
    if: TestServer.areInstalled,
    "MariaDB or PostgreSQL isn't installed; tools/setup --servers installs both"))
struct ServerListTests {
  /// Instances of the cells by turns: the first instance is the first cell's.
  private func fill(
    _ store: TestStore, _ cells: [(id: CellID, database: NovaServerDatabase)], perCell count: Int
  ) throws -> [InstanceID] {
    var events: [Event] = []
    var ids: [InstanceID] = []
    var rows = [String](repeating: "", count: cells.count)
    for number in 0..<count * cells.count {
      let (id, place) = (InstanceID(uuid(3, 1_000 + number)), number % cells.count)
      ids.append(id)
      rows[place] += NovaServerDatabase.insert("instances", NovaServerDatabase.instanceRow(id))
      events.append(.instance(id, .mapped(store.mapping(cells[place].id))))
    }
    for (place, cell) in cells.enumerated() {
      try cell.database.execute("BEGIN; \(rows[place]) COMMIT;")
    }
    try store.append(events)
    return ids
  }

  private func request(limit: Int = 1_000) -> InstanceListRequest {
    var request = InstanceListRequest()
    request.limit = limit
    return request
  }

  /// Seven cells on one server, and the first of the eight alone on its own.
  private func withEightCells(
    _ engine: ServerEngine,
    _ body: (TestStore, TestServer, [(id: CellID, database: NovaServerDatabase)]) throws -> Void
  ) throws {
    let server = try TestServer.start(engine)
    defer { try? server.stop() }
    try withStore { store in
      try store.addCell0()
      let cells = try (1...8).map { number in
        try store.addCell(number, on: number == 1 ? server : .shared(engine))
      }
      try body(store, server, cells)
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `five cells of half a second each take half a second`(_ engine: ServerEngine) throws {
    try withStore { store in
      try store.addCell0()
      let cells = try (1...5).map { try store.addCell($0, on: .shared(engine)) }
      let ids = try fill(store, cells, perCell: 20)
      let router = try store.router()
      _ = try router.list(request(), until: soon())
      for cell in cells { try cell.database.makeSlow(seconds: 0.5) }
      let begin = ContinuousClock.now
      let list = try router.list(request(), until: soon(10_000))
      let took = begin.duration(to: .now)
      #expect(list.isComplete && list.ids == ids)
      #expect(took >= .milliseconds(500), "the cells weren't slow")
      // One after the other they took 2.5 s; two by two, 1.5 s.
      #expect(took < .milliseconds(1_400), "\(took)")
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `a stopped cell costs the deadline, and nothing once its breaker is open`(
    _ engine: ServerEngine
  ) throws {
    try withEightCells(engine) { store, server, cells in
      let ids = try fill(store, cells, perCell: 50)
      let router = try store.router {
        $0.pool.breaker.failures = 3
        $0.pool.breaker.firstPause = .seconds(60)
      }
      #expect(try router.list(request(), until: soon(10_000)).isComplete)
      let patience = Duration.milliseconds(800)
      func list() throws -> (list: InstanceList, took: Duration) {
        let begin = ContinuousClock.now
        let list = try router.list(request(limit: 400), until: begin + patience)
        let took = begin.duration(to: .now)
        let missing = list.cells.filter { !$0.outcome.isAnswered }
        #expect(missing.map(\.target.id) == [cells[0].id])
        #expect(list.ids == ids && !list.isComplete)
        return (list, took)
      }
      try server.whileFrozen {
        for _ in 1...3 {
          let (list, took) = try list()
          guard case .timedOut = list.cells[1].outcome else {
            Issue.record("\(list.cells[1].outcome)")
            return
          }
          #expect(took >= patience && took < patience + .milliseconds(700), "\(took)")
        }
        var fastest = Duration.seconds(60)
        for _ in 1...10 {
          let (list, took) = try list()
          guard case .skipped = list.cells[1].outcome else {
            Issue.record("\(list.cells[1].outcome)")
            return
          }
          fastest = min(fastest, took)
        }
        #expect(fastest < patience / 2, "\(fastest)")
      }
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `lists that wait for a stopped cell leave the routes to the others alone`(
    _ engine: ServerEngine
  ) throws {
    try withEightCells(engine) { store, server, cells in
      let ids = try fill(store, cells, perCell: 10)
      let router = try store.router { $0.pool.breaker.failures = .max }
      _ = try router.list(request(), until: soon(10_000))
      let others = ids.indices.filter { $0 % cells.count != 0 }.map { ids[$0] }
      /// How many routes are found in a second.
      func routes() throws -> Int {
        let begin = ContinuousClock.now
        var count = 0
        while begin.duration(to: .now) < .seconds(1) {
          #expect(try router.host(others[count % others.count]) == "compute-1")
          count += 1
        }
        return count
      }
      let healthy = try routes()
      try server.whileFrozen {
        let group = DispatchGroup()
        let partial = Mutex(0)
        // More than the cell may have threads and connections.
        for _ in 0..<24 {
          group.enter()
          OwnThread.start {
            let list = try? router.list(request(), until: soon(2_500))
            if list?.isComplete == false, list?.ids == ids { partial.withLock { $0 += 1 } }
            group.leave()
          }
        }
        // The healthy cells have answered the lists by now, and only the stopped one is waited for.
        usleep(1_000_000)
        let beside = try routes()
        #expect(beside * 2 > healthy, "\(beside) routes in a second, \(healthy) before")
        group.wait()
        #expect(partial.withLock(\.self) == 24)
      }
    }
  }

  @Test(arguments: ServerEngine.allCases)
  func `with all cells stopped a router starts, and the map answers as ever`(
    _ engine: ServerEngine
  ) throws {
    let server = try TestServer.start(engine)
    defer { try? server.stop() }
    try withStore { store in
      try store.addCell0()
      let cells = try (1...3).map { try store.addCell($0, on: server) }
      let ids = try fill(store, cells, perCell: 20)
      try server.whileFrozen {
        let begin = ContinuousClock.now
        let router = try store.router()
        for (number, id) in ids.enumerated() {
          let mapping = try router.mapping(of: id)
          #expect(mapping?.target?.id == cells[number % cells.count].id)
        }
        #expect(try router.cells().count == 4)
        #expect(begin.duration(to: .now) < .seconds(1))
        let list = try router.list(request(), until: soon(300))
        #expect(
          list.ids == ids && list.cells.map(\.outcome.isAnswered) == [true, false, false, false])
        #expect(begin.duration(to: .now) < .seconds(2))
      }
    }
  }
}
