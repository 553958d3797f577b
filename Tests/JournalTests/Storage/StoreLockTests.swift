import Foundation
@testable import Journal
import Synchronization
import Testing

@Suite struct StoreLockTests {
  @Test func `one opening excludes another in the same process, and names the holder`() throws {
    try withTemporaryDirectory { folder in
      let (first, second) = (
        try StoreLock(folder + "/LOCK"), try StoreLock(folder + "/LOCK")
      )
      let lease = try first.acquire(command: "cellmap adopt")
      let error = #expect(throws: JournalError.self) {
        try second.acquire(command: "other", timeoutMilliseconds: 20)
      }
      guard case .locked(let path, let holder)? = error else {
        Issue.record("not locked: \(String(describing: error))")
        return
      }
      #expect(path == folder + "/LOCK")
      #expect(holder?.processID == getpid())
      #expect(holder?.command == "cellmap adopt")
      #expect(holder?.processStart != 0)
      lease.release()
      _ = try second.acquire(command: "other", timeoutMilliseconds: 0)
    }
  }

  @Test func `one opening gives its lease once`() throws {
    try withTemporaryDirectory { folder in
      let lock = try StoreLock(folder + "/LOCK")
      let lease = try lock.acquire(command: "first")
      #expect(throws: JournalError.self) {
        try lock.acquire(command: "second", timeoutMilliseconds: 20)
      }
      #expect(lease.isHeld)
      lease.release()
      lease.release()
      #expect(!lease.isHeld)
      let again = try lock.acquire(command: "third", timeoutMilliseconds: 0)
      lease.release()
      #expect(again.isHeld)
      #expect(throws: JournalError.self) {
        try StoreLock(folder + "/LOCK").acquire(command: "fourth", timeoutMilliseconds: 0)
      }
    }
  }

  @Test func `a lease that is let go of is given back`() throws {
    try withTemporaryDirectory { folder in
      let lock = try StoreLock(folder + "/LOCK")
      do { _ = try lock.acquire(command: "first") }
      _ = try lock.acquire(command: "second", timeoutMilliseconds: 0)
    }
  }

  @Test func `the holder sees that someone waits, and no longer than that`() throws {
    try withTemporaryDirectory { folder in
      let (first, second) = (
        try StoreLock(folder + "/LOCK"), try StoreLock(folder + "/LOCK")
      )
      let lease = try first.acquire(command: "holder")
      #expect(!lease.someoneWaits)
      let taken = DispatchSemaphore(value: 0)
      Thread.detachNewThread {
        let lease = try? second.acquire(command: "waiter")
        if lease != nil { taken.signal() }
        lease?.release()
      }
      while !lease.someoneWaits { usleep(500) }
      lease.release()
      #expect(taken.wait(timeout: .now() + 60) == .success)
      #expect(!first.someoneWaits)
    }
  }

  @Test func `who has it open for a moment still is waited for`() throws {
    try withTemporaryDirectory { folder in
      let first = try StoreLock(folder + "/LOCK")
      let isOpen = DispatchSemaphore(value: 0)
      let isStillOpen = Mutex(true)
      OwnThread.start {
        do {
          let second = try? StoreLock(folder + "/LOCK")
          isOpen.signal()
          usleep(200_000)
          withExtendedLifetime(second) {}
        }
        isStillOpen.withLock { $0 = false }
      }
      isOpen.wait()
      var isAlone = false
      while !isAlone {
        let wasOpen = isStillOpen.withLock(\.self)
        let begin = ContinuousClock.now
        do throws(JournalError) {
          isAlone = try first.alone { true }
        } catch {
          // It waits two seconds, and a busy machine may need longer to close the other.
          let isPatient = begin.duration(to: .now) > .milliseconds(1_900)
          guard error == .inUse(path: first.path), isPatient, wasOpen else { throw error }
        }
      }
    }
  }

  @Test func `who replaces the journal needs to be alone`() throws {
    try withTemporaryDirectory { folder in
      let first = try StoreLock(folder + "/LOCK")
      do {
        let second = try StoreLock(folder + "/LOCK")
        #expect(throws: JournalError.inUse(path: second.path)) { try first.alone {} }
      }
      try first.alone {
        _ = #expect(throws: JournalError.inUse(path: first.path)) { _ = try StoreLock(first.path) }
      }
      _ = try StoreLock(folder + "/LOCK")
    }
  }

  @Test func `two threads of two openings never hold it at once`() throws {
    try withTemporaryDirectory { folder in
      let counter = folder + "/counter"
      try Data("0".utf8).write(to: URL(filePath: counter))
      let locks = try (0..<4).map { _ in try StoreLock(folder + "/LOCK") }
      DispatchQueue.concurrentPerform(iterations: 8) { number in
        for _ in 0..<25 {
          guard
            let lease = try? locks[number / 2].acquire(
              command: "count", timeoutMilliseconds: 60_000)
          else { continue }
          let value = Int((try? String(contentsOfFile: counter, encoding: .utf8)) ?? "") ?? 0
          try? Data("\(value + 1)".utf8).write(to: URL(filePath: counter))
          lease.release()
        }
      }
      #expect(try String(contentsOfFile: counter, encoding: .utf8) == "200")
    }
  }
}
