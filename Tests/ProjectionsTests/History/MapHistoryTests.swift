import Foundation
import Journal
import Projections
import TestSupport
import Testing

@Suite struct MapHistoryTests {
  /// `CELLMAP_LARGE_HISTORY=1` asks 10,000 questions about 100,000 entries.
  private static let isLarge = ProcessInfo.processInfo.environment["CELLMAP_LARGE_HISTORY"] == "1"

  @Test(arguments: [1, UInt64.random(in: 0 ... .max)])
  func `random questions about three epochs are answered as the model answers`(
    seed: UInt64
  ) throws {
    let (entries, questions) = Self.isLarge ? (100_000, 10_000) : (5_000, 200)
    try withTemporaryFolder { folder in
      var bed = try PastBed(
        PastModel(seed: seed, count: entries), in: folder + "/store", batch: 2_000
      ) { journal in
        // Some histories are made at once, others in steps of thousands.
        if seed != 1 { _ = try MapHistory(of: journal) }
      }
      let history = try MapHistory(of: bed.journal)
      #expect(history.head == bed.journal.head.position)
      try bed.ask(questions, history, "seed \(seed)")
      // What was caught up with may lack the last entries, which are read from the journal.
      try bed.compareHistory("seed \(seed)")
      #expect(try MapHistory.makeAgain(of: bed.journal))
      let again = try #require(try bed.compareHistory("seed \(seed), made again"))
      #expect(again.position == bed.journal.head.position)
      #expect(again.root == bed.journal.head.root)
      let grown = try MapHistory(of: bed.journal)
      try bed.ask(questions / 10, grown, "seed \(seed), made again")
    }
  }

  @Test(arguments: [1, UInt64.random(in: 0 ... .max)])
  func `counts and digests at moments of three epochs are the model's, kept alongside or replayed`(
    seed: UInt64
  ) throws {
    let (entries, questions, moments) = Self.isLarge ? (100_000, 2_000, 20) : (3_000, 160, 4)
    try withTemporaryFolder { folder in
      var bed = try PastBed(
        PastModel(seed: seed, count: entries), in: folder + "/store", batch: 2_000)
      try bed.askCounts(questions, at: moments, in: folder, "seed \(seed)")
    }
  }

  @Test func `the model's hash of rows is the documented one`() {
    #expect(DocumentedHash.row(table: 0, []) == 0x1845_364a_cbe5_1454_ae29_a278_706e_bf7f)
    let columns: [DocumentedColumn] = [
      .blob([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2]), .text(Array("né".utf8)),
      .integer(-5), .blob(Array(0..<40)),
    ]
    #expect(
      DocumentedHash.row(table: 3, columns) == 0x4915_4d4b_69e4_2758_ac81_074d_19e9_a899)
  }

  @Test func `a history in steps is the one made at once, byte for what it says`() throws {
    try withTemporaryFolder { folder in
      let model = PastModel(seed: 4, count: 15_000)
      let bed = try PastBed(model, in: folder + "/store", batch: 5_000) { journal in
        _ = try MapHistory(of: journal)
        let found = try #require(try MapHistory.check(of: journal))
        #expect(found.digest == model.historyDigest(at: found.checkpoint.position.index))
      }
      let stepped = try #require(try MapHistory.check(of: bed.journal))
      #expect(stepped.checkpoint.position == bed.journal.head.position)
      #expect(try MapHistory.makeAgain(of: bed.journal))
      let again = try #require(try MapHistory.check(of: bed.journal))
      #expect(stepped.digest == again.digest && stepped.checkpoint == again.checkpoint)
    }
  }

  @Test func `what is appended after the file is read with it, without writing it`() throws {
    try withTemporaryFolder { folder in
      let model = PastModel(seed: 5, count: 9_000)
      var files: [Position?] = []
      var bed = try PastBed(model, in: folder + "/store", batch: 3_000) { journal in
        let history = try MapHistory(of: journal)
        #expect(history.head == journal.head.position)
        files.append(try MapHistory.find(of: journal)?.checkpoint.position)
      }
      // 6,000 entries are taken in at once; 3,000 more are few enough to be read.
      #expect(files == [model.position(6_000), model.position(6_000)])
      try bed.ask(100, MapHistory(of: bed.journal), "a tail")
    }
  }

  @Test func `goes on at the new head after a refresh`() throws {
    try withTemporaryFolder { folder in
      let model = PastModel(seed: 6, count: 6_000)
      var history: MapHistory?
      let bed = try PastBed(model, in: folder + "/store", batch: 2_000) { journal in
        if history == nil { history = try MapHistory(of: journal) }
      }
      let known = try #require(history)
      #expect(known.head.index == 4_000)
      try known.refresh()
      #expect(known.head.index == 6_000)
      var asked = bed
      try asked.ask(60, known, "refreshed")
    }
  }

  @Test func `without a folder that can be written the answers come from the journal`() throws {
    try withTemporaryFolder { folder in
      var bed = try PastBed(PastModel(seed: 7, count: 5_000), in: folder + "/store")
      // A folder in the place of the mark: nobody, not even root, can write there.
      try FileManager.default.createDirectory(
        atPath: folder + "/store/history.making", withIntermediateDirectories: false)
      let history = try MapHistory(of: bed.journal)
      #expect(history.failure != nil)
      #expect(try MapHistory.find(of: bed.journal) == nil)
      try bed.ask(60, history, "no file")
    }
  }

  @Test func `while another process writes the history, the journal is read`() throws {
    try withTemporaryFolder { folder in
      var bed = try PastBed(PastModel(seed: 8, count: 5_000), in: folder + "/store")
      let mark = try #require(try WorkMark.take(folder + "/store/history.making"))
      let history = try MapHistory(of: bed.journal)
      let path = folder + "/store/history-1.sqlite"
      #expect(history.failure == nil && !FileManager.default.fileExists(atPath: path))
      try bed.ask(100, history, "taken")
      #expect(try !MapHistory.makeAgain(of: bed.journal))
      withExtendedLifetime(mark) {}
    }
  }

  @Test func `a history of another store, or of what was left behind, is made again`() throws {
    try withTemporaryFolder { folder in
      let other = try PastBed(PastModel(seed: 20, count: 6_000), in: folder + "/other")
      _ = try MapHistory(of: other.journal)
      var bed = try PastBed(PastModel(seed: 21, count: 5_000), in: folder + "/store")
      try FileManager.default.copyItem(
        atPath: folder + "/other/history-1.sqlite", toPath: folder + "/store/history-1.sqlite")
      // Ahead of the journal, and of another root: as after a restore to an earlier entry.
      try bed.ask(100, MapHistory(of: bed.journal), "other history")
      let names = try FileManager.default.contentsOfDirectory(atPath: folder + "/store")
      let files = names.filter { $0.hasPrefix("history-") && $0.hasSuffix(".sqlite") }
      #expect(files == ["history-2.sqlite"])
    }
  }
}
