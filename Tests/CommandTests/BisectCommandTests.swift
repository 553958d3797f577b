import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct BisectCommandTests {
  private let one = "\(instance(1))"

  /// Entry 1:5 maps instance 1 to alpha, 1:6 renames alpha, 1:7 changes its database, 1:8 moves the
  /// instance to beta, 1:9 brings another.
  private func makePast(_ bed: CommandBed) throws {
    try bed.makeStore()
    try bed.done(
      "instance", "map", one, "--cell", "alpha", "--project", "p1", "--reason", "boot")
    try bed.done("cell", "rename", "alpha", "gamma", "--reason", "why rename")
    try bed.done(
      "cell", "address", "gamma", "--database", "sqlite:///other.sqlite", "--reason", "why address")
    try bed.done("instance", "remap", one, "--cell", "beta", "--reason", "why move")
    try bed.done(
      "instance", "map", "\(instance(2))", "--cell", "beta", "--project", "p2", "--reason", "b")
  }

  private func entry(_ bed: CommandBed, _ words: String...) throws -> String? {
    let ran = try bed.run(["audit", "bisect", "--json"] + words)
    #expect(ran.status == 0 || ran.status == 1, "\(words): \(ran.err)")
    let found = try ran.object
    #expect((found["found"] as? Bool == true) == (ran.status == 0))
    return found["entry"] as? String
  }

  @Test func `the first entry is found after which an answer was another one`() throws {
    try withCommand { bed in
      try makePast(bed)
      #expect(try entry(bed, "1..", "--", "route", one) == "1:5")
      #expect(try entry(bed, "5..", "--", "route", one) == "1:6")
      #expect(try entry(bed, "1:6..", "--", "route", one) == "1:7")
      #expect(try entry(bed, "5..7", "--part", "cell", "--", "route", one) == nil)
      #expect(try entry(bed, "5..", "--part", "cell", "--", "route", one) == "1:8")
      #expect(try entry(bed, "5..", "--", "instance", "show", one) == "1:8")
      #expect(try entry(bed, "5..", "--", "cell", "show", "gamma") == "1:6")
      #expect(try entry(bed, "5..", "--part", "database", "--", "cell", "list") == "1:7")
      #expect(try entry(bed, "5..", "--", "instance", "list", "--count") == "1:9")
      #expect(
        try entry(bed, "5..", "--", "instance", "list", "--count", "--cell", "beta") == "1:8")
      #expect(try entry(bed, "5..", "--", "instance", "list", "--project", "p2") == "1:9")
      // Under the name that the cell bore once, too.
      #expect(
        try entry(bed, "1..", "--", "instance", "list", "--count", "--cell", "alpha") == "1:5")
      #expect(try entry(bed, "5..", "--", "host", "list") == nil)
      #expect(try entry(bed, "5..", "--expect", "cell=beta", "--", "route", one) == "1:8")
      try bed.done("instance", "delete-mark", one, "--reason", "d")
      for value in ["yes", "true"] {
        let expected = "queued_for_delete=\(value)"
        #expect(
          try entry(bed, "5..", "--expect", expected, "--", "instance", "show", one) == "1:10")
      }
      let json = try bed.done("audit", "bisect", "1..", "--", "route", one, "--json").object
      #expect(json["entry"] as? String == "1:5")
      #expect(
        try entry(
          bed, "1..", "--expect", "database=sqlite:///other.sqlite", "--", "route", one) == "1:7")
      #expect(try entry(bed, "8..", "--expect", "project=p1", "--", "route", one) == nil)
      let told = try bed.done("audit", "bisect", "7d ago..", "--", "route", one)
      #expect(told.out.contains("boot") && told.err.contains("begins later"))
      let moved = try bed.done("audit", "bisect", "7..", "--", "route", one).out
      #expect(moved.contains("cell gamma → beta") && moved.contains("why move"))
    }
  }

  @Test func `what can't be asked so is refused with the next step`() throws {
    try withCommand { bed in
      try makePast(bed)
      for (words, status) in [
        (["1.."], 64), (["1..", "--", "cell", "rename", "gamma", "x", "--reason", "t"], 64),
        (["1..", "--", "route", one, one], 64), (["1..", "--", "route", one, "--at", "5"], 64),
        (["1..", "--", "instance", "list", "--live"], 64), (["9..1", "--", "route", one], 64),
        (["x..", "--", "route", one], 64), (["..5", "--", "route", one], 64),
        (["1..", "--part", "nothing", "--", "route", one], 64),
        (["1..", "--expect", "cell=beta", "--", "cell", "list"], 64),
        (["1..", "--expect", "cell", "--", "route", one], 64),
        (["1..", "--", "route", "\(instance(9))"], 2), (["1..", "--", "cell", "show", "no"], 2),
        (["1..", "--cell", one, "--", "route", one], 64), (["1..", "--cell", "x"], 64),
      ] {
        let ran = try bed.run(["audit", "bisect"] + words)
        #expect(ran.status == status && !ran.err.isEmpty && ran.out.isEmpty, "\(words): \(ran)")
      }
    }
  }

  @Test func `the entry since which the map has not agreed with a cell`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let id = "\(instance(0))"  // in alpha
      #expect(try bed.run("audit", "bisect", "1..", "--cell", id).out.contains("agrees"))
      try bed.done("instance", "remap", id, "--cell", "beta", "--reason", "wrong")
      try bed.done("instance", "delete-mark", id, "--reason", "and so on")
      let ran = try bed.run("audit", "bisect", "1..", "--cell", id, "--json")
      #expect(ran.status == 0, "\(ran)")
      let found = try ran.object
      #expect(
        found["event"] as? String == "instance moved" && found["reason"] as? String == "wrong")
      #expect(found["found_in"] as? [String] == ["\(cell(1))"])
      let told = try bed.done("audit", "bisect", "1..", "--cell", id).out
      #expect(told.contains("Now cell alpha has instance \(id)") && told.contains("wrong"))
      // It came right, and went wrong again: since then it is as it is.
      try bed.done("instance", "remap", id, "--cell", "alpha", "--reason", "mended")
      try bed.done("instance", "remap", id, "--cell", "beta", "--reason", "wrong again")
      let again = try bed.done("audit", "bisect", "1..", "--cell", id, "--json").object
      #expect(again["reason"] as? String == "wrong again")
      let later = try bed.run("audit", "bisect", "0s ago..", "--cell", id)
      #expect(later.status == 1 && later.out.contains("already"))
      #expect(try bed.run("audit", "bisect", "1..", "--cell", "\(instance(99))").status == 2)
      unlink(bed.path("alpha.sqlite"))
      let away = try bed.run("audit", "bisect", "1..", "--cell", id)
      #expect(away.status == 5, "\(away)")
    }
  }
}
