import Foundation
import Journal
import TestServers
import TestSupport
import Testing

@Suite(.waiting) struct CommandOutputTests {
  @Test func `an answer that can't be written is an error, and none of the store's`() throws {
    try withCommand { bed in
      try bed.makeStore()
      for (shell, why) in [
        (#""$@" > /dev/full"#, "No space left"), (#""$@" >&-"#, "Bad file descriptor"),
      ] {
        for words in [
          ["status"], ["audit", "checkpoint"], ["audit", "prove", "1", "--json"],
          ["audit", "history", "store"], ["audit", "verify"], ["cell", "list"],
        ] {
          let ran = try bed.run(inShell: shell, words)
          #expect(ran.status == 6 && ran.err.contains(why), "\(words) \(shell): \(ran)")
          #expect(ran.err.contains("standard output") && ran.err.split(separator: "\n").count == 1)
        }
      }
      // What was done stays done.
      let added = try bed.run(
        inShell: #""$@" > /dev/full"#, ["cell", "disable", "alpha", "--reason", "why"])
      #expect(added.status == 6)
      #expect(try bed.done("cell", "show", "alpha", "--json").object["disabled"] as? Bool == true)
      try bed.done("audit", "verify")
    }
  }

  @Test func `every command that reads prints JSON alone, and a table without --json`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let id = "\(instance(1))"
      let commands: [(arguments: [String], fields: [String])] = [
        (["cell", "list"], ["cell", "cell_name", "database", "queue", "disabled", "coverage"]),
        (["cell", "show", "alpha"], ["cell", "cell_name", "row", "created_at", "position"]),
        (["host", "list"], ["host", "cell", "cell_name"]),
        (["instance", "show", id], ["instance", "cell", "project", "user", "queued_for_delete"]),
        (["instance", "show", id, "--live"], ["instance", "live"]),
        (["instance", "list"], ["position"]),
        (["instance", "list", "--count"], ["count", "position"]),
        (["instance", "list", "--live"], []),
        (
          ["route", id, "--deadline", "60000"],
          ["instance", "cell", "database", "queue", "host", "state", "position"]
        ),
        (["audit", "verify"], ["position", "verified", "entries", "root", "index_digest"]),
        (["status"], ["store", "position", "index_position", "instances"]),
        (["replay"], ["index", "entries", "digest", "agrees_with_serving"]),
        (["replay", "--into", "other.sqlite", "--to", "2"], ["index", "entries"]),
        (["cell", "export", "out.yaml"], ["file", "cells", "revealed"]),
        (["adopt", "sqlite:///api.sqlite", "--dry-run"], ["cells", "problems", "dry_run"]),
      ]
      for (arguments, fields) in commands {
        let ran = try bed.run(arguments + ["--json"])
        #expect(ran.status == 0 && ran.err.isEmpty, "\(arguments) \(ran.err)")
        let objects = try ran.objects
        #expect(!objects.isEmpty && (arguments.contains("list") || objects.count == 1))
        for object in objects {
          #expect(fields.allSatisfy { object[$0] != nil }, "\(arguments) \(object.keys)")
        }
        for suffix in ["", "-wal", "-shm"] { unlink(bed.path("other.sqlite" + suffix)) }
        unlink(bed.path("out.yaml"))  // an export is never written over
        let table = try bed.run(arguments)
        let told = table.err.split(separator: "\n")
        #expect(
          table.status == 0 && told.allSatisfy { $0.hasPrefix("cellmap: True at 1:") }
            && told.count < 2,
          "\(arguments) \(table.err)")
        #expect(!table.out.isEmpty && !table.out.hasPrefix("{"))
      }
    }
  }

  @Test func `every change prints what it did in one JSON object`() throws {
    try withCommand { bed in
      let made = try bed.done("init", "--json", "--reason", "t").object
      #expect(made["store"] != nil && made["position"] as? String == "1:2")
      let id = "\(instance(1))"
      let changes: [[String]] = [
        ["cell", "add", "a", "--database", "sqlite:///a", "--queue", "none:///"],
        ["cell", "rename", "a", "b"],
        ["cell", "address", "b", "--database", "sqlite:///b"],
        ["cell", "disable", "b"], ["cell", "enable", "b", "--force"],
        ["host", "add", "h1", "--cell", "b"], ["host", "remove", "h1", "--force"],
        ["instance", "map", id, "--project", "p"],
        ["instance", "remap", id, "--cell", "b"], ["instance", "delete-mark", id],
        ["instance", "unmap", id], ["cell", "remove", "b"],
      ]
      for change in changes {
        let object = try bed.done(change + ["--reason", "t", "--json"]).object
        for field in ["changed", "repeated", "position", "entries", "request"] {
          #expect(object[field] != nil, "\(change) \(object)")
        }
        #expect(object["changed"] as? Bool == true && object["repeated"] as? Bool == false)
      }
    }
  }

  @Test func `a change that is one already says so`() throws {
    try withCommand { bed in
      try bed.makeStore()
      for change in [
        ["cell", "enable", "alpha"], ["cell", "rename", "alpha", "alpha"],
        ["cell", "address", "alpha", "--database", "sqlite:///alpha.sqlite"],
      ] {
        let ran = try bed.done(change + ["--reason", "t", "--json"]).object
        #expect(ran["changed"] as? Bool == false && ran["entries"] is NSNull)
        #expect(
          try bed.done(change + ["--reason", "t"]).out.hasPrefix("Nothing to change."))
      }
    }
  }

  @Test func `nothing that controls a terminal reaches it from a name`() throws {
    try withCommand { bed in
      let api = try bed.makeCloud()
      let bad = "ev\u{1B}[31mil\u{202E}\u{9B}\r"
      try api.execute("UPDATE cell_mappings SET name = \(quoted(bad)) WHERE id = 2")
      try bed.done("init")
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      let id = "\(instance(0))"
      let outputs = [
        try bed.done("cell", "list"), try bed.done("cell", "show", "\(cell(1))"),
        try bed.done("host", "list"), try bed.done("instance", "list"),
        try bed.done("instance", "show", id),
        try bed.done("route", id, "--deadline", "60000"),
        try bed.done("cell", "disable", bad, "--reason", "t"),
        try bed.run("cell", "show", bad + "x"), try bed.run("cell", bad),
        try bed.run("route", bad), try bed.run("cell", "add", bad, "--reason", "t"),
      ]
      let raw: Set<Unicode.Scalar> = ["\u{1B}", "\u{202E}", "\u{9B}", "\r"]
      for ran in outputs {
        let printed = (ran.out + ran.err).unicodeScalars
        #expect(!printed.contains { raw.contains($0) }, "\(ran)")
      }
      let name = try bed.done("cell", "show", "\(cell(1))", "--json").object["cell_name"]
      #expect(name as? String == bad)
    }
  }

  @Test func `an export is for its owner alone, and masked unless asked for`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.write("old", to: "out.yaml.new")
      chmod(bed.path("out.yaml.new"), 0o666)
      try bed.done("cell", "export", "out.yaml")
      var status = stat()
      #expect(stat(bed.path("out.yaml"), &status) == 0 && status.st_mode & 0o777 == 0o600)
      let masked = try String(contentsOfFile: bed.path("out.yaml"), encoding: .utf8)
      #expect(masked.contains("\(cell(1))") && !masked.contains(":pw@"))
      try bed.done("cell", "export", "revealed.yaml", "--reveal")
      #expect(stat(bed.path("revealed.yaml"), &status) == 0 && status.st_mode & 0o777 == 0o600)
      let whole = try String(contentsOfFile: bed.path("revealed.yaml"), encoding: .utf8)
      #expect(whole.contains("rabbit://nova:pw@alpha:5672/"))
    }
  }

  @Test(arguments: ["bash", "zsh", "fish"])
  func `writes completions`(_ shell: String) throws {
    try withCommand { bed in
      let ran = try bed.done("--generate-completion-script", shell)
      #expect(ran.err.isEmpty && ran.out.contains("cellmap") && ran.out.contains("delete-mark"))
      #expect(!ran.out.contains("replay-worker") && !ran.out.contains("--parent"))
      guard shell == "bash" else { return }
      let script = bed.path("completions.bash")
      try Data(ran.out.utf8).write(to: URL(filePath: script))
      let read = Process()
      read.executableURL = URL(filePath: "/bin/bash")
      read.arguments = ["-n", script]
      try read.run()
      read.waitUntilExit()
      #expect(read.terminationStatus == 0)
    }
  }

  static let commands = [
    "init", "adopt", "cell list", "cell show", "cell add", "cell rename", "cell address",
    "cell enable", "cell disable", "cell remove", "cell probe", "cell export", "host list",
    "host add", "host discover", "host remove", "cast", "instance show", "instance list",
    "instance map", "instance remap",
    "instance delete-mark", "instance unmap", "route", "audit verify", "replay", "status",
  ]

  @Test(arguments: commands)
  func `help names the store, JSON, and the options of changes`(_ command: String) throws {
    try withCommand { bed in
      let words = command.split(separator: " ").map(String.init)
      let help = try bed.done(words + ["--help"])
      #expect(help.err.isEmpty && help.out.contains("--store") && help.out.contains("--json"))
      let isRead = [
        "list", "show", "export", "route", "verify", "replay", "status", "init",
      ].contains(words[words.count - 1])
      #expect(help.out.contains("--reason") == (!isRead || command == "init"))
      #expect(help.out.contains("--request-id") == !isRead)
      #expect(try bed.done(["help"] + words).out == help.out)
    }
  }
}
