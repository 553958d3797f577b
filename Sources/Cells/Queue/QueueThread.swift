internal import Dispatch
internal import Glibc
internal import Journal
internal import Synchronization

/// The thread of one connection, and the only one that touches it: librabbitmq wants it so.
///
/// Callers hand it one piece of work at a time and wait until their deadline. Work keeps to the
/// deadline by itself, but for what librabbitmq doesn't break off: resolving a name, and writing to
/// a broker that reads no more. Then the caller leaves the thread behind, which ends by itself.
final class QueueThread: Sendable {
  typealias Work = @Sendable (QueueSession) -> DeliveryFault?

  private struct State {
    var job: Job?
    var isClosing = false
    /// Of the open connection; nil while there is none.
    var descriptor: Int32?
    /// The broker that is being tried or worked with.
    var server: ServerAddress?
  }

  private struct Job: Sendable {
    let deadline: ContinuousClock.Instant
    let work: Work
    let done: @Sendable (DeliveryFault?) -> Void
  }

  private let state = Mutex(State())
  private let wake = DispatchSemaphore(value: 0)
  private let ended = DispatchSemaphore(value: 0)
  private let location: QueueLocation
  private let order: BrokerOrder
  /// How long the connection is kept without work.
  private let idleTime: Duration

  /// How much later than its deadline work may answer before it is left behind.
  private static let grace = Duration.milliseconds(50)

  /// Starts the thread; it connects with its first work.
  ///
  /// - Parameter onEnd: Called when it has ended, whether or not anybody still waits for it.
  init(
    to location: QueueLocation, order: BrokerOrder, idleTime: Duration,
    onEnd: @escaping @Sendable (QueueThread) -> Void
  ) throws(QueueFault) {
    self.location = location
    self.order = order
    self.idleTime = idleTime
    let isStarted = OwnThread.start { [self] in
      run()
      onEnd(self)
      ended.signal()
    }
    guard isStarted else {
      throw .unreachable(
        location.brokers.map { BrokerFailure(server: $0.server, fault: .system(code: EAGAIN)) })
    }
  }

  // MARK: For callers

  /// Whether a connection is open.
  var isConnected: Bool { state.withLock { $0.descriptor != nil } }

  /// Does a piece of work on the connection, which is opened first if it isn't.
  ///
  /// After any fault the connection is closed, and the thread ends.
  ///
  /// - Returns: The broker that was worked with.
  func perform(
    until deadline: ContinuousClock.Instant, _ work: @escaping Work
  ) throws(DeliveryFault) -> ServerAddress {
    let outcome = JobOutcome()
    state.withLock { state in
      precondition(state.job == nil, "a connection has one user at a time")
      state.job = Job(deadline: deadline, work: work) { outcome.finish($0) }
    }
    wake.signal()
    guard let answer = outcome.wait(until: deadline + Self.grace) else {
      throw .queue(.unreachable([leaveBehind()]))
    }
    if let fault = answer.fault { throw fault }
    guard let server = state.withLock(\.server) else {
      preconditionFailure("work is done with a broker")
    }
    return server
  }

  /// Closes the connection once its work is done; waits for that, at most until `deadline`.
  func close(until deadline: ContinuousClock.Instant = .now) {
    state.withLock { $0.isClosing = true }
    wake.signal()
    let nanoseconds = ContinuousClock.now.duration(to: deadline) / .nanoseconds(1)
    if nanoseconds > 0 { _ = ended.wait(timeout: .now() + .nanoseconds(Int(nanoseconds))) }
  }

  /// Ends whatever the thread is blocked in, as far as that can be done from outside.
  private func leaveBehind() -> BrokerFailure {
    state.withLock { state in
      state.isClosing = true
      let server = state.server ?? location.brokers[0].server
      guard let descriptor = state.descriptor else {
        return BrokerFailure(server: server, fault: server.isName ? .nameUnresolved : .silent)
      }
      // The thread closes it, and takes it out of the state first.
      shutdown(descriptor, Int32(SHUT_RDWR))
      return BrokerFailure(server: server, fault: .silent)
    }
  }

  // MARK: The thread

  private func run() {
    var session: QueueSession?
    var lastUse = ContinuousClock.now
    // Often enough that neither side takes the other for dead.
    let seconds = Int(location.heartbeatSeconds)
    let heartbeat = seconds == 0 ? 10_000 : seconds * 250
    let milliseconds = max(50, min(heartbeat, 10_000, Int(idleTime / .milliseconds(1))))
    while true {
      let isWoken = wake.wait(timeout: .now() + .milliseconds(milliseconds)) == .success
      let next = state.withLock { state in
        defer { state.job = nil }
        return (job: state.job, isClosing: state.isClosing)
      }
      if let job = next.job {
        let fault = work(off: job, on: &session)
        if fault != nil { drop(&session) }
        job.done(fault)
        if fault != nil { return }
        lastUse = .now
      } else if next.isClosing {
        break
      } else if !isWoken {
        let isIdle = lastUse.duration(to: .now) >= idleTime
        if isIdle || (try? session?.keepAlive()) == nil { break }
      }
    }
    session?.close()
    drop(&session)
  }

  private func work(off job: Job, on session: inout QueueSession?) -> DeliveryFault? {
    if session == nil {
      do throws(QueueFault) {
        session = try open(until: job.deadline)
      } catch {
        return .queue(error)
      }
    }
    guard let session else { preconditionFailure("the session was opened") }
    return job.work(session)
  }

  /// Closes the connection; its descriptor is out of others' reach first.
  private func drop(_ session: inout QueueSession?) {
    state.withLock { $0.descriptor = nil }
    session = nil
  }

  /// Tries the brokers in their order, each for its share of the time that is left.
  private func open(until deadline: ContinuousClock.Instant) throws(QueueFault) -> QueueSession {
    var failures: [BrokerFailure] = []
    let brokers = order.brokers
    for (place, broker) in brokers.enumerated() {
      let left = ContinuousClock.now.duration(to: deadline)
      let share = ContinuousClock.now + left / (brokers.count - place)
      state.withLock { $0.server = broker.server }
      do throws(BrokerFault) {
        // librabbitmq resolves the name once more, and has no deadline there.
        guard broker.server.resolves(until: share) else { throw .nameUnresolved }
        let session = try QueueSession(to: broker, by: location, until: share)
        state.withLock { $0.descriptor = session.descriptor }
        order.prefer(broker.server)
        return session
      } catch {
        failures.append(BrokerFailure(server: broker.server, fault: error))
      }
    }
    throw .unreachable(failures)
  }
}

/// The fault of a job, or none, handed from the thread to the caller.
private final class JobOutcome: Sendable {
  private let answer = Mutex<(fault: DeliveryFault?, isThere: Bool)>((nil, false))
  private let semaphore = DispatchSemaphore(value: 0)

  func finish(_ fault: DeliveryFault?) {
    answer.withLock { $0 = (fault, true) }
    semaphore.signal()
  }

  /// nil if there is none until `deadline`.
  func wait(until deadline: ContinuousClock.Instant) -> (fault: DeliveryFault?, isThere: Bool)? {
    let nanoseconds = max(0, ContinuousClock.now.duration(to: deadline) / .nanoseconds(1))
    _ = semaphore.wait(timeout: .now() + .nanoseconds(Int(min(nanoseconds, 3.6e12))))
    let answer = answer.withLock { $0 }
    return answer.isThere ? answer : nil
  }
}

/// In which order the brokers of a cluster are tried: shuffled once, so that many routers spread
/// over them; then the one that worked last first.
final class BrokerOrder: Sendable {
  private let order: Mutex<[Broker]>

  init(_ brokers: [Broker]) { order = Mutex(brokers.shuffled()) }

  var brokers: [Broker] { order.withLock { $0 } }

  /// Turns the list round until a broker is its first.
  func prefer(_ server: ServerAddress) {
    order.withLock { order in
      guard let place = order.firstIndex(where: { $0.server == server }) else { return }
      order = Array(order[place...] + order[..<place])
    }
  }
}
