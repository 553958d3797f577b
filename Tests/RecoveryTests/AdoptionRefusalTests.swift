import Foundation
import Journal
import Projections
import Recovery
import Registry
import TestServers
import TestSupport
import Testing

@Suite struct MapAdoptionRefusalTests {
  private typealias Run = AdoptionBed.Run

  /// A row that the map can't hold: how it is made, and what its problem names.
  struct BadRow: Sendable, CustomTestStringConvertible {
    let name: String
    let sql: String
    let named: String
    var testDescription: String { name }
  }

  private static func instanceRow(_ uuid: String, cell: String = "2") -> String {
    "INSERT INTO instance_mappings (id, instance_uuid, cell_id, project_id) "
      + "VALUES (900, \(quoted(uuid)), \(cell), 'p')"
  }

  private static func cellRow(_ uuid: String, database: String, name: String = "bad") -> String {
    "INSERT INTO cell_mappings (id, uuid, name, database_connection, transport_url) "
      + "VALUES (900, \(quoted(uuid)), \(quoted(name)), \(quoted(database)), 'none:///')"
  }

  private static func hostRow(_ host: String, cell: String = "2") -> String {
    "INSERT INTO host_mappings (id, host, cell_id) VALUES (900, \(quoted(host)), \(cell))"
  }

  static let badRows = [
    BadRow(
      name: "0x", sql: instanceRow("0x000000-0000-4000-8000-000000000001"),
      named: "instance_mappings row 900"),
    BadRow(
      name: "braces", sql: instanceRow("{00000000-0000-4000-8000-00000000001}"),
      named: "instance_mappings row 900"),
    BadRow(
      name: "full-width digits", sql: instanceRow("\u{FF10}0000000-0000-4000-8000-000000000001"),
      named: "instance_mappings row 900"),
    BadRow(name: "empty UUID", sql: instanceRow(""), named: "instance_mappings row 900"),
    BadRow(
      name: "capitals", sql: instanceRow("ABCDEF00-0000-4000-8000-000000000001"),
      named: "instance_mappings row 900"),
    BadRow(
      name: "cell that isn't there", sql: instanceRow("\(instance(900))", cell: "55"),
      named: "no cell with the id 55"),
    BadRow(
      name: "project with a bidirectional mark",
      sql: "INSERT INTO instance_mappings (id, instance_uuid, cell_id, project_id) "
        + "VALUES (900, '\(instance(900))', 2, 'p\u{202E}q')",
      named: "instance_mappings row 900"),
    BadRow(
      name: "host with a control", sql: hostRow("h\u{1B}[31m"), named: "host_mappings row 900"),
    BadRow(name: "empty host", sql: hostRow(""), named: "host_mappings row 900"),
    BadRow(name: "host of no cell", sql: hostRow("h9", cell: "55"), named: "host_mappings row 900"),
    BadRow(
      name: "cell with a bad UUID", sql: cellRow("0x1", database: "sqlite:///9.sqlite"),
      named: "cell_mappings row 900"),
    BadRow(
      name: "address that can't be parsed", sql: cellRow("\(cell(9))", database: "mysql://h:x/db"),
      named: "cell_mappings row 900"),
    BadRow(
      name: "a name of a megabyte",
      sql: cellRow(
        "\(cell(9))", database: "sqlite:///9.sqlite", name: String(repeating: "n", count: 1 << 20)),
      named: "cell_mappings row 900"),
    BadRow(
      name: "the database of another cell",
      sql: cellRow("\(cell(9))", database: "sqlite:///1.sqlite"),
      named: "cell_mappings row 900"),
  ]

  @Test(arguments: badRows)
  func `stops at a bad row before anything is written, or passes it over`(_ row: BadRow) throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstance(1, "\(instance(1))", cell: 2)
      try bed.api.execute(row.sql)
      let plan = try bed.adopt(Run(planOnly: true)).plan
      #expect(plan.problemCount == 1, "\(plan.problems)")
      #expect(plan.problems.first?.contains(row.named) == true, "\(plan.problems)")
      do throws(AdoptionError) {
        try bed.adopt()
        Issue.record("was not refused")
      } catch {
        guard case .problems(1, _) = error else { throw error }
      }
      #expect(try bed.entryCount() == 2)
      let taken = try bed.adopt(Run(skipsInvalid: true))
      #expect(taken.outcome != nil && taken.plan.problemCount == 1)
      let map = try bed.map()
      #expect(try map.index.countInstances() == 1 && map.index.hosts().count == 2)
      #expect(try map.allCells().count == 3)
      #expect(try bed.adopt(Run(skipsInvalid: true)).outcome == nil)
    }
  }

  @Test func `refuses another source, or other options, under the same request id`() throws {
    try withBed { bed in
      try bed.addCells()
      let request = RequestID(.random())
      try bed.adopt(Run(request: request))
      try bed.api.addInstance(1, "\(instance(1))", cell: 2)
      let count = try bed.entryCount()
      let copy = bed.folder + "/copy.sqlite"
      try FileManager.default.copyItem(atPath: bed.api.path, toPath: copy)
      let other = try NovaAPIDatabase(path: copy, publicForm: "sqlite:///copy.sqlite")
      for (run, source) in [
        (Run(request: request), other), (Run(request: request, prunes: true), nil),
      ] as [(Run, NovaAPIDatabase?)] {
        do throws(AdoptionError) {
          try bed.adopt(run, from: source)
          Issue.record("was not refused")
        } catch {
          guard case .registry(.refused(.requestReused(request))) = error else { throw error }
        }
      }
      #expect(try bed.entryCount() == count)
    }
  }

  @Test func `tells what is not a Nova API database`() throws {
    try withTemporaryFolder { folder in
      let cell = try NovaCellFile.make(at: folder + "/cell.sqlite")
      do throws(AdoptionError) {
        _ = try NovaAPIDatabase(path: cell.path, publicForm: "sqlite:///cell.sqlite")
        Issue.record("was opened")
      } catch {
        guard case .notNovaAPI = error else { throw error }
        #expect(error.description.contains("cell_mappings"))
      }
      do throws(AdoptionError) {
        _ = try NovaAPIDatabase(path: folder + "/none.sqlite", publicForm: "sqlite:///none")
        Issue.record("was opened")
      } catch {
        guard case .unreadable = error else { throw error }
      }
    }
  }
}

@Suite struct MapAdoptionResumeTests {
  private typealias Run = AdoptionBed.Run

  private func fill(_ bed: AdoptionBed) throws {
    try bed.addCells()
    try bed.api.addInstances(
      1..<2_601, cell: { $0 % 7 == 0 ? nil : $0 % 2 + 2 }, uuid: { "\(instance($0))" })
  }

  @Test(arguments: [3, 5, 1_000, 2_500, 2_605] as [UInt64])
  func `goes on where it was stopped, to the same end`(_ rows: UInt64) throws {
    try withTemporaryFolder { folder in
      let whole = try AdoptionBed(in: folder, named: "whole")
      try fill(whole)
      try whole.adopt()
      let bed = try AdoptionBed(in: folder, named: "stopped")
      try fill(bed)
      let request = RequestID(.random())
      do throws(AdoptionError) {
        try bed.adopt(Run(request: request, stopsAfterRows: rows))
        Issue.record("was not stopped")
      } catch {
        guard case .registry(.closed) = error else { throw error }
      }
      #expect(try bed.adopt(Run(request: request)).outcome != nil)
      #expect(try bed.map().request(request)?.finished != nil)
      #expect(try bed.entryCount() == whole.entryCount())
      let (expected, found) = (try whole.map(), try bed.map())
      for number in stride(from: 1, to: 2_601, by: 13) {
        let id = instance(number)
        #expect(try expected.instance(id)?.record == found.instance(id)?.record)
      }
      #expect(try found.index.countInstances() == 2_600)
      #expect(try bed.adopt(Run(request: request)).outcome == nil)
    }
  }
}

/// When the map says that it was told of everything in a cell.
@Suite struct MapAdoptionCoverageTests {
  private typealias Run = AdoptionBed.Run

  private func covered(_ bed: AdoptionBed) throws -> [CellID] {
    try bed.map().allCells().filter(\.value.record.isCovered).keys.sorted()
  }

  @Test func `a stopped adoption claims no coverage, and one that goes on does at its end`() throws
  {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstances(1..<1_501, cell: { $0 % 2 + 2 }, uuid: { "\(instance($0))" })
      let request = RequestID(.random())
      #expect(throws: AdoptionError.self) {
        try bed.adopt(Run(request: request, stopsAfterRows: 1_000))
      }
      #expect(try bed.map().index.countInstances() == 1_000)
      #expect(try covered(bed) == [])
      try bed.adopt(Run(request: request))
      #expect(try covered(bed) == [.cell0, cell(1), cell(2)])
      let count = try bed.entryCount()
      #expect(try bed.adopt().outcome == nil)
      #expect(try bed.entryCount() == count)
    }
  }

  @Test func `an adoption stopped behind its last row is covered by another one`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstance(1, "\(instance(1))", cell: 2)
      #expect(throws: AdoptionError.self) { try bed.adopt(Run(stopsAfterRows: 6)) }
      #expect(try covered(bed) == [])
      let (plan, outcome) = try bed.adopt()
      #expect(plan.changesNothing && plan.coverage.count == 3 && outcome != nil)
      #expect(try covered(bed) == [.cell0, cell(1), cell(2)])
    }
  }

  @Test func `a cell of which a row is passed over is not covered, until it is mended`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.adopt()
      let bad = "'\(instance(1))', 2, 'p\u{202E}q'"
      try bed.api.execute(
        "INSERT INTO instance_mappings (id, instance_uuid, cell_id, project_id) VALUES (9, \(bad))")
      try bed.adopt(Run(skipsInvalid: true))
      #expect(try covered(bed) == [.cell0, cell(2)])
      try bed.api.execute("UPDATE instance_mappings SET project_id = 'p'")
      try bed.adopt()
      #expect(try covered(bed) == [.cell0, cell(1), cell(2)])
    }
  }

  @Test func `no cell is covered while a row is passed over that may be of any`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstance(1, "\(instance(1))", cell: 55)
      try bed.adopt(Run(skipsInvalid: true))
      #expect(try covered(bed) == [])
    }
  }

  @Test func `a cell with a record that was changed meanwhile is covered`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstance(1, "\(instance(1))", cell: 2)
      #expect(throws: AdoptionError.self) { try bed.adopt(Run(stopsAfterRows: 6)) }
      let basis = try bed.map().index.checkpoint().position
      try bed.submit(.remapInstance(instance(1), to: cell(2)))
      let plan = try bed.adopt(Run(basis: basis)).plan
      #expect(plan.overtaken == 1)
      #expect(try covered(bed) == [.cell0, cell(1), cell(2)])
    }
  }
}

@Suite struct MapAdoptionEvidenceTests {
  private typealias Run = AdoptionBed.Run

  @Test func `records what cells say of themselves, once`() throws {
    try withBed { bed in
      try bed.addCells()
      try bed.api.addInstance(1, "\(instance(1))", cell: 2)
      try bed.api.addInstance(2, "\(instance(2))", cell: 3)
      var witness = SampleWitness()
      let services = (1...1_500).map { UUID128(high: 0x5000, low: UInt64($0)) }
      witness.identities[cell(1)] = CellIdentity(
        services: services, computeNodes: [UUID128(high: 0x6000, low: 1)])
      witness.hosts = [instance(1): "host1", instance(2): "host2"]
      let run = try bed.adopt(Run(witness: witness))
      #expect(run.plan.identified == [cell(1)])
      #expect(run.plan.unidentified[cell(2)] == "it is away")
      let map = try bed.map()
      #expect(try map.index.identities(of: cell(1)).count == 1_501)
      #expect(try map.instance(instance(1))?.record.lastSeen?.host == "host1")
      #expect(try map.instance(instance(2))?.record.lastSeen == nil)
      #expect(try bed.adopt(Run(witness: witness)).outcome == nil)

      // A cell that comes back is read then, though no row has changed.
      witness.identities[cell(2)] = CellIdentity(
        services: [UUID128(high: 0x5001, low: 1)], computeNodes: [])
      let later = try bed.adopt(Run(witness: witness))
      #expect(later.outcome != nil && later.plan.unidentified.keys.sorted() == [.cell0])
      #expect(try bed.map().instance(instance(2))?.record.lastSeen?.host == "host2")
    }
  }
}
