import Foundation
@testable import Journal
import Testing

/// Whatever is changed in an archive is found. Every byte, where CELLMAP_TAMPER_CASES is given.
@Suite struct ArchivedJournalTamperTests {
  private static let step =
    ProcessInfo.processInfo.environment["CELLMAP_TAMPER_CASES"] == nil ? 331 : 1

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
