import Cells
import Glibc
import Journal
import Projections
import Router
import TestSupport
import Testing

@Suite(.waiting) struct RouteAnswerTests {
  @Test func `finds the host, and refers to the cell's addresses`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = try store.addInstance(cell, file)
      let route = try store.router().route(id, until: soon())
      guard case .found(let live) = route.outcome else {
        Issue.record("\(route.outcome)")
        return
      }
      #expect(live.placement.host == "compute-1")
      #expect(live.placement.vmState == "active")
      #expect(live.isCellProven)
      #expect(live.mapping?.cell == cell)
      #expect(live.target.name == "cell1")
      #expect(live.target.publicQueue == "rabbit://nova:****@127.0.0.1:5672/cell1")
      let revealed = try live.target.addresses()
      #expect(revealed.database?.exposedText() == "sqlite:///cell1.sqlite")
      #expect(revealed.queue?.exposedText() == "rabbit://nova:secret@127.0.0.1:5672/cell1")
      #expect(route.position == (try store.journal.refresh().position))
      #expect(route.behind == 0)
    }
  }

  /// The lines of README's section "In a service".
  @Test func `a program of its own opens a store by path, and routes`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = try store.addInstance(cell, file)
      let journal = try EventJournal.open(store.folder + "/store")
      let router = try CellRouter(
        journal: journal, index: IndexGenerations(folder: journal.files.directory),
        keys: try AddressKeys.open(of: journal), base: AddressBase(folder: store.folder))
      let route = try router.route(id, until: .now + .seconds(60))
      guard case .found(let live) = route.outcome else {
        Issue.record("\(route.outcome)")
        return
      }
      #expect(live.placement.host == "compute-1")
      #expect(try live.target.addresses().database != nil)
    }
  }

  @Test func `tells deleted instances, and those queued for it, apart`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let deleted = try store.addInstance(cell, file, ["deleted": "17", "host": "'h1'"])
      let queued = try store.addInstance(cell, file, ["host": "'h2'"], mark: true)
      let neverAsked = try store.addInstance(cell, file, ["host": "'h3'"], mark: nil)
      let router = try store.router()
      #expect(try router.outcome(deleted).summary == "deleted h1")
      #expect(try router.outcome(queued).summary == "deleted h2")
      #expect(try router.outcome(neverAsked).summary == "found h3")
    }
  }

  @Test func `says that an instance has no cell yet`() throws {
    try withStore { store in
      let id = try store.addInstance(nil, nil)
      #expect(try store.router().outcome(id).summary == "no cell yet")
    }
  }

  @Test func `reports an instance that its cell doesn't have`() throws {
    try withStore { store in
      let (cell, _) = try store.addCell(1)
      let id = try store.addInstance(cell, nil)
      #expect(try store.router().outcome(id).summary == "missing")
    }
  }

  @Test func `says that a cell has no database`() throws {
    try withStore { store in
      let id = try store.addInstance(.cell0, nil)
      #expect(try store.router().outcome(id).summary == "without database")
    }
  }

  @Test func `reports a mapping to a cell that the map doesn't hold`() throws {
    try withStore { store in
      let cell = CellID(uuid(9, 77))
      let id = try store.addInstance(cell, nil)
      #expect(try store.router().outcome(id).summary == "not in map \(cell)")
    }
  }

  @Test func `answers with cell, addresses and last known host where the file is missing`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let seen = HostSighting(host: "seen", at: Timestamp("2026-01-01T00:00:00Z")!, source: "scan")
      let known = try store.addInstance(cell, file, lastSeen: seen)
      let never = try store.addInstance(cell, file)
      #expect(unlink(file.path) == 0)
      let router = try store.router()
      for (id, expected) in [(known, seen), (never, nil)] {
        guard
          case .cellUnavailable(let mapping, let target, let why, let lastSeen) =
            try router.outcome(id)
        else {
          Issue.record("the cell can't be asked")
          return
        }
        #expect(mapping.cell == cell)
        #expect(target.publicDatabase == "sqlite:///cell1.sqlite")
        #expect(why == .database(.fileMissing(cell: cell, path: file.path)))
        #expect(lastSeen == expected)
      }
    }
  }

  @Test func `answers about garbage, a foreign schema and a bad value, each by its name`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = try store.addInstance(cell, file, ["deleted": "'x'"])
      let other = try store.addInstance(cell, file)
      let router = try store.router()
      #expect(
        try router.outcome(id).summary
          == "unavailable "
          + CellError.badValue(cell: cell, column: "instances.deleted", found: "text").description)
      #expect(try router.host(other) == "compute-1")
      try file.execute("ALTER TABLE compute_nodes RENAME TO other")
      #expect(
        try store.router().outcome(id).summary
          == "unavailable "
          + CellError.notACell(cell: cell, missing: "table compute_nodes").description)
      let descriptor = open(file.path, O_WRONLY | O_TRUNC)
      write(descriptor, String(repeating: "garbage", count: 99), 693)
      close(descriptor)
      #expect(
        try store.router().outcome(id).summary
          == "unavailable " + CellError.notADatabase(cell: cell, path: file.path).description)
    }
  }

  @Test func `what is recorded of a cell that is gone speaks against none`() throws {
    try withStore { store in
      let (old, file) = try store.addCell(1)
      let new = CellID(uuid(9, 50))
      let record = try store.record(old, "cell1", database: nil)
      let successor = try store.record(new, "cell1", database: "sqlite:///cell1.sqlite")
      let id = try store.addInstance(new, file)
      let router = try store.router()
      for isProjected in [false, true] {
        try store.append(
          .cell(old, .removed(record)), .cell(new, .added(successor)), project: isProjected)
        #expect(try router.outcome(id).summary == "found compute-1")
      }
    }
  }

  @Test func `a locked cell costs its deadline, and no other cell waits for it`() throws {
    try withStore { store in
      let (locked, lockedFile) = try store.addCell(1)
      let (free, freeFile) = try store.addCell(2)
      let stuck = try store.addInstance(locked, lockedFile)
      let others = try (0..<5).map { _ in try store.addInstance(free, freeFile) }
      let router = try store.router()
      let writer = try lockedFile.connect()
      try writer.execute("BEGIN EXCLUSIVE")
      let begin = ContinuousClock.now
      let routes = try router.routes(for: [stuck] + others, until: soon(6_000))
      #expect(begin.duration(to: .now) < .seconds(6) + busyMachine)
      #expect(
        routes.map(\.outcome.summary)
          == ["unavailable " + CellError.locked(cell: locked).description]
          + others.map { _ in "found compute-1" })
      try writer.execute("ROLLBACK")
      #expect(try router.host(stuck) == "compute-1")
    }
  }

  @Test func `says that the map doesn't hold an instance`() throws {
    try withStore { store in
      _ = try store.addCell(1)
      #expect(try store.router().outcome(InstanceID(uuid(3, 99))).summary == "unknown")
    }
  }

  @Test func `looks for an unknown instance in cells that are not covered`() throws {
    try withStore { store in
      let (covered, coveredFile) = try store.addCell(1)
      let (open, openFile) = try store.addCell(2, isCovered: false)
      let hidden = InstanceID(uuid(3, 90))
      let absent = InstanceID(uuid(3, 91))
      let elsewhere = InstanceID(uuid(3, 92))
      try openFile.add(hidden, ["host": "'found'"])
      try coveredFile.add(elsewhere)
      let router = try store.router()
      guard case .foundBySearch(let live, let search) = try router.outcome(hidden) else {
        Issue.record("found in the cell that isn't covered")
        return
      }
      #expect(live.placement.host == "found")
      #expect(live.mapping == nil)
      #expect(search.found == [open])
      #expect(search.answered == [open])
      #expect(try router.outcome(absent).summary == "unknown searched")
      #expect(try router.outcome(elsewhere).summary == "unknown searched")
      // Nova's marker row is there, and no instance.
      try openFile.add(InstanceID(.zero), ["deleted": "7"])
      #expect(try router.outcome(InstanceID(.zero)).summary == "unknown")
      #expect(unlink(openFile.path) == 0)
      #expect(try store.router().outcome(hidden).summary == "unknown incomplete")
      #expect(covered != open)
    }
  }

  @Test func `asks no cell for what the cells don't decide, whatever its coverage`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1, isCovered: false)
      let id = InstanceID(uuid(3, 90))
      try file.add(id)
      func expect(_ events: [ConflictEvent], _ summary: String) throws {
        try store.append(events.map { .conflict(.instance(id), $0) })
        #expect(try store.router().outcome(id).summary == summary)
        #expect(
          try store.router().routes(for: [id], until: soon()).first?.outcome.summary == summary)
      }
      let kind: ByteText = "live in two cells"
      try expect([.found(kind: kind, evidence: "{}")], "in conflict ")
      let unmapped = ConflictDecision.unmapped
      try expect([.resolved(kind: kind, decision: unmapped)], "in conflict unmapped")
      // What a decision has left without a mapping by now is as any other.
      try expect(
        [.resolved(kind: kind, decision: ConflictDecision.cell(cell))], "found by search compute-1")
    }
  }

  @Test func `takes the visible one of two copies`() throws {
    try withStore { store in
      let (_, first) = try store.addCell(1, isCovered: false)
      let (_, second) = try store.addCell(2, isCovered: false)
      let id = InstanceID(uuid(3, 90))
      try first.add(id, ["hidden": "1", "host": "'target'"])
      try second.add(id, ["host": "'source'"])
      guard case .foundBySearch(let live, let search) = try store.router().outcome(id) else {
        Issue.record("found in both")
        return
      }
      #expect(live.placement.host == "source")
      #expect(search.found.count == 2)
    }
  }

  @Test func `a batch answers as single questions do, in their order`() throws {
    try withStore { store in
      var ids: [InstanceID] = []
      for number in 1...3 {
        let (cell, file) = try store.addCell(number)
        for host in 1...20 {
          ids.append(try store.addInstance(cell, file, ["host": "'c\(number)-h\(host)'"]))
        }
        ids.append(try store.addInstance(cell, nil))
        ids.append(try store.addInstance(cell, file, ["deleted": "x'00'"]))
      }
      ids.append(try store.addInstance(nil, nil))
      ids.append(InstanceID(uuid(3, 9_999)))
      ids.shuffle()
      let router = try store.router()
      let single = try store.router()
      for _ in 1...2 {
        let routes = try router.routes(for: ids, until: soon())
        #expect(routes.map(\.instance) == ids)
        for route in routes {
          #expect(route.outcome.summary == (try single.outcome(route.instance).summary))
        }
      }
      #expect(try router.routes(for: [], until: soon()).isEmpty)
    }
  }
}
