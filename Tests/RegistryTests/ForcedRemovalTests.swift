import Journal
import Projections
import Registry
import Testing

@Suite struct ForcedRemovalTests {
  private let cell = CellID.number(1)
  private let counts = ChangeCounts(cells: 1, hosts: 2, instances: 4)

  /// The commits of a forced removal, as the command line submits them.
  private func steps() -> [(Change, KeyRange?)] {
    func instances(_ range: ClosedRange<UInt64>) -> (Change, KeyRange?) {
      let ids = range.map { InstanceID.number($0) }
      let keys = KeyRange(
        kind: .instance, first: ByteText(ids[0].description),
        last: ByteText(ids[ids.count - 1].description))
      return (.emptyCell(cell, hosts: [], instances: ids), keys)
    }
    let hosts: [ByteText] = ["compute-1", "compute-2"]
    return [
      (.beginRemovingCell(cell), nil),
      (
        .emptyCell(cell, hosts: hosts, instances: []),
        KeyRange(kind: .host, first: hosts[0], last: hosts[1])
      ),
      instances(1...2), instances(3...4), (.removeCell(cell), nil), (.finishRequest(counts), nil),
    ]
  }

  private func submit(
    _ steps: some Sequence<(Change, KeyRange?)>, _ id: RequestID, _ store: TestStore
  ) throws -> Outcome? {
    var last: Outcome?
    for (change, chunk) in steps {
      last = try store.submit(bulk: "remove", change, id, chunk: chunk)
    }
    return last
  }

  @Test(arguments: 0...6)
  func `goes on after an interruption when it is given again`(interruptedAfter count: Int) throws {
    try withStoreFolder { folder in
      let id = RequestID.fresh()
      let store = try makeStore(folder)
      try store.addCell(cell)
      for host in ["compute-1", "compute-2"] as [ByteText] {
        try store.submit(.mapHost(host, to: cell))
      }
      for number in 1...4 as ClosedRange<UInt64> { try store.map(.number(number), to: cell) }
      _ = try submit(steps().prefix(count), id, store)
      try store.registry.close()

      let again = try TestStore(opening: folder)
      let outcome = try submit(steps(), id, again)
      #expect(outcome?.finished == counts)
      #expect(outcome?.isRepeated == (count == 6))
      let index = try again.caughtUpIndex()
      #expect(try index.cell(cell) == nil)
      #expect(try index.hosts().isEmpty)
      #expect(try index.countInstances(in: nil) == 4)
      // Each step's entries are there once: one for the cell's mark, each host and instance, the
      // cell's removal, and the end.
      #expect(again.journal.head.position.index == 2 + 7 + 9)
      let repeated = try submit(steps(), id, again)
      #expect(repeated?.isRepeated == true && repeated?.finished == counts)
      try again.expectIndexEqualsReplay()
      try again.registry.close()
    }
  }

  @Test func `another command can't remove a cell that is gone`() throws {
    try withStore { store in
      try store.addCell(cell)
      try store.submit(.removeCell(cell))
      expectRefusal(.unknownCell(cell)) {
        try store.submit(bulk: "remove", .beginRemovingCell(cell), .fresh())
      }
    }
  }

  @Test func `passes over hosts and mappings that left the cell, and takes each once`() throws {
    try withStore { store in
      try store.addCell(cell)
      try store.addCell(.number(2))
      try store.submit(.mapHost("compute-1", to: cell))
      try store.submit(.mapHost("compute-2", to: .number(2)))
      try store.map(.number(1), to: cell)
      try store.map(.number(2), to: .number(2))
      try store.submit(.beginRemovingCell(cell))
      let outcome = try store.submit(
        bulk: "remove",
        .emptyCell(
          cell, hosts: ["compute-1", "compute-1", "compute-2", "nobody"],
          instances: [.number(1), .number(1), .number(2), .number(3)]), .fresh())
      #expect(outcome.entries?.count == 2)
      let index = try store.caughtUpIndex()
      #expect(try index.host("compute-2")?.record.cell == .number(2))
      #expect(try index.instance(.number(2))?.record.cell == .number(2))
    }
  }
}
