import Journal
import Projections
import TestSupport
import Testing

@Suite struct IndexComparisonTests {
  /// Two equal indexes; `change` is done to the first.
  private func difference(
    _ change: String..., look: (IndexDifference?, PastBed) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      let bed = try PastBed(PastModel(seed: 14, count: 900), in: folder + "/store")
      let paths = [folder + "/one.sqlite", folder + "/other.sqlite"]
      for path in paths { _ = try IndexReplay.run(bed.journal, into: path, scratch: folder) }
      let writer = try SQLiteConnection(path: paths[0], mode: .readWrite)
      for statement in change { try writer.execute(statement) }
      try look(
        try IndexComparison.firstDifference(
          of: IndexReader(path: paths[0]), from: IndexReader(path: paths[1])), bed)
    }
  }

  private static let id = "(SELECT id FROM instance ORDER BY id LIMIT 1 OFFSET 7)"

  @Test func `equal indexes have no difference`() throws {
    try difference { found, _ in #expect(found == nil) }
  }

  @Test func `a row that was lost is named with the entry that made it`() throws {
    try difference("DELETE FROM instance WHERE id = \(Self.id)") { found, bed in
      let found = try #require(found)
      #expect(found.what == .missing && found.table == "instance")
      let entity = try #require(found.entity)
      #expect(found.key == "\(entity)")
      let steps = try #require(bed.model.lives[entity])
      #expect(steps.contains { $0.index == found.entry })
      #expect(found.changes.allSatisfy { $0.from == nil })
    }
  }

  @Test func `a row with another content is damaged, since its checksum is the old one's`() throws {
    try difference("UPDATE instance SET project = 'else' WHERE id = \(Self.id)") { found, _ in
      #expect(found?.what == .damaged)
      #expect(found?.changes.map(\.name) == ["project"])
      #expect(found?.changes.first?.from == .text("else"))
    }
  }

  @Test func `a checksum that is not its row's is damage, though the row is as it should be`()
    throws
  {
    try difference("UPDATE instance SET checksum = checksum + 1 WHERE id = \(Self.id)") {
      found, _ in
      #expect(found?.what == .damaged && found?.changes.isEmpty == true)
    }
  }

  @Test func `a row that is there too much, under a right checksum, is surplus`() throws {
    // The row of one instance once more under the key of none: only its checksum tells.
    try difference(
      "INSERT INTO departed SELECT 1, x'00', 5, 1"
    ) { found, _ in
      #expect(found?.table == "departed" && found?.what == .damaged)
    }
    try withTemporaryFolder { folder in
      let bed = try PastBed(PastModel(seed: 15, count: 900), in: folder + "/store")
      let paths = [folder + "/one.sqlite", folder + "/other.sqlite"]
      // The first has come further, in one thing: what a projector that ran ahead would leave.
      _ = try IndexReplay.run(bed.journal, upTo: 600, into: paths[0], scratch: folder)
      _ = try IndexReplay.run(bed.journal, upTo: 590, into: paths[1], scratch: folder)
      let found = try IndexComparison.firstDifference(
        of: IndexReader(path: paths[0]), from: IndexReader(path: paths[1]))
      #expect(found?.what == .differs || found?.what == .surplus)
    }
  }

  @Test func `a bucket that counts others than its rows is told once the rows agree`() throws {
    try difference("UPDATE bucket SET count = count + 1 WHERE number < 4096") { found, _ in
      guard case .bucket? = found?.what else {
        Issue.record("\(String(describing: found))")
        return
      }
      #expect(found?.entity == nil && found?.entry == nil)
    }
  }
}
