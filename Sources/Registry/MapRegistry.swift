internal import Dispatch
internal import Glibc
public import Journal
public import Projections
internal import Synchronization

/// The only writer of the map: commands in, entries out, the index behind them.
///
/// Whoever submits a command and finds no writer at work becomes the writer: it commits its own
/// command together with those that queue up meanwhile, until its own is answered, and then hands
/// on. A projector thread folds the entries into the index and gives the write lease back once it
/// has caught up and nobody waits.
///
/// Safe to use from many threads; each call blocks its thread for about one disk flush.
public final class MapRegistry: Sendable {
  /// The most commands and bytes in one commit.
  public static let maximumGroupCommands = 1000
  public static let maximumGroupBytes = 4 << 20

  private struct State: ~Copyable {
    var waiting: [PendingCommand] = []
    var hasWriter = false
    var isClosed = false
  }

  private let state = Mutex(State())
  private let writer: Mutex<GroupWriter>
  private let projector: ProjectorThread
  private let journal: EventJournal
  private let lock: StoreLock
  private let command: String
  private let index: IndexGenerations
  private let keys: KeyRing

  /// Makes a store ready for writing; the lease is taken only when a command comes.
  ///
  /// - Parameter command: What this process does, for those who wait for the lease.
  public init(
    journal: EventJournal, lock: StoreLock, command: String, index: IndexGenerations,
    keys: KeyRing
  ) {
    self.journal = journal
    self.lock = lock
    self.command = command
    self.index = index
    self.keys = keys
    projector = ProjectorThread(journal: journal)
    writer = Mutex(
      GroupWriter(
        journal: journal, lock: lock, command: command, index: index, keys: keys,
        projector: projector))
  }

  // The projector's thread would outlive a registry that is let go of unclosed.
  deinit { try? close() }

  /// Makes the map as a command wishes and returns once that is on disk.
  ///
  /// - Returns: The entries it took; none if the map was as wished. The same answer as before, if
  ///   the request id was used for the same command before.
  /// - Throws: `refused` if a rule or a guard says no, and nothing was done; `journal` with the
  ///   category `outcomeUnknown` if the command may or may not be on disk: submit it again under
  ///   the same request id.
  public func submit(_ command: Command) throws(RegistryError) -> Outcome {
    let pending = PendingCommand(command)
    let isWriter = try state.withLock { state throws(RegistryError) in
      guard !state.isClosed else { throw .closed }
      state.waiting.append(pending)
      guard !state.hasWriter else { return false }
      state.hasWriter = true
      return true
    }
    if !isWriter, pending.waitForAnswerOrTurn() == .answered { return try pending.answer() }
    while !pending.isAnswered {
      let group = takeGroup()
      putBack(writer.withLock { $0.commit(group) })
    }
    handOn()
    return try pending.answer()
  }

  /// Blocks until the index holds every entry that this registry has acknowledged; takes the lease
  /// for it where another process was given way to meanwhile.
  public func waitUntilProjected() throws(RegistryError) {
    if try !projector.waitForAll() { try projectTail() }
  }

  /// Blocks until the index holds every entry of the journal, also those of other processes and of
  /// one that died before it had projected them. Takes the lease for it.
  ///
  /// - Throws: As `submit`.
  public func projectTail() throws(RegistryError) {
    while !state.withLock({ state in
      defer { state.hasWriter = true }
      return !state.hasWriter
    }) { usleep(1000) }
    defer { handOn() }
    try writer.withLock { (writer) throws(RegistryError) in try writer.takeTurn() }
    try projector.waitForAll()
  }

  /// Begins to bring instances into a map that has none, past the index; other commands may come all
  /// the same, and end it.
  ///
  /// - Returns: nil if the map has instances, or ever had some; or if its journal is long, although it has
  ///   none.
  public func beginLoad() throws(RegistryError) -> MapLoad? {
    try projectTail()
    return try MapLoad(
      journal: journal, lock: lock, words: command, generations: index, keys: keys)
  }

  /// Lets waiting commands finish, projects what is left, syncs HEAD and gives the lease back.
  /// Commands that come later are refused with `closed`. More than once is the same as once.
  ///
  /// - Throws: Why the index stayed behind, or HEAD could not be synced; the registry is closed all
  ///   the same, and what was acknowledged is in the journal.
  public func close() throws(RegistryError) {
    state.withLock { $0.isClosed = true }
    while state.withLock({ $0.hasWriter }) { usleep(1000) }
    var failure: RegistryError?
    do throws(RegistryError) {
      if projector.isStranded { try projectTail() }
    } catch {
      failure = error
    }
    do throws(RegistryError) { try projector.stop() } catch { failure = failure ?? error }
    writer.withLock { $0.close() }
    do throws(JournalError) { try journal.syncHead() } catch {
      failure = failure ?? .journal(error)
    }
    if let failure { throw failure }
  }

  /// What a finished bulk command was answered, without asking for it again; nil if none bears the
  /// request id, or it has not come to its end.
  ///
  /// - Throws: `refused` with `requestReused` if the id is that of another command.
  public static func earlierAnswer(
    toBulk title: ByteText, under request: RequestID, in map: some MapLookup, at head: Position,
    keys: KeyRing
  ) throws(RegistryError) -> Outcome? {
    let row = try earlier(CommandContent(ofBulk: title), under: request, in: map, keys)
    guard let row, let finished = row.finished else { return nil }
    return Outcome(
      position: head, entries: row.first...row.last, isRepeated: true, finished: finished)
  }

  /// What a command of one commit was answered, without asking for it again; nil if none bears its
  /// request id.
  ///
  /// - Throws: As above.
  public static func earlierAnswer(
    to command: Command, in map: some MapLookup, at head: Position, keys: KeyRing
  ) throws(RegistryError) -> Outcome? {
    precondition(command.bulk == nil, "a bulk command is known by its title")
    let content = CommandContent(of: command)
    let row = try earlier(content, under: command.request, in: map, keys)
    return row.map { Outcome(position: head, entries: $0.first...$0.last, isRepeated: true) }
  }

  private static func earlier(
    _ content: CommandContent, under request: RequestID, in map: some MapLookup, _ keys: KeyRing
  ) throws(RegistryError) -> RequestRow? {
    guard let row = try RuleMap(map: map).request(request) else { return nil }
    guard row.content == keys.digest(of: content.bytes) else {
      throw .refused(.requestReused(request))
    }
    return row
  }

  // MARK: The queue

  /// What is queued now: at most 1,000 commands and 4 MiB, without waiting for more.
  private func takeGroup() -> [PendingCommand] {
    state.withLock { state in
      var bytes = 0
      var count = 0
      for pending in state.waiting.prefix(MapRegistry.maximumGroupCommands) {
        bytes += pending.estimatedBytes
        if count > 0, bytes > MapRegistry.maximumGroupBytes { break }
        count += 1
      }
      let group = Array(state.waiting.prefix(count))
      state.waiting.removeFirst(count)
      return group
    }
  }

  /// Commands of a group that must begin a group of their own.
  private func putBack(_ pending: ArraySlice<PendingCommand>) {
    guard !pending.isEmpty else { return }
    state.withLock { $0.waiting.insert(contentsOf: pending, at: 0) }
  }

  /// Gives the writer's part to the first who waits, or to the projector, which ends the lease.
  private func handOn() {
    let next = state.withLock { state -> PendingCommand? in
      if let next = state.waiting.first { return next }
      writer.withLock { $0.rest() }
      state.hasWriter = false
      return nil
    }
    if let next { next.takeTurn() }
  }
}

/// A command on its way through a group.
final class PendingCommand: Sendable {
  enum Wake { case answered, turn }

  private struct State {
    var answer: Result<Outcome, RegistryError>?
    var wake: Wake?
  }

  let command: Command
  private let state = Mutex(State())
  private let semaphore = DispatchSemaphore(value: 0)

  init(_ command: Command) { self.command = command }

  /// A guess that is never far below the entries' size.
  var estimatedBytes: Int {
    600 * max(1, command.change.pieceCount) + (command.authorship.reason?.string.utf8.count ?? 0)
  }

  var isAnswered: Bool { state.withLock { $0.answer != nil } }

  func finish(_ answer: Result<Outcome, RegistryError>) {
    state.withLock { state in
      precondition(state.answer == nil, "a command is answered once")
      state.answer = answer
      state.wake = .answered
    }
    semaphore.signal()
  }

  func takeTurn() {
    state.withLock { $0.wake = .turn }
    semaphore.signal()
  }

  func waitForAnswerOrTurn() -> Wake {
    semaphore.wait()
    return state.withLock { $0.wake ?? .turn }
  }

  func answer() throws(RegistryError) -> Outcome {
    guard let answer = state.withLock({ $0.answer }) else {
      preconditionFailure("the writer left a command of its group unanswered")
    }
    return try answer.get()
  }
}
