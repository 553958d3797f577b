import Foundation
import Glibc
import Journal
import Projections
import Synchronization
import TestSupport
import Testing

/// The write lease between processes: stopped, killed, and many at once.
@Suite(.waiting) struct LeaseTests {
  /// `F_OFD_GETLK` of fcntl(2), whose header Swift doesn't read.
  private static let getOpenFileLock: Int32 = 36

  /// Whether a process holds the write lease of a store: byte 0 of LOCK.
  private func isLeased(_ store: String) -> Bool {
    let descriptor = open(store + "/LOCK", O_RDWR | O_CLOEXEC)
    defer { close(descriptor) }
    var lock = flock()
    lock.l_type = Int16(F_WRLCK)
    lock.l_whence = Int16(SEEK_SET)
    lock.l_len = 1
    return fcntl(descriptor, Self.getOpenFileLock, &lock) == 0 && lock.l_type != Int16(F_UNLCK)
  }

  /// Starts adoptions until one is stopped while it holds the lease.
  private func stoppedHolder(_ sample: SampleStore) throws -> RunningCommand {
    for _ in 1...50 {
      let holder = try Cellmap.start(sample.cloud.adopt(into: sample.store))
      let deadline = ContinuousClock.now + .seconds(60)
      while ContinuousClock.now < deadline, kill(holder.processID, 0) == 0 {
        if isLeased(sample.store) {
          holder.send(SIGSTOP)
          holder.waitUntilStopped()
          // It may have been stopped before it wrote itself down.
          let holders = try? String(contentsOfFile: sample.store + "/LOCK", encoding: .utf8)
          if isLeased(sample.store), holders?.contains("\0\(holder.processID)\n") == true {
            return holder
          }
          holder.send(SIGCONT)
        }
        var information = siginfo_t()
        waitid(P_PID, id_t(holder.processID), &information, WEXITED | WNOHANG | WNOWAIT)
        if information.si_signo == SIGCHLD { break }
        usleep(200)
      }
      _ = try holder.wait()
      try FileManager.default.removeItem(atPath: sample.store)
      try expectDone(["init", "--store", sample.store])
    }
    throw POSIXError(.ETIME)
  }

  /// Waits for the end of a command, and gives it again while others hold the lease for longer than it
  /// waits.
  private func finish(_ command: RunningCommand, _ words: [String]) throws -> FinishedCommand {
    let deadline = soon()
    var finished = try command.wait()
    while finished.status == 3, ContinuousClock.now < deadline {
      finished = try Cellmap.run(words)
    }
    return finished
  }

  @Test func `a stopped holder is named after 5 seconds, goes on, and nothing is lost`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 1_500, isAdopted: false)
      let holder = try stoppedHolder(sample)
      let words = [
        "cell", "address", "cell0", "--database", "sqlite:///other.sqlite", "--store",
        sample.store, "--reason", "test", "--json",
      ]
      let began = ContinuousClock.now
      let refused = try Cellmap.run(words)
      let waited = ContinuousClock.now - began
      #expect(refused.status == 3, "\(refused.summary)")
      #expect(refused.errors.contains("\(holder.processID)"), "\(refused.summary)")
      #expect(refused.errors.contains("adopt"), "\(refused.summary)")
      #expect(waited > .seconds(5))
      let waiting = try Cellmap.start(words)
      usleep(1_000_000)
      holder.send(SIGCONT)
      let changed = try finish(waiting, words)
      let index = try #require(changed.acknowledged, "\(changed.summary)")
      let adopted = try holder.wait()
      #expect(adopted.status == 0, "\(adopted.summary)")
      let content = try StoreContent(of: sample.store)
      #expect(content.instances().count == 1_500)
      #expect(content.entries[Int(index) - 1].event.entity == .cell(.cell0))
      try expectIndexEqualsReplay(sample.store)
    }
  }

  @Test func `readers don't wait for a stopped holder`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 1_500, isAdopted: false)
      let holder = try stoppedHolder(sample)
      let status = try Cellmap.run("status", "--store", sample.store)
      #expect(status.status == 0, "\(status.summary)")
      holder.send(SIGKILL)
      _ = try holder.wait()
    }
  }

  @Test func `routes come from the cells while no index can be made`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 60)
      let expected = try sample.cloud.expectedCells()
      let holder = try EventJournal.open(sample.store)
      let lease = try holder.lock.acquire(command: "something that hangs")
      unlink(sample.currentPath)
      let (instance, cell) = try #require(expected.first { $0.value != nil })
      let words = [
        "--store", sample.store, "--json", "--base", sample.cloud.folder + "/nova.conf",
        "--base-directory", sample.cloud.folder,
      ]
      let route = try Cellmap.run(["route", instance, "--deadline", "60000"] + words)
      #expect(route.status == 0, "\(route.summary)")
      #expect(route.object["cell_name"] as? String == cell, "\(route.summary)")
      #expect(route.object["searched_because"] as? String == "index damaged")
      #expect(route.object["database"] is String && route.object["queue"] is String)
      #expect(route.errors.contains("something that hangs"), "\(route.summary)")
      // Nobody can say that there is no such instance: it may wait for its cell.
      let unknown = try Cellmap.run(["route", UUID().uuidString] + words)
      #expect(unknown.status == 5, "\(unknown.summary)")
      #expect(unknown.errors.contains("replay"), "\(unknown.summary)")
      #expect(try IndexGenerations(folder: sample.store).numbers() == [1])
      lease.release()
      #expect(try sample.wrongRoutes() == [])
    }
  }

  @Test func `a killed holder frees the lease at once`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 1_500, isAdopted: false)
      let holder = try stoppedHolder(sample)
      let waiting = try Cellmap.start(
        addCell("other", sample.store))
      holder.send(SIGKILL)
      _ = try holder.wait()
      #expect(!isLeased(sample.store) || kill(waiting.processID, 0) == 0)
      let added = try waiting.wait()
      #expect(added.status == 0, "\(added.summary)")
      _ = try StoreContent(of: sample.store)
      try expectIndexEqualsReplay(sample.store)
    }
  }

  @Test(arguments: [(2, false), (4, false), (4, true)])
  func `writers at once lose nothing, also without LMDB's lock file`(
    writers: Int, isLockFileDeleted: Bool
  ) throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 20)
      let answers = Mutex<[(id: InstanceID, answer: FinishedCommand)]>([])
      let failures = Mutex<[String]>([])
      let isDone = Mutex(false)
      let deleter = Thread {
        while !isDone.withLock(\.self) {
          unlink(sample.store + "/journal.lmdb-lock")
          usleep(3_000)
        }
      }
      if isLockFileDeleted { deleter.start() }
      DispatchQueue.concurrentPerform(iterations: writers) { _ in
        for _ in 0..<32 / writers {
          let instance = UUID()
          do {
            let words = sample.map(instance)
            let answer = try finish(Cellmap.start(words), words)
            guard answer.status == 0, let id = InstanceID(instance.uuidString) else {
              failures.withLock { $0.append(answer.summary) }
              continue
            }
            answers.withLock { $0.append((id, answer)) }
          } catch {
            failures.withLock { $0.append("\(error)") }
          }
        }
      }
      isDone.withLock { $0 = true }
      #expect(failures.withLock(\.self) == [])
      let content = try StoreContent(of: sample.store)
      for (id, answer) in answers.withLock(\.self) {
        let index = try #require(answer.acknowledged)
        let entry = content.entries[Int(index) - 1]
        #expect(entry.event.entity == .instance(id), "\(index)")
      }
      try expectIndexEqualsReplay(sample.store)
    }
  }

  @Test func `two adoptions of one cloud at once make one map`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 600, isAdopted: false)
      let words = (1...2).map { _ in sample.cloud.adopt(into: sample.store) }
      let commands = try words.map { try Cellmap.start($0) }
      for (command, words) in zip(commands, words) {
        let finished = try finish(command, words)
        #expect(finished.status == 0, "\(finished.summary)")
      }
      #expect(try StoreContent(of: sample.store).instances().count == 600)
      try expectIndexEqualsReplay(sample.store)
      let again = try expectDone(sample.cloud.adopt(into: sample.store))
      #expect(again.object["changed"] as? Bool == false)
    }
  }

  @Test func `replays at once each end in an index that serves`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 300)
      for _ in 1...4 {
        let words = ["replay", "--store", sample.store, "--json"]
        let commands = try (1...3).map { _ in try Cellmap.start(words) }
        for command in commands {
          let finished = try command.wait()
          #expect(finished.status == 0, "\(finished.summary)")
        }
        try expectDone(["status", "--store", sample.store])
        try expectIndexEqualsReplay(sample.store)
      }
    }
  }
}
