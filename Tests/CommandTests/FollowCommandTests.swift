import Foundation
import Journal
import Projections
import TestSupport
import Testing

/// `adopt --follow` and `wrap` as processes.
@Suite(.waiting) struct FollowCommandTests {
  /// A follower that runs beside the test.
  private final class Follower {
    let process = Process()
    private let bed: CommandBed
    private let log: String

    init(_ bed: CommandBed, interval: Int = 1) throws {
      self.bed = bed
      log = bed.path("follow-\(UUID().uuidString)")
      try Data().write(to: URL(fileURLWithPath: log))
      process.executableURL = URL(fileURLWithPath: CommandBed.program)
      process.arguments = [
        "adopt", "sqlite:///api.sqlite", "--follow", "--interval", "\(interval)",
      ]
      process.currentDirectoryURL = URL(fileURLWithPath: bed.folder)
      process.environment = ["CELLMAP_STORE": "store", "PATH": "/usr/bin:/bin"]
      process.standardOutput = FileHandle(forWritingAtPath: log)
      process.standardError = FileHandle(forWritingAtPath: log + "")
      process.standardInput = FileHandle.nullDevice
      let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
      process.standardOutput = output
      process.standardError = output
      try process.run()
    }

    var said: String { (try? String(contentsOfFile: log, encoding: .utf8)) ?? "" }

    /// Waits until it has said something, as long as that takes.
    func wait(for text: String) {
      while !said.contains(text), process.isRunning { usleep(20_000) }
      #expect(said.contains(text), "\(said)")
    }

    func end(_ signal: Int32) -> Int32 {
      kill(process.processIdentifier, signal)
      process.waitUntilExit()
      return process.terminationStatus
    }
  }

  private func withAdoptedCloud(_ body: (CommandBed, NovaAPIFile) throws -> Void) throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      // A follower's snapshot keeps no writer waiting then, as on a server.
      try api.execute("PRAGMA journal_mode=wal")
      try bed.done("init")
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      try body(bed, api)
    }
  }

  @Test func `sees an UPDATE by hand, and every answer says how it knows`() throws {
    try withAdoptedCloud { bed, api in
      let made = try bed.done("instance", "show", "\(instance(2))", "--json").object
      #expect(made["observed"] == nil)
      let follower = try Follower(bed)
      follower.wait(for: "Following")
      try api.execute(
        """
        UPDATE instance_mappings SET cell_id = 3 WHERE instance_uuid = '\(instance(2))';
        UPDATE cell_mappings SET name = 'gamma' WHERE id = 3;
        UPDATE host_mappings SET cell_id = 3 WHERE host = 'alpha-host';
        """)
      follower.wait(for: "1 cells, 1 hosts, 1 instances changed")
      #expect(follower.end(SIGTERM) == 0)
      let shown = try bed.done("instance", "show", "\(instance(2))", "--json").object
      #expect(shown["cell_name"] as? String == "gamma" && shown["observed"] as? Bool == true)
      let from = try #require((shown["observed_from"] as? String).flatMap { Timestamp($0) })
      let to = try #require((shown["observed_to"] as? String).flatMap { Timestamp($0) })
      #expect(from < to)
      #expect((shown["observed_note"] as? String)?.contains("is not known") == true)
      let cell = try bed.done("cell", "show", "gamma", "--json").object
      #expect(cell["observed"] as? Bool == true && cell["observed_from"] is String)
      let hosts = try bed.done("host", "list", "--json").objects
      #expect(
        hosts.filter { $0["observed"] as? Bool == true }.map { $0["host"] as? String }
          == ["alpha-host"])
      #expect(
        try bed.done("instance", "show", "\(instance(2))").out.contains("observed_note"))
    }
  }

  @Test func `goes on when the API database is back`() throws {
    try withAdoptedCloud { bed, api in
      try api.execute("PRAGMA journal_mode=delete")
      let follower = try Follower(bed)
      follower.wait(for: "Following")
      try FileManager.default.moveItem(atPath: bed.path("api.sqlite"), toPath: bed.path("away"))
      follower.wait(for: "can't be read")
      try SQLiteConnection(path: bed.path("away"), mode: .readWrite).execute(
        "DELETE FROM instance_mappings WHERE instance_uuid = '\(instance(2))'")
      try FileManager.default.moveItem(atPath: bed.path("away"), toPath: bed.path("api.sqlite"))
      follower.wait(for: "is followed again")
      #expect(follower.end(SIGINT) == 0)
      #expect(try bed.run("instance", "show", "\(instance(2))").status == 2)
    }
  }

  @Test func `killed at any moment it loses nothing, sets nothing back and tells nothing twice`()
    throws
  {
    try withAdoptedCloud { bed, api in
      try api.addInstances(100..<2_500, cell: { $0 % 2 + 2 }, uuid: { "\(instance($0))" })
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      let before = try bed.done("status", "--json").object
      for kills in 0..<12 {
        try api.execute(
          "UPDATE instance_mappings SET cell_id = 5 - cell_id WHERE id % 12 = \(kills) AND id >= 100; "
            + "DELETE FROM instance_mappings WHERE id = \(200 + kills)")
        let follower = try Follower(bed)
        usleep(UInt32(30_000 * kills))
        _ = follower.end(SIGKILL)
      }
      let last = try bed.done(
        "adopt", "sqlite:///api.sqlite", "--follow", "--rounds", "1", "--json")
      #expect(try last.object["overtaken"] as? Int == 0)
      let again = try bed.done(
        "adopt", "sqlite:///api.sqlite", "--follow", "--rounds", "1", "--json")
      #expect(try again.object["changed"] as? Bool == false)
      let after = try bed.done("status", "--json").object
      #expect(after["instances"] as? Int == 2_408)
      let position = { (status: [String: Any]) -> UInt64 in
        UInt64((status["position"] as? String)?.split(separator: ":").last ?? "") ?? 0
      }
      let journal = try EventJournal.open(bed.path("store"))
      var changes: [UUID128: Int] = [:]
      try journal.forEachEntry(after: position(before)) { (header, _, _) in
        if header.entityKind == .instance { changes[header.entityKey, default: 0] += 1 }
      }
      #expect(position(after) > position(before))
      // Each of the 2,400 moved once and 12 went; some went before they were seen to move.
      #expect(changes.count == 2_400)
      #expect(changes.values.allSatisfy { $0 <= 2 })
      #expect(changes.values.filter { $0 == 2 }.count <= 12)
      let dry = try bed.done("adopt", "sqlite:///api.sqlite", "--dry-run", "--json").object
      let instances = try #require(dry["instances"] as? [String: Int])
      #expect(instances == ["rows": 2_408, "new": 0, "changed": 0, "same": 2_408, "surplus": 0])
      try bed.done("audit", "verify")
    }
  }

  @Test func `refuses a database that has lost too much, and goes on`() throws {
    try withAdoptedCloud { bed, api in
      try api.addInstances(100..<300, cell: { _ in 2 }, uuid: { "\(instance($0))" })
      try bed.done("adopt", "sqlite:///api.sqlite", "--follow", "--rounds", "1")
      try api.execute("DELETE FROM instance_mappings WHERE id >= 100")
      let refused = try bed.run("adopt", "sqlite:///api.sqlite", "--follow", "--rounds", "1")
      #expect(refused.status == 9 && refused.err.contains("--prune-limit 200"))
      #expect(try bed.done("status", "--json").object["instances"] as? Int == 220)
      try bed.done(
        "adopt", "sqlite:///api.sqlite", "--follow", "--rounds", "1", "--prune-limit", "200")
      #expect(try bed.done("status", "--json").object["instances"] as? Int == 20)
    }
  }

  @Test func `takes no options of another kind of adoption`() throws {
    try withAdoptedCloud { bed, _ in
      for option in [["--dry-run"], ["--prune"], ["--correlation", "x"], ["--interval", "0"]] {
        let ran = try bed.run(["adopt", "sqlite:///api.sqlite", "--follow"] + option)
        #expect(ran.status == 64, "\(option)")
      }
      #expect(try bed.run("adopt", "sqlite:///api.sqlite", "--rounds", "2").status == 64)
    }
  }

  // MARK: wrap

  /// A program that changes the API database as nova-manage does.
  private func script(_ sql: String, exit code: Int = 0) -> [String] {
    [
      "python3", "-c",
      "import sqlite3, sys; d = sqlite3.connect('api.sqlite'); d.executescript(sys.argv[-1]); "
        + "print('its own words'); sys.exit(\(code))", "cell_v2", "update_cell", "--password",
      "s3cret-pw", sql,
    ]
  }

  private func wrap(
    _ bed: CommandBed, _ command: [String], _ options: String...
  ) throws -> CommandBed.Ran {
    try bed.run(
      ["wrap", "--api", "sqlite:///api.sqlite", "--reason", "ticket 7"] + options + ["--"] + command
    )
  }

  private func entries(_ bed: CommandBed, after index: UInt64) throws -> [Entry] {
    let journal = try EventJournal.open(bed.path("store"))
    return try (index + 1...journal.refresh().position.index).compactMap {
      try journal.entry(at: $0)
    }
  }

  private func head(_ bed: CommandBed) throws -> UInt64 {
    try EventJournal.open(bed.path("store")).refresh().position.index
  }

  @Test func `records what a command changed, by whom and why`() throws {
    try withAdoptedCloud { bed, api in
      // Somebody else's doing, before.
      try api.execute("UPDATE cell_mappings SET name = 'theirs' WHERE id = 3")
      let start = try head(bed)
      let ran = try wrap(
        bed,
        script(
          "UPDATE cell_mappings SET name = 'ours' WHERE id = 2; "
            + "UPDATE instance_mappings SET queued_for_delete = 1 WHERE id = 1"))
      #expect(ran.status == 0 && ran.out == "its own words\n", "\(ran.err)")
      #expect(ran.err.contains("Recorded: 1 cells, 0 hosts, 1 instances changed."))
      var seen: [EntityKey: Authorship] = [:]
      for entry in try entries(bed, after: start) where entry.event.entity != .store {
        seen[entry.event.entity] = entry.draft.authorship
        #expect(!"\(entry)".contains("s3cret-pw"))
      }
      #expect(seen.count == 3)
      let (ours, theirs) = (seen[.cell(cell(1))], seen[.cell(cell(2))])
      #expect(ours?.reason == "ticket 7" && ours?.isObserved == false)
      #expect(ours?.actor != "observed" && ours?.program.string.contains("wrap python3") == true)
      #expect(theirs?.actor == "observed" && theirs?.isObserved == true)
      // update_cell changes no instance: that was a user of the cloud.
      #expect(seen[.instance(instance(1))]?.isObserved == true)
    }
  }

  @Test func `passes the command's exit code on, and records what it did all the same`() throws {
    try withAdoptedCloud { bed, _ in
      let start = try head(bed)
      let failed = try wrap(
        bed, script("UPDATE cell_mappings SET name = 'ours' WHERE id = 2", exit: 3))
      #expect(failed.status == 3 && failed.out == "its own words\n")
      #expect(try entries(bed, after: start).contains { $0.event.entity == .cell(cell(1)) })
      let quiet = try wrap(bed, ["false"])
      #expect(quiet.status == 1 && quiet.err.contains("changed nothing"))
      #expect(try wrap(bed, ["sh", "-c", "kill -9 $$"]).status == 137)
      #expect(try wrap(bed, ["no-such-program-here"]).status == 127)
    }
  }

  @Test func `runs nothing that it could not record`() throws {
    try withAdoptedCloud { bed, _ in
      let touch = ["touch", "it-ran"]
      let away = try bed.run(
        ["wrap", "--api", "sqlite:///none.sqlite", "--reason", "t", "--"] + touch)
      #expect(away.status == 7 && away.err.contains("The command was not run"))
      #expect(try bed.run(["wrap", "--api", "sqlite:///api.sqlite", "--"] + touch).status == 64)
      #expect(try bed.run(["wrap", "--reason", "t", "--"] + touch).status == 64)
      #expect(!FileManager.default.fileExists(atPath: bed.path("it-ran")))
      _ = try wrap(bed, touch)
      #expect(FileManager.default.fileExists(atPath: bed.path("it-ran")))
    }
  }

  @Test func `given again under its request id it runs nothing`() throws {
    try withAdoptedCloud { bed, _ in
      let id = "11111111-0000-4000-8000-000000000001"
      let command = script("UPDATE cell_mappings SET name = name || 'x' WHERE id = 2")
      #expect(try wrap(bed, command, "--request-id", id).status == 0)
      let again = try wrap(bed, command, "--request-id", id)
      #expect(again.status == 0 && again.out.isEmpty && again.err.contains("Done before"))
      #expect(try bed.done("cell", "show", "alphax", "--json").object["cell"] as? String != nil)
      let other = try wrap(bed, ["touch", "it-ran"], "--request-id", id)
      #expect(other.status == 9 && !FileManager.default.fileExists(atPath: bed.path("it-ran")))
    }
  }

  @Test func `leaves the command its environment and file modes`() throws {
    try withAdoptedCloud { bed, _ in
      let former = umask(0o022)
      defer { umask(former) }
      let ran = try wrap(bed, ["sh", "-c", "umask; echo $CELLMAP_STORE"])
      #expect(ran.out == "0022\nstore\n")
    }
  }
}
