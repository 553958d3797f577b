internal import Dispatch
public import Journal
internal import Synchronization

/// The connections to one cell: opened on demand, bounded, each lent to one thread at a time.
///
/// Every cell has a pool of its own, so that no work for one cell waits behind another. A
/// connection is closed after any error, and after a minute without work.
public final class CellConnectionPool: Sendable {
  public let cell: CellID
  public let location: CellDatabaseLocation
  /// The most connections at a time; who comes when all are at work waits until its deadline.
  public let limit: Int

  private let knowledge: IdentityKnowledge
  private let slots: DispatchSemaphore
  private let idle = Mutex<[IdleConnection]>([])

  private struct IdleConnection {
    let lent: LentConnection
    let since: ContinuousClock.Instant
  }

  /// How long a connection is kept without work.
  private static let idleTime = Duration.seconds(60)
  /// How long a connection is kept whose database could not be proven to be the cell's: evidence
  /// may have come meanwhile, or become readable again.
  private static let unprovenTime = Duration.seconds(1)

  public init(
    cell: CellID, location: CellDatabaseLocation, identity knowledge: IdentityKnowledge,
    limit: Int = 8
  ) {
    precondition(limit > 0, "a pool has at least one connection")
    self.cell = cell
    self.location = location
    self.limit = limit
    self.knowledge = knowledge
    slots = DispatchSemaphore(value: limit)
  }

  /// Calls `body` with a connection to a database that was checked to be the cell's own.
  ///
  /// Blocks the calling thread until `deadline` at most, waiting for a connection included.
  ///
  /// - Throws: What `body` throws, after which the connection is closed; everything of
  ///   `CellConnection.open`; `connectionsBusy`; `wrongCell`, `identityUnknown` and
  ///   `identityUnreadable` before a row is used.
  public func withConnection<Result>(
    until deadline: ContinuousClock.Instant,
    _ body: (LentConnection) throws(CellError) -> Result
  ) throws(CellError) -> Result {
    try waitForSlot(until: deadline)
    defer { slots.signal() }
    var taken = try takeIdle(until: deadline)
    if taken == nil { taken = try openChecked(until: deadline) }
    guard let lent = taken else { preconditionFailure("a connection was taken or opened") }
    let result = try body(lent)
    idle.withLock { $0.append(IdleConnection(lent: lent, since: .now)) }
    return result
  }

  /// Closes the connections that nobody uses.
  public func closeIdle() {
    idle.withLock { $0.removeAll() }
  }

  /// The number of open connections that nobody uses.
  public var idleCount: Int { idle.withLock(\.count) }

  private func waitForSlot(until deadline: ContinuousClock.Instant) throws(CellError) {
    // A moment long past: takes a free slot and never waits.
    if slots.wait(timeout: DispatchTime(uptimeNanoseconds: 1)) == .success { return }
    let remaining = ContinuousClock.now.duration(to: deadline)
    let nanoseconds = max(0, remaining / .nanoseconds(1))
    let limitNanoseconds = Int(min(nanoseconds, 3.6e12))
    guard slots.wait(timeout: .now() + .nanoseconds(limitNanoseconds)) == .success else {
      throw .connectionsBusy(cell: cell, limit: limit)
    }
  }

  /// The connection used last; those that stood idle for long are closed.
  private func takeIdle(until deadline: ContinuousClock.Instant) throws(CellError)
    -> LentConnection?
  {
    let taken = idle.withLock { idle -> LentConnection? in
      guard let last = idle.popLast() else { return nil }
      if let oldest = idle.first, oldest.since.duration(to: last.since) > Self.idleTime {
        idle.removeFirst()
      }
      let now = ContinuousClock.now
      if last.since.duration(to: now) > Self.idleTime { return nil }
      let isOld = last.lent.checkedAt.duration(to: now) > Self.unprovenTime
      return last.lent.isProven || !isOld ? last.lent : nil
    }
    guard let taken else { return nil }
    do throws(CellError) {
      try taken.connection.begin(until: deadline)
      return taken
    } catch {
      guard error.isStaleConnection else { throw error }
      closeIdle()
      return nil
    }
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
    case .unknown(let looked): throw .identityUnknown(cell: cell, known: looked)
    }
  }
}

/// A connection for the length of a call, and whether its database was proven to be the cell's.
public struct LentConnection: Sendable {
  public let connection: CellConnection
  /// False where nothing is known of the cell yet.
  public let isProven: Bool
  let checkedAt: ContinuousClock.Instant
}
