public import Journal
public import Projections

/// What changes would do to a map, without doing it: the rules on a snapshot of its own.
///
/// Belongs to one thread at a time.
public final class ChangePreview {
  private let map: LiveMap
  private let rules: Rulebook<LiveMap>
  private var nextIndex: UInt64

  /// - Parameters:
  ///   - map: A snapshot at `head`, which the preview changes.
  ///   - head: The last entry in it.
  public init(map: LiveMap, head: UInt64, keys: KeyRing) {
    self.map = map
    self.rules = Rulebook(map: map, sealer: PreviewSealer(keys: keys))
    nextIndex = head + 1
  }

  /// The events that an observation would take.
  ///
  /// Cells and hosts that it adds are there for later observations; instances aren't kept, so that
  /// memory doesn't grow with their number.
  ///
  /// - Throws: `refused`, `index` or `keys`.
  public func events(_ observation: Observation) throws(RegistryError) -> [Event] {
    var events: [Event] = []
    try rules.take(observation, into: &events) { (cell) throws(RegistryError) in
      try map.index.contentCounts(of: cell)
    }
    if case .instance = observation.state { return events }
    for event in events {
      let change = EntryChange(
        position: Position(epoch: 1, index: nextIndex), request: RequestMark(id: .none),
        event: event)
      do throws(ProjectionError) { try map.apply(change) } catch { throw .index(error) }
      nextIndex += 1
    }
    return events
  }
}
