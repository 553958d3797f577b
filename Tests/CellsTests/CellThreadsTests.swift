import Dispatch
import Glibc
import Synchronization
import TestSupport
import Testing

@testable import Cells

@Suite struct CellThreadsTests {
  @Test func `runs no more at a time than there may be threads`() {
    let threads = CellThreads(limit: 3, waiters: 100, idleTime: .seconds(1))
    let seen = Mutex((running: 0, most: 0, done: 0))
    for _ in 1...30 {
      let isTaken = threads.run(until: soon()) {
        seen.withLock {
          $0.running += 1
          $0.most = max($0.most, $0.running)
        }
        // The first ones wait for each other.
        _ = eventually { seen.withLock { $0.most } >= 3 }
        usleep(2_000)
        seen.withLock {
          $0.running -= 1
          $0.done += 1
        }
      }
      #expect(isTaken)
    }
    #expect(eventually { seen.withLock { $0.done } == 30 })
    #expect(seen.withLock { $0.most } == 3)
    #expect(threads.count <= 3)
  }

  @Test func `what hangs keeps the threads of its own cell alone`() {
    let hung = CellThreads(limit: 2, waiters: 4, idleTime: .seconds(1))
    let other = CellThreads(limit: 2, waiters: 4, idleTime: .seconds(1))
    let release = DispatchSemaphore(value: 0)
    for _ in 1...6 { #expect(hung.run(until: soon()) { release.wait() }) }
    #expect(!hung.run(until: soon()) {}, "two run and four wait")
    let done = DispatchSemaphore(value: 0)
    #expect(other.run(until: soon()) { done.signal() })
    #expect(done.wait(timeout: .now() + 60) == .success)
    for _ in 1...6 { release.signal() }
  }

  @Test func `what can't begin before its deadline isn't begun, and gives its place away`() {
    let threads = CellThreads(limit: 1, waiters: 1, idleTime: .seconds(1))
    let release = DispatchSemaphore(value: 0)
    let done = DispatchSemaphore(value: 0)
    let isRun = Mutex(false)
    #expect(threads.run(until: soon()) { release.wait() })
    #expect(threads.run(until: soon(20)) { isRun.withLock { $0 = true } })
    usleep(40_000)
    #expect(threads.run(until: soon()) { done.signal() })
    release.signal()
    done.wait()
    #expect(!isRun.withLock { $0 })
  }

  @Test func `threads end without work, and others are made`() {
    let threads = CellThreads(limit: 2, waiters: 4, idleTime: .milliseconds(20))
    for _ in 1...3 {
      let done = DispatchSemaphore(value: 0)
      #expect(threads.run(until: soon()) { done.signal() })
      done.wait()
      #expect(eventually { threads.count == 0 })
    }
  }
}
