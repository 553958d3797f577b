import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct AnswerPositionTests {
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
      try bed.makeStore()
      try bed.done(
        "instance", "map", "\(instance(1))", "--cell", "alpha", "--project", "p", "--reason", "t")
      try bed.done(
        "instance", "map", "\(instance(2))", "--cell", "beta", "--project", "p", "--reason", "t")
      let ran = try bed.run("revert", "3..4", "--dry-run", "--json")
      let refused = try ran.objects.filter { $0["refused"] as? Bool == true }
      #expect(ran.status == 9 && refused.count == 2, "\(ran)")
      #expect(Set(refused.compactMap { $0["cell"] as? String }) == ["\(cell(1))", "\(cell(2))"])
      #expect(try ran.objects.last?["refused"] as? Int == 2)
      let told = try bed.run("revert", "3..4", "--dry-run", "--limit", "1")
      #expect(
        told.out.contains("And 1 more thing") && told.err.contains("2 things in all"), "\(told)")
    }
  }

  @Test func `a past route that can't be revealed keeps no other from its answer`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done(
        "instance", "map", "\(instance(1))", "--cell", "alpha", "--project", "p", "--reason", "t")
      try bed.done(
        "instance", "map", "\(instance(2))", "--cell", "beta", "--project", "p", "--reason", "t")
      try bed.done("keys", "rotate", "alpha", "--reason", "t")
      try bed.done("keys", "shred", "alpha", "--reason", "t")
      let ids = ["\(instance(1))", "\(instance(2))"]
      let ran = try bed.run(["route"] + ids + ["--at", "1:6", "--reveal", "--json"])
      let answers = try ran.objects
      #expect(ran.status == 5 && answers.count == 2, "\(ran)")
      #expect((answers.first?["error"] as? String)?.contains("shredded") == true)
      #expect(answers.last?["error"] == nil)
      #expect((answers.last?["queue"] as? String)?.contains("nova:pw@beta") == true)
    }
  }
}
