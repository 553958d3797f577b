import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct CommandRetryTests {
  /// A change, what has to be there before it, and another one that must not pass for it.
  struct Change: Sendable, CustomTestStringConvertible {
    let before: [[String]]
    let change: [String]
    let other: [String]
    /// What makes the map look different before the change is given again.
    var after: [[String]] = []
    var testDescription: String { change.prefix(2).joined(separator: " ") }
  }

  private static let id = "\(instance(1))"
  private static let mapped = [["instance", "map", id, "--project", "p", "--cell", "alpha"]]

  static let changes = [
    Change(
      before: [],
      change: ["cell", "add", "new", "--database", "sqlite:///n.sqlite", "--queue", "none:///"],
      other: ["cell", "add", "newer", "--database", "sqlite:///n.sqlite", "--queue", "none:///"]),
    Change(
      before: [], change: ["cell", "rename", "alpha", "omega"],
      other: ["cell", "rename", "alpha", "zeta"]),
    Change(
      before: [], change: ["cell", "address", "alpha", "--queue", "rabbit://u:one@h/"],
      other: ["cell", "address", "alpha", "--queue", "rabbit://u:two@h/"]),
    Change(
      before: [], change: ["cell", "disable", "alpha"], other: ["cell", "disable", "beta"],
      after: [["cell", "enable", "alpha", "--force"]]),
    Change(
      before: [["cell", "disable", "alpha"]], change: ["cell", "enable", "alpha", "--force"],
      other: ["cell", "enable", "beta"], after: [["cell", "disable", "alpha"]]),
    Change(
      before: [], change: ["cell", "remove", "alpha"], other: ["cell", "remove", "beta"]),
    Change(
      before: mapped + [["host", "add", "h", "--cell", "alpha"]],
      change: ["cell", "remove", "alpha", "--force"],
      other: ["cell", "remove", "beta", "--force"]),
    Change(
      before: [], change: ["host", "add", "h", "--cell", "alpha"],
      other: ["host", "add", "h2", "--cell", "alpha"], after: [["cell", "rename", "alpha", "x"]]),
    Change(
      before: [["host", "add", "h", "--cell", "alpha"]], change: ["host", "remove", "h"],
      other: ["host", "remove", "h2", "--force"], after: [["host", "add", "h", "--cell", "beta"]]),
    Change(
      before: [], change: mapped[0],
      other: ["instance", "map", id, "--project", "q", "--cell", "alpha"],
      after: [["cell", "rename", "alpha", "x"], ["instance", "unmap", id]]),
    Change(
      before: mapped, change: ["instance", "remap", id, "--cell", "beta"],
      other: ["instance", "remap", id, "--cell", "alpha"],
      after: [["cell", "rename", "beta", "x"]]),
    Change(
      before: mapped, change: ["instance", "delete-mark", id],
      other: ["instance", "delete-mark", id, "--clear"]),
    Change(
      before: mapped, change: ["instance", "unmap", id],
      other: ["instance", "unmap", "\(instance(2))"], after: mapped),
  ]

  @Test(arguments: changes)
  func `a change given again under its request id repeats its first answer`(
    _ change: Change
  ) throws {
    try withCommand { bed in
      try bed.makeStore()
      for command in change.before { try bed.done(command + ["--reason", "before"]) }
      let mark = ["--reason", "t", "--request-id", UUID().uuidString.lowercased(), "--json"]
      let first = try bed.done(change.change + mark).object
      #expect(first["changed"] as? Bool == true)
      for command in change.after { try bed.done(command + ["--reason", "after"]) }
      let before = try bed.done("status", "--json").object["position"] as? String
      let again = try bed.done(change.change + mark).object
      #expect(again["repeated"] as? Bool == true && again["changed"] as? Bool == false)
      for field in ["cell", "instance", "host", "request"] {
        #expect(again[field] as? String == first[field] as? String)
      }
      let entries = try #require(again["entries"] as? [Int])
      #expect(entries.contains((first["entries"] as? [Int])?.last ?? -1), "\(first) \(again)")
      let other = try bed.run(change.other + mark)
      #expect(other.status == 9 && other.out.isEmpty, "\(other)")
      #expect(other.err.contains("was used for another command"))
      #expect(try bed.done("status", "--json").object["position"] as? String == before)
      let text = try bed.done(change.change + mark.dropLast()).out
      #expect(text.hasPrefix("Done before:"))
    }
  }

  @Test func `adopting again under its request id repeats the answer`() throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      try bed.done("init")
      let adopt = [
        "adopt", "sqlite:///api.sqlite", "--reason", "t", "--request-id", "\(instance(77))",
        "--json",
      ]
      let first = try bed.done(adopt).object
      #expect(first["changed"] as? Bool == true)
      try api.execute("DELETE FROM instance_mappings WHERE id = 3")
      let again = try bed.done(adopt).object
      #expect(again["repeated"] as? Bool == true)
      #expect((again["finished"] as? [String: Any])?["instances"] as? Int == 20)
      #expect(try bed.run(["cell", "remove", "alpha", "--force"] + adopt.suffix(5)).status == 9)
      // A dry run looks again all the same.
      let ran = try bed.run(adopt + ["--dry-run"])
      let dry = try ran.object
      #expect(ran.status == 9)
      #expect((dry["instances"] as? [String: Any])?["surplus"] as? Int == 1)
    }
  }
}

@Suite(.waiting) struct CommandRuleTests {
  @Test func `a disabled cell takes no first mapping, and routes what it has`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("cell", "disable", "alpha", "--reason", "t")
      let map = [
        "instance", "map", "\(instance(500))", "--project", "p", "--cell", "alpha", "--reason", "t",
      ]
      #expect(try bed.run(map).status == 9)
      try bed.done(map + ["--test"])
      let route = try bed.done("route", "\(instance(0))", "--json").object
      #expect(route["host"] as? String == "alpha-host")
      let open = try bed.done("cell", "list", "--for-builds", "--json").objects
      #expect(open.map { $0["cell_name"] as? String } == ["beta"])
    }
  }

  @Test func `a cell is named by name or UUID, and an ambiguous name is refused`() throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      try api.execute("UPDATE cell_mappings SET name = 'twin' WHERE id > 1")
      try bed.done("init")
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      let ran = try bed.run("cell", "show", "twin")
      #expect(ran.status == 9)
      #expect(ran.err.contains("\(cell(1))") && ran.err.contains("\(cell(2))"))
      #expect(try bed.run("cell", "disable", "twin", "--reason", "t").status == 9)
      try bed.done("cell", "disable", "\(cell(1))", "--reason", "t")
      try bed.done("cell", "show", "\(cell(2))".uppercased())
    }
  }

  @Test func `a forced removal empties the cell and says what it did`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      #expect(try bed.run("cell", "remove", "alpha", "--reason", "t").status == 9)
      let dry = try bed.done("cell", "remove", "alpha", "--force", "--dry-run", "--json").object
      #expect(dry["hosts"] as? Int == 1 && dry["instances"] as? Int == 10)
      #expect(try bed.done("cell", "show", "alpha", "--json").object["disabled"] as? Bool == false)
      let ran = try bed.done("cell", "remove", "alpha", "--force", "--reason", "t", "--json")
      #expect(try ran.object["hosts"] as? Int == 1 && ran.object["instances"] as? Int == 10)
      let left = try bed.done("instance", "list", "--cell", "none", "--count").out
      #expect(left == "10\n")
      #expect(try bed.run("cell", "show", "alpha").status == 2)
      let route = try bed.done("route", "\(instance(0))", "--json").object
      #expect(route["cell"] is NSNull && route["error"] == nil)
      // It ran there: nobody waits for a scheduler.
      #expect(route["last_known_host"] as? String == "alpha-host")
      #expect(try bed.done("route", "\(instance(0))").out.contains("no cell any more"))
      #expect(try bed.done("instance", "list", "--live").out.contains("no cell any more"))
      let asked = try bed.done("reconcile", "\(instance(0))").out
      #expect(asked.contains("alpha-host, whose cell was taken out of the map"), "\(asked)")
      for kind in ["disable", "remove"] {
        #expect(try bed.run("cell", kind, "cell0", "--reason", "t").status == 9)
      }
    }
  }

  @Test func `a host with live instances stays unless forced`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let remove = ["host", "remove", "alpha-host", "--reason", "t"]
      let ran = try bed.run(remove)
      #expect(ran.status == 9 && ran.err.contains("10 live instances"))
      try FileManager.default.removeItem(atPath: bed.path("alpha.sqlite"))
      #expect(try bed.run(remove).status == 7)
      try bed.done(remove + ["--force"])
      #expect(try bed.run(remove).status == 2)
      #expect(
        try bed.run("host", "add", "beta-host", "--cell", "alpha", "--reason", "t").status == 9)
    }
  }
}
