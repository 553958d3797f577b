internal import Crypto
public import Journal

extension IndexReader {
  /// The digest of the index's content: equal for equal history, whatever the batches, the machine,
  /// or whether it was projected or replayed.
  ///
  /// SHA-256 over the buckets that aren't empty, each as its number (4 bytes), count (8) and sum
  /// (16), most significant first. The checkpoint isn't part of it.
  public func contentDigest() throws(ProjectionError) -> Journal.Digest {
    let buckets = try IndexBuckets.read(from: connection)
    return Self.digest(of: buckets)
  }

  private static func digest(of buckets: IndexBuckets) -> Journal.Digest {
    var hasher = SHA256()
    for (number, bucket) in buckets.values.enumerated() where bucket != Bucket() {
      var bytes: [UInt8] = []
      bytes.reserveCapacity(28)
      bytes.append(word: UInt64(number), bytes: 4)
      bytes.append(word: bucket.count, bytes: 8)
      bytes.append(word: bucket.sumHalves.high, bytes: 8)
      bytes.append(word: bucket.sumHalves.low, bytes: 8)
      hasher.update(data: bytes)
    }
    guard let digest = Journal.Digest(bytes: Array(hasher.finalize())) else {
      preconditionFailure("SHA-256 has 32 bytes")
    }
    return digest
  }

  /// Reads the whole index and compares every row with its checksum and every bucket with its rows,
  /// and lets SQLite check that its own indexes agree with the tables.
  ///
  /// - Returns: The content digest.
  /// - Throws: `damaged` with the first thing found.
  public func checkIndex() throws(ProjectionError) -> Journal.Digest {
    try withSnapshot { () throws(ProjectionError) in
      _ = try checkpoint()
      let statement = try connection.prepare("PRAGMA integrity_check(1)")
      guard try statement.step(), try statement.text(0) == "ok" else {
        throw .damaged(path: path, what: "SQLite's integrity check fails")
      }
      var counted = IndexBuckets()
      try count(CellTable.self, into: &counted)
      try count(HostTable.self, into: &counted)
      try count(InstanceTable.self, into: &counted)
      try count(IdentityTable.self, into: &counted)
      try count(RequestTable.self, into: &counted)
      try count(DepartedTable.self, into: &counted)
      try count(EpochTable.self, into: &counted)
      try count(ConflictTable.self, into: &counted)
      let stored = try IndexBuckets.read(from: connection)
      for number in stored.values.indices where stored.values[number] != counted.values[number] {
        throw .damaged(
          path: path,
          what: "bucket \(number) counts \(stored.values[number].count) rows and holds "
            + "\(counted.values[number].count), or others")
      }
      return Self.digest(of: counted)
    }
  }

  private func count<Table: IndexTable>(
    _ table: Table.Type, into buckets: inout IndexBuckets
  ) throws(ProjectionError) {
    let statement = try connection.prepare("SELECT \(Table.columnList) FROM \(Table.name)")
    while try statement.step() {
      let (key, stored) = try checkedRow(
        of: table, statement, hashedColumns: Table.hashedColumnCount)
      guard let bucket = Table.bucket(of: key) else { continue }
      buckets.change(bucket, removing: nil, adding: stored.hash)
    }
  }
}

extension [UInt8] {
  fileprivate mutating func append(word: UInt64, bytes: Int) {
    for place in (0..<bytes).reversed() {
      append(UInt8(truncatingIfNeeded: word >> UInt64(8 * place)))
    }
  }
}
