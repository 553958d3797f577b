import Foundation
@testable import Journal
import Testing

/// Whatever is changed in an archive is found. Small here; every byte, and a third as many forgeries
/// as CELLMAP_TAMPER_CASES says, where that is given.
@Suite struct ArchivedJournalTamperTests {
  private static let given =
    ProcessInfo.processInfo.environment["CELLMAP_TAMPER_CASES"].flatMap { Int($0) }
  private static let step = given == nil ? 331 : 1
  private static let forgeries = given.map { $0 / 3 } ?? 2 * ArchiveForgery.allCases.count

  private func isFound(_ store: String) -> Bool {
    do throws(JournalError) {
      _ = try EventJournal.open(store).verify()
      return false
    } catch {
      return [.integrity, .newerFormat].contains(error.category)
    }
  }

  @Test func `each changed byte of an archive is found`() throws {
    try withArchives(entries: 600, through: [256, 512]) { bed in
      let path = bed.files[1]
      let whole = try #require(FileManager.default.contents(atPath: path))
      let archive = try #require(try EventJournal.open(bed.store).file.archive)
      let ends = [0..<100, whole.count - 100..<whole.count].joined()
      let file = open(path, O_RDWR)
      defer { close(file) }
      var missed: [Int] = []
      for place in Set(ends).union(stride(from: 0, to: whole.count, by: Self.step)) {
        var byte = whole[place] ^ UInt8(1 << (place % 8))
        pwrite(file, &byte, 1, off_t(place))
        if (try? archive.segments[1].check()) != nil { missed.append(place) }
        if place % 9_973 == 0, !isFound(bed.store) { missed.append(place) }
        byte ^= UInt8(1 << (place % 8))
        pwrite(file, &byte, 1, off_t(place))
      }
      #expect(missed == [])
      #expect(!isFound(bed.store))
    }
  }

  @Test func `an entry that was changed in an archive is never read`() throws {
    try withArchives(entries: 600, through: [512]) { bed in
      let path = bed.files[0]
      let whole = try #require(FileManager.default.contents(atPath: path))
      let sound = try EventJournal.open(bed.whole).entries(after: 0, limit: 512)
      for place in stride(from: 0, to: whole.count, by: 1_009) {
        var bytes = whole
        bytes[place] ^= UInt8(1 << (place % 8))
        try bytes.write(to: URL(filePath: path))
        let read = try? EventJournal.open(bed.store).entries(after: 0, limit: 512)
        #expect(read == nil || read == sound, "byte \(place)")
      }
    }
  }

  @Test func `a forged file that fits itself, and the journal's record of it, is found`() throws {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededGenerator(seed: seed)
    try withArchives(entries: 800, through: [256, 768]) { bed in
      let files = StoreFiles(bed.store)
      let journal = try EventJournal.open(bed.store)
      let bytes = try Array(Data(contentsOf: URL(filePath: bed.files[1])))
      let whole = ArchiveParts(bytes, of: journal.store)
      #expect(whole.bytes == bytes)
      let sound = try EventJournal.open(bed.whole).entries(after: 0, limit: 768)
      let original = try Data(contentsOf: URL(filePath: files.journal))
      let known = try #require(journal.file.archive).segments.map { ($0.last, $0.digest) }
      for round in 0..<Self.forgeries {
        let kind = ArchiveForgery.allCases[round % ArchiveForgery.allCases.count]
        var parts = whole
        kind.change(&parts, &generator)
        try #require(parts != whole, "\(kind), seed \(seed), round \(round)")
        let forged = parts.bytes
        try Data(forged).write(to: URL(filePath: bed.files[1]))
        // Every second time the journal says that this is what was archived.
        let isRecorded = round / ArchiveForgery.allCases.count % 2 == 1
        if isRecorded {
          let record = Data(JournalArchive.record(known))
          let other = JournalArchive.record([known[0], (known[1].0, TreeHash.plain(forged))])
          var journal = original
          while let range = journal.range(of: record) {
            journal.replaceSubrange(range, with: other)
          }
          try #require(journal != original)
          try journal.write(to: URL(filePath: files.journal))
        }
        let isFound = isFound(bed.store)
        #expect(isFound, "\(kind), recorded \(isRecorded), seed \(seed), round \(round)")
        let read = try? EventJournal.open(bed.store).entries(after: 0, limit: 768)
        #expect(read == nil || read == sound, "\(kind), seed \(seed), round \(round)")
        if isRecorded { try original.write(to: URL(filePath: files.journal)) }
      }
      try Data(bytes).write(to: URL(filePath: bed.files[1]))
      #expect(!isFound(bed.store))
    }
  }

  @Test func `files that are swapped, cut off, lengthened or gone are found`() throws {
    try withArchives(entries: 600, through: [256, 512]) { bed in
      let files = try bed.files.map { try #require(FileManager.default.contents(atPath: $0)) }
      func put(_ contents: Data?...) throws {
        for (path, content) in zip(bed.files, contents) {
          try? FileManager.default.removeItem(atPath: path)
          try content?.write(to: URL(filePath: path))
        }
      }
      try put(files[1], files[0])
      #expect(isFound(bed.store))
      for count in [0, 1, 79, 80, 120, 8_000, files[0].count - 41, files[0].count - 1] {
        try put(files[0].prefix(count), files[1])
        #expect(isFound(bed.store), "\(count)")
      }
      try put(files[0] + [0], files[1])
      #expect(isFound(bed.store))
      try put(nil, files[1])
      #expect(isFound(bed.store))
      try put(files[0], files[1])
      #expect(!isFound(bed.store))
    }
  }

  @Test func `the first damaged entry of an archive is named`() throws {
    try withArchives(entries: 800, through: [256, 768]) { bed in
      let bytes = try Array(Data(contentsOf: URL(filePath: bed.files[1])))
      let whole = ArchiveParts(bytes, of: try EventJournal.open(bed.store).store)
      func accusation(_ parts: ArchiveParts) throws -> String? {
        try Data(parts.bytes).write(to: URL(filePath: bed.files[1]))
        do throws(JournalError) {
          // Also where the entries were verified before.
          let head = try EventJournal.open(bed.store).head
          _ = try EventJournal.open(bed.store).verify(
            after: VerifiedPoint(
              store: whole.store, position: head.position, root: head.root, verifiedAt: .now,
              fullAt: .now, fullPosition: head.position))
          return nil
        } catch {
          return error.description
        }
      }
      for (tile, place) in [(0, 0), (0, 43), (1, 255)] {
        var parts = whole
        parts.tiles[tile].records[place][80] ^= 1
        parts.tiles[1].records[255][80] ^= 2
        let entry = 257 + tile * TileLayout.width + place
        let text = try accusation(parts)
        #expect(text?.contains("entry \(entry) in it") == true, "\(text ?? "nothing")")
      }
      var parts = whole
      parts.root = TreeHash.plain([1])
      #expect(try accusation(parts)?.contains("its SHA-256 is") == true)
      #expect(try accusation(whole) == nil)
    }
  }

  @Test(.timeLimit(.minutes(5)))
  func `a pipe in the place of a file is damage, and is not waited for`() throws {
    try withArchives(entries: 600, through: [256, 512]) { bed in
      unlink(bed.files[0])
      #expect(mkfifo(bed.files[0], 0o600) == 0)
      #expect(isFound(bed.store))
      let files = StoreFiles(bed.store)
      #expect(mkfifo(files.verified, 0o600) == 0)
      #expect(VerifiedPoint.read(files) == nil)
      unlink(files.journal)
      #expect(mkfifo(files.journal, 0o600) == 0)
      #expect(throws: JournalError.self) { try EventJournal.open(bed.store) }
      let pipe = bed.folder + "/pipe"
      #expect(mkfifo(pipe, 0o600) == 0)
      #expect(
        throws: ExportError.notAnExport(
          path: pipe, why: "it is a pipe, and the file is read twice")
      ) { try JournalImport.run(pipe, into: bed.folder + "/n", command: "test") }
    }
  }

  @Test func `a file that agrees with a forged record is found by the entry of the archive`() throws
  {
    try withArchives(entries: 600, through: [512]) { bed in
      let journal = try EventJournal.open(bed.store)
      let path = bed.files[0]
      // The header's root: the tree knows nothing of it.
      var bytes = try #require(FileManager.default.contents(atPath: path))
      bytes[79] ^= 1
      let digest = TreeHash.plain(Array(bytes[..<(bytes.count - 32)])).bytes
      bytes.replaceSubrange((bytes.count - 32)..., with: digest)
      try bytes.write(to: URL(filePath: path))
      let known = try #require(journal.file.archive?.segments[0].digest)
      let forged = TreeHash.plain(Array(bytes))
      var file = try #require(FileManager.default.contents(atPath: bed.store + "/journal.lmdb"))
      let record = Data(JournalArchive.record([(512, known)]))
      var places = 0
      while let range = file.range(of: record) {
        file.replaceSubrange(range, with: JournalArchive.record([(512, forged)]))
        places += 1
      }
      #expect(places >= 1)
      try file.write(to: URL(filePath: bed.store + "/journal.lmdb"))
      let changed = try EventJournal.open(bed.store)
      try changed.file.archive?.check()
      #expect(throws: JournalError.self) { try changed.verify() }
    }
  }
}
