import Foundation
@testable import Journal
import Testing

@Suite struct JournalExportTests {
  private static func everything(_ journal: EventJournal) -> ExportSelection {
    ExportSelection(indexes: 1...journal.head.position.index)
  }

  /// A journal with more than a tile, two epochs, and a host.
  private static func sample(in directory: String) throws -> EventJournal {
    let journal = try makeJournal(directory)
    for count in [1, 7, 200, 90] { try journal.appendNow(Drafts.mappings(0..<count)) }
    let host = Event.host("h\"1\n", .mapped(HostRecord(cell: CellID(.zero))))
    try journal.appendNow([
      Drafts.opening(of: journal.store, epoch: 3), Drafts.draft(host), Drafts.mapping(3),
    ])
    return journal
  }

  private static func lines(_ path: String) throws -> [JSONValue] {
    try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
      try JSONValue(parsing: String($0))
    }
  }

  @Test func `export, import, export gives the same bytes, positions and root`() throws {
    try withTemporaryDirectory { folder in
      let journal = try Self.sample(in: folder + "/s")
      let first = try JournalExport.write(
        journal, to: folder + "/a", Self.everything(journal), as: .jsonLines)
      #expect(first.header.isComplete && first.entries == journal.head.position.index)
      let made = try JournalImport.run(folder + "/a", into: folder + "/n", command: "test")
      #expect(made.position == journal.head.position && made.root == journal.head.root)
      let copy = try EventJournal.open(folder + "/n")
      #expect(copy.store == journal.store)
      #expect(
        try copy.entries(after: 0, limit: .max) == journal.entries(after: 0, limit: .max))
      #expect(try copy.verify().commits == journal.verify().commits)
      _ = try JournalExport.write(copy, to: folder + "/b", Self.everything(copy), as: .jsonLines)
      let sound = try Data(contentsOf: URL(filePath: folder + "/a"))
      #expect(try Data(contentsOf: URL(filePath: folder + "/b")) == sound)
      let attributes = try FileManager.default.attributesOfItem(atPath: folder + "/a")
      #expect(attributes[.posixPermissions] as? Int == 0o600)
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).count == 4)
    }
  }

  @Test func `proofs lead to the root at every entry`() throws {
    try withTemporaryDirectory { folder in
      let journal = try Self.sample(in: folder + "/s")
      for last in [1, 2, 256, 257, 302] as [UInt64] {
        let path = "\(folder)/\(last)"
        let made = try JournalExport.write(
          journal, to: path, ExportSelection(indexes: 1...last), as: .jsonLines, hasProofs: true)
        for line in try Self.lines(path).dropFirst().dropLast() {
          let entry = try EntryLine(parsing: Array(line.line.utf8))
          let proof = InclusionProof(
            index: entry.index, digest: entry.digest, size: last, root: made.header.root,
            path: try #require(entry.path))
          #expect(proof.isValid)
        }
      }
    }
  }

  @Test func `holds the entries that were asked for`() throws {
    try withTemporaryDirectory { folder in
      let journal = try Self.sample(in: folder + "/s")
      let instance = EntityKey.instance(InstanceID(UUID128(high: 3, low: 1)))
      let wanted: Set<EntityKey> = [instance, .host("h\"1\n")]
      let made = try JournalExport.write(
        journal, to: folder + "/a",
        ExportSelection(indexes: 20...journal.head.position.index, entities: wanted),
        as: .jsonLines)
      let lines = try Self.lines(folder + "/a")
      #expect(made.entries == 3 && lines.count == 5 && !made.header.isComplete)
      #expect(lines[2]["entity"]?.string == "host h\"1\n" && lines[2]["root"] == nil)
      #expect(throws: ExportError.notComplete(path: folder + "/a")) {
        try JournalImport.run(folder + "/a", into: folder + "/n", command: "test")
      }
    }
  }

  @Test func `a beginning that ends a commit is complete, another is not`() throws {
    try withTemporaryDirectory { folder in
      let journal = try Self.sample(in: folder + "/s")
      for (last, isComplete) in [(1, false), (2, true), (10, true), (11, false)] {
        let path = "\(folder)/\(last)"
        let made = try JournalExport.write(
          journal, to: path, ExportSelection(indexes: 1...UInt64(last)), as: .jsonLines)
        #expect(made.header.isComplete == isComplete, "\(last)")
        guard isComplete else { continue }
        let imported = try JournalImport.run(path, into: path + "-n", command: "test")
        #expect(try imported.root == journal.root(at: UInt64(last)))
      }
    }
  }

  @Test func `nothing is written over`() throws {
    try withTemporaryDirectory { folder in
      let journal = try Self.sample(in: folder + "/s")
      try Data("mine".utf8).write(to: URL(filePath: folder + "/a"))
      #expect(throws: ExportError.targetExists(path: folder + "/a")) {
        try JournalExport.write(
          journal, to: folder + "/a", Self.everything(journal), as: .jsonLines)
      }
      #expect(try String(contentsOfFile: folder + "/a", encoding: .utf8) == "mine")
      let mark = try #require(try WorkMark.take(folder + "/b.making"))
      _ = withExtendedLifetime(mark) {
        #expect(throws: ExportError.beingMade(path: folder + "/b")) {
          try JournalExport.write(
            journal, to: folder + "/b", Self.everything(journal), as: .jsonLines)
        }
      }
      #expect(throws: ExportError.self) {
        try JournalImport.run(folder + "/a", into: folder + "/s", command: "test")
      }
    }
  }

  @Test func `CloudEvents have what the specification requires, and nothing sealed`() throws {
    try withTemporaryDirectory { folder in
      let journal = try makeJournal(folder + "/s")
      try journal.appendNow(
        Samples.entries.dropFirst().map(\.draft).filter { $0.event.kind != .epochOpened })
      let made = try JournalExport.write(
        journal, to: folder + "/a", Self.everything(journal), as: .cloudEvents)
      let lines = try Self.lines(folder + "/a")
      #expect(UInt64(lines.count) == made.entries)
      for (place, line) in lines.enumerated() {
        #expect(line["specversion"] == "1.0" && line["id"]?.string == "1:\(place + 1)")
        #expect(line["source"]?.string == "urn:uuid:\(journal.store)")
        #expect(line["type"]?.string?.hasPrefix("cellmap.") == true)
        #expect(line["time"]?.string.flatMap { Timestamp($0) } != nil)
        #expect(line["data"]?["entry"] == nil)
      }
      let text = try String(contentsOfFile: folder + "/a", encoding: .utf8)
      #expect(!text.contains(Base64.standard.text(of: Samples.address.sealed)))
      #expect(!text.contains("\"sealed\""))
    }
  }

  @Test(arguments: ReferenceVectorTests.vectors.entries)
  func `each kind of event can be read and is found again`(vector: EntryVectors.Vector) throws {
    let bytes = [UInt8](hexadecimal: vector.bytes)
    let line = try EntryLine(bytes, in: 0..<bytes.count)
    let text = try line.text()
    #expect(line.event == vector.name && line.digest.description == vector.digest)
    #expect(try EntryLine(parsing: Array(text.utf8)).entry == bytes)
  }
}
