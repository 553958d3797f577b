import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct KeysCommandTests {
  private let database = "mysql://nova:Canary4711@db/nova"
  private let queue = "rabbit://nova:word@q:5672/"

  private func withCell(_ body: (CommandBed) throws -> Void) throws {
    try withCommand { bed in
      try bed.done("init")
      try bed.done(
        "cell", "add", "alpha", "--database", database, "--queue", queue, "--reason", "t")
      try body(bed)
    }
  }

  private func dataKeys(_ bed: CommandBed) throws -> [[String: Any]] {
    try bed.done("keys", "list", "--json").objects.filter {
      $0["use"] as? String == "data" && $0["cell_name"] as? String == "alpha"
    }
  }

  private func key(_ bed: CommandBed, _ place: Int) throws -> String {
    try #require(try dataKeys(bed)[place]["key"] as? String)
  }

  private func revealed(_ bed: CommandBed) throws -> String? {
    try bed.done("cell", "show", "alpha", "--reveal", "--json").object["database"] as? String
  }

  @Test func `keys are listed with what they seal`() throws {
    try withCell { bed in
      let key = try #require(try dataKeys(bed).first)
      #expect(key["state"] as? String == "current" && key["cell_name"] as? String == "alpha")
      #expect(key["seals"] as? [String] == ["database", "queue"])
      #expect(key["entries"] as? Int == 1)
      try bed.done("audit", "checkpoint")
      let text = try bed.done("keys", "list").out
      for word in ["master", "hmac", "checkpoint", "data", "alpha", "database, queue"] {
        #expect(text.contains(word), "\(text)")
      }
    }
  }

  @Test func `a rotated master changes no entry, and every address opens`() throws {
    try withCell { bed in
      let before = try bed.done("audit", "verify", "--json").object["root"] as? String
      let answer = try bed.done("keys", "rotate", "--master", "--json").object
      #expect(answer["data_keys"] as? Int == 2 && answer["resumed"] as? Bool == false)
      #expect(try revealed(bed) == database)
      #expect(try bed.done("audit", "verify", "--json").object["root"] as? String == before)
      #expect(try bed.run("keys", "rotate", "--master", "--reason", "t").status == 64)
    }
  }

  @Test func `a rotated cell is sealed by another key, once under one request id`() throws {
    try withCell { bed in
      let request = UUID().uuidString.lowercased()
      let rotate = ["keys", "rotate", "alpha", "--reason", "t", "--request-id", request, "--json"]
      let answer = try bed.done(rotate).object
      #expect(answer["entries"] as? [Int] == [4, 5])
      let again = try bed.done(rotate).object
      #expect(again["repeated"] as? Bool == true && again["entries"] as? [Int] == [4, 5])
      #expect(try dataKeys(bed).map { $0["state"] as? String } == ["old", "current"])
      #expect(try revealed(bed) == database)
    }
  }

  @Test func `a shredded key takes what it sealed, and nothing else`() throws {
    try withCell { bed in
      let mapped = try bed.done(
        "instance", "map", "\(instance(1))", "--cell", "alpha", "--project", "p", "--test",
        "--reason", "t", "--json"
      ).object
      let refused = try bed.run("keys", "shred", "alpha", "--reason", "t")
      #expect(refused.status == 9 && refused.err.contains("keys rotate"), "\(refused.err)")
      try bed.done("keys", "rotate", "alpha", "--reason", "t")
      let old = try key(bed, 0)
      let plan = try bed.done("keys", "shred", "alpha", "--dry-run", "--json").object
      #expect(plan["keys"] as? [String] == [old] && plan["changed"] as? Bool == false)
      let done = try bed.done("keys", "shred", "alpha", "--reason", "leaver", "--json").object
      #expect(done["keys"] as? [String] == [old] && done["entries_sealed"] as? Int == 3)
      #expect(try revealed(bed) == database)
      let shown = try bed.done("cell", "show", "alpha", "--at", "3", "--json").object
      #expect(shown["database"] as? String == "mysql://nova:****@db:3306/nova")
      #expect(shown["key_shredded"] as? [String] == ["database", "queue"])
      #expect(try bed.done("cell", "show", "alpha", "--at", "3").out.contains("(key shredded)"))
      #expect(try bed.done("audit", "history", "alpha").out.contains("(key shredded)"))
      let reveal = try bed.run("cell", "show", "alpha", "--at", "3", "--reveal")
      #expect(reveal.status == 1 && reveal.err.contains(old), "\(reveal.err)")
      let then = ["route", "\(instance(1))", "--at", try #require(mapped["position"] as? String)]
      #expect(try bed.done(then).out.hasPrefix("As of "))
      let route = try bed.run(then + ["--reveal"])
      #expect(
        route.status == 1 && !route.out.contains(":pw@") && route.err.contains(old), "\(route)")
      try bed.done("audit", "verify", "--full")
      try bed.done("replay")
      try bed.done("audit", "prove", "3")
      try bed.done("audit", "export", "all.jsonl")
      for name in try FileManager.default.subpathsOfDirectory(atPath: bed.path("store")) {
        let bytes = FileManager.default.contents(atPath: bed.path("store/" + name)) ?? Data()
        #expect(bytes.range(of: Data("Canary4711".utf8)) == nil, "\(name)")
      }
      let again = try bed.done("keys", "shred", old, "--reason", "leaver", "--json").object
      #expect(again["changed"] as? Bool == false)
    }
  }

  @Test func `the newest key of a living cell stays, also while it seals nothing`() throws {
    try withCell { bed in
      try bed.done(
        "cell", "address", "alpha", "--database", "mysql://nova:new@db/nova", "--queue",
        "rabbit://nova:new@q:5672/", "--reason", "t")
      try bed.done("keys", "rotate", "alpha", "--reason", "t")
      // Both addresses are under the first key again.
      try bed.done("revert", "4", "--reason", "t")
      #expect(try dataKeys(bed).map { ($0["seals"] as? [String])?.count } == [2, 0])
      let request = UUID().uuidString.lowercased()
      let shred = ["keys", "shred", "alpha", "--reason", "t", "--request-id", request, "--json"]
      for words in [shred, ["keys", "shred", "alpha", "--dry-run"]] {
        let refused = try bed.run(words)
        #expect(refused.status == 9 && refused.err.contains("keys rotate"), "\(refused)")
      }
      #expect(try dataKeys(bed).map { $0["state"] as? String } == ["old", "current"])
      let keys = try (key(bed, 0), key(bed, 1))
      // The newest is what it is sealed by then, and the older one may go.
      try bed.done("keys", "rotate", "alpha", "--reason", "t")
      let done = try bed.done(shred).object
      #expect(done["keys"] as? [String] == [keys.0])
      #expect(try dataKeys(bed).map { $0["key"] as? String } == [keys.0, keys.1])
      #expect(try dataKeys(bed).map { $0["state"] as? String } == ["shredded", "current"])
      #expect(try revealed(bed) == database)
      // Nothing can go any more; the same request has its answer all the same.
      let again = try bed.done(shred).object
      #expect(again["repeated"] as? Bool == true, "\(again)")
      #expect(try bed.run("keys", "shred", "alpha", "--reason", "t").status == 9)
    }
  }

  @Test func `all keys of a removed cell can be shredded, by its name and by its UUID`() throws {
    try withCell { bed in
      let cell = try #require(try dataKeys(bed).first?["cell"] as? String)
      try bed.done("keys", "rotate", "alpha", "--reason", "t")
      try bed.done("cell", "remove", "alpha", "--reason", "t")
      let plan = try bed.done("keys", "shred", cell, "--dry-run", "--json").object
      #expect((plan["keys"] as? [String])?.count == 2)
      try bed.done("keys", "shred", "alpha", "--reason", "t")
      #expect(try dataKeys(bed).map { $0["state"] as? String } == ["shredded", "shredded"])
      try bed.done("audit", "verify", "--full")
    }
  }

  @Test func `backups that hold the key are named`() throws {
    try withCell { bed in
      try bed.done("backup", "create", "kept", "--with-keys")
      try bed.done("backup", "create", "moved", "--with-keys")
      try bed.done("backup", "create", "bare")
      try bed.done("keys", "rotate", "alpha", "--reason", "t")
      try bed.done("backup", "create", "later", "--with-keys")
      try FileManager.default.removeItem(atPath: bed.path("moved"))
      let answer = try bed.done("keys", "shred", "alpha", "--reason", "t", "--json").object
      let copies = try #require(answer["copies"] as? [[String: Any]])
      let names = copies.map { (($0["path"] as? String) ?? "").split(separator: "/").last ?? "" }
      // The one of later holds the old key as well: it was there still.
      #expect(names == ["kept", "moved", "later"])
      #expect(copies.map { $0["holds"] as? Bool } == [true, nil, true])
    }
  }

  @Test func `what is no data key, or nobody's, is refused`() throws {
    try withCell { bed in
      let master = try #require(
        try bed.done("keys", "list", "--json").objects.first { $0["use"] as? String == "master" })
      let id = try #require(master["key"] as? String)
      #expect(try bed.run("keys", "shred", id, "--reason", "t").status == 9)
      #expect(try bed.run("keys", "shred", "nobody", "--reason", "t").status == 2)
      #expect(try bed.run("keys", "shred", "alpha").status == 64)
      #expect(try bed.run("keys", "rotate").status == 64)
      #expect(try bed.run("keys", "rotate", "alpha").status == 64)
      #expect(try bed.run("keys", "rotate", "alpha", "--master", "--reason", "t").status == 64)
      #expect(try bed.run("keys", "rotate", "nobody", "--reason", "t").status == 2)
    }
  }

  @Test func `without keys they are listed by what the journal says`() throws {
    try withCell { bed in
      try FileManager.default.removeItem(atPath: bed.path("store/keys"))
      let listed = try bed.run("keys", "list", "--json")
      #expect(listed.status == 6 && listed.err.contains("none of its keys"), "\(listed)")
      #expect(try listed.objects.map { $0["state"] as? String } == ["lost", "lost"])
      #expect(try bed.run("keys", "rotate", "--master").status == 6)
    }
  }

  @Test func `a key that is lost or damaged is named, and ends the list with 4`() throws {
    try withCell { bed in
      let file = bed.path("store/keys/data-\(try key(bed, 0))")
      let whole = try Data(contentsOf: URL(filePath: file))
      for (state, bytes) in [("damaged", whole.map { $0 ^ 1 }), ("lost", nil)] {
        try FileManager.default.removeItem(atPath: file)
        if let bytes { try Data(bytes).write(to: URL(filePath: file)) }
        for form in [[], ["--json"]] {
          let listed = try bed.run(["keys", "list"] + form)
          #expect(listed.status == 4 && listed.out.contains(state), "\(listed)")
          #expect(listed.err.contains("(data) is \(state)"), "\(listed.err)")
        }
      }
      try whole.write(to: URL(filePath: file))
      try bed.done("keys", "list")
    }
  }

  @Test(arguments: ["master", "hmac"])
  func `without the file of one key the others are listed, and the file is named`(name: String)
    throws
  {
    try withCell { bed in
      let file = bed.path("store/keys/\(name)")
      let whole = try Data(contentsOf: URL(filePath: file))
      for bytes in [Data(whole.map { $0 ^ 1 }), nil] {
        try FileManager.default.removeItem(atPath: file)
        try bytes?.write(to: URL(filePath: file))
        let listed = try bed.run("keys", "list", "--json")
        #expect(listed.status == 4 && listed.err.contains("keys/\(name)"), "\(listed)")
        #expect(try listed.objects.contains { $0["cell_name"] as? String == "alpha" })
      }
    }
  }
}
