internal import Dispatch
internal import Journal
internal import Synchronization

/// A value that another thread gives, once; one that comes too late finds nobody who waits.
final class Awaited<Value: Sendable>: Sendable {
  private let value = Mutex<Value?>(nil)
  private let signal = DispatchSemaphore(value: 0)

  func give(_ value: Value) {
    self.value.withLock { $0 = value }
    signal.signal()
  }

  /// Waits for the value; nil if it hasn't come by `deadline`.
  func wait(until deadline: ContinuousClock.Instant) -> Value? {
    let nanoseconds = ContinuousClock.now.duration(to: deadline) / .nanoseconds(1)
    _ = signal.wait(timeout: .now() + .nanoseconds(Int(max(0, min(nanoseconds, 3.6e12)))))
    return value.withLock(\.self)
  }
}
