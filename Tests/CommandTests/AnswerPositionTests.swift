import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct AnswerPositionTests {
  private let one = "\(instance(1))"
  private let two = "\(instance(2))"

  /// A store with instance 1 in alpha (entry 1:5) and instance 2 in beta (1:6).
  private func makeMap(_ bed: CommandBed) throws {
    try bed.makeStore()
    for (id, cell) in [(one, "alpha"), (two, "beta")] {
      try bed.done("instance", "map", id, "--cell", cell, "--project", "p", "--reason", "t")
    }
  }

  @Test
  func
    `each answer names its position, where standard output has no place for it on standard error`()
    throws
  {
    try withCommand { bed in
      try bed.makeStore()
      let id = "\(instance(1))"
      try bed.done("instance", "map", id, "--cell", "alpha", "--project", "p", "--reason", "t")
      let told = "cellmap: True at 1:5.\n"
      for words in [
        ["cell", "list"], ["host", "list"], ["instance", "list"], ["instance", "list", "--live"],
        ["instance", "list", "--count"], ["conflicts", "list"], ["keys", "list"],
        ["cell", "remove", "alpha", "--force", "--dry-run"],
      ] {
        let ran = try bed.done(words)
        #expect(ran.err.contains(told) && !ran.out.contains("True at"), "\(words): \(ran)")
      }
      #expect(try bed.done("instance", "list", "--count").out == "1\n")
      #expect(try bed.run("route", id, id).err.hasSuffix(told))
      for words in [["host", "list"], ["conflicts", "list"]] {
        let empty = try bed.done(words + ["--json"])
        #expect(empty.out.isEmpty && empty.err == told, "\(words): \(empty)")
        let past = try bed.done(words + ["--json", "--at", "1:3"])
        #expect(past.out.isEmpty && past.err == "cellmap: True at 1:3.\n", "\(past)")
      }
      for words in [["cell", "list"], ["keys", "list"], ["instance", "list", "--cell", "none"]] {
        let listed = try bed.done(words + ["--json"])
        #expect(listed.err.isEmpty)
        #expect(
          try listed.objects.allSatisfy { $0["position"] as? String == "1:5" || $0["next"] == nil })
        let last = try #require(try listed.objects.last)
        #expect(last["position"] as? String == "1:5", "\(words): \(listed)")
      }
    }
  }

  @Test func `--store without a folder says what it wants`() throws {
    try withCommand { bed in
      for words in [
        ["--store"], ["--store", "--json", "status"], ["--store=", "status"],
        ["--store", "", "status"], ["status", "--store", ""],
      ] {
        let ran = try bed.run(words)
        #expect(
          ran.status == 64 && ran.err.contains("'--store' wants the folder"), "\(words): \(ran)")
      }
    }
  }

  @Test func `--changed-since says what it takes`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let list = ["instance", "list", "--live", "--changed-since"]
      let age = try bed.run(list + ["2h ago", "--page-token", "x"])
      #expect(age.status == 64 && age.err.contains("is an age"), "\(age)")
      let nonsense = try bed.run(list + ["bogus", "--page-token", "x"])
      #expect(
        nonsense.status == 64 && nonsense.err.contains("--changed-since 'bogus' is no moment"))
      let ahead = try bed.run(list + ["-5h"])
      #expect(
        ahead.err.contains("--changed-since '-5h' lies ahead") && !ahead.err.contains("entry"))
    }
  }

  @Test func `a dry run of a revert names all that rules stand against`() throws {
    try withCommand { bed in
      try makeMap(bed)
      let ran = try bed.run("revert", "3..4", "--dry-run", "--json")
      let refused = try ran.objects.filter { $0["refused"] as? Bool == true }
      #expect(ran.status == 9 && refused.count == 2, "\(ran)")
      #expect(Set(refused.compactMap { $0["cell"] as? String }) == ["\(cell(1))", "\(cell(2))"])
      #expect(try ran.objects.last?["refused"] as? Int == 2)
      let told = try bed.run("revert", "3..4", "--dry-run", "--limit", "1")
      #expect(
        told.out.contains("And 1 more thing") && told.err.contains("2 things in all."), "\(told)")
      let done = try bed.run("revert", "3..4", "--reason", "t")
      #expect(
        done.status == 9 && done.err.contains("2 things in all ('--dry-run')."), "\(done)")
    }
  }

  @Test func `bisect and an export of cells name theirs, and a refused dry run says so first`()
    throws
  {
    try withCommand { bed in
      try makeMap(bed)
      let found = try bed.run("audit", "bisect", "1:4..1:6", "--", "route", one)
      #expect(found.status == 0 && found.out.contains("otherwise, from 1:4 on"), "\(found)")
      #expect(found.err.contains("True at 1:6."), "\(found)")
      let file = bed.folder + "/cells.yaml"
      let written = try bed.run("cell", "export", file)
      #expect((written.out + written.err).contains("cells.yaml, true at 1:6"), "\(written)")
      let refused = try bed.run("revert", "3..4", "--dry-run")
      #expect(refused.out.hasPrefix("A dry run. Undoing the entries 1:3 to 1:4 is refused;"))
    }
  }

  @Test func `a past route that can't be revealed keeps no other from its answer`() throws {
    try withCommand { bed in
      try makeMap(bed)
      try bed.done("keys", "rotate", "alpha", "--reason", "t")
      try bed.done("keys", "shred", "alpha", "--reason", "t")
      let ran = try bed.run("route", one, two, "--at", "1:6", "--reveal", "--json")
      let answers = try ran.objects
      #expect(ran.status == 5 && answers.count == 2, "\(ran)")
      #expect((answers.first?["error"] as? String)?.contains("shredded") == true)
      #expect(answers.last?["error"] == nil)
      #expect((answers.last?["queue"] as? String)?.contains("nova:pw@beta") == true)
    }
  }

  @Test func `of a damaged key the past route is masked, and the end is 4`() throws {
    try withCommand { bed in
      try makeMap(bed)
      let id = try #require(
        try bed.done("keys", "list", "--json").objects.first {
          $0["cell_name"] as? String == "alpha"
        }?[
          "key"] as? String)
      let key = URL(filePath: bed.path("store/keys/data-\(id)"))
      var bytes = try Data(contentsOf: key)
      bytes[80] ^= 1
      try bytes.write(to: key)
      let words = ["route", one, two, "--at", "1:6", "--json"]
      let ran = try bed.run(words + ["--reveal"])
      let answers = try ran.objects
      #expect(ran.status == 4 && answers.map { $0["outcome"] as? String } == ["mapped", "mapped"])
      #expect((answers.first?["error"] as? String)?.contains("does not open") == true, "\(ran)")
      #expect((answers.first?["queue"] as? String)?.contains("nova:pw@") == false, "\(ran)")
      #expect((answers.last?["queue"] as? String)?.contains("nova:pw@beta") == true, "\(ran)")
      try bed.done(words)
    }
  }

  @Test func `past routes of which one can't be read are answered, and end with 4`() throws {
    try withCommand { bed in
      _ = try bed.makeCloud(instances: 600)
      try bed.done("init")
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      // What the history has is not read again to find entries.
      try bed.done("replay", "--history")
      let journal = URL(filePath: bed.path("store/journal.lmdb"))
      var bytes = try Data(contentsOf: journal)
      let id = instance(5).uuid
      let places = bytes.ranges(
        of: Data(
          [id.high, id.low].flatMap { half in withUnsafeBytes(of: half.bigEndian) { Array($0) } }))
      #expect(!places.isEmpty)
      for place in places { bytes[place.lowerBound] ^= 1 }
      try bytes.write(to: journal)
      let ids = ["\(instance(5))", "\(instance(500))", "no UUID"]
      let ran = try bed.run(["route"] + ids + ["--at", "1:600", "--json"])
      let answers = try ran.objects
      #expect(ran.status == 4 && answers.count == 3, "\(ran)")
      #expect(
        answers.map { $0["outcome"] as? String } == ["unreadable", "mapped", "not_a_uuid"])
      #expect(answers.allSatisfy { $0["position"] as? String == "1:600" })
      #expect(try bed.run("route", ids[0], "--at", "1:600").status == 4)
      try bed.done("route", ids[1], "--at", "1:600")
      let lines = " \(ids[1])\r\n\n\(ids[1])\n"
      let listed = try bed.done("route", "-", "--at", "1:600", "--json", input: lines)
      #expect(try listed.objects.map { $0["outcome"] as? String } == ["mapped", "mapped"])
    }
  }

  @Test func `a route of what is no UUID names the position, as the others do`() throws {
    try withCommand { bed in
      try makeMap(bed)
      for words in [["no UUID"], ["no UUID", one], [two, "no UUID"]] {
        let ran = try bed.run(["route"] + words + ["--json"])
        #expect(try ran.objects.map { $0["position"] as? String } == words.map { _ in "1:6" })
        let told = try bed.run(["route"] + words).err
        #expect(told.hasSuffix("cellmap: True at 1:6.\n"), "\(told)")
      }
    }
  }

  @Test func `a dry run names the position of the map that it looked at`() throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      try api.execute(
        "CREATE TABLE build_requests (id INTEGER NOT NULL PRIMARY KEY, instance_uuid VARCHAR(36))")
      try bed.done("init")
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      let used = try bed.run("keys", "shred", "alpha", "--dry-run")
      #expect(used.status == 9 && used.err.contains("cell alpha"), "\(used)")
      try bed.done("keys", "rotate", "alpha", "--reason", "t")
      let position = try #require(
        try bed.done("status", "--json").object["position"] as? String)
      for words in [
        ["adopt", "sqlite:///api.sqlite"], ["publish", "sqlite:///api.sqlite"], ["rebuild"],
        ["host", "discover"], ["keys", "shred", "alpha"],
      ] {
        let told = try bed.run(words + ["--dry-run"])
        #expect(
          told.err.contains("cellmap: True at \(position).\n") && told.out.contains("A dry run"),
          "\(words): \(told)")
        let json = try bed.run(words + ["--dry-run", "--json"])
        #expect(try json.object["position"] as? String == position, "\(words): \(json)")
      }
      // There is no map where the store of a trial goes again.
      try bed.done("cell", "export", "cells", "--reveal")
      let trial = ["--store", "none", "rebuild", "--cells", "cells", "--dry-run"]
      let ran = try bed.run(trial)
      #expect(ran.out.contains("A dry run") && !ran.err.contains("True at"), "\(ran)")
      #expect(try bed.run(trial + ["--json"]).object["position"] is NSNull)
    }
  }
}
