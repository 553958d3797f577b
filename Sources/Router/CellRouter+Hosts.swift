public import Cells
public import Journal
internal import Projections

/// What a cell's database says of its compute hosts, or why it can't say.
public struct CellHosts: Sendable {
  public let target: CellTarget
  public let answer: Result<Census, CellUnavailable>

  /// The hosts, and the evidence by which the cell is recognised.
  public struct Census: Sendable {
    public let hosts: [CellHost]
    public let identity: CellIdentity
  }
}

extension CellRouter {
  /// The compute hosts of all cells, asked at once, each only if it is itself. cell0 has none, and a
  /// cell on its way out gets none.
  ///
  /// - Parameter only: Asks this cell alone.
  /// - Throws: `journal`, `index`.
  public func computeHosts(
    of only: CellID? = nil, until deadline: ContinuousClock.Instant
  ) throws(RouterError) -> [CellHosts] {
    let targets = try cells().filter { target in
      target.id != .cell0 && !target.row.record.isBeingRemoved
        && (only == nil || only == target.id)
    }
    if targets.isEmpty { return [] }
    let answers = fanOut(over: targets, until: deadline) { target throws(CellUnavailable) in
      try target.ask(until: deadline) { lent throws(CellError) in
        CellHosts.Census(
          hosts: try lent.connection.computeHosts(), identity: try lent.connection.identity())
      }
    }
    return zip(targets, answers).map { CellHosts(target: $0, answer: $1) }
  }
}
