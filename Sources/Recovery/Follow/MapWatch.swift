public import Journal
public import Projections
public import Registry

/// Follows a live Nova: reads its API database again and again, and makes events of what has changed.
///
/// Each round compares one snapshot of the three mapping tables with the map, as an adoption does, and
/// takes out of the map what has gone from them. What a round finds is marked as observed, with the
/// interval in which it had happened; who did it, and what lasted shorter than the interval, can't be
/// seen so. A round that finds nothing appends nothing. A killed one leaves what it had appended: the
/// next finds the rest, and nothing twice.
public struct MapWatch<Witness: CellWitness> {
  /// What a round did.
  public struct Round: Sendable {
    public let interval: ObservedInterval
    public let plan: AdoptionPlan
    /// nil if nothing was appended.
    public let outcome: Outcome?
  }

  /// Who is known to have changed what a round finds, because it ran between two rounds.
  public struct Author: Sendable {
    public var authorship: Authorship
    public var request: RequestID
    /// The command in words that are the same in each retry.
    public var title: ByteText
    /// The command may have changed the mappings of instances; else these are merely observed.
    public var changesInstances: Bool

    public init(
      _ authorship: Authorship, request: RequestID, title: ByteText, changesInstances: Bool
    ) {
      self.authorship = authorship
      self.request = request
      self.title = title
      self.changesInstances = changesInstances
    }
  }

  private let keys: KeyRing
  private let witness: Witness
  private let program: ByteText
  private let reason: ByteText?
  private let pruneLimit: UInt64?
  /// When the map was last known to agree with the database; nil while that isn't known.
  public private(set) var since: Timestamp?

  /// The hosts and mappings that may vanish in a round unasked: a hundred, or one in a hundred.
  private static var smallestLimit: UInt64 { 100 }

  /// - Parameters:
  ///   - program: The program and its version, as entries bear it.
  ///   - reason: Why the map is followed, if that is to be said.
  ///   - pruneLimit: How many hosts and mappings may vanish in a round, in place of the usual.
  ///   - since: When the map was last known to agree with the database.
  public init(
    witness: Witness, keys: KeyRing, program: ByteText, reason: ByteText? = nil,
    pruneLimit: UInt64? = nil, since: Timestamp? = nil
  ) {
    self.witness = witness
    self.keys = keys
    self.program = program
    self.reason = reason
    self.pruneLimit = pruneLimit
    self.since = since
  }

  /// Compares the map with one snapshot, and appends the differences.
  ///
  /// Blocks for as long as reading the three tables takes, and for a disk flush for each thousand rows
  /// among which something changed.
  ///
  /// - Parameters:
  ///   - openedAt: A moment before the snapshot was opened.
  ///   - basis: The head of the journal then: what was decided since stands.
  ///   - index: A reader of the index, which has reached `head`.
  ///   - author: Who changed what is found; nil if that isn't known.
  ///   - isCancelled: Asked before each commit.
  /// - Throws: `lostTooMuch` and `emptied` before anything is appended; `cancelled`, `unreadable` and
  ///   `registry` after part of it may be, and the next round finds the rest.
  public mutating func round(
    _ source: NovaAPIDatabase, openedAt: Timestamp, basis: Position, on index: IndexReader,
    head: Position, through registry: MapRegistry, by author: Author? = nil,
    isCancelled: @escaping @Sendable () -> Bool = { false },
    progress: (UInt64) -> Void = { _ in }
  ) throws(AdoptionError) -> Round {
    let interval = ObservedInterval(from: since, to: source.snapshotAt)
    let observed = Authorship(
      actor: "observed", program: program, reason: reason, correlation: interval.text,
      observedAt: .now, isObserved: true)
    var options = AdoptionOptions(
      authorship: author?.authorship ?? observed,
      request: author?.request ?? RequestID(.timeOrdered(at: .now)), basis: basis,
      skipsInvalid: true, prunes: true)
    options.label = author?.title
    options.isCancelled = isCancelled
    if author?.changesInstances == false { options.instanceAuthorship = observed }
    let adoption = MapAdoption(
      source: source, witness: NewCellWitness(witness: witness, known: try knownCells(index)),
      keys: keys, options: options)
    var plan = try adoption.plan(on: index, head: head) { progress($0.instances.total) }
    try checkLoss(plan, of: source, on: index, isIntended: author != nil)
    let outcome = try adoption.apply(&plan, on: index, through: registry, progress: progress)
    // What was decided in the map meanwhile is compared in the next round, and may be of before.
    if plan.overtaken == 0 { since = openedAt }
    return Round(interval: interval, plan: plan, outcome: outcome)
  }

  private func knownCells(_ index: IndexReader) throws(AdoptionError) -> Set<CellID> {
    do throws(ProjectionError) {
      var known: Set<CellID> = []
      for cell in try index.allCells().keys where try !index.identities(of: cell).isEmpty {
        known.insert(cell)
      }
      return known
    } catch {
      throw .registry(.index(error))
    }
  }

  /// A database that has lost much at once was rather emptied or restored than used.
  private func checkLoss(
    _ plan: AdoptionPlan, of source: NovaAPIDatabase, on index: IndexReader, isIntended: Bool
  ) throws(AdoptionError) {
    guard plan.surplus > 0 else { return }
    guard plan.cells.total > 0 else { throw .emptied(source.publicForm) }
    if isIntended { return }
    let lost = plan.hosts.surplus + plan.instances.surplus
    let held: UInt64
    do throws(ProjectionError) {
      held = try index.countInstances() + UInt64(index.hosts().count)
    } catch {
      throw .registry(.index(error))
    }
    let limit = pruneLimit ?? max(Self.smallestLimit, held / 100)
    guard lost <= limit else { throw .lostTooMuch(count: lost, limit: limit) }
  }
}
