internal import Journal

/// How many rows are in a part of the index, and the sum of their hashes modulo 2^128.
struct Bucket: Equatable, Sendable {
  var count: UInt64 = 0
  var sum: UInt128 = 0

  @inline(__always)
  mutating func add(_ hash: RowHash) {
    count &+= 1
    sum &+= hash.value
  }

  @inline(__always)
  mutating func remove(_ hash: RowHash) {
    count &-= 1
    sum &-= hash.value
  }
}

/// The counts of the index: 4,096 for the instances by the first 12 bits of their UUID, and one for
/// each other table.
struct IndexBuckets: Sendable {
  static let instanceBuckets = 4_096
  /// Tables have numbers below this.
  static let maximumTables = 16

  private(set) var values = [Bucket](
    repeating: Bucket(), count: instanceBuckets + maximumTables)
  private var isDirty = [Bool](repeating: false, count: instanceBuckets + maximumTables)
  private(set) var dirty: [Int] = []

  /// The bucket of a whole table that isn't `instance`.
  static func tableBucket(_ table: Int) -> Int { instanceBuckets + table }

  /// The bucket of an instance.
  @inline(__always)
  static func instanceBucket(_ id: InstanceID) -> Int { Int(id.uuid.high >> 52) }

  @inline(__always)
  mutating func change(_ bucket: Int, removing: RowHash?, adding: RowHash?) {
    if let removing { values[bucket].remove(removing) }
    if let adding { values[bucket].add(adding) }
    guard !isDirty[bucket] else { return }
    isDirty[bucket] = true
    dirty.append(bucket)
  }

  /// Forgets which buckets differ from the file.
  mutating func markClean() {
    for bucket in dirty { isDirty[bucket] = false }
    dirty.removeAll(keepingCapacity: true)
  }

  /// The buckets as the file has them.
  static func read(from connection: SQLiteConnection) throws(ProjectionError) -> IndexBuckets {
    var buckets = IndexBuckets()
    let statement = try connection.prepare("SELECT number, count, sum FROM bucket")
    while try statement.step() {
      let number = try statement.integer(0)
      guard buckets.values.indices.contains(Int(number)) else {
        throw .damaged(path: connection.path, what: "bucket \(number), which can't be")
      }
      buckets.values[Int(number)] = try Bucket(statement, from: 1)
    }
    return buckets
  }
}

extension Bucket {
  /// The count and sum in two columns of the current row.
  init(_ statement: SQLiteStatement, from column: Int) throws(ProjectionError) {
    let halves = try statement.key(column + 1)
    self.init(
      count: UInt64(bitPattern: try statement.integer(column)),
      sum: UInt128(halves.high) << 64 | UInt128(halves.low))
  }

  /// The sum as the file keeps it: 16 bytes, most significant first.
  var sumHalves: (high: UInt64, low: UInt64) {
    (UInt64(truncatingIfNeeded: sum >> 64), UInt64(truncatingIfNeeded: sum))
  }
}
