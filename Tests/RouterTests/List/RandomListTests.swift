import Cells
import Journal
import Router
import TestSupport
import Testing

/// Lists over cells beside a model that sorts everything in memory.
@Suite(.waiting) struct RandomListTests {
  private struct Chance {
    var random: SplitMix
    /// Nova's columns of times have whole seconds on MariaDB.
    var hasFractions = true

    mutating func number(_ bound: Int) -> Int { Int(random.next() % UInt64(bound)) }
    mutating func happens(_ share: Int) -> Bool { number(100) < share }
    mutating func pick<Value>(_ values: [Value]) -> Value { values[number(values.count)] }

    /// Few values, so that many are equal; some are missing.
    mutating func text(_ values: [String]) -> String? { happens(15) ? nil : pick(values) }
    mutating func time() -> Timestamp? {
      happens(15) ? nil : moment(number(6), happens(30) ? number(hasFractions ? 3 : 1) : 0)
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
      sample.isUserMapped = happens(85)
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

  /// Where a random world is, its seed, and how many lists are asked of it.
  struct Trial: CustomTestStringConvertible {
    var engine: CellEngine
    var seed: UInt64
    var rounds: Int

    var testDescription: String { "\(engine) \(seed)" }

    /// Files by several seeds, servers by the first and a random one, with fewer rounds.
    static func of(_ seeds: [UInt64], rounds: Int) -> [Trial] {
      let files = (seeds + [.random(in: 0 ... .max)]).map { seed in
        Trial(engine: .sqlite, seed: seed, rounds: rounds)
      }
      return files
        + CellEngine.installed.filter { $0 != .sqlite }.flatMap { engine in
          [seeds[0], .random(in: 0 ... .max)].map { seed in
            Trial(engine: engine, seed: seed, rounds: max(2, rounds / 3))
          }
        }
    }
  }

  @Test(arguments: Trial.of([1, 2, 3, 4, 5, 6], rounds: 40))
  func `every page is what sorting everything gives, with cells down from the start`(
    trial: Trial
  ) throws {
    try withWorld(cells: 4, on: trial.engine) { world in
      let seed = trial.seed
      var chance = Chance(
        random: SplitMix(state: seed), hasFractions: trial.engine != .mariadb)
      let cells = world.cells.map(\.id)
      let samples = (0..<160).map { chance.sample($0, cells, isTidy: false) }
      try world.add(Array(samples[..<120]))
      // The index has not reached these.
      try world.add(Array(samples[120...]), project: false)
      let router = try world.router()
      for round in 0..<trial.rounds {
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
    var isComplete = page.unlistedWithoutCell == 0
    for cell in page.cells where !cell.outcome.isAnswered {
      isComplete = false
      #expect(cell.unlisted == world.unlisted(in: cell.target.id, request), "\(note)")
    }
    #expect(page.isComplete == isComplete, "\(note)")
  }

  @Test(arguments: Trial.of([11, 12, 13, 14, 15, 16], rounds: 30))
  func `with cells that come and go between pages each instance is listed once`(
    trial: Trial
  ) throws {
    try withWorld(cells: 4, on: trial.engine) { world in
      let seed = trial.seed
      var chance = Chance(
        random: SplitMix(state: seed), hasFractions: trial.engine != .mariadb)
      let cells = world.cells.map(\.id)
      try world.add((0..<120).map { chance.sample($0, cells, isTidy: true) })
      let router = try world.router()
      for round in 0..<trial.rounds {
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

  @Test(arguments: Trial.of([21, 22, 23], rounds: 4))
  func `the list goes on rightly after rows that vanished`(trial: Trial) throws {
    try withWorld(cells: 3, on: trial.engine) { world in
      let seed = trial.seed
      var chance = Chance(
        random: SplitMix(state: seed), hasFractions: trial.engine != .mariadb)
      let cells = world.cells.map(\.id)
      try world.add((0..<80).map { chance.sample($0, cells, isTidy: true) })
      let router = try world.router()
      for round in 0..<trial.rounds {
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
