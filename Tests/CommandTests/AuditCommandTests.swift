import Foundation
import Journal
import TestSupport
import Testing

/// Questions about the past, asked of the command.
@Suite(.waiting) struct AuditCommandTests {
  private let one = "\(instance(1))"
  private let two = "\(instance(2))"

  /// A store in which instance 1 came to alpha, was queued for delete, and moved to beta; instance 2
  /// came and went; alpha has got another name and database. Gives the position of each step.
  private func makePast(_ bed: CommandBed) throws -> [String: String] {
    try bed.makeStore()
    var places: [String: String] = [:]
    func step(_ name: String, _ words: String...) throws {
      let made = try bed.done(words + ["--reason", "why \(name)", "--json"]).object
      places[name] = try #require(made["position"] as? String)
    }
    try step("boot", "instance", "map", one, "--cell", "alpha", "--project", "p1", "--user", "u")
    try step("second", "instance", "map", two, "--cell", "beta", "--project", "p2")
    try step("host", "host", "add", "compute-9", "--cell", "alpha")
    try step("mark", "instance", "delete-mark", one)
    try step("rename", "cell", "rename", "alpha", "gamma")
    try step(
      "address", "cell", "address", "gamma", "--database", "sqlite:///other.sqlite")
    try step("move", "instance", "remap", one, "--cell", "beta")
    try step("gone", "instance", "unmap", two)
    return places
  }

  @Test(.enabled(if: getuid() == 0, "mounting a file system needs root"))
  func `a store that is mounted for reading only answers of the whole map of then`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done(
        "instance", "map", "\(instance(1))", "--cell", "alpha", "--project", "p", "--reason", "r")
      let position = try bed.done("status", "--json").object["position"] as? String ?? ""
      let disk = bed.path("disk")
      try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: true)
      guard mount("tmpfs", disk, "tmpfs", 0, "size=64m,mode=0700") == 0 else { return }
      defer { umount2(disk, Int32(MNT_DETACH)) }
      try FileManager.default.moveItem(atPath: bed.path("store"), toPath: disk + "/store")
      #expect(mount("tmpfs", disk, "tmpfs", UInt(MS_REMOUNT | MS_RDONLY), nil) == 0)
      let there = ["CELLMAP_STORE": "disk/store"]
      let counted = try bed.run(
        ["audit", "at", position, "instance", "list", "--count", "--json"], environment: there)
      #expect(counted.status == 0, "\(counted)")
      #expect(try counted.object["count"] as? Int == 1)
      for words in [["replay", "--dry-run"], ["audit", "verify"]] {
        let ran = try bed.run(words, environment: there)
        #expect(ran.status == 0, "\(words): \(ran)")
      }
    }
  }

  @Test func `history tells a life, as versions that follow each other`() throws {
    try withCommand { bed in
      let places = try makePast(bed)
      let lines = try bed.done("audit", "history", one, "--json").objects
      #expect(
        lines.map { $0["event"] as? String } == [
          "instance mapped", "instance deletion mark changed", "instance moved",
        ])
      #expect(
        lines.map { $0["position"] as? String } == ["boot", "mark", "move"].map { places[$0] })
      #expect(lines.map { $0["until"] as? String } == [places["mark"], places["move"], nil])
      #expect(lines.map { $0["reason"] as? String } == ["why boot", "why mark", "why move"])
      let moved = try #require(lines[2]["changes"] as? [String: [String: Any]])
      #expect(moved.keys.sorted() == ["cell"])
      #expect(moved["cell"]?["from"] as? String == "\(cell(1))")
      #expect(moved["cell"]?["to"] as? String == "\(cell(2))")
      #expect((lines[1]["record"] as? [String: Any])?["queued_for_delete"] as? Bool == true)
      let told = try bed.done("audit", "history", one, "host:compute-9", "gamma", "alpha", "store")
      #expect(told.out.contains("moved from gamma to beta") && told.out.contains("why move"))
      #expect(told.out.contains("mapped to cell gamma"))
      #expect(told.out.contains("renamed from alpha to gamma"))
      #expect(told.out.contains("epoch 1 opened"))
      let then = try bed.done(
        "audit", "history", one, "--until", #require(places["mark"]), "--json"
      ).objects
      #expect(then.count == 2 && then[1]["until"] is NSNull)
      #expect(then[1]["read_up_to"] as? String == places["mark"])
      #expect(
        try bed.done("audit", "history", one, "--until", #require(places["mark"])).out
          .contains("True at \(places["mark"] ?? "")."))
      for words in [["route", one, "--at"], ["audit", "explain", one], ["audit", "diff"]] {
        let ran = try bed.run(words + ["2999-01-01T00:00:00Z"])
        #expect(ran.status == 64 && ran.err.contains("future"), "\(words): \(ran)")
      }
      #expect(try bed.run("audit", "history", "nothing").status == 2)
      #expect(try bed.run("audit", "history", "\(instance(9))").status == 2)
    }
  }

  @Test func `read commands answer as the map stood then, and say so`() throws {
    try withCommand { bed in
      let places = try makePast(bed)
      let (boot, mark) = (try #require(places["boot"]), try #require(places["mark"]))
      let route = try bed.done("audit", "at", mark, "route", one, "--json").object
      let before = try bed.done("audit", "at", mark, "--json", "--store", "store", "route", one)
      #expect(try before.object["position"] as? String == route["position"] as? String)
      #expect(route["cell_name"] as? String == "alpha")
      #expect(route["database"] as? String == "sqlite:///alpha.sqlite")
      #expect((route["queue"] as? String)?.hasPrefix("rabbit://nova:") == true)
      #expect(route["host"] is NSNull && route["last_known_host"] is NSNull)
      #expect(route["position"] as? String == mark && route["past"] as? Bool == true)
      #expect(route["queued_for_delete"] as? Bool == true)
      let later = try bed.done("route", one, "--at", #require(places["move"]), "--json").object
      #expect(later["cell_name"] as? String == "beta")
      let shown = try bed.done("instance", "show", one, "--at", boot, "--json").object
      #expect(shown["cell_name"] as? String == "alpha" && shown["past"] as? Bool == true)
      #expect(shown["queued_for_delete"] as? Bool == false)
      let renamed = try bed.done(
        "cell", "list", "--at", #require(places["rename"]), "--json"
      ).objects
      #expect(renamed.compactMap { $0["cell_name"] as? String } == ["cell0", "gamma", "beta"])
      #expect(renamed[1]["database"] as? String == "sqlite:///alpha.sqlite")
      let alpha = try bed.done("cell", "show", "alpha", "--at", boot, "--json").object
      #expect(alpha["cell"] as? String == "\(cell(1))")
      #expect(try bed.done("host", "list", "--at", boot, "--json").objects.isEmpty)
      #expect(try bed.done("host", "list", "--at", mark, "--json").objects.count == 1)
      let list = try bed.done("audit", "at", mark, "instance", "list", "--json").objects
      #expect(list.compactMap { $0["instance"] as? String } == [one, two])
      #expect(list.allSatisfy { $0["position"] as? String == mark && $0["past"] as? Bool == true })
      let count = try bed.done("instance", "list", "--count", "--at", boot, "--json").object
      #expect(count["count"] as? Int == 1 && count["position"] as? String == boot)
      for words in [["route", one], ["instance", "list"], ["cell", "list"], ["host", "list"]] {
        #expect(try bed.done(words + ["--at", mark]).out.hasPrefix("As of \(mark) ("))
      }
      #expect(
        !FileManager.default.subpaths(atPath: bed.path("store"))!.contains {
          $0.hasPrefix("verify-")
        })
    }
  }

  @Test func `what isn't there then, or can't be asked, is refused with the next step`() throws {
    try withCommand { bed in
      let places = try makePast(bed)
      let boot = try #require(places["boot"])
      let absent = try bed.run("route", two, "--at", boot)
      #expect(absent.status == 2 && absent.err.contains("no mapping of instance \(two) at \(boot)"))
      #expect(try bed.run("route", one, two, "x", "--at", boot).status == 5)
      #expect(try bed.run("instance", "show", two, "--at", boot).status == 2)
      #expect(try bed.run("cell", "show", "gamma", "--at", boot).status == 2)
      for when in ["x", "2:3", "99999", "1999-01-01T00:00:00Z", "2000d ago"] {
        let ran = try bed.run("route", one, "--at", when)
        #expect(ran.status == 64 && !ran.err.isEmpty, "\(when)")
      }
      #expect(try bed.run("instance", "list", "--live", "--at", boot).status == 64)
      let change = try bed.run("audit", "at", boot, "cell", "rename", "beta", "x", "--reason", "t")
      #expect(change.status == 64 && change.err.contains("instance list"))
      #expect(try bed.run("audit", "at", boot).status == 64)
      for second in [["--at", "1"], ["--at=1"]] {
        let twice = try bed.run(["audit", "at", boot, "route", one] + second)
        #expect(twice.status == 64 && twice.err.contains("leave --at out"), "\(twice.err)")
      }
      // Any time from the last entry on is the head's.
      let now = try bed.done("route", one, "--at", "0s ago", "--json").object
      #expect(now["position"] as? String == places["gone"])
    }
  }

  @Test func `a secret of the past is shown only where it is asked for`() throws {
    try withCommand { bed in
      let places = try makePast(bed)
      let mark = try #require(places["mark"])
      let masked = try bed.done("route", one, "--at", mark)
      #expect(!masked.out.contains(":pw@"))
      let whole = try bed.done("route", one, "--at", mark, "--reveal", "--json").object
      #expect(whole["queue"] as? String == "rabbit://nova:pw@alpha:5672/")
      for words in [["history", "gamma"], ["diff", "1"], ["explain", one]] {
        for json in [[], ["--json"]] {
          #expect(try !bed.done(["audit"] + words + json).out.contains("pw@"), "\(words)")
        }
      }
    }
  }

  @Test func `diff shows what changed, by which entries, and filters it`() throws {
    try withCommand { bed in
      let places = try makePast(bed)
      let boot = try #require(places["boot"])
      let lines = try bed.done("audit", "diff", boot, "--json").objects
      let summary = try #require(lines.last)
      #expect(summary["from"] as? String == boot && summary["to"] as? String == places["gone"])
      // Instance 2 came and went.
      #expect(summary["different"] as? Int == 3 && summary["as_before"] as? Int == 1)
      let moved = try #require(lines.first { $0["instance"] as? String == one })
      #expect(moved["change"] as? String == "changed")
      #expect(moved["entries"] as? [String] == ["mark", "move"].compactMap { places[$0] })
      let flows = try #require(summary["cells"] as? [String: [String: Int]])
      #expect(flows["gamma"] == ["came": 0, "left": 1, "changed": 0])
      #expect(flows["beta"] == ["came": 1, "left": 0, "changed": 0])
      let told = try bed.done("audit", "diff", boot)
      #expect(
        told.out.contains("cell gamma → beta") && told.out.contains("cell_name alpha → gamma"))
      func different(_ words: String...) throws -> Int? {
        try bed.done(["audit", "diff", boot, "--json"] + words).objects.last?["different"] as? Int
      }
      #expect(try different("--cell", "beta") == 1)
      #expect(try different("--cell", "gamma") == 3)
      #expect(try different("--project", "p1") == 1)
      #expect(try different("--project", "p2") == 0)
      #expect(try different("--host", "compute-9") == 1)
      #expect(try bed.done("audit", "diff", boot, boot).out.contains("Nothing is different"))
      let gone = try #require(places["gone"])
      #expect(try bed.run("audit", "diff", gone, boot).status == 64)
    }
  }

  @Test func `explain names the entry behind each part of a route`() throws {
    try withCommand { bed in
      let places = try makePast(bed)
      func entries(_ words: String...) throws -> [String: String] {
        var found: [String: String] = [:]
        for line in try bed.done(["audit", "explain", one, "--json"] + words).objects {
          let part = "\(line["kind"] as? String ?? "").\(line["part"] as? String ?? "")"
          found[part] = line["entry"] as? String
        }
        return found
      }
      let then = try entries(#require(places["address"]))
      #expect(then["instance.cell"] == places["boot"])
      #expect(then["instance.queued_for_delete"] == places["mark"])
      #expect(then["cell.cell_name"] == places["rename"])
      #expect(then["cell.database"] == places["address"])
      let now = try entries()
      #expect(now["instance.cell"] == places["move"])
      #expect(now["instance.project"] == places["boot"])
      let told = try bed.done("audit", "explain", one)
      #expect(told.out.contains("why move") && told.out.contains("instance moved"))
      let gone = try bed.run("audit", "explain", two)
      #expect(gone.status == 2 && gone.err.contains(places["gone"] ?? "?"))
    }
  }

  @Test func `who counts entries by request, the biggest first, and by what is asked`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("cell", "rename", "alpha", "gamma", "--reason", "ticket 7")
      let lines = try bed.done("audit", "who", "--json").objects
      let summary = try #require(lines.last)
      let counts = lines.dropLast().compactMap { $0["entries"] as? Int }
      #expect(counts == counts.sorted(by: >) && counts.reduce(0, +) == summary["entries"] as? Int)
      #expect((lines[0]["events"] as? [String: Int])?["instance mapped"] == 20)
      #expect(lines[0]["reason"] as? String == "t")
      let one = try bed.done("audit", "who", "--reason", "ticket", "--json").objects
      #expect(one.first?["entries"] as? Int == 1 && one.first?["reason"] as? String == "ticket 7")
      let request = try #require(one.first?["request"] as? String)
      #expect(try bed.done("audit", "who", "--request", request, "--json").objects.count == 2)
      let kinds = try bed.done("audit", "who", "--by", "kind", "--json").objects
      #expect(
        kinds.contains { $0["kind"] as? String == "cell renamed" && $0["entries"] as? Int == 1 })
      let cells = try bed.done("audit", "who", "--by", "cell").out
      #expect(cells.contains("gamma") && cells.contains("beta"))
      let named = try bed.done(
        "audit", "who", "--cell", "alpha", "--event", "instance mapped", "--json"
      ).objects
      #expect(named.last?["entries"] as? Int == 10)
      #expect(try bed.done("audit", "who", "--actor", "nobody else").out.contains("No entry"))
      let none = try bed.done("audit", "who", "--since", "0s ago", "--json").objects
      #expect(none.last?["entries"] as? Int == 0)
      #expect(try bed.run("audit", "who", "--event", "x").status == 64)
      #expect(try bed.run("audit", "who", "--cell", "x").status == 2)
    }
  }

  @Test func `stats counts what happened, with growth and churn`() throws {
    try withCommand { bed in
      _ = try makePast(bed)
      let found = try bed.done("audit", "stats", "--json").object
      #expect(found["mapped"] as? Int == 2 && found["unmapped"] as? Int == 1)
      #expect(found["growth"] as? Int == 1 && found["churn"] as? Int == 4)
      let cells = try #require(found["cells"] as? [String: [String: Int]])
      #expect(cells["\(cell(2))"]?["moved_in"] == 1 && cells["\(cell(1))"]?["moved_out"] == 1)
      #expect(cells["\(cell(2))"]?["growth"] == 1 && cells["\(cell(1))"]?["growth"] == 0)
      let projects = try #require(found["projects"] as? [String: [String: Int]])
      #expect(projects["p2"]?["growth"] == 0 && projects["p1"]?["growth"] == 1)
      #expect((found["days"] as? [String: Any])?.isEmpty == false)
      #expect((found["events"] as? [String: Int])?["instance moved"] == 1)
      let told = try bed.done("audit", "stats")
      #expect(told.out.contains("Churn 4, growth 1 instances."))
      #expect(try bed.done("audit", "stats", "--actor", "nobody else").out.contains("No entry"))
    }
  }

  @Test func `an observed change says what can't be known`() throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      try bed.done("init")
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      try api.execute(
        "UPDATE instance_mappings SET cell_id = 3 WHERE instance_uuid = '\(instance(0))'")
      try bed.done("adopt", "sqlite:///api.sqlite", "--follow", "--rounds", "1")
      let line = try #require(
        try bed.done("audit", "history", "\(instance(0))", "--json").objects.last)
      #expect(line["observed"] as? Bool == true && line["actor"] as? String == "observed")
      #expect(line["observed_to"] is String && line["observed_note"] is String)
      let told = try bed.done("audit", "history", "\(instance(0))")
      #expect(told.out.contains("author unknown, between"))
      #expect(try bed.done("audit", "explain", "\(instance(0))").out.contains("author unknown"))
    }
  }

  @Test func `a restored store answers over both epochs`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done(
        "instance", "map", one, "--cell", "alpha", "--project", "p", "--reason", "first")
      try bed.done("backup", "create", "b")
      try bed.done("instance", "remap", one, "--cell", "beta", "--reason", "left behind")
      let leftAt =
        try bed.done("audit", "history", one, "--json").objects.last?["ordered_at"] as? String
      #expect(try bed.done("audit", "history", one, "--json").objects.count == 2)
      try bed.done("backup", "restore", "b", "--reason", "back")
      try bed.done("instance", "delete-mark", one, "--reason", "after")
      let lines = try bed.done("audit", "history", one, "--json").objects
      let positions = lines.compactMap { $0["position"] as? String }
      #expect(positions.count == 2 && positions[0].hasPrefix("1:") && positions[1].hasPrefix("2:"))
      #expect(lines.compactMap { $0["reason"] as? String } == ["first", "after"])
      let then = try bed.done("route", one, "--at", positions[0], "--json").object
      #expect(then["cell_name"] as? String == "alpha")
      // The map was in beta then; the journal has left that, and says so.
      let time = try #require(leftAt)
      let left = try bed.done("audit", "at", time, "route", one)
      #expect(left.err.contains("left its entries") && left.err.contains("epoch 2"), "\(left)")
      let at = try bed.done("audit", "at", positions[0], "route", one)
      #expect(!at.err.contains("left its entries"))
      // Restores belong to no request, and none is counted with another.
      let who = try bed.done("audit", "who", "--json").objects.dropLast()
      let lone = who.filter { $0["request"] is NSNull }
      #expect(lone.contains { $0["reason"] as? String == "back" }, "\(who)")
      #expect(try bed.run("route", one, "--at", "1" + positions[1].dropFirst()).status == 64)
      #expect(try bed.done("audit", "history", "store").out.contains("epoch 2 opened: restored"))
    }
  }

  @Test func `the history is kept beside the index, shown, checked and made again`() throws {
    try withCommand { bed in
      _ = try makePast(bed)
      #expect(try bed.done("status", "--json").object["history"] is NSNull)
      let made = try bed.done("replay", "--history", "--json").object
      let status = try bed.done("status", "--json").object
      #expect(status["history"] as? String == "history-1.sqlite")
      #expect(status["history_position"] as? String == made["position"] as? String)
      #expect(status["history_bytes"] as? Int ?? 0 > 0)
      let verified = try bed.done("audit", "verify", "--json").object
      #expect(verified["history_position"] as? String == made["position"] as? String)
      #expect((verified["history_digest"] as? String)?.count == 64)
      #expect(try bed.done("replay", "--history").out.contains("history-2.sqlite"))
      let path = bed.path("store/history-2.sqlite")
      var bytes = try Data(contentsOf: URL(filePath: path))
      // In the last page, where rows are.
      for place in (bytes.count - 40)..<bytes.count { bytes[place] ^= 0x55 }
      try bytes.write(to: URL(filePath: path))
      let damaged = try bed.run("audit", "verify")
      #expect(damaged.status == 4 && damaged.err.contains("replay --history"), "\(damaged.err)")
      try bed.done("replay", "--history")
      try bed.done("audit", "verify")
    }
  }
}
