import Foundation
import Glibc
import Journal
import Projections
import TestSupport
import Testing

/// The map made again by the command, as the runbook has it.
@Suite(.waiting) struct RebuildCommandTests {
  @Test func `a conflict about what is mapped already is told apart, in all words`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let beta = NovaCellFile(path: bed.path("beta.sqlite"))
      let kept = "\(instance(0))"
      try beta.add(instance(0))
      for name in ["alpha", "beta"] {
        try NovaCellFile(path: bed.path("\(name).sqlite")).add(instance(900))
      }
      let rebuilt = try bed.run("rebuild", "--reason", "t")
      #expect(rebuilt.status == 1)
      #expect(
        rebuilt.out.contains(
          "2 conflicts, which only you can decide: 1 without a mapping until then, "
            + "1 mapped as before until then"), "\(rebuilt)")
      #expect(try bed.done("route", kept, "--json").object["cell_name"] as? String == "alpha")
      let target = try NovaAPIFile.make(at: bed.path("target.sqlite"))
      try target.execute("CREATE TABLE build_requests (id INTEGER, instance_uuid VARCHAR(36))")
      let published = try bed.done("publish", "sqlite:///target.sqlite", "--reason", "t")
      #expect(
        published.err.contains(
          "2 conflicts are open until you decide: 1 about what has no mapping until then, and is not "
            + "published; 1 about what is mapped as before until then, and is published so"),
        "\(published)")
      let status = try bed.done("status", "--json").object
      #expect(status["open_conflicts"] as? Int == 2)
      #expect(status["open_conflicts_mapped"] as? Int == 1)
    }
  }

  @Test func `an export, a lost store, a rebuild, a conflict, its decision`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("cell", "export", "cells.yaml", "--reveal")
      let before = try bed.done("instance", "list", "--json").objects.compactMap {
        $0["instance"] as? String
      }
      try FileManager.default.removeItem(atPath: bed.path("store"))
      let alpha = NovaCellFile(path: bed.path("alpha.sqlite"))
      let beta = NovaCellFile(path: bed.path("beta.sqlite"))
      for file in [alpha, beta] { try file.add(instance(900)) }
      let words = ["rebuild", "--cells", "cells.yaml"]
      let dry = try bed.run(words + ["--dry-run", "--json"])
      #expect(dry.status == 1, "\(dry)")
      #expect(!FileManager.default.fileExists(atPath: bed.path("store")))
      #expect(try bed.run(words).status == 64)
      let rebuilt = try bed.run(words + ["--reason", "lost", "--json"])
      #expect(rebuilt.status == 1)
      #expect(try rebuilt.object["conflict_count"] as? Int == 1)
      let after = try bed.done("instance", "list", "--json").objects.compactMap {
        $0["instance"] as? String
      }
      #expect(after == before)
      let id = "\(instance(900))"
      let (keys, aside) = (bed.path("store/keys"), bed.path("keys-aside"))
      try FileManager.default.moveItem(atPath: keys, toPath: aside)
      // A reader needs none.
      #expect(try bed.done("conflicts", "list", "--json").object["instance"] as? String == id)
      try FileManager.default.moveItem(atPath: aside, toPath: keys)
      let routed = try bed.run("route", id, "--json")
      #expect(routed.status == 2, "\(routed)")
      let error = try #require(try routed.object["error"] as? String)
      #expect(error.contains("in conflict") && error.contains("conflicts show \(id)"))
      #expect(try bed.done("status", "--json").object["open_conflicts"] as? Int == 1)
      let count = try bed.done("instance", "list", "--count")
      #expect(count.out == "\(before.count)\n" && count.err.contains("1 conflict is open"))
      let both = try bed.run(
        "conflicts", "resolve", id, "--cell", "beta", "--unmapped", "--reason", "t")
      #expect(both.status == 64 && both.err.contains("not both"), "\(both)")
      let open = try #require(try bed.done("status", "--json").object["position"] as? String)
      try bed.done("conflicts", "resolve", id, "--cell", "beta", "--reason", "it runs there")
      #expect(try bed.done("route", id, "--json").object["cell_name"] as? String == "beta")
      #expect(try bed.done("conflicts", "list").out.hasPrefix("No open conflicts"))
      for words in [
        ["conflicts", "show", id, "--at", open], ["audit", "at", open, "conflicts", "show", id],
      ] {
        let then = try bed.done(words).out
        #expect(then.hasPrefix("As of \(open)") && then.contains("Open, as entry"), "\(then)")
        let fields = try bed.done(words + ["--json"]).object
        #expect(fields["past"] as? Bool == true && fields["position"] as? String == open)
        #expect(fields["decision"] is NSNull && fields["decided_by"] is NSNull)
      }
      let early = try bed.run("conflicts", "show", id, "--at", "1")
      #expect(early.status == 2 && early.err.contains("No conflict over"), "\(early)")
      for column in ["uuid", "host", "created_at:desc"] {
        let listed = try bed.run("instance", "list", "--live", "--json", "--sort", column)
        let places = try listed.objects.filter { $0["instance"] as? String == id }
        // Which of two visible copies it is, is said by the row.
        #expect(places.count == 1, "\(listed)")
        #expect(["alpha", "beta"].contains(places.first?["cell_name"] as? String), "\(listed)")
      }
      let decided = try bed.done("conflicts", "show", id)
      #expect(decided.out.contains("it runs there") && decided.out.contains("By "))
      #expect(
        try bed.done("conflicts", "show", id, "--json").object["reason"] as? String
          == "it runs there")
      #expect(try bed.done("instance", "list", "--count").err.hasPrefix("cellmap: True at"))
      #expect(
        try bed.run("conflicts", "resolve", "nothing", "--unmapped", "--reason", "t").status == 9)
    }
  }

  @Test func `what was decided is said by all that answer about the instance`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let id = "\(instance(900))"
      for name in ["alpha", "beta"] {
        try NovaCellFile(path: bed.path("\(name).sqlite")).add(instance(900))
      }
      let new = try bed.run("reconcile", id)
      #expect(new.status == 1 && new.out.contains("cellmap reconcile --apply two-copies"), "\(new)")
      #expect(try bed.run("rebuild", "--reason", "t").status == 1)
      let found = try #require(
        try bed.done("conflicts", "show", id, "--json").object["found"] as? Int)
      let open = try bed.run("reconcile", id)
      #expect(
        open.status == 1 && open.out.contains("; in conflict, as entry \(found) found\n"), "\(open)"
      )
      #expect(!open.out.contains("--apply two-copies"), "it is in the map already")
      #expect(open.out.contains("cellmap conflicts resolve UUID --cell CELL"))
      let all = try bed.run("reconcile", "--settle", "0s")
      #expect(all.status == 1 && all.out.contains("1 conflict in the map already"), "\(all)")
      let shown = try bed.run("instance", "show", id)
      #expect(
        shown.status == 2 && shown.err.contains("is in conflict and has no mapping"), "\(shown)")

      try bed.done("conflicts", "resolve", id, "--unmapped", "--reason", "a rescue copy")
      let entry = try #require(
        try bed.done("conflicts", "show", id, "--json").object["changed_at"] as? Int)
      let decided = try bed.done("reconcile", id)
      #expect(
        decided.out.hasPrefix(
          "\(id): without a mapping; alpha, beta have it, and entry \(entry) decided: unmapped\n"),
        "\(decided)")
      let fields = try bed.done("reconcile", id, "--json").object
      #expect(fields["verdict"] as? String == "decided" && fields["cell"] is NSNull)
      #expect(fields["decision"] as? String == "unmapped")
      #expect(fields["decision_entry"] as? Int == entry)
      for words in [["route", id], ["instance", "show", id]] {
        let ran = try bed.run(words)
        #expect(
          ran.status == 2 && ran.err.contains("has no mapping, as entry \(entry) decided"), "\(ran)"
        )
      }
      let routed = try bed.run("route", id, "--json").object
      #expect(routed["outcome"] as? String == "unmapped")
      #expect(routed["decision"] as? String == "unmapped")

      try bed.done("conflicts", "resolve", id, "--cell", "beta", "--reason", "it runs there")
      let placed = try bed.done("reconcile", id).out
      #expect(
        placed.contains("in cell beta, as the map says; alpha, beta have it, and entry")
          && placed.contains(" decided: cell beta\n"), "\(placed)")
      #expect(try bed.done("conflicts", "list", "--all").out.contains("cell beta"))
      #expect(try bed.done("conflicts", "show", id).out.contains(": cell beta\n"))
    }
  }

  @Test func `a masked file is refused, and rows that are passed over are a finding`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("cell", "export", "masked.yaml")
      try bed.done("cell", "export", "cells.yaml", "--reveal")
      let again = try bed.run("cell", "export", "cells.yaml")
      #expect(again.status == 9, "an export may be all that has the passwords")
      let masked = try bed.run(
        "--store", "new", "rebuild", "--cells", "masked.yaml", "--reason", "t")
      #expect(masked.status == 64 && masked.err.contains("--reveal"), "\(masked)")
      let given = try bed.run(
        "cell", "address", "alpha", "--queue", "rabbit://nova:****@alpha:5672/", "--reason", "t")
      #expect(given.status == 64)
      try NovaCellFile(path: bed.path("alpha.sqlite")).execute(
        "INSERT INTO instances (uuid, deleted) VALUES ('zzzzzzzz-zzzz-4zzz-8zzz-zzzzzzzzzzzz', 0)")
      let ran = try bed.run("rebuild", "--cells", "cells.yaml", "--reason", "t")
      #expect(ran.status == 1 && ran.err.contains("Passed over"), "\(ran)")
    }
  }

  @Test func `a file's changes of the cells are shown first, and a dry run tries its addresses`()
    throws
  {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("cell", "export", "cells.yaml", "--reveal")
      try FileManager.default.copyItem(
        atPath: bed.path("alpha.sqlite"), toPath: bed.path("moved.sqlite"))
      let file = URL(fileURLWithPath: bed.path("cells.yaml"))
      var text = try String(contentsOf: file, encoding: .utf8)
      text.replace("alpha.sqlite", with: "moved.sqlite")
      text.replace("name: \"beta\"", with: "name: \"gamma\"")
      text += "  - name: new\n    database: sqlite:///none.sqlite\n"
      try text.write(to: file, atomically: true, encoding: .utf8)
      let before = try bed.done("cell", "list", "--json").out
      let dry = try bed.run("rebuild", "--cells", "cells.yaml", "--dry-run", "--json")
      #expect(dry.status == 5, "\(dry)")
      let changes = try #require(try dry.object["cell_changes"] as? [[String: Any]])
      let lines = changes.map { "\($0["cell_name"] ?? ""): \($0["change"] ?? "")" }
      #expect(lines.count == 3 && lines[2].hasPrefix("new: added as new"), "\(lines)")
      #expect(lines.contains { $0.hasPrefix("alpha: ") && $0.contains("moved.sqlite") })
      #expect(lines.contains("gamma: renamed from beta to gamma"))
      #expect(try bed.done("cell", "list", "--json").out == before)
      // The address of the file is what is read, and what isn't there is said.
      func read(_ run: CommandBed.Ran) throws -> [String: Bool] {
        let cells = try #require(try run.object["cells"] as? [[String: Any]])
        return Dictionary(
          cells.compactMap { cell in
            (cell["cell_name"] as? String).map { ($0, cell["answered"] as? Bool ?? false) }
          }, uniquingKeysWith: { first, _ in first })
      }
      let answered = try read(dry)
      #expect(answered["alpha"] == true && answered["gamma"] == true && answered["new"] == false)
      try FileManager.default.removeItem(atPath: bed.path("moved.sqlite"))
      let gone = try bed.run("rebuild", "--cells", "cells.yaml", "--dry-run", "--json")
      #expect(try read(gone)["alpha"] == false, "\(gone)")
      let shown = try bed.run("rebuild", "--cells", "cells.yaml", "--dry-run")
      #expect(!shown.out.contains("shredded"), "\(shown)")
      #expect(shown.out.hasPrefix("The map's cells would be changed:\n  cell "), "\(shown)")
      try FileManager.default.copyItem(
        atPath: bed.path("alpha.sqlite"), toPath: bed.path("moved.sqlite"))
      let done = try bed.run("rebuild", "--cells", "cells.yaml", "--reason", "t")
      #expect(done.status == 5 && done.out.hasPrefix("The map's cells are changed:\n"), "\(done)")
      let again = try bed.run("rebuild", "--cells", "cells.yaml", "--reason", "t", "--json")
      #expect((try again.object["cell_changes"] as? [Any])?.isEmpty == true, "\(again)")
    }
  }

  @Test func `an index that lacks a whole load is made again, not folded in memory`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let journal = try EventJournal.open(bed.path("store"))
      let lease = try journal.lock.acquire(command: "test")
      // As a load that was killed leaves it.
      let count = Overlay.readerCapacity + 1
      let authorship = Authorship(
        actor: "test", program: "test", reason: "test", observedAt: .now)
      for start in stride(from: 0, to: count, by: 10_000) {
        let drafts = (start..<min(count, start + 10_000)).map { number in
          EntryDraft(
            event: .instance(
              instance(number),
              .mapped(InstanceRecord(cell: cell(1), owner: InstanceOwner(project: "p", user: "u")))),
            authorship: authorship, request: RequestMark(id: .none))
        }
        _ = try journal.append(drafts, expecting: journal.head.position, under: lease)
      }
      lease.release()
      let counted = try bed.done("instance", "list", "--count")
      #expect(counted.out == "\(count)\n" && counted.err.contains("Making it again"), "\(counted)")
      let again = try bed.done("instance", "list", "--count")
      #expect(again.out == "\(count)\n" && !again.err.contains("Making it again"))
    }
  }

  @Test func `a killed scan goes on, and ends as one that nobody killed`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("cell", "export", "cells.yaml", "--reveal")
      try bed.done("--store", "whole", "rebuild", "--cells", "cells.yaml", "--reason", "t")
      for delay in [20_000, 60_000, 150_000, 300_000] as [UInt32] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: CommandBed.program)
        process.arguments = [
          "--store", "killed", "rebuild", "--cells", "cells.yaml", "--reason", "t", "--rate", "5",
        ]
        process.currentDirectoryURL = URL(fileURLWithPath: bed.folder)
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        usleep(delay)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
      }
      try bed.done("--store", "killed", "rebuild", "--cells", "cells.yaml", "--reason", "t")
      func content(_ store: String) throws -> [String] {
        try bed.done("--store", store, "instance", "list", "--json").objects.compactMap { row in
          guard let id = row["instance"] as? String else { return nil }
          return "\(id) \(row["cell"] ?? "") \(row["queued_for_delete"] ?? "") "
            + "\(row["last_known_host"] ?? "")"
        }
      }
      let (found, expected) = (try content("killed"), try content("whole"))
      #expect(found == expected && found.count == 20)
    }
  }

  @Test func `an answer that is repeated ends with what the map has open by now`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let (beta, aside) = (bed.path("beta.sqlite"), bed.path("aside.sqlite"))
      let words = ["rebuild", "--reason", "t", "--json", "--request-id"]
      let request = "\(UUID128.random())"
      try FileManager.default.moveItem(atPath: beta, toPath: aside)
      #expect(try bed.run(words + [request]).status == 5)
      try FileManager.default.moveItem(atPath: aside, toPath: beta)
      let repeated = try bed.run(words + [request])
      #expect(
        try repeated.status == 5 && repeated.object["repeated"] as? Bool == true, "\(repeated)")
      #expect(try repeated.object["cells_with_incomplete_coverage"] as? Int == 1)
      let told = try bed.run("rebuild", "--reason", "t", "--request-id", request)
      #expect(told.status == 5 && told.err.contains("another --request-id"), "\(told)")
      try bed.done(words + ["\(UUID128.random())"])
      let later = try bed.done(words + [request]).object
      #expect(later["cells_with_incomplete_coverage"] as? Int == 0)
    }
  }

  @Test func `a killed trial's store goes with the next, and a lost journal is no empty place`()
    throws
  {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try bed.done("cell", "export", "cells.yaml", "--reveal")
      let words = ["--store", "none", "rebuild", "--cells", "cells.yaml", "--dry-run"]
      let folder = FileManager.default.temporaryDirectory.path
      // A killed one's, one that is at work, and a store that somebody has named so.
      let (left, used, named) = (
        "\(folder)/cellmap-trial-\(UUID128.random())",
        "\(folder)/cellmap-trial-\(UUID128.random())",
        "\(folder)/cellmap-trial-of-mine-\(UUID128.random())"
      )
      defer { for path in [used, named] { try? FileManager.default.removeItem(atPath: path) } }
      for path in [left, used, named] {
        try FileManager.default.createDirectory(
          atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        try FileManager.default.copyItem(atPath: bed.path("store"), toPath: path + "/store")
        try Data().write(to: URL(fileURLWithPath: path + "/in-use"))
      }
      let mark = open(used + "/in-use", O_RDWR | O_CLOEXEC)
      defer { close(mark) }
      #expect(flock(mark, LOCK_EX | LOCK_NB) == 0)
      try bed.done(words)
      #expect(
        [left, used, named].map { FileManager.default.fileExists(atPath: $0) } == [
          false, true, true,
        ])
      #expect(!FileManager.default.fileExists(atPath: bed.path("none")))

      try FileManager.default.removeItem(atPath: bed.path("store/journal.lmdb"))
      for words in [
        ["rebuild", "--reason", "t"], ["rebuild", "--cells", "cells.yaml", "--dry-run"],
        ["rebuild", "--cells", "cells.yaml", "--reason", "t"],
      ] {
        let ran = try bed.run(words)
        #expect(
          ran.status == 4 && ran.err.contains("name another folder or move this one away"), "\(ran)"
        )
      }
      try FileManager.default.moveItem(atPath: bed.path("store"), toPath: bed.path("lost"))
      try bed.done("rebuild", "--cells", "cells.yaml", "--reason", "t")
    }
  }

  @Test func `what waits for a cell, and what is open again, is told; a discovery decides neither`()
    throws
  {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let (alpha, beta) = (bed.path("alpha.sqlite"), bed.path("beta.sqlite"))
      for path in [alpha, beta] {
        try NovaCellFile(path: path).addHost("both", service: .random(), node: .random())
      }
      #expect(try bed.run("rebuild", "--reason", "t").status == 1)
      try bed.done("conflicts", "resolve", "both", "--unmapped", "--reason", "t")
      let discovered = try bed.run("host", "discover", "--cell", "alpha", "--reason", "t")
      #expect(
        discovered.status == 1 && discovered.out.contains("CLASH: mapped to none"), "\(discovered)")
      try FileManager.default.moveItem(atPath: beta, toPath: bed.path("aside"))
      let waiting = try bed.run("rebuild", "--reason", "t")
      #expect(
        waiting.status == 5 && waiting.out.contains("1 conflict, open or decided"), "\(waiting)")
      try FileManager.default.moveItem(atPath: bed.path("aside"), toPath: beta)
      try bed.done("host", "add", "both", "--cell", "alpha", "--reason", "t")
      let again = try bed.run("rebuild", "--reason", "t")
      #expect(
        again.status == 1 && again.out.contains("1 decision of an operator no longer fits"),
        "\(again)")
    }
  }

  @Test func `a hidden row that is decided for is told`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let id = "\(instance(900))"
      let beta = NovaCellFile(path: bed.path("beta.sqlite"))
      for file in [NovaCellFile(path: bed.path("alpha.sqlite")), beta] {
        try file.add(instance(900))
      }
      #expect(try bed.run("rebuild", "--reason", "t").status == 1)
      try beta.execute("UPDATE instances SET hidden = 1 WHERE uuid = '\(id)'")
      let words = ["conflicts", "resolve", id, "--reason", "t", "--cell"]
      let hidden = try bed.done(words + ["beta"])
      #expect(hidden.err.contains("In cell beta the row is hidden"), "\(hidden)")
      let visible = try bed.done(words + ["alpha"])
      #expect(!visible.err.contains("hidden"), "\(visible)")
    }
  }

  @Test func `a host is decided for a cell that has it`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let beta = NovaCellFile(path: bed.path("beta.sqlite"))
      for file in [NovaCellFile(path: bed.path("alpha.sqlite")), beta] {
        try file.addHost("both", service: .random(), node: .random())
      }
      #expect(try bed.run("rebuild", "--reason", "t").status == 1)
      try beta.execute(
        "DELETE FROM compute_nodes WHERE host = 'both'; DELETE FROM services WHERE host = 'both'")
      let wrong = try bed.run("conflicts", "resolve", "both", "--cell", "beta", "--reason", "t")
      #expect(
        wrong.status == 9 && wrong.err.contains("Cell beta has no compute host both"), "\(wrong)")
      try bed.done("conflicts", "resolve", "both", "--cell", "alpha", "--reason", "t")
      // Only the other cell has it by now.
      try beta.addHost("both", service: .random(), node: .random())
      try NovaCellFile(path: bed.path("alpha.sqlite")).execute(
        "DELETE FROM compute_nodes WHERE host = 'both'; DELETE FROM services WHERE host = 'both'")
      let moved = try bed.run("rebuild", "--reason", "t")
      #expect(moved.status == 1, "\(moved)")
      #expect(moved.out.contains("not as an operator had decided (1): host both"), "\(moved)")
      try bed.done("rebuild", "--reason", "t")
    }
  }

  @Test func `an answer that is repeated leaves nothing of what its run had read`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let words = ["rebuild", "--reason", "t", "--json", "--request-id"]
      let request = UUID128.random()
      try bed.done(words + ["\(request)"])
      func staged() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: bed.path("store"))
          .filter { $0.hasPrefix("scan-") }
      }
      #expect(try staged().isEmpty)
      // As a run leaves it that is killed between its last commit and its end.
      func killedRun() throws -> SQLiteConnection? {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: CommandBed.program)
        process.arguments = ["--store", "store"] + words + ["\(UUID128.random())", "--rate", "1"]
        process.currentDirectoryURL = URL(fileURLWithPath: bed.folder)
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let isBegun = try eventually {
          try staged().contains { name in
            let file = try? FileManager.default.attributesOfItem(atPath: bed.path("store/\(name)"))
            return (file?[.size] as? Int ?? 0) > 100_000
          }
        }
        #expect(isBegun)
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        let name = try #require(try staged().first { $0.hasSuffix(".sqlite") })
        let file = try SQLiteConnection(path: bed.path("store/\(name)"), mode: .readWrite)
        return (try? file.integer("SELECT count(*) FROM request")) == nil ? nil : file
      }
      // One that was killed as it made its tables has none.
      var file: SQLiteConnection?
      for _ in 1...20 where file == nil { file = try killedRun() }
      try #require(file).execute(
        "INSERT INTO request VALUES (x'\(request.description.filter { $0 != "-" })'); UPDATE cell SET phase = 4"
      )
      file = nil
      #expect(try bed.done(words + ["\(request)"]).object["repeated"] as? Bool == true)
      #expect(try staged().isEmpty)
    }
  }

  @Test func `a person at a terminal sees how fast each cell is read and how long it takes`() throws
  {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      try NovaCellFile(path: bed.path("alpha.sqlite")).execute(
        """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
        INSERT INTO instances (uuid, deleted, project_id)
          SELECT printf('%08x-1111-4000-8000-000000000000', i), 0, 'p' FROM n;
        """)
      let seen = try bed.watched("rebuild", "--reason", "t", "--rate", "2000")
      #expect(seen.contains(#/alpha [0-9]+, [0-9]+\/s, [0-9]+ s left/#), "\(seen)")
    }
  }
}
