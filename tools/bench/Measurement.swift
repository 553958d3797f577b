import CAllocations
import Glibc

/// What one way of doing something took, over several rounds.
///
/// Rounds of two ways are run in turn, so that a busy machine slows both; medians over the rounds
/// are compared.
struct Measurement {
  /// One round: a number of operations in a row.
  struct Round {
    /// Nanoseconds of single operations, or of the operations of a small run on average.
    var samples: [Double]
    /// Nanoseconds of one operation on average, with all that the round had to wait for.
    var mean: Double
    var operations: Int
    var allocations: Int
  }

  private(set) var rounds: [Round] = []

  mutating func add(_ round: Round) { rounds.append(round) }

  /// Nanoseconds of one operation: the median of the rounds' means.
  var nanoseconds: Double { rounds.map(\.mean).sorted().middle }
  /// Operations a second.
  var rate: Double { 1e9 / nanoseconds }

  /// Allocations of one operation, in the round that had the fewest: other threads add to a round.
  var allocations: Double {
    rounds.map { Double($0.allocations) / Double(max(1, $0.operations)) }.min() ?? 0
  }

  /// The value below which a part of the samples stayed.
  func percentile(_ part: Double) -> Double {
    let samples = rounds.flatMap(\.samples).sorted()
    guard !samples.isEmpty else { return 0 }
    return samples[min(samples.count - 1, Int(part * Double(samples.count)))]
  }
}

extension Measurement {
  /// Times `count` calls of `body`, each of which does `size` operations.
  static func round(
    _ count: Int, of size: Int = 1, _ body: (Int) throws -> Void
  ) rethrows -> Round {
    var samples = [Double](repeating: 0, count: count)
    let allocationsBefore = cellmap_allocation_count()
    let start = now()
    for index in 0..<count {
      let before = now()
      try body(index)
      samples[index] = Double(now() - before) / Double(size)
    }
    let nanoseconds = Double(now() - start)
    let allocations = Int(cellmap_allocation_count() - allocationsBefore)
    return Round(
      samples: samples, mean: nanoseconds / Double(count * size), operations: count * size,
      allocations: allocations)
  }

  /// Runs rounds of two ways in turn, each beginning every second time.
  static func inTurn(
    rounds: Int, _ first: (Int) throws -> Round, _ second: (Int) throws -> Round
  ) rethrows -> (Measurement, Measurement) {
    var (one, other) = (Measurement(), Measurement())
    for number in 0..<rounds {
      if number.isMultiple(of: 2) {
        one.add(try first(number))
        other.add(try second(number))
      } else {
        other.add(try second(number))
        one.add(try first(number))
      }
    }
    return (one, other)
  }

  /// Nanoseconds of the system's monotonic clock.
  static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

extension [Double] {
  /// The middle one of sorted values.
  fileprivate var middle: Double {
    if isEmpty { return 0 }
    return isMultipleOfTwo ? (self[count / 2 - 1] + self[count / 2]) / 2 : self[count / 2]
  }

  private var isMultipleOfTwo: Bool { count.isMultiple(of: 2) }
}
