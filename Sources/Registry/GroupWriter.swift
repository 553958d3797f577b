internal import Glibc
internal import Journal
internal import Projections
internal import Synchronization

/// Commits groups of commands: lease, snapshot and overlay, rules, one append, answers.
///
/// Belongs to whoever is the writer at the moment: `MapRegistry` keeps it behind a lock.
struct GroupWriter {
  /// The lease goes to another process that waits after so many groups, or so long a time.
  private static let groupsPerTurn = 16
  static let turnNanoseconds: UInt64 = 100_000_000
  private static let turnLength = Duration.nanoseconds(Int64(turnNanoseconds))
  /// How long those who wait are given to see that the lease is free.
  private static let yieldMilliseconds = 20

  private let journal: EventJournal
  private let lock: StoreLock
  private let command: String
  private let index: IndexGenerations
  private let keys: KeyRing
  private let projector: ProjectorThread
  private var turn = Turn()

  /// What a writer knows while the lease is held.
  private struct Turn {
    var lease: WriteLease?
    var map: LiveMap?
    var generation: IndexGeneration?
    var head = Position.start
    /// The overlay isn't the fold of the tail: entries of another writer, or a failed commit.
    var isStale = true
    /// The store was made of an export, perhaps, and the first entry of one's own opens an epoch.
    var mayOweEpoch = true
    /// The checkpoint of the snapshot that is open.
    var snapshot: UInt64?
    var began = ContinuousClock.now
    var groups = 0
  }

  init(
    journal: EventJournal, lock: StoreLock, command: String, index: IndexGenerations,
    keys: KeyRing, projector: ProjectorThread
  ) {
    self.journal = journal
    self.lock = lock
    self.command = command
    self.index = index
    self.keys = keys
    self.projector = projector
  }

  /// Commits a group and answers it, but for commands that must begin a group of their own: those
  /// are given back.
  ///
  /// - Returns: What is left of the group, to be put back at the head of the queue.
  mutating func commit(_ group: [PendingCommand]) -> ArraySlice<PendingCommand> {
    guard let first = group.first else { return [] }
    let needsWholeIndex = first.command.change.needsWholeIndex
    let count = needsWholeIndex ? 1 : GroupWriter.sharedCount(group)
    commit(group[..<count], needsWholeIndex: needsWholeIndex)
    return group[count...]
  }

  /// Commands up to the first that must begin a group of its own.
  private static func sharedCount(_ group: [PendingCommand]) -> Int {
    group.firstIndex { $0.command.change.needsWholeIndex } ?? group.count
  }

  /// Commits commands together. If the journal can't take one of them, halves of the group are tried
  /// until that one is alone, so that it fails no other.
  private mutating func commit(
    _ commands: ArraySlice<PendingCommand>, needsWholeIndex: Bool
  ) {
    var session = GroupSession(commands: commands, keys: keys)
    do throws(RegistryError) {
      try beginTurn()
      turn.groups += 1
      let map = try refreshView(needsWholeIndex: needsWholeIndex)
      try session.decide(on: map, after: turn.head, of: journal)
      if turn.mayOweEpoch, !session.drafts.isEmpty, try openDueEpoch(before: session.drafts) {
        session = GroupSession(commands: commands, keys: keys)
        let map = try refreshView(needsWholeIndex: needsWholeIndex)
        try session.decide(on: map, after: turn.head, of: journal)
      }
      if !session.drafts.isEmpty { try append(session.drafts) }
      session.answer(at: turn.head, from: journal)
    } catch .journal(.invalidDraft(let error)) {
      turn.isStale = true
      guard commands.count > 1 else { return session.fail(.refused(.tooLarge("\(error)"))) }
      let middle = commands.startIndex + commands.count / 2
      commit(commands[..<middle], needsWholeIndex: false)
      commit(commands[middle...], needsWholeIndex: false)
    } catch {
      turn.isStale = true
      session.fail(error)
    }
  }

  /// Takes the lease, if it isn't held, so that the projector works.
  mutating func takeTurn() throws(RegistryError) { try beginTurn() }

  /// No commands wait: the projector gives the lease back once it has caught up.
  mutating func rest() {
    endSnapshot()
    projector.rest()
  }

  private mutating func endSnapshot() {
    try? turn.map?.index.endSnapshot()
    turn.snapshot = nil
  }

  /// Lets go of the index.
  mutating func close() { turn = Turn() }

  // MARK: The turn

  /// Holds the lease; what other writers did meanwhile makes the overlay stale.
  private mutating func beginTurn() throws(RegistryError) {
    if projector.beginWork() {
      let isOver =
        turn.groups >= GroupWriter.groupsPerTurn
        || ContinuousClock.now - turn.began >= GroupWriter.turnLength
      // An index that failed is opened again with the next lease.
      guard isOver, lock.someoneWaits || projector.hasFailed else { return }
      letOthersWrite()
    }
    let lease = try acquireLease()
    turn.lease = lease
    turn.began = .now
    turn.groups = 0
    turn.isStale = true
    turn.mayOweEpoch = true
    do throws(RegistryError) {
      try refreshHead()
      try openIndex(lease)
    } catch {
      lease.release()
      projector.lostLease(error)
      throw error
    }
  }

  /// Gives the lease back with the tail unprojected: whoever takes it goes on from the checkpoint.
  ///
  /// Who waits looks once a millisecond, so taking the lease again at once would starve it.
  private mutating func letOthersWrite() {
    endSnapshot()
    projector.endLease()
    for _ in 0..<GroupWriter.yieldMilliseconds where lock.someoneWaits { usleep(1000) }
  }

  private func acquireLease() throws(RegistryError) -> WriteLease {
    do throws(JournalError) {
      return try lock.acquire(command: command)
    } catch {
      projector.lostLease(.journal(error))
      throw .journal(error)
    }
  }

  private mutating func refreshHead() throws(RegistryError) {
    do throws(JournalError) {
      turn.head = try journal.refresh().position
    } catch {
      throw .journal(error)
    }
  }

  /// Opens the index that CURRENT names, unless that is the one that is open; the projector goes on
  /// from its checkpoint.
  private mutating func openIndex(_ lease: WriteLease) throws(RegistryError) {
    var failure: RegistryError?
    let checkpoint: IndexCheckpoint
    let path: String
    do throws(ProjectionError) {
      let current = try index.current()
      if turn.map == nil || turn.generation != current || projector.hasFailed {
        turn.map = nil
        let (generation, reader) = try index.open(store: journal.store)
        failure = openProjector(reader.path, trust: reader.trust)
        turn.map = LiveMap(over: reader)
        turn.generation = generation
      }
      guard let reader = turn.map?.index else { preconditionFailure("the index was opened") }
      try reader.endSnapshot()
      turn.snapshot = nil
      checkpoint = try reader.checkpoint()
      path = reader.path
    } catch {
      turn.map = nil
      throw .index(error)
    }
    try journal.checkCheckpoint(checkpoint, at: path)
    projector.beginLease(
      lease, projected: checkpoint.position.index, head: turn.head.index, failure: failure)
  }

  /// Gives the projector the index; why it can't write it, if it can't. Without it, entries are
  /// acknowledged all the same, as long as the overlay holds them.
  private func openProjector(_ path: String, trust: IndexTrust) -> RegistryError? {
    projector.use(nil)
    do throws(ProjectionError) {
      projector.use(try IndexProjector(path: path, trust: trust))
      return nil
    } catch {
      return .index(error)
    }
  }

  /// The map at the head: a snapshot of the index is opened first, then the overlay drops what it
  /// has reached, or is folded again from the journal.
  private mutating func refreshView(
    needsWholeIndex: Bool
  ) throws(RegistryError) -> LiveMap {
    guard let map = turn.map else { preconditionFailure("a turn begins with an open index") }
    if turn.isStale {
      try refreshHead()
      projector.moved(to: turn.head.index)
    }
    if needsWholeIndex { try projector.wait(for: turn.head.index) }
    // While the index stands still, the open snapshot and what was read of it stay true.
    if !turn.isStale, let open = turn.snapshot, open == projector.projected {
      if turn.head.index - open <= UInt64(Overlay.capacity) { return map }
    }
    var checkpoint = try map.snapshot().position.index
    if turn.head.index - checkpoint > UInt64(Overlay.capacity) {
      try projector.wait(for: turn.head.index - UInt64(Overlay.capacity / 2))
      checkpoint = try map.snapshot().position.index
    }
    if turn.isStale {
      map.forgetOverlay()
      try map.foldTail(of: journal, after: checkpoint, upTo: turn.head.index)
      turn.isStale = false
    }
    map.drop(upTo: checkpoint)
    turn.snapshot = checkpoint
    return map
  }

  /// Opens the epoch that is due in a store that was made of an export, by whom its first command is.
  ///
  /// - Returns: Whether it did, so that what was decided is to be decided again.
  private mutating func openDueEpoch(before drafts: [EntryDraft]) throws(RegistryError) -> Bool {
    // A rebuild opens one of its own.
    if case .store(.epochOpened) = drafts[0].event { return false }
    let due: EpochOpening?
    do throws(JournalError) { due = try journal.dueOpening() } catch { throw .journal(error) }
    turn.mayOweEpoch = false
    guard let due else { return false }
    var authorship = drafts[0].authorship
    authorship.isObserved = false
    authorship.reason = "the first change of a store that was made of an export"
    turn.isStale = true
    try append([
      EntryDraft(
        event: .store(.epochOpened(due)), authorship: authorship,
        request: RequestMark(id: .none))
    ])
    journal.noteOpening()
    return true
  }

  private mutating func append(_ drafts: [EntryDraft]) throws(RegistryError) {
    guard let lease = turn.lease else { preconditionFailure("a turn begins with the lease") }
    do throws(JournalError) {
      turn.head = try journal.append(drafts, expecting: turn.head, under: lease).position
    } catch {
      throw .journal(error)
    }
    projector.moved(to: turn.head.index)
  }
}

extension Change {
  /// The rules look at more of the map than the rows that the command names, so it begins a group
  /// of its own once the index has reached the head.
  var needsWholeIndex: Bool {
    switch self {
    case .removeCell, .openEpoch: true
    case .take(let observations): observations.contains(where: \.removesCell)
    case .revert(let reversal): reversal.items.contains(where: \.removesCell)
    default: false
    }
  }
}

extension Observation {
  fileprivate var removesCell: Bool {
    if case .cell(_, nil) = state { true } else { false }
  }
}
