import Foundation
import Journal
import Projections
import Registry
import TestSupport
import Testing

/// What a restore means for those who decide on the map.
@Suite struct StoreRestorationTests {
  /// A store with 20 instances, its backup up to there, and 20 more; then restored up to half of them.
  private func withRestored(
    _ body: (_ before: Before, _ store: TestStore) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      let before = try makeBefore(folder)
      let backup = try JournalBackup.open(folder + "/backup")
      let restored = try StoreRestoration.restore(
        backup, into: folder + "/restored/store", to: .index(before.kept),
        by: TestStore.author, command: "test")
      #expect(restored.head.position == Position(epoch: 2, index: before.kept + 1))
      let journal = try EventJournal.open(folder + "/restored/store")
      let generations = IndexGenerations(folder: folder + "/restored/store")
      try generations.switchCurrent(to: generations.replay(journal))
      try body(before, TestStore(opening: folder + "/restored"))
    }
  }

  private struct Before {
    var kept: UInt64 = 0
    var requests: [RequestID] = []
    var positions: [Position] = []
    func isKept(_ place: Int) -> Bool { positions[place].index <= kept }
  }

  private func makeBefore(_ folder: String) throws -> Before {
    try FileManager.default.createDirectory(
      atPath: folder + "/restored", withIntermediateDirectories: false)
    let store = try makeStore(folder)
    var before = Before()
    try store.addCell(.number(1))
    for number in 0..<20 {
      let request = RequestID.fresh()
      before.positions.append(try store.submit(mapping(number), request).position)
      before.requests.append(request)
    }
    before.kept = before.positions[9].index
    _ = try JournalBackup.create(
      of: store.journal, at: folder + "/backup", withKeys: true, program: "tests/1")
    try store.registry.close()
    return before
  }

  private func mapping(_ number: Int) -> Change {
    .mapInstance(.number(UInt64(number)), .init(cell: .number(1), owner: .sample))
  }

  @Test func `requests of dropped entries are forgotten, and those before repeat their answers`()
    throws
  {
    try withRestored { before, store in
      for (place, request) in before.requests.enumerated() {
        let outcome = try store.submit(mapping(place), request)
        #expect(outcome.isRepeated == before.isKept(place), "\(place)")
        if outcome.isRepeated {
          #expect(outcome.entries?.lowerBound == before.positions[place].index)
        }
      }
      try store.expectIndexEqualsReplay()
    }
  }

  @Test func `a guard that names a dropped position is refused, though its index is there again`()
    throws
  {
    try withRestored { before, store in
      for number in 30..<45 { try store.submit(mapping(number)) }
      let dropped = before.positions[15]
      let target = InstanceID.number(3)
      #expect(throws: RegistryError.self) {
        try store.submit(
          .markForDeletion(target, true),
          guards: [Guard(.instance(target), .unchanged(since: dropped))])
      }
      let kept = before.positions[9]
      try store.submit(
        .markForDeletion(target, true),
        guards: [Guard(.instance(target), .unchanged(since: kept))])
    }
  }

  @Test func `the map is that of the moment, and goes on from there`() throws {
    try withRestored { before, store in
      let reader = try store.caughtUpIndex()
      for number in 0..<20 {
        #expect((try reader.instance(.number(UInt64(number))) != nil) == before.isKept(number))
      }
      let epochs = try reader.epochs()
      #expect(epochs.map(\.epoch) == [1, 2])
      let entry = try #require(try store.journal.entry(at: before.kept + 1))
      #expect(
        entry.draft.authorship.actor == "tester" && entry.draft.authorship.reason == "because")
      try store.expectIndexEqualsReplay()
    }
  }
}
