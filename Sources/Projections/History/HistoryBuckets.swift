internal import Journal

/// How many touches are in each bucket, and the sum of their hashes.
struct HistoryBuckets: Equatable, Sendable {
  private(set) var values = [Bucket](repeating: Bucket(), count: HistoryTouch.buckets)

  @inline(__always)
  mutating func add(_ touch: HistoryTouch) {
    values[HistoryTouch.bucket(of: touch.entity)].add(touch.hash)
  }

  /// The buckets as a file has them.
  init(from connection: SQLiteConnection) throws(ProjectionError) {
    let statement = try connection.prepare("SELECT number, count, sum FROM bucket")
    while try statement.step() {
      let number = Int(try statement.integer(0))
      guard values.indices.contains(number) else {
        throw .damaged(path: connection.path, what: "bucket \(number), which can't be")
      }
      values[number] = try Bucket(statement, from: 1)
    }
  }

  init() {}

  /// The first bucket in which two differ; nil if they are equal.
  func difference(from other: HistoryBuckets) -> Int? {
    values.indices.first { values[$0] != other.values[$0] }
  }

  var digest: Journal.Digest { BucketDigest.of(values) }
}
