import Foundation
@testable import Journal
import Testing

@Suite struct JournalFullDiskTests {
  @Test(.enabled(if: getuid() == 0, "mounting a small file system needs root"))
  func `a full disk refuses the batch, keeps what was acknowledged, and heals`() throws {
    try withTemporaryDirectory { folder in
      guard mount("tmpfs", folder, "tmpfs", 0, "size=2m,mode=0700") == 0 else { return }
      defer { umount2(folder, Int32(MNT_DETACH)) }
      let filler = folder + "/store/filler"
      do {
        let journal = try makeJournal(folder + "/store")
        try Data(repeating: 1, count: 1 << 20).write(to: URL(filePath: filler))
        var acknowledged = journal.head
        var error: JournalError?
        while error == nil {
          do {
            acknowledged = try journal.appendNow(Drafts.mappings(0..<100))
          } catch let thrown as JournalError {
            error = thrown
          }
        }
        #expect(error == .full(path: journal.files.journal))
        #expect(try journal.refresh().position == acknowledged.position)
        #expect(try EventJournal.open(folder + "/store").head.root == acknowledged.root)
        // A process that is just being made may have it open still, and would keep the space of a removed one.
        #expect(truncate(filler, 0) == 0)
        try journal.appendNow(Drafts.mappings(0..<100))
        #expect(try journal.verify().head.position.index == acknowledged.position.index + 100)
      }
    }
  }

  @Test func `a short write leaves the outcome unknown until the file was looked at`() async {
    await #expect(processExitsWith: .success) {
      signal(SIGXFSZ, SIG_IGN)
      try withTemporaryJournal { journal in
        try journal.appendNow(Drafts.mappings(0..<300))
        let before = journal.head
        let size = try journal.file.size()
        var limit = rlimit(rlim_cur: rlim_t(size + 6000), rlim_max: .max)
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        var failure: JournalError?
        do {
          try journal.appendNow(Drafts.mappings(0..<600))
        } catch let error as JournalError {
          failure = error
        }
        limit.rlim_cur = .max
        setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
        let category = try #require(failure?.category)
        #expect(category == .outcomeUnknown || category == .storage)
        #expect(try journal.refresh().position == before.position)
        try journal.appendNow(Drafts.mappings(0..<600))
        #expect(try journal.verify().head.position.index == before.position.index + 600)
      }
    }
  }
}
