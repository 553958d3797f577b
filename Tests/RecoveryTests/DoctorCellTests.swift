import Foundation
import Journal
import Projections
import Recovery
import Router
import TestSupport
import Testing

/// What the doctor finds of cells and hosts, and what it does about cells that it can't read.
@Suite struct DoctorCellTests {
  // MARK: Hosts

  @Test func `finds ghosts, hosts in the wrong cell and hosts that aren't mapped`() throws {
    try withDoctorBed { bed in
      try bed.api.addHost(3, "ghost", cell: 2)
      try bed.api.addHost(4, "moved", cell: 2)
      for (number, host) in ["moved", "new"].enumerated() {
        try bed.cells[1].addHost(
          host, service: UUID128(high: 0x7002, low: UInt64(number)),
          node: UUID128(high: 0x7003, low: UInt64(number)))
      }
      try bed.cells[1].execute("INSERT INTO compute_nodes (host, deleted) VALUES ('no''de', 0)")
      try bed.cells[1].execute("INSERT INTO compute_nodes (host, deleted) VALUES ('gone', 5)")
      let findings = try bed.examine().findings
      let found = Dictionary(grouping: findings, by: \.kind).mapValues { $0.map(\.subject) }
      #expect(
        found == [
          .ghostHost: [.host("ghost")], .hostInWrongCell: [.host("moved")],
          .unmappedHost: [.host("new"), .host("no'de")],
        ])
      let texts = findings.flatMap(\.fix).map(\.text)
      #expect(
        texts.contains("nova-manage cell_v2 delete_host --cell_uuid \(cell(1)) --host ghost"))
      // Nova doesn't discover a node twice; its flag has to go first.
      #expect(
        texts.contains(
          "UPDATE compute_nodes SET mapped = 0 WHERE host = 'no''de' AND deleted = 0;"))
    }
  }

  @Test func `finds a compute node whose UUID is none`() throws {
    try withDoctorBed { bed in
      let node = UUID128(high: 0x7001, low: 1)
      try bed.cells[0].execute(
        "UPDATE compute_nodes SET uuid = 'it''s none' WHERE uuid = '\(node)'")
      let finding = try bed.onlyFinding(.malformedUUID, mends: false)
      #expect(finding.cells == [cell(1)])
      #expect(finding.detail == "compute_nodes.uuid holds 'it's none'")
      let statement = try #require(finding.fix.first?.text)
      try bed.cells[0].execute(statement.replacing("ITS UUID", with: "\(node)"))
      #expect(try bed.examine().findings.isEmpty)
    }
  }

  @Test func `finds one host in two cells`() throws {
    try withDoctorBed { bed in
      try bed.cells[1].addHost(
        "host1", service: UUID128(high: 0x7002, low: 1), node: UUID128(high: 0x7003, low: 1))
      let finding = try bed.onlyFinding(.twinHost, mends: false)
      #expect(finding.cells == [cell(1), cell(2)] && finding.subject == .host("host1"))
    }
  }

  @Test func `finds a nova-compute that reports to cell0`() throws {
    try withDoctorBed { bed in
      try bed.cell0.addHost(
        "lost", service: UUID128(high: 0x7002, low: 1), node: UUID128(high: 0x7003, low: 1))
      try bed.onlyFinding(.hostInCell0)
    }
  }

  @Test func `a host that was discovered meanwhile is no finding`() throws {
    try withDoctorBed { bed in
      try bed.cells[0].addHost(
        "new", service: UUID128(high: 0x7002, low: 1), node: UUID128(high: 0x7003, low: 1))
      try bed.api.addHost(9, "old", cell: 2)
      try bed.api.execute("PRAGMA journal_mode=wal")
      let (findings, report) = try bed.examine {
        try? bed.api.addHost(10, "new", cell: 2)
        try? bed.api.execute("DELETE FROM host_mappings WHERE host = 'old'")
      }
      #expect(findings.isEmpty && report.settled == 2, "\(findings)")
    }
  }

  // MARK: Addresses

  @Test func `finds what is wrong with the cells' rows`() throws {
    try withDoctorBed { bed in
      try bed.api.execute("UPDATE cell_mappings SET disabled = NULL WHERE id = 2")
      try bed.onlyFinding(.nullDisabled)
      try bed.api.execute(
        "UPDATE cell_mappings SET transport_url = 'rabbit://nova:s3cret@127.0.0.1/' WHERE id = 1")
      let finding = try bed.onlyFinding(.cell0Queue)
      #expect(!"\(finding)".contains("s3cret"))
      try bed.api.execute("UPDATE cell_mappings SET transport_url = 'none:///' WHERE id = 2")
      try bed.onlyFinding(.cellWithoutQueue, mends: false)
    }
  }

  @Test func `finds that cell0 is missing`() throws {
    try withDoctorBed { bed in
      try bed.api.execute("DELETE FROM cell_mappings WHERE id = 1")
      try bed.onlyFinding(.cell0Missing, mends: false)
    }
  }

  @Test func `an address that can't be read is a finding, and the cell is unread`() throws {
    try withDoctorBed { bed in
      try bed.add(1, in: 2)
      try bed.api.execute(
        "UPDATE cell_mappings SET database_connection = 'mysql://nova:s3cret@h:port/nova' WHERE id = 2"
      )
      let (findings, report) = try bed.examine()
      #expect(findings.map(\.kind) == [.addressUnusable], "\(findings)")
      #expect(!report.isComplete)
      #expect(!"\(findings)".contains("s3cret"))
    }
  }

  @Test func `templates are filled in from this controller's configuration`() throws {
    try withDoctorBed { bed in
      try bed.api.execute(
        """
        UPDATE cell_mappings SET database_connection = 'sqlite:///{path}' WHERE id = 2;
        UPDATE cell_mappings SET transport_url = 'rabbit://{username}:{password}@127.0.0.1/'
          WHERE id = 3;
        """)
      var base = AddressBase(folder: bed.folder)
      base.database = Secret("sqlite:///1.sqlite")
      base.queue = Secret("rabbit://nova:s3cret@mq/")
      #expect(try bed.examine(base: base).findings.isEmpty)
      // Nova would write `None` for what the base lacks.
      base.queue = Secret("rabbit://mq/")
      let lacking = try bed.examine(base: base).findings
      #expect(lacking.map(\.kind) == [.addressUnusable] && lacking[0].cells == [cell(2)])
      // Nova compares templates only as texts, and lets two cells have one database.
      try bed.api.execute(
        "UPDATE cell_mappings SET database_connection = 'sqlite:///./{path}' WHERE id = 3")
      base.queue = Secret("rabbit://nova:s3cret@mq/")
      let shared = try bed.examine(base: base)
      #expect(
        shared.findings.contains { $0.kind == .sharedDatabase && $0.cells == [cell(1), cell(2)] })
      #expect(shared.report.cells.map(\.sharedWith) == [nil, nil, cell(1)])
    }
  }

  @Test func `one database under two addresses is known by its services, and read once`() throws {
    try withDoctorBed { bed in
      for number in 1...5 { try bed.add(number, in: 1) }
      try FileManager.default.createSymbolicLink(
        atPath: bed.folder + "/alias.sqlite", withDestinationPath: "1.sqlite")
      try bed.api.addCell(
        9, cell(9), name: "cell9", database: "sqlite:///alias.sqlite",
        queue: "rabbit://nova:s3cret@127.0.0.1/")
      try bed.api.execute("UPDATE instance_mappings SET cell_id = 9 WHERE id = 3")
      let finding = try bed.onlyFinding(.sharedDatabase, mends: false)
      #expect(finding.cells == [cell(1), cell(9)])
    }
  }

  @Test func `finds names that this machine doesn't know`() throws {
    try withDoctorBed { bed in
      try bed.api.execute(
        "UPDATE cell_mappings SET transport_url = 'rabbit://nova:s3cret@no-such.invalid/' "
          + "WHERE id = 3")
      let finding = try bed.onlyFinding(.nameUnresolved, mends: false)
      #expect(finding.cells == [cell(2)] && !"\(finding)".contains("s3cret"))
    }
  }

  // MARK: Cells that can't be read

  @Test func `a cell that can't be read is named, and what depends on it is left undecided`() throws
  {
    try withDoctorBed { bed in
      try bed.add(1, in: 1)
      try bed.add(2, in: 2)
      try bed.api.addInstance(3, "\(instance(3))", cell: 2)
      try bed.api.addInstance(4, "\(instance(4))", cell: nil)
      try bed.api.addInstance(5, "\(instance(5))", cell: 3)
      try bed.cells[0].add(instance(5))
      try bed.cells[0].add(instance(6))
      try FileManager.default.removeItem(atPath: bed.cells[1].path)
      let (findings, report) = try bed.examine()
      // Cell 1 has it and it isn't mapped, whatever cell 2 says.
      #expect(findings.map(\.kind) == [.unmappedInstance], "\(findings)")
      #expect(report.undecided == 4 && !report.isComplete)
      #expect(report.cells.map { $0.failure == nil } == [true, true, false])
    }
  }

  @Test func `a cell that hangs costs its deadline, once`() throws {
    try withDoctorBed { bed in
      for number in 1...20 { try bed.add(number, in: number % 2 + 1) }
      try bed.cells[0].add(instance(30))
      let writer = try bed.cells[1].connect()
      try writer.execute("BEGIN EXCLUSIVE")
      let begin = ContinuousClock.now
      let (findings, report) = try bed.examine(patience: .seconds(3))
      // Once for each of its ten instances would be half a minute.
      #expect(begin.duration(to: .now) < .seconds(25))
      #expect(findings.map(\.kind) == [.unmappedInstance], "\(findings)")
      #expect(report.undecided == 10 && report.cells[2].failure?.contains("locked") != true)
      #expect(report.cells.map { $0.failure == nil } == [true, true, false])
    }
  }

  @Test func `writes into no database`() throws {
    try withDoctorBed { bed in
      try bed.add(1, in: 1)
      try bed.cells[1].add(instance(2))
      let paths = [bed.api.path, bed.cell0.path] + bed.cells.map(\.path)
      let before = try paths.map { try Data(contentsOf: URL(fileURLWithPath: $0)) }
      let names = try FileManager.default.contentsOfDirectory(atPath: bed.folder).sorted()
      _ = try bed.examine()
      #expect(try paths.map { try Data(contentsOf: URL(fileURLWithPath: $0)) } == before)
      #expect(try FileManager.default.contentsOfDirectory(atPath: bed.folder).sorted() == names)
    }
  }

  @Test func `a database that is no API database is refused`() throws {
    try withDoctorBed { bed in
      try bed.api.execute("DROP TABLE host_mappings")
      #expect(throws: AdoptionError.self) { try bed.examine() }
    }
  }
}
