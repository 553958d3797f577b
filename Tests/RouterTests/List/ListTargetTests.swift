import Cells
import Journal
import TestServers
import TestSupport
import Testing

@testable import Router

/// Which cell is read, and how often it is connected to: what Nova's tests ask of a targeted context
/// (`test_target_cell`, `test_connection_switch`).
@Suite(.waiting) struct ListTargetTests {
  @Test(arguments: CellEngine.installed)
  func `a cell that is asked again and again is connected to once`(engine: CellEngine) throws {
    try withWorld(cells: 2, on: engine) { world in
      try world.add(world.samples(4))
      let router = try world.router()
      for _ in 0..<3 {
        for number in 0..<4 { #expect(try router.host(listed(number)) == ByteText("h\(number)")) }
        #expect(try router.list(request(), until: soon()).isComplete)
      }
      for target in try router.cells() {
        #expect(try target.pool().condition.idle == 1)
        guard case .server(_, let proxy)? = world.cells.first(where: { $0.id == target.id })?.place
        else { continue }
        #expect(proxy.connectionCount == 1)
      }
    }
  }

  @Test(arguments: CellEngine.installed)
  func `reads each instance from its own cell and from no other`(engine: CellEngine) throws {
    try withWorld(cells: 2, on: engine) { world in
      // One each in cell0, the first and the second.
      let cells = [.cell0] + world.cells.map(\.id)
      try world.add(
        cells.enumerated().map { number, cell in ListWorld.Sample(id: listed(number), cell: cell) })
      let router = try world.router()
      #expect(try router.list(request(), until: soon()).ids == listed(0..<3))
      for (number, cell) in cells.enumerated() {
        let one = request { $0.scope = .cell(cell) }
        #expect(try router.list(one, until: soon()).ids == [listed(number)])
      }
      let targets = try router.cells()
      let found = router.ask(targets, until: soon()) { connection throws(CellError) in
        try connection.placement(of: listed(1)) != nil
      }
      #expect(try found.map { try $0.get() } == [false, true, false])
      // And a mapping to the wrong cell is told apart from an instance that isn't.
      try world.store.append(
        .instance(listed(2), .moved(from: cells[2], to: cells[1])))
      #expect(try router.outcome(listed(2)).summary == "missing")
    }
  }

  @Test func `a project's cells are asked, whichever users the map lacks`() throws {
    try withWorld(cells: 3) { world in
      // The third has none of the project's; of what is in the second, the map has no users.
      try world.add(
        world.samples(12) { number, sample in
          if number % 3 == 2 { sample.project = "q" }
          sample.isUserMapped = number % 3 != 1
        })
      let router = try world.router()
      let asked = request {
        $0.filter.project = "p"
        $0.filter.user = "user-1"
      }
      let list = try router.list(asked, until: soon())
      #expect(list.isComplete && list.ids == listed([0, 1, 3, 4, 6, 7, 9, 10]))
      let cells = [world.cells[0].id, world.cells[1].id]
      #expect(list.cells.map(\.target.id) == cells)
      world.setDown([world.cells[1].id])
      let partial = try router.list(asked, until: soon())
      #expect(!partial.isComplete && partial.ids == listed([0, 3, 6, 9]))
      #expect(partial.cells.map(\.unlisted) == [0, 4])
      // An instance of a project that the map doesn't know may be anybody's.
      try world.store.append(
        .instance(
          listed(2),
          .ownerChanged(
            from: InstanceOwner(project: "q", user: "user-1"),
            to: InstanceOwner(project: nil, user: "user-1"))))
      world.setDown([])
      #expect(try router.list(asked, until: soon()).cells.count == 3)
    }
  }

  @Test func `each route keeps the addresses of its own cell, whatever comes after it`() throws {
    try withWorld(cells: 2) { world in
      try world.add(world.samples(2))
      let router = try world.router()
      func target(_ number: Int) throws -> CellTarget {
        guard case .found(let live) = try router.outcome(listed(number)) else {
          throw RouterError.markerUnknown(listed(number))
        }
        return live.target
      }
      func database(_ target: CellTarget) throws -> String? {
        try target.addresses().database?.exposedText()
      }
      let (first, second) = (try target(0), try target(1))
      #expect(try database(first) == "sqlite:///cell1.sqlite")
      #expect(try database(second) == "sqlite:///cell2.sqlite")
      let before = first.row.record.addresses
      let after = try world.store.record(first.id, "cell1", database: "sqlite:///./cell1.sqlite")
      try world.store.append(
        .cell(first.id, .addressesChanged(from: before, to: after.addresses)))
      #expect(try database(try target(0)) == "sqlite:///./cell1.sqlite")
      #expect(try database(first) == "sqlite:///cell1.sqlite")
      #expect(try database(second) == "sqlite:///cell2.sqlite")
    }
  }

  @Test func `none is no queue, and nothing is connected to`() throws {
    try withStore { store in
      let id = CellID(uuid(9, 1))
      let record = try store.record(id, "c", database: nil, queue: "none:///")
      try store.append(.cell(id, .added(record)))
      let target = try #require(try store.router().cells().first { $0.id == id })
      #expect(throws: CellUnavailable.queue(QueueError(cell: id, .noQueue))) {
        try target.queue()
      }
    }
  }
}
