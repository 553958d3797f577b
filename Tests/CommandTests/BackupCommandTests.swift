import Foundation
import TestSupport
import Testing

@Suite(.waiting) struct BackupCommandTests {
  @Test func `says what is in a backup, and refuses a place that is taken`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let status = try bed.done("status", "--json").object
      let made = try bed.done("backup", "create", "b", "--json").object
      #expect(made["position"] as? String == status["position"] as? String)
      #expect(made["root"] as? String == status["root"] as? String)
      #expect(made["store"] as? String == status["store"] as? String)
      #expect(made["keys"] as? Bool == false && made["bytes"] as? Int ?? 0 > 8_192)
      #expect(made["entries"] as? Int ?? 0 > 20)
      #expect(try bed.run("backup", "create", "b").status == 9)
      #expect(try bed.done("backup", "create", "c").out.contains("holds no keys"))
      #expect(
        try bed.done("backup", "create", "d", "--with-keys").out.contains("reads every address"))
      #expect(try bed.run("backup", "create", "no folder/b").status == 6)
      #expect(try bed.run("status", "--store", "b").status == 6)
    }
  }

  @Test func `a dry run counts what would be dropped, and changes nothing`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("backup", "create", "b")
      try bed.done("cell", "rename", "alpha", "gamma", "--reason", "t")
      let head = try #require(try bed.done("status", "--json").object["position"] as? String)
      let last = try #require(head.split(separator: ":").last.flatMap { Int($0) })
      let plan = try bed.done(
        "backup", "restore", "b", "--to", "\(last - 3)", "--dry-run", "--json"
      ).object
      let dropped = try #require(plan["dropped"] as? [String: Any])
      #expect(dropped["entries"] as? Int == 3 && plan["dropped_of"] as? String == "store")
      #expect((dropped["kinds"] as? [String: Int])?["cell renamed"] == 1)
      #expect((dropped["actors"] as? [String: Int])?.values.reduce(0, +) == 3)
      #expect((dropped["last"] as? [String: Any])?["position"] as? String == head)
      #expect(plan["dry_run"] as? Bool == true && plan["epoch"] as? Int == 2)
      #expect(try bed.done("status", "--json").object["position"] as? String == head)
      let elsewhere = try bed.done(
        "--store", "n", "backup", "restore", "b", "--to", "1:\(last - 3)", "--dry-run", "--json"
      ).object
      #expect((elsewhere["dropped"] as? [String: Any])?["entries"] as? Int == 2)
      #expect(elsewhere["dropped_of"] as? String == "backup")
      #expect(!FileManager.default.fileExists(atPath: bed.path("n")))
      #expect(try bed.done("backup", "restore", "b", "--dry-run").out.contains("1 entries"))
    }
  }

  @Test func `a restore says where the store is now and what it left`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let made = try bed.done("backup", "create", "b", "--with-keys", "--json").object
      let entries = try #require(made["entries"] as? Int)
      try bed.done("cell", "rename", "alpha", "gamma", "--reason", "t")
      let restored = try bed.done(
        "backup", "restore", "b", "--reason", "wrong name", "--json"
      ).object
      #expect(restored["position"] as? String == "2:\(entries + 1)")
      #expect(restored["set_aside"] as? String == "store/left-at-1-\(entries + 1)")
      #expect(restored["keys"] as? String == "store")
      #expect(restored["index"] as? String != nil)
      let status = try bed.done("status", "--json").object
      #expect(status["index_position"] as? String == "2:\(entries + 1)")
      #expect(try bed.done("cell", "list").out.contains("alpha"))
      try bed.done("audit", "verify")
      let now = try bed.done(
        "--store", "n", "backup", "restore", "b", "--to", "0s ago", "--dry-run", "--json"
      ).object
      #expect(now["target"] as? String == "1:\(entries)", "\(now)")
      let there = try bed.done(
        "--store", "n", "backup", "restore", "b", "--to", "1:\(entries - 1)", "--reason", "t"
      )
      #expect(there.out.contains("2:\(entries)") && there.out.contains("1 entries of the backup"))
      try bed.done("--store", "n", "cell", "rename", "alpha", "delta", "--reason", "t")
    }
  }

  @Test func `refuses a wrong --to, no reason, another store and what is no backup`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done("backup", "create", "b")
      for to in ["x", "1:", "0", "1", "9999", "2:3", "1999-01-01T00:00:00Z", "2w ago", "90d ago"] {
        let ran = try bed.run("--store", "n", "backup", "restore", "b", "--to", to, "--reason", "t")
        #expect(ran.status == 64, "\(to): \(ran.err)")
      }
      #expect(try bed.run("--store", "n", "backup", "restore", "b").status == 64)
      #expect(try bed.run("--store", "n", "backup", "restore", "none", "--reason", "t").status == 6)
      #expect(
        try bed.run("--store", "n", "backup", "restore", "store", "--reason", "t").status == 6)
      let secret = try bed.run(
        "--store", "n", "backup", "restore", "b", "--reason", "see mysql://u:p@h/x")
      #expect(secret.status == 64)
      try bed.done("--store", "other", "init")
      #expect(
        try bed.run("--store", "other", "backup", "restore", "b", "--reason", "t").status == 9)
      #expect(!FileManager.default.fileExists(atPath: bed.path("n")))
    }
  }

  @Test func `a damaged backup is exit 4, and the store stays`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done("backup", "create", "b", "--with-keys")
      let position = try bed.done("status", "--json").object["position"] as? String
      let names = try FileManager.default.subpathsOfDirectory(atPath: bed.path("b"))
        .filter { $0 != "keys" }
      #expect(names.count == 8, "\(names)")
      for name in names {
        let url = URL(filePath: bed.path("b/" + name))
        let sound = try Data(contentsOf: url)
        var wrong = sound
        wrong[sound.count / 2] ^= 4
        try wrong.write(to: url)
        let ran = try bed.run("backup", "restore", "b", "--reason", "t")
        #expect(ran.status == 4 && ran.err.contains(name), "\(name): \(ran.err)")
        try FileManager.default.removeItem(at: url)
        let missing = try bed.run("backup", "restore", "b", "--reason", "t")
        #expect(missing.status == (name == "backup.json" ? 6 : 4), "\(name): \(missing.err)")
        try sound.write(to: url)
      }
      #expect(try bed.done("status", "--json").object["position"] as? String == position)
    }
  }

  @Test func `without keys addresses stay masked, and changes wait for the keys`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("backup", "create", "b")
      let restored = try bed.done("--store", "n", "backup", "restore", "b", "--reason", "t")
      #expect(restored.out.contains("no keys") && restored.out.contains("keys/"))
      let cells = try bed.done("--store", "n", "cell", "list")
      #expect(cells.out.contains("rabbit://nova:****@alpha:5672/"))
      let route = try bed.run("--store", "n", "route", "\(instance(0))", "--json")
      #expect(route.status == 7 && route.out.contains("rabbit://nova:****@alpha:5672/"), "\(route)")
      let change = try bed.run("--store", "n", "cell", "rename", "alpha", "x", "--reason", "t")
      #expect(change.status == 10, "\(change.err)")
      try FileManager.default.copyItem(atPath: bed.path("store/keys"), toPath: bed.path("n/keys"))
      try bed.done("--store", "n", "cell", "rename", "alpha", "x", "--reason", "t")
      try bed.done("--store", "n", "route", "\(instance(0))")
    }
  }

  @Test func `no backup holds a clear secret, and one without keys holds no key`() throws {
    try withCommand { bed in
      try bed.done("init", "--cell0", "sqlite:///cell0.sqlite")
      let secret = "Zq7canary-secret"
      try bed.done(
        "cell", "add", "alpha", "--database", "mysql+pymysql://nova:\(secret)@db/nova", "--queue",
        "rabbit://nova:\(secret)@mq:5672/", "--reason", "t")
      try bed.done("backup", "create", "bare")
      try bed.done("backup", "create", "full", "--with-keys")
      let files = try FileManager.default.subpathsOfDirectory(atPath: bed.path("store/keys"))
      for name in ["bare", "full"] {
        for file in try FileManager.default.subpathsOfDirectory(atPath: bed.path(name)) {
          guard let data = FileManager.default.contents(atPath: bed.path("\(name)/\(file)")) else {
            continue
          }
          #expect(data.range(of: Data(secret.utf8)) == nil, "\(name)/\(file)")
          guard name == "bare" else { continue }
          for key in files {
            let bytes = try Data(contentsOf: URL(filePath: bed.path("store/keys/\(key)")))
            #expect(data.range(of: bytes.suffix(32)) == nil, "\(file) holds \(key)")
          }
        }
      }
      #expect(!FileManager.default.fileExists(atPath: bed.path("bare/keys")))
    }
  }
}
