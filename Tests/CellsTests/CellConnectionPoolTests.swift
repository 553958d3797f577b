import Dispatch
import Glibc
import Journal
import Synchronization
import Testing
import TestSupport

@testable import Cells

@Suite struct CellConnectionPoolTests {
  private func withPool(
    limit: Int = 2, _ body: (CellConnectionPool, NovaCellFile) throws -> Void
  ) throws {
    try withCell { file in
      try file.add(instance)
      var settings = CellPoolSettings()
      settings.connections = limit
      try body(
        CellConnectionPool(
          cell: cell, location: .sqlite(path: file.path), identity: .none, settings: settings),
        file)
    }
  }

  @Test func `opens nothing until it is asked`() throws {
    let pool = CellConnectionPool(
      cell: cell, location: .sqlite(path: "/nowhere/cell.sqlite"), identity: .none)
    #expect(pool.condition.idle == 0)
    #expect(throws: CellError.fileMissing(cell: cell, path: "/nowhere/cell.sqlite")) {
      try pool.withConnection(until: soon()) { _ throws(CellError) in }
    }
  }

  @Test func `keeps a connection for the next call`() throws {
    try withPool { pool, _ in
      for _ in 1...3 {
        _ = try pool.withConnection(until: soon()) { lent throws(CellError) in
          try lent.connection.placement(of: instance)
        }
        #expect(pool.condition.idle == 1)
      }
    }
  }

  @Test func `closes a connection after an error`() throws {
    try withPool { pool, _ in
      #expect(throws: CellError.locked(cell: cell)) {
        try pool.withConnection(until: soon()) { _ throws(CellError) in
          throw .locked(cell: cell)
        }
      }
      #expect(pool.condition.idle == 0)
    }
  }

  @Test func `waits for a connection until the deadline, then says how many there are`() throws {
    try withPool(limit: 1) { pool, _ in
      try pool.withConnection(until: soon()) { _ throws(CellError) in
        let begin = ContinuousClock.now
        #expect(throws: CellError.connectionsBusy(cell: cell, limit: 1)) {
          try pool.withConnection(until: soon(50)) { _ throws(CellError) in }
        }
        #expect(begin.duration(to: .now) >= .milliseconds(45))
      }
      try pool.withConnection(until: soon()) { _ throws(CellError) in }
    }
  }

  @Test func `refuses at once who would be one too many to wait`() throws {
    try withCell { file in
      var settings = CellPoolSettings()
      settings.connections = 1
      settings.waiters = 0
      let pool = CellConnectionPool(
        cell: cell, location: .sqlite(path: file.path), identity: .none, settings: settings)
      try pool.withConnection(until: soon()) { _ throws(CellError) in
        let begin = ContinuousClock.now
        #expect(throws: CellError.connectionsBusy(cell: cell, limit: 1)) {
          try pool.withConnection(until: soon()) { _ throws(CellError) in }
        }
        #expect(begin.duration(to: .now) < .seconds(30))
      }
    }
  }

  @Test func `closes by itself what nobody has used for long`() throws {
    try withCell { file in
      var settings = CellPoolSettings()
      settings.idleTime = .milliseconds(300)
      let pool = CellConnectionPool(
        cell: cell, location: .sqlite(path: file.path), identity: .none, settings: settings)
      for _ in 1...2 {
        try pool.withConnection(until: soon()) { _ throws(CellError) in }
        #expect(pool.condition.idle <= 1)
        #expect(eventually { pool.condition.idle == 0 })
      }
    }
  }

  @Test func `opens a connection anew when it has grown old`() throws {
    try withCell { file in
      var settings = CellPoolSettings()
      settings.connectionLifetime = .seconds(2)
      let pool = CellConnectionPool(
        cell: cell, location: .sqlite(path: file.path), identity: .none, settings: settings)
      func opened() throws(CellError) -> ContinuousClock.Instant {
        try pool.withConnection(until: soon()) { lent throws(CellError) in lent.checkedAt }
      }
      var first: ContinuousClock.Instant
      var isKept: Bool
      // On a busy machine it may have grown old between two calls.
      repeat {
        first = try opened()
        isKept = try opened() == first
      } while !isKept && first.duration(to: .now) > .seconds(1)
      #expect(isKept)
      usleep(2_100_000)
      #expect(try opened() > first)
    }
  }

  @Test func `serves many threads with few connections`() throws {
    try withPool(limit: 3) { pool, _ in
      let failures = Mutex(0)
      DispatchQueue.concurrentPerform(iterations: 400) { _ in
        let found = try? pool.withConnection(until: soon(20_000)) { lent throws(CellError) in
          try lent.connection.placement(of: instance)
        }
        if found == nil { failures.withLock { $0 += 1 } }
      }
      #expect(failures.withLock(\.self) == 0)
      #expect(pool.condition.idle <= 3)
    }
  }

  @Test func `opens the file that replaced the one it had`() throws {
    try withPool { pool, file in
      try pool.withConnection(until: soon()) { _ throws(CellError) in }
      let other = try NovaCellFile.make(at: file.path + ".new")
      try other.add(instance, ["host": "'elsewhere'"])
      try #require(rename(other.path, file.path) == 0)
      // The path is looked at each second.
      usleep(1_100_000)
      let host = try pool.withConnection(until: soon()) { lent throws(CellError) in
        try lent.connection.placement(of: instance)?.host
      }
      #expect(host == "elsewhere")
    }
  }

  @Test func `an unproven database is checked again once evidence may have come`() throws {
    try withCell { file in
      try file.addHost("h", service: uuid(1, 1), node: uuid(2, 1))
      let recorded = Mutex(RecordedCells())
      let pool = CellConnectionPool(
        cell: cell, location: .sqlite(path: file.path),
        identity: IdentityKnowledge(
          recorded: { limit throws(CellError) in
            try recorded.withLock(\.self).knowledge(of: cell).recorded(limit)
          },
          cellsRecording: { uuid throws(CellError) in
            try recorded.withLock(\.self).knowledge(of: cell).cellsRecording(uuid)
          }))
      func isProven() throws(CellError) -> Bool {
        try pool.withConnection(until: soon()) { lent throws(CellError) in lent.isProven }
      }
      #expect(try !isProven())
      let other = CellID(uuid(9, 9))
      recorded.withLock {
        $0.identities[other] = RecordedIdentity(
          services: [uuid(1, 1)], computeNodes: [], instances: [])
      }
      usleep(1_100_000)
      #expect(throws: CellError.wrongCell(cell: cell, actual: other)) { try isProven() }
    }
  }
}
