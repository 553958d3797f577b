internal import Cells
internal import Journal
internal import Projections

/// From the map's word to the cell's.
extension CellRouter {
  func outcome(
    of id: InstanceID, in map: MapSnapshot, until deadline: ContinuousClock.Instant
  ) throws(RouterError) -> RouteOutcome {
    let mapping: MappedInstance?
    do throws(ProjectionError) {
      mapping = try self.mapping(of: id, in: map)
      // What lags may not know the decision, or a mapping.
      if mapping == nil, map.behind == 0, let row = try map.conflict(of: id),
        row.record.leavesUnmapped
      {
        return .inConflict(row)
      }
    } catch {
      follower.note(error, in: map)
      return try searched(for: id, in: map, because: .indexDamaged(error), until: deadline)
    }
    guard let mapping else {
      let reason: CellSearch.Reason = map.behind > 0 ? .mapBehind : .coverageIncomplete
      return try searched(for: id, in: map, because: reason, until: deadline)
    }
    guard let target = mapping.target else {
      return mapping.cell.map { .cellNotInMap(mapping, $0) } ?? .noCellYet(mapping)
    }
    do throws(CellUnavailable) {
      let live = try target.ask(until: deadline) { lent throws(CellError) in
        (try lent.connection.placement(of: id), lent.isProven)
      }
      return outcome(mapping, target, live.0, isProven: live.1)
    } catch {
      return unavailable(mapping, target, error, in: map)
    }
  }

  /// The answer once the cell has answered.
  func outcome(
    _ mapping: MappedInstance, _ target: CellTarget, _ placement: InstancePlacement?,
    isProven: Bool
  ) -> RouteOutcome {
    guard let placement else { return .missingInCell(mapping, target) }
    let live = LiveRoute(
      mapping: mapping, target: target, placement: placement, isCellProven: isProven)
    return placement.isDeleted || mapping.isQueuedForDelete == true ? .deleted(live) : .found(live)
  }

  /// The answer where the cell hasn't: with what was seen of the instance before.
  func unavailable(
    _ mapping: MappedInstance, _ target: CellTarget, _ error: CellUnavailable,
    in map: MapSnapshot
  ) -> RouteOutcome {
    if case .withoutDatabase = error { return .cellWithoutDatabase(mapping, target) }
    // A row that can't be read has no sighting; the answer about the cell stays as it is.
    let row = try? map.row(of: mapping.instance)
    return .cellUnavailable(mapping, target, error, lastSeen: row?.record.lastSeen)
  }

  /// Looks for an instance in the cells of which the map can't be sure.
  private func searched(
    for id: InstanceID, in map: MapSnapshot, because reason: CellSearch.Reason,
    until deadline: ContinuousClock.Instant
  ) throws(RouterError) -> RouteOutcome {
    let targets: [CellTarget]
    switch reason {
    case .coverageIncomplete: targets = map.cells.all.filter { !$0.row.record.isCovered }
    case .mapBehind: targets = map.cells.all
    case .indexDamaged(let error):
      targets = map.cells.all
      if targets.isEmpty { throw .index(error) }
    }
    // The cells have Nova's marker row, which is no instance.
    if targets.isEmpty || id.isNovaMarker { return .unknown(nil) }
    let answers = fanOut(over: targets, until: deadline) { target throws(CellUnavailable) in
      try target.ask(until: deadline) { lent throws(CellError) in
        (placement: try lent.connection.placement(of: id), isProven: lent.isProven)
      }
    }
    var (answered, failed): ([CellID], [CellID: CellUnavailable]) = ([], [:])
    var found: [LiveRoute] = []
    for (target, answer) in zip(targets, answers) {
      switch answer {
      case .success(let answer):
        answered.append(target.id)
        guard let placement = answer.placement else { continue }
        found.append(
          LiveRoute(
            mapping: nil, target: target, placement: placement, isCellProven: answer.isProven))
      case .failure(let error): failed[target.id] = error
      }
    }
    let search = CellSearch(
      reason: reason, answered: answered, found: found.map(\.target.id), failed: failed)
    // During a move between cells two have it, and the hidden copy isn't the one.
    let best = found.min { $0.placement.rank < $1.placement.rank }
    return best.map { .foundBySearch($0, search) } ?? .unknown(search)
  }
}

extension InstancePlacement {
  /// Which of several copies is the instance: the live and visible one.
  fileprivate var rank: Int { (isDeleted ? 2 : 0) + (isHidden ? 1 : 0) }
}
