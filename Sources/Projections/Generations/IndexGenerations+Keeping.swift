internal import Glibc
public import Journal

/// One index file of a store, as it is found.
public struct FoundGeneration: Sendable {
  public enum Content: Sendable {
    /// It holds the entries up to here.
    case upTo(Position)
    /// A replay makes it now.
    case beingMade
    /// A replay was killed; the next one goes on with it.
    case unfinished
    /// A replay was killed before it was whole, or it can't be read; it is of no use.
    case unusable(ProjectionError)
  }

  public let number: UInt64
  public let path: String
  /// `CURRENT` names it.
  public let isServing: Bool
  public let content: Content

  /// The last entry that it holds; nil if it can't serve.
  public var position: Position? {
    if case .upTo(let position) = content { position } else { nil }
  }
}

/// Keeping old generations, going back to one, and removing them.
extension IndexGenerations {
  /// The index files of the store, oldest first; none is read beyond its checkpoint.
  ///
  /// - Throws: `file` if the folder can't be read.
  public func found(store: StoreID) throws(ProjectionError) -> [FoundGeneration] {
    let serving = try? current().number
    var all: [FoundGeneration] = []
    for number in try numbers() {
      all.append(
        FoundGeneration(
          number: number, path: path(of: number), isServing: number == serving,
          content: content(of: number, store: store)))
    }
    return all
  }

  private func content(of number: UInt64, store: StoreID) -> FoundGeneration.Content {
    let path = path(of: number)
    if WorkMark.isTaken(markPath(of: number)) || ReplayFiles.isBeingMade(path) {
      return .beingMade
    }
    if ReplayFiles.isLeft(path) { return .unfinished }
    do throws(ProjectionError) {
      let checkpoint = try open(number, store: store).checkpoint()
      // Rows and checkpoint come in one transaction at a replay's end.
      guard checkpoint.position.index > 0 else {
        return .unusable(
          .fault(.damaged(path: path, what: "its replay was never finished")))
      }
      return .upTo(checkpoint.position)
    } catch {
      return .unusable(error)
    }
  }

  /// Compares every row of a generation with its checksum and every bucket with its rows, before it
  /// may serve.
  ///
  /// Blocks for about a second for each million rows; needs no lease.
  ///
  /// - Throws: `fault` or `damaged` with what is wrong.
  public func check(_ number: UInt64, store: StoreID) throws(ProjectionError) {
    let reader = try open(number, store: store)
    guard try reader.checkpoint().position.index > 0 else {
      throw .fault(.damaged(path: reader.path, what: "its replay was never finished"))
    }
    _ = try reader.checkIndex()
  }

  /// Takes into a generation that is there what it lacks, so that little is left for `switchBack`.
  ///
  /// The caller has claimed it, and holds no lease.
  ///
  /// - Throws: As `switchBack`.
  public func prepareSwitchBack(
    to number: UInt64, with journal: EventJournal
  ) throws(ProjectionError) {
    try compare(number, with: journal)
    try catchUp(number, with: journal)
  }

  /// Lets a generation serve that is there: takes in what it lacks, and names it in `CURRENT`.
  ///
  /// The caller holds the write lease and has called `check`; no connection of this process has the
  /// file open.
  ///
  /// - Returns: What the generation has come to: the head of the journal.
  /// - Throws: `fault(.aheadOfJournal)` or `fault(.diverged)` if it wasn't made from this journal;
  ///   as `catchUp` and `switchCurrent`. What served before serves on.
  public func switchBack(
    to number: UInt64, with journal: EventJournal
  ) throws(ProjectionError) -> IndexCheckpoint {
    try compare(number, with: journal)
    let reached = try catchUp(number, with: journal)
    try switchCurrent(to: number)
    return reached
  }

  private func compare(
    _ number: UInt64, with journal: EventJournal
  ) throws(ProjectionError) {
    let checkpoint = try open(number, store: journal.store).checkpoint()
    let index = checkpoint.position.index
    var root: Digest?
    let head: UInt64
    do throws(JournalError) {
      head = try journal.refresh().position.index
      if index <= head { root = try journal.root(at: index) }
    } catch {
      throw .journal(error)
    }
    try Self.compare(checkpoint, at: path(of: number), head: head, root: root)
  }

  /// Removes the generations that don't serve, but the newest `count` of those that could; one that
  /// a replay makes now stays.
  ///
  /// The caller holds the write lease.
  ///
  /// - Returns: Those that are gone.
  /// - Throws: `fault` if it isn't known which one serves: then none is removed. `file` if one can't
  ///   be removed.
  @discardableResult
  public func prune(
    keeping count: Int, store: StoreID
  ) throws(ProjectionError) -> [FoundGeneration] {
    _ = try current()
    let others = try found(store: store).filter { !$0.isServing }
    let kept = Set(others.filter { $0.position != nil }.suffix(count).map(\.number))
    var removed: [FoundGeneration] = []
    for generation in others where !kept.contains(generation.number) {
      if case .beingMade = generation.content { continue }
      // A replay may have taken it up since.
      guard let held = try? claim(generation.number),
        !ReplayFiles.isBeingMade(generation.path)
      else { continue }
      defer { withExtendedLifetime(held) {} }
      try remove(generation.number)
      removed.append(generation)
    }
    return removed
  }

  // MARK: Scratch

  /// What may be behind the name of an index: its own files, and those of a replay that makes it.
  public static let fileSuffixes = ["", "-wal", "-shm", "-journal", "-spill", "-making"]

  /// Where this process may make an index that never serves, to compare with.
  public var scratchPath: String { "\(folder)/verify-\(getpid()).sqlite" }

  /// Removes scratch files whose processes are gone, and the marks of replays that were killed.
  ///
  /// The caller holds the write lease.
  ///
  /// - Returns: The names of those that are gone.
  @discardableResult
  public func removeAbandonedScratch() -> [String] {
    let names = (try? SmallFile.names(in: folder)) ?? []
    return names.filter { name in
      let path = "\(folder)/\(name)"
      if Self.isMark(name) {
        // Whoever can take it has it to himself, and it goes with what is let go of here.
        let mark = try? WorkMark.take(path)
        return mark != nil
      }
      guard let process = Self.scratchOwner(name), !Self.isAlive(process) else { return false }
      return unsafe unlink(path) == 0
    }.sorted()
  }

  private static func isMark(_ name: String) -> Bool {
    name.hasPrefix("index-") && name.hasSuffix(markSuffix)
  }

  /// The process in a name of the form `verify-PROCESS.sqlite`, with `-wal` or `-shm`, or
  /// `replay-PROCESS-….spill`; nil for any other.
  private static func scratchOwner(_ name: String) -> pid_t? {
    let isScratch =
      name.hasPrefix("verify-")
      && fileSuffixes.contains { name.hasSuffix(".sqlite" + $0) }
      || name.hasPrefix("replay-") && name.hasSuffix(".spill")
    guard isScratch else { return nil }
    return pid_t(name.dropFirst("verify-".count).prefix { $0.isASCII && $0.isNumber })
  }

  private static func isAlive(_ process: pid_t) -> Bool {
    kill(process, 0) == 0 || errno == EPERM
  }
}
