internal import Cells
public import Journal
internal import Projections

extension CellRouter {
  /// Where several instances are, in their order; the cells are asked all at once, each for all of
  /// its instances.
  ///
  /// - Throws: as `route`.
  public func routes(
    for instances: [InstanceID], until deadline: ContinuousClock.Instant
  ) throws(RouterError) -> [Route] {
    let map = try follower.snapshot()
    let mappings = mappings(of: instances, in: map)
    var groups: [Int: CellGroup] = [:]
    for (place, mapping) in mappings.enumerated() {
      guard let mapping, let target = mapping.target else { continue }
      groups[target.number, default: CellGroup(target: target)].places.append(place)
    }
    var outcomes = [RouteOutcome?](repeating: nil, count: instances.count)
    let ordered = groups.values.sorted { $0.target.id < $1.target.id }
    let asked = groups.mapValues { group in group.places.map { instances[$0] } }
    let answers = fanOut(over: ordered.map(\.target), until: deadline) {
      target throws(CellUnavailable) in
      let ids = asked[target.number] ?? []
      return try target.ask(until: deadline) { lent throws(CellError) in
        (placements: try lent.connection.placements(of: ids), isProven: lent.isProven)
      }
    }
    for (group, answer) in zip(ordered, answers) {
      for (order, place) in group.places.enumerated() {
        guard let mapping = mappings[place] else { continue }
        switch answer {
        case .success(let answer):
          outcomes[place] = outcome(
            mapping, group.target, answer.placements[order], isProven: answer.isProven)
        // One row that can't be read says nothing of the others.
        case .failure(.database(.badValue)): break
        case .failure(let error):
          outcomes[place] = unavailable(mapping, group.target, error, in: map)
        }
      }
    }
    return try finish(outcomes, of: instances, in: map, until: deadline)
  }

  /// Instances of one cell, by their places in the batch.
  private struct CellGroup: Sendable {
    let target: CellTarget
    var places: [Int] = []
  }

  /// The map's word on each instance; nil where it has none, or can't be read.
  private func mappings(of instances: [InstanceID], in map: MapSnapshot) -> [MappedInstance?] {
    var found = instances.map { cached($0, in: map) }
    let open = found.indices.filter { found[$0] == nil }
    guard !open.isEmpty, case .open(let readers) = map.index else { return found }
    // In the order of keys, and in one transaction, a row costs a third. Whatever fails here is
    // asked again one by one.
    let sorted = open.sorted { instances[$0] < instances[$1] }
    _ = try? readers.with { reader throws(ProjectionError) in
      try reader.withSnapshot { () throws(ProjectionError) in
        for place in sorted where map.overlay.held(instances[place]) == nil {
          found[place] = keep(instances[place], try reader.lookup(instances[place]), in: map)
        }
      }
    }
    return found
  }

  /// Asks one by one for what the batch didn't answer, or answered unusually while the map moved.
  private func finish(
    _ outcomes: [RouteOutcome?], of instances: [InstanceID], in map: MapSnapshot,
    until deadline: ContinuousClock.Instant
  ) throws(RouterError) -> [Route] {
    var routes: [Route] = []
    routes.reserveCapacity(instances.count)
    for (outcome, instance) in zip(outcomes, instances) {
      if let outcome, outcome.isFinal || follower.isFresh {
        routes.append(
          Route(
            instance: instance, position: map.position, behind: map.behind, outcome: outcome))
      } else {
        routes.append(try route(instance, until: deadline))
      }
    }
    return routes
  }
}
