import Journal
import Projections
import TestSupport
import Testing

@Suite struct LiveMapTests {
  private struct Refused: Error {}

  /// A live map over the index of the first entries of a history, and the entries after them.
  private func withLiveMap(
    _ body: (LiveMap, ArraySlice<EntryChange>) throws -> Void
  ) throws {
    let history = RandomHistory(seed: 71, count: 1_500)
    try withTemporaryFolder { folder in
      let projector = try IndexProjector.create(at: folder + "/i", store: history.store)
      try project(Array(history.changes[..<800]), with: projector)
      let map = LiveMap(over: try IndexReader(path: folder + "/i"))
      try map.index.beginSnapshot()
      try body(map, history.changes[800...])
    }
  }

  private func expectSame(_ map: LiveMap, as overlay: Overlay) {
    #expect(map.overlay.count == overlay.count)
    #expect(map.overlay.changedCells == overlay.changedCells)
    #expect(map.overlay.changedHosts == overlay.changedHosts)
    #expect(map.overlay.changedInstances == overlay.changedInstances)
  }

  @Test func `an attempt that fails leaves the map as it was`() throws {
    try withLiveMap { map, changes in
      for change in changes.prefix(300) { try map.apply(change) }
      let before = map.overlay
      let attempted = changes.dropFirst(300)
      #expect(throws: Refused.self) {
        try map.attempt {
          for change in attempted { try map.apply(change) }
          throw Refused()
        }
      }
      expectSame(map, as: before)
      for change in attempted where change.request.id != .none {
        let row = try before.request(change.request.id, over: map.index)
        #expect(try map.request(change.request.id) == row)
      }
      for change in attempted {
        let gone = try before.departure(of: change.event.entity, over: map.index)
        #expect(try map.departure(of: change.event.entity) == gone)
      }
    }
  }

  @Test func `an attempt that succeeds is kept, and dropped once the index has it`() throws {
    try withLiveMap { map, changes in
      try map.attempt { () throws(ProjectionError) in
        for change in changes { try map.apply(change) }
      }
      let other = LiveMap(over: map.index)
      for change in changes { try other.apply(change) }
      expectSame(map, as: other.overlay)
      map.drop(upTo: changes.last?.position.index ?? 0)
      #expect(map.overlay.isEmpty && map.overlay.changedInstances.isEmpty)
    }
  }
}
