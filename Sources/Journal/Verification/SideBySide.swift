internal import Dispatch
internal import Synchronization

/// Work that is done on all cores.
enum SideBySide {
  /// The results of `body` for each place, in order; it is called on several threads at once.
  static func map<Result: Sendable>(
    _ places: Range<Int>, _ body: @Sendable (Int) -> Result
  ) -> [Result] {
    let results = Mutex<[Int: Result]>([:])
    DispatchQueue.concurrentPerform(iterations: places.count) { place in
      let result = body(places.lowerBound + place)
      results.withLock { $0[place] = result }
    }
    return results.withLock { results in
      (0..<places.count).map { place in
        guard let result = results[place] else { preconditionFailure("each place was worked on") }
        return result
      }
    }
  }
}
