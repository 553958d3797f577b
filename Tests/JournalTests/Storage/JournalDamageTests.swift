import Foundation
@testable import Journal
import Testing

@Suite struct JournalDamageTests {
  /// A store of a few hundred entries in commits of many sizes, and what it should hold.
  private struct Sample {
    let directory: String
    let bytes: [UInt8]
    let entries: [Entry]
    let head: Position

    var path: String { directory + "/journal.lmdb" }

    init(in folder: String) throws {
      directory = folder + "/s"
      let journal = try makeJournal(directory)
      for round in 0..<60 { try journal.appendNow(Drafts.mappings(0..<1 + round % 13)) }
      try journal.appendNow([
        Drafts.mapping(1, project: ByteText(String(repeating: "x", count: 9000)))
      ])
      try journal.appendNow(Drafts.mappings(0..<300))
      head = journal.head.position
      entries = try journal.entries(after: 0, limit: .max)
      bytes = [UInt8](try Data(contentsOf: URL(filePath: directory + "/journal.lmdb")))
    }

    func put(_ bytes: some Sequence<UInt8>) throws {
      // Written in place, so that the mode stays.
      let handle = try FileHandle(forWritingTo: URL(filePath: path))
      try handle.truncate(atOffset: 0)
      try handle.write(contentsOf: Data(bytes))
      try handle.close()
    }

    /// Whether the store says that something is wrong, or gives everything as it was.
    func isHonest() -> Bool {
      do throws(JournalError) {
        let journal = try EventJournal.open(directory)
        guard journal.head.position == head else { return false }
        return try journal.entries(after: 0, limit: .max) == entries
      } catch {
        return [.integrity, .notAStore, .newerFormat].contains(error.category)
      }
    }

    func openingError() -> JournalError? {
      do throws(JournalError) {
        _ = try EventJournal.open(directory)
        return nil
      } catch {
        return error
      }
    }
  }

  @Test func `a truncated journal is recognised at every length`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      let count = sample.bytes.count
      for length in [0, 1, 100, 4095, 4096, 8191, 8192, count / 2, count - 4096, count - 1] {
        try sample.put(sample.bytes.prefix(length))
        guard case .truncated? = sample.openingError() else {
          Issue.record("\(length) bytes: \(String(describing: sample.openingError()))")
          continue
        }
      }
      try sample.put(sample.bytes)
      #expect(sample.openingError() == nil)
    }
  }

  /// A process that serves reads by `pread`, so that it is told; a writer has the file mapped and may
  /// die of it, or be told.
  @Test func `truncation under an open journal is an error to readers, and loses nothing`() async {
    await #expect(processExitsWith: .success) {
      try withTemporaryDirectory { folder in
        let sample = try Sample(in: folder)
        let journal = try EventJournal.open(sample.directory)
        let half = Data(sample.bytes.prefix(sample.bytes.count / 2))
        try half.write(to: URL(filePath: sample.path), options: [])
        chmod(sample.path, 0o600)
        for ask in [
          { _ = try journal.entries(after: 0, limit: .max) },
          { _ = try journal.appendNow(Drafts.mappings(0..<3)) }, { _ = try journal.verify() },
        ] as [() throws -> Void] {
          let error = #expect(throws: JournalError.self) { try ask() }
          #expect(error?.category == .integrity, "\(String(describing: error))")
        }
        try sample.put(sample.bytes)
        #expect(
          try EventJournal.open(sample.directory).entries(after: 0, limit: .max) == sample.entries)
      }
    }
  }

  @Test func `a writer that has the file mapped dies of its truncation at the worst`() async throws
  {
    let folder = FileManager.default.temporaryDirectory.path + "/cellmap-truncated-\(getpid())"
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let sample = try Sample(in: folder)
    await #expect(processExitsWith: .failure) { [folder = folder as String] in
      let journal = try EventJournal.open(folder + "/s")
      try journal.appendNow(Drafts.mappings(0..<3))
      try FileManager.default.copyItem(atPath: folder + "/s/journal.lmdb", toPath: folder + "/copy")
      truncate(folder + "/s/journal.lmdb", 16_384)
      try journal.appendNow(Drafts.mappings(0..<3))
    }
    #expect(sample.openingError()?.category == .integrity)
    try sample.put(try Data(contentsOf: URL(filePath: folder + "/copy")))
    let entries = try EventJournal.open(sample.directory).entries(after: 0, limit: .max)
    #expect(entries.count == sample.entries.count + 3)
    #expect(Array(entries.prefix(sample.entries.count)) == sample.entries)
  }

  @Test func `garbage and other files are no store`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      let seed = UInt64.random(in: 0 ... .max)
      var generator = SeededGenerator(seed: seed)
      let random = (0..<40_960).map { _ in UInt8.random(in: 0...255, using: &generator) }
      for bytes in [random, [UInt8](repeating: 0, count: 40_960), Array("SQLite format 3".utf8)] {
        try sample.put(bytes)
        let error = sample.openingError()
        #expect(error?.category == .notAStore || error?.category == .integrity)
      }
    }
  }

  @Test func `a flipped bit is recognised or harms nothing`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      let seed = UInt64.random(in: 0 ... .max)
      var generator = SeededGenerator(seed: seed)
      for _ in 0..<100 {
        var bytes = sample.bytes
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        try sample.put(bytes)
        #expect(sample.isHonest(), "byte \(place), seed \(seed)")
      }
    }
  }

  @Test func `flipped bits in the meta pages and the heads of pages are recognised`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      let seed = UInt64.random(in: 0 ... .max)
      var generator = SeededGenerator(seed: seed)
      for round in 0..<100 {
        var bytes = sample.bytes
        let page =
          round % 3 == 0 ? round % 2 : Int.random(in: 0..<bytes.count / 4096, using: &generator)
        let place = page * 4096 + Int.random(in: 0..<160, using: &generator)
        bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        try sample.put(bytes)
        #expect(sample.isHonest(), "byte \(place), seed \(seed)")
      }
    }
  }

  @Test func `pages full of anything never end the process`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      let seed = UInt64.random(in: 0 ... .max)
      var generator = SeededGenerator(seed: seed)
      for _ in 0..<80 {
        var bytes = sample.bytes
        for _ in 0..<Int.random(in: 1...6, using: &generator) {
          let start = Int.random(in: 0..<bytes.count, using: &generator)
          let length = [1, 2, 8, 48, 4096].randomElement(using: &generator)!
          let isFill = Bool.random(using: &generator)
          let fill = [0, 0xFF, 0x80, 1].randomElement(using: &generator)! as UInt8
          for place in start..<min(bytes.count, start + length) {
            bytes[place] = isFill ? fill : UInt8.random(in: 0...255, using: &generator)
          }
        }
        try sample.put(bytes)
        #expect(sample.isHonest(), "seed \(seed)")
      }
    }
  }

  @Test func `damage that a writer could fall over is found before LMDB maps the file`() async {
    await #expect(processExitsWith: .success) {
      try withTemporaryDirectory { folder in
        let sample = try Sample(in: folder)
        let seed = UInt64.random(in: 0 ... .max)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<80 {
          var bytes = sample.bytes
          let place = Int.random(in: 0..<bytes.count, using: &generator)
          bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
          try sample.put(bytes)
          guard let journal = try? EventJournal.open(sample.directory) else { continue }
          _ = try? journal.appendNow(Drafts.mappings(0..<5))
          try? FileManager.default.removeItem(atPath: journal.files.journalLock)
          try? FileManager.default.removeItem(atPath: journal.files.head)
        }
      }
    }
  }

  @Test func `a flipped bit in an entry is named by its index`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      let bytes = try sample.entries[9].encoded()
      let place = try #require(
        sample.bytes.withUnsafeBytes { whole in
          Data(whole).range(of: Data(bytes))?.lowerBound
        })
      var flipped = sample.bytes
      // Every copy that LMDB has left in old pages.
      var start = flipped.startIndex
      while let found = Data(flipped[start...]).range(of: Data(bytes)) {
        flipped[start + found.lowerBound + bytes.count - 1] ^= 1
        start += found.upperBound
      }
      #expect(place > 0)
      try sample.put(flipped)
      let journal = try EventJournal.open(sample.directory)
      #expect(throws: JournalError.self) { try journal.entry(at: 10) }
      #expect(try journal.entry(at: 9) == sample.entries[8])
      let error = #expect(throws: JournalError.self) { try journal.verify() }
      #expect(error?.index == 10)
    }
  }

  @Test func `an older copy of the journal is a step back`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      do { try EventJournal.open(sample.directory).appendNow([Drafts.mapping(7)]) }
      try sample.put(sample.bytes)
      let witness = Position(epoch: 1, index: sample.head.index + 1)
      #expect(
        sample.openingError() == .steppedBack(journal: sample.head, witness: witness))
    }
  }

  @Test func `a history that grew again after a step back is recognised`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      do { try EventJournal.open(sample.directory).appendNow([Drafts.mapping(7)]) }
      let head = try Data(contentsOf: URL(filePath: sample.directory + "/HEAD"))
      try sample.put(sample.bytes)
      try FileManager.default.removeItem(atPath: sample.directory + "/HEAD")
      try FileManager.default.removeItem(atPath: sample.directory + "/journal.lmdb-lock")
      do {
        let journal = try EventJournal.open(sample.directory)
        try journal.appendNow([Drafts.mapping(8), Drafts.mapping(9)])
        try journal.appendNow([Drafts.mapping(8), Drafts.mapping(9)])
      }
      try head.write(to: URL(filePath: sample.directory + "/HEAD"))
      chmod(sample.directory + "/HEAD", 0o600)
      let witness = Position(epoch: 1, index: sample.head.index + 1)
      #expect(sample.openingError() == .divergedFromWitness(witness: witness))
    }
  }

  @Test func `HEAD may be behind; a missing one costs a full verification`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      let head = URL(filePath: sample.directory + "/HEAD")
      let old = try Data(contentsOf: head)
      do { try EventJournal.open(sample.directory).appendNow([Drafts.mapping(7)]) }
      try old.write(to: head)
      chmod(head.path, 0o600)
      #expect(try EventJournal.open(sample.directory).head.position.index == sample.head.index + 1)
      try Data(repeating: 7, count: 1024).write(to: head)
      chmod(head.path, 0o600)
      do {
        let journal = try EventJournal.open(sample.directory)
        try journal.appendNow([Drafts.mapping(8)])
      }
      #expect(try HeadSlots.read(head.path)?.position.index == sample.head.index + 2)
    }
  }

  @Test func `HEAD of another store is refused`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      do { _ = try makeJournal(folder + "/other") }
      let head = sample.directory + "/HEAD"
      try FileManager.default.removeItem(atPath: head)
      try FileManager.default.copyItem(atPath: folder + "/other/HEAD", toPath: head)
      guard case .foreignWitness? = sample.openingError() else {
        Issue.record("\(String(describing: sample.openingError()))")
        return
      }
    }
  }

  @Test func `a file put in the journal's place is noticed before the next write`() throws {
    try withTemporaryDirectory { folder in
      let sample = try Sample(in: folder)
      let journal = try EventJournal.open(sample.directory)
      try journal.appendNow([Drafts.mapping(1)])
      try FileManager.default.moveItem(atPath: sample.path, toPath: sample.path + ".old")
      try FileManager.default.copyItem(atPath: sample.path + ".old", toPath: sample.path)
      #expect(throws: JournalError.replaced(path: sample.path)) {
        try journal.appendNow([Drafts.mapping(2)])
      }
    }
  }
}

extension JournalError {
  /// The entry that is accused.
  fileprivate var index: UInt64? {
    switch self {
    case .missingEntry(let index), .damagedEntry(let index, _), .damagedTree(let index, _): index
    default: nil
    }
  }
}
