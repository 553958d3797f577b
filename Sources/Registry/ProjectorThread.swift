internal import Dispatch
internal import Journal
internal import Projections
internal import Synchronization

/// The thread that folds acknowledged entries into the index, and gives the write lease back once it
/// has caught up and no writer is at work.
///
/// It writes the index only while the lease is held here: the lease covers the index as well.
///
/// It lets entries gather: readers fold what the index lacks, so nobody waits for it, and a burst is
/// acknowledged faster while the index's file and the second core are left to the writer. It begins
/// once the writer has rested for `linger`, when an entry has waited for `maximumLag`, when
/// `maximumBacklog` entries wait, or at once for whoever waits for it; then it catches up.
final class ProjectorThread: Sendable {
  /// How long the lease outlives a command that no other follows, so that a lone caller doesn't take
  /// it anew for each.
  static let lingerNanoseconds: UInt64 = 2_000_000
  static let maximumLagNanoseconds: UInt64 = 1_000_000_000
  static let maximumBacklog = UInt64(Overlay.capacity / 2)

  private struct State: ~Copyable {
    /// The last entry that is acknowledged, and the last that the index holds.
    var head: UInt64 = 0
    var projected: UInt64 = 0
    /// A writer is at work, so the lease is its to keep.
    var isWriterAtWork = false
    var lease: WriteLease?
    /// When the lease was taken.
    var leasedAt: UInt64 = 0
    /// When something was acknowledged last, or the writer rested.
    var activeAt: UInt64 = 0
    /// When the oldest of the entries was acknowledged that the index lacks.
    var behindSince: UInt64 = 0
    /// When the thread looks by itself; it is woken for what is due before. 0 while it works.
    var wakesAt: UInt64 = 0
    var isStopping = false
    /// Why the index stays behind, and the head at which it was tried; nil once it moved on.
    var failure: (error: RegistryError, head: UInt64)?
    var waiters: [Waiter] = []

    /// What can't be overcome by trying again: nothing came since it was tried.
    var lastingFailure: RegistryError? {
      if let failure, failure.head >= head { failure.error } else { nil }
    }

    /// There is nothing to project, or nothing that could be.
    var isDone: Bool { projected >= head || lastingFailure != nil || lease == nil }

    /// Nobody here needs the lease.
    var isFreeToGiveWay: Bool { !isWriterAtWork && waiters.isEmpty && !isStopping }

    /// The index lacks entries, and nobody here goes on with them: the lease went to others.
    var isStranded: Bool {
      projected < head && lease == nil && !isWriterAtWork && lastingFailure == nil
    }

    mutating func releaseLease() {
      lease?.release()
      lease = nil
    }

    /// When there is something to do: to project, to give the lease back, or to end.
    var dueAt: UInt64 {
      if isDone {
        if isStopping { return 0 }
        return lease == nil || isWriterAtWork ? .max : activeAt + lingerNanoseconds
      }
      if isStopping || !waiters.isEmpty || head - projected >= maximumBacklog { return 0 }
      let lagEnd = behindSince + maximumLagNanoseconds
      return isWriterAtWork ? lagEnd : min(lagEnd, activeAt + lingerNanoseconds)
    }

    mutating func takeAll() -> [Waiter] {
      defer { waiters = [] }
      return waiters
    }

    /// The waiters whose entry is in the index, which wait no more.
    mutating func takeContent() -> [Waiter] {
      let content = waiters.filter { $0.index <= projected }
      waiters.removeAll { $0.index <= projected }
      return content
    }
  }

  /// A caller that blocks until the index holds an entry.
  private final class Waiter: Sendable {
    let index: UInt64
    private let semaphore = DispatchSemaphore(value: 0)
    private let failure = Mutex<RegistryError?>(nil)

    init(for index: UInt64) { self.index = index }

    func wake(_ failure: RegistryError? = nil) {
      self.failure.withLock { $0 = failure }
      semaphore.signal()
    }

    func wait() throws(RegistryError) {
      semaphore.wait()
      if let failure = failure.withLock({ $0 }) { throw failure }
    }
  }

  // Lock order: `projecting`, then `state`.
  private let projecting = Mutex(())
  // Protected by `projecting`.
  private nonisolated(unsafe) var projector: IndexProjector?
  private let state = Mutex(State())
  private let work = DispatchSemaphore(value: 0)
  private let ended = DispatchSemaphore(value: 0)
  private let journal: EventJournal

  init(journal: EventJournal) {
    self.journal = journal
    let isStarted = OwnThread.start { [self] in run() }
    precondition(isStarted, "the system has a thread for the projector")
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

  /// The last entry that the index holds.
  var projected: UInt64 { state.withLock { $0.projected } }

  /// Whether the index could not be written the last time.
  var hasFailed: Bool { state.withLock { $0.failure != nil } }

  /// Takes another index to write, or none; while no lease is held.
  func use(_ other: sending IndexProjector?) {
    projecting.withLock { _ in unsafe projector = other }
  }

  /// Says that the writer took the lease, and from where the index goes on.
  ///
  /// - Parameter failure: Why the index can't be written; entries are acknowledged all the same.
  func beginLease(
    _ lease: WriteLease, projected: UInt64, head: UInt64, failure: RegistryError?
  ) {
    let now = Self.now()
    var content: [Waiter] = []
    change { state in
      state.lease = lease
      state.head = head
      state.projected = projected
      state.failure = nil
      (state.leasedAt, state.activeAt, state.behindSince) = (now, now, now)
      content = state.takeContent()
    }
    for waiter in content { waiter.wake() }
    if let failure { fail(failure, at: head) }
  }

  /// Says that entries up to `head` are acknowledged.
  func moved(to head: UInt64) {
    let now = Self.now()
    change { state in
      if state.projected >= state.head { state.behindSince = now }
      state.head = head
      state.activeAt = now
    }
  }

  /// Says that no writer is at work: the lease goes back once the index has caught up.
  func rest() {
    let now = Self.now()
    change { state in
      state.isWriterAtWork = false
      state.activeAt = now
    }
  }

  /// Gives the lease back after the batch that is being projected, for another writer that waits.
  func endLease() {
    projecting.withLock { _ in
      state.withLock { $0.releaseLease() }
    }
  }

  /// Says that the lease could not be had (again): nobody projects here until it can.
  func lostLease(_ error: RegistryError) { fail(error, at: state.withLock { $0.head }) }

  /// Blocks until the index holds the entry at `index`.
  ///
  /// - Returns: False, at once, if only a new lease brings it into the index (`isStranded`).
  @discardableResult
  func wait(for index: UInt64) throws(RegistryError) -> Bool {
    var isStranded = false
    let waiter = try change { (state) throws(RegistryError) -> Waiter? in
      guard state.projected < index else { return nil }
      if let failure = state.lastingFailure { throw failure }
      isStranded = state.isStranded
      if isStranded { return nil }
      let waiter = Waiter(for: index)
      state.waiters.append(waiter)
      return waiter
    }
    try waiter?.wait()
    return !isStranded
  }

  /// Blocks until the index holds every acknowledged entry; as `wait(for:)`.
  @discardableResult
  func waitForAll() throws(RegistryError) -> Bool {
    try wait(for: state.withLock { $0.head })
  }

  /// Whether the index lacks entries that only a new lease will bring into it.
  var isStranded: Bool { state.withLock { $0.isStranded } }

  /// Ends the thread once it has caught up, and returns then: the lease is given back and the index
  /// is closed. More than once is the same as once.
  func stop() throws(RegistryError) {
    change { state in
      state.isStopping = true
      state.isWriterAtWork = false
    }
    ended.wait()
    ended.signal()
    use(nil)
    try state.withLock { state throws(RegistryError) in
      if let failure = state.failure, state.projected < state.head { throw failure.error }
    }
  }

  // MARK: The thread

  private static func now() -> UInt64 { DispatchTime.now().uptimeNanoseconds }

  /// Changes the state, and wakes the thread if something is due before it would look by itself.
  private func change<Result, Failure: Error>(
    _ body: (inout State) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let (result, wakes) = try state.withLock { (state) throws(Failure) in
      let result = try body(&state)
      let dueAt = state.dueAt
      guard dueAt < state.wakesAt else { return (result, false) }
      state.wakesAt = dueAt
      return (result, true)
    }
    if wakes { work.signal() }
    return result
  }

  private enum Step {
    case sleep(until: UInt64)
    case project
    case end
  }

  private func run() {
    while true {
      switch nextStep() {
      case .sleep(until: .max): work.wait()
      case .sleep(let time): _ = work.wait(timeout: DispatchTime(uptimeNanoseconds: time))
      case .project: while projectSome(), !giveWay() {}
      case .end:
        for waiter in state.withLock({ $0.takeAll() }) { waiter.wake(.closed) }
        ended.signal()
        return
      }
    }
  }

  /// What is due now; the lease is given back on the way if nobody needs it any more.
  private func nextStep() -> Step {
    state.withLock { state in
      let now = Self.now()
      if state.dueAt <= now {
        state.wakesAt = 0
        if !state.isDone { return .project }
        state.releaseLease()
        if state.isStopping { return .end }
      }
      // While the lease is held it looks often enough that no rest of a writer needs to wake it:
      // that would cost as much as all the rest of a command.
      state.wakesAt =
        state.lease == nil ? state.dueAt : min(state.dueAt, now + Self.lingerNanoseconds)
      return .sleep(until: state.wakesAt)
    }
  }

  /// Gives the lease back in the middle of a long tail if another process has waited for it long
  /// enough and nobody here waits for the rest: whoever takes the lease projects that.
  private func giveWay() -> Bool {
    let lease = state.withLock { state in
      let isOver = Self.now() - state.leasedAt >= GroupWriter.turnNanoseconds
      return state.isFreeToGiveWay && isOver ? state.lease : nil
    }
    guard let lease, lease.someoneWaits else { return false }
    return state.withLock { state in
      // Somebody may have come meanwhile who needs the lease.
      guard state.isFreeToGiveWay else { return false }
      state.releaseLease()
      return true
    }
  }

  /// Takes at most one batch of entries into the index; false once there are none, if the lease
  /// isn't held, or if it failed.
  private func projectSome() -> Bool {
    projecting.withLock { _ in
      let (isLeased, head, projected) = state.withLock {
        ($0.lease != nil, $0.head, $0.projected)
      }
      guard isLeased, projected < head else { return false }
      do throws(RegistryError) {
        reached(try project(after: projected))
        return true
      } catch {
        fail(error, at: head)
        return false
      }
    }
  }

  /// - Returns: The last entry in the index.
  private func project(after projected: UInt64) throws(RegistryError) -> UInt64 {
    guard let projector = unsafe projector else {
      // It could not be opened, and is tried again with the next lease.
      throw state.withLock { $0.failure?.error } ?? .closed
    }
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
    return projector.checkpoint.position.index
  }

  private func reached(_ index: UInt64) {
    let now = Self.now()
    let content = state.withLock { state in
      state.projected = index
      state.failure = nil
      state.behindSince = now
      return state.takeContent()
    }
    for waiter in content { waiter.wake() }
  }

  /// The journal goes on without its index; what waits for it is told.
  private func fail(_ error: RegistryError, at head: UInt64) {
    let waiters = state.withLock { state in
      state.failure = (error, head)
      // Those who wait for later entries wait for the next attempt.
      defer { state.waiters.removeAll { $0.index <= head } }
      return state.waiters.filter { $0.index <= head }
    }
    for waiter in waiters { waiter.wake(error) }
  }
}
