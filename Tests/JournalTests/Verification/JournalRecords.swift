import Foundation
@testable import Journal

/// Everything that a journal's file says, record by record, to be changed and written again.
struct JournalRecords {
  let store: StoreID
  /// Each entry with the root behind it, if it has one.
  var entries: [[UInt8]]
  var tiles: [[UInt8]]
  private let head: Data

  init(of journal: EventJournal) throws {
    store = journal.store
    (entries, tiles) = try JournalSnapshot.read(journal.file) { (snapshot) throws(JournalError) in
      (
        try JournalRecords.values(of: snapshot.entries, snapshot),
        try JournalRecords.values(of: snapshot.tiles, snapshot)
      )
    }
    head = try Data(contentsOf: URL(filePath: journal.files.head))
  }

  private static func values(
    of tree: PageTree, _ snapshot: JournalSnapshot
  ) throws(JournalError) -> [[UInt8]] {
    var cursor = TreeCursor(tree, of: snapshot.file)
    var values: [[UInt8]] = []
    var isThere = try cursor.seek(0)
    while isThere {
      values.append(Array(cursor.bytes[cursor.range]))
      isThere = try cursor.next()
    }
    return values
  }

  /// Bytes of an entry without the root behind it.
  func length(of place: Int) -> Int { EntryHeader.entryLength(of: entries[place], at: 0) }

  /// Puts the records into a store's journal, which nobody has open; HEAD is as it was.
  func write(to directory: String, keepsHead: Bool = true) throws {
    let files = StoreFiles(directory)
    for path in [files.journal, files.journalLock, files.head] { unlink(path) }
    let environment = try LMDBEnvironment.shared(files.journal, mapSizeBytes: 64 << 20)
    let bytes = (entries + tiles).reduce(0) { $0 + $1.count }
    try environment.write(after: 0, growthBytes: bytes, checksPlace: true) {
      [self] (transaction) throws(LMDBError) in
      let main = try transaction.database(nil, create: false)
      try transaction.put(StoreRecord.key, StoreRecord(store: store).bytes, into: main)
      for (name, first, values) in [("entries", UInt64(1), entries), ("tiles", 0, tiles)] {
        let database = try transaction.database(name, create: true)
        for (place, value) in values.enumerated() {
          try transaction.append(first + UInt64(place), value, in: 0..<value.count, to: database)
        }
      }
    }
    environment.close()
    unlink(files.journalLock)
    guard keepsHead else { return }
    try head.write(to: URL(filePath: files.head))
    chmod(files.head, 0o600)
  }

  /// A store with the same entries but for one, whose observed time is another, and with every hash,
  /// root and HEAD made again.
  func rewritten(changing index: Int, in directory: String) throws {
    var tip = JournalTip.empty
    var batch = AppendBatch()
    batch.begin(after: tip)
    var frontier = TreeFrontier()
    for (place, record) in entries.enumerated() {
      let length = self.length(of: place)
      var bytes = Array(record[..<length])
      if place == index - 1 { bytes[31] ^= 1 }
      frontier.append(TreeHash.leaf(bytes))
      if record.count > length { frontier.root.append(to: &bytes) }
      let line = try EntryLine(bytes, in: 0..<bytes.count)
      try batch.copy(EntryChunk(line), of: directory, after: &tip)
    }
    let files = StoreFiles(directory)
    for path in [files.journal, files.journalLock, files.head] { unlink(path) }
    let file = try NewJournalFile(files.journal, store: store, mapSizeBytes: 64 << 20)
    try file.append(batch)
    _ = try JournalCopy.finish(file, of: store, at: tip, in: files)
  }
}
