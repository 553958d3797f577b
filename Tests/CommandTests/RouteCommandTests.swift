import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct RouteCommandTests {
  @Test func `each fate of an instance has its own answer and exit code`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let alpha = NovaCellFile(path: bed.path("alpha.sqlite"))
      try alpha.execute(
        "UPDATE instances SET deleted = id WHERE uuid = '\(instance(0))'; "
          + "DELETE FROM instances WHERE uuid = '\(instance(2))'")
      try bed.done(
        "instance", "map", "\(instance(100))", "--project", "p", "--reason", "no cell yet")
      func route(_ number: Int) throws -> (status: Int32, fields: [String: Any]) {
        let ran = try bed.run("route", "\(instance(number))", "--json")
        return (ran.status, try ran.object)
      }
      let deleted = try route(0)
      #expect(deleted.status == 0 && deleted.fields["deleted"] as? Bool == true)
      let missing = try route(2)
      #expect(missing.status == 1 && missing.fields["error"] != nil)
      #expect(missing.fields["cell_name"] as? String == "alpha")
      let none = try route(100)
      #expect(none.status == 0 && none.fields["cell"] is NSNull)
      let unknown = try route(999)
      #expect(unknown.status == 2 && unknown.fields["error"] != nil)

      try FileManager.default.removeItem(atPath: bed.path("beta.sqlite"))
      let gone = try route(1)
      #expect(gone.status == 7 && gone.fields["host"] is NSNull)
      #expect(gone.fields["last_known_host"] as? String == "beta-host")
      #expect(gone.fields["cell_name"] as? String == "beta")
      #expect(gone.fields["database"] as? String == "sqlite:///beta.sqlite")

      try FileManager.default.copyItem(
        atPath: bed.path("alpha.sqlite"), toPath: bed.path("beta.sqlite"))
      let foreign = try route(1)
      #expect(foreign.status == 7 && foreign.fields["host"] is NSNull)
      #expect((foreign.fields["error"] as? String)?.contains("of cell alpha.") == true)
    }
  }

  @Test func `a batch carries each error in its line, in the order asked`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let asked = [
        "\(instance(0))", "0x000000-0000-4000-8000-000000000001",
        "{00000001-0000-4000-8000-00000000000}", "\u{FF10}0000001-0000-4000-8000-000000000001",
        "\(instance(999))", String(repeating: "a", count: 1 << 20), "\(instance(1))".uppercased(),
      ]
      let ran = try bed.run(
        "route", "-", "--json", input: asked.joined(separator: "\n") + "\n")
      #expect(ran.status == 5 && ran.err.isEmpty)
      let lines = try ran.objects
      #expect(lines.count == asked.count)
      #expect(
        lines.map { $0["error"] == nil } == [true, false, false, false, false, false, true])
      #expect(lines.last?["instance"] as? String == "\(instance(1))")
      #expect(try bed.run("route", "\(instance(0))", "\(instance(999))", "--json").status == 5)
      #expect(try bed.run("route", "0x1").status == 64)
      let good = try bed.run("route", "-", input: "\(instance(0))\n\(instance(1))")
      #expect(good.status == 0 && good.out.split(separator: "\n").count == 3)
    }
  }

  @Test func `templates and relative paths are taken from what the caller names`() throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      try api.execute(
        "UPDATE cell_mappings SET transport_url = 'rabbit://{username}:{password}@mq1:5672/' "
          + "WHERE id = 2")
      try bed.done("init")
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      try bed.write(
        "[DEFAULT]\ntransport_url = rabbit://bob:f00@other:1/\n"
          + "[database]\nconnection = sqlite:///alpha.sqlite\n", to: "base.conf")
      let route = ["route", "\(instance(0))", "--json", "--reveal"]
      for (arguments, environment) in [
        (["--base", "base.conf"], [:]), ([], ["CELLMAP_BASE": "base.conf"]),
      ] as [([String], [String: String])] {
        let fields = try bed.done(route + arguments, environment: environment).object
        #expect(fields["queue"] as? String == "rabbit://bob:f00@mq1:5672/")
        #expect(fields["host"] as? String == "alpha-host")
      }
      let masked = try bed.done("route", "\(instance(0))", "--base", "base.conf")
      #expect(!masked.out.contains("f00"))

      try FileManager.default.createDirectory(
        atPath: bed.path("cells"), withIntermediateDirectories: false)
      try FileManager.default.moveItem(
        atPath: bed.path("beta.sqlite"), toPath: bed.path("cells/beta.sqlite"))
      let beta = ["route", "\(instance(1))"]
      #expect(try bed.run(beta).status == 7)
      try bed.done(beta + ["--base-directory", "cells"])
      try bed.done(beta, environment: ["CELLMAP_BASE_DIRECTORY": bed.path("cells")])
    }
  }
}
