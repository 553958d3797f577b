internal import Dispatch
public import Journal
internal import Synchronization

/// The connections to one cell: opened on demand, bounded, each lent to one thread at a time.
///
/// Every cell has a pool, threads and a circuit breaker of its own, so that no work for one cell
/// waits behind another. A connection is closed after any error, after some time without work, and
/// when it has grown old.
public final class CellConnectionPool: Sendable {
  public let cell: CellID
  public let location: CellDatabaseLocation
  public let settings: CellPoolSettings

  let knowledge: IdentityKnowledge
  private let breaker: CircuitBreaker
  private let threads: CellThreads
  private let slots: DispatchSemaphore
  private let waiting = Atomic<Int>(0)
  private let idle = Mutex<[IdleConnection]>([])
  private let lentCount = Atomic<Int>(0)
  private let isTrimming = Atomic<Bool>(false)
  /// The pool's own: closing a connection may wait for a server.
  private let trimming = DispatchQueue(label: "cellmap.idle")
  private let isProbing = Atomic<Bool>(false)

  private struct IdleConnection {
    let lent: LentConnection
    let since: ContinuousClock.Instant
  }

  /// How long a connection is kept whose database could not be proven to be the cell's: evidence
  /// may have come meanwhile, or become readable again.
  private static let unprovenTime = Duration.seconds(1)

  public init(
    cell: CellID, location: CellDatabaseLocation, identity knowledge: IdentityKnowledge,
    settings: CellPoolSettings = CellPoolSettings()
  ) {
    precondition(settings.connections > 0, "a pool has at least one connection")
    self.cell = cell
    self.location = location
    self.settings = settings
    self.knowledge = knowledge
    breaker = CircuitBreaker(for: cell, settings: settings.breaker)
    threads = CellThreads(
      limit: settings.connections, waiters: settings.waiters, idleTime: settings.idleTime)
    slots = DispatchSemaphore(value: settings.connections)
  }

  /// Calls `body` with a connection to a database that was checked to be the cell's own.
  ///
  /// Blocks the calling thread until `deadline` at most, waiting for a connection included.
  ///
  /// - Throws: What `body` throws, after which the connection is closed; everything of
  ///   `CellConnection.open`; `connectionsBusy`; `skippedByBreaker`, at once, while the cell is
  ///   down; `wrongCell`, `identityUnknown` and `identityUnreadable` before a row is used.
  public func withConnection<Result>(
    until deadline: ContinuousClock.Instant,
    _ body: (LentConnection) throws(CellError) -> Result
  ) throws(CellError) -> Result {
    try breaker.admit()
    try waitForSlot(until: deadline)
    lentCount.add(1, ordering: .relaxed)
    defer {
      lentCount.subtract(1, ordering: .relaxed)
      slots.signal()
    }
    let begin = ContinuousClock.now
    do throws(CellError) {
      let lent = try connection(at: begin, until: deadline)
      let result = try body(lent)
      breaker.succeeded()
      giveBack(lent)
      return result
    } catch {
      if breaker.failed(error, after: begin.duration(to: .now)) { startProbing() }
      throw error
    }
  }

  /// Runs `body` on one of the cell's own threads, and returns at once.
  ///
  /// It doesn't run if no thread is free before `deadline`.
  ///
  /// - Throws: `skippedByBreaker` while the cell is down; `connectionsBusy` if too much waits.
  public func run(
    until deadline: ContinuousClock.Instant, _ body: @escaping @Sendable () -> Void
  ) throws(CellError) {
    try breaker.admit()
    guard threads.run(until: deadline, body) else {
      throw .connectionsBusy(cell: cell, limit: settings.connections)
    }
  }

  /// Closes the connections that nobody uses.
  public func closeIdle() {
    idle.withLock { $0.removeAll() }
  }

  /// What it has open, and whether the cell counts as up.
  public var condition: CellPoolCondition {
    CellPoolCondition(
      inUse: lentCount.load(ordering: .relaxed), idle: idle.withLock(\.count),
      waiting: waiting.load(ordering: .relaxed), threads: threads.count,
      breaker: breaker.condition)
  }

  // MARK: Slots

  private func waitForSlot(until deadline: ContinuousClock.Instant) throws(CellError) {
    // A moment long past: takes a free slot and never waits.
    if slots.wait(timeout: DispatchTime(uptimeNanoseconds: 1)) == .success { return }
    let isOneTooMany = waiting.add(1, ordering: .relaxed).newValue > settings.waiters
    defer { waiting.subtract(1, ordering: .relaxed) }
    let remaining = ContinuousClock.now.duration(to: deadline)
    let nanoseconds = max(0, remaining / .nanoseconds(1))
    let limitNanoseconds = Int(min(nanoseconds, 3.6e12))
    guard !isOneTooMany, slots.wait(timeout: .now() + .nanoseconds(limitNanoseconds)) == .success
    else {
      throw .connectionsBusy(cell: cell, limit: settings.connections)
    }
  }

  // MARK: Connections

  private func connection(
    at now: ContinuousClock.Instant, until deadline: ContinuousClock.Instant
  ) throws(CellError) -> LentConnection {
    if let taken = takeIdle(at: now) {
      do throws(CellError) {
        try taken.connection.begin(until: deadline)
        return taken
      } catch {
        guard error.isStaleConnection else { throw error }
        closeIdle()
      }
    }
    return try openChecked(until: deadline)
  }

  /// The connection used last; those that are past their time are closed.
  private func takeIdle(at now: ContinuousClock.Instant) -> LentConnection? {
    idle.withLock { idle in
      while let last = idle.popLast() {
        if isUsable(last, at: now) { return last.lent }
      }
      return nil
    }
  }

  private func isUsable(_ connection: IdleConnection, at now: ContinuousClock.Instant) -> Bool {
    let age = connection.lent.checkedAt.duration(to: now)
    if !connection.lent.isProven && age > Self.unprovenTime { return false }
    return age <= settings.connectionLifetime
      && connection.since.duration(to: now) <= settings.idleTime
  }

  private func giveBack(_ lent: LentConnection) {
    // Behind the lock: a trimming that has just found nothing more to do has to have ended.
    let isFirst = idle.withLock { idle in
      idle.append(IdleConnection(lent: lent, since: .now))
      return !isTrimming.load(ordering: .relaxed)
        && !isTrimming.exchange(true, ordering: .relaxed)
    }
    if isFirst { trimLater() }
  }

  /// Closes what nobody has used for long, though no further call may come.
  private func trimLater() {
    let nanoseconds = Int(min(settings.idleTime / .nanoseconds(1), 3.6e12))
    trimming.asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) {
      [weak self] in self?.trim()
    }
  }

  private func trim() {
    let now = ContinuousClock.now
    let isEmpty = idle.withLock { idle in
      idle.removeAll { !isUsable($0, at: now) }
      if idle.isEmpty { isTrimming.store(false, ordering: .relaxed) }
      return idle.isEmpty
    }
    if !isEmpty { trimLater() }
  }

  private func openChecked(until deadline: ContinuousClock.Instant) throws(CellError)
    -> LentConnection
  {
    let connection = try CellConnection.open(location, of: cell, until: deadline)
    try connection.begin(until: deadline)
    switch try CellIdentityCheck.verdict(on: connection, by: knowledge) {
    case .accepted:
      return LentConnection(connection: connection, isProven: true, checkedAt: .now)
    case .unproven:
      return LentConnection(connection: connection, isProven: false, checkedAt: .now)
    case .wrongCell(let actual): throw .wrongCell(cell: cell, actual: actual)
    case .unknown(let looked):
      guard settings.readsUnknown else { throw .identityUnknown(cell: cell, known: looked) }
      return LentConnection(connection: connection, isProven: false, checkedAt: .now)
    }
  }
}

// MARK: - Probing

extension CellConnectionPool {
  /// Looks from time to time, on a thread of its own, whether the cell is back; no caller waits for
  /// it.
  private func startProbing() {
    guard !isProbing.exchange(true, ordering: .acquiringAndReleasing) else { return }
    let isStarted = OwnThread.start { [weak self] in
      while let pause = self?.pauseBeforeProbe() {
        CellThreads.sleep(for: pause)
        self?.probe()
      }
    }
    guard !isStarted else { return }
    isProbing.store(false, ordering: .releasing)
    breaker.cannotProbe()
  }

  /// How long the probing thread waits; nil once it is to end.
  private func pauseBeforeProbe() -> Duration? {
    if let pause = breaker.pause { return pause }
    isProbing.store(false, ordering: .releasing)
    // It may have opened again in between, when this thread still counted as probing.
    guard let pause = breaker.pause, !isProbing.exchange(true, ordering: .acquiringAndReleasing)
    else { return nil }
    return pause
  }

  private func probe() {
    let deadline = ContinuousClock.now.advanced(by: settings.breaker.probeTime)
    do throws(CellError) {
      try waitForSlot(until: deadline)
      defer { slots.signal() }
      giveBack(try openChecked(until: deadline))
      breaker.succeeded()
    } catch {
      // What answers, if only to be refused, isn't down: the next caller is told what it is.
      let isDown: Bool = if case .connectionsBusy = error { true } else { error.isOutage }
      if isDown { breaker.probeFailed(error) } else { breaker.succeeded() }
    }
  }
}

/// A connection for the length of a call, and whether its database was proven to be the cell's.
public struct LentConnection: Sendable {
  public let connection: CellConnection
  /// False where nothing is known of the cell yet.
  public let isProven: Bool
  /// When it was opened.
  let checkedAt: ContinuousClock.Instant
}

/// How a pool stands, for people.
public struct CellPoolCondition: Equatable, Sendable {
  /// Connections at work, and those that wait for it.
  public let inUse: Int
  public let idle: Int
  /// Callers that wait for a connection.
  public let waiting: Int
  /// Threads that ask the cell for callers of several cells.
  public let threads: Int
  public let breaker: BreakerCondition
}
