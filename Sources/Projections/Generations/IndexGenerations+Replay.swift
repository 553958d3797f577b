internal import Glibc
public import Journal

extension IndexGenerations {
  /// Takes the number of a new generation: that of one that a killed replay has left unfinished, with
  /// which `make` goes on, or one whose file isn't there yet. Nobody removes the file while
  /// what is returned lives: until it serves, that is, or is given up.
  ///
  /// - Throws: `file` or `journal` if the folder can't be read, or written into.
  public func reserve() throws(ProjectionError) -> HeldGeneration {
    for number in try numbers(behind: ReplayFiles.spillSuffix).reversed() {
      let path = markPath(of: number)
      let mark = try reading { () throws(JournalError) in try WorkMark.take(path) }
      // Whoever had it in hand may have come to its end between the two looks.
      let isLeft =
        ReplayFiles.isLeft(self.path(of: number))
        && !ReplayFiles.isBeingMade(self.path(of: number))
      if let mark, isLeft {
        return HeldGeneration(number: number, mark: mark)
      }
    }
    return try reserveNew()
  }

  /// The same, always of one whose file isn't there yet.
  public func reserveNew() throws(ProjectionError) -> HeldGeneration {
    var number = try nextNumber()
    while true {
      let path = markPath(of: number)
      let mark = try reading { () throws(JournalError) in try WorkMark.take(path) }
      // Its file may have been made, and its mark have ended, between the two looks.
      if let mark, unsafe access(self.path(of: number), F_OK) != 0 {
        return HeldGeneration(number: number, mark: mark)
      }
      number += 1
    }
  }

  /// Makes a new generation from a journal, beside the one that serves, which nothing disturbs.
  ///
  /// Blocks for some microseconds an entry; needs no lease. It reads every old entry, so a serving
  /// process leaves it to a child process.
  ///
  /// - Parameters:
  ///   - number: A number that this process or its parent has reserved.
  ///   - journal: The journal, refreshed by the caller.
  ///   - index: The last entry that goes in; nil for the head that the journal knows.
  ///   - began: Is told, before anything else, whether the work of a killed replay is gone on with.
  ///   - progress: Is told, now and then, how much has been done, in entries.
  /// - Throws: `journal` for damage found, `unreadableEntry` for an event of a newer program,
  ///   `file` and `sqlite` for a full or failing disk; the new files are removed then.
  public func make(
    _ number: UInt64, from journal: EventJournal, upTo index: UInt64? = nil,
    began: (IndexReplay.Beginning) -> Void = { _ in },
    progress: (UInt64) -> Void = { _ in }
  ) throws(ProjectionError) {
    do throws(ProjectionError) {
      _ = try IndexReplay.runKept(
        journal, upTo: index, into: path(of: number), began: began, progress: progress)
    } catch {
      switch error {
      // It isn't this process's then.
      case .fileExists, .busy: break
      default: try? discard(number)
      }
      throw error
    }
  }

  /// Reserves a number and makes the generation in this process.
  ///
  /// - Returns: The number of the new generation, which isn't in `CURRENT`: see `catchUp` and
  ///   `switchCurrent`. Nothing keeps others from removing it any more.
  /// - Throws: As `reserve` and `make`.
  public func replay(
    _ journal: EventJournal, upTo index: UInt64? = nil,
    progress: (UInt64) -> Void = { _ in }
  ) throws(ProjectionError) -> UInt64 {
    let new = try reserve()
    return try withExtendedLifetime(new) { () throws(ProjectionError) in
      try make(new.number, from: journal, upTo: index, progress: progress)
      return new.number
    }
  }

  /// Takes hold of a generation that is there and doesn't serve.
  ///
  /// - Throws: `busy` if another process makes it, or has it in hand.
  public func claim(_ number: UInt64) throws(ProjectionError) -> HeldGeneration {
    let path = markPath(of: number)
    let mark = try reading { () throws(JournalError) in try WorkMark.take(path) }
    guard let mark else { throw .busy(operation: "claim", path: self.path(of: number)) }
    return HeldGeneration(number: number, mark: mark)
  }

  /// Lets a new generation serve: takes in what was appended since it was made, at first beside other
  /// writers, since that may be much, and then under the lease, and switches.
  ///
  /// Blocks until the lease is had, for some seconds at most.
  ///
  /// - Parameters:
  ///   - command: What this process does, for those who wait for the lease.
  ///   - isNeeded: Is asked under the lease; if it says no, the generation is removed instead.
  /// - Throws: `journal` also for the lease, and as `catchUp` and `switchCurrent`; the generation is gone
  ///   then, unless it serves all the same.
  public func serve(
    _ new: HeldGeneration, with journal: EventJournal, under lock: StoreLock, command: String,
    if isNeeded: () -> Bool = { true }
  ) throws(ProjectionError) {
    let number = new.number
    defer { withExtendedLifetime(new) {} }
    do throws(ProjectionError) {
      try catchUp(number, with: journal)
      let lease = try reading { () throws(JournalError) in try lock.acquire(command: command) }
      defer { lease.release() }
      removeAbandonedScratch()
      guard isNeeded() else { return try remove(number) }
      try catchUp(number, with: journal)
      try switchCurrent(to: number)
    } catch {
      if (try? current())?.number != number { try? discard(number) }
      throw error
    }
  }

  /// Projects the entries that came since a generation was made; then it can be switched to.
  ///
  /// Called twice: without the write lease, for as long as it takes, and then under it, when the
  /// journal stands still and little is left. The generation is the caller's own meanwhile: it doesn't
  /// serve, and is reserved or claimed.
  ///
  /// - Throws: As `IndexProjector.apply`, and `journal`.
  @discardableResult
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

/// A generation that doesn't serve and is this process's: as long as this lives, others leave its file
/// alone.
public final class HeldGeneration: Sendable {
  public let number: UInt64
  private let mark: WorkMark

  fileprivate init(number: UInt64, mark: WorkMark) {
    self.number = number
    self.mark = mark
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
