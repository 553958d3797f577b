import Cells
import Dispatch
import Foundation
import Glibc
import Journal
import Projections
import Router
import Synchronization
import TestSupport
import Testing

/// A change by any process acts at the next call. Entries are written through another opening.
@Suite(.waiting) struct FreshnessTests {
  @Test(arguments: [true, false])
  func `a remap acts at the next call`(isProjected: Bool) throws {
    try withStore { store in
      let (first, firstFile) = try store.addCell(1)
      let (second, secondFile) = try store.addCell(2)
      let id = try store.addInstance(first, firstFile, ["host": "'old'"])
      try secondFile.add(id, ["host": "'new'"])
      let router = try store.router()
      for _ in 1...3 { #expect(try router.host(id) == "old") }
      let index = try store.append(
        .instance(id, .moved(from: first, to: second)), project: isProjected)
      #expect(try router.host(id) == "new")
      #expect(try router.mapping(of: id)?.changedAt == index)
      #expect(try router.position().index == index)
      try store.project()
      #expect(try router.host(id) == "new")
    }
  }

  @Test func `an index that is too far behind makes no instance unknown`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = InstanceID(uuid(3, 9_999))
      try file.add(id)
      let events = (1...3_000).map {
        Event.instance(InstanceID(uuid(4, $0)), .mapped(store.mapping(cell)))
      }
      try store.append(
        events + [.instance(id, .mapped(store.mapping(cell)))], project: false)
      var options = CellRouter.Options()
      options.overlayCapacity = 1_000
      let router = try store.router(options: options)
      for (asked, isThere) in [(id, true), (InstanceID(uuid(5, 1)), false)] {
        let route = try router.route(asked, until: soon())
        #expect(route.behind == 2_001)
        switch route.outcome {
        case .foundBySearch(_, let search) where isThere, .unknown(let search?) where !isThere:
          guard case .mapBehind = search.reason else { Issue.record("\(search)"); continue }
        default: Issue.record("\(route.outcome)")
        }
      }
      try store.project()
      #expect(try router.outcome(id).summary == "found compute-1")
      let outcome = try router.outcome(InstanceID(uuid(5, 1)))
      #expect(outcome.summary == "unknown", "\(outcome)")
    }
  }

  @Test(arguments: [true, false])
  func `unmapping, marking and mapping act at the next call`(isProjected: Bool) throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = try store.addInstance(cell, file)
      let new = InstanceID(uuid(3, 60))
      try file.add(new)
      let router = try store.router()
      #expect(try router.outcome(id).summary == "found compute-1")
      #expect(try router.outcome(new).summary == "unknown")
      try store.append(
        .instance(id, .deletionMarkChanged(from: false, to: true)),
        .instance(new, .mapped(store.mapping(cell))), project: isProjected)
      #expect(try router.outcome(id).summary == "deleted compute-1")
      #expect(try router.outcome(new).summary == "found compute-1")
      try store.append(
        .instance(id, .unmapped(store.mapping(cell, mark: true))), project: isProjected)
      #expect(try router.outcome(id).summary == "unknown")
      #expect(try router.mapping(of: id) == nil)
    }
  }

  @Test(arguments: [true, false])
  func `an address change acts at the next call`(isProjected: Bool) throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = try store.addInstance(cell, file)
      let moved = store.folder + "/elsewhere.sqlite"
      let router = try store.router()
      #expect(try router.host(id) == "compute-1")
      #expect(rename(file.path, moved) == 0)
      let before = try store.record(cell, "cell1", database: "sqlite:///cell1.sqlite")
      let after = try store.record(cell, "cell1", database: "sqlite:///elsewhere.sqlite")
      try store.append(
        .cell(cell, .addressesChanged(from: before.addresses, to: after.addresses)),
        project: isProjected)
      let held = try #require(try router.mapping(of: id)?.target)
      #expect(held.publicDatabase == "sqlite:///elsewhere.sqlite")
      #expect(held.publicQueue == nil)
      #expect(try router.host(id) == "compute-1")
    }
  }

  @Test(arguments: [true, false])
  func `removing and adding a cell act at the next call`(isProjected: Bool) throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = try store.addInstance(cell, file)
      let router = try store.router()
      #expect(try router.host(id) == "compute-1")
      let record = try store.record(cell, "cell1", database: "sqlite:///cell1.sqlite")
      try store.append(.cell(cell, .removed(record)), project: isProjected)
      #expect(try router.outcome(id).summary == "not in map \(cell)")
      #expect(try router.cells().map(\.id) == [.cell0])
      try store.append(.cell(cell, .added(record)), project: isProjected)
      #expect(try router.host(id) == "compute-1")
    }
  }

  @Test func `a change of a host in the cell is seen without any entry`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = try store.addInstance(cell, file)
      let router = try store.router()
      #expect(try router.host(id) == "compute-1")
      try file.execute("UPDATE instances SET host = 'compute-2'")
      #expect(try router.host(id) == "compute-2")
    }
  }

  @Test(arguments: [999, 1_000, 1_001, 2_500])
  func `long tails are followed`(count: Int) throws {
    try withStore { store in
      let (first, file) = try store.addCell(1)
      let id = try store.addInstance(first, file)
      let router = try store.router()
      #expect(try router.host(id) == "compute-1")
      let others = (1..<count).map { number -> Event in
        .instance(InstanceID(uuid(4, number)), .mapped(store.mapping(first)))
      }
      let last = try store.append(
        [.instance(id, .moved(from: first, to: nil))] + others, project: false)
      #expect(try router.outcome(id).summary == "no cell yet")
      let newest = InstanceID(uuid(4, count - 1))
      #expect(try router.mapping(of: newest)?.changedAt == last)
      #expect(try router.position().index == last)
    }
  }

  @Test func `an index far behind is said to be`() throws {
    try withStore { store in
      let (cell, _) = try store.addCell(1)
      let events = (1...2_500).map { number -> Event in
        .instance(InstanceID(uuid(4, number)), .mapped(store.mapping(cell)))
      }
      let last = try store.append(events, project: false)
      var options = CellRouter.Options()
      options.overlayCapacity = 100
      let router = try store.router(options: options)
      let route = try router.route(InstanceID(uuid(4, 5)), until: soon())
      #expect(route.outcome.summary == "missing")
      #expect(route.behind > 0)
      #expect(route.position.index + route.behind == last)
      try store.project()
      usleep(1_100_000)
      let later = try router.route(InstanceID(uuid(4, 5)), until: soon())
      #expect(later.behind == 0)
      #expect(later.position.index == last)
    }
  }

  @Test func `another generation of the index serves within a second`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = try store.addInstance(cell, file)
      let router = try store.router()
      #expect(try router.host(id) == "compute-1")
      try store.replaceIndex(by: 2)
      #expect(unlink(store.generations.path(of: 1)) == 0)
      usleep(1_100_000)
      #expect(try router.host(id) == "compute-1")
      let new = try store.addInstance(cell, file)
      #expect(try router.host(new) == "compute-1")
      #expect(try router.indexDamage() == nil)
    }
  }

  @Test func `every answer is as new as what was acknowledged before it was asked for`() throws {
    try withStore { store in
      let (first, _) = try store.addCell(1)
      let (second, _) = try store.addCell(2)
      let id = try store.addInstance(first, nil)
      let router = try store.router()
      let acknowledged = Mutex<UInt64>(0)
      let isDone = Mutex(false)
      let stale = Mutex<[String]>([])
      let group = DispatchGroup()
      for _ in 1...3 {
        DispatchQueue(label: "reader").async(group: group) {
          while !isDone.withLock(\.self) {
            let least = acknowledged.withLock(\.self)
            do {
              let mapping = try router.mapping(of: id)
              let changedAt = mapping?.changedAt ?? 0
              if changedAt < least { stale.withLock { $0.append("\(changedAt) < \(least)") } }
            } catch {
              stale.withLock { $0.append("\(error)") }
            }
          }
        }
      }
      for round in 0..<60 {
        let isEven = round.isMultiple(of: 2)
        let index = try store.append(
          .instance(id, .moved(from: isEven ? first : second, to: isEven ? second : first)),
          project: round.isMultiple(of: 3))
        acknowledged.withLock { $0 = index }
      }
      isDone.withLock { $0 = true }
      group.wait()
      #expect(stale.withLock(\.self).isEmpty)
    }
  }
}

/// An index that can't be read: cells are asked instead.
@Suite(.waiting) struct DamagedIndexTests {
  @Test func `an instance is looked for in the cells while the index is damaged`() throws {
    try withStore { store in
      let (first, firstFile) = try store.addCell(1)
      let (second, secondFile) = try store.addCell(2)
      let kept = try store.addInstance(first, firstFile)
      let lost = try store.addInstance(second, secondFile, ["host": "'h'"])
      let router = try store.router()
      #expect(try router.host(kept) == "compute-1")
      #expect(unlink(store.folder + "/store/CURRENT") == 0)
      usleep(1_100_000)
      // What the cache has is still true; the rest is found in its cell.
      #expect(try router.outcome(kept).summary == "found compute-1")
      #expect(try router.outcome(lost).summary == "found by search h")
      #expect(try router.outcome(InstanceID(uuid(3, 99))).summary == "unknown incomplete")
      #expect(try router.indexDamage() == .fault(.noCurrent))
      let name = try store.record(first, "cell1", database: nil)
      try store.append(.cell(first, .addressesChanged(from: name.addresses, to: name.addresses)))
      #expect(try router.outcome(kept).summary == "without database")
      try store.replaceIndex(by: 2)
      usleep(1_100_000)
      #expect(try router.outcome(lost).summary == "found h")
      #expect(try router.indexDamage() == nil)
    }
  }

  @Test func `a router that loses its index still tells one cell's database from another's`() throws
  {
    try withStore { store in
      let (first, firstFile) = try store.addCell(1)
      let (second, secondFile) = try store.addCell(2)
      let ids = [
        try store.addInstance(first, firstFile), try store.addInstance(second, secondFile),
      ]
      let router = try store.router()
      #expect(try router.position().index > 0)
      #expect(unlink(store.folder + "/store/CURRENT") == 0)
      let kept = store.folder + "/kept"
      #expect(rename(firstFile.path, kept) == 0 && rename(secondFile.path, firstFile.path) == 0)
      #expect(rename(kept, secondFile.path) == 0)
      usleep(1_100_000)
      for router in [router, try store.router()] {
        for id in ids { #expect(try router.outcome(id).summary == "unknown incomplete") }
        #expect(try router.indexDamage() != nil)
      }
    }
  }

  @Test func `a damaged row is never answered, and found in its cell`() throws {
    try withStore { store in
      let (first, firstFile) = try store.addCell(1)
      let (second, _) = try store.addCell(2)
      let id = try store.addInstance(first, firstFile)
      #expect(try store.router().indexDamage() == nil)
      let path = store.generations.path(of: 1)
      try SQLiteConnection(path: path, mode: .readWrite).execute(
        "UPDATE instance SET cell = x'\(hexadecimal(second.uuid))'")
      let router = try store.router()
      #expect(try router.outcome(id).summary == "found by search compute-1")
      #expect(try router.indexDamage() != nil)
      try SQLiteConnection(path: path, mode: .readWrite).execute("DELETE FROM instance")
      #expect(try router.outcome(id).summary == "found by search compute-1")
    }
  }

  @Test func `no flipped bit makes a wrong route or a false unknown`() throws {
    try withStore { store in
      var expected: [InstanceID: String] = [:]
      for number in 1...3 {
        let (cell, file) = try store.addCell(number)
        for host in 1...8 {
          let id = try store.addInstance(cell, file, ["host": "'c\(number)-h\(host)'"])
          expected[id] = "c\(number)-h\(host)"
        }
      }
      try #require(try store.projector.moveWAL())
      let path = store.generations.path(of: 1)
      let good = try Data(contentsOf: URL(fileURLWithPath: path))
      let seed = UInt64.random(in: 0...UInt64.max)
      print("seed \(seed)")
      var generator = SplitMix(state: seed)
      var damages = 0
      for _ in 1...150 {
        var flipped = good
        let bit = Int.random(in: 0..<good.count * 8, using: &generator)
        flipped[bit / 8] ^= 1 << UInt8(bit % 8)
        try flipped.write(to: URL(fileURLWithPath: path))
        let router = try store.router()
        for (id, host) in expected {
          do throws(RouterError) {
            let outcome = try router.route(id, until: soon()).outcome
            let isRight = ["found \(host)", "found by search \(host)"].contains(outcome.summary)
            // Where the evidence or the cells can't be read, no cell can be trusted or asked.
            let isHonest =
              outcome.summary == "unknown incomplete"
              || outcome.summary.contains("could not be checked")
            #expect(isRight || isHonest, "bit \(bit) of \(seed): \(outcome.summary)")
            if !isRight { #expect(try router.indexDamage() != nil) }
          } catch {
            guard case .index = error else { throw error }
            damages += 1
          }
        }
      }
      print("\(damages) questions without an index")
    }
  }

  @Test func `without any index the cells are those of the journal`() throws {
    try withStore { store in
      let (first, firstFile) = try store.addCell(1)
      let (second, secondFile) = try store.addCell(2)
      let id = try store.addInstance(second, secondFile, ["host": "'h'"])
      try store.append(.cell(first, .removed(store.record(first, "cell1", database: nil))))
      #expect(unlink(store.folder + "/store/CURRENT") == 0)
      let router = try store.router()
      guard case .foundBySearch(let live, let search) = try router.outcome(id) else {
        Issue.record("the cells are asked")
        return
      }
      #expect(live.placement.host == "h")
      #expect(live.target.publicQueue == "rabbit://nova:****@127.0.0.1:5672/cell2")
      #expect(live.isCellProven)
      #expect(search.answered == [second])
      // A change of a cell acts at the next call here too.
      let (third, thirdFile) = try store.addCell(3)
      let other = InstanceID(uuid(3, 90))
      try thirdFile.add(other, ["host": "'new'"])
      #expect(try router.outcome(other).summary == "found by search new")
      #expect(try router.cells().map(\.id) == [.cell0, second, third].sorted())
      #expect(firstFile.path != thirdFile.path)
    }
  }

  @Test func `without any index another cell's database is refused all the same`() throws {
    try withStore { store in
      let (_, firstFile) = try store.addCell(1)
      let (second, secondFile) = try store.addCell(2)
      let id = try store.addInstance(second, secondFile)
      #expect(unlink(store.folder + "/store/CURRENT") == 0)
      #expect(rename(secondFile.path, firstFile.path) == 0)
      guard case .unknown(let search?) = try store.router().outcome(id) else {
        Issue.record("no answer from a database that isn't its cell's")
        return
      }
      #expect(search.answered.isEmpty && !search.isComplete)
    }
  }

  @Test func `an index that puts the journal in doubt leaves nothing to say`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = try store.addInstance(cell, file)
      try withStore { other in
        let (ours, theirs) = (store.generations.path(of: 1), other.generations.path(of: 1))
        for suffix in ["", "-wal", "-shm"] {
          unlink(ours + suffix)
          try? FileManager.default.copyItem(atPath: theirs + suffix, toPath: ours + suffix)
        }
        let router = try store.router()
        #expect(
          throws: RouterError.index(.fault(.otherStore(path: ours, found: other.journal.store)))
        ) { try router.route(id, until: soon()) }
      }
    }
  }

  private func hexadecimal(_ uuid: UUID128) -> String {
    String(uuid.description.filter { $0 != "-" })
  }
}

/// A generator whose numbers a seed repeats (Steele, Lea and Flood: SplitMix).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}
