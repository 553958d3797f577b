internal import Journal

/// How far a replay has come, in the file that it makes: from there on it goes on if it is killed.
struct ReplayMark: Hashable, Sendable {
  /// The start of the machine in which this was written. Nothing is synced before a replay's end: what
  /// a process has written stays when it dies, and not when the machine does.
  var boot: ByteText
  /// The last entry that was read.
  var position: Position
  /// The root of the journal's tree after it.
  var root: Digest
  /// Into how many partitions instances are sorted.
  var partitions: UInt64
  /// How much is in the file of the entries that are set aside.
  var spilledBytes: UInt64
  var spillHash: Int64
  /// How many partitions are loaded; nil while entries are read.
  var loaded: UInt64?

  /// What tells this start of the machine from others; nil if the system doesn't say, and then nothing
  /// can be gone on with.
  static func currentBoot() -> ByteText? {
    guard let bytes = try? SmallFile.read("/proc/sys/kernel/random/boot_id", limit: 64),
      let text = ByteText(utf8: Array(bytes.prefix { $0 > UInt8(ascii: " ") })),
      !text.string.isEmpty
    else { return nil }
    return text
  }
}

/// The one row of a file that isn't finished; the table goes with the last transaction.
enum ReplayMarkTable: IndexTable {
  static let number = 10
  static let name = "unfinished"
  static let keyColumns = ["id"]
  static let valueColumns = [
    "boot", "epoch", "last_index", "root", "partitions", "spilled", "spill_hash", "loaded",
  ]

  static let table = """
    CREATE TABLE unfinished (
      id INTEGER PRIMARY KEY CHECK (id = 0), boot TEXT NOT NULL, epoch INTEGER NOT NULL,
      last_index INTEGER NOT NULL, root BLOB NOT NULL, partitions INTEGER NOT NULL,
      spilled INTEGER NOT NULL, spill_hash INTEGER NOT NULL, loaded INTEGER,
      checksum INTEGER NOT NULL) STRICT;
    """

  static func bind(_ key: Int64, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(key)
  }
  static func bind(_ row: ReplayMark, to binder: inout RowBinder) throws(ProjectionError) {
    try binder.add(row.boot)
    try binder.add(Int64(row.position.epoch))
    try binder.add(number: row.position.index)
    try binder.add(blob: row.root.bytes)
    try binder.add(number: row.partitions)
    try binder.add(number: row.spilledBytes)
    try binder.add(row.spillHash)
    try binder.add(number: row.loaded)
  }
  static func readKey(_ reader: inout RowReader) throws(ProjectionError) -> Int64 {
    try reader.integer()
  }
  static func readRow(_ reader: inout RowReader) throws(ProjectionError) -> ReplayMark {
    let boot = try reader.text()
    let epoch = UInt32(truncatingIfNeeded: try reader.integer())
    return ReplayMark(
      boot: boot, position: Position(epoch: epoch, index: try reader.number()),
      root: try reader.digest(), partitions: try reader.number(),
      spilledBytes: try reader.number(), spillHash: try reader.integer(),
      loaded: try reader.numberIfPresent())
  }
  /// It is no content of the index.
  static func bucket(of key: Int64) -> Int? { nil }
}
