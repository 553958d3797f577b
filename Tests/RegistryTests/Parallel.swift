import Foundation
import Synchronization

/// Calls `body` on so many threads of their own at once, and gives what each returned.
func inParallel<Result: Sendable>(
  _ count: Int, _ body: @escaping @Sendable (Int) -> Result
) -> [Result] {
  let results = Results<Result>(count)
  let group = DispatchGroup()
  for number in 0..<count {
    group.enter()
    Thread {
      let result = body(number)
      results.values.withLock { $0[number] = result }
      group.leave()
    }.start()
  }
  group.wait()
  return results.values.withLock { $0.map { $0! } }
}

private final class Results<Value: Sendable>: Sendable {
  let values: Mutex<[Value?]>
  init(_ count: Int) { values = Mutex(Array(repeating: nil, count: count)) }
}
