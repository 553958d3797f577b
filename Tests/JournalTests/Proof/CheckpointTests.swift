import Foundation
@testable import Journal
import Testing

@Suite struct CheckpointTests {
  private static func signer(_ journal: EventJournal) throws -> CheckpointSigner {
    _ = try KeyRing.create(in: journal.files.keys, store: journal.store)
    return try CheckpointSigner.make(in: journal.files.keys, store: journal.store, by: "tester")
  }

  @Test func `a signed checkpoint is read, verified and continued`() throws {
    try withTemporaryJournal { journal in
      let signer = try Self.signer(journal)
      try journal.appendNow(Drafts.mappings(0..<300))
      let made = try journal.durableCheckpoint()
      let note = try SignedNote(parsing: Array(signer.sign(made).content.utf8))
      let checkpoint = try TreeCheckpoint(of: note)
      #expect(checkpoint == made && checkpoint.size == 302)
      #expect(signer.key.verifier(of: checkpoint.epoch).verifies(note))
      for _ in 0..<3 { try journal.appendNow(Drafts.mappings(0..<200)) }
      guard case .continued(let proof) = try journal.compare(with: checkpoint) else {
        Issue.record("not continued")
        return
      }
      #expect(proof.isValid && proof.first == 302 && proof.second == 902)
    }
  }

  @Test func `keys are rotated, and each is signed by the one before it`() throws {
    try withTemporaryJournal { journal in
      let first = try Self.signer(journal)
      let checkpoint = try journal.checkpoint()
      let old = first.sign(checkpoint)
      let second = try first.rotate(by: "tester", reason: "a\nnew one")
      let third = try second.rotate(by: "tester", reason: "another")
      let keys = try CheckpointKey.all(in: journal.files.keys, store: journal.store)
      #expect(keys.map(\.id) == [first.key.id, second.key.id, third.key.id])
      #expect(keys.map(\.previous) == [nil, first.key.id, second.key.id])
      #expect(keys[1].reason == "a new one")
      #expect(keys[0].verifier(of: checkpoint.epoch).verifies(old))
      #expect(!keys[1].verifier(of: checkpoint.epoch).verifies(old))
      let signing = try CheckpointSigner.open(in: journal.files.keys, store: journal.store)
      #expect(signing?.key == third.key)
    }
  }

  @Test func `a changed or forged key is damage`() throws {
    try withTemporaryJournal { journal in
      let (folder, store) = (journal.files.keys, journal.store)
      let first = try Self.signer(journal)
      let second = try first.rotate(by: "tester", reason: "r")
      let path = URL(filePath: folder + "/checkpoint-\(second.key.id)")
      let sound = try Data(contentsOf: path)
      for place in sound.indices {
        var changed = sound
        changed[place] ^= 2
        try changed.write(to: path)
        #expect(throws: KeyError.self) { try CheckpointKey.all(in: folder, store: store) }
      }
      try sound.write(to: path)
      #expect(try CheckpointKey.all(in: folder, store: store).count == 2)
      // A key that says that it took over, without the signature of the one before.
      var note = try SignedNote(parsing: Array(sound))
      note.signatures.removeFirst()
      try Data(note.content.utf8).write(to: path)
      #expect(throws: KeyError.self) { try CheckpointKey.all(in: folder, store: store) }
    }
  }

  @Test func `a rotation that was killed leaves the old key at work`() throws {
    try withTemporaryJournal { journal in
      let (folder, store) = (journal.files.keys, journal.store)
      let first = try Self.signer(journal)
      let secret = try Data(contentsOf: URL(filePath: folder + "/checkpoint"))
      let lost = try first.rotate(by: "tester", reason: "killed")
      try secret.write(to: URL(filePath: folder + "/checkpoint"))
      let signer = try #require(try CheckpointSigner.open(in: folder, store: store))
      #expect(signer.key == first.key)
      let second = try signer.rotate(by: "tester", reason: "again")
      let keys = try CheckpointKey.all(in: folder, store: store)
      #expect(keys.map(\.id) == [first.key.id, second.key.id])
      #expect(!keys.contains { $0.id == lost.key.id })
    }
  }

  @Test func `backups with keys hold those that sign`() throws {
    try withTemporaryDirectory { folder in
      let journal = try makeJournal(folder + "/s")
      let key = try Self.signer(journal).rotate(by: "tester", reason: "r").key
      let backup = try JournalBackup.create(
        of: journal, at: folder + "/b", withKeys: true, program: "tests")
      let keys = backup.path + "/keys"
      #expect(try CheckpointSigner.open(in: keys, store: journal.store)?.key == key)
      #expect(try CheckpointKey.all(in: keys, store: journal.store).count == 2)
    }
  }

  @Test func `entries that an epoch says it left are no rewriting`() throws {
    try withTemporaryJournal { journal in
      try journal.appendNow(Drafts.mappings(0..<10))
      let head = journal.head
      let epoch = try journal.checkpoint().epoch
      let checkpoint = { (size: UInt64, root: Digest) in
        TreeCheckpoint(store: journal.store, epoch: epoch, size: size, root: root)
      }
      let other = TreeHash.leaf([1])
      try journal.appendNow([
        Drafts.draft(
          .store(
            .epochOpened(
              EpochOpening(
                store: journal.store, epoch: 2, id: EpochID(.random()), cause: .restored,
                commonIndex: head.position.index, commonRoot: head.root, leftIndex: 20,
                leftRoot: other))))
      ])
      guard case .left(let start) = try journal.compare(with: checkpoint(20, other)),
        case .left = try journal.compare(with: checkpoint(15, TreeHash.leaf([2])))
      else {
        Issue.record("not left")
        return
      }
      #expect(start.position == Position(epoch: 2, index: 13))
      // An epoch that the journal doesn't have may be another copy's, but where it ends with what was left.
      let unknown = { (size: UInt64, root: Digest) in
        TreeCheckpoint(
          store: journal.store, epoch: EpochID(.random()), size: size, root: root)
      }
      guard case .ofUnknownEpoch = try journal.compare(with: unknown(15, TreeHash.leaf([2]))),
        case .left = try journal.compare(with: unknown(20, other))
      else {
        Issue.record("an unknown epoch is told as left")
        return
      }
      for (size, root) in [(20, head.root), (21, other), (12, other), (5, other)] {
        guard case .rewritten = try journal.compare(with: checkpoint(UInt64(size), root)) else {
          Issue.record("\(size) is not rewritten")
          continue
        }
      }
      // The epoch that it is of can't have left it.
      let own = try journal.checkpoint().epoch
      let later = TreeCheckpoint(store: journal.store, epoch: own, size: 20, root: other)
      guard case .rewritten = try journal.compare(with: later) else {
        Issue.record("an epoch left its own entries")
        return
      }
    }
  }

  @Test func `proofs hold at every size, and are about the entries`() throws {
    try withTemporaryJournal { journal in
      try journal.appendNow(Drafts.mappings(0..<600))
      let head = journal.head.position.index
      for index in [1, 2, 255, 256, 257, 512, 513, head] as [UInt64] {
        for size in Set([index, 256, 300, 512, 600, head]) where size >= index {
          let proof = try journal.proveInclusion(of: index, in: size)
          let digest = TreeHash.leaf(try journal.entryBytes(at: index))
          #expect(proof.isValid && proof.digest == digest)
          #expect(try journal.proveConsistency(from: index, to: size).isValid)
        }
      }
    }
  }
}
