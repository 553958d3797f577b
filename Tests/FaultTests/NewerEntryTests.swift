import Foundation
import Journal
import Projections
import TestSupport
import Testing

/// An entry that a newer program wrote: it can be verified, and nothing goes past it.
@Suite(.waiting) struct NewerEntryTests {
  /// A store whose last entry has another kind and schema version; the index has not reached it.
  ///
  /// Made as a newer program would have: the entry's bytes, its digest in the tree, and the root
  /// behind it. The journal is so short that the tree stands in the roots alone.
  private func withNewerEntry(
    kind: UInt16, version: UInt8, _ body: (SampleStore, UInt64) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      try expectDone(["replay", "--store", sample.store])
      let before = folder + "/before"
      try sample.copyStore(to: before)
      try expectDone(sample.map(UUID()))
      let content = try StoreContent(of: sample.store)
      let last = try #require(content.entries.last)
      try #require(content.entries.count < 256)
      let old = try last.encoded()
      var new = old
      new[1] = version
      new[2] = UInt8(kind >> 8)
      new[3] = UInt8(kind & 0xFF)
      let journal = try StoredFile(sample.journalPath)
      let oldRoot = root(of: content.digests[...])
      let newRoot = root(of: content.digests.dropLast() + [TreeHash.leaf(new)])
      var bytes = Data(journal.sound)
      let place = try #require(bytes.range(of: Data(old + oldRoot.bytes)))
      bytes.replaceSubrange(place, with: new + newRoot.bytes)
      try journal.put(bytes)
      unlink(sample.headPath)
      for name in try FileManager.default.contentsOfDirectory(atPath: sample.store)
      where name.hasPrefix("index-") { unlink(sample.store + "/" + name) }
      for name in try FileManager.default.contentsOfDirectory(atPath: before)
      where name.hasPrefix("index-") {
        try FileManager.default.copyItem(
          atPath: before + "/" + name, toPath: sample.store + "/" + name)
      }
      try body(sample, last.position.index)
    }
  }

  /// The root of a tree, as RFC 9162 §2.1.1 defines it.
  private func root(of leaves: ArraySlice<Journal.Digest>) -> Journal.Digest {
    guard leaves.count > 1 else { return leaves.first ?? TreeHash.empty }
    var left = 1
    while left * 2 < leaves.count { left *= 2 }
    return TreeHash.node(root(of: leaves.prefix(left)), root(of: leaves.dropFirst(left)))
  }

  @Test(arguments: [(0x03FF as UInt16, 1 as UInt8), (0x0301, 2), (0x0701, 1)])
  func `is verified, named, and never skipped`(kind: UInt16, version: UInt8) throws {
    try withNewerEntry(kind: kind, version: version) { sample, index in
      // The newer program has left no HEAD, which is worth a finding; the entries are whole.
      let verified = try Cellmap.run("audit", "verify", "--journal-only", "--store", sample.store)
      #expect(
        verified.status == 1 && verified.output.contains("The journal is whole"),
        "\(verified.summary)")
      let instance = try #require(try sample.cloud.expectedCells().keys.first)
      for words in [
        ["status"], ["route", instance], ["replay"], addCell("new"),
        ["instance", "show", instance],
      ] {
        let answer = try Cellmap.run(words + ["--store", sample.store])
        #expect(answer.status == 6, "\(words): \(answer.summary)")
        for part in ["Entry \(index)", "kind \(kind)", "version \(version)", "newer cellmap"] {
          #expect(answer.errors.contains(part), "\(words): \(answer.summary)")
        }
        #expect(answer.errors.split(separator: "\n").count == 1, "\(words): \(answer.summary)")
      }
      #expect(try EventJournal.open(sample.store).head.position.index == index)
      let into = sample.folder + "/until"
      try expectDone(
        ["replay", "--into", into, "--to", "\(index - 1)", "--store", sample.store])
      #expect(try IndexReader(path: into).checkpoint().position.index == index - 1)
    }
  }
}
