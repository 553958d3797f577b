import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct LiveListTests {
  private func list(_ bed: CommandBed, _ arguments: String...) throws -> CommandBed.Ran {
    try bed.run(["instance", "list", "--live"] + arguments)
  }

  /// The lines of instances, and the summary.
  private func answer(
    _ ran: CommandBed.Ran
  ) throws -> (rows: [[String: Any]], summary: [String: Any]) {
    let objects = try ran.objects
    let summary = try #require(objects.last)
    #expect(objects.filter { $0["instance"] == nil }.count == 1)
    return (Array(objects.dropLast()), summary)
  }

  private func cells(_ summary: [String: Any]) throws -> [String: [String: Any]] {
    let cells = try #require(summary["cells"] as? [[String: Any]])
    return Dictionary(uniqueKeysWithValues: cells.map { ("\($0["cell_name"] ?? "")", $0) })
  }

  @Test func `prints an instance a line, and a summary in the last`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let (rows, summary) = try answer(list(bed, "--json", "--limit", "4"))
      #expect(rows.map { $0["instance"] as? String } == (0..<4).map { "\(instance($0))" })
      let first = rows[0]
      #expect(first["status"] as? String == "LIVE" && first["cell_name"] as? String == "alpha")
      #expect(first["host"] as? String == "alpha-host" && first["state"] as? String == "active")
      #expect(first["deleted"] as? Bool == false && first["display_name"] as? String == "vm")
      #expect(first["created_at"] as? String == "2026-01-01T05:16:48Z")
      #expect(summary["complete"] as? Bool == true && summary["count"] as? Int == 4)
      #expect(summary["unlisted_without_cell"] as? Int == 0)
      let alpha = try #require(try cells(summary)["alpha"])
      #expect(alpha["outcome"] as? String == "answered" && alpha["rows"] as? Int == 2)
      #expect(alpha["batches"] as? Int == 1 && alpha["unlisted"] as? Int == 0)
      let next = try #require(summary["next"] as? String)
      let (rest, end) = try answer(list(bed, "--json", "--page-token", next))
      #expect(rest.map { $0["instance"] as? String } == (4..<20).map { "\(instance($0))" })
      #expect(end["next"] is NSNull)
      let after = try answer(list(bed, "--json", "--marker", "\(instance(17))"))
      #expect(after.rows.map { $0["instance"] as? String } == (18..<20).map { "\(instance($0))" })
    }
  }

  @Test func `sorts and filters`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let sorted = try answer(list(bed, "--json", "--sort", "host:desc,uuid:desc", "--limit", "2"))
      #expect(
        sorted.rows.map { $0["instance"] as? String } == ["\(instance(19))", "\(instance(17))"])
      let page = try answer(list(bed, "--json", "--changed-since", "36500d ago", "--limit", "15"))
      let since = try #require(page.summary["changed_since"] as? String)
      let next = try #require(page.summary["next"] as? String)
      let rest = try answer(list(bed, "--json", "--changed-since", since, "--page-token", next))
      #expect(rest.rows.count == 5)
      for (arguments, count) in [
        (["--host", "beta-host"], 10), (["--vm-state", "error"], 0), (["--name", "m"], 20),
        (["--changed-since", "2026-01-01T05:16:49Z"], 0), (["--cell", "beta"], 10),
        (["--changed-since", "36500d ago"], 20), (["--changed-since", "1s ago"], 0),
        (["--cell", "none"], 0), (["--project", "project-1", "--user", "user-1"], 20),
        (["--project", "nobody", "--all-cells"], 0), (["--deleted"], 20), (["--deleted-only"], 0),
        (["--hidden"], 20),
      ] {
        let ran = try bed.done(["instance", "list", "--live", "--json"] + arguments)
        #expect(try answer(ran).rows.count == count, "\(arguments)")
      }
    }
  }

  @Test func `a cell that is gone leaves its instances to the map, and is named`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try FileManager.default.removeItem(atPath: bed.path("beta.sqlite"))
      let ran = try list(bed, "--json")
      let (rows, summary) = try answer(ran)
      #expect(ran.status == 0 && ran.err.isEmpty)
      #expect(rows.count == 20 && summary["complete"] as? Bool == false)
      let unknown = rows.filter { $0["status"] as? String == "UNKNOWN" }
      #expect(unknown.count == 10)
      #expect(unknown[0]["last_known_host"] as? String == "beta-host")
      #expect(unknown[0]["host"] is NSNull && unknown[0]["state"] is NSNull)
      let beta = try #require(try cells(summary)["beta"])
      #expect(beta["outcome"] as? String == "failed")
      #expect((beta["error"] as? String)?.contains("no such file") == true)
      let filtered = try answer(list(bed, "--json", "--vm-state", "active"))
      #expect(filtered.rows.count == 10)
      #expect(try cells(filtered.summary)["beta"]?["unlisted"] as? Int == 10)

      let table = try list(bed)
      #expect(table.status == 0 && table.out.contains("UNKNOWN"))
      #expect(table.err.contains("no such file") && table.err.contains("incomplete"))
    }
  }

  @Test func `--require-complete ends with 5 and prints no list`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      #expect(try list(bed, "--require-complete").status == 0)
      try FileManager.default.removeItem(atPath: bed.path("beta.sqlite"))
      for json in [[], ["--json"]] {
        let ran = try bed.run(["instance", "list", "--live", "--require-complete"] + json)
        #expect(ran.status == 5 && ran.out.isEmpty && ran.err.contains("no such file"))
      }
    }
  }

  @Test func `refuses what it can't do, and says what to give`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let token = try #require(
        try answer(list(bed, "--json", "--limit", "1")).summary["next"] as? String)
      let refused: [(arguments: [String], status: Int32, part: String)] = [
        (["--live", "--sort", "flavor"], 64, "launched_at"),
        (["--live", "--sort", "host:up"], 64, "--sort"),
        (["--live", "--sort", "host,host:desc"], 64, "twice"),
        (["--live", "--changed-since", "yesterday"], 64, "--changed-since"),
        (["--live", "--changed-since", "42"], 64, "Give a time"),
        (["--live", "--changed-since", "2h ago", "--page-token", token], 64, "'changed_since'"),
        (["--live", "--marker", "x"], 64, "not a UUID"),
        (["--live", "--marker", "\(instance(99))"], 2, "\(instance(99))"),
        (["--live", "--page-token", "x"], 64, "page token"),
        (["--live", "--page-token", token, "--sort", "host"], 64, "another order"),
        (["--live", "--page-token", token, "--project", "p"], 64, "other filters"),
        (["--live", "--page-token", token, "--marker", "\(instance(1))"], 64, "not both"),
        (["--live", "--deleted", "--deleted-only"], 64, "not both"),
        (["--live", "--limit", "0"], 64, "--limit"),
        (["--live", "--limit", "10001"], 64, "--limit"),
        (["--live", "--deadline", "0"], 64, "--deadline"),
        (["--live", "--count"], 64, "--count"),
        (["--live", "--cell", "nowhere"], 2, "nowhere"),
        (["--sort", "host"], 64, "--live"), (["--require-complete"], 64, "--live"),
      ]
      for (arguments, status, part) in refused {
        let ran = try bed.run(["instance", "list"] + arguments)
        #expect(ran.status == status && ran.out.isEmpty, "\(arguments) \(ran)")
        #expect(ran.err.contains(part), "\(arguments) \(ran.err)")
      }
    }
  }

  @Test func `a damaged index is made again before the list relies on it`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try FileManager.default.removeItem(atPath: bed.path("store/CURRENT"))
      let (rows, summary) = try answer(list(bed, "--json"))
      #expect(rows.count == 20 && summary["complete"] as? Bool == true)
    }
  }

  @Test func `status names the limits, and with --live how each cell is reached`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let plain = try bed.done("status", "--json").object
      let limits = try #require(plain["cell_limits"] as? [String: Any])
      #expect(limits["connections"] as? Int == 8 && limits["breaker_failures"] as? Int == 3)
      let queues = try #require(plain["queue_limits"] as? [String: Any])
      #expect(queues["connections"] as? Int == 4 && queues["idle_ms"] as? Int == 60_000)
      let live = try bed.done("status", "--live", "--json").object
      let cells = try #require(live["live"] as? [[String: Any]])
      #expect(cells.map { $0["answered"] as? Bool } == [true, true, true])
      #expect(cells.allSatisfy { $0["breaker"] as? String == "closed" })
      try FileManager.default.removeItem(atPath: bed.path("beta.sqlite"))
      let ran = try bed.run("status", "--live")
      #expect(ran.status == 5 && ran.out.contains("alpha") && ran.err.contains("no such file"))
    }
  }
}
