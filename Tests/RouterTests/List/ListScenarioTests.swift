import Cells
import Journal
import Projections
import TestSupport
import Testing

@testable import Router

/// What Nova's own tests ask of lists over cells, and what they should have asked.
@Suite(.waiting) struct ListScenarioTests {
  // MARK: Order and pages

  @Test(arguments: CellEngine.installed)
  func `sorts over all cells, within the limit, and only the cells that are asked for`(
    engine: CellEngine
  ) throws {
    try withWorld(cells: 3, on: engine) { world in
      try world.add(world.samples(9))
      let router = try world.router()
      let all = listed(0..<9)
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
      #expect(list.ids == listed([1, 4, 7]))
      #expect(list.cells.map(\.target.id) == [world.cells[1].id])
    }
  }

  @Test(arguments: CellEngine.installed)
  func `pages of any size have every row once, in order`(engine: CellEngine) throws {
    try withWorld(cells: 3, on: engine) { world in
      // All were made in the same moment, and some were launched never.
      try world.add(
        world.samples(9) { number, sample in
          sample.createdAt = moment(0)
          sample.mappedAt = moment(0)
          sample.updatedAt = number % 2 == 0 ? nil : moment(number % 3)
          sample.launchedAt = number % 3 == 0 ? nil : moment(number % 2)
        })
      let router = try world.router()
      for column in InstanceColumn.allCases {
        for isDescending in [false, true] {
          let request = request(.init(column, isDescending: isDescending))
          for sizes in [[2, 2, 5_000], [1, 1, 1, 5_000], [9, 9]] {
            var left = sizes
            let pages = try router.pages(request) { left.count > 1 ? left.removeFirst() : left[0] }
            #expect(pages.flatMap(\.ids) == world.expected(request), "\(column) \(isDescending)")
          }
        }
      }
    }
  }

  @Test(arguments: CellEngine.installed)
  func `pages under a filter have what matches and no other row`(engine: CellEngine) throws {
    try withWorld(cells: 3, on: engine) { world in
      try world.add(
        world.samples(9) { number, sample in
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

  @Test(arguments: CellEngine.installed)
  func `goes on after a marker, deleted or not`(engine: CellEngine) throws {
    try withWorld(cells: 3, on: engine) { world in
      try world.add(world.samples(9))
      let router = try world.router()
      for key in [InstanceOrder.Key(.uuid), .init(.displayName), .init(.createdAt)] {
        let request = request(key) { $0.start = .after(listed(4)) }
        let before = try router.list(request, until: soon()).ids
        #expect(before == listed(5..<9))
      }
      try world.cells[1].execute(
        "UPDATE instances SET deleted = id WHERE uuid = '\(listed(4))'")
      let request = request(.init(.displayName)) { $0.start = .after(listed(4)) }
      #expect(try router.list(request, until: soon()).ids == listed(5..<9))
    }
  }

  @Test(arguments: CellEngine.installed)
  func `an unknown marker, and one whose row was purged, are refused but by UUID`(
    engine: CellEngine
  ) throws {
    try withWorld(cells: 3, on: engine) { world in
      try world.add(world.samples(9))
      let router = try world.router()
      let unknown = InstanceID(uuid(3, 7))
      #expect(throws: RouterError.markerUnknown(unknown)) {
        try router.list(request { $0.start = .after(unknown) }, until: soon())
      }
      try world.cells[1].execute("DELETE FROM instances WHERE uuid = '\(listed(4))'")
      #expect(throws: RouterError.markerUnknown(listed(4))) {
        try router.list(
          request(.init(.displayName)) { $0.start = .after(listed(4)) }, until: soon())
      }
      // By UUID its place is known without a row.
      let byUUID = try router.list(request { $0.start = .after(listed(4)) }, until: soon())
      #expect(byUUID.ids == listed(5..<9))
    }
  }

  @Test(arguments: CellEngine.installed)
  func `a marker in a cell that is down has its place where the map knows it`(engine: CellEngine)
    throws
  {
    try withWorld(cells: 3, on: engine) { world in
      try world.add(world.samples(9))
      let router = try world.router()
      world.setDown([world.cells[1].id])
      for key in [InstanceOrder.Key(.uuid), .init(.createdAt)] {
        let list = try router.list(request(key) { $0.start = .after(listed(4)) }, until: soon())
        #expect(list.ids == listed(5..<9) && !list.isComplete)
      }
      #expect {
        try router.list(
          request(.init(.displayName)) { $0.start = .after(listed(4)) }, until: soon())
      } throws: { error in
        guard case .markerUnreadable(let marker, .database?) = error as? RouterError else {
          return false
        }
        return marker == listed(4)
      }
      world.setDown([])
    }
  }

  @Test(arguments: CellEngine.installed)
  func `an instance that no map knows is a marker all the same`(engine: CellEngine) throws {
    try withWorld(cells: 3, on: engine) { world in
      try world.add(world.samples(9) { number, sample in sample.isMapped = number != 4 })
      let router = try world.router()
      let request = request(.init(.displayName)) { $0.start = .after(listed(4)) }
      #expect(try router.list(request, until: soon()).ids == listed(5..<9))
    }
  }

  // MARK: Economy

  @Test(arguments: CellEngine.installed)
  func `asks a cell for no more than the page needs of it`(engine: CellEngine) throws {
    try withWorld(cells: 10, on: engine, cell0: false) { world in
      var all = world.samples(2_000) { _, sample in sample.cell = world.cells[0].id }
      for number in 1..<10 {
        all += world.samples(150) { row, sample in
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
          }, until: soon())
        #expect(list.ids == listed(0..<limit))
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

  @Test(arguments: CellEngine.installed)
  func `with a project only the cells are asked that have instances of it`(engine: CellEngine)
    throws
  {
    try withWorld(cells: 3, on: engine) { world in
      try world.add(
        world.samples(9) { number, sample in
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
      var new = ListWorld.Sample(id: listed(100), cell: world.cells[0].id)
      new.project = "p"
      try world.add([new], project: false)
      asked.asksOnlyCellsOfProject = true
      #expect(try router.list(asked, until: soon()).cells.count == 3)
      // While a cell's coverage is incomplete, the map can't say where the project is.
      _ = try world.store.addCell(9, isCovered: false)
      #expect(try router.list(asked, until: soon()).cells.count == 5)
    }
  }

  // MARK: Instances without a cell, and with two

  @Test(arguments: CellEngine.installed)
  func `instances that have no cell yet are listed among the others`(engine: CellEngine) throws {
    try withWorld(cells: 2, on: engine) { world in
      try world.add(
        world.samples(6) { number, sample in if number == 3 { sample.cell = nil } })
      let router = try world.router()
      let list = try router.list(request(), until: soon())
      #expect(list.ids == listed(0..<6) && list.isComplete)
      guard case .unscheduled = list.rows[3].source, list.rows[3].cell == nil else {
        Issue.record("\(list.rows[3])")
        return
      }
      let byName = try router.list(request(.init(.displayName)), until: soon())
      #expect(byName.ids == listed([0, 1, 2, 4, 5, 3]))
      let named = try router.list(request { $0.filter.name = "vm" }, until: soon())
      #expect(named.ids.count == 5 && named.unlistedWithoutCell == 1 && !named.isComplete)
      let onHost = try router.list(request { $0.filter.host = "h1" }, until: soon())
      #expect(onHost.unlistedWithoutCell == 0 && onHost.isComplete)
    }
  }

  @Test(arguments: CellEngine.installed)
  func `an instance that was scheduled a moment ago is listed once, as its cell has it`(
    engine: CellEngine
  ) throws {
    try withWorld(cells: 2, on: engine) { world in
      try world.add(world.samples(12))
      // Nova writes the row before the mapping: two are in a cell, and the map doesn't know which.
      try world.add(
        [20, 21].map { number in
          var sample = ListWorld.Sample(id: listed(number), cell: world.cells[0].id)
          (sample.host, sample.project, sample.isMapped) = ("h9", "p", false)
          sample.createdAt = moment(100)
          return sample
        })
      for number in [20, 21] {
        // The mapping is the older one: by that time the map's row comes first.
        var mapping = world.store.mapping(nil, mark: false)
        mapping.row.createdAt = moment(99)
        try world.store.append(.instance(listed(number), .mapped(mapping)))
      }
      let router = try world.router()
      for key in [
        InstanceOrder.Key(.uuid), .init(.host), .init(.createdAt),
        .init(.createdAt, isDescending: true),
      ] {
        let asked = request(key)
        let list = try router.list(asked, until: soon())
        #expect(list.ids.count == 14 && Set(list.ids).count == 14)
        #expect(list.rows.allSatisfy { $0.isLive })
        let pages = try router.pages(asked) { 10 }
        #expect(pages.map(\.rows.count) == [10, 4] && pages.flatMap(\.ids) == list.ids)
        #expect(pages.allSatisfy { !$0.mayRepeat })
      }
    }
  }

  @Test(arguments: CellEngine.installed)
  func `what only the map told of comes once more if a cell has it, and the list says so`(
    engine: CellEngine
  ) throws {
    try withWorld(cells: 2, on: engine) { world in
      try world.add(world.samples(4))
      var sample = ListWorld.Sample(id: listed(20), cell: world.cells[0].id)
      (sample.host, sample.project, sample.isMapped) = ("h9", "p", false)
      sample.createdAt = moment(100)
      try world.add([sample])
      var mapping = world.store.mapping(nil, mark: false)
      mapping.row.createdAt = moment(99)
      try world.store.append(.instance(listed(20), .mapped(mapping)))
      let pages = try world.router().pages(request(.init(.createdAt))) { 5 }
      #expect(pages.flatMap(\.ids) == listed([0, 1, 2, 3, 20, 20]))
      #expect(pages.map { $0.rows.last?.isLive } == [false, true])
      #expect(pages.map(\.mayRepeat) == [false, true])
    }
  }

  @Test(arguments: CellEngine.installed)
  func `an instance that moves between cells is listed once`(engine: CellEngine) throws {
    try withWorld(cells: 2, on: engine) { world in
      try world.add(world.samples(6))
      // For a moment both copies can be seen.
      try world.cells[1].execute(
        "INSERT INTO instances (uuid, host, deleted, project_id, created_at) VALUES "
          + "('\(listed(2))', 'h9', 0, 'p', '2026-01-01 00:00:02.000000')")
      let router = try world.router()
      for column in [InstanceColumn.uuid, .host] {
        for size in [1, 2, 100] {
          let ids = try router.pages(request(.init(column))) { size }.flatMap(\.ids)
          #expect(ids.count == 6 && Set(ids).count == 6)
        }
      }
      try world.cells[1].execute("UPDATE instances SET hidden = true WHERE host = 'h9'")
      for column in [InstanceColumn.uuid, .host] {
        let list = try router.list(request(.init(column)), until: soon())
        #expect(list.rows.first { $0.id == listed(2) }?.cell?.id == world.cells[0].id)
      }
    }
  }

  @Test(arguments: CellEngine.installed)
  func `Nova's marker row is no instance, deleted or not`(engine: CellEngine) throws {
    try withWorld(cells: 2, on: engine) { world in
      try world.add(world.samples(4))
      let zero = InstanceID(.zero)
      for (cell, deleted) in zip(world.cells, [0, 7]) {
        try cell.execute(
          "INSERT INTO instances (uuid, deleted, created_at) VALUES "
            + "('\(zero)', \(deleted), '2026-01-01 00:00:03.000000')")
      }
      let router = try world.router()
      for column in InstanceColumn.allCases {
        for deletion in [InstanceFilter.Deletion.live, .any, .deleted] {
          let request = request(.init(column)) { $0.filter.deletion = deletion }
          let ids = try router.pages(request) { 2 }.flatMap(\.ids)
          #expect(!ids.contains(zero) && ids.count == (deletion == .deleted ? 0 : 4))
        }
      }
      #expect(throws: RouterError.markerUnknown(zero)) {
        try router.list(request(.init(.host)) { $0.start = .after(zero) }, until: soon())
      }
    }
  }
}
