internal import Journal

/// Brings a history file up to the journal, or makes it.
struct HistoryKeeping {
  let journal: EventJournal
  let files: HistoryGenerations

  /// Touches of one transaction while a file is made: 64 MiB in memory.
  private static let makingBatch = 1 << 22
  /// Touches of one transaction in a file that others read.
  private static let usualBatch = 1 << 16

  init(_ journal: EventJournal) {
    self.journal = journal
    files = HistoryGenerations(folder: journal.files.directory)
  }

  /// The file that serves, if it is of this journal: one of before a restore isn't.
  ///
  /// - Throws: `journal` for damage; `file` if the folder can't be read.
  func serving() throws(ProjectionError) -> (
    number: UInt64, file: HistoryFile, checkpoint: IndexCheckpoint
  )? {
    guard let (number, file) = try files.newest(of: journal.store),
      let checkpoint = try? file.checkpoint()
    else { return nil }
    let index = checkpoint.position.index
    // The file first: entries that came in between are beyond its checkpoint.
    let root = try reading { () throws(JournalError) in
      try journal.refresh().position.index >= index ? try journal.root(at: index) : nil
    }
    guard index == 0 || root == checkpoint.root else { return nil }
    return (number, file, checkpoint)
  }

  /// - Throws: `damaged` if the newest file can't be read at all; one that was never finished may be
  ///   there, and one of another history.
  func checkReadable() throws(ProjectionError) {
    guard let number = try files.numbers().last else { return }
    do throws(ProjectionError) { _ = try HistoryFile(path: files.path(of: number)) } catch {
      switch error {
      case .otherVersion(_, 0, _): return
      case .notAnIndex(let path):
        throw .damaged(path: path, what: "it is no history of cellmap")
      default: throw error
      }
    }
  }

  /// Brings the file up to the head that the journal knows; makes it if there is none, or if
  /// `again` is true.
  ///
  /// - Returns: false if another process is at it.
  /// - Throws: `journal` and `unreadableEntry` for what the journal holds; `file`, `sqlite`, `busy` and
  ///   `damaged` where the file can't be written. What was there before is as it was, or further on.
  func catchUp(
    again: Bool = false, progress: (UInt64) -> Void
  ) throws(ProjectionError) -> Bool {
    guard let mark = try files.takeMark() else { return false }
    defer { withExtendedLifetime(mark) {} }
    if !again, let (number, _, _) = try serving() {
      let writer = try HistoryWriter(path: files.path(of: number))
      try add(to: writer, batch: Self.usualBatch, progress)
      try writer.moveWAL()
    } else {
      try make(progress)
    }
    return true
  }

  private func make(_ progress: (UInt64) -> Void) throws(ProjectionError) {
    let older = try files.numbers()
    let number = (older.last ?? 0) + 1
    do throws(ProjectionError) {
      let writer = try HistoryWriter.create(at: files.path(of: number), store: journal.store)
      try add(to: writer, batch: Self.makingBatch, progress)
      try writer.finish()
    } catch {
      try? files.remove(number)
      throw error
    }
    for number in older { try files.remove(number) }
  }

  private func add(
    to writer: HistoryWriter, batch: Int, _ progress: (UInt64) -> Void
  ) throws(ProjectionError) {
    let start = writer.checkpoint.position.index
    try scan(after: start, batch: batch, progress) { (touches, position) throws(ProjectionError) in
      let root = try reading { () throws(JournalError) in try journal.root(at: position.index) }
      try writer.add(touches, reaching: IndexCheckpoint(position: position, root: root))
    }
  }

  /// Gives the touches of the entries after `index` to `body`, and the entry that they come to.
  ///
  /// - Throws: `journal`, `unreadableEntry`, and what `body` throws.
  func scan(
    after index: UInt64, batch: Int = makingBatch, _ progress: (UInt64) -> Void,
    _ body: ([HistoryTouch], Position) throws(ProjectionError) -> Void
  ) throws(ProjectionError) {
    let last = journal.head.position.index
    guard index < last else { return }
    var touches: [HistoryTouch] = []
    var position = Position.start
    var runs = EntryRuns(of: journal, after: index, through: last)
    while let chunks = try runs.next() {
      for chunk in chunks {
        for start in chunk.starts[chunk.places(from: index + 1)] {
          let header = try Self.header(chunk.bytes, at: start)
          position = header.position
          try HistoryTouch.add(header, chunk.bytes, at: start, to: &touches)
        }
        if touches.count >= batch {
          try body(touches, position)
          touches.removeAll(keepingCapacity: true)
        }
      }
      progress(position.index)
    }
    if !touches.isEmpty { try body(touches, position) }
  }

  private static func header(
    _ bytes: [UInt8], at start: Int
  ) throws(ProjectionError) -> EntryHeader {
    do throws(EntryError) { return try EntryHeader(bytes, at: start) } catch {
      preconditionFailure("the journal has read the entry's fixed part")
    }
  }
}
