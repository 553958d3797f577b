import Foundation
import Journal
import Projections
import Router
import TestSupport
import Testing

/// Backups beside writers, and both on full disks; `tools/test --faults` kills them at each call.
@Suite(.waiting) struct BackupFaultTests {
  private static let needsRoot: Comment = "mounting a small file system needs root"

  private func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

  @Test func `a backup beside a writer holds what was acknowledged, and a prefix of the rest`()
    throws
  {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 6_000, isAdopted: false)
      let writer = try Cellmap.start(sample.cloud.adopt(into: sample.store))
      var prefixes: [(acknowledged: UInt64, digests: [Journal.Digest])] = []
      var isWriting = true
      while isWriting {
        isWriting = kill(writer.processID, 0) == 0 && waitpidWouldBlock(writer.processID)
        let acknowledged = try EventJournal.open(sample.store).head.position.index
        let target = "\(folder)/backup-\(prefixes.count)"
        try expectDone(["backup", "create", target, "--store", sample.store])
        let backup = try JournalBackup.open(target)
        _ = try backup.journal.verify()
        prefixes.append((acknowledged, try digests(of: backup.journal)))
      }
      let written = try writer.wait()
      #expect(written.status == 0, "\(written.summary)")
      let whole = try StoreContent(of: sample.store).digests
      #expect(Set(prefixes.map(\.digests.count)).count > 1, "the writer was never seen at work")
      for prefix in prefixes {
        #expect(UInt64(prefix.digests.count) >= prefix.acknowledged)
        #expect(Array(whole.prefix(prefix.digests.count)) == prefix.digests)
      }
    }
  }

  private func digests(of journal: EventJournal) throws -> [Journal.Digest] {
    try journal.entries(after: 0, limit: .max).map { TreeHash.leaf(try $0.encoded()) }
  }

  private func waitpidWouldBlock(_ process: pid_t) -> Bool {
    var information = siginfo_t()
    waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT)
    return information.si_signo == 0
  }

  @Test(.enabled(if: SmallDisk.isPossible, needsRoot))
  func `a full disk leaves nothing of a backup, and the old store of a restore`() throws {
    try withTemporaryFolder { folder in
      try withSmallDisk(in: folder, kibibytes: 4_096) { disk in
        let sample = try SampleStore(in: folder, instances: 1_500)
        let backup = folder + "/backup"
        try expectDone(["backup", "create", backup, "--store", sample.store])
        let store = disk.folder + "/store"
        try expectDone(["backup", "restore", backup, "--store", store, "--reason", "test"])
        let before = try StoreContent(of: store)
        for free in [0, 8_192, 65_536, 200_000, 400_000] {
          try disk.leaveFree(free)
          let target = disk.folder + "/backup"
          let made = try Cellmap.run("backup", "create", target, "--store", sample.store)
          #expect(made.status == 6, "\(free): \(made.summary)")
          #expect(made.errors.split(separator: "\n").count == 1, "\(made.summary)")
          let restored = try Cellmap.run(
            "backup", "restore", backup, "--to", "900", "--store", store, "--reason", "test")
          #expect(restored.status == 6, "\(free): \(restored.summary)")
          for name in ["backup", "backup.new", "backup.making", "store/restoring"] {
            #expect(!isThere(disk.folder + "/" + name), "\(free): \(name)")
          }
          #expect(try StoreContent(of: store).digests == before.digests)
        }
        disk.makeRoom()
        try expectDone(["audit", "verify", "--store", store])
      }
    }
  }

  @Test func `a store that a process has open is not restored over`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let backup = folder + "/backup"
      try expectDone(["backup", "create", backup, "--store", sample.store])
      try expectDone(sample.map(UUID()))
      let words = [
        "backup", "restore", backup, "--store", sample.store, "--reason", "test",
      ]
      let router = try sample.router()
      let head = try StoreContent(of: sample.store).head
      let refused = try Cellmap.run(words)
      #expect(refused.status == 3, "\(refused.summary)")
      #expect(refused.errors.contains("open in other processes"), "\(refused.summary)")
      try expectDone(words + ["--dry-run"])
      #expect(try StoreContent(of: sample.store).head == head)
      withExtendedLifetime(router) {}
    }
  }

  @Test func `instances are routed as the restored map says, those mapped later not at all`() throws
  {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let backup = folder + "/backup"
      try expectDone(["backup", "create", backup, "--with-keys", "--store", sample.store])
      let later = UUID()
      try expectDone(sample.map(later))
      try expectDone([
        "backup", "restore", backup, "--store", sample.store, "--reason", "test",
      ])
      #expect(try sample.wrongRoutes() == [])
      let gone = try Cellmap.run(
        "route", later.uuidString.lowercased(), "--store", sample.store)
      #expect(gone.status == 2, "\(gone.summary)")
      try expectDone(sample.map(later))
      try expectIndexEqualsReplay(sample.store)
    }
  }
}
