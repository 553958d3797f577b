import Journal
import Testing
import TestSupport

@testable import Cells

/// What a map knows of some cells, held in memory.
struct RecordedCells: Sendable {
  var identities: [CellID: RecordedIdentity] = [:]

  func knowledge(of cell: CellID) -> IdentityKnowledge {
    let identities = identities
    return IdentityKnowledge(
      recorded: { limit throws(CellError) in
        let all =
          identities[cell] ?? RecordedIdentity(services: [], computeNodes: [], instances: [])
        return RecordedIdentity(
          services: Array(all.services.prefix(limit)),
          computeNodes: Array(all.computeNodes.prefix(limit)),
          instances: Array(all.instances.prefix(limit)))
      },
      cellsRecording: { uuid throws(CellError) in
        identities.filter {
          $0.value.services.contains(uuid) || $0.value.computeNodes.contains(uuid)
        }.map(\.key)
      })
  }
}

func uuid(_ kind: Int, _ number: Int) -> UUID128 {
  UUID128(high: UInt64(kind) << 32 | 0x4000, low: 1 << 63 | UInt64(number))
}

@Suite struct CellIdentityCheckTests {
  private func verdict(
    _ recorded: RecordedCells, _ file: NovaCellFile
  ) throws(CellError) -> IdentityVerdict {
    try CellIdentityCheck.verdict(on: open(file), by: recorded.knowledge(of: cell))
  }

  private func identity(
    services: [UUID128] = [], nodes: [UUID128] = [], instances: [InstanceID] = []
  ) -> RecordedIdentity {
    RecordedIdentity(services: services, computeNodes: nodes, instances: instances)
  }

  private let other = CellID(uuid(9, 9))

  @Test func `accepts as unproven where nothing is known and nothing is foreign`() throws {
    try withCell { file in
      try file.addHost("h", service: uuid(1, 1), node: uuid(2, 1))
      #expect(try verdict(RecordedCells(), file) == .unproven)
    }
  }

  @Test func `accepts with one service or one node`() throws {
    try withCell { file in
      try file.addHost("h", service: uuid(1, 1), node: uuid(2, 1))
      let services = [uuid(1, 7), uuid(1, 1)]
      #expect(
        try verdict(.init(identities: [cell: identity(services: services)]), file) == .accepted)
      let nodes = [uuid(2, 7), uuid(2, 1)]
      #expect(try verdict(.init(identities: [cell: identity(nodes: nodes)]), file) == .accepted)
    }
  }

  @Test func `accepts a service that is deleted by now`() throws {
    try withCell { file in
      try file.addHost("h", service: uuid(1, 1), node: uuid(2, 1))
      try file.execute("UPDATE services SET deleted = id")
      #expect(
        try verdict(.init(identities: [cell: identity(services: [uuid(1, 1)])]), file) == .accepted)
    }
  }

  @Test func `needs three instances, or as many as are known`() throws {
    try withCell { file in
      let all = (1...5).map { InstanceID(uuid(3, $0)) }
      for instance in all.prefix(2) { try file.add(instance) }
      func verdict(_ known: [InstanceID]) throws -> IdentityVerdict {
        try self.verdict(.init(identities: [cell: identity(instances: known)]), file)
      }
      #expect(try verdict(all) == .unknown(looked: 5))
      #expect(try verdict(Array(all.prefix(2))) == .accepted)
      #expect(try verdict(Array(all.prefix(3))) == .unknown(looked: 3))
      try file.add(all[4])
      #expect(try verdict(all) == .accepted)
    }
  }

  @Test func `refuses another cell's service, even beside one of its own`() throws {
    try withCell { file in
      try file.addHost("ours", service: uuid(1, 1), node: uuid(2, 1))
      try file.addHost("theirs", service: uuid(1, 2), node: uuid(2, 2))
      let recorded = RecordedCells(identities: [
        cell: identity(services: [uuid(1, 1)]), other: identity(nodes: [uuid(2, 2)]),
      ])
      #expect(try verdict(recorded, file) == .wrongCell(other))
    }
  }

  @Test func `takes a node that was recorded of both cells`() throws {
    try withCell { file in
      try file.addHost("moved", service: uuid(1, 1), node: uuid(2, 1))
      let recorded = RecordedCells(identities: [
        cell: identity(nodes: [uuid(2, 1)]), other: identity(nodes: [uuid(2, 1)]),
      ])
      #expect(try verdict(recorded, file) == .accepted)
    }
  }

  @Test func `doesn't know a database that has none of what is recorded`() throws {
    try withCell { file in
      try file.addHost("new", service: uuid(1, 8), node: uuid(2, 8))
      let recorded = RecordedCells(identities: [
        cell: identity(services: [uuid(1, 1)], nodes: [uuid(2, 1)])
      ])
      #expect(try verdict(recorded, file) == .unknown(looked: 2))
    }
  }

  @Test func `reads a database's own evidence in order`() throws {
    try withCell { file in
      for number in [3, 1, 2] {
        try file.addHost("h\(number)", service: uuid(1, number), node: uuid(2, number))
      }
      try file.execute("INSERT INTO services (report_count, deleted) VALUES (0, 0)")
      let connection = try open(file)
      #expect(try connection.uuids(of: .services, limit: 100) == (1...3).map { uuid(1, $0) })
      #expect(try connection.uuids(of: .computeNodes, limit: 2) == (1...2).map { uuid(2, $0) })
    }
  }

  @Test func `passes over a UUID that is none, and says so`() throws {
    try withCell { file in
      try file.addHost("h", service: uuid(1, 1), node: uuid(2, 1))
      try file.execute(
        "INSERT INTO services (report_count, deleted, uuid) VALUES (0, 0, 'x'), (0, 0, x'00ff'); "
          + "INSERT INTO compute_nodes (deleted, uuid) "
          + "VALUES (0, '0123456789abcdef0123456789abcdef')")
      var odd: [ByteText] = []
      let connection = try open(file)
      // None of them stands in the place of one that is a UUID.
      #expect(try connection.uuids(of: .services, limit: 1) == [uuid(1, 1)])
      let identity = try connection.identity { _, text in odd.append(text) }
      #expect(identity.computeNodes == [uuid(2, 1)])
      #expect(odd.sorted() == ["", "0123456789abcdef0123456789abcdef", "x"])
      let recorded = RecordedCells(identities: [cell: self.identity(services: [uuid(1, 1)])])
      #expect(try verdict(recorded, file) == .accepted)
    }
  }

  @Test func `refuses all 23 wrong permutations of four cells' databases`() throws {
    try withTemporaryFolder { folder in
      var recorded = RecordedCells()
      let cells = (1...4).map { CellID(uuid(9, $0)) }
      var files: [NovaCellFile] = []
      for number in 1...4 {
        let file = try NovaCellFile.make(at: folder + "/cell\(number).sqlite")
        // Two of the cells are known by their services, two by their instances alone.
        let instances = (1...5).map { InstanceID(uuid(3, number * 100 + $0)) }
        for instance in instances { try file.add(instance) }
        if number <= 2 { try file.addHost("h", service: uuid(1, number), node: uuid(2, number)) }
        recorded.identities[cells[number - 1]] = RecordedIdentity(
          services: number <= 2 ? [uuid(1, number)] : [], computeNodes: [], instances: instances)
        files.append(file)
      }
      for (order, files) in permutations(of: files).enumerated() {
        for (cell, file) in zip(cells, files) {
          let pool = CellConnectionPool(
            cell: cell, location: .sqlite(path: file.path), identity: recorded.knowledge(of: cell))
          let isOwn = file.path == folder + "/cell\(cells.firstIndex(of: cell)! + 1).sqlite"
          #expect(isAccepted(pool) == isOwn, "order \(order), \(cell) at \(file.path)")
        }
      }
    }
  }

  private func isAccepted(_ pool: CellConnectionPool) -> Bool {
    do throws(CellError) {
      return try pool.withConnection(until: soon()) { lent throws(CellError) in lent.isProven }
    } catch {
      switch error {
      case .wrongCell, .identityUnknown: return false
      default:
        Issue.record("\(error)")
        return false
      }
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
