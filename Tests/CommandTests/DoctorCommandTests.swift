import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct DoctorCommandTests {
  /// A cloud, and the nova.conf of its controller, which names its API database by a reference.
  private func withCloud(_ body: (CommandBed, NovaAPIFile) throws -> Void) throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      try api.execute(
        """
        CREATE TABLE build_requests (instance_uuid VARCHAR(36));
        UPDATE cell_mappings SET transport_url = 'rabbit://{username}:{password}@127.0.0.1/'
          WHERE id > 1;
        """)
      try bed.write(
        """
        [DEFAULT]
        transport_url = rabbit://nova:qu3ue-pw@127.0.0.1/
        folder = sqlite:///
        [api_database]
        connection = ${DEFAULT.folder}api.sqlite
        """, to: "nova.conf")
      try body(bed, api)
    }
  }

  @Test func `needs no store, and ends with 0 where nothing is wrong`() throws {
    try withCloud { bed, _ in
      let ran = try bed.done("doctor", "--nova-conf", "nova.conf")
      #expect(ran.out.contains("Compared 20 mappings and 2 hosts"))
      #expect(ran.out.contains("nothing is wrong") && ran.err.isEmpty, "\(ran.err)")
      let names = try FileManager.default.contentsOfDirectory(atPath: bed.folder)
      #expect(!names.contains { $0.hasPrefix("store") || $0.hasPrefix("cellmap-store") })
    }
  }

  @Test func `ends with 1 and shows the first few of each kind with what mends them`() throws {
    try withCloud { bed, api in
      try api.execute("UPDATE instance_mappings SET cell_id = 3 WHERE cell_id = 2")
      let ran = try bed.run("doctor", "--nova-conf", "nova.conf", "--show", "2")
      #expect(ran.status == 1)
      #expect(ran.out.contains("wrong_cell: 10. "))
      #expect(ran.out.contains("… and 8 more"))
      let fix = "UPDATE instance_mappings SET cell_id = 2 WHERE instance_uuid = '\(instance(0))'"
      #expect(ran.out.contains("in the API database: " + fix))
    }
  }

  @Test func `prints each finding as a line of JSON, and a summary`() throws {
    try withCloud { bed, api in
      try api.execute("UPDATE instance_mappings SET cell_id = 3 WHERE cell_id = 2")
      try api.execute("UPDATE instance_mappings SET user_id = NULL")
      let ran = try bed.run("doctor", "--nova-conf", "nova.conf", "--json")
      let objects = try ran.objects
      #expect(ran.status == 1 && objects.count == 12)
      let first = try #require(objects.first { $0["finding"] as? String == "wrong_cell" })
      #expect(first["instance"] as? String == "\(instance(0))")
      #expect(first["cells"] as? [String] == ["\(cell(2))", "\(cell(1))"])
      let fix = try #require((first["fix"] as? [[String: String]])?.first)
      #expect(fix["in"] == "api_database")
      let summary = try #require(objects.last)
      #expect(summary["findings"] as? [String: Int] == ["wrong_cell": 10, "null_user_id": 20])
      #expect(summary["complete"] as? Bool == true && summary["mappings"] as? Int == 20)
    }
  }

  @Test func `ends with 5 and says which cell could not be read`() throws {
    try withCloud { bed, _ in
      try FileManager.default.removeItem(atPath: bed.path("beta.sqlite"))
      let ran = try bed.run("doctor", "--nova-conf", "nova.conf", "--json")
      let summary = try #require(try ran.objects.last)
      #expect(ran.status == 5 && summary["complete"] as? Bool == false)
      #expect(summary["undecided"] as? Int == 10)
      let cells = try #require(summary["cells"] as? [[String: Any]])
      #expect(cells.map { $0["answered"] as? Bool } == [true, true, false])
      let text = try bed.run("doctor", "--nova-conf", "nova.conf")
      #expect(text.status == 5 && text.out.contains("NO: Cell \(cell(2)) has its database at"))
      #expect(text.err.contains("10 instances are undecided"))
    }
  }

  @Test func `names a cell that looks emptied, and believes who says that it is whole`() throws {
    try withCloud { bed, _ in
      try NovaCellFile(path: bed.path("beta.sqlite")).execute("DELETE FROM instances")
      let ran = try bed.run("doctor", "--nova-conf", "nova.conf")
      #expect(ran.status == 1 && ran.out.contains("row_missing: 10. "))
      #expect(!ran.out.contains("DELETE FROM instance_mappings"))
      #expect(ran.out.contains("or give --not-restored \(cell(2)) if it is whole"))
      let summary = try #require(
        try bed.run("doctor", "--nova-conf", "nova.conf", "--json").objects.last)
      let cells = try #require(summary["cells"] as? [[String: Any]])
      #expect(cells.map { $0["doubt"] is String } == [false, false, true])
      for name in ["beta", "\(cell(2))"] {
        let trusted = try bed.run("doctor", "--nova-conf", "nova.conf", "--not-restored", name)
        #expect(trusted.status == 1 && trusted.out.contains("DELETE FROM instance_mappings"))
      }
      let unknown = try bed.run("doctor", "--nova-conf", "nova.conf", "--not-restored", "gamma")
      #expect(unknown.status == 2 && unknown.err.contains("no cell 'gamma'"))
    }
  }

  @Test func `keeps passwords to itself`() throws {
    try withCloud { bed, api in
      try api.execute(
        "UPDATE cell_mappings SET transport_url = 'rabbit://nova:cell-pw@127.0.0.1:x/' WHERE id = 2; "
          + "UPDATE cell_mappings SET database_connection = 'mysql://nova:cell-pw@127.0.0.1:1/n' "
          + "WHERE id = 3")
      for arguments in [[], ["--json"]] {
        let ran = try bed.run(["doctor", "--nova-conf", "nova.conf"] + arguments)
        #expect(ran.status == 5 && ran.out.contains("address_unusable"))
        #expect(!(ran.out + ran.err).contains("cell-pw") && !(ran.out + ran.err).contains("qu3ue"))
      }
    }
  }

  @Test func `refuses what it can't examine`() throws {
    try withCloud { bed, api in
      #expect(try bed.run("doctor").status == 64)
      try bed.write("[database]\nconnection = sqlite:///alpha.sqlite\n", to: "cell.conf")
      let without = try bed.run("doctor", "--nova-conf", "cell.conf")
      #expect(without.status == 64 && without.err.contains("[api_database]"))
      try bed.write("[api_database]\nconnection = sqlite:///alpha.sqlite\n", to: "wrong.conf")
      let wrong = try bed.run("doctor", "--nova-conf", "wrong.conf")
      #expect(wrong.status == 64 && wrong.err.contains("not a Nova API database"))
      try bed.write("[api_database]\nconnection = sqlite:///none.sqlite\n", to: "away.conf")
      #expect(try bed.run("doctor", "--nova-conf", "away.conf").status == 7)
    }
  }
}
