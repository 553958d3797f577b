import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct CommandExitCodeTests {
  @Test func `bad usage is 64, on standard error`() throws {
    try withCommand { bed in
      try bed.makeStore()
      for arguments in [
        ["nonsense"], ["cell", "list", "--nonsense"], ["cell", "show"], ["route"],
        ["route", "\(instance(1))", "--deadline", "0"], ["replay", "--to", "1"],
        ["replay", "--into", "x.sqlite", "--to", "999"], ["adopt"],
        ["instance", "show", "{x}"], ["instance", "list", "--after", "x"],
        ["instance", "list", "--limit", "-1"],
        ["cell", "add", "x", "--reason", "t"], ["cell", "address", "alpha", "--reason", "t"],
        ["cell", "add", "x", "--uuid", "0x1", "--database", "sqlite:///x", "--queue", "none:///"],
        ["cell", "disable", "alpha", "--reason", "t", "--request-id", "x"],
        ["cell", "address", "alpha", "--queue", "http://h/", "--reason", "t"],
        ["cell", "address", "alpha", "--queue", "@nowhere", "--reason", "t"],
        ["cell", "address", "alpha", "--queue", "-", "--reason", "t"],
        ["cell", "address", "alpha", "--nova-conf", "nowhere", "--reason", "t"],
        ["replay", "--into", "store/CURRENT"],
        ["init", "--request-id", "\(instance(1))"],
      ] {
        let ran = try bed.run(arguments)
        #expect(ran.status == 64 && ran.out.isEmpty && !ran.err.isEmpty, "\(arguments) \(ran)")
      }
    }
  }

  /// An argument can't be so long; a file, a line of input and a configuration can.
  @Test func `a megabyte where an address or a UUID should be is refused in a short line`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let long = String(repeating: "a", count: 1 << 20)
      try Data("sqlite:////\(long)".utf8).write(to: URL(filePath: bed.path("long")))
      try Data("[database]\nconnection = sqlite:////\(long)\n".utf8)
        .write(to: URL(filePath: bed.path("long.conf")))
      let words = ["--queue", "none:///", "--reason", "t"]
      for (arguments, input, statuses) in [
        (["cell", "add", "x", "--database", "@long"] + words, "", [9, 64]),
        (["cell", "add", "x", "--database", "-"] + words, "sqlite:////\(long)\n", [9, 64]),
        (["cell", "add", "x", "--nova-conf", "long.conf", "--reason", "t"], "", [9, 64]),
        (["adopt", "@long", "--reason", "t"], "", [7, 64]), (["route", "-"], long, [5, 64]),
      ] as [([String], String, [Int32])] {
        let ran = try bed.run(arguments, input: input)
        #expect(statuses.contains(ran.status), "\(arguments) \(ran.status) \(ran.err.prefix(200))")
        #expect(ran.err.utf8.count < 6_000 && ran.out.utf8.count < 6_000, "\(arguments)")
      }
      #expect(try bed.done("cell", "list", "--json").objects.count == 3)
    }
  }

  @Test func `what the map doesn't know is 2`() throws {
    try withCommand { bed in
      try bed.makeStore()
      for arguments in [
        ["cell", "show", "nobody"], ["cell", "show", "\(cell(99))"],
        ["host", "list", "--cell", "x"],
        ["cell", "disable", "nobody", "--reason", "t"],
        ["host", "remove", "nobody", "--reason", "t"], ["instance", "show", "\(instance(1))"],
        ["instance", "unmap", "\(instance(1))", "--reason", "t"], ["route", "\(instance(1))"],
      ] {
        let ran = try bed.run(arguments)
        #expect(
          ran.status == 2 || ran.status == 5 && arguments[0] == "route", "\(arguments) \(ran)")
      }
    }
  }

  @Test func `a store that isn't there, or isn't one, is 6`() throws {
    try withCommand { bed in
      for arguments in [["status"], ["cell", "list"], ["route", "\(instance(1))"], ["replay"]] {
        let ran = try bed.run(arguments)
        #expect(ran.status == 6 && ran.out.isEmpty)
        #expect(ran.err.split(separator: "\n").count == 1, "\(ran.err)")
      }
      try FileManager.default.createDirectory(
        atPath: bed.path("full"), withIntermediateDirectories: false)
      try bed.write("something", to: "full/else")
      #expect(try bed.run("--store", "full", "status").status == 6)
      #expect(try bed.run("--store", "full", "init").status == 64)
    }
  }

  @Test func `a store is not made twice`() throws {
    try withCommand { bed in
      try bed.done("init")
      let again = try bed.run("init")
      #expect(again.status == 9 && again.err.split(separator: "\n").count == 1, "\(again)")
    }
  }

  @Test func `a lease that another holds is 3, and its holder is named`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let journal = try EventJournal.open(bed.path("store"))
      let lease = try journal.lock.acquire(command: "the test's own")
      defer { lease.release() }
      let ran = try bed.run("cell", "disable", "alpha", "--reason", "t")
      #expect(ran.status == 3 && ran.out.isEmpty)
      #expect(ran.err.contains("the test's own") && ran.err.contains("\(getpid())"), "\(ran.err)")
      try bed.done("cell", "show", "alpha")
    }
  }

  @Test func `damage is 4`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let path = bed.path("store/journal.lmdb")
      var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
      // Pages that were freed since hold it as well.
      let copies = bytes.ranges(of: Data("alpha".utf8))
      #expect(!copies.isEmpty)
      for copy in copies { bytes[copy.lowerBound] ^= 1 }
      try bytes.write(to: URL(fileURLWithPath: path))
      let ran = try bed.run("audit", "verify")
      #expect(ran.status == 4 && ran.out.isEmpty, "\(ran)")
    }
  }

  @Test func `an index of other content is found, and made again`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let digest = try bed.done("audit", "verify", "--json").object["index_digest"] as? String
      for file in try FileManager.default.contentsOfDirectory(atPath: bed.path("store"))
      where file.hasPrefix("index-") || file == "CURRENT" {
        unlink(bed.path("store/\(file)"))
      }
      let ran = try bed.run("route", "\(instance(1))", "--json")
      #expect(ran.status == 0 && ran.err.contains("Making it again"))
      #expect(try ran.object["host"] as? String == "beta-host")
      #expect(try bed.done("audit", "verify", "--json").object["index_digest"] as? String == digest)
      let replay = try bed.done("replay", "--json").object
      #expect(replay["agrees_with_serving"] as? Bool == true)
      #expect(replay["digest"] as? String == digest)
    }
  }

  @Test func `keys that are missing leave a retry undecided, which is 10`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try FileManager.default.moveItem(atPath: bed.path("store/keys"), toPath: bed.path("keys"))
      #expect(try bed.run("cell", "disable", "alpha", "--reason", "t").status == 10)
      try bed.done("cell", "list")
      #expect(try bed.run("cell", "show", "alpha", "--reveal").status == 6)
    }
  }

  @Test func `a dry run with rows that can't be held is a finding`() throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      try api.addInstance(99, "0x1", cell: 2)
      try bed.done("init")
      let dry = try bed.run("adopt", "sqlite:///api.sqlite", "--dry-run", "--json")
      #expect(dry.status == 1)
      #expect(try dry.object["problem_count"] as? Int == 1)
      let adopt = ["adopt", "sqlite:///api.sqlite", "--reason", "t"]
      #expect(try bed.run(adopt).status == 9)
      let skipped = try bed.done(adopt + ["--skip-invalid"])
      #expect(skipped.err.contains("instance_mappings row 99"))
      #expect(try bed.run("adopt", "sqlite:///none", "--reason", "t").status == 7)
      #expect(try bed.run("adopt", "sqlite:///alpha.sqlite", "--reason", "t").status == 64)
      #expect(try bed.run("adopt", "mysql://h/api", "--reason", "t").status == 7)
    }
  }

  @Test func `the store is named before the command, after it, or by the environment`() throws {
    try withCommand { bed in
      let none = ["CELLMAP_STORE": ""]
      try bed.done("--store", "one", "init", environment: none)
      try bed.done("init", "--store", "two", environment: none)
      try bed.done("init", environment: none)
      try bed.done("init", environment: ["CELLMAP_STORE": "three"])
      func store(_ arguments: [String], _ environment: [String: String]) throws -> String? {
        try bed.done(arguments + ["--json"], environment: environment).object["folder"] as? String
      }
      let named = ["CELLMAP_STORE": "three"]
      #expect(try store(["--store", "one", "status"], named)?.hasSuffix("one") == true)
      #expect(try store(["--store=one", "status"], named)?.hasSuffix("one") == true)
      #expect(try store(["status", "--store", "two"], named)?.hasSuffix("two") == true)
      #expect(try store(["status"], named)?.hasSuffix("three") == true)
      #expect(try store(["status"], none)?.hasSuffix("cellmap-store") == true)
      let command = ["--store", "one", "cell", "add", "c", "--store", "two"]
      let added = try bed.done(
        command + [
          "--database", "sqlite:///c", "--queue", "none:///", "--reason", "t", "--json",
        ])
      #expect(try added.object["position"] as? String == "1:3")
      try bed.done("cell", "show", "c", "--store", "two")
    }
  }
}
