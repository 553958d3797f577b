import Cells
import Foundation
import Journal
import Projections
import Router
import Synchronization
import TestSupport
import Testing

/// A process that routes and lists, while commands change the map: each change acts at the next call.
@Suite(.waiting) struct RunningProcessTests {
  /// What the map is to say, from some moment on.
  private struct Expected: Sendable, Equatable {
    /// The host in the database at alpha's address.
    var host = "first"
    /// The cells that a list is about, by name.
    var cells = ["alpha", "beta", "cell0"]
  }

  /// What each call found; a call that began after a change has to find what holds since.
  private final class Watch: Sendable {
    private let state = Mutex((expected: Expected(), changes: 0, calls: 0, faults: [String]()))

    /// A change is under way: until it is done, both answers are right.
    func change(_ change: (inout Expected) -> Void, by command: () throws -> Void) rethrows {
      state.withLock { $0.changes += 1 }
      try command()
      state.withLock {
        change(&$0.expected)
        $0.changes += 1
      }
    }

    func look(_ found: () -> Expected?) {
      let before = state.withLock { ($0.expected, $0.changes) }
      let answer = found()
      state.withLock { state in
        // A call that a change has overtaken may have seen either.
        guard state.changes == before.1, before.1.isMultiple(of: 2) else { return }
        state.calls += 1
        if answer != before.0 {
          state.faults.append("\(answer.map { "\($0)" } ?? "nothing") for \(before.0)")
        }
      }
    }

    var calls: Int { state.withLock(\.calls) }
    var faults: [String] { state.withLock(\.faults) }
  }

  @Test func `addresses, disabled, new and removed cells act at the next call`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let id = instance(1)
      for host in ["first", "second"] {
        let file = try NovaCellFile.make(at: bed.path("\(host).sqlite"))
        try file.addHost(
          "h", service: UUID128(high: 0x7000, low: 50), node: UUID128(high: 0x7001, low: 50))
        try file.add(id, ["host": "'\(host)'"])
      }
      func change(_ arguments: String...) throws {
        try bed.done(arguments + ["--reason", "t"])
      }
      try change("cell", "address", "alpha", "--database", "sqlite:///first.sqlite")
      try change("instance", "map", "\(id)", "--project", "p", "--cell", "alpha")
      let store = bed.path("store")
      let journal = try EventJournal.open(store)
      let router = try CellRouter(
        journal: journal, index: IndexGenerations(folder: store),
        keys: AddressKeys.open(in: journal.files.keys, store: journal.store),
        base: AddressBase(folder: bed.folder))
      let watch = Watch()
      let isOver = Atomic<Bool>(false)
      let group = DispatchGroup()
      for _ in 0..<2 {
        group.enter()
        OwnThread.start {
          while !isOver.load(ordering: .relaxed) { watch.look { ask(router, id) } }
          group.leave()
        }
      }
      func settled() {
        let before = watch.calls
        #expect(eventually { watch.calls >= before + 4 })
      }
      settled()
      try watch.change {
        $0.host = "second"
      } by: {
        try change("cell", "address", "alpha", "--database", "sqlite:///second.sqlite")
      }
      settled()
      // A disabled cell takes no new instances, and serves those it has.
      try watch.change { _ in
      } by: {
        try change("cell", "disable", "alpha")
      }
      settled()
      _ = try NovaCellFile.make(at: bed.path("gamma.sqlite"))
      try watch.change {
        $0.cells = ["alpha", "beta", "cell0", "gamma"]
      } by: {
        try change(
          "cell", "add", "gamma", "--database", "sqlite:///gamma.sqlite", "--queue", "none:///")
      }
      settled()
      try watch.change {
        $0.cells = ["alpha", "cell0", "gamma"]
      } by: {
        try change("cell", "remove", "beta")
      }
      settled()
      isOver.store(true, ordering: .relaxed)
      group.wait()
      #expect(watch.faults.isEmpty, "\(watch.faults.prefix(3))")
    }
  }

  @Sendable private func ask(_ router: CellRouter, _ id: InstanceID) -> Expected? {
    let deadline = ContinuousClock.now.advanced(by: .seconds(20))
    guard let route = try? router.route(id, until: deadline),
      case .found(let live) = route.outcome,
      let list = try? router.list(InstanceListRequest(), until: deadline), list.isComplete,
      case .live(let row)? = list.rows.first?.source,
      row.placement.host == live.placement.host
    else { return nil }
    return Expected(
      host: live.placement.host?.string ?? "-",
      cells: list.cells.compactMap { $0.target.name?.string }.sorted())
  }
}
