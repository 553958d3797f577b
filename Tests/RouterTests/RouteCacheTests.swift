import Dispatch
import Journal
import Synchronization
import TestSupport
import Testing

@testable import Router

@Suite(.waiting) struct RouteCacheTests {
  private func id(_ number: Int) -> InstanceID { InstanceID(uuid(3, number)) }

  private func mapping(_ cell: Int?, _ mark: Bool? = false, at index: UInt64 = 5) -> CachedMapping {
    CachedMapping(cell: cell, isQueuedForDelete: mark, changedAt: index)
  }

  @Test func `gives back what was put in`() {
    let cache = RouteCache(capacity: 1_024)
    for mark in [nil, false, true] {
      for cell in [nil, 0, 7, 70_000] {
        cache.insert(id(1), mapping(cell, mark), readAt: 9)
        #expect(cache.lookup(id(1)) == mapping(cell, mark))
      }
    }
    #expect(cache.lookup(id(2)) == nil)
    #expect(cache.lookup(InstanceID(.zero)) == nil)
  }

  @Test func `refuses an answer older than what it has passed`() {
    let cache = RouteCache(capacity: 1_024)
    cache.drop([], upTo: 10)
    cache.insert(id(1), mapping(1), readAt: 9)
    #expect(cache.lookup(id(1)) == nil)
    cache.insert(id(1), mapping(1), readAt: 10)
    #expect(cache.lookup(id(1)) == mapping(1))
  }

  @Test func `drops by name, or everything`() {
    let cache = RouteCache(capacity: 1_024)
    for number in 1...50 { cache.insert(id(number), mapping(number), readAt: 1) }
    cache.drop([id(7), id(99)], upTo: 2)
    #expect(cache.lookup(id(7)) == nil)
    #expect(cache.lookup(id(8)) == mapping(8))
    cache.dropAll(upTo: 3)
    #expect((1...50).allSatisfy { cache.lookup(id($0)) == nil })
  }

  @Test func `stays within its capacity, and holds most of what fits`() {
    let cache = RouteCache(capacity: 1 << 14)
    #expect(cache.capacity == 1 << 14)
    for number in 1...100_000 { cache.insert(id(number), mapping(number), readAt: 1) }
    let held = (1...100_000).filter { cache.lookup(id($0)) != nil }
    #expect(held.count <= cache.capacity)
    #expect(held.count > cache.capacity / 2)
    #expect(held.allSatisfy { cache.lookup(id($0)) == mapping($0) })
    let roomy = RouteCache(capacity: 1 << 14)
    for number in 1...6_000 { roomy.insert(id(number), mapping(number), readAt: 1) }
    #expect((1...6_000).count { roomy.lookup(id($0)) != nil } > 5_900)
  }

  @Test func `threads never see a half-written answer, or one that was dropped`() {
    let cache = RouteCache(capacity: 1_024)
    let wrong = Mutex(0)
    DispatchQueue.concurrentPerform(iterations: 8) { worker in
      for round in 1...20_000 {
        let number = (round &* 31 &+ worker) % 4_000
        if worker == 0 && round.isMultiple(of: 500) {
          cache.dropAll(upTo: UInt64(round))
          continue
        }
        cache.insert(id(number), mapping(number, at: UInt64(number)), readAt: UInt64(round))
        guard let found = cache.lookup(id(number)) else { continue }
        if found != mapping(number, at: UInt64(number)) { wrong.withLock { $0 += 1 } }
      }
    }
    #expect(wrong.withLock(\.self) == 0)
  }
}
