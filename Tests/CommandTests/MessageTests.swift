import Foundation
import Journal
import TestSupport
import Testing

/// What people are told: the thing by its name, the next step, and the exit code that fits.
@Suite(.waiting) struct CommandMessageTests {
  @Test func `a change without a reason is a mistake of usage, whatever the command`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let id = "\(instance(1))"
      let before = try bed.done("status", "--json").object["position"] as? String
      for change in [
        ["adopt", "sqlite:///api.sqlite"],
        ["cell", "add", "x", "--database", "sqlite:///x", "--queue", "none:///"],
        ["cell", "rename", "alpha", "x"], ["cell", "address", "alpha", "--queue", "none:///"],
        ["cell", "enable", "alpha"], ["cell", "disable", "alpha"], ["cell", "remove", "alpha"],
        ["cell", "remove", "alpha", "--force"], ["cell", "probe", "alpha", "--accept"],
        ["host", "add", "h", "--cell", "alpha"], ["host", "remove", "h"], ["host", "discover"],
        ["instance", "map", id, "--project", "p"], ["instance", "remap", id, "--cell", "none"],
        ["instance", "delete-mark", id], ["instance", "unmap", id],
        ["cast", id, "reboot", "--unsafe-method", "--version", "6.0"],
      ] {
        for reason in [[], ["--reason", " "]] {
          let ran = try bed.run(change + reason)
          #expect(ran.status == 64 && ran.out.isEmpty, "\(change) \(ran)")
          #expect(ran.err.contains("--reason"), "\(change) \(ran.err)")
        }
      }
      #expect(try bed.done("status", "--json").object["position"] as? String == before)
      #expect(try bed.done("help", "cell", "rename").out.contains("json] --reason <reason>"))
      #expect(try bed.done("help", "host", "discover").out.contains("[--reason <reason>]"))
    }
  }

  @Test func `a dry run of an adoption that would be refused says so, and ends as it would`() throws
  {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("host", "add", "newhost", "--cell", "alpha", "--reason", "t")
      let adopt = ["adopt", "sqlite:///api.sqlite", "--reason", "t"]
      for arguments in [adopt + ["--dry-run"], adopt] {
        let ran = try bed.run(arguments)
        #expect(ran.status == 9, "\(ran)")
        #expect(ran.err.contains("1 host: newhost") && ran.err.contains("--prune"), "\(ran.err)")
      }
      let dry = try bed.run(adopt + ["--dry-run", "--json"])
      #expect(dry.status == 9)
      #expect((try dry.object["refused"] as? String)?.contains("newhost") == true)
      let pruned = try bed.done(adopt + ["--dry-run", "--prune", "--json"])
      #expect(try pruned.object["refused"] is NSNull)
    }
  }

  @Test func `a dry run of an adoption names the cells that can't be read`() throws {
    try withCommand { bed in
      _ = try bed.makeCloud()
      try bed.done("init")
      let adopt = ["adopt", "sqlite:///api.sqlite", "--dry-run"]
      #expect(try bed.done(adopt).err == "cellmap: True at 1:2.\n")
      unlink(bed.path("beta.sqlite"))
      let ran = try bed.done(adopt)
      #expect(ran.err.contains("beta.sqlite") && ran.out.contains("2 cells can be read"), "\(ran)")
      let left = try bed.done(adopt + ["--json"]).object["unidentified"] as? [String: String]
      #expect(left.map { Array($0.keys) } == ["\(cell(2))"])
    }
  }

  @Test func `cells are named by their names, also in JSON`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let id = "\(instance(1))"
      try bed.done("instance", "map", id, "--project", "p", "--cell", "alpha", "--reason", "t")
      unlink(bed.path("alpha.sqlite"))
      for arguments in [
        ["route", id], ["route", id, "--json"], ["host", "discover", "--reason", "t"],
        ["host", "discover", "--dry-run", "--json"], ["status", "--live"],
        ["status", "--live", "--json"],
        ["instance", "list", "--live"], ["instance", "list", "--live", "--json"],
        ["cell", "remove", "alpha", "--reason", "t"], ["cast", id, "ping"],
        ["instance", "map", id, "--project", "p", "--cell", "beta", "--reason", "t"],
      ] {
        let ran = try bed.run(arguments)
        let said = ran.err + ran.out
        #expect(ran.status != 0 || arguments[0] == "instance", "\(arguments)")
        #expect(said.lowercased().contains("cell alpha"), "\(arguments) \(said)")
        #expect(!said.lowercased().contains("cell \(cell(1))"), "\(arguments) \(said)")
        #expect(!said.contains("not asked"), "\(arguments) \(said)")
      }
    }
  }

  @Test func `a name that two cells bear doesn't stand for one of them`() throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      try api.execute("UPDATE cell_mappings SET name = 'twin' WHERE id > 1")
      try bed.done("init")
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      unlink(bed.path("alpha.sqlite"))
      #expect(try bed.run("route", "\(instance(0))").err.contains("\(cell(1))"))
    }
  }

  @Test func `a relative path that leads nowhere points at the base directory`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let id = "\(instance(1))"
      try bed.done("instance", "map", id, "--project", "p", "--cell", "alpha", "--reason", "t")
      for folder in ["", "/", bed.folder + "/none/", "none//"] {
        let ran = try bed.run("route", id, environment: ["CELLMAP_BASE_DIRECTORY": folder])
        // Where the file is found, it has not what the map knows of the cell.
        #expect(ran.status == 7 && ran.err.contains("none of what the map knows") == folder.isEmpty)
        #expect(folder.isEmpty || ran.err.contains("CELLMAP_BASE_DIRECTORY"), "\(ran.err)")
        #expect(!ran.err.contains("//"), "\(folder) \(ran.err)")
      }
      let adopt = try bed.run("adopt", "sqlite:///none.sqlite", "--reason", "t")
      #expect(adopt.status == 7 && adopt.err.contains("CELLMAP_BASE_DIRECTORY"), "\(adopt)")
      let absolute = try bed.run("adopt", "sqlite:////none.sqlite", "--reason", "t")
      #expect(!absolute.err.contains("CELLMAP_BASE_DIRECTORY"), "\(absolute)")
    }
  }

  @Test func `a template without a base names the cell and the option`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let id = "\(instance(1))"
      try bed.done(
        "cell", "add", "tmpl", "--database", "mysql://{username}:{password}@h/x", "--queue",
        "none:///", "--reason", "t")
      try bed.done("instance", "map", id, "--project", "p", "--cell", "tmpl", "--reason", "t")
      let ran = try bed.run("route", id)
      #expect(ran.status == 7 && ran.err.contains("Cell tmpl: "), "\(ran)")
      #expect(ran.err.contains("--base or CELLMAP_BASE"), "\(ran)")
    }
  }

  @Test func `a list that must be complete and isn't says that it isn't printed`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      unlink(bed.path("alpha.sqlite"))
      let ran = try bed.run("instance", "list", "--live", "--require-complete")
      #expect(ran.status == 5 && ran.out.isEmpty)
      #expect(ran.err.contains("isn't printed") && !ran.err.contains("from the map"), "\(ran.err)")
    }
  }

  @Test func `a verify that finds damage says what is whole, and what helps`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let copy = bed.path("whole")
      try FileManager.default.copyItem(atPath: bed.path("store"), toPath: copy)
      let current = try bed.done("status", "--json").object["index"] as? String ?? ""
      try Data("x".utf8).write(to: URL(filePath: bed.path("store/\(current)")))
      let index = try bed.run("audit", "verify")
      #expect(index.status == 4 && index.err.contains("'cellmap replay'"), "\(index)")
      #expect(index.err.hasSuffix("The journal itself is whole, up to 1:4.\n"), "\(index)")
      let path = bed.path("whole/journal.lmdb")
      var bytes = try Data(contentsOf: URL(filePath: path))
      for place in bytes.ranges(of: Data("alpha".utf8)) { bytes[place.lowerBound] ^= 1 }
      try bytes.write(to: URL(filePath: path))
      let journal = try bed.run("--store", "whole", "audit", "verify")
      #expect(journal.status == 4 && journal.err.contains("copy of the whole store"), "\(journal)")
      #expect(!journal.err.contains("audit verify"), "\(journal)")
    }
  }

  @Test func `a list of mappings says in its last line how to go on`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      var ids: [String] = []
      var after: [String] = []
      for round in 1...4 {
        let lines = try bed.done(["instance", "list", "--limit", "5", "--json"] + after).objects
        let summary = try #require(lines.last)
        let found = lines.dropLast().compactMap { $0["instance"] as? String }
        #expect(found.count == 5 && summary["instance"] == nil && summary["count"] as? Int == 5)
        let next = summary["next"] as? String
        #expect(next == (round == 4 ? nil : found.last))
        ids += found
        after = ["--after", found[4]]
      }
      let all = try bed.done("instance", "list", "--json").objects
      #expect(all.last?["next"] is NSNull && all.count == 21)
      #expect(ids == all.compactMap { $0["instance"] as? String })
      let cut = try bed.done("instance", "list", "--limit", "19")
      #expect(cut.err.contains("There are more: give --after \(instance(18))"), "\(cut.err)")
      #expect(try !bed.done("instance", "list", "--limit", "20").err.contains("more"))
    }
  }

  @Test func `a folder in which no store can be made is a mistake of usage`() throws {
    try withCommand { bed in
      try FileManager.default.createDirectory(
        atPath: bed.path("full"), withIntermediateDirectories: false)
      chmod(bed.path("full"), 0o755)
      try bed.write("something", to: "full/else")
      for (folder, why) in [
        ("full", "such as else"), ("none/below", "the folder above it"),
        ("full/else", "no directory"), ("full/else/below", "the folder above it"),
      ] {
        let ran = try bed.run("--store", folder, "init")
        #expect(ran.status == 64 && ran.err.contains(why), "\(folder) \(ran)")
        #expect(ran.err.contains("Name a new or an empty folder with --store"), "\(ran)")
      }
    }
  }

  @Test func `routes are asked for by UUIDs with dashes, and blank lines ask for nothing`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let id = "\(instance(1))"
      let ran = try bed.done("route", "-", "--json", input: "\n\(id)\n \n\n\(id)\n\n")
      #expect(try ran.objects.count == 2)
      #expect(try bed.run("route", "-", id).status == 64)
      for arguments in [["route"], ["instance", "show"], ["instance", "list", "--after"]] {
        let bare = try bed.run(arguments + [id.replacing("-", with: "")])
        #expect(bare.status == 64 && bare.err.contains("Give \(id)."), "\(arguments) \(bare)")
        let bad = try bed.run(arguments + ["abc"])
        #expect(bad.status == 64 && bad.err.contains("8-4-4-4-12"), "\(arguments) \(bad)")
      }
    }
  }

  @Test func `a cast that can't be made says what to do next`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done("instance", "map", "\(instance(1))", "--project", "p", "--reason", "t")
      let file = try NovaCellFile.make(at: bed.path("gamma.sqlite"))
      try file.add(instance(2), ["host": "NULL", "vm_state": "'error'"])
      try file.add(instance(3), ["host": "'h'", "deleted": "3"])
      try bed.done(
        "cell", "add", "gamma", "--database", "sqlite:///gamma.sqlite", "--queue", "none:///",
        "--reason", "t")
      for number in [2, 3] {
        try bed.done(
          "instance", "map", "\(instance(number))", "--cell", "gamma", "--project", "p",
          "--reason", "t")
      }
      for (number, next) in [
        (1, "Try again when Nova"), (2, "'instance show --live'"), (3, "'instance show --live'"),
      ] {
        let ran = try bed.run("cast", "\(instance(number))", "ping")
        #expect(ran.status == 9 && ran.err.contains(next), "\(number) \(ran)")
      }
    }
  }

  @Test func `a database that is another cell's is shown, and named with that cell`() throws {
    try withCommand { bed in
      try bed.makeStore()
      for (database, shown) in [
        ("sqlite:///alpha.sqlite", "sqlite:///alpha.sqlite is that of cell alpha"),
        ("mysql://u:hunter2@h/x", "mysql://u:****@h:3306/x is that of cell delta"),
      ] {
        let add = ["--database", database, "--queue", "none:///", "--reason", "t"]
        if database.hasPrefix("mysql") { try bed.done(["cell", "add", "delta"] + add) }
        let ran = try bed.run(["cell", "add", "twin"] + add)
        #expect(ran.status == 9 && ran.err.contains(shown), "\(ran)")
        #expect(!ran.err.contains("hunter2"))
      }
    }
  }

  @Test func `status shows people lines, the store first, and no JSON`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let out = try bed.done("status").out
      #expect(out.hasPrefix("store ") && !out.contains("{"), "\(out)")
      #expect(out.contains("\nbreaker_probe_ms "))
      let limits = try bed.done("status", "--json").object["cell_limits"] as? [String: Any]
      #expect(limits?["connections"] as? Int != nil)
    }
  }

  @Test func `cells are listed with their whole addresses where that is asked for`() throws {
    try withCommand { bed in
      try bed.makeStore()
      for json in [[], ["--json"]] {
        #expect(try bed.done(["cell", "list"] + json).out.contains("nova:****@alpha"))
        #expect(try bed.done(["cell", "list", "--reveal"] + json).out.contains("nova:pw@alpha"))
      }
    }
  }

  @Test func `times are numbers in JSON`() throws {
    try withCommand { bed in
      try bed.makeStore()
      for command in [
        ["audit", "verify"], ["replay"], ["backup", "create", "b"],
        ["backup", "restore", "b", "--reason", "t"],
      ] {
        let seconds = try bed.done(command + ["--json"]).object["seconds"]
        #expect(seconds is NSNumber && (seconds as? Double) ?? -1 >= 0, "\(command)")
      }
    }
  }

  @Test func `a cell that isn't asked for hosts is no silence`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let ran = try bed.done("host", "discover", "--cell", "cell0", "--reason", "t")
      #expect(ran.err.contains("cell0 has no hosts, so it is not asked"), "\(ran)")
    }
  }

  /// Each line of a paragraph is full: the next one's first word would not have fitted.
  @Test func `help is wrapped as one text`() throws {
    try withCommand { bed in
      for command in [
        [], ["init"], ["adopt"], ["cell", "remove"], ["cell", "probe"], ["cell", "enable"],
        ["host", "discover"], ["host", "remove"], ["instance", "list"], ["route"], ["cast"],
        ["audit", "verify"], ["replay"],
      ] {
        let help = try bed.done(["help"] + command).out
        #expect(!help.contains("`"), "\(command)")
        let overview = help.split(separator: "\nUSAGE")[0].split(
          separator: "\n", omittingEmptySubsequences: false)
        for (line, next) in zip(overview, overview.dropFirst()) where !line.isEmpty && !next.isEmpty
        {
          let word = next.prefix { $0 != " " }
          #expect(line.count + 1 + word.count > 79, "\(command): \(line)")
        }
      }
    }
  }
}
