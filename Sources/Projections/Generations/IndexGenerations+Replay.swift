public import Journal

extension IndexGenerations {
  /// Makes a new generation from a journal, beside the one that serves, which nothing disturbs.
  ///
  /// Blocks for some microseconds an entry; needs no lease. It reads every old entry, so a serving
  /// process leaves it to a child process.
  ///
  /// - Parameters:
  ///   - journal: The journal, refreshed by the caller.
  ///   - index: The last entry that goes in; nil for the head that the journal knows.
  ///   - progress: Is told, now and then, the last entry that was read.
  /// - Returns: The number of the new generation, which isn't in `CURRENT`: see `catchUp` and
  ///   `switchCurrent`.
  /// - Throws: `journal` for damage found, `unreadableEntry` for an event of a newer program,
  ///   `file` and `sqlite` for a full or failing disk; the new files are removed then.
  public func replay(
    _ journal: EventJournal, upTo index: UInt64? = nil,
    progress: (UInt64) -> Void = { _ in }
  ) throws(ProjectionError) -> UInt64 {
    while true {
      let number = try nextNumber()
      do throws(ProjectionError) {
        _ = try IndexReplay.run(
          journal, upTo: index, into: path(of: number), scratch: folder, progress: progress)
        return number
      } catch .fileExists {
        continue  // Another replay took the number in the meantime.
      } catch {
        try? discard(number)
        throw error
      }
    }
  }

  /// Projects the entries that came since a generation was made; then it can be switched to.
  ///
  /// The caller holds the write lease, under which the journal stands still.
  ///
  /// - Throws: As `IndexProjector.apply`, and `journal`.
  public func catchUp(
    _ number: UInt64, with journal: EventJournal
  ) throws(ProjectionError) -> IndexCheckpoint {
    let projector = try IndexProjector(path: path(of: number))
    let head = try reading { () throws(JournalError) in try journal.refresh().position.index }
    while projector.checkpoint.position.index < head {
      let reached = projector.checkpoint.position.index
      let changes = try reading { () throws(JournalError) in
        try journal.changes(after: reached, limit: IndexProjector.maximumBatch)
      }
      let root = try reading { () throws(JournalError) in
        try journal.root(at: reached + UInt64(changes.count))
      }
      try projector.apply(changes, root: root)
    }
    return projector.checkpoint
  }
}

extension IndexReplay {
  /// Makes an index at `path`, which must not exist, from a journal's entries up to `index`.
  ///
  /// - Parameters:
  ///   - index: The last entry that goes in, at most the head that the journal knows; nil for that.
  ///   - folder: Where a nameless file may be made.
  ///   - progress: Is told, now and then, the last entry that was read.
  /// - Throws: As `IndexGenerations.replay`; the file is of no use then, and is left to the caller.
  public static func run(
    _ journal: EventJournal, upTo index: UInt64? = nil, into path: String, scratch folder: String,
    progress: (UInt64) -> Void = { _ in }
  ) throws(ProjectionError) -> IndexCheckpoint {
    let head = journal.head.position.index
    let last = min(index ?? head, head)
    let replay = try IndexReplay(
      store: journal.store, into: path, entries: last, scratch: folder)
    var runs = EntryRuns(of: journal, through: last)
    while let chunks = try runs.next() {
      for chunk in chunks {
        for start in chunk.starts { try replay.add(chunk.bytes, at: start) }
      }
      progress(replay.lastPosition.index)
    }
    let root = try reading { () throws(JournalError) in try journal.root(at: last) }
    return try replay.finish(root: root)
  }
}

/// Calls the journal, and gives its errors as this room's.
func reading<Result>(
  _ body: () throws(JournalError) -> Result
) throws(ProjectionError) -> Result {
  do throws(JournalError) {
    return try body()
  } catch .newerEvent(.unknownEvent(let kind, let version, let index)) {
    throw .unreadableEntry(
      index: index, .unknownEvent(kind: kind, schemaVersion: version, index: index))
  } catch {
    throw .journal(error)
  }
}
