import Foundation
import Journal
import TestServers
import TestSupport
import Testing

@testable import Recovery

/// Request specs, flavors and key pairs, made again of what the cells have of them.
@Suite struct GlobalTablesTests {
  private typealias Run = AdoptionBed.Publishing
  private static let all: GlobalTables = [.requestSpecs, .flavors, .keyPairs]
  private let numa = GlobalCells.json(
    GlobalCells.object("InstanceNUMATopology", "1.3", ["cells": []]))

  /// Instances 1, 4, 7 … are in cell 1 and 2, 5, 8 … in cell 2.
  private func withCells(
    _ engine: APIEngine = .sqlite, _ body: (AdoptionBed, PublishedAPI, GlobalCells) throws -> Void
  ) throws {
    try withPublishing(engine, instances: 9) { bed, api in
      try body(bed, api, try GlobalCells.files(in: bed.folder))
    }
  }

  private func spec(_ id: InstanceID, _ api: PublishedAPI) throws -> [String: Any] {
    var text = try api.value("SELECT spec FROM request_specs WHERE instance_uuid = '\(id)'")
    // Its client writes them so where it isn't asked for anything else.
    if api.engine == .mariadb { text = text.replacingOccurrences(of: "\\\\", with: "\\") }
    let object = try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any]
    #expect(object?["nova_object.name"] as? String == "RequestSpec")
    return try #require(object?["nova_object.data"] as? [String: Any])
  }

  private func fields(_ value: Any?) throws -> [String: Any] {
    try #require((value as? [String: Any])?["nova_object.data"] as? [String: Any])
  }

  @Test(arguments: APIEngine.available)
  func `fill what a database lacks, and nothing the second time`(_ engine: APIEngine) throws {
    try withCells(engine) { bed, api, cells in
      let pci =
        #"[{"count": 1, "spec": [{"vendor_id": "8086"}], "alias_name": "a1", "is_new": false, "#
        + #""numa_policy": null, "request_id": null, "requester_id": null}]"#
      try cells.add(
        instance(1), in: 1, flavor: GlobalCells.flavor(3, "m1.small", extra: ["a:b": "caf\u{E9}"]),
        keyPairs: GlobalCells.keyPairs([("user-1", "key", "ssh-rsa AAA", "2026-01-01T00:00:00Z")]),
        numa: numa, pci: pci,
        metadata: [
          "image_min_disk": "20", "image_disk_format": "qcow2", "image_hw_disk_bus": "scsi",
          "image_trait:HW_CPU_X86_VMX": "required", "image_base_image_ref": "x",
          "image_hw_numa_cpus.0": "0-1", "owner_id": "y", "image_os_distro": "caf\u{E9} \u{1F600}",
        ], bootsFrom: "local")
      try cells.add(
        instance(2), in: 2, flavor: GlobalCells.flavor(5, "m1.large", memory: 4096), pci: nil,
        image: "", zone: nil, bootsFrom: "volume")
      try cells.add(instance(4), in: 1, flavor: GlobalCells.flavor(3, "m1.small"), deleted: 4)
      let published = try bed.publish(into: api, Run(globals: Self.all))
      #expect(published.done.leftCount == 0, "\(published.done.findings)")
      #expect(published.done.requestSpecs.added == 2 && published.done.flavors.added == 2)
      #expect(published.done.keyPairs.added == 1)
      #expect(published.plan.requestSpecs == published.done.requestSpecs)

      let first = try spec(instance(1), api)
      #expect(first["instance_uuid"] as? String == "\(instance(1))")
      #expect(first["project_id"] as? String == "project-1" && first["is_bfv"] as? Bool == false)
      #expect(first["availability_zone"] as? String == "zone-1")
      #expect(try fields(first["flavor"])["name"] as? String == "m1.small")
      let image = try fields(first["image"])
      #expect(image["id"] as? String == "2600a80d-4cc6-446f-bf38-062512d7708b")
      #expect(image["min_disk"] as? Int == 20 && image["disk_format"] as? String == "qcow2")
      let properties = try fields(image["properties"])
      #expect(properties["hw_disk_bus"] as? String == "scsi")
      #expect(properties["traits_required"] as? [String] == ["HW_CPU_X86_VMX"])
      #expect(properties["os_distro"] as? String == "caf\u{E9} \u{1F600}")
      #expect(properties.count == 3, "\(properties)")
      #expect(try fields(first["numa_topology"])["cells"] as? [String] == [])
      let requests = try #require(
        try fields(first["pci_requests"])["requests"] as? [[String: Any]])
      #expect(try fields(requests[0])["alias_name"] as? String == "a1")
      #expect(try fields(requests[0])["is_new"] == nil)

      let second = try spec(instance(2), api)
      #expect(second["is_bfv"] as? Bool == true && second["availability_zone"] is NSNull)
      #expect(try fields(second["image"])["id"] == nil)
      #expect(try api.value("SELECT count(*) FROM request_specs") == "2")

      #expect(try api.value("SELECT id FROM flavors WHERE flavorid = 'f3'") == "3")
      #expect(try api.value("SELECT memory_mb FROM flavors WHERE name = 'm1.large'") == "4096")
      #expect(try api.value("SELECT rxtx_factor FROM flavors WHERE id = 5") == "1.5")
      #expect(
        try api.value("SELECT value FROM flavor_extra_specs WHERE flavor_id = 3") == "caf\u{E9}")
      #expect(try api.value("SELECT public_key FROM key_pairs") == "ssh-rsa AAA")
      #expect(try api.value("SELECT type FROM key_pairs WHERE user_id = 'user-1'") == "ssh")

      let content = try api.content()
      let again = try bed.publish(into: api, Run(globals: Self.all))
      #expect(again.outcome == nil && again.plan.changesNothing)
      #expect(again.plan.requestSpecs.same == 2 && again.plan.flavors.same == 2)
      #expect(again.plan.keyPairs.same == 1)
      #expect(try api.content() == content)
      // Nova's own rows come behind them.
      _ = try api.run(
        "INSERT INTO flavors (name, memory_mb, vcpus, swap, flavorid) VALUES ('n', 1, 1, 0, 'n');")
      #expect(try api.value("SELECT count(*) FROM flavors") == "3")
    }
  }

  @Test(arguments: APIEngine.available)
  func `leave what is there as it is`(_ engine: APIEngine) throws {
    try withCells(engine) { bed, api, cells in
      _ = try api.run(
        """
        INSERT INTO flavors (id, name, memory_mb, vcpus, swap, flavorid)
          VALUES (3, 'other', 1, 1, 0, 'o'), (4, 'm1.small', 1, 1, 0, 'f9');
        INSERT INTO key_pairs (name, user_id, public_key) VALUES ('key', 'user-1', 'theirs');
        INSERT INTO request_specs (instance_uuid, spec) VALUES ('\(instance(1))', 'theirs');
        """)
      try cells.add(
        instance(1), in: 1, flavor: GlobalCells.flavor(9, "m1.small", memory: 9),
        keyPairs: GlobalCells.keyPairs([
          ("user-1", "key", "ours", "2026-01-01T00:00:00Z"),
          ("user-2", "key", "ours", "2026-01-01T00:00:00Z"),
        ]))
      try cells.add(instance(4), in: 1, flavor: GlobalCells.flavor(3, "m1.large"))
      try cells.add(instance(7), in: 1, flavor: GlobalCells.flavor(8, "m1.small", id: "old"))
      let published = try bed.publish(into: api, Run(globals: Self.all))
      #expect(published.done.leftCount == 0, "\(published.done.findings)")
      #expect(published.done.flavors.added == 1 && published.done.flavors.same == 1)
      #expect(published.done.flavors.surplus == 1)
      #expect(published.done.requestSpecs.same == 1 && published.done.requestSpecs.added == 2)
      #expect(published.done.keyPairs.same == 1 && published.done.keyPairs.added == 1)
      #expect(try api.value("SELECT memory_mb FROM flavors WHERE flavorid = 'f9'") == "1")
      // Its number is another's: it has one that no flavor had, in the map's copies either.
      #expect(try api.value("SELECT id FROM flavors WHERE flavorid = 'f3'") == "10")
      #expect(
        try api.value("SELECT value FROM flavor_extra_specs WHERE flavor_id = 10") == "shared")
      #expect(
        try api.value("SELECT public_key FROM key_pairs WHERE user_id = 'user-1'") == "theirs")
      #expect(
        try api.value("SELECT spec FROM request_specs WHERE instance_uuid = '\(instance(1))'")
          == "theirs")
    }
  }

  @Test func `the latest copy of a flavor or a key pair counts`() throws {
    try withCells { bed, api, cells in
      let made = ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"]
      // Made again under one name: the older one was deleted, or Nova had taken no other.
      try cells.add(instance(1), in: 1, flavor: GlobalCells.flavor(3, "m1.small", id: "old"))
      try cells.add(
        instance(4), in: 1, flavor: GlobalCells.flavor(7, "m1.small", id: "new"),
        keyPairs: GlobalCells.keyPairs([("u", "k", "second", made[1])]))
      // The same flavor, its extra specs changed between the two.
      try cells.add(
        instance(2), in: 2, flavor: GlobalCells.flavor(8, "m2", extra: ["a": "1"]),
        keyPairs: GlobalCells.keyPairs([("u", "k", "first", made[0])]),
        created: "2026-02-01 00:00:00")
      try cells.add(
        instance(5), in: 2, flavor: GlobalCells.flavor(8, "m2", extra: ["a": "2"]),
        created: "2026-03-01 00:00:00")
      let published = try bed.publish(into: api, Run(globals: Self.all))
      #expect(published.done.flavors.added == 2 && published.done.flavors.surplus == 1)
      #expect(try api.value("SELECT flavorid FROM flavors WHERE name = 'm1.small'") == "new")
      #expect(try api.value("SELECT value FROM flavor_extra_specs WHERE flavor_id = 8") == "2")
      #expect(try api.value("SELECT public_key FROM key_pairs") == "second")
    }
  }

  @Test func `an instance that is being built, or has no mapping, gets no request spec`() throws {
    try withCells { bed, api, cells in
      for number in [1, 4] {
        try cells.add(instance(number), in: 1, flavor: GlobalCells.flavor(3, "m1.small"))
      }
      try cells.add(instance(700), in: 1, flavor: GlobalCells.flavor(3, "m1.small"))
      try bed.publish(into: api)
      try api.addBuildRequest(instance(1))
      var run = Run(isNovaStopped: false, globals: [.requestSpecs])
      run.meanwhile = {
        _ = try? api.run(
          "DELETE FROM instance_mappings WHERE instance_uuid = '\(instance(4))';")
      }
      let published = try bed.publish(into: api, run)
      #expect(try api.value("SELECT count(*) FROM request_specs") == "0")
      #expect(published.done.requestSpecs.left == 1, "what was overtaken is named")
    }
  }

  @Test func `a cell that is away is named, and the same command finishes it`() throws {
    try withCells { bed, api, cells in
      for number in [1, 2] {
        try cells.add(
          instance(number), in: number, flavor: GlobalCells.flavor(number, "m\(number)"))
      }
      let path = bed.folder + "/2.sqlite"
      try FileManager.default.moveItem(atPath: path, toPath: path + ".away")
      let partly = try bed.publish(into: api, Run(globals: Self.all))
      #expect(Set(partly.done.unreadCells.keys) == [cell(2)])
      #expect(partly.done.requestSpecs.added == 1 && partly.done.flavors.added == 1)
      try FileManager.default.moveItem(atPath: path + ".away", toPath: path)
      let rest = try bed.publish(into: api, Run(globals: Self.all))
      #expect(rest.done.unreadCells.isEmpty)
      #expect(rest.done.requestSpecs.added == 1 && rest.done.flavors.added == 1)
    }
  }

  @Test func `what isn't as Nova writes it is named, and hinders nothing else`() throws {
    try withCells { bed, api, cells in
      try cells.add(instance(1), in: 1, flavor: "{")
      try cells.add(instance(2), in: 2, flavor: GlobalCells.flavor(3, "m1"), pci: "{}")
      try cells.add(instance(4), in: 1, flavor: nil)
      try cells.add(instance(5), in: 2, flavor: GlobalCells.flavor(3, "m1"), numa: "{\"a\": 1}")
      try cells.add(instance(7), in: 1, flavor: GlobalCells.flavor(3, "m1"), keyPairs: "[1]")
      try cells.add(instance(8), in: 2, flavor: GlobalCells.flavor(3, "m1"))
      let published = try bed.publish(into: api, Run(globals: Self.all))
      #expect(published.done.requestSpecs.added == 2 && published.done.requestSpecs.left == 4)
      #expect(published.done.flavors.added == 1 && published.done.flavors.left == 1)
      #expect(published.done.keyPairs.left == 1)
      #expect(Set(published.done.findings.map(\.kind)) == [.unpublishable])
      let keys = published.done.findings.filter { $0.table == "request_specs" }.map(\.key)
      #expect(Set(keys) == Set([1, 2, 4, 5].map { "\(instance($0))" }))
    }
  }

  @Test(arguments: APIEngine.available.filter { $0 != .sqlite })
  func `a flavor whose extra spec the database refuses is left out whole`(
    _ engine: APIEngine
  ) throws {
    try withCells(engine) { bed, api, cells in
      let long = String(repeating: "x", count: 300)
      try cells.add(
        instance(1), in: 1, flavor: GlobalCells.flavor(3, "m1", extra: ["a": "1", "b": long]))
      try cells.add(instance(2), in: 2, flavor: GlobalCells.flavor(4, "m2"))
      let published = try bed.publish(into: api, Run(globals: [.flavors]))
      #expect(published.done.flavors.left == 1 && published.done.flavors.added == 1)
      #expect(try api.value("SELECT count(*) FROM flavors") == "1")
      #expect(try api.value("SELECT count(*) FROM flavor_extra_specs") == "1")
    }
  }

  @Test(arguments: APIEngine.available)
  func `statements in a file do the same, and their inverse puts everything back`(
    _ engine: APIEngine
  ) throws {
    try withCells(engine) { bed, api, cells in
      for number in [1, 2, 4] {
        try cells.add(
          instance(number), in: number == 2 ? 2 : 1,
          flavor: GlobalCells.flavor(number, "m'\(number)", extra: ["a": "b'c", "d": "\u{E9}"]),
          keyPairs: GlobalCells.keyPairs([("u", "k'\(number)", "key", "2026-01-01T00:00:00Z")]))
      }
      let before = try api.content()
      let path = bed.folder + "/publish.sql"
      try bed.writeScript(for: api, to: path, globals: Self.all)
      #expect(try api.content() == before)
      _ = try api.run(try String(contentsOfFile: path, encoding: .utf8))
      #expect(try bed.publish(into: api, Run(globals: Self.all)).plan.changesNothing)
      #expect(try api.value("SELECT count(*) FROM flavor_extra_specs") == "6")
      #expect(try api.value("SELECT count(*) FROM request_specs") == "3")
      _ = try api.run(try String(contentsOfFile: path + ".undo", encoding: .utf8))
      #expect(try api.content() == before)
    }
  }

  @Test func `a database without one of the tables is refused, and only if it is asked for`() throws
  {
    try withCells { bed, api, _ in
      _ = try api.run("ALTER TABLE key_pairs DROP COLUMN public_key;")
      #expect(throws: PublicationError.self) {
        try bed.publish(into: api, Run(globals: [.keyPairs]))
      }
      #expect(try api.value("SELECT count(*) FROM cell_mappings") == "0")
      try bed.publish(into: api, Run(globals: [.flavors]))
    }
  }

  @Test func `nothing is left of what was gathered`() throws {
    try withCells { bed, api, cells in
      try cells.add(instance(1), in: 1, flavor: GlobalCells.flavor(1, "m1"))
      let names = { try FileManager.default.contentsOfDirectory(atPath: bed.store).sorted() }
      try bed.publish(into: api)
      let before = try names()
      try bed.publish(into: api, Run(globals: Self.all))
      #expect(try names() == before)
    }
  }
}
