import Cells
import Dispatch
import Foundation
import Glibc
import Journal
import Projections
import Router
import Synchronization
import TestSupport
import Testing

/// Many threads on one router.
@Suite(.waiting) struct RouteConcurrencyTests {
  @Test func `threads route right while instances move between cells`() throws {
    try withStore { store in
      let (first, firstFile) = try store.addCell(1)
      let (second, secondFile) = try store.addCell(2)
      // Each instance is in both cells, under a host that names the cell.
      let ids = try (0..<20).map { _ in
        let id = try store.addInstance(first, firstFile, ["host": "'first'"])
        try secondFile.add(id, ["host": "'second'"])
        return id
      }
      let router = try store.router()
      let wrong = Mutex<[String]>([])
      let isDone = Mutex(false)
      let count = Mutex(0)
      let group = DispatchGroup()
      for _ in 1...3 {
        DispatchQueue(label: "router").async(group: group) {
          while !isDone.withLock({ $0 }) {
            do {
              for route in try router.routes(for: ids, until: soon(20_000)) {
                guard case .found(let live) = route.outcome,
                  live.placement.host == (live.target.id == first ? "first" : "second"),
                  live.mapping?.cell == live.target.id
                else {
                  wrong.withLock { $0.append(route.outcome.summary) }
                  continue
                }
                count.withLock { $0 += 1 }
              }
            } catch {
              wrong.withLock { $0.append("\(error)") }
            }
          }
        }
      }
      var isInFirst = true
      for round in 0..<25 {
        let (from, to) = isInFirst ? (first, second) : (second, first)
        try store.append(
          ids.map { .instance($0, .moved(from: from, to: to)) }, project: round.isMultiple(of: 2))
        isInFirst.toggle()
      }
      isDone.withLock { $0 = true }
      group.wait()
      #expect(wrong.withLock { $0 } == [])
      #expect(count.withLock { $0 } > 0)
      for id in ids { #expect(try router.host(id) == (isInFirst ? "first" : "second")) }
    }
  }

  @Test func `an index ahead of the journal answers nothing as the map's word`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = try store.addInstance(cell, file)
      let journal = URL(fileURLWithPath: store.folder + "/store/journal.lmdb")
      let head = URL(fileURLWithPath: store.folder + "/store/HEAD")
      let (older, olderHead) = (try Data(contentsOf: journal), try Data(contentsOf: head))
      _ = try store.addInstance(cell, file)
      try older.write(to: journal)
      try olderHead.write(to: head)
      chmod(journal.path, 0o600)
      chmod(head.path, 0o600)
      let router = try store.router()
      #expect {
        _ = try router.route(id, until: soon())
      } throws: { error in
        guard case .index(.fault(.aheadOfJournal)) = error as? RouterError else { return false }
        return true
      }
    }
  }
}
