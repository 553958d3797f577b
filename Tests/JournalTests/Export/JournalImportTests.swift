import Foundation
@testable import Journal
import Testing

@Suite struct JournalImportTests {
  /// An export of some hundred entries, line by line.
  private struct Sample {
    let folder: String
    let lines: [String]
    var path: String { folder + "/export" }
    var store: String { folder + "/n" }

    init(in folder: String, hasProofs: Bool = false) throws {
      self.folder = folder
      let journal = try makeJournal(folder + "/s")
      for count in [1, 5, 70] { try journal.appendNow(Drafts.mappings(0..<count)) }
      _ = try JournalExport.write(
        journal, to: folder + "/sound", ExportSelection(indexes: 1...journal.head.position.index),
        as: .jsonLines, hasProofs: hasProofs)
      let text = try String(contentsOfFile: folder + "/sound", encoding: .utf8)
      lines = text.split(separator: "\n").map(String.init)
    }

    func put(_ lines: [String]) throws {
      try put(Array(lines.map { $0 + "\n" }.joined().utf8))
    }

    func put(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(filePath: path)) }

    /// The number of the line that is accused; nil if the import went through.
    func accusedLine(sourceLocation: SourceLocation = #_sourceLocation) -> UInt64? {
      do throws(ExportError) {
        _ = try JournalImport.run(path, into: store, command: "test")
        return nil
      } catch {
        #expect(
          !FileManager.default.fileExists(atPath: store), "\(error)", sourceLocation: sourceLocation
        )
        switch error {
        case .line(_, let number, _), .newerEntry(_, let number, _): return number
        case .notAnExport, .newerFormat, .notComplete: return 1
        default: return .max
        }
      }
    }
  }

  @Test func `lines that are lost, doubled, swapped or cut are refused by their number`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      let count = sample.lines.count
      for place in [1, 2, 40, count - 2] {
        var lines = sample.lines
        lines.remove(at: place)
        try sample.put(lines)
        #expect(sample.accusedLine() == UInt64(place + 1))
        lines.insert(sample.lines[place], at: place + 1)
        try sample.put(lines)
        #expect(sample.accusedLine() == UInt64(place + 1))
        lines = sample.lines
        lines.insert(lines[place], at: place)
        try sample.put(lines)
        #expect(sample.accusedLine() == UInt64(place + 2))
      }
      for length in [0, 1, 10, count - 1] {
        try sample.put(Array(sample.lines.prefix(length)))
        #expect(sample.accusedLine() == UInt64(max(length, 1)))
      }
      try sample.put(sample.lines + ["{}"])
      #expect(sample.accusedLine() == UInt64(count + 1))
      try sample.put(Array(sample.lines.joined(separator: "\n").utf8))
      #expect(sample.accusedLine() == UInt64(count))
      try sample.put(sample.lines)
      #expect(sample.accusedLine() == nil)
    }
  }

  @Test func `hostile lines are refused by their number`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      let line = sample.lines[9]
      let hostile: [[UInt8]] = [
        Array(repeating: UInt8(ascii: "x"), count: 2 << 20), Array(line.utf8) + [0xFF], [],
        Array((line + " ").utf8), Array("null".utf8), Array("[[[[".utf8), [0],
        Array(String(repeating: "[", count: 100_000).utf8),
        Array(line.replacing("\"actor\"", with: "\"actress\"").utf8),
        Array(line.replacing("tester", with: "root").utf8),
        Array(line.replacing("\"version\":1", with: "\"version\":1,\"version\":1").utf8),
        Array(line.replacing("\"entry\":\"", with: "\"entry\":\"AAAA").utf8),
        Array("{\"entry\":\"\"}".utf8), Array("{\"entry\":17}".utf8),
      ]
      let before = Array(sample.lines[..<9].map { $0 + "\n" }.joined().utf8)
      let after = Array(("\n" + sample.lines[10...].map { $0 + "\n" }.joined()).utf8)
      for (number, line) in hostile.enumerated() {
        try sample.put(before + line + after)
        #expect(sample.accusedLine() == 10, "\(number)")
      }
    }
  }

  @Test func `an entry, an event and an export of a newer program are refused as such`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      let value = try JSONValue(parsing: sample.lines[9])
      let bytes = try #require(value["entry"]?.string.flatMap { Base64.standard.bytes(of: $0) })
      for (place, byte) in [(0, 2), (1, 2), (3, 0xEE)] as [(Int, UInt8)] {
        var newer = bytes
        newer[place] = byte
        var lines = sample.lines
        lines[9] = "{\"entry\":\"\(Base64.standard.text(of: newer))\"}"
        try sample.put(lines)
        let error = #expect(throws: ExportError.self) {
          try JournalImport.run(sample.path, into: sample.store, command: "test")
        }
        guard case .newerEntry(_, 10, _)? = error else {
          Issue.record("\(String(describing: error))")
          continue
        }
      }
      var lines = sample.lines
      lines[0] = lines[0].replacing("\"format\":1", with: "\"format\":2")
      try sample.put(lines)
      #expect(throws: ExportError.newerFormat(path: sample.path, version: "2")) {
        try JournalImport.run(sample.path, into: sample.store, command: "test")
      }
    }
  }

  @Test func `a changed byte anywhere is refused`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder, hasProofs: true)
      let sound = Array(sample.lines.map { $0 + "\n" }.joined().utf8)
      let seed = UInt64.random(in: 0 ... .max)
      var generator = SeededGenerator(seed: seed)
      for _ in 0..<150 {
        var bytes = sound
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        try sample.put(bytes)
        #expect(sample.accusedLine() != nil, "byte \(place), seed \(seed)")
      }
      try sample.put(sound)
      #expect(sample.accusedLine() == nil)
    }
  }

  @Test func `the first own entry opens an epoch, once`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      try sample.put(sample.lines)
      #expect(sample.accusedLine() == nil)
      let journal = try EventJournal.open(sample.store)
      let opening = try #require(try journal.dueOpening())
      let head = journal.head
      #expect(opening.cause == .imported && opening.epoch == head.position.epoch + 1)
      #expect(opening.commonIndex == head.position.index && opening.leftRoot == head.root)
      let mark = try Data(contentsOf: URL(filePath: journal.files.imported))
      for text in ["", "x", "1:2"] {
        try Data(text.utf8).write(to: URL(filePath: journal.files.imported))
        #expect(try journal.dueOpening() != nil)
      }
      try mark.write(to: URL(filePath: journal.files.imported))
      try journal.appendNow([Drafts.draft(.store(.epochOpened(opening)))])
      // The mark's removal was broken off: what was opened counts.
      #expect(try journal.dueOpening() == nil)
      #expect(!FileManager.default.fileExists(atPath: journal.files.imported))
      #expect(try EventJournal.open(folder + "/s").dueOpening() == nil)
    }
  }
}
