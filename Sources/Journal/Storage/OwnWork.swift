internal import Dispatch
internal import Synchronization

/// Work on a thread of its own, and what it came to.
public final class OwnWork<Success: Sendable, Failure: Error>: Sendable {
  private let ending = Mutex<Result<Success, Failure>?>(nil)
  private let done = DispatchSemaphore(value: 0)

  /// Begins it; where the system has no thread for it, it is done on return.
  public init(_ work: @escaping @Sendable () throws(Failure) -> Success) {
    let isStarted = OwnThread.start { [self] in run(work) }
    if !isStarted { run(work) }
  }

  private func run(_ work: () throws(Failure) -> Success) {
    let result: Result<Success, Failure>
    do throws(Failure) { result = .success(try work()) } catch { result = .failure(error) }
    ending.withLock { $0 = result }
    done.signal()
  }

  /// Blocks until it has ended.
  public func wait() {
    done.wait()
    done.signal()
  }

  /// What it came to; blocks until it has ended.
  public func result() throws(Failure) -> Success {
    wait()
    guard let result = ending.withLock({ $0 }) else { preconditionFailure("it has ended") }
    return try result.get()
  }
}
