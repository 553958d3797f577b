import Journal
import Projections
import Registry

/// Durable appends, beside raw LMDB commits of the same bytes.
enum AppendBenches {
  private static let sync = "LMDB default: 2 flushes a commit"

  /// One entry a commit, through the journal alone.
  static func single(_ fixtures: Fixtures) throws -> Comparison {
    try appends(fixtures, name: "durable append, one caller", batch: 1, commits: 100, least: 0.8)
  }

  /// 1,000 entries a commit.
  static func batches(_ fixtures: Fixtures) throws -> Comparison {
    try appends(
      fixtures, name: "append in batches of 1,000, each entry", batch: 1_000, commits: 10,
      least: 0.5)
  }

  private static func appends(
    _ fixtures: Fixtures, name: String, batch: Int, commits: Int, least: Double
  ) throws -> Comparison {
    let rounds = 10
    let store = try fixtures.emptyStore("append-\(batch)")
    let raw = try RawLMDB(path: "\(fixtures.folder)/append-\(batch).lmdb")
    let batches = (0..<rounds * commits).map { number in
      (0..<batch).map { Workload.mapped(number * batch + $0) }
    }
    let records = try RawCommit.commits(of: batches, after: 0)
    let lease = try store.journal.lock.acquire(command: "bench")
    defer { lease.release() }
    var head = store.journal.head.position
    let (ours, theirs) = try Measurement.inTurn(rounds: rounds) { round in
      try Measurement.round(commits, of: batch) { commit in
        head = try store.journal.append(
          batches[round * commits + commit], expecting: head, under: lease
        ).position
      }
    } _: { round in
      try Measurement.round(commits, of: batch) { commit in
        try raw.write(records[round * commits + commit])
      }
    }
    return Comparison(
      name: name, operation: "entry", ours: ours, raw: theirs,
      rawName: batch == 1 ? "raw LMDB commits" : "raw LMDB appends", sync: sync,
      budget: .ratio(atLeast: least))
  }

  /// One command at a time through the registry: rules, journal, answer.
  static func command(_ fixtures: Fixtures) throws -> Comparison {
    let (rounds, commits) = (10, 100)
    let store = try fixtures.emptyStore("command")
    let raw = try RawLMDB(path: "\(fixtures.folder)/command.lmdb")
    let records = try RawCommit.commits(
      of: (0..<rounds * commits).map { [Workload.mapped($0)] }, after: 0)
    let registry = store.registry()
    let (ours, theirs) = try Measurement.inTurn(rounds: rounds) { round in
      try Measurement.round(commits) { try submit(round * commits + $0, to: registry) }
    } _: { round in
      try Measurement.round(commits) { try raw.write(records[round * commits + $0]) }
    }
    try registry.close()
    return Comparison(
      name: "durable command, one caller", operation: "command", ours: ours, raw: theirs,
      rawName: "raw LMDB commits", sync: sync, budget: .ratio(atLeast: 0.8))
  }

  private static func submit(_ number: Int, to registry: MapRegistry) throws {
    let draft = InstanceDraft(cell: Workload.cell(number), owner: Workload.owner(number))
    _ = try registry.submit(
      Command(
        .mapInstance(Workload.instance(number), draft), by: Workload.authorship,
        request: Workload.request(number)))
  }

  /// 64 threads, one command each at a time, beside one thread.
  static func callers(_ fixtures: Fixtures) throws -> Comparison {
    let (rounds, threads, each, alone) = (5, 64, 100, 100)
    let store = try fixtures.emptyStore("callers")
    let registry = store.registry()
    let (ours, single) = try Measurement.inTurn(rounds: rounds) { round in
      let result = try Threads.round(threads, each: each) { thread, place in
        try submit((round * threads + thread) * each + place, to: registry)
      }
      try registry.waitUntilProjected()
      return result
    } _: { round in
      try Measurement.round(alone) {
        try submit(rounds * threads * each + round * alone + $0, to: registry)
      }
    }
    try registry.close()
    return Comparison(
      name: "durable command, 64 callers", operation: "command", ours: ours, raw: single,
      rawName: "the single caller", sync: sync, budget: .ratio(atLeast: 10))
  }
}
