import Journal
import Projections
import TestSupport
import Testing

@Suite struct PartialReplayTests {
  @Test func `a file of some things has their rows as a whole replay has them, and never serves`()
    throws
  {
    try withTemporaryFolder { folder in
      let bed = try PastBed(PastModel(seed: 13, count: 2_000), in: folder + "/store")
      let history = try MapHistory(of: bed.journal)
      let end = bed.model.position(1_700)
      let whole = folder + "/whole.sqlite"
      _ = try IndexReplay.run(bed.journal, upTo: end.index, into: whole, scratch: folder)
      let chosen: Set<EntityKey> = [
        .cell(PastModel.cell(2)), .host(PastModel.host(3)), .instance(bed.model.instances[5]),
        .instance(bed.model.instances[9]),
      ]
      let path = folder + "/part.sqlite"
      let made = try PartialReplay.run(history, only: chosen, upTo: end, into: path)
      #expect(made.position == end)
      var entries = Set((bed.model.lives[.store] ?? []).map(\.index))
      for entity in chosen { entries.formUnion((bed.model.lives[entity] ?? []).map(\.index)) }
      #expect(made.entries == entries.count { $0 <= end.index })

      // It is no index, whoever asks.
      #expect(throws: ProjectionError.partialIndex(path: path)) { try IndexReader(path: path) }
      #expect(throws: ProjectionError.partialIndex(path: path)) { try IndexProjector(path: path) }
      #expect(throws: ProjectionError.fileExists(path: path)) {
        try PartialReplay.run(history, only: chosen, upTo: end, into: path)
      }

      let reader = try IndexReader(path: whole)
      let part = try SQLiteConnection(path: path, mode: .readOnly)
      let same = try SQLiteConnection(path: whole, mode: .readOnly)
      for table in ["epoch"] {
        #expect(try rows(of: table, part) == rows(of: table, same))
      }
      #expect(try part.integer("SELECT count(*) FROM cell") == 1)
      #expect(try part.integer("SELECT count(*) FROM host") ?? 0 <= 1)
      for case .instance(let id) in chosen {
        let row = try reader.instance(id)
        let found = try part.integer(
          "SELECT changed_at FROM instance WHERE id = x'\(hexadecimal(id))'")
        #expect(found == row.map { Int64($0.changedAt) })
      }
      #expect(
        try part.integer("SELECT checkpoint_index FROM meta") == Int64(end.index))
    }
  }

  private func rows(of table: String, _ connection: SQLiteConnection) throws -> [Int64] {
    let statement = try connection.prepare("SELECT checksum FROM \(table) ORDER BY 1")
    var found: [Int64] = []
    while try statement.step() { found.append(try statement.integer(0)) }
    return found
  }

  private func hexadecimal(_ id: InstanceID) -> String { "\(id)".replacing("-", with: "") }
}
