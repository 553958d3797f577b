import Dispatch
import Glibc
import Journal
import Projections
import Synchronization
import TestSupport
import Testing

@testable import Cells

@Suite struct CircuitBreakerTests {
  private let missing = CellError.fileMissing(cell: cell, path: "/nowhere/cell.sqlite")

  private func quickSettings(failures: Int = 3) -> CellPoolSettings {
    var settings = CellPoolSettings()
    settings.breaker.failures = failures
    settings.breaker.firstPause = .milliseconds(30)
    settings.breaker.longestPause = .milliseconds(60)
    settings.breaker.probeTime = .milliseconds(200)
    return settings
  }

  private func pool(
    at path: String, _ settings: CellPoolSettings, identity: IdentityKnowledge = .none
  ) -> CellConnectionPool {
    CellConnectionPool(
      cell: cell, location: .sqlite(path: path), identity: identity, settings: settings)
  }

  private func call(_ pool: CellConnectionPool, _ milliseconds: Int = 60_000) throws(CellError) {
    try pool.withConnection(until: soon(milliseconds)) { _ throws(CellError) in }
  }

  /// Waits until a pool answers again, without calling it meanwhile.
  private func waitUntilClosed(_ pool: CellConnectionPool) -> Bool {
    eventually { pool.condition.breaker == .closed }
  }

  @Test func `opens after failures in a row, and then fails at once with the last of them`() throws
  {
    var settings = quickSettings()
    settings.breaker.firstPause = .seconds(60)
    let pool = pool(at: "/nowhere/cell.sqlite", settings)
    for count in 1...3 {
      #expect(throws: missing) { try call(pool) }
      if count < 3 {
        #expect(pool.condition.breaker == .failing(failures: count, last: missing))
      }
    }
    let skipped = CellError.skippedByBreaker(cell: cell, failures: 3, last: missing)
    #expect(throws: skipped) { try call(pool) }
    #expect(throws: skipped) { try pool.run(until: soon()) {} }
    #expect(skipped.description.contains("no such file"))
    guard case .open(_, 3, missing) = pool.condition.breaker else {
      Issue.record("\(pool.condition.breaker)")
      return
    }
  }

  @Test func `an answer between failures keeps it closed`() throws {
    try withCell { file in
      let pool = pool(at: file.path, quickSettings())
      for _ in 1...4 {
        for _ in 1...2 {
          #expect(throws: missing) {
            try pool.withConnection(until: soon()) { _ throws(CellError) in throw missing }
          }
        }
        try call(pool)
        #expect(pool.condition.breaker == .closed)
      }
    }
  }

  @Test func `closes again by itself once the cell is back`() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/cell.sqlite"
      let pool = pool(at: path, quickSettings())
      for _ in 1...3 { #expect(throws: CellError.self) { try call(pool) } }
      _ = try NovaCellFile.make(at: path)
      #expect(waitUntilClosed(pool))
      try call(pool)
    }
  }

  @Test func `probes one at a time, at growing pauses, and lets no caller wait for one`() throws {
    try withCell { file in
      let probes = Mutex((running: 0, held: 0, most: 0, count: 0))
      let isHeld = Mutex(false)
      let release = DispatchSemaphore(value: 0)
      let knowledge = IdentityKnowledge(
        recorded: { _ throws(CellError) in
          probes.withLock {
            $0.running += 1
            $0.count += 1
            $0.most = max($0.most, $0.running)
          }
          if isHeld.withLock(\.self) {
            probes.withLock { $0.held += 1 }
            release.wait()
          }
          usleep(20_000)
          probes.withLock { $0.running -= 1 }
          throw .failed(cell: cell, operation: "test", code: 1)
        }, cellsRecording: { _ in [] })
      let pool = pool(at: file.path, quickSettings(failures: 1), identity: knowledge)
      let begin = ContinuousClock.now
      #expect(throws: CellError.self) { try call(pool) }
      while begin.duration(to: .now) < .milliseconds(400) {
        #expect(throws: CellError.self) { try call(pool) }
        usleep(1_000)
      }
      // The first call; then pauses of 30, 60, 60 … and 20 for each probe: time for six of them.
      #expect(eventually { probes.withLock { $0.count } >= 2 })
      #expect(
        Double(probes.withLock { $0.count }) <= 2 + begin.duration(to: .now) / .milliseconds(70))
      // Callers come back while a probe hangs.
      isHeld.withLock { $0 = true }
      #expect(eventually { probes.withLock { $0.held } == 1 })
      for _ in 1...5 { #expect(throws: CellError.self) { try call(pool) } }
      let now = probes.withLock { [$0.held, $0.running, $0.most] }
      #expect(now == [1, 1, 1])
      isHeld.withLock { $0 = false }
      release.signal()
    }
  }

  @Test func `counts a deadline only if the cell was waited for`() throws {
    try withCell { file in
      let writer = try file.connect()
      try writer.execute("BEGIN EXCLUSIVE")
      let settings = quickSettings(failures: 1)
      var patientSettings = settings
      patientSettings.breaker.countedWait = .seconds(600)
      let patient = pool(at: file.path, patientSettings)
      for _ in 1...3 { #expect(throws: CellError.locked(cell: cell)) { try call(patient, 5) } }
      #expect(patient.condition.breaker == .closed)
      let usual = pool(at: file.path, settings)
      #expect(throws: CellError.locked(cell: cell)) { try call(usual, 150) }
      #expect(throws: CellError.self) { try call(usual) }
      guard case .open = usual.condition.breaker else {
        Issue.record("\(usual.condition.breaker)")
        return
      }
      try writer.execute("COMMIT")
      #expect(waitUntilClosed(usual))
      try call(usual)
    }
  }

  @Test func `a cell that answers wrongly isn't down`() throws {
    try withCell { file in
      let pool = pool(at: file.path, quickSettings(failures: 1))
      let wrong: [CellError] = [
        .wrongCell(cell: cell, actual: cell), .identityUnknown(cell: cell, known: 1),
        .badValue(cell: cell, column: "c", found: "f"), .notACell(cell: cell, missing: "m"),
      ]
      for error in wrong {
        #expect(throws: error) {
          try pool.withConnection(until: soon()) { _ throws(CellError) in throw error }
        }
      }
      #expect(pool.condition.breaker == .closed)
    }
  }

  @Test func `a probe that finds another cell closes it, and callers are told`() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/cell.sqlite"
      let knowledge = IdentityKnowledge(
        recorded: { _ in
          RecordedIdentity(services: [uuid(1, 1)], computeNodes: [], instances: [])
        }, cellsRecording: { _ in [] })
      let pool = pool(at: path, quickSettings(), identity: knowledge)
      for _ in 1...3 { #expect(throws: CellError.self) { try call(pool) } }
      _ = try NovaCellFile.make(at: path)
      #expect(waitUntilClosed(pool))
      #expect(throws: CellError.identityUnknown(cell: cell, known: 1)) { try call(pool) }
    }
  }
}
