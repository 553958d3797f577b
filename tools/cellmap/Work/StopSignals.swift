import Dispatch
import Glibc
import Synchronization

/// SIGTERM and SIGINT, taken as a wish to end: work looks for it between two steps, and a pause ends
/// with it.
final class StopSignals: Sendable {
  private let flag = Atomic<Bool>(false)
  private let raised = DispatchSemaphore(value: 0)
  // Only held, so that they live as long as this does; nobody asks them anything.
  nonisolated(unsafe) private let sources: [any DispatchSourceSignal]

  /// From here on the two signals don't end the process any more.
  init() {
    let queue = DispatchQueue(label: "cellmap.signals")
    sources = [SIGTERM, SIGINT].map { number in
      signal(number, SIG_IGN)
      return DispatchSource.makeSignalSource(signal: number, queue: queue)
    }
    for source in sources {
      source.setEventHandler { [self] in
        flag.store(true, ordering: .releasing)
        raised.signal()
      }
      source.resume()
    }
  }

  /// Whether one of them has come.
  var isRaised: Bool { flag.load(ordering: .acquiring) }

  /// Waits until a moment, or until one of them comes.
  func wait(until moment: ContinuousClock.Instant) {
    if isRaised { return }
    let nanoseconds = ContinuousClock.now.duration(to: moment) / .nanoseconds(1)
    _ = raised.wait(timeout: .now() + .nanoseconds(Int(max(0, min(nanoseconds, 9e15)))))
  }
}
