public import Journal

extension IndexReplay {
  /// What a kept replay begins with.
  public enum Beginning: Hashable, Sendable {
    case new
    /// The work of a replay that was killed, from this entry on.
    case goesOn(after: Position)
    /// There was such work, and it can't be gone on with.
    case anew(why: String)
  }

  /// Makes an index at `path`, which must not exist, from a journal's entries up to `index`.
  ///
  /// - Parameters:
  ///   - index: The last entry that goes in, at most the head that the journal knows; nil for that.
  ///   - folder: Where a nameless file may be made.
  ///   - progress: Is told, now and then, how much has been done, in entries.
  /// - Throws: As `IndexGenerations.make`; the file is of no use then, and is left to the caller.
  public static func run(
    _ journal: EventJournal, upTo index: UInt64? = nil, into path: String, scratch folder: String,
    progress: (UInt64) -> Void = { _ in }
  ) throws(ProjectionError) -> IndexCheckpoint {
    let head = journal.head.position.index
    let last = min(index ?? head, head)
    let replay = try IndexReplay(
      store: journal.store, into: path, entries: last, scratch: folder)
    return try replay.run(journal, through: last, progress: progress)
  }

  /// Makes an index at `path` so that it isn't lost if the process is killed: called again, this goes on
  /// with what an earlier call has left there, and else makes it anew.
  ///
  /// What was left is gone on with if it is of the same journal (its store, and the root of the tree at
  /// the entry it has come to), of this program's format and of this start of the machine, since nothing is
  /// synced before the end; and if it has not come further than `index`.
  ///
  /// - Parameters:
  ///   - index: The last entry that goes in; nil for the head that the journal knows, or knew
  ///     when the entries had been read.
  ///   - path: Beside it stands `PATH-spill` until the index is whole; without that, neither it nor a file
  ///     of SQLite's beside it may be there.
  ///   - memoryBytes: How much is set aside in memory; less than that is never kept.
  ///   - instances: How many are loaded between two marks.
  ///   - began: Is told, before anything else, with what this begins.
  ///   - progress: Is told, now and then, how much has been done, in entries.
  /// - Throws: `fileExists`; `busy` if another process makes the same file; as `run`. What has been done is kept then, too, unless it was found `damaged`.
  public static func runKept(
    _ journal: EventJournal, upTo index: UInt64? = nil, into path: String,
    memoryBytes: Int = IndexReplay.defaultMemoryBytes,
    instances: Int = IndexReplay.defaultInstancesBetweenMarks,
    began: (Beginning) -> Void = { _ in }, progress: (UInt64) -> Void = { _ in }
  ) throws(ProjectionError) -> IndexCheckpoint {
    let head = journal.head.position.index
    let last = min(index ?? head, head)
    let mark = try ReplayFiles.take(path)
    defer { withExtendedLifetime(mark) {} }
    var beginning = Beginning.new
    if try ReplayFiles.isUnfinished(path) {
      switch try UnfinishedReplay.find(at: path, of: journal, upTo: index, memoryBytes) {
      case .finished(let checkpoint):
        began(.goesOn(after: checkpoint.position))
        try ReplayFiles.removeSpill(of: path)
        return checkpoint
      case .goesOn(let replay):
        replay.instancesBetweenMarks = instances
        began(.goesOn(after: replay.lastPosition))
        return try goOn(replay, journal, through: last, into: path, progress)
      case .lost(let why):
        try ReplayFiles.remove(path)
        beginning = .anew(why: why)
      }
    }
    began(beginning)
    let replay = try IndexReplay(
      keeping: journal.store, into: path, entries: last, memoryBytes: memoryBytes)
    replay.instancesBetweenMarks = instances
    let checkpoint = try replay.run(journal, through: last, progress: progress)
    try ReplayFiles.removeSpill(of: path)
    return checkpoint
  }

  private static func goOn(
    _ replay: IndexReplay, _ journal: EventJournal, through last: UInt64, into path: String,
    _ progress: (UInt64) -> Void
  ) throws(ProjectionError) -> IndexCheckpoint {
    do throws(ProjectionError) {
      let checkpoint = try replay.run(journal, through: last, progress: progress)
      try ReplayFiles.removeSpill(of: path)
      return checkpoint
    } catch {
      if case .damaged = error { try? ReplayFiles.remove(path) }
      throw error
    }
  }

  /// Reads the entries that are to come, and finishes.
  private func run(
    _ journal: EventJournal, through last: UInt64, progress: (UInt64) -> Void
  ) throws(ProjectionError) -> IndexCheckpoint {
    if !isLoading { try read(journal, through: last, progress: progress) }
    let last = lastPosition.index
    let root = try reading { () throws(JournalError) in try journal.root(at: last) }
    return try finish(root: root) { progress(last / 2 + UInt64(Double(last / 2) * $0)) }
  }

  private func read(
    _ journal: EventJournal, through last: UInt64, progress: (UInt64) -> Void
  ) throws(ProjectionError) {
    let first = lastPosition.index + 1
    var runs = EntryRuns(of: journal, after: first - 1, through: last)
    while let chunks = try runs.next() {
      for chunk in chunks {
        for start in chunk.starts[chunk.places(from: first)] { try add(chunk.bytes, at: start) }
        guard isFull, isKept else { continue }
        let read = lastPosition.index
        try keep(root: try reading { () throws(JournalError) in try journal.root(at: read) })
        progress(read / 2)
      }
      // Setting entries aside takes about as long as folding and loading them.
      progress(lastPosition.index / 2)
    }
  }
}

/// What a killed replay has left.
enum UnfinishedReplay {
  /// The index is whole; only that was not said any more.
  case finished(IndexCheckpoint)
  case goesOn(IndexReplay)
  case lost(why: String)

  /// Looks at the files of an unfinished replay, which are this process's.
  ///
  /// - Throws: `fileExists` if the file isn't one of a replay; `busy`, `file`, `journal` if that can't be
  ///   found out.
  static func find(
    at path: String, of journal: EventJournal, upTo index: UInt64?, _ memoryBytes: Int
  ) throws(ProjectionError) -> UnfinishedReplay {
    guard FileSize.isPositive(path) else { return .lost(why: "it had only begun") }
    do throws(ProjectionError) {
      return try look(at: path, of: journal, upTo: index, memoryBytes)
    } catch {
      switch error {
      case .notAnIndex, .partialIndex: throw .fileExists(path: path)
      case .otherVersion(_, 0, _): return .lost(why: "it had only begun")
      case .otherVersion: return .lost(why: "another version of this program made it")
      case .damaged, .sqlite: return .lost(why: "its file can't be read")
      default: throw error
      }
    }
  }

  private static func look(
    at path: String, of journal: EventJournal, upTo index: UInt64?, _ memoryBytes: Int
  ) throws(ProjectionError) -> UnfinishedReplay {
    let connection = try SQLiteConnection(path: path, mode: .readWrite, holdsIndex: true)
    guard connection.fileHeader(count: Self.header.count) == Self.header else {
      throw .notAnIndex(path: path)
    }
    // The first read takes back what was written and not committed, be it all that is there.
    _ = try connection.integer("PRAGMA schema_version")
    guard FileSize.isPositive(path) else { return .lost(why: "it had only begun") }
    try IndexFile.checkVersion(connection)
    let meta = try IndexFile.meta(TableReader(connection), path: path).row
    guard meta.store == journal.store else { return .lost(why: "it was of another store") }
    // The mark goes when all is on disk.
    let hasMarks = try connection.integer(
      "SELECT 1 FROM sqlite_schema WHERE name = '\(ReplayMarkTable.name)'")
    guard hasMarks != nil else {
      return try isWhole(meta.checkpoint, of: journal, upTo: index)
        ? .finished(meta.checkpoint) : .lost(why: "it was of another history")
    }
    guard let mark = try TableReader<ReplayMarkTable>(connection).row(0) else {
      return .lost(why: "it had only begun")
    }
    guard mark.row.boot == ReplayMark.currentBoot() else {
      return .lost(why: "the machine was started again meanwhile")
    }
    guard try isOf(journal, mark.row.position, mark.row.root) else {
      return .lost(why: "the journal has another history now")
    }
    let read = mark.row.position.index
    guard mark.row.loaded == nil ? read <= index ?? read : read == index ?? read else {
      return .lost(why: "it was to another entry")
    }
    if try isWhole(meta.checkpoint, of: journal, upTo: index) {
      try IndexReplay.seal(connection, endsKeeping: true)
      return .finished(meta.checkpoint)
    }
    try connection.execute(IndexSchema.keptLoadSettings)
    return .goesOn(try IndexReplay(goingOnWith: connection, from: mark, memoryBytes: memoryBytes))
  }

  /// How every file of SQLite begins, from its first page on.
  private static let header = Array("SQLite format 3\0".utf8)

  private static func isWhole(
    _ checkpoint: IndexCheckpoint, of journal: EventJournal, upTo index: UInt64?
  ) throws(ProjectionError) -> Bool {
    let last = checkpoint.position.index
    guard last > 0, last == index ?? last else { return false }
    return try isOf(journal, checkpoint.position, checkpoint.root)
  }

  private static func isOf(
    _ journal: EventJournal, _ position: Position, _ root: Digest
  ) throws(ProjectionError) -> Bool {
    guard position.index <= journal.head.position.index else { return false }
    return try reading { () throws(JournalError) in try journal.root(at: position.index) } == root
  }
}
