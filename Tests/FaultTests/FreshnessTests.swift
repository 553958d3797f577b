import Foundation
import Journal
import Router
import TestSupport
import Testing

/// A router in this process follows what commands in other processes change: at its next call.
@Suite(.waiting) struct ProcessFreshnessTests {
  private func withRouted(_ body: (SampleStore, CellRouter, InstanceID) throws -> Void) throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let expected = try sample.cloud.expectedCells()
      let known = try #require(expected.first { $0.value == "cell1" })
      let id = try #require(InstanceID(known.key))
      let router = try sample.router()
      for _ in 1...3 { #expect(try cell(of: id, router) == "cell1") }
      try body(sample, router, id)
    }
  }

  private func cell(of id: InstanceID, _ router: CellRouter) throws -> String? {
    let target = try router.mapping(of: id)?.target
    return try router.cells().first { $0.id == target?.id }?.name?.string
  }

  private func change(_ sample: SampleStore, _ words: String...) throws {
    try expectDone(words + ["--store", sample.store, "--reason", "test"])
  }

  @Test func `a remap by another process acts at the next call`() throws {
    try withRouted { sample, router, id in
      try change(sample, "instance", "remap", id.description, "--cell", "cell2")
      #expect(try cell(of: id, router) == "cell2")
      try change(sample, "instance", "remap", id.description, "--cell", "none")
      #expect(try router.mapping(of: id)?.cell == nil)
      try change(sample, "instance", "unmap", id.description)
      #expect(try router.mapping(of: id) == nil)
    }
  }

  @Test func `an address change by another process acts at the next call`() throws {
    try withRouted { sample, router, id in
      let address = "sqlite:///elsewhere.sqlite"
      try change(sample, "cell", "address", "cell1", "--database", address)
      #expect(try router.mapping(of: id)?.target?.publicDatabase?.string == address)
      let route = try router.route(id, until: .now + .seconds(10))
      guard case .cellUnavailable = route.outcome else {
        Issue.record("\(route.outcome)")
        return
      }
    }
  }

  @Test func `a cell's forced removal by another process acts at the next call`() throws {
    try withRouted { sample, router, id in
      try change(sample, "cell", "remove", "cell1", "--force")
      #expect(try router.mapping(of: id)?.cell == nil)
      #expect(try router.mapping(of: id) != nil)
      #expect(try router.cells().compactMap { $0.name?.string }.sorted() == ["cell0", "cell2"])
    }
  }

  @Test func `a replay by another process disturbs no answer`() throws {
    try withRouted { sample, router, id in
      let replay = try Cellmap.start(["replay", "--store", sample.store])
      for _ in 1...2_000 { #expect(try cell(of: id, router) == "cell1") }
      #expect(try replay.wait().status == 0)
      usleep(1_100_000)
      #expect(try cell(of: id, router) == "cell1")
      try change(sample, "instance", "remap", id.description, "--cell", "cell2")
      #expect(try cell(of: id, router) == "cell2")
    }
  }
}
