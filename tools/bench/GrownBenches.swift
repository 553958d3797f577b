import Journal

/// Durable appends to a large journal, beside the same to a small one.
enum GrownBenches {
  /// One entry a commit.
  static func single(_ fixtures: Fixtures) throws -> Comparison {
    try appends(fixtures, name: "durable append", batch: 1, commits: 100)
  }

  /// 1,000 entries a commit.
  static func batches(_ fixtures: Fixtures) throws -> Comparison {
    try appends(fixtures, name: "append in batches of 1,000, each entry,", batch: 1_000, commits: 2)
  }

  private static func appends(
    _ fixtures: Fixtures, name: String, batch: Int, commits: Int
  ) throws -> Comparison {
    let (large, small) = (try fixtures.populatedStore(), try fixtures.smallStore())
    let before = large.journal.head.position.index
    var number = fixtures.instances
    func round(_ store: BenchStore) throws -> Measurement.Round {
      let batches = (0..<commits).map { commit in
        (0..<batch).map { Workload.mapped(number + commit * batch + $0) }
      }
      number += commits * batch
      let lease = try store.journal.lock.acquire(command: "bench")
      defer { lease.release() }
      return try Measurement.round(commits, of: batch) { commit in
        _ = try store.journal.append(
          batches[commit], expecting: store.journal.head.position, under: lease)
      }
    }
    let (ours, theirs) = try Measurement.inTurn(rounds: 10) { _ in
      try round(large)
    } _: { _ in
      try round(small)
    }
    return Comparison(
      name: "\(name) to \(before) entries", operation: "entry", ours: ours, raw: theirs,
      rawName: "the same to \(Fixtures.fewEntries)", sync: "LMDB default: 2 flushes a commit",
      budget: .ratio(atLeast: 1 / 1.5))
  }
}
