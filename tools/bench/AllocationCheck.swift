import Foundation
import Journal
import Projections
import Router

/// Counts the allocations of the hot paths and compares them with a file, for the checks.
///
/// Counts don't depend on how busy the machine is, so that a rise is a change of the code.
struct AllocationCheck {
  private static let instances = 20_000
  /// What a count may differ by: buffers that grow now and then.
  private static let tolerance = 0.005

  /// Prints each count beside the one of the file.
  ///
  /// - Returns: Whether none has risen.
  static func run(_ folder: String, file: String) throws -> Bool {
    let data = try Data(contentsOf: URL(fileURLWithPath: file))
    let known = try JSONDecoder().decode([String: Double].self, from: data)
    let counts = try count(Fixtures(folder: folder, instances: instances))
    var holds = Set(known.keys) == Set(counts.map(\.name))
    if !holds { print("\(file) names other operations than are counted") }
    for (name, found) in counts {
      let most = known[name] ?? 0
      let isHigher = found > most + tolerance
      if isHigher { holds = false }
      let text = String(format: "%.3f of at most %.3f allocations: ", found, most)
      print(text + name + (isHigher ? " HAS RISEN" : ""))
    }
    return holds
  }

  private static func count(_ fixtures: Fixtures) throws -> [(name: String, Double)] {
    [
      ("append of 1,000 entries, each", try append(fixtures)),
      ("replay, each entry", try replay(fixtures)),
      ("index lookup, SQLite's own included", try lookup(fixtures)),
      ("route cache hit", try cacheHit(fixtures)),
    ]
  }

  private static func append(_ fixtures: Fixtures) throws -> Double {
    let store = try fixtures.emptyStore("allocations")
    let batches = (0..<20).map { batch in (0..<1_000).map { Workload.mapped(batch * 1_000 + $0) } }
    let lease = try store.journal.lock.acquire(command: "bench")
    defer { lease.release() }
    return try fewest(of: batches.count, operations: 1_000) { batch in
      _ = try store.journal.append(
        batches[batch], expecting: store.journal.head.position, under: lease)
    }
  }

  private static func replay(_ fixtures: Fixtures) throws -> Double {
    let store = try fixtures.populatedStore()
    return try fewest(of: 3, operations: instances) { _ in
      try store.generations.remove(store.replay().number)
    }
  }

  private static func lookup(_ fixtures: Fixtures) throws -> Double {
    let reader = try IndexReader(path: fixtures.populatedStore().currentIndex())
    return try fewest(of: 3, operations: instances) { _ in
      for number in 0..<instances { _ = try reader.lookup(Workload.instance(number)) }
    }
  }

  private static func cacheHit(_ fixtures: Fixtures) throws -> Double {
    let store = try fixtures.populatedStore()
    let router = try CellRouter(
      journal: store.journal, index: store.generations, keys: store.keys.addresses,
      base: AddressBase(folder: store.cellFolder))
    return try fewest(of: 4, operations: instances) { _ in
      for number in 0..<instances { _ = try router.mapping(of: Workload.instance(number)) }
    }
  }

  /// The allocations of one operation, in the run that had the fewest.
  private static func fewest(
    of runs: Int, operations: Int, _ body: (Int) throws -> Void
  ) rethrows -> Double {
    var measurement = Measurement()
    for run in 0..<runs {
      measurement.add(try Measurement.round(1, of: operations) { _ in try body(run) })
    }
    return measurement.allocations
  }
}
