internal import Cells
internal import Journal
internal import Projections
internal import Synchronization

/// What pools ask about the identity of cells: the map as it is when they ask.
final class MapKnowledge: Sendable {
  private let follower = Mutex<WeakFollower>(WeakFollower())

  /// Weak, because the follower's cells hold this.
  private struct WeakFollower {
    weak var follower: MapFollower?
  }

  func connect(to follower: MapFollower) {
    self.follower.withLock { $0.follower = follower }
  }

  /// The knowledge about one cell.
  func of(_ cell: CellID) -> IdentityKnowledge {
    IdentityKnowledge(
      recorded: { [self] limit throws(CellError) in
        try ask(cell) { map throws(ProjectionError) in
          try map.recorded(of: cell, limit: limit)
        }
      },
      cellsRecording: { [self] uuid throws(CellError) in
        try ask(cell) { map throws(ProjectionError) in try map.cells(recording: uuid) }
      })
  }

  private func ask<Result>(
    _ cell: CellID, _ body: (MapSnapshot) throws(ProjectionError) -> Result
  ) throws(CellError) -> Result {
    guard let follower = follower.withLock(\.follower) else {
      throw .identityUnreadable(cell: cell, reason: "the router was closed.")
    }
    let map: MapSnapshot
    do throws(RouterError) { map = try follower.snapshot() } catch {
      throw .identityUnreadable(cell: cell, reason: error.description)
    }
    do throws(ProjectionError) { return try body(map) } catch {
      follower.note(error, in: map)
      throw .identityUnreadable(cell: cell, reason: error.description)
    }
  }
}
