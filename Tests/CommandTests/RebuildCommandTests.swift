import Foundation
import Journal
import TestSupport
import Testing

/// The map made again by the command, as the runbook has it.
@Suite struct RebuildCommandTests {
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
      try bed.done("conflicts", "resolve", id, "--cell", "beta", "--reason", "it runs there")
      #expect(try bed.done("route", id, "--json").object["cell_name"] as? String == "beta")
      #expect(try bed.done("conflicts", "list").out.hasPrefix("No open conflicts"))
      let decided = try bed.done("conflicts", "show", id)
      #expect(decided.out.contains("it runs there") && decided.out.contains("By "))
      #expect(
        try bed.done("conflicts", "show", id, "--json").object["reason"] as? String
          == "it runs there")
      #expect(try bed.done("instance", "list", "--count").err == "")
      #expect(
        try bed.run("conflicts", "resolve", "nothing", "--unmapped", "--reason", "t").status == 9)
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
      #expect(ran.status == 1 && ran.err.contains("passed over"), "\(ran)")
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
}
