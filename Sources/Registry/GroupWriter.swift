internal import Journal
internal import Projections
internal import Synchronization

/// Commits groups of commands: lease, snapshot and overlay, rules, one append, answers.
///
/// Belongs to whoever is the writer at the moment: `MapRegistry` keeps it behind a lock.
struct GroupWriter {
  /// The lease goes to another process that waits after so many groups, or so long a time.
  private static let groupsPerTurn = 16
  private static let turnLength = Duration.milliseconds(100)

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
    var map: LiveMap<IndexReader>?
    var generation: IndexGeneration?
    var head = Position.start
    /// The overlay isn't the fold of the tail: entries of another writer, or a failed commit.
    var isStale = true
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
    let count = first.command.change.needsWholeIndex ? 1 : GroupWriter.sharedCount(group)
    var session = GroupSession(commands: group[..<count], keys: keys)
    do throws(RegistryError) {
      try beginTurn()
      if first.command.change.needsWholeIndex { try projector.wait(for: turn.head.index) }
      let map = try refreshView()
      try session.decide(on: map, after: turn.head)
      if !session.drafts.isEmpty { try append(session.drafts) }
      session.answer(at: turn.head)
    } catch {
      turn.isStale = true
      session.fail(error)
    }
    turn.groups += 1
    return group[count...]
  }

  /// Commands up to the first that must begin a group of its own.
  private static func sharedCount(_ group: [PendingCommand]) -> Int {
    group.firstIndex { $0.command.change.needsWholeIndex } ?? group.count
  }

  /// No commands wait: the projector gives the lease back once it has caught up.
  func rest() {
    try? turn.map?.index.endSnapshot()
    projector.rest()
  }

  // MARK: The turn

  /// Holds the lease; what other writers did meanwhile makes the overlay stale.
  private mutating func beginTurn() throws(RegistryError) {
    if projector.beginWork() {
      let isOver =
        turn.groups >= GroupWriter.groupsPerTurn
        || ContinuousClock.now - turn.began >= GroupWriter.turnLength
      guard isOver, lock.someoneWaits else { return }
      try projector.waitForAll()
      projector.endLease()
    }
    let lease: WriteLease
    do throws(JournalError) {
      lease = try lock.acquire(command: command)
    } catch {
      throw .journal(error)
    }
    turn.lease = lease
    turn.began = .now
    turn.groups = 0
    turn.isStale = true
    do throws(RegistryError) {
      try refreshHead()
      try openIndex(lease)
    } catch {
      lease.release()
      throw error
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
    var opened: IndexProjector?
    let checkpoint: IndexCheckpoint
    let path: String
    do throws(ProjectionError) {
      let current = try index.current()
      if turn.map == nil || turn.generation != current {
        let (generation, reader) = try index.open(store: journal.store)
        opened = try IndexProjector(path: reader.path, trust: reader.trust)
        turn.map = LiveMap(over: reader)
        turn.generation = generation
      }
      guard let reader = turn.map?.index else { preconditionFailure("the index was opened") }
      try reader.endSnapshot()
      checkpoint = try reader.checkpoint()
      path = reader.path
    } catch {
      turn.map = nil
      throw .index(error)
    }
    try journal.checkCheckpoint(checkpoint, at: path)
    projector.beginLease(
      lease, opened, projected: checkpoint.position.index, head: turn.head.index)
  }

  /// The map at the head: a snapshot of the index is opened first, then the overlay drops what it
  /// has reached, or is folded again from the journal.
  private mutating func refreshView() throws(RegistryError) -> LiveMap<IndexReader> {
    guard let map = turn.map else { preconditionFailure("a turn begins with an open index") }
    if turn.isStale {
      try refreshHead()
      projector.moved(to: turn.head.index)
    }
    if map.overlay.count > Overlay.capacity { try projector.waitForAll() }
    var checkpoint = try map.snapshot().position.index
    if turn.isStale {
      if turn.head.index - checkpoint > UInt64(Overlay.capacity) {
        try projector.waitForAll()
        checkpoint = try map.snapshot().position.index
      }
      map.forgetOverlay()
      try map.foldTail(of: journal, after: checkpoint, upTo: turn.head.index)
      turn.isStale = false
    }
    map.drop(upTo: checkpoint)
    return map
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
    if case .removeCell = self { true } else { false }
  }
}
