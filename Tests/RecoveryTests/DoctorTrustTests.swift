import Foundation
import Journal
import Recovery
import TestSupport
import Testing

/// What a cell lacks is told to be taken away only where every cell is believed to have all it ever had.
@Suite struct DoctorTrustTests {
  /// What only says what must be done first.
  private func isHeldBack(_ finding: DoctorFinding) -> Bool {
    finding.fix.allSatisfy { $0.place == .shell && $0.text.hasPrefix("# first: cell ") }
  }

  /// A mapping that is older than every row, and has none.
  private func addStale(
    _ number: Int, to bed: DoctorBed, _ values: [String: String] = [:]
  ) throws {
    try bed.api.addInstance(
      number, "\(instance(number))", cell: 2,
      ["created_at": "'2025-01-02 03:04:07.000000'"].merging(values) { $1 })
  }

  @Test func `a cell that was emptied loses no mapping and no host`() throws {
    try withDoctorBed { bed in
      for number in 1...3 {
        try bed.api.addInstance(number, "\(instance(number))", cell: 2)
        try bed.add(number + 10, in: 2)
      }
      try bed.api.execute("UPDATE instance_mappings SET queued_for_delete = 1 WHERE id = 2")
      try bed.cells[0].execute("DELETE FROM services; DELETE FROM compute_nodes")
      let (findings, report) = try bed.examine()
      #expect(findings.map(\.kind) == [.rowMissing, .rowMissing, .rowMissing, .ghostHost])
      #expect(findings.allSatisfy(isHeldBack), "\(findings.flatMap(\.fix))")
      #expect(findings[0].fix[0].text.contains("cell1 (\(cell(1))): it looks restored or empty"))
      #expect(report.isComplete && report.cells.map { $0.doubt != nil } == [false, true, false])

      let trusted = try bed.examine(notRestored: [cell(1)])
      #expect(trusted.findings.allSatisfy { !isHeldBack($0) } && trusted.findings.count == 4)
      #expect(trusted.report.cells.allSatisfy { $0.doubt == nil })
    }
  }

  @Test func `a cell without instances and hosts keeps the hosts that are mapped to it`() throws {
    try withDoctorBed { bed in
      try bed.cells[0].execute("DELETE FROM services; DELETE FROM compute_nodes")
      #expect(isHeldBack(try bed.onlyFinding(.ghostHost, mends: false)))
    }
  }

  @Test func `a cell that lacks what was mapped after its newest row looks restored`() throws {
    try withDoctorBed { bed in
      try bed.add(1, in: 1)
      try addStale(2, to: bed)
      #expect(!isHeldBack(try #require(try bed.examine().findings.first)))
      try bed.api.addInstance(3, "\(instance(3))", cell: 2)
      let findings = try bed.examine().findings
      #expect(findings.count == 2 && findings.allSatisfy(isHeldBack), "\(findings)")
    }
  }

  @Test func `more than a few missing rows look restored, those queued for delete don't`() throws {
    try withDoctorBed { bed in
      try bed.add(1, in: 1)
      for number in 2...4 { try addStale(number, to: bed) }
      for number in 5...20 { try addStale(number, to: bed, ["queued_for_delete": "1"]) }
      let findings = try bed.examine().findings
      #expect(findings.count == 19 && !findings.contains(where: isHeldBack))
      try addStale(21, to: bed)
      let more = try bed.examine().findings
      #expect(more.count == 20 && more.allSatisfy(isHeldBack))
    }
  }

  @Test func `a mapping whose row may be one that can't be read stays`() throws {
    try withDoctorBed { bed in
      let id = "abcdef01-0000-4000-8000-000000000000"
      try bed.add(1, in: 1)
      try bed.api.addInstance(
        2, id, cell: 2, ["created_at": "'2025-01-02 03:04:07.000000'"])
      try bed.cells[0].execute(
        "INSERT INTO instances (uuid, deleted) VALUES ('\(id.uppercased())', 0)")
      let findings = try bed.examine().findings
      #expect(findings.map(\.kind) == [.malformedUUID, .rowMissing])
      #expect(isHeldBack(findings[1]) && findings[1].fix[0].text.contains("malformed_uuid"))
      try bed.cells[0].execute(findings[0].fix[0].text)
      #expect(try bed.examine().findings.isEmpty)
    }
  }

  @Test func `while a cell can't be read nothing is taken away that it may have`() throws {
    try withDoctorBed { bed in
      try bed.add(1, in: 1)
      // Archived where it was, and perhaps alive in the other cell.
      try bed.api.addInstance(2, "\(instance(2))", cell: 2)
      try bed.cells[0].execute("INSERT INTO shadow_instances VALUES ('\(instance(2))')")
      // Deleted where it was found.
      try bed.api.addInstance(3, "\(instance(3))", cell: 1)
      try bed.cells[0].add(instance(3), ["deleted": "3"])
      try bed.cell0.add(instance(9))
      try bed.api.addInstance(9, "\(instance(9))", cell: 1)
      try bed.api.addHost(9, "ghost", cell: 2)
      try bed.api.addInstance(10, "\(UUID128.zero)", cell: nil)
      try bed.api.addInstance(11, "no uuid", cell: nil)
      try FileManager.default.removeItem(atPath: bed.cells[1].path)
      let (findings, report) = try bed.examine()
      #expect(!report.isComplete && report.undecided == 1)
      #expect(
        Set(findings.map(\.kind)) == [
          .markerRow, .malformedUUID, .wrongCell, .ghostHost,
        ])
      for finding in findings {
        #expect(isHeldBack(finding) && finding.fix[0].text.contains("cell2"), "\(finding)")
      }
    }
  }

  @Test func `a mapping isn't moved out of a cell that looks restored`() throws {
    try withDoctorBed { bed in
      for number in 1...4 { try bed.api.addInstance(number, "\(instance(number))", cell: 2) }
      try bed.cells[1].add(instance(4))
      let findings = try bed.examine().findings
      let moved = try #require(findings.first { $0.kind == .wrongCell })
      #expect(isHeldBack(moved))
      let trusted = try bed.examine(notRestored: [cell(1)]).findings
      #expect(trusted.first { $0.kind == .wrongCell }?.fix.first?.place == .api)
    }
  }
}
