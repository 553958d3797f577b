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
      ("append of one entry", try appendOne(fixtures)),
      ("append of 1,000 entries, each", try append(fixtures)),
      ("replay, each entry", try replay(fixtures)),
      ("index lookup, SQLite's own included", try lookup(fixtures)),
      ("route cache hit", try cacheHit(fixtures)),
      ("full route against SQLite cells", try route(fixtures)),
    ]
  }

  private static func appendOne(_ fixtures: Fixtures) throws -> Double {
    let store = try fixtures.emptyStore("allocations-one")
    let size = 200
    let batches = (0..<5 * size).map { [Workload.mapped($0)] }
    let lease = try store.journal.lock.acquire(command: "bench")
    defer { lease.release() }
    return try fewest(of: 5, operations: size) { run in
      for batch in batches[run * size..<(run + 1) * size] {
        _ = try store.journal.append(batch, expecting: store.journal.head.position, under: lease)
      }
    }
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
    let router = try store.router()
    return try fewest(of: 4, operations: instances) { _ in
      for number in 0..<instances { _ = try router.mapping(of: Workload.instance(number)) }
    }
  }

  private static func route(_ fixtures: Fixtures) throws -> Double {
    let store = try fixtures.populatedStore()
    try CellDatabases.make(for: store, instances: instances)
    // Each is looked up in the index, not in the cache.
    let router = try store.router { $0.cacheCapacity = 1_024 }
    return try fewest(of: 3, operations: instances) { _ in
      for number in 0..<instances {
        _ = try router.route(Workload.instance(number), until: .now + .seconds(60))
      }
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
