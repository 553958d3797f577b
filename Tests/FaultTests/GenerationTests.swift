import Foundation
import Glibc
import Journal
import Projections
import TestSupport
import Testing

/// Old generations of the index: shown, switched back to, removed when told.
@Suite(.waiting) struct GenerationTests {
  private func replay(_ sample: SampleStore, _ words: String...) throws -> FinishedCommand {
    try Cellmap.run(["replay", "--store", sample.store, "--json"] + words)
  }

  private func numbers(_ sample: SampleStore) throws -> [UInt64] {
    try IndexGenerations(folder: sample.store).numbers()
  }

  @Test func `an old generation takes in what it lacks and serves again`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      try expectDone(["replay", "--store", sample.store])
      let mapped = UUID()
      try expectDone(sample.map(mapped))
      let back = try replay(sample, "--switch-to", "1")
      #expect(back.status == 0, "\(back.summary)")
      let status = try expectDone(["status", "--store", sample.store, "--json"])
      #expect(status.object["index"] as? String == "index-1.sqlite")
      #expect(back.object["position"] as? String == status.object["position"] as? String)
      try expectDone(["instance", "show", mapped.uuidString, "--store", sample.store])
      #expect(try sample.wrongRoutes() == [])
      try expectIndexEqualsReplay(sample.store)
      try expectDone(sample.map(UUID()))
      try expectIndexEqualsReplay(sample.store)
    }
  }

  @Test func `a generation that is damaged, unfinished or of another history can't be switched to`()
    throws
  {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let other = folder + "/other"
      try sample.copyStore(to: other)
      for _ in 1...3 { try expectDone(["replay", "--store", sample.store]) }
      let generations = IndexGenerations(folder: sample.store)
      // 1: a row changed; 2: another history; 3: killed in the middle.
      try SQLiteConnection(path: generations.path(of: 1), mode: .readWrite).execute(
        "UPDATE host SET nova_number = 99")
      for name in ["a", "b"] {
        try expectDone(addCell(name, other))
        try expectDone(addCell(name + name, sample.store))
      }
      for suffix in ["", "-wal", "-shm"] {
        unlink(generations.path(of: 2) + suffix)
        try? FileManager.default.copyItem(
          atPath: other + "/index-1.sqlite" + suffix, toPath: generations.path(of: 2) + suffix)
        unlink(generations.path(of: 3) + suffix)
      }
      let store = try EventJournal.open(sample.store).store
      do { _ = try IndexProjector.create(at: generations.path(of: 3), store: store) }
      for (number, words) in [
        (1, "damaged"), (2, "another history"), (3, "never finished"),
      ] {
        let refused = try replay(sample, "--switch-to", "\(number)")
        #expect(refused.status == 4, "\(refused.summary)")
        #expect(refused.errors.contains(words), "\(refused.summary)")
      }
      #expect(try replay(sample, "--switch-to", "9").status == 64)
      #expect(try generations.current().number == 4)
      try expectDone(["status", "--store", sample.store])
    }
  }

  @Test func `old generations stay until told otherwise, and the one that serves stays then`()
    throws
  {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      for _ in 1...4 { try expectDone(["replay", "--store", sample.store]) }
      #expect(try numbers(sample) == [1, 2, 3, 4, 5])
      truncate(IndexGenerations(folder: sample.store).path(of: 4), 100)
      let listed = try replay(sample, "--list").output.split(separator: "\n")
      #expect(listed.count == 5)
      #expect(listed[3].contains("unusable") && listed[4].contains("serves"))
      // 4 can't serve, so 3 is the newest that could.
      let pruned = try replay(sample, "--prune")
      #expect(pruned.object["removed"] as? [Int] == [1, 2, 4], "\(pruned.summary)")
      #expect(try numbers(sample) == [3, 5])
      #expect(try replay(sample, "--prune", "--keep", "0").object["removed"] as? [Int] == [3])
      #expect(try replay(sample, "--prune", "--keep", "0").object["removed"] as? [Int] == [])
      // Numbers are never used again, and the one that serves is untouched.
      try expectIndexEqualsReplay(sample.store)
      try expectDone(["replay", "--store", sample.store])
      #expect(try numbers(sample) == [5, 6])
      #expect(try replay(sample, "--switch-to", "5").status == 0)
      #expect(try replay(sample, "--prune", "--keep", "0").object["removed"] as? [Int] == [6])
      try expectDone(["replay", "--store", sample.store])
      #expect(try numbers(sample) == [5, 7])
    }
  }

  @Test func `nothing is removed while it isn't known which one serves`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      try expectDone(["replay", "--store", sample.store])
      unlink(sample.currentPath)
      let refused = try replay(sample, "--prune")
      #expect(refused.status == 4 && refused.errors.contains("replay"), "\(refused.summary)")
      #expect(try numbers(sample) == [1, 2])
    }
  }

  @Test func `what a running replay makes is left alone, and what a killed one left goes`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 3_000)
      let (running, number) = try stoppedReplay(sample)
      let during = try replay(sample, "--prune", "--keep", "0")
      #expect(during.object["removed"] as? [Int] == [], "\(during.summary)")
      let listed = try replay(sample, "--list").output
      #expect(listed.contains("being made"), "\(listed)")
      running.send(SIGKILL, andChildren: true)
      _ = try running.wait()
      let after = try replay(sample, "--prune")
      #expect(after.object["removed"] as? [Int] == [number], "\(after.summary)")
      #expect(try sample.wrongRoutes() == [])
    }
  }

  @Test func `a replay into a file that is killed at any moment is gone on with`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 1_500)
      func words(_ file: String) -> [String] { ["--store", sample.store, "--into", file] }
      let whole = try expectDone(["replay", "--json"] + words(folder + "/whole")).object
      // Marks after each few entries and instances.
      let worker = ["replay-worker", "--set-aside", "4096", "--instances", "64"]
      let length = try microseconds { try expectDone(worker + words(folder + "/undisturbed")) }
      var chance = Chance(seed: 20_261_126)
      for round in 0..<8 {
        let file = folder + "/killed-\(round)"
        let command = try Cellmap.start(worker + words(file))
        usleep(UInt32.random(in: 0..<UInt32(length), using: &chance))
        command.send(SIGKILL)
        guard try command.wait().status == nil else { continue }
        if access(file, F_OK) == 0, access(file + "-spill", F_OK) != 0 {
          // Killed behind its end: the index is whole.
          let digest = try IndexReader(path: file).checkIndex().description
          #expect(digest == whole["digest"] as? String, "round \(round)")
          continue
        }
        let again = try expectDone(["replay", "--json"] + words(file))
        #expect(again.object["digest"] as? String == whole["digest"] as? String, "round \(round)")
        let names = try FileManager.default.contentsOfDirectory(atPath: folder)
        let left = names.filter { $0.hasPrefix("killed-\(round)") }
        #expect(Set(left).isSubset(of: ["", "-wal", "-shm"].map { "killed-\(round)\($0)" }))
      }
    }
  }

  /// Starts replays until one is stopped while it writes its generation, and gives that one's number.
  private func stoppedReplay(_ sample: SampleStore) throws -> (RunningCommand, number: Int) {
    for _ in 1...50 {
      let number = (try numbers(sample).max() ?? 0) + 1
      let path = IndexGenerations(folder: sample.store).path(of: number)
      let running = try Cellmap.start(["replay", "--store", sample.store])
      let deadline = soon()
      while ContinuousClock.now < deadline, kill(running.processID, 0) == 0 {
        if access(path, F_OK) == 0, isWriteLocked(path) {
          running.send(SIGSTOP, andChildren: true)
          running.waitUntilStopped()
          if isWriteLocked(path) { return (running, Int(number)) }
          running.send(SIGCONT, andChildren: true)
        }
        var information = siginfo_t()
        waitid(P_PID, id_t(running.processID), &information, WEXITED | WNOHANG | WNOWAIT)
        if information.si_signo == SIGCHLD { break }
        usleep(200)
      }
      _ = try running.wait()
      try expectDone(["replay", "--store", sample.store, "--prune", "--keep", "0"])
    }
    throw POSIXError(.ETIME)
  }

  /// A transaction that writes is open on a SQLite file: its RESERVED lock.
  private func isWriteLocked(_ path: String) -> Bool {
    let descriptor = open(path, O_RDWR | O_CLOEXEC)
    defer { close(descriptor) }
    var lock = flock()
    lock.l_type = Int16(F_WRLCK)
    lock.l_whence = Int16(SEEK_SET)
    lock.l_start = 0x4000_0001
    lock.l_len = 1
    return fcntl(descriptor, F_GETLK, &lock) == 0 && lock.l_type != Int16(F_UNLCK)
  }

  @Test func `the scratch files of killed verifications go, those of running ones stay`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder)
      let dead = try Cellmap.start(["status", "--store", sample.store])
      let ended = dead.processID
      _ = try dead.wait()
      let abandoned = ["verify-\(ended).sqlite", "verify-\(ended).sqlite-wal"]
      let kept = ["verify-\(getpid()).sqlite", "verify-notes.txt", "replay-\(getpid())-7.spill"]
      for name in abandoned + kept + ["replay-\(ended)-7.spill"] {
        try Data("x".utf8).write(to: URL(filePath: sample.store + "/" + name))
      }
      let pruned = try replay(sample, "--prune")
      #expect(
        pruned.object["scratch"] as? [String] == ["replay-\(ended)-7.spill"] + abandoned,
        "\(pruned.summary)")
      let names = try FileManager.default.contentsOfDirectory(atPath: sample.store)
      for name in kept { #expect(names.contains(name), "\(name)") }
      // A replay takes them away too.
      try Data("x".utf8).write(to: URL(filePath: sample.store + "/" + abandoned[0]))
      try expectDone(["replay", "--store", sample.store])
      #expect(access(sample.store + "/" + abandoned[0], F_OK) != 0)
    }
  }
}
