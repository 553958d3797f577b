import Journal
import Projections
import Registry
import TestSupport
import Testing

@testable import Recovery

/// Beside a running Nova: what the database was last seen to hold, and doesn't hold any more, is
/// Nova's own doing, and stays.
@Suite struct PublicationLastSeenTests {
  private static var beside: AdoptionBed.Publishing { AdoptionBed.Publishing(isNovaStopped: false) }

  private func source(_ bed: AdoptionBed, _ api: PublishedAPI) throws -> NovaAPIDatabase {
    try NovaAPIDatabase(api.address, relativeTo: bed.folder)
  }

  /// The map is what was read from the database that is published to.
  private func withAdopted(
    _ body: (AdoptionBed, PublishedAPI) throws -> Void
  ) throws {
    try withPublishing(instances: 6) { bed, api in
      try bed.publish(into: api)
      try bed.adopt(from: try source(bed, api))
      try body(bed, api)
    }
  }

  @Test func `what is gone from the database isn't put back`() throws {
    try withPublishing(instances: 6) { bed, api in
      try bed.publish(into: api)
      // Archived and purged, a host taken out, and a cell.
      _ = try api.run(
        """
        DELETE FROM instance_mappings WHERE id = 1 OR cell_id = 3;
        DELETE FROM host_mappings WHERE cell_id = 3;
        DELETE FROM cell_mappings WHERE id = 3;
        """)
      let before = try api.content()
      let done = try bed.publish(into: api, Self.beside)
      #expect(try api.content() == before && done.outcome == nil)
      #expect(done.done.cells.left == 1 && done.done.hosts.left == 1)
      #expect(done.done.instances.left == 3)
      #expect(done.reasons(.kept).contains { $0.contains("Nova took it out") })
      // Whoever says that nobody else writes it may.
      #expect(try bed.publish(into: api).done.instances.added == 3)
    }
  }

  @Test func `nor where its row was changed in the map since`() throws {
    try withPublishing(instances: 6) { bed, api in
      try bed.publish(into: api)
      _ = try api.run("DELETE FROM instance_mappings WHERE id < 3;")
      try bed.submit(.remapInstance(instance(1), to: .cell0))
      try bed.submit(.unmapInstance(instance(2)))
      let owner = InstanceOwner(project: "p", user: "u")
      try bed.submit(.mapInstance(instance(2), InstanceDraft(cell: .cell0, owner: owner)))
      let done = try bed.publish(into: api, Self.beside)
      #expect(done.done.instances.added == 0 && done.done.instances.left == 2)
    }
  }

  @Test func `what came into the map since is added`() throws {
    try withAdopted { bed, api in
      let owner = InstanceOwner(project: "p", user: "u")
      try bed.submit(.mapInstance(instance(40), InstanceDraft(cell: .cell0, owner: owner)))
      // Gone from the database, from the map as well, and found in its cell again.
      _ = try api.run("DELETE FROM instance_mappings WHERE id = 1;")
      try bed.adopt(AdoptionBed.Run(prunes: true), from: try source(bed, api))
      for number in [1, 40] {
        try bed.submit(.mapInstance(instance(number), InstanceDraft(cell: .cell0, owner: owner)))
      }
      let done = try bed.publish(into: api, Self.beside)
      #expect(done.done.instances.added == 2 && done.done.instances.left == 0)
    }
  }

  @Test func `a row that somebody changed by hand stays whole`() throws {
    try withAdopted { bed, api in
      for number in 1...3 {
        let owner = InstanceOwner(project: "q", user: "v")
        try bed.submit(.setOwner(instance(number), owner))
      }
      // SQL by hand leaves the row's time as it was.
      _ = try api.run(
        """
        UPDATE instance_mappings SET user_id = 'by hand' WHERE id = 1;
        UPDATE instance_mappings SET cell_id = 1 WHERE id = 2;
        """)
      let done = try bed.publish(into: api, Self.beside)
      #expect(try api.instance(instance(1), "user_id") == "by hand")
      #expect(try api.instance(instance(1), "project_id") != "q")
      #expect(try api.instance(instance(2), "project_id") != "q")
      #expect(try api.instance(instance(3), "project_id") == "q")
      #expect(done.done.instances.changed == 1 && done.done.instances.left == 2)
      #expect(done.reasons(.kept).contains { $0.hasPrefix("user_id of it changed") })
    }
  }

  @Test func `a reading that was stopped before its end counts`() throws {
    try withPublishing(instances: 0) { bed, api in
      try bed.publish(into: api)
      let rows = (1...1_500).map { number in
        "(\(number), '\(instance(number))', 1, 'p', 'u', 0)"
      }
      _ = try api.run(
        "INSERT INTO instance_mappings (id, instance_uuid, cell_id, project_id, user_id, "
          + "queued_for_delete) VALUES " + rows.joined(separator: ", ") + ";")
      do {
        let reading = try source(bed, api)
        #expect(throws: AdoptionError.self) {
          try bed.adopt(AdoptionBed.Run(stopsAfterRows: 1_000), from: reading)
        }
      }
      #expect(try bed.map().instance(instance(1)) != nil)
      _ = try api.run("DELETE FROM instance_mappings WHERE id = 1;")
      let done = try bed.publish(into: api, Self.beside).done
      #expect(done.instances.added == 0 && done.instances.left == 1)
    }
  }

  @Test func `a replica is the same database, and another name isn't`() {
    let primary: ByteText = "mysql+pymysql://nova:****@db1:3306/nova_api"
    #expect(LastSeen.isSame(primary, primary))
    #expect(LastSeen.isSame(primary, "mysql://reader:****@db2:3306/nova_api?charset=utf8"))
    #expect(!LastSeen.isSame(primary, "mysql+pymysql://nova:****@db1:3306/nova_cell0"))
    #expect(!LastSeen.isSame(primary, "postgresql://nova:****@db1:5432/nova_api"))
    #expect(!LastSeen.isSame("sqlite:////a/nova_api.sqlite", "sqlite:////b/nova_api.sqlite"))
  }
}
