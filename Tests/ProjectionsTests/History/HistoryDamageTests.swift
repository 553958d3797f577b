import Foundation
import Journal
import Projections
import TestSupport
import Testing

@Suite struct HistoryDamageTests {
  /// A folder with a store, and the bytes of its history file as one file without a WAL.
  private func withHistory(
    _ body: (PastBed, String, Data) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      let bed = try PastBed(PastModel(seed: 31, count: 800), in: folder + "/store")
      #expect(try MapHistory.makeAgain(of: bed.journal))
      let path = folder + "/store/history-1.sqlite"
      let sound = try Data(contentsOf: URL(filePath: path))
      try body(bed, path, sound)
    }
  }

  private func place(_ bytes: Data, at path: String) throws {
    let folder = (path as NSString).deletingLastPathComponent
    for name in try FileManager.default.contentsOfDirectory(atPath: folder)
    where name.hasPrefix("history-") {
      try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
    }
    try bytes.write(to: URL(filePath: path))
  }

  @Test func `flipped bits never give a wrong answer, and the file is made again`() throws {
    var random = SplitMix(seed: 32)
    try withHistory { bed, path, sound in
      var bed = bed
      var remade = 0
      for round in 0..<100 {
        var wrong = sound
        let bit = random.number(below: sound.count * 8)
        wrong[bit / 8] ^= 1 << (bit % 8)
        try place(wrong, at: path)
        try bed.ask(8, MapHistory(of: bed.journal), "round \(round), bit \(bit)")
        if !FileManager.default.fileExists(atPath: path) { remade += 1 }
      }
      #expect(remade > 0)
    }
  }

  @Test func `a check finds a row lost, added or changed, and a file cut short`() throws {
    try withHistory { bed, path, sound in
      let statements = [
        "DELETE FROM touch WHERE entity = (SELECT max(entity) FROM touch)",
        "INSERT INTO touch VALUES (17, 99)",
        "UPDATE touch SET entry = 801 WHERE entity = (SELECT min(entity) FROM touch) "
          + "AND entry = (SELECT max(entry) FROM touch WHERE entity = "
          + "(SELECT min(entity) FROM touch))",
        "UPDATE bucket SET count = count + 1 WHERE number = (SELECT min(number) FROM bucket)",
        "UPDATE meta SET checkpoint_index = 799",
        // Rows and bucket agree with each other, and not with the journal.
        "DELETE FROM touch; DELETE FROM bucket",
      ]
      for statement in statements {
        try place(sound, at: path)
        try SQLiteConnection(path: path, mode: .readWrite).execute(statement)
        #expect(throws: ProjectionError.self, "\(statement)") {
          try MapHistory.check(of: bed.journal)
        }
      }
      for length in [sound.count / 2, 4_096, 100] {
        try place(sound.prefix(length), at: path)
        #expect(throws: ProjectionError.self) { try MapHistory.check(of: bed.journal) }
      }
      try place(sound, at: path)
      #expect(try MapHistory.check(of: bed.journal)?.checkpoint.position.index == 800)
    }
  }

  @Test func `a file that was never finished is passed over and goes`() throws {
    try withHistory { bed, path, sound in
      var bed = bed
      try place(sound, at: path)
      try SQLiteConnection(path: path, mode: .readWrite).execute("PRAGMA user_version=0")
      #expect(try MapHistory.find(of: bed.journal) == nil)
      #expect(try MapHistory.check(of: bed.journal) == nil)
      try bed.ask(50, MapHistory(of: bed.journal), "unfinished")
      #expect(try MapHistory.makeAgain(of: bed.journal))
      #expect(!FileManager.default.fileExists(atPath: path))
    }
  }
}
