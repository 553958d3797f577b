internal import Dispatch
public import Journal
internal import Synchronization

/// The connections to one cell's brokers: opened on demand, bounded, each on a thread of its own.
///
/// Every cell has a pool of its own, so that no message to one cell waits behind another. A
/// connection is closed after any error, and after its idle time without work. One that is left behind in
/// a call that can't be broken off counts until it ends.
public final class QueuePool: Sendable {
  public let cell: CellID
  public let location: QueueLocation
  let settings: QueuePoolSettings

  private let order: BrokerOrder
  /// The connections that are free to be used or made.
  private let free: DispatchSemaphore
  private let threads = Mutex(Threads())

  private struct Threads {
    var idle: [QueueThread] = []
    var atWork: Set<ObjectIdentifier> = []
  }

  public init(
    cell: CellID, location: QueueLocation, settings: QueuePoolSettings = QueuePoolSettings()
  ) {
    precondition(settings.connections > 0, "a pool has at least one connection")
    self.cell = cell
    self.location = location
    self.settings = settings
    order = BrokerOrder(location.brokers)
    // libdispatch traps where a semaphore goes with less than it began with, as it may here.
    free = DispatchSemaphore(value: 0)
    for _ in 0..<settings.connections { free.signal() }
  }

  deinit {
    for thread in threads.withLock(\.idle) { thread.close() }
  }

  /// Brings a message into its queue, and returns once a broker has confirmed it.
  ///
  /// Blocks the calling thread until `deadline` and a twentieth of a second at most.
  ///
  /// - Throws: A fault of which only `unconfirmed` leaves open whether the message comes.
  public func deliver(
    _ message: QueueMessage, until deadline: ContinuousClock.Instant
  ) throws(QueueError) -> QueueReceipt {
    let progress = DeliveryProgress()
    do throws(QueueFault) {
      let server = try perform(until: deadline, progress: progress) { session in
        do throws(DeliveryFault) {
          let consumers = try session.deliver(
            message, until: deadline, progress: progress)
          progress.consumers.store(consumers, ordering: .releasing)
          return nil
        } catch {
          return error
        }
      }
      return QueueReceipt(
        broker: server, queue: message.queue,
        consumers: progress.consumers.load(ordering: .acquiring))
    } catch {
      throw QueueError(cell: cell, error)
    }
  }

  /// Connects to a broker, unless a connection is open, and says to which.
  public func connect(until deadline: ContinuousClock.Instant) throws(QueueError) -> ServerAddress {
    do throws(QueueFault) {
      // A question whose answer doesn't matter: an open connection shows that it still is.
      return try perform(until: deadline) { session in
        do throws(BrokerFault) {
          _ = try session.ask(after: "compute", until: deadline)
          return nil
        } catch {
          return .broker(BrokerFailure(server: session.server, fault: error))
        }
      }
    } catch {
      throw QueueError(cell: cell, error)
    }
  }

  /// Closes the connections that nobody uses, and waits for their goodbye, a second at most.
  public func closeIdle() {
    let idle = threads.withLock { threads in
      defer { threads.idle = [] }
      return threads.idle
    }
    for thread in idle { thread.close(until: .now + .seconds(1)) }
  }

  /// The number of open connections that nobody uses.
  public var idleCount: Int { threads.withLock { $0.idle.count } }

  // MARK: Connections

  /// Works on a connection; one that has died in its idleness is replaced once, as long as nothing
  /// was sent.
  func perform(
    until deadline: ContinuousClock.Instant, progress: DeliveryProgress = DeliveryProgress(),
    _ work: @escaping QueueThread.Work
  ) throws(QueueFault) -> ServerAddress {
    try waitForFree(until: deadline)
    let first = try take()
    let wasConnected = first.isConnected
    do throws(DeliveryFault) {
      return try run(work, on: first, until: deadline)
    } catch {
      let fault = error.queueFault(progress)
      guard case .broker = error, wasConnected else { throw fault }
      for other in threads.withLock(\.idle) { other.close() }
    }
    try waitForFree(until: deadline)
    let second = try makeThread()
    do throws(DeliveryFault) {
      return try run(work, on: second, until: deadline)
    } catch {
      throw error.queueFault(progress)
    }
  }

  private func run(
    _ work: @escaping QueueThread.Work, on thread: QueueThread,
    until deadline: ContinuousClock.Instant
  ) throws(DeliveryFault) -> ServerAddress {
    let server = try thread.perform(until: deadline, work)
    let isAlive = threads.withLock { threads in
      guard threads.atWork.remove(ObjectIdentifier(thread)) != nil else { return false }
      threads.idle.append(thread)
      return true
    }
    if isAlive { free.signal() }
    return server
  }

  private func waitForFree(until deadline: ContinuousClock.Instant) throws(QueueFault) {
    let nanoseconds = max(0, ContinuousClock.now.duration(to: deadline) / .nanoseconds(1))
    let timeout = DispatchTime.now() + .nanoseconds(Int(min(nanoseconds, 3.6e12)))
    guard free.wait(timeout: timeout) == .success else {
      throw .connectionsBusy(limit: settings.connections)
    }
  }

  /// The connection used last, or a new one.
  private func take() throws(QueueFault) -> QueueThread {
    let idle = threads.withLock { threads -> QueueThread? in
      guard let last = threads.idle.popLast() else { return nil }
      threads.atWork.insert(ObjectIdentifier(last))
      return last
    }
    if let idle { return idle }
    return try makeThread()
  }

  private func makeThread() throws(QueueFault) -> QueueThread {
    do throws(QueueFault) {
      let thread = try QueueThread(to: location, order: order, idleTime: settings.idleTime) {
        [weak self] in
        self?.ended($0)
      }
      threads.withLock { _ = $0.atWork.insert(ObjectIdentifier(thread)) }
      return thread
    } catch {
      free.signal()
      throw error
    }
  }

  private func ended(_ thread: QueueThread) {
    let wasAtWork = threads.withLock { threads in
      threads.idle.removeAll { $0 === thread }
      return threads.atWork.remove(ObjectIdentifier(thread)) != nil
    }
    if wasAtWork { free.signal() }
  }
}

/// How many connections the brokers of one cell may take.
///
/// There is no circuit breaker as for databases: nobody but the caller of a cast or a call waits for
/// the broker, until its own deadline, and each is to be told what the broker says at that moment.
public struct QueuePoolSettings: Hashable, Sendable {
  /// The most connections at a time, each with a thread of its own; who comes when all are at work
  /// waits until its deadline.
  public var connections = 4
  /// How long a connection is kept without work.
  public var idleTime = Duration.seconds(60)

  public init() {}
}

/// How far a delivery has come, seen from its caller.
final class DeliveryProgress: Sendable {
  let isOnItsWay = Atomic<Bool>(false)
  let consumers = Atomic<Int>(0)
}

extension DeliveryFault {
  /// The fault as callers get it; what is broken off once the content is sent may still come.
  fileprivate func queueFault(_ progress: DeliveryProgress) -> QueueFault {
    switch self {
    case .queue(.unreachable(let failures))
    where progress.isOnItsWay.load(ordering: .acquiring) && !failures.isEmpty:
      .unconfirmed(failures[0].server)
    case .queue(let fault): fault
    case .broker(let failure): .unreachable([failure])
    }
  }
}
