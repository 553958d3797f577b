import Cells
import Glibc
import Journal
import Projections
import TestServers
import TestSupport
import Testing

@testable import Router

/// Lists over cells of which some don't answer.
@Suite(.waiting) struct ListOutageTests {
  /// Long enough for what answers, on a busy machine too; what hangs costs all of it.
  private let patience = 8_000

  @Test(arguments: CellEngine.installed)
  func `says what became of each cell, and lists the instances of the missing`(
    engine: CellEngine
  ) throws {
    try withWorld(cells: 3, on: engine) { world in
      try world.add(world.samples(9))
      try world.store.append(
        .instance(
          listed(0), .hostSeen(HostSighting(host: "h0", at: moment(5), source: "test"))))
      let router = try world.router()
      #expect(try router.list(request(), until: soon()).isComplete)
      world.setDown([world.cells[1].id])
      let list = try world.cells[0].whileHung {
        try router.list(request(), until: soon(patience))
      }
      #expect(list.ids == listed(0..<9) && !list.isComplete)
      #expect(list.cells.map(\.outcome.word) == ["answered", "timed out", "failed", "answered"])
      #expect(list.cells.map(\.rows) == [0, 3, 3, 3])
      guard case .unknown(let row) = list.rows[0].source, list.rows[2].isLive else {
        Issue.record("\(list.rows)")
        return
      }
      #expect(row.record.lastSeen?.host == "h0")
      world.setDown([])
      #expect(try router.list(request(), until: soon()).isComplete)
    }
  }

  @Test(arguments: CellEngine.installed)
  func `a cell that was skipped by its breaker is said to be`(engine: CellEngine) throws {
    try withWorld(cells: 2, on: engine) { world in
      try world.add(world.samples(4))
      let router = try world.router {
        $0.pool.breaker.failures = 1
        $0.pool.breaker.firstPause = .seconds(60)
      }
      world.setDown([world.cells[0].id])
      _ = try router.list(request(), until: soon())
      let list = try router.list(request(), until: soon())
      guard case .skipped(.database(.skippedByBreaker(_, 1, let last))) = list.cells[1].outcome
      else {
        Issue.record("\(list.cells[1].outcome)")
        return
      }
      #expect(!last.isTimeout)
      #expect(list.ids == listed(0..<4) && !list.isComplete)
      world.setDown([])
    }
  }

  @Test(arguments: CellEngine.installed)
  func `a cell that fails on the way loses none and repeats none`(engine: CellEngine) throws {
    try withWorld(cells: 2, on: engine) { world in
      let all = world.samples(500) { number, sample in
        sample.name = "vm-\(1_000 + number)"
        // The map's time is not the cell's.
        sample.mappedAt = moment(500 - number)
      }
      try world.add(all)
      // The second batch meets a row that Nova wouldn't write.
      try world.cells[0].execute(
        "UPDATE instances SET launched_at = \(world.cells[0].impossibleTime) "
          + "WHERE uuid = '\(listed(300))'")
      let router = try world.router()
      for column in [InstanceColumn.uuid, .createdAt, .displayName] {
        var asked = request(.init(column)) { $0.batching = .fixed(100) }
        let list = try router.list(asked, until: soon())
        #expect(list.rows.count == 500 && Set(list.ids).count == 500)
        #expect(!list.isComplete)
        guard case .failed(.database(.badValue)) = list.cells[1].outcome else {
          Issue.record("\(list.cells[1].outcome)")
          return
        }
        #expect(list.rows.count { $0.isLive } == 350, "\(column)")
        asked.limit = 120
        let ids = try router.pages(asked) { 120 }.flatMap(\.ids)
        #expect(Set(ids).count == 500 && ids.count == 500)
      }
    }
  }

  @Test(arguments: CellEngine.installed.filter { $0 != .sqlite })
  func `a cell that stops after its first batch counts as timed out`(engine: CellEngine) throws {
    try withWorld(cells: 2, on: engine) { world in
      try world.add(world.samples(600))
      guard case .server(_, let proxy) = world.cells[0].place else { return }
      func list(_ limit: Int, _ milliseconds: Int) throws -> InstanceList {
        let router = try world.router()
        let asked = request(limit: limit) { $0.batching = .fixed(100) }
        return try router.list(asked, until: soon(milliseconds))
      }
      #expect(try list(100, 60_000).isComplete)
      proxy.disconnect(andChangeTo: .stallsAfter(bytes: proxy.passedBytes))
      let list = try list(600, patience)
      proxy.disconnect(andChangeTo: .none)
      #expect(list.cells.map(\.outcome.word) == ["answered", "timed out", "answered"])
      #expect(list.cells[1].batches == 2)
      #expect(list.rows.count { $0.isLive } == 400 && list.ids == listed(0..<600))
    }
  }

  /// Nova's own scenario of cells that are down (`ServerTestV269`): four cells with two instances
  /// each of a project, the first two down, and two instances of another project.
  @Test(arguments: CellEngine.installed)
  func `with two of four cells down their instances are listed as unknown`(
    engine: CellEngine
  ) throws {
    try withWorld(cells: 4, on: engine) { world in
      try world.add(world.samples(8) { number, sample in sample.mark = number < 4 ? nil : false })
      try world.add(
        [(20, 0), (21, 2)].map { number, place in
          var sample = ListWorld.Sample(id: listed(number), cell: world.cells[place].id)
          sample.project = "other"
          return sample
        })
      // Of what the map can't ask for, it takes the owner's word that it goes.
      var gone = ListWorld.Sample(id: listed(30), cell: world.cells[1].id)
      (gone.project, gone.mark) = ("p", true)
      try world.add([gone])
      let router = try world.router()
      let down = Set(world.cells[..<2].map(\.id))
      world.setDown(down)
      func list(
        _ keys: InstanceOrder.Key..., limit: Int = 1_000,
        _ change: (inout InstanceListRequest) -> Void = { _ in }
      ) throws -> InstanceList {
        var asked = request(limit: limit) { $0.filter.project = "p" }
        asked.order = InstanceOrder(keys)
        change(&asked)
        return try router.list(asked, until: soon())
      }
      let all = try list()
      #expect(all.ids == listed(0..<8) && !all.isComplete)
      #expect(all.rows.filter { $0.isUnknown }.map(\.id) == listed([0, 1, 4, 5]))
      #expect(try list(limit: 5).ids == listed(0..<5))
      #expect(try list { $0.start = .after(listed(5)) }.ids == listed([6, 7]))
      // What the map can't sort comes last, and a page has room for so many of them.
      #expect(try list(.init(.displayName)).ids == listed([2, 3, 6, 7, 0, 1, 4, 5]))
      #expect(try list(.init(.displayName), limit: 5).ids == listed([2, 3, 6, 7, 0]))
      let after = try list(.init(.displayName)) { $0.start = .after(listed(3)) }
      #expect(after.ids == listed([6, 7, 0, 1, 4, 5]))
      #expect {
        try list(.init(.displayName)) { $0.start = .after(listed(1)) }
      } throws: { error in
        guard case .markerUnreadable(listed(1), _) = error as? RouterError else { return false }
        return true
      }
      let named = try list { $0.filter.name = "vm-6" }
      #expect(named.ids == [listed(6)] && !named.isComplete)
      #expect(named.cells.filter { down.contains($0.target.id) }.map(\.unlisted) == [2, 2])
      let everybody = try router.list(request(), until: soon())
      #expect(everybody.ids == listed(Array(0..<8) + [20, 21]))
      world.setDown([])
    }
  }

  @Test(arguments: CellEngine.installed)
  func `cell0 without a database makes a list incomplete`(engine: CellEngine) throws {
    try withWorld(cells: 2, on: engine, cell0: false) { world in
      try world.add(world.samples(4))
      let router = try world.router()
      let list = try router.list(request { $0.filter.project = "p" }, until: soon())
      guard case .failed(.withoutDatabase(.cell0)) = list.cells[0].outcome else {
        Issue.record("\(list.cells)")
        return
      }
      #expect(!list.isComplete && list.ids.count == 4)
      let one = request { $0.scope = .cell(world.cells[0].id) }
      #expect(try router.list(one, until: soon()).isComplete)
    }
  }

  @Test(arguments: CellEngine.installed)
  func `with all cells down the map alone answers`(engine: CellEngine) throws {
    try withWorld(cells: 3, on: engine) { world in
      try world.add(world.samples(9))
      world.setDown(Set(world.cells.map(\.id)))
      let router = try world.router()
      #expect(try router.list(request(limit: 4), until: soon()).ids == listed(0..<4))
      let filtered = try router.list(request { $0.filter.host = "h1" }, until: soon())
      #expect(filtered.ids.isEmpty && filtered.cells.map(\.unlisted) == [0, 3, 3, 3])
      world.setDown([])
    }
  }

  @Test(arguments: CellEngine.installed)
  func `the map's rows fill no more than the page has room for`(engine: CellEngine) throws {
    try withWorld(cells: 3, on: engine) { world in
      try world.add(world.samples(9))
      world.setDown([world.cells[0].id, world.cells[2].id])
      let router = try world.router()
      // Three known ones, then of six that only the map has, the first two.
      let list = try router.list(request(.init(.host), limit: 5), until: soon())
      #expect(Set(list.ids[..<3]) == Set(listed([1, 4, 7])))
      #expect(Array(list.ids[3...]) == listed([0, 2]))
      #expect(list.cells.map(\.rows) == [0, 1, 3, 1])
      world.setDown([])
    }
  }

  @Test func `without an index the cells answer, and the list says that the map is missing`() throws
  {
    try withWorld(cells: 2) { world in
      try world.add(world.samples(4))
      let router = try world.router()
      #expect(unlink(world.store.folder + "/store/CURRENT") == 0)
      usleep(1_100_000)
      let list = try router.list(request(), until: soon())
      #expect(list.ids == listed(0..<4))
      #expect(list.mapError == .fault(.noCurrent) && !list.isComplete)
    }
  }

  @Test(arguments: CellEngine.installed)
  func `an address that leads nowhere, or can't be read, is its own cell's fault`(
    engine: CellEngine
  ) throws {
    try withWorld(cells: 2, on: engine) { world in
      try world.add(world.samples(4))
      let router = try world.router()
      let id = world.cells[0].id
      let before = try #require(try router.cells().first { $0.id == id }).row.record
      var addresses = before.addresses
      // Port 1 of loopback, where nothing listens; and a template without a base.
      for bad in ["mysql://u:p@127.0.0.1:1/nova", "postgresql://{username}@db/nova"] {
        let after = try world.store.record(id, "bad", database: bad).addresses
        try world.store.append(.cell(id, .addressesChanged(from: addresses, to: after)))
        addresses = after
        let list = try router.list(request(), until: soon())
        #expect(list.cells.map(\.outcome.word) == ["answered", "failed", "answered"])
        #expect(list.ids == listed(0..<4) && list.rows.map(\.isLive) == [false, true, false, true])
      }
      try world.store.append(
        .cell(id, .addressesChanged(from: addresses, to: before.addresses)))
      #expect(try router.list(request(), until: soon()).isComplete)
    }
  }
}
