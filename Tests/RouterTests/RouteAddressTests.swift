import Cells
import Glibc
import Journal
import Projections
import Router
import TestSupport
import Testing

/// Addresses, keys and identity: whether the router reaches a cell, and the right one.
@Suite(.waiting) struct RouteAddressTests {
  @Test func `expands templates from the caller's base`() throws {
    try withStore { store in
      let (_, file) = try store.addCell(1)
      let cell = CellID(uuid(9, 2))
      let record = try store.record(
        cell, "templated", database: "sqlite:///{path}",
        queue: "rabbit://{username}:{password}@{hostname}:{port}/v")
      try store.append(.cell(cell, .added(record)))
      let id = InstanceID(uuid(3, 50))
      try file.add(id)
      try store.append(.instance(id, .mapped(store.mapping(cell))))
      let base = AddressBase(
        database: Secret("sqlite:///cell1.sqlite"), queue: Secret("rabbit://u:p@h:5/x"),
        folder: store.folder)
      let router = try store.router(base: base)
      // The file has another cell's evidence, so the address was expanded and reached it.
      guard case .cellUnavailable(_, let target, .database(let why), _) = try router.outcome(id)
      else {
        Issue.record("another cell's database")
        return
      }
      #expect(why == .wrongCell(cell: cell, actual: CellID(uuid(9, 1))))
      #expect(try target.addresses().queue?.exposedText() == "rabbit://u:p@h:5/v")
    }
  }

  @Test func `a template without a base, or without a piece of it, is an error of its cell`() throws
  {
    try withStore { store in
      let cell = CellID(uuid(9, 2))
      let record = try store.record(cell, "t", database: "mysql://{username}:{password}@db/nova")
      try store.append(.cell(cell, .added(record)))
      let id = try store.addInstance(cell, nil)
      for base in [nil, Secret("mysql://db/nova")] {
        let router = try store.router(base: AddressBase(database: base, folder: store.folder))
        guard case .cellUnavailable(_, _, .address, _) = try router.outcome(id) else {
          Issue.record("the template can't be expanded")
          return
        }
      }
    }
  }

  @Test func `a server that isn't there is an error of its cell`() throws {
    try withStore { store in
      let cell = CellID(uuid(9, 2))
      // Port 1 of loopback, where nothing listens.
      let record = try store.record(cell, "m", database: "mysql+pymysql://u:p@127.0.0.1:1/nova")
      try store.append(.cell(cell, .added(record)))
      let id = try store.addInstance(cell, nil)
      let summary = try store.router().outcome(id).summary
      #expect(summary.contains("127.0.0.1:1 can't be reached"))
      #expect(summary.contains("\(cell)"))
    }
  }

  @Test func `names what a missing key means`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1)
      let id = try store.addInstance(cell, file)
      #expect(
        try store.router(keys: .some(nil)).outcome(id).summary
          == "unavailable \(CellUnavailable.withoutKeys(cell))")
      let otherKeys = try KeyRing.create(in: store.folder + "/other", store: store.journal.store)
      guard
        case .cellUnavailable(_, _, .key(.shredded), _) = try store.router(
          keys: otherKeys.addresses
        )
        .outcome(id)
      else {
        Issue.record("the data key isn't there")
        return
      }
    }
  }

  @Test func `refuses all 23 wrong permutations of four cells' databases`() throws {
    try withStore { store in
      var cells: [CellID] = []
      var instances: [InstanceID] = []
      var paths: [String] = []
      for number in 1...4 {
        // Two are known by their services, two by the instances mapped to them.
        let (cell, file) = try store.addCell(number, hasEvidence: number <= 2)
        for _ in 1...4 {
          instances.append(try store.addInstance(cell, file, ["host": "'host\(number)'"]))
        }
        cells.append(cell)
        paths.append(file.path)
      }
      let places = Array(0..<4)
      for order in permutations(of: places) {
        for place in places { #expect(rename(paths[place], paths[place] + ".kept") == 0) }
        for place in places { #expect(rename(paths[order[place]] + ".kept", paths[place]) == 0) }
        let router = try store.router()
        for place in places {
          let summary = try router.outcome(instances[place * 4]).summary
          if order[place] == place {
            #expect(summary == "found host\(place + 1)")
          } else {
            #expect(summary.hasPrefix("unavailable The "), "\(order), \(place): \(summary)")
          }
        }
        for place in places { #expect(rename(paths[place], paths[order[place]] + ".kept") == 0) }
        for place in places { #expect(rename(paths[place] + ".kept", paths[place]) == 0) }
      }
      #expect(cells.count == 4)
    }
  }

  @Test func `takes a cell of which nothing is known, and says so`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1, isCovered: false, hasEvidence: false)
      let id = InstanceID(uuid(3, 70))
      try file.add(id)
      guard case .foundBySearch(let live, _) = try store.router().outcome(id) else {
        Issue.record("found")
        return
      }
      #expect(!live.isCellProven)
      #expect(live.target.id == cell)
    }
  }

  @Test func `evidence that the index hasn't reached counts`() throws {
    try withStore { store in
      let (cell, file) = try store.addCell(1, hasEvidence: false)
      let id = try store.addInstance(cell, file)
      let router = try store.router()
      #expect(try router.host(id) == "compute-1")
      try store.append(
        .cell(
          cell, .identityRecorded(CellIdentity(services: [uuid(1, 55)], computeNodes: []))),
        project: false)
      // One service is known and isn't there, but the only instance known is.
      #expect(try router.host(id) == "compute-1")
      let other = CellID(uuid(9, 8))
      let record = try store.record(other, "other", database: nil)
      try store.append(
        .cell(other, .added(record)),
        .cell(other, .identityRecorded(CellIdentity(services: [uuid(1, 1)], computeNodes: []))),
        .cell(cell, .renamed(from: "cell1", to: "one")), project: false)
      #expect(
        try router.outcome(id).summary
          == "unavailable " + CellError.wrongCell(cell: cell, actual: other).description)
    }
  }

  private func permutations<Element>(of list: [Element]) -> [[Element]] {
    guard list.count > 1 else { return [list] }
    return list.indices.flatMap { index in
      var rest = list
      let first = rest.remove(at: index)
      return permutations(of: rest).map { [first] + $0 }
    }
  }
}
