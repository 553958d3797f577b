import Foundation
import Journal
import TestSupport
import Testing

/// `init --seal-projects`, and every command in such a store.
@Suite(.waiting) struct SealedProjectsTests {
  private static let canaries = ["project-1", "user-1"].map { Data($0.utf8) }

  private func withSealed(_ body: (CommandBed, NovaAPIFile) throws -> Void) throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      try bed.done("init", "--seal-projects")
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      try body(bed, api)
    }
  }

  /// Looks for projects and users in every file of a store, or in one file.
  private func search(_ bed: CommandBed, _ name: String) throws {
    let path = bed.path(name)
    let names = FileManager.default.enumerator(atPath: path)?.compactMap { $0 as? String } ?? []
    for file in names.isEmpty ? [path] : names.map({ "\(path)/\($0)" }) {
      guard let bytes = FileManager.default.contents(atPath: file) else { continue }
      for canary in Self.canaries {
        #expect(
          bytes.range(of: canary) == nil, "\(file) holds \(String(decoding: canary, as: UTF8.self))"
        )
      }
    }
  }

  private func position(_ bed: CommandBed) throws -> String? {
    try bed.done("status", "--json").object["position"] as? String
  }

  private func owners(_ bed: CommandBed, _ words: String...) throws -> [[String?]] {
    try bed.done(["instance", "list", "--json"] + words).objects.filter { $0["instance"] != nil }
      .map { [$0["project"] as? String, $0["user"] as? String] }
  }

  private func shred(_ bed: CommandBed, _ more: String...) throws -> [String: Any] {
    try bed.done(
      ["keys", "shred", "--project", "project-1", "--reason", "t", "--json"] + more
    ).object
  }

  @Test func `without its keys a store doesn't say that a project has nothing`() throws {
    try withSealed { bed, _ in
      let id = "\(instance(1))"
      try FileManager.default.moveItem(atPath: bed.path("store/keys"), toPath: bed.path("keys"))
      for words in [
        ["instance", "list", "--project", "project-1"],
        ["instance", "list", "--count", "--user", "user-1"],
        ["audit", "diff", "1:2", "--project", "project-1"],
        ["audit", "bisect", "1..", "--", "instance", "list", "--count", "--project", "project-1"],
        ["keys", "shred", "--project", "project-1", "--dry-run"],
      ] {
        let ran = try bed.run(words)
        #expect(ran.status == 6 && ran.out.isEmpty, "\(words): \(ran)")
        #expect(ran.err.contains("'keys'") && ran.err.contains("can't be told"), "\(words): \(ran)")
      }
      let shown = try bed.done("instance", "show", id, "--json").object
      #expect(shown["project"] is NSNull && shown["sealed"] as? [String] == ["project", "user"])
      #expect(try bed.done("instance", "list", "--count").out == "20\n")
      try FileManager.default.moveItem(atPath: bed.path("keys"), toPath: bed.path("store/keys"))
      #expect(try owners(bed, "--project", "project-1").count == 20)
    }
  }

  @Test func `an adopted map shows its owners, and no file of the store holds them`() throws {
    try withSealed { bed, _ in
      #expect(try owners(bed) == Array(repeating: ["project-1", "user-1"], count: 20))
      #expect(try owners(bed, "--project", "project-1", "--user", "user-1").count == 20)
      #expect(try owners(bed, "--user", "user-1", "--cell", "alpha").count == 10)
      #expect(try owners(bed, "--project", "other").isEmpty)
      let count = try bed.done(
        "instance", "list", "--count", "--project", "project-1", "--no-queued-for-delete")
      #expect(count.out == "20\n")
      let before = try position(bed)
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      #expect(try position(bed) == before)
      let id = "\(instance(1))"
      let route = try bed.done("route", id, "--json", "--deadline", "60000").object
      #expect(route["project"] as? String == "project-1")
      let shown = try bed.done("instance", "show", id).out
      #expect(shown.contains("project-1") && shown.contains("user-1"))
      for words in [
        ["audit", "history", id], ["audit", "explain", id], ["audit", "stats"],
        ["audit", "diff", "1:2", "--project", "project-1"],
        ["audit", "at", before ?? "", "instance", "list", "--project", "project-1"],
      ] {
        #expect(try bed.done(words).out.contains("project-1"), "\(words)")
      }
      let listed = try bed.done("keys", "list", "--json").objects.filter {
        $0["use"] as? String == "project"
      }
      #expect(listed.map { $0["project"] as? String } == ["project-1"])
      try bed.done("replay")
      try search(bed, "store")
    }
  }

  @Test func `a cell that is away is listed from the map, by project and user`() throws {
    try withSealed { bed, _ in
      try FileManager.default.moveItem(
        atPath: bed.path("alpha.sqlite"), toPath: bed.path("alpha.away"))
      for words in [["--project", "project-1"], ["--user", "user-1"]] {
        let ran = try bed.run(["instance", "list", "--live", "--json"] + words)
        let rows = try ran.objects.filter { $0["instance"] != nil }
        #expect(rows.count == 20, "\(ran)")
        #expect(rows.filter { $0["status"] as? String == "UNKNOWN" }.count == 10)
        #expect(rows.allSatisfy { $0["project"] as? String == "project-1" })
      }
      let sorted = try bed.run(
        "instance", "list", "--live", "--json", "--sort", "project", "--project", "project-1")
      #expect(try sorted.objects.filter { $0["instance"] != nil }.count == 20)
      let none = try bed.run("instance", "list", "--live", "--json", "--project", "other")
      #expect(try none.objects.filter { $0["instance"] != nil }.isEmpty)
    }
  }

  @Test func `publish writes owners in clear, and a rebuild and a comparison change nothing`()
    throws
  {
    try withSealed { bed, _ in
      let target = try NovaAPIFile.make(at: bed.path("target.sqlite"))
      try target.execute(
        "CREATE TABLE build_requests (id INTEGER NOT NULL PRIMARY KEY, instance_uuid VARCHAR(36))")
      let words = ["publish", "sqlite:///target.sqlite", "--reason", "t", "--json"]
      let done = try bed.done(words).object
      #expect((done["instances"] as? [String: Any])?["new"] as? Int == 20)
      let bytes = try Data(contentsOf: URL(filePath: bed.path("target.sqlite")))
      for canary in Self.canaries { #expect(bytes.range(of: canary) != nil) }
      #expect(try bed.done(words).object["changed"] as? Bool == false)
      try bed.done("cell", "export", "cells.yaml", "--reveal")
      for name in ["cell0", "alpha", "beta"] {
        try NovaCellFile(path: bed.path("\(name).sqlite")).execute(
          "UPDATE instances SET created_at = '2026-01-02 03:04:07.000000'")
      }
      let rebuilt = try bed.done("rebuild", "--cells", "cells.yaml", "--reason", "t", "--json")
        .object
      let instances = try #require(rebuilt["instances"] as? [String: Any])
      #expect(instances["same"] as? Int == 20 || instances["changed"] as? Int == 0, "\(instances)")
      let compared = try bed.run("reconcile", "--settle", "0s", "--json")
      #expect(!compared.out.contains("\"owner\""), "\(compared.out)")
      // From nothing, past the index.
      try bed.done(
        "--store", "new", "rebuild", "--cells", "cells.yaml", "--seal-projects", "--reason", "t")
      let listed = try bed.done("--store", "new", "instance", "list", "--project", "project-1")
      #expect(listed.out.contains("\(instance(19))"))
      try search(bed, "store")
      try search(bed, "new")
      let other = try bed.run(
        "--store", "new", "rebuild", "--cells", "cells.yaml", "--seal-projects", "--reason", "t")
      #expect(other.status == 0, "\(other)")
    }
  }

  @Test func `exports hold nothing in clear unless asked, and are imported the same`() throws {
    try withSealed { bed, _ in
      try bed.done("audit", "export", "a")
      try bed.done("audit", "export", "events", "--format", "cloudevents")
      try bed.done("audit", "export", "masked.csv", "--format", "csv", "--table", "instances")
      for name in ["a", "events", "masked.csv"] { try search(bed, name) }
      try bed.done(
        "audit", "export", "clear.csv", "--format", "csv", "--table", "instances", "--reveal")
      let clear = try String(contentsOfFile: bed.path("clear.csv"), encoding: .utf8)
      #expect(clear.contains("\"project-1\",\"user-1\""))
      #expect(
        try bed.run("audit", "export", "x", "--format", "csv", "--table", "cells", "--reveal")
          .status == 64)
      try bed.done("--store", "n", "audit", "import", "a")
      try bed.done("--store", "n", "audit", "export", "b")
      #expect(
        try Data(contentsOf: URL(filePath: bed.path("a")))
          == Data(contentsOf: URL(filePath: bed.path("b"))))
      let checked = try bed.check("a")
      #expect(checked.status == 0, "\(checked)")
      // Without its keys the owners of the copy are unknown; with them they are as here.
      #expect(try bed.done("--store", "n", "instance", "list").out.contains("(sealed)"))
      try FileManager.default.copyItem(atPath: bed.path("store/keys"), toPath: bed.path("n/keys"))
      #expect(try bed.done("--store", "n", "instance", "list").out.contains("project-1"))
    }
  }

  @Test func `a shredded project's instances are routed, and nobody's`() throws {
    try withSealed { bed, _ in
      try bed.done("backup", "create", "copy", "--with-keys")
      let plan = try bed.done(
        "keys", "shred", "--project", "project-1", "--dry-run", "--json"
      ).object
      #expect(plan["instances"] as? Int == 20 && plan["changed"] as? Bool == false)
      let request = ["--request-id", "\(instance(900))"]
      let words = ["keys", "shred", "--project", "project-1", "--reason", "t", "--json"] + request
      let done = try bed.done(words).object
      #expect(done["instances"] as? Int == 20 && (done["keys"] as? [String])?.count == 1)
      let copies = try #require(done["copies"] as? [[String: Any]])
      #expect(copies.count == 1 && copies[0]["holds"] as? Bool == true)
      #expect(try bed.done(words).object["repeated"] as? Bool == true)
      let again = try bed.run("keys", "shred", "--project", "project-1", "--reason", "t")
      #expect(again.status == 2 && again.err.contains("'project-1'"), "\(again)")
      let id = "\(instance(1))"
      let route = try bed.done("route", id, "--json", "--deadline", "60000").object
      #expect(route["host"] as? String == "beta-host")
      let shown = try bed.done("instance", "show", id, "--json").object
      #expect(shown["project"] is NSNull && shown["user"] is NSNull)
      #expect(shown["key_shredded"] as? [String] == ["project", "user"])
      #expect(try bed.done("instance", "list").out.contains("(key shredded)"))
      for words in [["audit", "history", id], ["audit", "stats"], ["audit", "explain", id]] {
        let out = try bed.done(words).out
        #expect(out.contains("(key shredded)") && !out.contains("project-1"), "\(words) \(out)")
      }
      #expect(try bed.done("instance", "list", "--count").out == "20\n")
      let verified = try bed.done("audit", "verify", "--full", "--json").object
      let replayed = try bed.done("replay", "--json").object
      #expect(verified["index_digest"] as? String == replayed["digest"] as? String)
      let keys = try FileManager.default.contentsOfDirectory(atPath: bed.path("store/keys"))
      #expect(!keys.contains { $0.hasPrefix("project-") || $0.hasPrefix("shredding-") })
    }
  }

  @Test func `whoever observes leaves a shredded owner alone, and says so`() throws {
    try withSealed { bed, api in
      let target = try NovaAPIFile.make(at: bed.path("target.sqlite"))
      try target.execute(
        "CREATE TABLE build_requests (id INTEGER NOT NULL PRIMARY KEY, instance_uuid VARCHAR(36))")
      try bed.done("cell", "export", "cells.yaml", "--reveal")
      _ = try shred(bed)
      let before = try position(bed)
      let adopted = try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t", "--json").object
      #expect(adopted["owners_left"] as? Int == 20 && adopted["changed"] as? Bool == false)
      #expect(try position(bed) == before)
      let told = try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      #expect((told.out + told.err).contains("20 instances of a project whose key was shredded"))
      let compared = try bed.run("reconcile", "--settle", "0s", "--json")
      #expect(!compared.out.contains("\"owner\""), "\(compared.out)")
      #expect(try compared.objects.last?["owners_left"] as? Int == 20)
      let rebuilt = try bed.run(
        "rebuild", "--cells", "cells.yaml", "--reason", "t", "--json")
      #expect(try rebuilt.object["owners_left"] as? Int == 20, "\(rebuilt)")
      #expect(try owners(bed) == Array(repeating: [nil, nil], count: 20))
      let left = try bed.run("publish", "sqlite:///target.sqlite", "--reason", "t", "--json")
      #expect(left.status == 5 && left.out.contains("owner was shredded"), "\(left)")
      // A new instance of the project is somebody's again, under another key.
      try api.addInstance(900, "\(instance(900))", cell: 2)
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      #expect(try owners(bed, "--project", "project-1") == [["project-1", "user-1"]])
      try search(bed, "store")
    }
  }

  @Test func `a project's key that is lost is listed as lost, and a shredded one isn't`() throws {
    try withSealed { bed, _ in
      func keys(_ ran: CommandBed.Ran) throws -> [[String: Any]] {
        try ran.objects.filter { $0["use"] as? String == "project" }
      }
      let id = try #require(try keys(bed.done("keys", "list", "--json")).first?["key"] as? String)
      let file = bed.path("store/keys/project-\(id)")
      try FileManager.default.moveItem(atPath: file, toPath: bed.path("away"))
      let lost = try bed.run("keys", "list", "--json")
      #expect(lost.status == 4 && lost.err.contains("\(id) (project) is lost"), "\(lost)")
      #expect(try keys(lost).map { $0["state"] as? String } == ["lost"])
      try FileManager.default.moveItem(atPath: bed.path("away"), toPath: file)
      _ = try shred(bed)
      #expect(
        try keys(bed.done("keys", "list", "--json")).map { $0["state"] as? String }
          == ["shredded"])
    }
  }

  @Test func `the mark of a store that seals owners is missed`() throws {
    try withSealed { bed, _ in
      try FileManager.default.removeItem(atPath: bed.path("store/keys/projects"))
      let listed = try bed.run("keys", "list")
      #expect(listed.status == 4 && listed.err.contains("keys/projects"), "\(listed)")
    }
  }

  @Test func `a store in clear says that it can't shred projects`() throws {
    try withCommand { bed in
      try bed.done("init")
      let ran = try bed.run("keys", "shred", "--project", "p", "--reason", "t")
      #expect(ran.status == 9 && ran.err.contains("--seal-projects"), "\(ran)")
      let both = try bed.run("keys", "shred", "x", "--project", "p", "--reason", "t")
      #expect(both.status == 64)
      try bed.done("cell", "export", "cells.yaml", "--reveal")
      let rebuilt = try bed.run(
        "rebuild", "--cells", "cells.yaml", "--seal-projects", "--reason", "t")
      #expect(rebuilt.status == 64 && rebuilt.err.contains("never will"), "\(rebuilt)")
    }
  }
}
