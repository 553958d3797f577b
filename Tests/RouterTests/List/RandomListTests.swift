import Cells
import Journal
import Router
import TestSupport
import Testing

/// Lists over cells beside a model that sorts everything in memory.
@Suite struct RandomListTests {
  private struct Chance {
    var random: SplitMix

    mutating func number(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    mutating func happens(_ share: Int) -> Bool { number(100) < share }
    mutating func pick<Value>(_ values: [Value]) -> Value { values[number(values.count)] }

    /// Few values, so that many are equal; some are missing.
    mutating func text(_ values: [String]) -> String? { happens(15) ? nil : pick(values) }
    mutating func time() -> Timestamp? {
      happens(15) ? nil : moment(number(6), happens(30) ? number(3) : 0)
    }

    mutating func sample(_ number: Int, _ cells: [CellID], isTidy: Bool) -> ListWorld.Sample {
      let names = ["a", "A", "b", "vm", "vm ", "é", "e\u{301}", "", "vm-10", "vm-9", "\u{10FFFF}"]
      var sample = ListWorld.Sample(
        id: InstanceID(UUID128(high: random.next(), low: random.next())),
        cell: happens(10) ? nil : pick(cells))
      sample.createdAt = time()
      sample.updatedAt = time()
      sample.launchedAt = time()
      sample.mappedAt = time()
      sample.name = text(names)
      sample.host = text(["h1", "h2", "H1", ""])
      sample.project = happens(isTidy ? 0 : 10) ? nil : pick(["p1", "p2", "p"])
      sample.user = pick(["user-1", "user-2"])
      sample.vmState = text(["active", "error", "stopped"])
      guard !isTidy, sample.cell != nil else { return sample }
      sample.isDeleted = happens(15)
      sample.isHidden = happens(10)
      sample.isMapped = happens(95)
      sample.mark = pick([false, nil, true])
      return sample
    }

    mutating func order() -> InstanceOrder {
      InstanceOrder(
        (0..<number(4)).map { _ in
          .init(pick(InstanceColumn.allCases), isDescending: happens(50))
        })
    }

    mutating func filter(of cells: [CellID], isJudged: Bool) -> InstanceFilter {
      var filter = InstanceFilter()
      if happens(30) { filter.project = ByteText(pick(["p1", "p2"])) }
      if happens(20) { filter.user = "user-2" }
      if isJudged {
        if happens(20) { filter.deletion = .any }
        return filter
      }
      if happens(30) { filter.host = ByteText(pick(["h1", ""])) }
      if happens(30) { filter.vmState = "active" }
      if happens(30) { filter.name = ByteText(pick(["v", "vm", "é"])) }
      if happens(30) { filter.changedSince = moment(3) }
      if happens(40) { filter.deletion = pick([.any, .deleted]) }
      if happens(40) { filter.includesHidden = true }
      return filter
    }
  }

  @Test(arguments: [1, 2, 3, 4, 5, 6, UInt64.random(in: 0 ... .max)])
  func `every page is what sorting everything gives, with cells down from the start`(
    seed: UInt64
  ) throws {
    try withWorld(cells: 4) { world in
      var chance = Chance(random: SplitMix(state: seed))
      let cells = world.cells.map(\.id)
      let samples = (0..<160).map { chance.sample($0, cells, isTidy: false) }
      try world.add(Array(samples[..<120]))
      // The index has not reached these.
      try world.add(Array(samples[120...]), project: false)
      let router = try world.router()
      for round in 0..<40 {
        var request = InstanceListRequest(
          order: chance.order(), filter: chance.filter(of: cells, isJudged: chance.happens(50)))
        if chance.happens(15) { request.scope = .cell(chance.pick(cells)) }
        if chance.happens(10) { request.scope = .withoutCell }
        // Some instances are in no map, and some have no project there.
        request.asksOnlyCellsOfProject = false
        world.setDown(Set(cells.filter { _ in chance.happens(25) }))
        let size = chance.pick([1, 2, 7, 50, 1_000])
        let pages = try router.pages(request) { size }
        let ids = pages.flatMap(\.ids)
        let expected = world.expected(request)
        #expect(ids == expected, "seed \(seed), round \(round), \(request)")
        try checkCells(pages[0], world, request, "seed \(seed), round \(round)")
        if ids != expected { return }
      }
      world.setDown([])
    }
  }

  private func checkCells(
    _ page: InstanceList, _ world: ListWorld, _ request: InstanceListRequest, _ note: String
  ) throws {
    let isJudged =
      request.filter.host == nil && request.filter.vmState == nil && request.filter.name == nil
      && request.filter.changedSince == nil && request.filter.deletion != .deleted
    var isComplete = page.unlistedWithoutCell == 0
    for cell in page.cells where !cell.outcome.isAnswered {
      isComplete = false
      let expected = isJudged ? 0 : world.unlisted(in: cell.target.id, request)
      #expect(cell.unlisted == expected, "\(note)")
    }
    #expect(page.isComplete == isComplete, "\(note)")
  }

  @Test(arguments: [11, 12, 13, 14, 15, 16, UInt64.random(in: 0 ... .max)])
  func `with cells that come and go between pages each instance is listed once`(
    seed: UInt64
  ) throws {
    try withWorld(cells: 4) { world in
      var chance = Chance(random: SplitMix(state: seed))
      let cells = world.cells.map(\.id)
      try world.add((0..<120).map { chance.sample($0, cells, isTidy: true) })
      let router = try world.router()
      for round in 0..<30 {
        let request = InstanceListRequest(
          order: chance.order(), filter: chance.filter(of: cells, isJudged: true))
        world.setDown([])
        let expected = Set(world.expected(request))
        var sizes = chance
        let pages = try router.pages(request) {
          1 + sizes.number(25)
        } between: { _ in
          world.setDown(Set(cells.filter { _ in chance.happens(30) }))
        }
        let ids = pages.flatMap(\.ids)
        #expect(Set(ids) == expected, "seed \(seed), round \(round), \(request)")
        #expect(ids.count == Set(ids).count, "seed \(seed), round \(round), \(request)")
        if Set(ids) != expected || ids.count != expected.count { return }
      }
      world.setDown([])
    }
  }

  @Test(arguments: [21, 22, 23, UInt64.random(in: 0 ... .max)])
  func `the list goes on rightly after rows that vanished`(seed: UInt64) throws {
    try withWorld(cells: 3) { world in
      var chance = Chance(random: SplitMix(state: seed))
      let cells = world.cells.map(\.id)
      try world.add((0..<80).map { chance.sample($0, cells, isTidy: true) })
      let router = try world.router()
      for round in 0..<4 {
        let request = InstanceListRequest(order: chance.order())
        var rest = world.expected(request)
        let size = 1 + chance.number(9)
        var listed: [InstanceID] = []
        let pages = try router.pages(request) {
          size
        } between: { page in
          listed += page.ids
          // The last row of the page is gone, and one of those that are to come.
          for id in [page.ids.last, chance.happens(30) ? rest.last : nil].compactMap(\.self) {
            if !listed.contains(id) { rest.removeAll { $0 == id } }
            try world.remove(id)
          }
        }
        #expect(pages.flatMap(\.ids) == rest, "seed \(seed), round \(round), \(request)")
      }
    }
  }
}
