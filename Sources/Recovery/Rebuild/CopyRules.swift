internal import Cells
internal import Journal

/// Which of an instance's copies in the cells is the one that counts: the documented rules, in their
/// order. What they don't decide is a conflict, never a guess.
struct CopyRules {
  /// The cells that have a compute host; from compute nodes and services, never from instances.
  let hostCells: [ByteText: Set<CellID>]

  enum Verdict {
    /// The copy at this place counts.
    case mapped(at: Int, by: RebuildPlan.Rule)
    case conflict(ConflictKind, [StagedInstance], [(cell: CellID, move: CrossCellMove)])
    /// Only copies that a move hides; they prove no mapping.
    case hidden([StagedInstance])
  }

  typealias Moves = [(cell: CellID, move: CrossCellMove)]

  /// - Parameters:
  ///   - copies: The rows of one instance, at most one of a cell, by cell.
  ///   - moves: The instance's migrations between cells; asked for only where they decide.
  func verdict<Failure: Error>(
    on copies: ArraySlice<StagedInstance>, moves: () throws(Failure) -> Moves
  ) throws(Failure) -> Verdict {
    if copies.count == 1 {
      let place = copies.startIndex
      return copies[place].isHidden ? .hidden(Array(copies)) : .mapped(at: place, by: .onlyCopy)
    }
    func mapped(_ copy: StagedInstance, by rule: RebuildPlan.Rule) -> Verdict {
      guard let place = copies.firstIndex(where: { $0.cell == copy.cell }) else {
        preconditionFailure("one of them")
      }
      return .mapped(at: place, by: rule)
    }
    let visible = copies.filter { !$0.isHidden }
    guard let first = visible.first else { return .hidden(Array(copies)) }
    let live = visible.filter { !$0.isDeleted }
    switch live.count {
    case 0: return mapped(latestDeleted(visible, first), by: .latestDeleted)
    case 1:
      return mapped(live[0], by: visible.count == 1 ? .visibleBeatsHidden : .liveBeatsDeleted)
    case 2: break
    default: return .conflict(.manyCopies, visible, try moves())
    }
    if let other = live.first(where: { $0.cell != .cell0 }), live[0].cell == .cell0 {
      if other.host != nil || other.launchedAt != nil {
        return mapped(other, by: .cellBeatsCell0)
      }
      return .conflict(.cell0AndUnstarted, visible, [])
    }
    let found = try moves()
    guard let (copy, rule) = decideMove(live[0], live[1], found) else {
      let kind: ConflictKind =
        pairs(live[0], live[1], found).isEmpty ? .noMove : .undecidedMove
      return .conflict(kind, visible, found)
    }
    return mapped(copy, by: rule)
  }

  /// The copy deleted last; of equally late ones that of the lowest cell.
  private func latestDeleted(
    _ copies: [StagedInstance], _ first: StagedInstance
  ) -> StagedInstance {
    copies.dropFirst().reduce(first) { latest, copy in
      let (old, new) = (latest.deletedAt?.microseconds, copy.deletedAt?.microseconds)
      if old != new { return (new ?? .min) > (old ?? .min) ? copy : latest }
      return copy.cell < latest.cell ? copy : latest
    }
  }

  /// The moves that both cells have.
  private func pairs(
    _ left: StagedInstance, _ right: StagedInstance, _ moves: Moves
  ) -> [Moves] {
    Dictionary(grouping: moves, by: \.move.uuid).values.filter { pair in
      Set(pair.map(\.cell)).isSuperset(of: [left.cell, right.cell])
    }
  }

  /// Of two visible live copies in real cells the one that the newest move which both cells have decides for.
  private func decideMove(
    _ left: StagedInstance, _ right: StagedInstance, _ moves: Moves
  ) -> (StagedInstance, by: RebuildPlan.Rule)? {
    // Both cells have the original's time, or the copy's is later.
    func time(_ pair: Moves) -> Int64 {
      pair.map { $0.move.createdAt?.microseconds ?? .min }.min() ?? .min
    }
    let ordered = pairs(left, right, moves).sorted { time($0) > time($1) }
    guard let newest = ordered.first, ordered.count == 1 || time(ordered[1]) != time(newest) else {
      return nil
    }
    let host = newest[0].move.source
    let owners = host.flatMap { hostCells[$0] } ?? []
    guard owners.contains(left.cell) != owners.contains(right.cell) else { return nil }
    let (source, target) = owners.contains(left.cell) ? (left, right) : (right, left)
    func status(in cell: CellID) -> ByteText? {
      newest.first { $0.cell == cell }?.move.status
    }
    let (sourceStatus, targetStatus) = (status(in: source.cell), status(in: target.cell))
    if targetStatus == "finished" || targetStatus == "confirming",
      target.vmState == "resized", source.taskState == "resize_migrated"
    {
      return (target, by: .moveTarget)
    }
    if sourceStatus == "reverting", targetStatus == "reverting",
      source.taskState == "resize_reverting"
    {
      return (source, by: .moveSource)
    }
    return nil
  }
}

/// What the rules leave open.
enum ConflictKind: String {
  case noMove = "live in two cells, and no move between them"
  case undecidedMove = "live in two cells, and their moves don't decide"
  case manyCopies = "live in more than two cells"
  case cell0AndUnstarted = "live in cell0 and in a cell that never ran it"
  case hostInSeveralCells = "a compute host in several cells"

  var text: ByteText { ByteText(rawValue) }
}
