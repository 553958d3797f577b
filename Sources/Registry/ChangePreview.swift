public import Journal
public import Projections

/// What changes would do to a map, without doing it: the rules on a snapshot of its own.
///
/// Belongs to one thread at a time.
public final class ChangePreview {
  private let map: LiveMap
  private let rules: Rulebook<LiveMap>
  private var contents: CellContents
  private var nextIndex: UInt64

  /// - Parameters:
  ///   - map: A snapshot at `head`, which the preview changes.
  ///   - head: The last entry in it.
  public init(map: LiveMap, head: UInt64, keys: KeyRing) {
    self.map = map
    contents = CellContents(of: map)
    rules = Rulebook(
      map: map, sealer: PreviewSealer(keys: keys),
      owners: OwnerRules(keys: keys.owners, makesKeys: false))
    nextIndex = head + 1
  }

  /// The events that an observation would take.
  ///
  /// Cells and hosts that it adds are there for later observations; instances aren't kept, so that
  /// memory doesn't grow with their number.
  ///
  /// - Parameter chunk: The observations that the same command makes, this one among them.
  /// - Returns: nil if a later entry than the observation's basis stands.
  /// - Throws: `refused`, `index` or `keys`.
  public func events(
    _ observation: Observation, in chunk: [Observation] = []
  ) throws(RegistryError) -> [Event]? {
    var events: [Event] = []
    let databases =
      if case .cell = observation.state { try rules.databases(given: chunk) } else {
        Rulebook<LiveMap>.GivenDatabases()
      }
    let holds = try rules.take(observation, into: &events, beside: databases) {
      (cell) throws(RegistryError) in try map.index.contentCounts(of: cell)
    }
    guard holds else { return nil }
    if case .instance = observation.state { return events }
    try take(events)
    return events
  }

  /// The rules that stand against undoing entries: a refusal for each thing, empty if nothing does; hosts and
  /// instances that only lack a cell which can't come back have none. All else is taken in.
  ///
  /// - Parameter size: Things in a commit.
  /// - Throws: `index` or `keys`.
  public func refusals(
    of plan: ReversalPlan, size: Int = ReversalPlan.thingsOfOneCommit
  ) throws(RegistryError) -> [Refusal] {
    var refusals: [Refusal] = []
    var lacking = plan.lacking
    for (reversal, _) in plan.commands(size: size) {
      do throws(RegistryError) {
        try rules.revert(
          reversal, counts: { (cell) throws(RegistryError) in try contents.counts(of: cell) },
          lacking: &lacking, refuse: { refusals.append($0) },
          accept: { (events) throws(RegistryError) in try take(events) })
      } catch .refused(let refusal) {
        refusals.append(refusal)
      }
    }
    return refusals
  }

  /// Takes a change in as if it were made, for what is observed after it.
  ///
  /// - Throws: `refused`, `index` or `keys`.
  public func assume(_ change: Change) throws(RegistryError) {
    try take(
      rules.events(of: change) { (cell) throws(RegistryError) in
        try map.index.contentCounts(of: cell)
      })
  }

  /// How many observations were of instances whose owner was shredded, which stays so.
  public var ownersLeft: UInt64 { rules.owners.left }

  private func take(_ events: [Event]) throws(RegistryError) {
    for event in events {
      let change = EntryChange(
        position: Position(epoch: 1, index: nextIndex), request: RequestMark(id: .none),
        event: event)
      do throws(ProjectionError) { try map.apply(change) } catch { throw .index(error) }
      contents.note(event)
      nextIndex += 1
    }
  }
}
