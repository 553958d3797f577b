internal import Dispatch
internal import Journal
internal import Registry
internal import Synchronization

/// Observations on their way into the map, in large chunks: while one is committed, on a thread of its
/// own, the next is gathered.
///
/// Belongs to one thread. The chunks are committed one after the other, in the order of their keys:
/// by the registry, or past the index into a map that has no instances yet.
final class ChunkedSubmission {
  /// Things of one chunk: many enough that what a commit costs by itself is little beside them, and
  /// few enough that the lease is given back often.
  static let things = 4_000

  private let submission: Submission
  /// The way past the index; nil once it has ended, or where it isn't open.
  private(set) var load: MapLoad?
  private var isLoaded = false
  private var changed: UInt64 = 0

  private var chunk = Chunk()
  private var underway: Commit?

  private struct Chunk {
    var observations: [Observation] = []
    var pieces: [MapLoad.Piece] = []
    /// Observations that change something, as far as the load has decided.
    var changing: UInt64 = 0
    var ends: (first: EntityKey, last: EntityKey)?
    var count = 0
  }

  init(_ submission: Submission, load: MapLoad? = nil) {
    self.submission = submission
    self.load = load
  }

  // What is underway is waited for also by whoever gives up.
  deinit { underway?.wait() }

  /// Hands on what is observed of one thing, after those of its kind whose keys are less.
  ///
  /// - Parameter events: What each observation takes; only looked at while there is a `load`.
  /// - Throws: What an earlier chunk failed with; nothing may be added any more then.
  func add(
    _ found: [Observation], _ events: [[Event]], of entity: EntityKey
  ) throws(RebuildError) {
    chunk.observations += found
    if load != nil {
      for (observation, events) in zip(found, events) where !events.isEmpty {
        chunk.pieces += MapLoad.pieces(events, of: observation)
        chunk.changing += 1
      }
    }
    chunk.ends = (chunk.ends?.first ?? entity, entity)
    chunk.count += 1
    if chunk.count >= Self.things { try begin() }
  }

  /// Blocks until all is committed, and an index serves that can be brought up to it.
  ///
  /// - Returns: How many things were changed.
  func finish() throws(RebuildError) -> UInt64 {
    try begin()
    try settle()
    if let load, isLoaded {
      do throws(RegistryError) { try load.finish() } catch { throw .registry(error) }
    }
    return changed
  }

  private func begin() throws(RebuildError) {
    try settle()
    let chunk = self.chunk
    self.chunk = Chunk()
    guard let ends = chunk.ends else { return }
    let range = KeyRange(ends.first, through: ends.last)
    let command = submission.command(.take(chunk.observations), range)
    guard let load else {
      let registry = submission.registry
      underway = Commit(of: command) { () throws(RegistryError) in
        .committed(try registry.submit(command))
      }
      return
    }
    guard !chunk.pieces.isEmpty else { return }
    let (pieces, changing) = (chunk.pieces, chunk.changing)
    underway = Commit(of: command) { () throws(RegistryError) in
      try load.append(pieces, of: command) ? .loaded(changing) : .declined
    }
  }

  /// Waits for what is underway.
  private func settle() throws(RebuildError) {
    guard let commit = underway else { return }
    underway = nil
    do throws(RegistryError) {
      switch try commit.result() {
      case .committed(let outcome): changed += submission.note(outcome)
      case .loaded(let count):
        changed += count
        isLoaded = true
      case .declined:
        // Another writer came: from here on each instance is looked for in the index.
        load = nil
        changed += submission.note(try submission.registry.submit(commit.command))
      }
    } catch {
      throw .registry(error)
    }
  }

  /// One commit, on its way.
  private final class Commit: Sendable {
    enum Ending: Sendable {
      case committed(Outcome)
      case loaded(UInt64)
      case declined
    }

    let command: Command
    private let ending = Mutex<Result<Ending, RegistryError>?>(nil)
    private let done = DispatchSemaphore(value: 0)

    init(
      of command: Command, _ work: @escaping @Sendable () throws(RegistryError) -> Ending
    ) {
      self.command = command
      let isStarted = OwnThread.start { [self] in run(work) }
      if !isStarted { run(work) }
    }

    private func run(_ work: () throws(RegistryError) -> Ending) {
      let result: Result<Ending, RegistryError>
      do throws(RegistryError) { result = .success(try work()) } catch {
        result = .failure(error)
      }
      ending.withLock { $0 = result }
      done.signal()
    }

    /// Blocks until it has ended.
    func wait() {
      done.wait()
      done.signal()
    }

    func result() throws(RegistryError) -> Ending {
      wait()
      guard let result = ending.withLock({ $0 }) else { preconditionFailure("it has ended") }
      return try result.get()
    }
  }
}
