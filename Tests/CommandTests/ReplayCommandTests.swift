import Foundation
import Glibc
import Journal
import Projections
import TestSupport
import Testing

/// `replay` as a tool of audit: parts, steps, comparison, and maps without some entries.
@Suite(.waiting) struct ReplayCommandTests {
  private let one = "\(instance(1))"
  private let two = "\(instance(2))"

  /// Entries 1:5 and 1:6 map instances, 1:7 renames alpha, 1:8 and 1:9 move and mark instance 1.
  private func makePast(_ bed: CommandBed) throws {
    try bed.makeStore()
    try bed.done(
      "instance", "map", one, "--cell", "alpha", "--project", "p1", "--reason", "boot")
    try bed.done("instance", "map", two, "--cell", "beta", "--project", "p2", "--reason", "boot")
    try bed.done("cell", "rename", "alpha", "gamma", "--reason", "why rename")
    try bed.done("instance", "remap", one, "--cell", "beta", "--reason", "why move")
    try bed.done("instance", "delete-mark", one, "--reason", "why mark")
  }

  @Test func `into a file up to any moment, as audit at names it`() throws {
    try withCommand { bed in
      try makePast(bed)
      let time = try #require(
        try bed.done("audit", "history", one, "--json").objects[1]["ordered_at"] as? String)
      for (number, when) in ["8", "1:8", time].enumerated() {
        let file = "past-\(number).sqlite"
        let made = try bed.done("replay", "--into", file, "--to", when, "--json").object
        #expect(made["entries"] as? Int == 8, "\(when)")
      }
      let now = try bed.done("replay", "--into", "now.sqlite", "--to", "0s ago", "--json").object
      #expect(now["entries"] as? Int == 9)
      for when in ["1:", "5w ago", "2:3", "99"] {
        let ran = try bed.run("replay", "--into", "x.sqlite", "--to", when)
        #expect(ran.status == 64 && ran.err.contains(when), "\(ran)")
      }
      #expect(!FileManager.default.fileExists(atPath: bed.path("x.sqlite")))
    }
  }

  @Test func `a file of some things is marked as such, and can't serve`() throws {
    try withCommand { bed in
      try makePast(bed)
      let made = try bed.done(
        "replay", "--into", "part.sqlite", "--only", one, "gamma", "--json"
      ).object
      #expect(made["partial"] as? Bool == true && made["position"] as? String == "1:9")
      #expect(made["only"] as? [String] == ["cell \(cell(1))", "instance \(one)"])
      let file = try SQLiteConnection(path: bed.path("part.sqlite"), mode: .readOnly)
      #expect(try file.integer("SELECT count(*) FROM instance") == 1)
      #expect(try file.integer("SELECT count(*) FROM cells WHERE name = 'gamma'") == 1)
      // Put in the place of an index it is refused, and the index is made again.
      let serving = bed.path("store/index-1.sqlite")
      for suffix in ["", "-wal", "-shm"] { unlink(serving + suffix) }
      try FileManager.default.copyItem(atPath: bed.path("part.sqlite"), toPath: serving)
      let verified = try bed.run("audit", "verify")
      #expect(verified.status == 4 && verified.err.contains("some things alone"), "\(verified)")
      #expect(try bed.run("replay", "--switch-to", "1").status == 4)
      let list = try bed.done("instance", "list", "--json")
      #expect(try list.objects.count == 3 && list.err.contains("some things alone"))
      let there = try bed.run("replay", "--into", "part.sqlite", "--only", one)
      #expect(there.status == 64 && there.err.contains("exists already"))
      let ran = try bed.run("replay", "--into", "none.sqlite", "--only", "nothing")
      #expect(ran.status == 2 && !FileManager.default.fileExists(atPath: bed.path("none.sqlite")))
      #expect(try bed.run("replay", "--only", one).status == 64)
    }
  }

  @Test func `follow tells each entry and what it changed`() throws {
    try withCommand { bed in
      try makePast(bed)
      let lines = try bed.done("replay", "--follow", "--from", "5", "--json").objects
      #expect(lines.map { $0["position"] as? String } == (5...9).map { "1:\($0)" })
      #expect(lines[0]["before"] is NSNull && lines[0]["record"] is [String: Any])
      let moved = try #require(lines[3]["changes"] as? [String: [String: Any]])
      #expect(moved.keys.sorted() == ["cell"] && moved["cell"]?["to"] as? String == "\(cell(2))")
      #expect((lines[3]["before"] as? [String: Any])?["cell"] as? String == "\(cell(1))")
      let told = try bed.done("replay", "--follow", "--from", "1:5", "--to", "1:8").out
      // Cells by the names that they bore then.
      #expect(told.contains("mapped to cell alpha, project p1"))
      #expect(told.contains("moved from gamma to beta") && told.contains("why move"))
      #expect(told.contains("cell_name alpha → gamma") && told.contains("cell gamma → beta"))
      #expect(!told.contains("1:9"))
      let some = try bed.done("replay", "--follow", "--only", two, "cell:alpha", "--json").objects
      #expect(some.map { $0["position"] as? String } == ["1:3", "1:6", "1:7"])
      let none = try bed.done("replay", "--follow", "--only", two, "--from", "8")
      #expect(none.out.contains("No entry from 8 to 9"))
      #expect(try bed.run("replay", "--follow", "--from", "8", "--to", "7").status == 64)
      #expect(try bed.run("replay", "--from", "8").status == 64)
    }
  }

  @Test func `a dry run names the first row that is not what the journal says, and why`() throws {
    try withCommand { bed in
      try makePast(bed)
      let equal = try bed.done("replay", "--dry-run", "--json").object
      #expect(equal["agrees"] as? Bool == true && equal["position"] as? String == "1:9")
      let path = bed.path("store/index-1.sqlite")
      let id = one.replacing("-", with: "")
      do {
        let file = try SQLiteConnection(path: path, mode: .readWrite)
        try file.execute("UPDATE instance SET cell = NULL WHERE id = x'\(id)'")
      }
      let found = try bed.run("replay", "--dry-run", "--json")
      #expect(found.status == 1)
      let difference = try found.object
      #expect(
        difference["agrees"] as? Bool == false && difference["table"] as? String == "instance")
      #expect(difference["key"] as? String == "instance \(one)")
      #expect((difference["changes"] as? [String: Any])?.keys.sorted() == ["cell"])
      let entry = try #require(difference["entry"] as? [String: Any])
      #expect(entry["position"] as? String == "1:8" && entry["reason"] as? String == "why move")
      let told = try bed.run("replay", "--dry-run")
      #expect(told.status == 1 && told.out.contains("by 1:8") && told.out.contains("- → beta"))
      do {
        let file = try SQLiteConnection(path: path, mode: .readWrite)
        try file.execute("DELETE FROM instance WHERE id = x'\(id)'")
      }
      let missing = try bed.run("replay", "--dry-run", "--json").object
      #expect(missing["difference"] as? String == "missing")
      // Nothing was mended, and nothing is left behind.
      #expect(try bed.run("replay", "--dry-run").status == 1)
      let names = try FileManager.default.contentsOfDirectory(atPath: bed.path("store"))
      #expect(!names.contains { $0.hasPrefix("verify-") })
    }
  }

  /// The only row of a table, as SQL sets columns.
  private func columns(of table: String, _ file: SQLiteConnection) throws -> [String] {
    func texts(_ query: String) throws -> [String] {
      let statement = try file.prepare(query)
      var texts: [String] = []
      while try statement.step() { texts.append(try statement.text(0).string) }
      return texts
    }
    return try texts("SELECT name FROM pragma_table_info('\(table)')").flatMap { column in
      try texts("SELECT '\(column) = ' || quote(\(column)) FROM \(table)")
    }
  }

  @Test func `a verification names the first row of an index whose checksums all fit`() throws {
    try withCommand { bed in
      try makePast(bed)
      // The map of before the move, which claims to have come to the head.
      try bed.done("replay", "--into", "old", "--to", "7")
      let path = bed.path("store/index-1.sqlite")
      do {
        let serving = try SQLiteConnection(path: path, mode: .readOnly)
        let file = try SQLiteConnection(path: bed.path("old"), mode: .readWrite)
        let meta = try columns(of: "meta", serving)
        try file.execute("UPDATE meta SET \(meta.joined(separator: ", "))")
      }
      for suffix in ["", "-wal", "-shm"] {
        try? FileManager.default.removeItem(atPath: path + suffix)
        try? FileManager.default.moveItem(atPath: bed.path("old" + suffix), toPath: path + suffix)
      }
      let found = try bed.run("audit", "verify")
      #expect(found.status == 4)
      #expect(found.err.contains("First difference: instance \(one): the"), "\(found.err)")
      #expect(try bed.run("replay", "--dry-run").out.contains("First difference: instance \(one):"))
    }
  }

  @Test func `without some entries the map would be otherwise, and others make no sense`() throws {
    try withCommand { bed in
      try makePast(bed)
      let before = try Data(contentsOf: URL(filePath: bed.path("store/journal.lmdb")))
      let lines = try bed.done("replay", "--without", "1:7", "8", "--json").objects
      let end = try #require(lines.last)
      #expect(end["left_out"] as? Int == 2 && end["different"] as? Int == 2)
      #expect(end["misfits"] as? Int == 0)
      let moved = try #require(lines.first { $0["instance"] as? String == one })
      #expect(moved["entries"] as? [String] == ["1:8"])
      let gone = try bed.done("replay", "--without", "4..5")
      #expect(gone.out.contains("there would be no cell beta"))
      #expect(gone.out.contains("it would not be there") && gone.out.contains("1:9"))
      // At a moment, and by the request that did it.
      let request = try #require(
        try bed.done("audit", "history", one, "--json").objects[1]["request"] as? String)
      let requested = try bed.done("replay", "--without", request, "--json").objects
      #expect(requested.last?["left_out"] as? Int == 1)
      let then = try bed.done("replay", "--without", "5", "--to", "6", "--json").objects
      #expect(then.last?["position"] as? String == "1:6" && then.last?["misfits"] as? Int == 0)
      #expect(try bed.run("replay", "--without", "8", "--to", "6").status == 64)
      #expect(try bed.run("replay", "--without", "99").status == 64)
      #expect(try bed.run("replay", "--without", "\(instance(77))").status == 64)
      #expect(try Data(contentsOf: URL(filePath: bed.path("store/journal.lmdb"))) == before)
    }
  }

  @Test func `a person at a terminal sees how far a replay is, and a pipe doesn't`() throws {
    try withCommand { bed in
      try makePast(bed)
      #expect(try bed.done("replay").err.isEmpty)
      #expect(try bed.watched("replay").contains("Replaying: "))
    }
  }
}
