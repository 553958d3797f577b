import Foundation
import Journal
import Projections
import TestSupport
import Testing

/// A journal of the first format reads and replays as it did then.
@Suite struct FormatFixtureTests {
  @Test func `the kept journal is read, verified and replayed to the same map`() throws {
    try withTemporaryFolder { folder in
      let store = folder + "/s"
      try FileManager.default.createDirectory(
        atPath: store, withIntermediateDirectories: false,
        attributes: [.posixPermissions: 0o700])
      let expected = try FormatFixture.expected()
      let journal = try FormatFixture.open(in: store)
      let head = try journal.verify().head
      #expect(journal.store.description == expected.store)
      #expect(head.position.description == expected.position)
      #expect(head.root.description == expected.root)
      let entries = try journal.entries(after: 0, limit: .max)
      #expect(UInt64(entries.count) == expected.entries)
      // Every kind that there was then.
      let later: Set<EventKind> = [.ownerKeyShredded]
      #expect(Set(entries.map(\.event.kind)) == Set(EventKind.allCases).subtracting(later))
      _ = try IndexReplay.run(journal, into: folder + "/index", scratch: folder)
      let digest = try IndexReader(path: folder + "/index").contentDigest()
      #expect(digest.description == expected.index_digest)
    }
  }
}
