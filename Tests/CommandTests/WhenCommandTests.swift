import Foundation
import Journal
import TestSupport
import Testing

/// Moments as people write them, and what is said of those that there are none of.
@Suite(.waiting) struct WhenCommandTests {
  private let one = "\(instance(1))"

  private func makePast(_ bed: CommandBed) throws {
    try bed.makeStore()
    try bed.done("instance", "map", one, "--cell", "alpha", "--project", "p1", "--reason", "boot")
    try bed.done("cell", "rename", "alpha", "gamma", "--reason", "why rename")
  }

  @Test func `each message names the moment and what is wrong with it`() throws {
    try withCommand { bed in
      try makePast(bed)
      for (when, what) in [
        ("1:", "no position"), ("5w ago", "unit"), ("5 days ago", "unit"), ("x", "no moment"),
        ("-5m ago", "lies ahead"), ("-5m", "lies ahead"), ("1:2:3", "no position"),
        ("01:59", "needs its date"), ("14:03", "needs its date"),
        ("2026-13-01T00:00:00Z", "no moment"), ("", "no moment"),
      ] {
        for words in [["route", one, "--at", when], ["audit", "diff", when]] {
          let ran = try bed.run(words)
          #expect(ran.status == 64, "\(words): \(ran)")
          #expect(ran.err.contains("'\(when)'") && ran.err.contains(what), "\(words): \(ran.err)")
          #expect(ran.err.contains("'2h ago'") && ran.err.contains("1:42"), "\(ran.err)")
          #expect(ran.err.split(separator: "\n").count == 1)
        }
      }
      // 'ago' may be left out, and a time without an offset is UTC.
      let time = try #require(
        try bed.done("audit", "history", one, "--json").objects[0]["ordered_at"] as? String)
      for when in ["0s", time, String(time.dropLast())] {
        #expect(try bed.done("route", one, "--at", when, "--json").object["past"] as? Bool == true)
      }
    }
  }

  @Test func `what hasn't come is refused by whoever takes a moment`() throws {
    try withCommand { bed in
      try makePast(bed)
      let ahead = "2999-01-01T00:00:00Z"
      try bed.done("backup", "create", "copy")
      for words in [
        ["route", one, "--at", ahead], ["audit", "diff", "1", ahead],
        ["audit", "prove", ahead], ["audit", "export", "out", "--to", ahead],
        ["audit", "export", "out", "--from", ahead], ["archive", "--before", ahead, "--dry-run"],
        ["audit", "who", "--since", ahead], ["audit", "stats", "--since", ahead],
        ["backup", "restore", "copy", "--store", "new", "--to", ahead, "--dry-run"],
      ] {
        let ran = try bed.run(words)
        #expect(ran.status == 64 && ran.err.contains("in the future"), "\(words): \(ran)")
      }
    }
  }

  @Test func `a range that begins before the journal begins with it`() throws {
    try withCommand { bed in
      try makePast(bed)
      let ran = try bed.done("audit", "diff", "1d ago", "--json")
      #expect(ran.err.contains("The store begins later"))
      let end = try #require(ran.objects.last)
      #expect(end["from"] is NSNull && end["from_time"] is NSNull)
      #expect(end["different"] as? Int == 4)
      #expect(try bed.done("audit", "diff", "1d ago").out.hasPrefix("From the beginning to 1:6"))
      // A single moment of then has no answer.
      let at = try bed.run("route", one, "--at", "1d ago")
      #expect(at.status == 64 && at.err.contains("from 1:1"))
      let order = try bed.run("audit", "who", "--since", "1h ago", "--until", "2h ago")
      #expect(order.status == 64 && order.err.contains("later than --until"))
      let entries = try bed.run("audit", "stats", "--since", "5", "--until", "3")
      #expect(entries.status == 64 && entries.err.contains("entry 5"))
    }
  }

  @Test func `what the journal never had is unknown, and no empty answer`() throws {
    try withCommand { bed in
      try makePast(bed)
      for words in [
        ["audit", "diff", "1", "--host", "nope"], ["audit", "diff", "1", "--project", "nope"],
        ["audit", "export", "x.jsonl", "--instance", "\(instance(9))"],
        ["audit", "export", "x.jsonl", "--host", "nope"],
        ["audit", "export", "x.jsonl", "--cell", "nope"],
      ] {
        let ran = try bed.run(words)
        #expect(ran.status == 2 && ran.out.isEmpty && ran.err.contains("no entry about"), "\(ran)")
      }
      #expect(!FileManager.default.fileExists(atPath: bed.path("x.jsonl")))
      let known = try bed.done("audit", "diff", "5", "--project", "p1")
      #expect(known.out.contains("Nothing is different of what was asked for; 1 other thing"))
      let empty = try bed.done("audit", "export", "x.jsonl", "--instance", one, "--from", "6")
      #expect(empty.err.contains("the header alone") && empty.out.contains("Wrote 0 entries"))
      // A cell is found under any name that it bore.
      for name in ["alpha", "gamma"] {
        let cell = try bed.done("audit", "export", name, "--cell", name, "--json").object
        #expect(cell["entries"] as? Int == 2, "\(name)")
      }
      let single = try bed.done("audit", "export", "y.jsonl", "--instance", one)
      #expect(single.out.contains("Wrote 1 entry "))
      let age = try bed.done("audit", "export", "z.jsonl", "--from", "1h ago", "--json").object
      #expect(age["entries"] as? Int == 6)
    }
  }

  @Test func `explain names cells as they were named then`() throws {
    try withCommand { bed in
      try makePast(bed)
      #expect(try bed.done("audit", "explain", one, "1:5").out.contains("alpha"))
      #expect(try !bed.done("audit", "explain", one, "1:5").out.contains("gamma"))
      #expect(try bed.done("audit", "explain", one).out.contains("gamma"))
    }
  }

  @Test func `what is wrong with a question about the past is followed by its usage`() throws {
    try withCommand { bed in
      try makePast(bed)
      for (words, usage) in [
        (["audit", "at", "1"], "cellmap audit at"),
        (["audit", "at", "1", "bogus"], "cellmap audit at"),
        (["audit", "at", "1", "cell", "list", "--at", "3"], "cellmap audit at"),
        (["audit", "at", "1", "cell", "list", "--bogus"], "cellmap cell list"),
        (["audit", "bisect", "1..", "--", "bogus"], "cellmap audit bisect"),
        (["audit", "bisect", "1..", "--", "cell", "list", "--at", "3"], "cellmap audit bisect"),
        (["audit", "bisect", "1..", "--", "status"], "cellmap audit bisect"),
        (["audit", "bisect", "1..", "--", "cell", "list", "--bogus"], "cellmap cell list"),
      ] {
        let ran = try bed.run(words)
        #expect(ran.status == 64 && ran.err.contains("Usage: \(usage) "), "\(words): \(ran.err)")
      }
      #expect(try bed.done("audit", "at", "--help").out.contains("USAGE: cellmap audit at"))
    }
  }

  @Test func `status, conflicts and cells of then`() throws {
    try withCommand { bed in
      try makePast(bed)
      let then = try bed.done("status", "--at", "1:4", "--json").object
      #expect(then["cells"] as? Int == 3 && then["instances"] as? Int == 0)
      #expect(then["past"] as? Bool == true && then["position"] as? String == "1:4")
      #expect((then["root"] as? String)?.count == 64 && then["journal_bytes"] == nil)
      let now = try bed.done("audit", "at", "1:6", "status", "--json").object
      #expect(now["instances"] as? Int == 1)
      #expect(
        now["root"] as? String == (try bed.done("status", "--json").object["root"] as? String))
      #expect(try bed.done("status", "--at", "1:4").out.hasPrefix("As of 1:4 ("))
      #expect(try bed.run("status", "--live", "--at", "1:4").status == 64)
      let cells = try bed.done("cell", "export", "cells.yaml", "--at", "1:5", "--json").object
      #expect(cells["past"] as? Bool == true && cells["position"] as? String == "1:5")
      let text = try String(contentsOfFile: bed.path("cells.yaml"), encoding: .utf8)
      #expect(text.contains("name: \"alpha\"") && text.contains("not now"))
      #expect(try bed.done("conflicts", "list", "--at", "1:5").out.contains("No open conflicts"))
      #expect(try bed.done("audit", "at", "1:5", "conflicts", "list", "--json").out.isEmpty)
    }
  }

  @Test func `a verification says that HEAD is gone, and what is wrong before what is well`() throws
  {
    try withCommand { bed in
      try makePast(bed)
      #expect(try bed.done("audit", "verify", "--json").object["head"] as? String == "agrees")
      unlink(bed.path("store/HEAD"))
      let ran = try bed.run("audit", "verify", "--json")
      #expect(ran.status == 1)
      #expect(try ran.object["head"] as? String == "missing")
      let told = try bed.run("audit", "verify")
      #expect(told.status == 1 && told.out.contains("HEAD"), "\(told)")
      try bed.done("cell", "rename", "gamma", "delta", "--reason", "makes it again")
      try bed.done("audit", "verify")
    }
  }
}
