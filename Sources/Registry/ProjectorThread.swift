internal import Dispatch
internal import Glibc
internal import Journal
internal import Projections
internal import Synchronization

/// The thread that folds acknowledged entries into the index, and gives the write lease back once it
/// has caught up and no writer is at work.
final class ProjectorThread: Sendable {
  private struct State: ~Copyable {
    /// The last entry that is acknowledged, and the last that the index holds.
    var head: UInt64 = 0
    var projected: UInt64 = 0
    /// A writer is at work, so the lease is its to keep.
    var isWriterAtWork = false
    var lease: WriteLease?
    var isStopping = false
    var failure: RegistryError?
    var waiters: [(index: UInt64, semaphore: DispatchSemaphore)] = []
  }

  private let state = Mutex(State())
  private let work = DispatchSemaphore(value: 0)
  private let ended = DispatchSemaphore(value: 0)
  private let journal: EventJournal
  // Set by the writer while the thread has nothing to project, else used by the thread alone.
  private nonisolated(unsafe) var projector: IndexProjector?

  init(journal: EventJournal) {
    self.journal = journal
    Thread.start { [self] in run() }
  }

  // MARK: For the writer

  /// Says that a writer is at work: the lease stays if it is held.
  ///
  /// - Returns: Whether the lease is held.
  func beginWork() -> Bool {
    state.withLock { state in
      state.isWriterAtWork = true
      return state.lease != nil
    }
  }

  /// Says that the writer took the lease, and from where the index goes on.
  ///
  /// - Parameter projector: That of a newly opened index; nil if the one of before goes on.
  func beginLease(
    _ lease: WriteLease, _ projector: IndexProjector?, projected: UInt64, head: UInt64
  ) {
    // The thread doesn't touch its projector before it is told of entries to project.
    if let projector { unsafe self.projector = projector }
    state.withLock { state in
      state.lease = lease
      state.head = head
      state.projected = projected
      state.failure = nil
    }
    work.signal()
  }

  /// Says that entries up to `head` are acknowledged.
  func moved(to head: UInt64) {
    state.withLock { $0.head = head }
    work.signal()
  }

  /// Says that no writer is at work: the lease goes back once the index has caught up.
  func rest() {
    state.withLock { $0.isWriterAtWork = false }
    work.signal()
  }

  /// Gives the lease back now, for a writer of another process that waits; the index has caught up.
  func endLease() {
    state.withLock { state in
      state.lease?.release()
      state.lease = nil
    }
  }

  /// Blocks until the index holds the entry at `index`.
  func wait(for index: UInt64) throws(RegistryError) {
    let semaphore = DispatchSemaphore(value: 0)
    let mustWait = try state.withLock { state throws(RegistryError) in
      if let failure = state.failure { throw failure }
      guard state.projected < index else { return false }
      state.waiters.append((index, semaphore))
      return true
    }
    if mustWait { semaphore.wait() }
    try state.withLock { state throws(RegistryError) in
      if let failure = state.failure, state.projected < index { throw failure }
    }
  }

  /// Blocks until the index holds every acknowledged entry.
  func waitForAll() throws(RegistryError) { try wait(for: state.withLock { $0.head }) }

  /// Ends the thread once it has caught up, and returns then; the lease is given back.
  func stop() throws(RegistryError) {
    state.withLock { state in
      state.isStopping = true
      state.isWriterAtWork = false
    }
    work.signal()
    ended.wait()
    try state.withLock { state throws(RegistryError) in
      if let failure = state.failure { throw failure }
    }
  }

  // MARK: The thread

  private func run() {
    while true {
      work.wait()
      do throws(RegistryError) {
        while try projectSome() {}
      } catch {
        fail(error)
      }
      if restOrStop() {
        ended.signal()
        return
      }
    }
  }

  /// Takes at most one batch of entries into the index; false once there are none.
  private func projectSome() throws(RegistryError) -> Bool {
    let (head, projected) = state.withLock { ($0.head, $0.projected) }
    guard projected < head, let projector = unsafe projector else { return false }
    let changes: [EntryChange]
    let root: Digest
    do throws(JournalError) {
      changes = try journal.changes(after: projected, limit: IndexProjector.maximumBatch)
      root = try journal.root(at: projected + UInt64(changes.count))
    } catch {
      throw .journal(error)
    }
    do throws(ProjectionError) {
      try projector.apply(changes, root: root)
    } catch {
      throw .index(error)
    }
    reached(projector.checkpoint.position.index)
    return true
  }

  private func reached(_ index: UInt64) {
    let woken = state.withLock { state in
      state.projected = index
      let woken = state.waiters.filter { $0.index <= index }
      state.waiters.removeAll { $0.index <= index }
      return woken.map(\.semaphore)
    }
    for semaphore in woken { semaphore.signal() }
  }

  /// The journal goes on without its index; what waits for it is told.
  private func fail(_ error: RegistryError) {
    let woken = state.withLock { state in
      state.failure = error
      defer { state.waiters = [] }
      return state.waiters.map(\.semaphore)
    }
    for semaphore in woken { semaphore.signal() }
  }

  /// Gives the lease back if nobody needs it; true if the thread shall end.
  private func restOrStop() -> Bool {
    state.withLock { state in
      let hasCaughtUp = state.projected >= state.head || state.failure != nil
      if !state.isWriterAtWork, hasCaughtUp, let lease = state.lease {
        lease.release()
        state.lease = nil
      }
      return state.isStopping && hasCaughtUp
    }
  }
}

/// A thread of its own, for what blocks.
enum Thread {
  static func start(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let code = unsafe pthread_create(
      &thread, nil,
      { pointer in
        unsafe Unmanaged<Body>.fromOpaque(pointer!).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(Body(body)).toOpaque())
    precondition(code == 0, "pthread_create failed with \(code)")
    pthread_detach(thread)
  }

  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
}
