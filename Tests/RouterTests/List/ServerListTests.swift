import Cells
import Glibc
import Journal
import Router
import TestServers
import TestSupport
import Testing

/// Lists over cells on real servers, one of which stands still. The benches say how near it comes to a
/// healthy list: here other tests run beside it, and the bounds are such as only a broken promise meets.
@Suite(
  .waiting, .serialized,
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
  func `five slow cells take as long as one of them`(_ engine: ServerEngine) throws {
    try withStore { store in
      try store.addCell0()
      let cells = try (1...5).map { try store.addCell($0, on: .shared(engine)) }
      let ids = try fill(store, cells, perCell: 20)
      let router = try store.router()
      _ = try router.list(request(), until: soon())
      for cell in cells { try cell.database.makeSlow(seconds: 6) }
      let begin = ContinuousClock.now
      let list = try router.list(request(), until: soon())
      let took = begin.duration(to: .now)
      #expect(list.isComplete && list.ids == ids)
      #expect(took >= .seconds(6), "the cells weren't slow")
      // One after the other they took 30 s; two by two, 18 s.
      #expect(took < .seconds(17), "\(took)")
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
      #expect(try router.list(request(), until: soon()).isComplete)
      let patience = Duration.seconds(6)
      func list(within limit: Duration) throws -> (list: InstanceList, took: Duration) {
        let begin = ContinuousClock.now
        let list = try router.list(request(limit: 400), until: begin + limit)
        let took = begin.duration(to: .now)
        let missing = list.cells.filter { !$0.outcome.isAnswered }
        #expect(missing.map(\.target.id) == [cells[0].id])
        #expect(list.ids == ids && !list.isComplete)
        return (list, took)
      }
      try server.whileFrozen {
        for _ in 1...3 {
          let (list, took) = try list(within: patience)
          guard case .timedOut = list.cells[1].outcome else {
            Issue.record("\(list.cells[1].outcome)")
            return
          }
          #expect(took >= patience && took < patience + busyMachine, "\(took)")
        }
        // Nothing waits for it: the deadline is far away.
        for _ in 1...10 {
          let (list, took) = try list(within: .seconds(60))
          guard case .skipped = list.cells[1].outcome else {
            Issue.record("\(list.cells[1].outcome)")
            return
          }
          #expect(took < .seconds(30), "\(took)")
        }
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
      _ = try router.list(request(), until: soon())
      let others = ids.indices.filter { $0 % cells.count != 0 }.map { ids[$0] }
      for id in others { #expect(try router.host(id) == "compute-1") }
      let crowd = try server.whileFrozen {
        let crowd = ListCrowd(router, request(), until: soon())
        // All of them are routed while every list waits.
        for id in others {
          let host = try router.host(id)
          #expect(host == "compute-1")
        }
        #expect(crowd.ended == 0)
        return crowd
      }
      let whole = crowd.wait().filter { $0?.isComplete == true && $0?.ids == ids }
      #expect(whole.count == ListCrowd.size)
      // Where it stays stopped, each of them ends without it.
      let left = server.whileFrozen { ListCrowd(router, request(), until: soon(3_000)).wait() }
        .filter { $0?.isComplete == false && $0?.ids == ids }
      #expect(left.count == ListCrowd.size)
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
        let opened = begin.duration(to: .now)
        #expect(opened < busyMachine, "\(opened)")
        let list = try router.list(request(), until: soon(3_000))
        #expect(
          list.ids == ids && list.cells.map(\.outcome.isAnswered) == [true, false, false, false])
        #expect(begin.duration(to: .now) < opened + .seconds(3) + busyMachine)
      }
    }
  }
}
