import Foundation
import Synchronization
public import Testing

/// Runs a suite's tests on threads of their own, several times as many as there are processors.
///
/// Tests that wait — for a deadline, a child process, a server that doesn't answer — would otherwise
/// hold the threads of the cooperative pool, of which there is one for each processor, and
/// every other test would wait with them.
public struct OwnThreads: SuiteTrait, TestTrait, TestScoping {
  public let isRecursive = true

  public func provideScope(
    for test: Test, testCase: Test.Case?,
    performing function: @concurrent @Sendable () async throws -> Void
  ) async throws {
    try await withTaskExecutorPreference(WaitingThreads.shared) { try await function() }
  }
}

extension Trait where Self == OwnThreads {
  /// The tests wait more than they compute.
  public static var waiting: Self { OwnThreads() }
}

/// A fixed number of threads that take jobs in the order in which they came.
private final class WaitingThreads: TaskExecutor {
  static let shared = WaitingThreads(count: 3 * ProcessInfo.processInfo.activeProcessorCount)

  private let jobs = Mutex<[UnownedJob]>([])
  private let waiting = DispatchSemaphore(value: 0)

  private init(count: Int) {
    for _ in 0..<count {
      let thread = Thread { [unowned self] in run() }
      thread.stackSize = 8 << 20
      thread.start()
    }
  }

  private func run() -> Never {
    while true {
      waiting.wait()
      let job = jobs.withLock { $0.removeFirst() }
      unsafe job.runSynchronously(on: asUnownedTaskExecutor())
    }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    jobs.withLock { $0.append(job) }
    waiting.signal()
  }
}
