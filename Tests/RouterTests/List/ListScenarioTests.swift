import Cells
import Glibc
import Journal
import Projections
import TestSupport
import Testing

@testable import Router

/// What Nova's own tests ask of lists over cells, and what they should have asked.
@Suite struct ListScenarioTests {
  /// Instances of three cells by turns, so that an order goes through all of them.
  private func samples(
    _ count: Int, in world: ListWorld, _ change: (Int, inout ListWorld.Sample) -> Void = { _, _ in }
  ) -> [ListWorld.Sample] {
    (0..<count).map { number in
      var sample = ListWorld.Sample(
        id: id(number), cell: world.cells[number % world.cells.count].id)
      sample.createdAt = moment(number)
      sample.mappedAt = moment(number)
      sample.host = "h\(number % 4)"
      sample.name = "vm-\(number)"
      sample.project = "p"
      change(number, &sample)
      return sample
    }
  }

  private func id(_ number: Int) -> InstanceID { InstanceID(uuid(3, 1_000 + number)) }

  private func request(
    _ keys: InstanceOrder.Key..., limit: Int = 1_000,
    _ change: (inout InstanceListRequest) -> Void = { _ in }
  ) -> InstanceListRequest {
    var request = InstanceListRequest(order: InstanceOrder(keys))
    request.limit = limit
    change(&request)
    return request
  }

  // MARK: Order and pages

  @Test func `sorts over all cells, within the limit, and only the cells that are asked for`()
    throws
  {
    try withWorld(cells: 3) { world in
      try world.add(samples(9, in: world))
      let router = try world.router()
      let all = (0..<9).map { id($0) }
      #expect(try router.list(request(), until: soon()).ids == all)
      #expect(
        try router.list(request(.init(.uuid, isDescending: true)), until: soon()).ids
          == all.reversed())
      let five = try router.list(request(limit: 5), until: soon())
      #expect(five.ids == Array(all[..<5]) && five.next != nil)
      let whole = try router.list(request(limit: 5_000), until: soon())
      #expect(whole.ids == all && whole.next == nil && whole.isComplete)
      let one = request { $0.scope = .cell(world.cells[1].id) }
      let list = try router.list(one, until: soon())
      #expect(list.ids == [id(1), id(4), id(7)])
      #expect(list.cells.map(\.target.id) == [world.cells[1].id])
    }
  }

  @Test(arguments: [InstanceColumn.host, .uuid, .launchedAt, .createdAt], [false, true])
  func `pages of any size have every row once, in order`(
    column: InstanceColumn, isDescending: Bool
  ) throws {
    try withWorld(cells: 3) { world in
      // All were made in the same moment, and some were launched never.
      try world.add(
        samples(9, in: world) { number, sample in
          sample.createdAt = moment(0)
          sample.mappedAt = moment(0)
          sample.launchedAt = number % 3 == 0 ? nil : moment(number % 2)
        })
      let router = try world.router()
      let request = request(.init(column, isDescending: isDescending))
      for sizes in [[2, 2, 5_000], [1, 1, 1, 5_000], [9, 9]] {
        var left = sizes
        let pages = try router.pages(request) { left.count > 1 ? left.removeFirst() : left[0] }
        #expect(pages.flatMap(\.ids) == world.expected(request))
      }
    }
  }

  @Test func `pages under a filter have what matches and no other row`() throws {
    try withWorld(cells: 3) { world in
      try world.add(
        samples(9, in: world) { number, sample in
          sample.name = number % 4 == 1 ? "other" : "vm"
        })
      let router = try world.router()
      let request = request(.init(.host)) { $0.filter.name = "vm" }
      let pages = try router.pages(request) { 1 }
      #expect(pages.flatMap(\.ids).count == 7)
      #expect(pages.flatMap(\.ids) == world.expected(request))
    }
  }

  // MARK: Markers

  @Test func `goes on after a marker, deleted or not`() throws {
    try withWorld(cells: 3) { world in
      try world.add(samples(9, in: world))
      let router = try world.router()
      for key in [InstanceOrder.Key(.uuid), .init(.displayName), .init(.createdAt)] {
        let request = request(key) { $0.start = .after(id(4)) }
        let before = try router.list(request, until: soon()).ids
        #expect(before == (5..<9).map { id($0) })
      }
      try world.cells[1].file.execute(
        "UPDATE instances SET deleted = id WHERE uuid = '\(id(4))'")
      let request = request(.init(.displayName)) { $0.start = .after(id(4)) }
      #expect(try router.list(request, until: soon()).ids == (5..<9).map { id($0) })
    }
  }

  @Test func `an unknown marker, and one whose row was purged, are refused`() throws {
    try withWorld(cells: 3) { world in
      try world.add(samples(9, in: world))
      let router = try world.router()
      let unknown = InstanceID(uuid(3, 7))
      #expect(throws: RouterError.markerUnknown(unknown)) {
        try router.list(request { $0.start = .after(unknown) }, until: soon())
      }
      try world.cells[1].file.execute("DELETE FROM instances WHERE uuid = '\(id(4))'")
      #expect(throws: RouterError.markerUnknown(id(4))) {
        try router.list(request { $0.start = .after(id(4)) }, until: soon())
      }
    }
  }

  @Test func `a marker in a cell that is down has its place where the map knows it`() throws {
    try withWorld(cells: 3) { world in
      try world.add(samples(9, in: world))
      let router = try world.router()
      world.setDown([world.cells[1].id])
      for key in [InstanceOrder.Key(.uuid), .init(.createdAt)] {
        let list = try router.list(request(key) { $0.start = .after(id(4)) }, until: soon())
        #expect(list.ids == (5..<9).map { id($0) } && !list.isComplete)
      }
      #expect {
        try router.list(
          request(.init(.displayName)) { $0.start = .after(id(4)) }, until: soon())
      } throws: { error in
        guard case .markerUnreadable(let marker, .database?) = error as? RouterError else {
          return false
        }
        return marker == id(4)
      }
      world.setDown([])
    }
  }

  @Test func `an instance that no map knows is a marker all the same`() throws {
    try withWorld(cells: 3) { world in
      try world.add(samples(9, in: world) { number, sample in sample.isMapped = number != 4 })
      let router = try world.router()
      let request = request(.init(.displayName)) { $0.start = .after(id(4)) }
      #expect(try router.list(request, until: soon()).ids == (5..<9).map { id($0) })
    }
  }

  // MARK: Economy

  @Test func `asks a cell for no more than the page needs of it`() throws {
    try withWorld(cells: 10, cell0: false) { world in
      var all = samples(2_000, in: world) { _, sample in sample.cell = world.cells[0].id }
      for number in 1..<10 {
        all += samples(150, in: world) { row, sample in
          sample.id = InstanceID(uuid(4 + number, row))
          sample.cell = world.cells[number].id
        }
      }
      try world.add(all)
      let router = try world.router()
      func batches(_ limit: Int, _ batching: ListBatching) throws -> [Int] {
        let list = try router.list(
          request(limit: limit) {
            $0.batching = batching
            $0.scope = .everything
          }, until: soon(20_000))
        #expect(list.ids == (0..<limit).map { id($0) })
        return list.cells.filter { $0.target.id != .cell0 }.map(\.batches)
      }
      let others = Array(repeating: 1, count: 9)
      #expect(try batches(2_000, .fixed(100)) == [20] + others)
      #expect(try batches(5, .distributed) == [1] + others)
      #expect(try batches(50, .whole) == [1] + others)
    }
  }

  @Test func `batches are as large as Nova's`() {
    for (batching, limit, cells, expected) in [
      (ListBatching.fixed(200), 1_000, 1, 1_000), (.fixed(200), 1_000, 2, 200),
      (.fixed(200), 1_000, 4, 200), (.fixed(200), 10, 3, 100), (.fixed(200), 110, 3, 110),
      (.distributed, 1_000, 2, 550), (.distributed, 1_000, 4, 275), (.distributed, 10, 3, 100),
      (.distributed, 110, 3, 100), (.distributed, 1_000, 0, 1_000),
    ] {
      #expect(batching.size(limit: limit, cells: cells) == expected)
    }
  }

  @Test func `with a project only the cells are asked that have instances of it`() throws {
    try withWorld(cells: 3) { world in
      try world.add(
        samples(9, in: world) { number, sample in
          sample.project = sample.cell == world.cells[0].id ? "other" : "p"
        })
      let router = try world.router()
      var asked = request { $0.filter.project = "p" }
      let list = try router.list(asked, until: soon())
      #expect(list.cells.map(\.target.id) == world.cells[1...].map(\.id) && list.isComplete)
      asked.asksOnlyCellsOfProject = false
      let all = try router.list(asked, until: soon())
      #expect(all.cells.count == 4 && all.ids == list.ids)
      // An instance that the index has not reached yet.
      var new = ListWorld.Sample(id: id(100), cell: world.cells[0].id)
      new.project = "p"
      try world.add([new], project: false)
      asked.asksOnlyCellsOfProject = true
      #expect(try router.list(asked, until: soon()).cells.count == 3)
      // While a cell's coverage is incomplete, the map can't say where the project is.
      _ = try world.store.addCell(9, isCovered: false)
      #expect(try router.list(asked, until: soon()).cells.count == 5)
    }
  }

  // MARK: Cells that don't answer

  @Test func `says what became of each cell, and lists the instances of the missing`() throws {
    try withWorld(cells: 3) { world in
      try world.add(samples(9, in: world))
      try world.store.append(
        .instance(
          id(0),
          .hostSeen(HostSighting(host: "h0", at: moment(5), source: "test"))))
      let router = try world.router()
      let writer = try world.cells[0].file.connect()
      try writer.execute("BEGIN EXCLUSIVE")
      world.setDown([world.cells[1].id])
      let list = try router.list(request(), until: soon(1_500))
      #expect(list.ids == (0..<9).map { id($0) } && !list.isComplete)
      let outcomes = list.cells.map { cell -> String in
        switch cell.outcome {
        case .answered: "answered"
        case .timedOut: "timed out"
        case .failed(.database(.fileMissing)): "failed"
        default: "\(cell.outcome)"
        }
      }
      #expect(outcomes == ["answered", "timed out", "failed", "answered"])
      #expect(list.cells.map(\.rows) == [0, 3, 3, 3])
      guard case .unknown(let row) = list.rows[0].source, case .live = list.rows[2].source else {
        Issue.record("\(list.rows)")
        return
      }
      #expect(row.record.lastSeen?.host == "h0")
      try writer.execute("COMMIT")
      world.setDown([])
      #expect(try router.list(request(), until: soon()).isComplete)
    }
  }

  @Test func `a cell that was skipped by its breaker is said to be`() throws {
    try withWorld(cells: 2) { world in
      try world.add(samples(4, in: world))
      let router = try world.router {
        $0.pool.breaker.failures = 1
        $0.pool.breaker.firstPause = .seconds(60)
      }
      world.setDown([world.cells[0].id])
      _ = try router.list(request(), until: soon())
      let list = try router.list(request(), until: soon())
      guard case .skipped(.database(.skippedByBreaker(_, 1, .fileMissing))) = list.cells[1].outcome
      else {
        Issue.record("\(list.cells[1].outcome)")
        return
      }
      #expect(list.ids == (0..<4).map { id($0) } && !list.isComplete)
      world.setDown([])
    }
  }

  @Test(arguments: [InstanceColumn.uuid, .createdAt, .displayName])
  func `a cell that fails on the way loses none and repeats none`(column: InstanceColumn) throws {
    try withWorld(cells: 2) { world in
      let all = samples(500, in: world) { number, sample in
        sample.name = "vm-\(1_000 + number)"
        // The map's time is not the cell's.
        sample.mappedAt = moment(500 - number)
      }
      try world.add(all)
      // The second batch meets a row that Nova wouldn't write.
      try world.cells[0].file.execute(
        "UPDATE instances SET launched_at = 'never' WHERE uuid = '\(id(300))'")
      let router = try world.router()
      let request = request(.init(column), limit: 1_000) { $0.batching = .fixed(100) }
      let list = try router.list(request, until: soon())
      #expect(list.rows.count == 500 && Set(list.ids).count == 500)
      #expect(!list.isComplete)
      guard case .failed(.database(.badValue)) = list.cells[1].outcome else {
        Issue.record("\(list.cells[1].outcome)")
        return
      }
      let live = list.rows.filter { if case .live = $0.source { true } else { false } }
      #expect(live.count == 350)
      var paged = request
      paged.limit = 120
      let pages = try router.pages(paged) { 120 }
      #expect(Set(pages.flatMap(\.ids)).count == 500 && pages.flatMap(\.ids).count == 500)
    }
  }

  @Test func `cell0 without a database makes a list incomplete`() throws {
    try withWorld(cells: 2, cell0: false) { world in
      try world.add(samples(4, in: world))
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

  @Test func `with all cells down the map alone answers`() throws {
    try withWorld(cells: 3) { world in
      try world.add(samples(9, in: world))
      world.setDown(Set(world.cells.map(\.id)))
      let router = try world.router()
      #expect(try router.list(request(limit: 4), until: soon()).ids == (0..<4).map { id($0) })
      let filtered = try router.list(request { $0.filter.host = "h1" }, until: soon())
      #expect(filtered.ids.isEmpty && filtered.cells.map(\.unlisted) == [0, 3, 3, 3])
      world.setDown([])
    }
  }

  @Test func `the map's rows fill no more than the page has room for`() throws {
    try withWorld(cells: 3) { world in
      try world.add(samples(9, in: world))
      world.setDown([world.cells[0].id, world.cells[2].id])
      let router = try world.router()
      // Three known ones, then of six that only the map has, the first two.
      let list = try router.list(request(.init(.host), limit: 5), until: soon())
      #expect(Set(list.ids[..<3]) == Set([id(1), id(4), id(7)]))
      #expect(Array(list.ids[3...]) == [id(0), id(2)])
      #expect(list.cells.map(\.rows) == [0, 1, 3, 1])
      world.setDown([])
    }
  }

  @Test func `without an index the cells answer, and the list says that the map is missing`() throws
  {
    try withWorld(cells: 2) { world in
      try world.add(samples(4, in: world))
      let router = try world.router()
      #expect(unlink(world.store.folder + "/store/CURRENT") == 0)
      usleep(1_100_000)
      let list = try router.list(request(), until: soon())
      #expect(list.ids == (0..<4).map { id($0) })
      #expect(list.mapError == .fault(.noCurrent) && !list.isComplete)
    }
  }

  // MARK: Instances without a cell, and with two

  @Test func `instances that have no cell yet are listed among the others`() throws {
    try withWorld(cells: 2) { world in
      try world.add(
        samples(6, in: world) { number, sample in if number == 3 { sample.cell = nil } })
      let router = try world.router()
      let list = try router.list(request(), until: soon())
      #expect(list.ids == (0..<6).map { id($0) } && list.isComplete)
      guard case .unscheduled = list.rows[3].source, list.rows[3].cell == nil else {
        Issue.record("\(list.rows[3])")
        return
      }
      let byName = try router.list(request(.init(.displayName)), until: soon())
      #expect(byName.ids == [0, 1, 2, 4, 5, 3].map { id($0) })
      let named = try router.list(request { $0.filter.name = "vm" }, until: soon())
      #expect(named.ids.count == 5 && named.unlistedWithoutCell == 1 && !named.isComplete)
      let onHost = try router.list(request { $0.filter.host = "h1" }, until: soon())
      #expect(onHost.unlistedWithoutCell == 0 && onHost.isComplete)
    }
  }

  @Test(arguments: [InstanceColumn.uuid, .host])
  func `an instance that moves between cells is listed once`(column: InstanceColumn) throws {
    try withWorld(cells: 2) { world in
      try world.add(samples(6, in: world))
      // For a moment both copies can be seen.
      try world.cells[1].file.execute(
        "INSERT INTO instances (uuid, host, deleted, project_id, created_at) VALUES "
          + "('\(id(2))', 'h9', 0, 'p', '2026-01-01 00:00:02.000000')")
      let router = try world.router()
      for size in [1, 2, 100] {
        let pages = try router.pages(request(.init(column))) { size }
        #expect(pages.flatMap(\.ids).count == 6 && Set(pages.flatMap(\.ids)).count == 6)
      }
      try world.cells[1].file.execute("UPDATE instances SET hidden = 1 WHERE host = 'h9'")
      let list = try router.list(request(.init(column)), until: soon())
      #expect(list.rows.first { $0.id == id(2) }?.cell?.id == world.cells[0].id)
    }
  }
}
