import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct ReconcileCommandTests {
  private func alpha(_ bed: CommandBed) -> NovaCellFile {
    NovaCellFile(path: bed.path("alpha.sqlite"))
  }

  private func withCloud(_ body: (CommandBed) throws -> Void) throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      for name in ["cell0", "alpha", "beta"] {
        try NovaCellFile(path: bed.path("\(name).sqlite")).execute(
          """
          CREATE TABLE IF NOT EXISTS migrations (
            id INTEGER PRIMARY KEY, uuid VARCHAR(36), instance_uuid VARCHAR(36),
            source_compute VARCHAR(255), dest_compute VARCHAR(255), status VARCHAR(255),
            created_at DATETIME, cross_cell_move BOOLEAN);
          UPDATE instances SET created_at = '2026-01-02 03:04:08.000000';
          """)
      }
      try body(bed)
    }
  }

  @Test func `ends with 0 where the map and the cells agree`() throws {
    try withCloud { bed in
      let ran = try bed.run("reconcile", "--settle", "0s")
      #expect(ran.status == 0, "\(ran.err)")
      #expect(ran.out.contains("agree"))
    }
  }

  @Test func `prints a line for each finding and a trailer, and ends with 1`() throws {
    try withCloud { bed in
      try alpha(bed).add(instance(100))
      let ran = try bed.run("reconcile", "--settle", "0s", "--json")
      #expect(ran.status == 1, "\(ran.err)")
      let objects = try ran.objects
      #expect(objects.count == 2)
      #expect(objects[0]["finding"] as? String == "missing")
      #expect(objects[0]["instance"] as? String == "\(instance(100))")
      #expect(objects[0]["found_name"] as? String == "alpha")
      #expect(objects[1]["complete"] as? Bool == true)
      #expect(objects[1]["count"] as? Int == 1)
      #expect((objects[1]["cells"] as? [Any])?.count == 3)
      let position = objects[1]["position"] as? String
      #expect(
        try position != nil
          && bed.done("status", "--json").object["position"] as? String == position)
    }
  }

  @Test func `an instance that no cell has, but one that wasn't read, is undecided`() throws {
    try withCloud { bed in
      // Mapped to beta, which has lost it; alpha, which is away, has it.
      let id = "\(instance(1))"
      try NovaCellFile(path: bed.path("beta.sqlite")).execute(
        "DELETE FROM instances WHERE uuid = '\(id)'")
      try NovaCellFile(path: bed.path("alpha.sqlite")).add(instance(1))
      try FileManager.default.moveItem(
        atPath: bed.path("alpha.sqlite"), toPath: bed.path("alpha.away"))
      let away = try bed.run("reconcile", id)
      #expect(away.status == 5 && !away.out.contains("orphaned"), "\(away)")
      try FileManager.default.moveItem(
        atPath: bed.path("alpha.away"), toPath: bed.path("alpha.sqlite"))
      let back = try bed.run("reconcile", id)
      #expect(back.status == 1 && back.out.contains("wrong"), "\(back)")
    }
  }

  @Test func `ends with 5 where a cell can't be read`() throws {
    try withCloud { bed in
      try FileManager.default.removeItem(atPath: bed.path("alpha.sqlite"))
      let ran = try bed.run("reconcile", "--settle", "0s", "--json")
      #expect(ran.status == 5)
      #expect(try ran.object["complete"] as? Bool == false)
    }
  }

  @Test func `waits before it looks again`() throws {
    try withCloud { bed in
      try alpha(bed).add(instance(100))
      let began = ContinuousClock.now
      try bed.run("reconcile", "--settle", "1s")
      #expect(began.duration(to: .now) >= .seconds(1))
    }
  }

  @Test func `mends, repeats its answer, and ends with 0`() throws {
    try withCloud { bed in
      try alpha(bed).add(instance(100))
      let words = [
        "reconcile", "--settle", "0s", "--apply", "missing", "owner", "--reason", "t",
        "--request-id", "\(UUID128(high: 5, low: 5))", "--json",
      ]
      let first = try bed.run(words)
      #expect(first.status == 0, "\(first.err)")
      let mended = try #require(try first.objects.last?["mended"] as? [String: Any])
      #expect(mended["instances"] as? Int == 1)
      #expect(
        try bed.done("instance", "show", "\(instance(100))", "--json").object["cell_name"]
          as? String == "alpha")
      let again = try bed.done(words)
      #expect(try again.object["repeated"] as? Bool == true)
    }
  }

  @Test func `shows what it would mend`() throws {
    try withCloud { bed in
      try alpha(bed).add(instance(100))
      let before = try bed.done("status", "--json").object["position"] as? String
      let ran = try bed.run("reconcile", "--settle", "0s", "--apply", "missing", "--dry-run")
      #expect(ran.status == 1)
      #expect(ran.out.contains("1 findings would be mended"))
      #expect(try bed.done("status", "--json").object["position"] as? String == before)
    }
  }

  @Test func `ends with 9 where it refuses, and says what to do`() throws {
    try withCloud { bed in
      for number in [100, 101] { try alpha(bed).add(instance(number)) }
      let ran = try bed.run("reconcile", "--settle", "0s", "--apply", "missing", "--reason", "t")
      #expect(ran.status == 9)
      #expect(ran.err.contains("--limit 2"))
    }
  }

  @Test(arguments: [
    ["--apply", "kept-mark", "--reason", "t"], ["--apply", "nonsense", "--reason", "t"],
    ["--unmap"], ["--settle", "5"], ["--lost", "alpha", "--apply", "missing"],
  ])
  func `refuses what it doesn't take`(_ words: [String]) throws {
    try withCloud { bed in
      let ran = try bed.run(["reconcile"] + words)
      #expect(ran.status == 64)
    }
  }

  @Test func `wants a reason for a mend`() throws {
    try withCloud { bed in
      let ran = try bed.run("reconcile", "--apply", "missing")
      #expect(ran.status == 64)
    }
  }

  @Test func `answers for single instances: fine, a finding, unknown`() throws {
    try withCloud { bed in
      let fine = try bed.run("reconcile", "\(instance(0))", "--json")
      #expect(fine.status == 0, "\(fine.err)")
      #expect(try fine.object["verdict"] as? String == "fine")
      try alpha(bed).execute("DELETE FROM instances WHERE uuid = '\(instance(0))'")
      try NovaCellFile(path: bed.path("beta.sqlite")).add(instance(0))
      let wrong = try bed.run("reconcile", "\(instance(0))")
      #expect(wrong.status == 1)
      #expect(
        wrong.out.hasPrefix("\(instance(0)): wrong cell: mapped to alpha, and in beta\n"),
        "\(wrong)")
      #expect(wrong.out.contains("cellmap reconcile --apply wrong-cell --reason TEXT"))
      let unknown = try bed.run("reconcile", "\(instance(999))")
      #expect(unknown.status == 2)
      // Beta might have a copy of what is where it should be.
      #expect(unlink(bed.path("beta.sqlite")) == 0)
      let partly = try bed.run("reconcile", "\(instance(2))")
      #expect(partly.status == 5 && partly.err.contains("Cell beta was not asked"), "\(partly)")
      #expect(partly.out.contains("in cell alpha, as the map says"), "\(partly)")
    }
  }

  @Test func `of a single instance the row is named that can't be read`() throws {
    try withCloud { bed in
      let id = "\(instance(0))"
      try alpha(bed).execute("UPDATE instances SET created_at = 'x' WHERE uuid = '\(id)'")
      let all = try bed.run("reconcile", "--settle", "0s")
      #expect(all.status == 1 && !all.out.contains("The map and the cells agree"), "\(all)")
      let ran = try bed.run("reconcile", id)
      #expect(ran.status == 5, "\(ran)")
      #expect(ran.out.contains("(Cell alpha, instances row "), "\(ran)")
      #expect(ran.out.contains("correct it in the cell"), "\(ran)")
      let object = try bed.run("reconcile", id, "--json").object
      #expect(object["verdict"] as? String == "pending")
      #expect((object["unreadable"] as? [String])?.count == 1, "\(object)")
    }
  }

  @Test func `a comparison makes no mapping sure that was made while a cell was away`() throws {
    try withCloud { bed in
      try bed.done("rebuild", "--reason", "t")
      let (beta, aside) = (bed.path("beta.sqlite"), bed.path("aside.sqlite"))
      try alpha(bed).add(instance(900))
      let mend = ["reconcile", "--apply", "missing", "--settle", "0s", "--reason", "t"]
      try FileManager.default.moveItem(atPath: beta, toPath: aside)
      #expect(try bed.run(mend + ["--provisional"]).status == 5)
      try FileManager.default.moveItem(atPath: aside, toPath: beta)
      #expect(
        try bed.done("route", "\(instance(900))", "--json").object["cell_name"] as? String
          == "alpha")
      try NovaCellFile(path: beta).add(instance(900))
      try alpha(bed).add(instance(901))
      let mended = try bed.run(mend)
      #expect(mended.status == 1 && mended.out.contains("Mended 1 instance"), "\(mended)")
      #expect(try bed.run("rebuild", "--reason", "t").status == 1)
      let routed = try bed.run("route", "\(instance(900))", "--json")
      #expect(try routed.object["outcome"] as? String == "in_conflict", "\(routed)")
    }
  }

  @Test func `what a comparison has mapped that read every cell stays beside a later copy`() throws
  {
    try withCloud { bed in
      try bed.done("rebuild", "--reason", "t")
      try alpha(bed).add(instance(900))
      try bed.done("reconcile", "--apply", "missing", "--settle", "0s", "--reason", "t")
      try NovaCellFile(path: bed.path("beta.sqlite")).add(instance(900))
      #expect(try bed.run("rebuild", "--reason", "t").status == 1)
      let routed = try bed.done("route", "\(instance(900))", "--json").object
      #expect(routed["cell_name"] as? String == "alpha")
    }
  }

  @Test func `lists what a restored cell has lost`() throws {
    try withCloud { bed in
      #expect(try bed.run("reconcile", "--lost", "alpha").status == 0)
      try alpha(bed).execute("DELETE FROM instances WHERE uuid = '\(instance(2))'")
      let ran = try bed.run("reconcile", "--lost", "alpha", "--json")
      #expect(ran.status == 1)
      let objects = try ran.objects
      #expect(objects[0]["instance"] as? String == "\(instance(2))")
      #expect(objects[0]["project"] as? String == "project-1")
      #expect(objects[0]["last_known_host"] as? String == "alpha-host")
      #expect(objects[1]["lost"] as? Int == 1)
    }
  }

  @Test func `leaves out what Nova is building`() throws {
    try withCloud { bed in
      try NovaCellFile(path: bed.path("api.sqlite")).execute(
        "CREATE TABLE build_requests (id INTEGER PRIMARY KEY, instance_uuid VARCHAR(36)); "
          + "INSERT INTO build_requests (instance_uuid) VALUES ('\(instance(100))')")
      try alpha(bed).add(instance(100))
      let ran = try bed.run("reconcile", "--settle", "0s", "--api", "sqlite:///api.sqlite")
      #expect(ran.status == 0, "\(ran.out) \(ran.err)")
    }
  }
}
