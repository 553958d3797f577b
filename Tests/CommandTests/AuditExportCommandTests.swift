import Crypto
import Foundation
import TestServers
import TestSupport
import Testing

@Suite(.waiting) struct AuditExportCommandTests {
  @Test func `a complete export is imported, exported again the same, and checked by others`()
    throws
  {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let made = try bed.done("audit", "export", "a", "--json").object
      #expect(made["complete"] as? Bool == true)
      let imported = try bed.done("--store", "n", "audit", "import", "a", "--json").object
      for name in ["store", "position", "root"] {
        #expect(imported[name] as? String == made[name] as? String)
      }
      try bed.done("--store", "n", "audit", "export", "b")
      #expect(
        try Data(contentsOf: URL(filePath: bed.path("a")))
          == Data(contentsOf: URL(filePath: bed.path("b"))))
      let verified = try bed.done("audit", "verify", "--json").object
      let again = try bed.done("--store", "n", "audit", "verify", "--json").object
      #expect(again["index_digest"] as? String == verified["index_digest"] as? String)
      let checked = try bed.check("a")
      #expect(checked.status == 0 && checked.out.contains(made["root"] as? String ?? "?"))
      #expect(try bed.run("audit", "export", "a").status == 9)
      #expect(try bed.run("--store", "n", "audit", "import", "a").status == 9)
    }
  }

  @Test func `the first own change of an imported store opens an epoch`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let made = try bed.done("audit", "export", "a", "--json").object
      let entries = try #require(made["entries"] as? Int)
      let imported = try bed.done("--store", "n", "audit", "import", "a")
      #expect(imported.out.contains("no keys"))
      let early = try bed.run("--store", "n", "cell", "rename", "alpha", "x", "--reason", "t")
      #expect(early.status == 10, "\(early.err)")
      try FileManager.default.copyItem(atPath: bed.path("store/keys"), toPath: bed.path("n/keys"))
      // A refusal writes nothing.
      #expect(
        try bed.run("--store", "n", "cell", "rename", "nobody", "x", "--reason", "t").status == 2)
      #expect(
        try bed.run("--store", "n", "cell", "remove", "alpha", "--reason", "t").status == 9)
      let position = try bed.done("--store", "n", "status", "--json").object["position"] as? String
      #expect(position == "1:\(entries)")
      let change = try bed.done(
        "--store", "n", "cell", "rename", "alpha", "x", "--reason", "t", "--json"
      ).object
      #expect(change["position"] as? String == "2:\(entries + 2)", "\(change)")
      #expect(change["entries"] as? [Int] == [entries + 2, entries + 2])
      let next = try bed.done(
        "--store", "n", "cell", "rename", "x", "y", "--reason", "t", "--json"
      ).object
      #expect(next["position"] as? String == "2:\(entries + 3)")
      try bed.done("--store", "n", "audit", "verify", "--full")
      try bed.done("--store", "n", "audit", "export", "b")
      let lines = try String(contentsOfFile: bed.path("b"), encoding: .utf8).split(separator: "\n")
      #expect(lines[entries + 1].contains("\"cause\":4"))
      #expect(try bed.check("b").status == 0)
    }
  }

  @Test func `proofs and a signed checkpoint go with it, and the checker wants them`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.write(try bed.done("audit", "checkpoint").out, to: "kept")
      let key = try #require(
        try bed.done("audit", "checkpoint", "--keys", "--json").object["key"] as? String)
      try bed.done("cell", "rename", "alpha", "gamma", "--reason", "t")
      let made = try bed.done("audit", "export", "a", "--proofs", "--json").object
      #expect(made["signed"] as? Bool == true && made["proofs"] as? Bool == true)
      let whole = try bed.check("a", "--key", key, "--checkpoint", "kept")
      #expect(whole.status == 0 && whole.out.contains("signed by the given key"), "\(whole.out)")
      let entries = try #require(made["entries"] as? Int)
      // A part of it needs the proof that leads from the checkpoint to its tree.
      try bed.done("audit", "export", "part", "--proofs", "--cell", "gamma")
      #expect(try bed.check("part", "--key", key).status == 0)
      #expect(try bed.check("part", "--key", key, "--checkpoint", "kept").status == 2)
      try bed.write(
        try bed.done("audit", "prove", "\(entries - 1)", "\(entries)", "--json").out, to: "grown")
      let tied = try bed.check(
        "part", "--key", key, "--checkpoint", "kept", "--consistency", "grown")
      #expect(tied.status == 0, "\(tied.out)")
      // Without proofs nothing ties it.
      try bed.done("audit", "export", "loose", "--cell", "\(cell(1))")
      #expect(try bed.check("loose").status == 3)
      let text = try String(contentsOfFile: bed.path("a"), encoding: .utf8)
      try bed.write(text.replacing("gamma", with: "delta"), to: "forged")
      let forged = try bed.check("forged", "--key", key)
      #expect(forged.status == 1 && forged.out.contains("line \(entries + 1)"), "\(forged.out)")
    }
  }

  @Test func `the checker says of a longer history's checkpoint that a restore left it`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done("backup", "create", "b")
      for name in ["x", "y", "z"] {
        try bed.done("cell", "rename", "\(cell(1))", name, "--reason", "t")
      }
      try bed.write(try bed.done("audit", "checkpoint").out, to: "kept")
      let key = try #require(
        try bed.done("audit", "checkpoint", "--keys", "--json").object["key"] as? String)
      let restored = try bed.done("backup", "restore", "b", "--reason", "undo", "--json").object
      let position = try #require(restored["position"] as? String)
      try bed.done("audit", "export", "a")
      let left = try bed.check("a", "--key", key, "--checkpoint", "kept")
      #expect(left.status == 1 && left.out.contains("its entry \(position) says"), "\(left.out)")
      // A checkpoint of what came after the restore is of this history, however long that is.
      for name in ["u", "v", "w"] {
        try bed.done("cell", "rename", "\(cell(1))", name, "--reason", "t")
      }
      try bed.write(try bed.done("audit", "checkpoint").out, to: "newer")
      let newer = try bed.check("a", "--key", key, "--checkpoint", "newer")
      #expect(newer.status == 2 && newer.out.contains("--consistency"), "\(newer.out)")
    }
  }

  @Test func `filters by position, time and entity`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let all = try bed.done("audit", "export", "all", "--json").object
      let entries = try #require(all["entries"] as? Int)
      let some = try bed.done("audit", "export", "s", "--from", "3", "--to", "1:9", "--json").object
      #expect(some["entries"] as? Int == 7 && some["complete"] as? Bool == false)
      // A range without a line of it is found, though nothing ties it to the tree.
      #expect(try bed.check("s").status == 3)
      var lines = try String(contentsOfFile: bed.path("s"), encoding: .utf8)
        .split(separator: "\n").map(String.init)
      lines.remove(at: 3)
      lines.removeLast()
      let rest = lines.map { $0 + "\n" }.joined()
      let digest = SHA256.hash(data: Data(rest.utf8)).map { String(format: "%02x", $0) }.joined()
      let end = #"{"entries":6,"kind":"cellmap export end","sha256":"\#(digest)"}"#
      try bed.write(rest + end + "\n", to: "short")
      let short = try bed.check("short")
      #expect(short.status == 1 && short.out.contains("7 are due"), "\(short)")
      #expect(try bed.check("s", "--key", "a+0+b").status == 2)
      try bed.done("audit", "checkpoint")
      try bed.write(try bed.done("audit", "checkpoint", "--keys").out, to: "keys")
      let key = try bed.check("s", "--key", "keys")
      #expect(key.status == 2 && key.out.contains("nothing to check"), "\(key)")
      let one = try bed.done(
        "audit", "export", "i", "--instance", "\(instance(3))", "--host", "beta-host", "--json"
      ).object
      #expect((one["entries"] as? Int ?? 0) >= 2)
      let past = try bed.done(
        "audit", "export", "t", "--from", "2001-01-01T00:00:00Z", "--json"
      ).object
      #expect(past["entries"] as? Int == entries)
      for words in [
        ["--from", "9", "--to", "3"], ["--from", "x"], ["--instance", "x"], ["--to", "999999"],
        ["--from", "2999-01-01T00:00:00Z"], ["--format", "csv"], ["--table", "cells"],
        ["--format", "cloudevents", "--proofs"],
        ["--format", "csv", "--table", "cells", "--to", "3"],
      ] {
        let ran = try bed.run(["audit", "export", "none"] + words)
        #expect(ran.status == 64, "\(words): \(ran.err)")
      }
      #expect(!FileManager.default.fileExists(atPath: bed.path("none")))
      #expect(!FileManager.default.fileExists(atPath: bed.path("none.new")))
    }
  }

  @Test func `tables as CSV, with empty text and none apart`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("cell", "rename", "beta", "be\"ta,1", "--reason", "t")
      for (table, rows) in [("cells", 3), ("hosts", 2), ("instances", 20)] {
        let made = try bed.done(
          "audit", "export", table, "--format", "csv", "--table", table, "--json"
        ).object
        #expect(made["rows"] as? Int == rows)
        let text = try String(contentsOfFile: bed.path(table), encoding: .utf8)
        #expect(text.split(separator: "\n").count == rows + 1)
        #expect(!text.contains("nova:pw@"))
      }
      let cells = try String(contentsOfFile: bed.path("cells"), encoding: .utf8)
      #expect(cells.contains("\"be\"\"ta,1\"") && cells.contains("rabbit://nova:****@beta:5672/"))
      #expect(
        try bed.run("audit", "export", "cells", "--format", "csv", "--table", "cells").status == 9)
    }
  }

  @Test func `a table is also of the past`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let position = try #require(
        try bed.done("status", "--json").object["position"] as? String)
      func table(_ name: String, _ words: String...) throws -> String {
        try bed.done(["audit", "export", name, "--format", "csv", "--table", "hosts"] + words)
        return try String(contentsOfFile: bed.path(name), encoding: .utf8)
      }
      let then = try table("then")
      try bed.done("host", "add", "later", "--cell", "alpha", "--reason", "t")
      #expect(try table("now").contains("\"later\""))
      #expect(try table("again", "--at", position) == then)
      let made = try bed.done(
        "audit", "export", "cells", "--format", "csv", "--table", "cells", "--at", "2", "--json"
      ).object
      #expect(made["position"] as? String == "1:2" && made["past"] as? Bool == true)
      #expect(made["rows"] as? Int == 1 && made["as_of"] is String)
      #expect(try bed.run("audit", "export", "x", "--at", "2").status == 64)
    }
  }

  @Test func `no export holds a clear secret`() throws {
    try withCommand { bed in
      try bed.done("init", "--cell0", "sqlite:///cell0.sqlite")
      let secret = "Zq7canary-secret"
      try bed.done(
        "cell", "add", "alpha", "--database", "mysql+pymysql://nova:\(secret)@db/nova", "--queue",
        "rabbit://nova:\(secret)@mq:5672/", "--reason", "t")
      try bed.done("audit", "export", "a", "--proofs")
      try bed.done("audit", "export", "b", "--format", "cloudevents")
      try bed.done("audit", "export", "c", "--format", "csv", "--table", "cells")
      let keys = try FileManager.default.subpathsOfDirectory(atPath: bed.path("store/keys"))
      for name in ["a", "b", "c"] {
        let data = try Data(contentsOf: URL(filePath: bed.path(name)))
        #expect(data.range(of: Data(secret.utf8)) == nil, "\(name)")
        for key in keys where !key.hasPrefix("checkpoint-") {
          let bytes = try Data(contentsOf: URL(filePath: bed.path("store/keys/\(key)"))).suffix(32)
          for text in [
            bytes.base64EncodedString(), bytes.map { String(format: "%02x", $0) }.joined(),
          ] {
            #expect(data.range(of: Data(text.utf8)) == nil, "\(name) holds \(key)")
          }
        }
      }
    }
  }

  @Test func `a damaged export and a damaged store end with 4, and leave nothing`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("audit", "export", "a")
      let text = try String(contentsOfFile: bed.path("a"), encoding: .utf8)
      var lines = text.split(separator: "\n").map(String.init)
      lines.swapAt(4, 5)
      try bed.write(lines.map { $0 + "\n" }.joined(), to: "a")
      let ran = try bed.run("--store", "n", "audit", "import", "a")
      #expect(ran.status == 4 && ran.err.contains("Line 5 of"), "\(ran.err)")
      #expect(!FileManager.default.fileExists(atPath: bed.path("n")))
      #expect(try bed.run("--store", "n", "audit", "import", "api.sqlite").status == 6)
      #expect(try bed.run("--store", "n", "audit", "import", "missing").status == 6)
      try bed.write(text, to: "whole")
      try FileManager.default.createDirectory(
        atPath: bed.path("full"), withIntermediateDirectories: false)
      try bed.write("mine", to: "full/mine")
      for words in [["audit", "import", "whole"], ["init"]] {
        let full = try bed.run(["--store", "full"] + words)
        #expect(full.status == 64 && full.err.contains("such as mine"), "\(full.err)")
      }
      let journal = URL(filePath: bed.path("store/journal.lmdb"))
      var bytes = try Data(contentsOf: journal)
      var start = bytes.startIndex
      while let found = bytes.range(of: Data("alpha-host".utf8), in: start..<bytes.endIndex) {
        bytes[found.lowerBound] ^= 1
        start = found.upperBound
      }
      try bytes.write(to: journal)
      let damaged = try bed.run("audit", "export", "b")
      #expect(damaged.status == 4, "\(damaged.err)")
      let left = try FileManager.default.contentsOfDirectory(atPath: bed.folder)
      #expect(left.filter { $0.hasPrefix("b.") || $0 == "b" }.isEmpty, "\(left)")
    }
  }

  @Test func `the checker's own hashing is that of the published vectors`() throws {
    try withCommand { bed in
      let vectors = Checkout.file("Tests/JournalTests/Vectors/rfc6962.json").path
      let checked = try bed.check("--vectors", vectors)
      #expect(checked.status == 0, "\(checked.out)")
    }
  }
}
