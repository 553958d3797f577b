import Foundation
import Journal
import Projections
import TestSupport
import Testing

/// Damage to the index, met by commands: made again, or refused with exit 4 and the next step.
@Suite(.waiting) struct IndexFaultTests {
  /// Every route is right, whatever the index is, and the store is well afterwards.
  private func expectMended(
    _ sample: SampleStore, _ note: String, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    #expect(try sample.wrongRoutes() == [], "\(note)", sourceLocation: sourceLocation)
    let status = try Cellmap.run("status", "--store", sample.store, "--json")
    // It counts hosts and cells, whose rows no route has read: then the damage is told.
    let isTold = status.status == 4 && status.errors.contains("replay")
    let isRight = status.status == 0 && status.object["instances"] as? Int == 40
    #expect(isTold || isRight, "\(note): \(status.summary)", sourceLocation: sourceLocation)
    let verified = try Cellmap.run("audit", "verify", "--store", sample.store)
    if verified.status == 0 { return }
    #expect(verified.status == 4, "\(note): \(verified.summary)", sourceLocation: sourceLocation)
    #expect(verified.errors.contains("replay"), "\(verified.summary)")
    #expect([0, 1].contains(try Cellmap.run("replay", "--store", sample.store).status))
    try expectDone(["audit", "verify", "--store", sample.store], sourceLocation: sourceLocation)
  }

  @Test func `a deleted index is made again`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let index = try sample.indexPath()
      sample.removeLog(of: index)
      unlink(index)
      let status = try Cellmap.run("status", "--store", sample.store)
      #expect(status.status == 0 && status.errors.contains("again"), "\(status.summary)")
      try expectMended(sample, "deleted")
      try expectIndexEqualsReplay(sample.store)
    }
  }

  @Test(arguments: [true, false])
  func `a truncated index gives no wrong route and is made again`(isLogKept: Bool) throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let whole = folder + "/whole"
      try expectDone(["replay", "--store", sample.store])
      try sample.copyStore(to: whole)
      let size = try StoredFile(try sample.indexPath()).sound.count
      for length in [0, 1, 100, 4_096, 8_192, size / 2, size - 4_096, size - 1] {
        try FileManager.default.removeItem(atPath: sample.store)
        try FileManager.default.copyItem(atPath: whole, toPath: sample.store)
        let index = try sample.indexPath()
        if !isLogKept { sample.removeLog(of: index) }
        truncate(index, length)
        try expectMended(sample, "\(length) of \(size) bytes")
      }
    }
  }

  @Test func `another version or another file in its place is made again`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      var index = try sample.indexPath()
      try SQLiteConnection(path: index, mode: .readWrite).execute("PRAGMA user_version=99")
      try expectMended(sample, "version")
      index = try sample.indexPath()
      sample.removeLog(of: index)
      try StoredFile(index).put(Array("SQLite format 4".utf8))
      try expectMended(sample, "other file")
      index = try sample.indexPath()
      sample.removeLog(of: index)
      unlink(index)
      try SQLiteConnection(path: index, mode: .readWriteCreate).execute("CREATE TABLE t (a)")
      try expectMended(sample, "other database")
    }
  }

  @Test func `CURRENT deleted, emptied, garbled or naming nothing is made again`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      unlink(sample.currentPath)
      try expectMended(sample, "deleted")
      let contents: [[UInt8]] = [
        [], Array("index-1.sqlite".utf8), [UInt8](repeating: 0xFF, count: 49),
        [UInt8](repeating: 7, count: 100_000),
      ]
      for bytes in contents {
        try StoredFile(sample.currentPath).put(bytes)
        try expectMended(sample, "\(bytes.count) bytes")
      }
    }
  }

  @Test func `flipped bits give no wrong route, and verify finds what routes don't read`() throws {
    var chance = Chance()
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      try expectDone(["replay", "--store", sample.store])
      for _ in 1...12 {
        let path = try sample.indexPath()
        sample.removeLog(of: path)
        let index = try StoredFile(path)
        let byte = Int.random(in: 0..<index.sound.count, using: &chance)
        try index.put(index.flipped(byte: byte, bit: UInt8.random(in: 0..<8, using: &chance)))
        try expectMended(sample, "seed \(chance.seed), byte \(byte)")
      }
    }
  }

  @Test func `a request that the index has lost is answered, not made twice`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let words = sample.map(UUID())
      let first = try expectDone(words)
      let index = try sample.indexPath()
      try SQLiteConnection(path: index, mode: .readWrite).execute(
        "DELETE FROM request WHERE first_index = \(try #require(first.acknowledged))")
      let again = try expectDone(words)
      #expect(again.object["repeated"] as? Bool == true, "\(again.summary)")
      #expect(again.object["position"] as? String == first.object["position"] as? String)
      #expect(again.errors.contains("again"), "\(again.summary)")
    }
  }

  @Test func `the index of another store is refused with exit 4 until it is replayed`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let other = folder + "/other"
      try expectDone(["init", "--store", other])
      let index = try sample.indexPath()
      sample.removeLog(of: index)
      unlink(index)
      for suffix in ["", "-wal", "-shm"] {
        try? FileManager.default.copyItem(
          atPath: other + "/index-1.sqlite" + suffix, toPath: index + suffix)
      }
      try expectRefused(sample, naming: "another store|belongs to the store")
    }
  }

  @Test func `an index ahead of the journal is refused with exit 4 until it is replayed`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let journal = try StoredFile(sample.journalPath)
      let head = try StoredFile(sample.headPath)
      for _ in 1...3 { try expectDone(sample.map(UUID())) }
      try journal.restore()
      try head.restore()
      unlink(sample.store + "/journal.lmdb-lock")
      try expectRefused(sample, naming: "lost entries")
    }
  }

  @Test func `an index of another history is refused with exit 4 until it is replayed`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let other = folder + "/other"
      try sample.copyStore(to: other)
      for (store, name) in [(sample.store, "a"), (other, "b")] {
        for number in 1...3 {
          try expectDone(addCell("\(name)\(number)", store))
        }
      }
      let index = try sample.indexPath()
      sample.removeLog(of: index)
      unlink(index)
      for suffix in ["", "-wal", "-shm"] {
        try? FileManager.default.copyItem(
          atPath: other + "/index-1.sqlite" + suffix, toPath: index + suffix)
      }
      try expectRefused(sample, naming: "another history")
    }
  }

  /// Questions and changes end with 4 and name what is wrong; an operator's replay mends it.
  private func expectRefused(_ sample: SampleStore, naming words: String) throws {
    let names = words.split(separator: "|").map(String.init)
    let instance = try #require(try sample.cloud.expectedCells().keys.first)
    for command in [
      ["status"], ["route", instance], addCell("new"),
      ["audit", "verify"],
    ] {
      let answer = try Cellmap.run(command + ["--store", sample.store])
      #expect(answer.status == 4, "\(command): \(answer.summary)")
      #expect(names.contains { answer.errors.contains($0) }, "\(command): \(answer.summary)")
      #expect(answer.errors.contains("replay"), "\(command): \(answer.summary)")
      #expect(answer.output == "", "\(command): \(answer.summary)")
    }
    let replay = try Cellmap.run("replay", "--store", sample.store)
    #expect([0, 1].contains(replay.status), "\(replay.summary)")
    try expectDone(["audit", "verify", "--store", sample.store])
    #expect(try sample.wrongRoutes() == [])
  }
}
