public import Journal

extension IndexReader {
  /// The digest of the index's content: equal for equal history, whatever the batches, the machine,
  /// or whether it was projected or replayed.
  ///
  /// The checkpoint isn't part of it.
  public func contentDigest() throws(ProjectionError) -> Journal.Digest {
    let buckets = try IndexBuckets.read(from: connection)
    return BucketDigest.of(buckets.values)
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
      return BucketDigest.of(counted.values)
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
