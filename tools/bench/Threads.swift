import CAllocations
import Glibc
import Synchronization

/// Threads that do the same work at once.
enum Threads {
  /// Times `each` calls on each of `count` threads; the mean is over the time from the first call to
  /// the last answer.
  static func round(
    _ count: Int, each: Int, _ body: @escaping @Sendable (Int, Int) throws -> Void
  ) throws -> Measurement.Round {
    let shared = Shared { thread in
      try Measurement.round(each) { try body(thread, $0) }.samples
    }
    let before = cellmap_allocation_count()
    let start = Measurement.now()
    var handles = [pthread_t](repeating: pthread_t(), count: count)
    for thread in 0..<count {
      let box = Unmanaged.passRetained(Start(shared: shared, thread: thread)).toOpaque()
      let code = pthread_create(
        &handles[thread], nil,
        { pointer in
          Unmanaged<Start>.fromOpaque(pointer!).takeRetainedValue().run()
          return nil
        }, box)
      guard code == 0 else { throw BenchError.library("pthread_create", code) }
    }
    for handle in handles { pthread_join(handle, nil) }
    let nanoseconds = Double(Measurement.now() - start)
    let allocations = Int(cellmap_allocation_count() - before)
    let (samples, failure) = shared.results.withLock(\.self)
    if let failure { throw failure }
    return Measurement.Round(
      samples: samples, mean: nanoseconds / Double(count * each), operations: count * each,
      allocations: allocations)
  }

  private final class Shared: Sendable {
    let results = Mutex<(samples: [Double], failure: (any Error)?)>(([], nil))
    let work: @Sendable (Int) throws -> [Double]

    init(work: @escaping @Sendable (Int) throws -> [Double]) { self.work = work }
  }

  private final class Start: Sendable {
    let shared: Shared
    let thread: Int

    init(shared: Shared, thread: Int) {
      self.shared = shared
      self.thread = thread
    }

    func run() {
      do {
        let samples = try shared.work(thread)
        shared.results.withLock { $0.samples += samples }
      } catch {
        shared.results.withLock { $0.failure = error }
      }
    }
  }
}
