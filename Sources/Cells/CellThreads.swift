internal import Dispatch
internal import Glibc
internal import Journal
internal import Synchronization

/// The threads on which one cell is asked for callers who ask several cells at once: made on
/// demand, bounded, and no other cell's.
///
/// A cell that hangs keeps its own threads busy and nobody else's. What can't begin before its
/// deadline isn't begun.
public final class CellThreads: Sendable {
  private let queue: JobQueue

  /// - Parameters:
  ///   - limit: The most threads at a time.
  ///   - waiters: The most pieces of work that wait for one.
  ///   - idleTime: How long a thread waits for the next piece of work before it ends.
  init(limit: Int, waiters: Int, idleTime: Duration) {
    queue = JobQueue(limit: limit, waiters: waiters, idleTime: idleTime)
  }

  deinit { queue.close() }

  /// Runs `body` on a thread of the cell's, unless `deadline` passes before one is free.
  ///
  /// Returns at once.
  ///
  /// - Returns: False if as many pieces of work wait as may, or the system gives no thread.
  func run(until deadline: ContinuousClock.Instant, _ body: @escaping @Sendable () -> Void) -> Bool
  {
    queue.add(Job(deadline: deadline, body: body))
  }

  /// Blocks the calling thread, which is one of its own.
  static func sleep(for pause: Duration) {
    let parts = pause.components
    var asked = timespec(
      tv_sec: Int(parts.seconds), tv_nsec: Int(parts.attoseconds / 1_000_000_000))
    var left = timespec()
    while unsafe nanosleep(&asked, &left) == -1 && errno == EINTR { asked = left }
  }

  /// The threads that there are now.
  var count: Int { queue.state.withLock(\.threads) }

  fileprivate struct Job: Sendable {
    let deadline: ContinuousClock.Instant
    let body: @Sendable () -> Void
  }

  /// What the threads share; it outlives the owner until the last thread has ended.
  private final class JobQueue: Sendable {
    struct State {
      var jobs: [Job] = []
      var threads = 0
      /// Threads without work, those among them that have yet to begin.
      var idle = 0
      var isClosed = false
    }

    let state = Mutex(State())
    private let limit: Int
    private let waiters: Int
    private let idleNanoseconds: Int
    /// Signalled once for each job, and once for each thread that is to end.
    private let ready = DispatchSemaphore(value: 0)

    init(limit: Int, waiters: Int, idleTime: Duration) {
      self.limit = limit
      self.waiters = waiters
      idleNanoseconds = Int(clamping: Int64(idleTime / .nanoseconds(1)))
    }

    func add(_ job: Job) -> Bool {
      let isNeeded = state.withLock { state -> Bool? in
        if state.threads >= limit, state.jobs.count - state.idle >= waiters {
          // What is too late waits for nobody.
          let now = ContinuousClock.now
          state.jobs.removeAll { $0.deadline <= now }
          if state.jobs.count - state.idle >= waiters { return nil }
        }
        state.jobs.append(job)
        guard state.jobs.count > state.idle, state.threads < limit else { return false }
        state.threads += 1
        state.idle += 1
        return true
      }
      guard let isNeeded else { return false }
      ready.signal()
      if isNeeded, !OwnThread.start({ [self] in work() }) {
        return state.withLock { state in
          state.threads -= 1
          state.idle -= 1
          return state.threads > 0
        }
      }
      return true
    }

    func close() {
      let count = state.withLock { state in
        state.isClosed = true
        return state.threads
      }
      for _ in 0..<count { ready.signal() }
    }

    private func work() {
      while let job = next() {
        if job.deadline > .now { job.body() }
        state.withLock { $0.idle += 1 }
      }
    }

    /// Waits for the next job; nil once the thread, which counts as idle, is to end.
    private func next() -> Job? {
      while true {
        let isSignalled = ready.wait(timeout: .now() + .nanoseconds(idleNanoseconds)) == .success
        let (job, isOver) = state.withLock { state -> (Job?, Bool) in
          if let first = state.jobs.first {
            state.jobs.removeFirst()
            state.idle -= 1
            return (first, false)
          }
          guard state.isClosed || !isSignalled else { return (nil, false) }
          state.threads -= 1
          state.idle -= 1
          return (nil, true)
        }
        if let job { return job }
        if isOver { return nil }
      }
    }
  }
}
