import Cells
import Dispatch
import Glibc
import Journal
import Projections
import Router
import Synchronization
import TestSupport
import Testing

/// Cells that are slow, that hang, and that hang on the way. A writer that holds a file stands for a
/// slow cell. Times are compared with generous ones: the machine may be busy.
@Suite(.waiting, .serialized) struct ListDeadlineTests {
  private func fill(_ world: ListWorld, perCell count: Int = 20) throws {
    var samples: [ListWorld.Sample] = []
    for (number, cell) in world.cells.enumerated() {
      for row in 0..<count {
        var sample = ListWorld.Sample(
          id: InstanceID(uuid(3, row * world.cells.count + number)), cell: cell.id)
        sample.createdAt = moment(row)
        sample.mappedAt = moment(row)
        samples.append(sample)
      }
    }
    try world.add(samples)
  }

  @Test func `a hung cell costs the deadline and no more, and nothing once its breaker is open`()
    throws
  {
    try withWorld(cells: 8) { world in
      try fill(world, perCell: 100)
      let router = try world.router {
        $0.pool.breaker.failures = 3
        $0.pool.breaker.firstPause = .seconds(600)
      }
      var request = InstanceListRequest()
      request.limit = 400
      func list(within limit: Duration) throws -> (list: InstanceList, took: Duration) {
        let begin = ContinuousClock.now
        let list = try router.list(request, until: begin.advanced(by: limit))
        return (list, begin.duration(to: .now))
      }
      #expect(try list(within: .seconds(60)).list.isComplete)
      let writer = try world.cells[3].file.connect()
      try writer.execute("BEGIN EXCLUSIVE")
      for _ in 1...3 {
        let (list, took) = try list(within: .seconds(6))
        #expect(list.rows.count == 400 && Set(list.ids).count == 400 && !list.isComplete)
        #expect(
          list.cells.filter { !$0.outcome.isAnswered }.map(\.target.id) == [world.cells[3].id])
        #expect(took >= .milliseconds(5_995) && took < .seconds(6) + busyMachine, "\(took)")
      }
      // How near it comes to a healthy list is the benches' to say: here other tests run beside it.
      // But the cell isn't asked, which would be a fourth failure, and nothing waits for it: the
      // deadline is a minute away.
      for _ in 1...15 {
        let (list, took) = try list(within: .seconds(60))
        let hung = list.cells[4]
        guard case .skipped(.database(.skippedByBreaker(_, 3, _))) = hung.outcome else {
          Issue.record("\(hung.outcome)")
          return
        }
        #expect(list.rows.count == 400)
        #expect(took < .seconds(30), "\(took)")
      }
      try writer.execute("COMMIT")
    }
  }

  @Test func `a marker in a hung cell leaves the others their time`() throws {
    try withWorld(cells: 3) { world in
      try fill(world)
      let router = try world.router()
      let writer = try world.cells[2].file.connect()
      try writer.execute("BEGIN EXCLUSIVE")
      let marker = InstanceID(uuid(3, 5 * 3 + 2))
      for key in [InstanceOrder.Key(.uuid), .init(.createdAt)] {
        var request = InstanceListRequest(order: InstanceOrder([key]))
        request.start = .after(marker)
        let list = try router.list(request, until: soon(6_000))
        #expect(list.ids == world.expected(InstanceListRequest(order: request.order)).suffix(42))
        let answered = list.cells.filter(\.outcome.isAnswered).map(\.target.id)
        #expect(answered == [.cell0, world.cells[0].id, world.cells[1].id], "\(key)")
      }
      try writer.execute("COMMIT")
    }
  }

  @Test func `cells that have answered are asked ahead while another hangs`() throws {
    try withWorld(cells: 3) { world in
      try fill(world, perCell: 250)
      let router = try world.router()
      let writer = try world.cells[2].file.connect()
      try writer.execute("BEGIN EXCLUSIVE")
      var request = InstanceListRequest()
      request.limit = 750
      request.batching = .fixed(100)
      // The page needs three batches of each of the others, and there is no time left for them.
      let list = try router.list(request, until: soon(6_000))
      try writer.execute("COMMIT")
      #expect(list.rows.count == 750 && Set(list.ids).count == 750)
      let answered = list.cells.filter(\.outcome.isAnswered).map(\.target.id)
      #expect(answered == [.cell0, world.cells[0].id, world.cells[1].id])
    }
  }

  @Test func `a cell that answers once and then hangs counts as timed out`() throws {
    try withWorld(cells: 2) { world in
      try fill(world, perCell: 300)
      let router = try world.router()
      // The second cell answers only once the first, which has, hangs; all before half the time.
      let writers = try world.cells.map { try $0.file.connect() }
      try writers[1].execute("BEGIN EXCLUSIVE")
      let first = try router.cells()[1].pool()
      let answer = Mutex<InstanceList?>(nil)
      let done = DispatchSemaphore(value: 0)
      OwnThread.start {
        var request = InstanceListRequest()
        request.batching = .fixed(100)
        let list = try? router.list(request, until: soon(20_000))
        answer.withLock { $0 = list }
        done.signal()
      }
      #expect(eventually { first.condition.idle == 1 })
      try writers[0].execute("BEGIN EXCLUSIVE")
      try writers[1].execute("COMMIT")
      done.wait()
      try writers[0].execute("COMMIT")
      let answered = answer.withLock(\.self)
      let list = try #require(answered)
      guard case .timedOut = list.cells[1].outcome, list.cells[2].outcome.isAnswered else {
        Issue.record("\(list.cells.map(\.outcome))")
        return
      }
      #expect(list.rows.count == 600 && list.ids == list.ids.sorted())
      let live = list.rows.filter { if case .live = $0.source { true } else { false } }
      #expect(live.count == 400)
    }
  }

  @Test func `many lists over a hung cell leave routes to the others alone`() throws {
    try withWorld(cells: 3) { world in
      try fill(world)
      let router = try world.router()
      let ids = world.instances.values.filter { $0.cell != world.cells[0].id }.map(\.id)
      for id in ids { #expect(try router.host(id) == nil) }
      let writer = try world.cells[0].file.connect()
      try writer.execute("BEGIN EXCLUSIVE")
      let crowd = ListCrowd(router, InstanceListRequest(), until: soon())
      // All of them are routed while every list waits.
      for id in ids {
        let route = try router.route(id, until: soon())
        guard case .found = route.outcome else {
          Issue.record("\(route.outcome.summary)")
          return
        }
      }
      #expect(crowd.ended == 0)
      try writer.execute("COMMIT")
      let whole = crowd.wait().filter { $0?.isComplete == true && $0?.rows.count == 60 }
      #expect(whole.count == ListCrowd.size)
      // Where it goes on hanging, each of them ends without it.
      try writer.execute("BEGIN EXCLUSIVE")
      let left = ListCrowd(router, InstanceListRequest(), until: soon(3_000)).wait()
        .filter { $0?.isComplete == false && $0?.rows.count == 60 }
      #expect(left.count == ListCrowd.size)
      try writer.execute("COMMIT")
    }
  }
}

/// Lists at once, more of them than a cell may have threads and connections.
final class ListCrowd: Sendable {
  static let size = 24

  private let lists = Mutex<[InstanceList?]>([])
  private let done = DispatchSemaphore(value: 0)

  init(
    _ router: CellRouter, _ request: InstanceListRequest, until deadline: ContinuousClock.Instant
  ) {
    for _ in 0..<Self.size {
      OwnThread.start { [self] in
        let list = try? router.list(request, until: deadline)
        lists.withLock { $0.append(list) }
        done.signal()
      }
    }
  }

  /// How many have ended.
  var ended: Int { lists.withLock { $0.count } }

  /// Waits for the end of all; nil for one that failed. To be called once.
  func wait() -> [InstanceList?] {
    for _ in 0..<Self.size { done.wait() }
    return lists.withLock { $0 }
  }
}
