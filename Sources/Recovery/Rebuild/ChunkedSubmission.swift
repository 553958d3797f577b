internal import Journal
internal import Registry

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
  private let decide: Decide
  /// The way past the index; nil once it has ended, or where it isn't open.
  private(set) var load: MapLoad?
  private var isLoaded = false
  private var changed: UInt64 = 0

  private var chunk = Chunk()
  private var underway: Underway?

  private struct Chunk {
    var observations: [Observation] = []
    var ends: (first: EntityKey, last: EntityKey)?
    var count = 0

    init() { observations.reserveCapacity(ChunkedSubmission.things) }
  }

  typealias Decide = ([Observation], inout RebuildPlan) throws(RegistryError) -> Bool

  /// A chunk on its way.
  private struct Underway {
    var command: Command
    /// nil if it isn't loaded.
    var decided: MapLoad.Decided?
    var commit: OwnWork<Ending, RegistryError>
  }

  private enum Ending: Sendable {
    case committed(Outcome)
    case loaded
    case declined
  }

  /// - Parameter decide: Puts what is observed of a thing to the rules, and counts it; false if they don't take
  ///   it. Asked for what a load has left undecided.
  init(_ submission: Submission, load: MapLoad? = nil, _ decide: @escaping Decide) {
    self.submission = submission
    self.load = load
    self.decide = decide
  }

  // What is underway is waited for also by whoever gives up.
  deinit { underway?.commit.wait() }

  /// Takes what is observed of one thing away, after those of its kind whose keys are less.
  ///
  /// While there is a `load`, that decides it; else it was decided, and is taken.
  ///
  /// - Throws: What an earlier chunk failed with; nothing may be added any more then.
  func add(
    _ found: inout [Observation], of entity: EntityKey, _ plan: inout RebuildPlan
  ) throws(RebuildError) {
    // Moved, in their order: `+=` would count each one's texts.
    found.reverse()
    while let observation = found.popLast() { chunk.observations.append(consume observation) }
    chunk.ends = (chunk.ends?.first ?? entity, entity)
    chunk.count += 1
    if chunk.count >= Self.things { try begin(&plan) }
  }

  /// Blocks until all is committed, and an index serves that can be brought up to it.
  ///
  /// - Returns: How many things were changed.
  func finish(_ plan: inout RebuildPlan) throws(RebuildError) -> UInt64 {
    try begin(&plan)
    try settle(&plan)
    if let load, isLoaded {
      do throws(RegistryError) { try load.finish() } catch { throw .registry(error) }
    }
    return changed
  }

  private func begin(_ plan: inout RebuildPlan) throws(RebuildError) {
    let chunk = self.chunk
    self.chunk = Chunk()
    guard let ends = chunk.ends else { return }
    let range = KeyRange(ends.first, through: ends.last)
    let command = submission.command(.take(chunk.observations), range)
    var decided: MapLoad.Decided?
    do throws(RegistryError) { decided = try load?.decide(command) } catch {
      throw .registry(error)
    }
    try settle(&plan)
    // The chunk before may have been the first that another writer has overtaken.
    if decided != nil, load == nil { return try submit(command, &plan) }
    let (registry, load) = (submission.registry, load)
    let commit = OwnWork<Ending, RegistryError> { [decided] () throws(RegistryError) in
      guard let load, let decided else { return .committed(try registry.submit(command)) }
      return try load.append(decided) ? .loaded : .declined
    }
    underway = Underway(command: command, decided: decided, commit: commit)
  }

  /// Waits for what is underway.
  private func settle(_ plan: inout RebuildPlan) throws(RebuildError) {
    guard let underway else { return }
    self.underway = nil
    let ending: Ending
    do throws(RegistryError) { ending = try underway.commit.result() } catch {
      throw .registry(error)
    }
    switch ending {
    case .committed(let outcome): changed += submission.note(outcome)
    case .loaded:
      guard let decided = underway.decided else { preconditionFailure("it was loaded") }
      for (observation, why) in decided.refused { plan.refuse(observation, why) }
      plan.instances.added += decided.added
      changed += decided.changed
      if decided.changed > 0 { isLoaded = true }
    case .declined:
      // Another writer came: from here on each instance is looked for in the index.
      load = nil
      try submit(underway.command, &plan)
    }
  }

  /// Submits what a load has not taken, decided anew.
  private func submit(_ command: Command, _ plan: inout RebuildPlan) throws(RebuildError) {
    do throws(RegistryError) {
      let outcome = try submission.registry.submit(try decided(command, &plan))
      changed += submission.note(outcome)
    } catch {
      throw .registry(error)
    }
  }

  /// The command with what the rules take of its observations.
  private func decided(
    _ command: Command, _ plan: inout RebuildPlan
  ) throws(RegistryError) -> Command {
    guard case .take(let observations) = command.change else {
      preconditionFailure("it takes observations")
    }
    var taken: [Observation] = []
    for observation in observations where try decide([observation], &plan) {
      taken.append(observation)
    }
    var command = command
    command.change = .take(taken)
    return command
  }
}
