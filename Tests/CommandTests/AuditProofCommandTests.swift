import Foundation
import TestServers
import TestSupport
import Testing

@Suite(.waiting) struct AuditProofCommandTests {
  @Test func `proves an entry and a beginning, and the independent checker agrees`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let head = try #require(try bed.done("status", "--json").object["root"] as? String)
      let proof = try bed.done("audit", "prove", "1:7", "--json")
      #expect(try proof.object["root"] as? String == head)
      #expect(try proof.object["position"] as? String == "1:7")
      try bed.write(proof.out, to: "p")
      #expect(try bed.check("--proof", "p").status == 0)
      let grown = try bed.done("audit", "prove", "3", "12", "--json")
      #expect(try grown.object["first"] as? Int == 3 && grown.object["second"] as? Int == 12)
      try bed.write(grown.out, to: "c")
      #expect(try bed.check("--proof", "c").status == 0)
      let earlier = try bed.done("audit", "prove", "7", "--in", "9", "--json").object
      #expect(earlier["size"] as? Int == 9)
      #expect(try bed.done("audit", "prove", "7").out.contains("Entry 1:7 is in the tree"))
      #expect(try bed.done("audit", "prove", "3", "12").out.contains("are the beginning of"))
      // A forged one is refused.
      for (text, file) in [(proof.out, "p"), (grown.out, "c")] {
        let digits = try #require(text.firstRange(of: "\"path\":[\""))
        var forged = text
        let place = text.index(digits.upperBound, offsetBy: 5)
        forged.replaceSubrange(place...place, with: text[place] == "0" ? "1" : "0")
        try bed.write(forged, to: file)
        #expect(try bed.check("--proof", file).status == 1)
      }
    }
  }

  @Test func `refuses positions that aren't there`() throws {
    try withCommand { bed in
      try bed.makeStore()
      for words in [
        ["x"], ["0"], ["999"], ["2:3"], ["5", "3"], ["5", "--in", "4"], ["1999-01-01T00:00:00Z"],
        ["3", "4", "--in", "5"],
      ] {
        let ran = try bed.run(["audit", "prove"] + words)
        #expect(ran.status == 64 && ran.out.isEmpty, "\(words): \(ran.err)")
      }
    }
  }

  @Test func `a checkpoint is signed, kept and found again, also after a rotation`() throws {
    try withCommand { bed in
      try bed.makeAdoptedStore()
      let kept = try bed.done("audit", "checkpoint").out
      try bed.write(kept, to: "kept")
      let key = try #require(
        try bed.done("audit", "checkpoint", "--keys", "--json").object["key"] as? String)
      let size = try #require(kept.split(separator: "\n").dropFirst().first.map(String.init))
      #expect(kept.hasPrefix("cellmap/") && kept.contains("\n\n\u{2014} cellmap/"))
      try bed.done("cell", "rename", "alpha", "gamma", "--reason", "t")
      let verified = try bed.done("audit", "checkpoint", "--verify", "kept", "--json").object
      let checkpoint = try #require(verified["checkpoint"] as? [String: Any])
      #expect("\(checkpoint["size"] ?? "")" == size && checkpoint["key"] as? String == key)
      #expect(try bed.run("audit", "checkpoint", "--rotate").status == 64)
      try bed.done("audit", "checkpoint", "--rotate", "--reason", "yearly")
      let keys = try bed.done("audit", "checkpoint", "--keys", "--json").objects
      #expect(keys.count == 2 && keys.map { $0["signs"] as? Bool } == [false, true])
      #expect(keys[1]["reason"] as? String == "yearly")
      try bed.done("audit", "checkpoint", "--verify", "kept")
      try bed.done("audit", "checkpoint", "--verify", "kept", "--key", key)
      try bed.done("audit", "verify", "--checkpoint", "kept", "--key", key)
      // As it comes back by mail.
      try bed.write(kept.replacing("\n", with: "\r\n") + "\r\n\n", to: "mailed")
      try bed.done("audit", "checkpoint", "--verify", "mailed", "--key", key)
      let other = try #require(keys[1]["key"] as? String)
      let wrong = try bed.run("audit", "checkpoint", "--verify", "kept", "--key", other)
      #expect(wrong.status == 4 && wrong.err.contains("not signed by"), "\(wrong.err)")
      // Who has the first key alone follows it to the one that signs now.
      try bed.write(try bed.done("audit", "checkpoint").out, to: "newer")
      let followed = try bed.done(
        "audit", "checkpoint", "--verify", "newer", "--key", key, "--json"
      ).object
      #expect((followed["checkpoint"] as? [String: Any])?["key"] as? String == other)
      #expect(try bed.run("audit", "checkpoint", "--pem", "--json").status == 64)
      let pem = try bed.done("audit", "checkpoint", "--pem").out
      #expect(pem.hasPrefix("-----BEGIN PUBLIC KEY-----\n"))
      // The independent checker takes it, with the proof that leads to it.
      try bed.write(try bed.done("audit", "prove", "7", "--in", size, "--json").out, to: "p")
      for file in ["kept", "mailed"] {
        #expect(try bed.check("--proof", "p", "--key", key, "--checkpoint", file).status == 0)
      }
      #expect(try bed.check("--proof", "p", "--key", other, "--checkpoint", "kept").status == 1)
      // Keys may be given as they were printed into a file, all of them.
      try bed.write(try bed.done("audit", "checkpoint", "--keys").out, to: "map.keys")
      let both = try bed.check("--proof", "p", "--key", "map.keys", "--checkpoint", "kept")
      #expect(both.status == 0, "\(both)")
      let lines = try bed.done("audit", "checkpoint", "--keys").out.split(separator: "\n")
      try bed.done("audit", "checkpoint", "--verify", "kept", "--key", String(lines[0]))
    }
  }

  @Test func `a rewritten or shortened history is exit 4 against a kept checkpoint`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done("backup", "create", "early")
      try bed.done("cell", "rename", "alpha", "gamma", "--reason", "t")
      try bed.write(try bed.done("audit", "checkpoint").out, to: "kept")
      let key = try #require(
        try bed.done("audit", "checkpoint", "--keys", "--json").object["key"] as? String)
      // Somebody puts the older journal in place, with its HEAD, and goes on differently.
      for name in ["journal.lmdb", "HEAD"] {
        try FileManager.default.removeItem(atPath: bed.path("store/\(name)"))
        try FileManager.default.copyItem(
          atPath: bed.path("early/\(name)"), toPath: bed.path("store/\(name)"))
      }
      for name in try FileManager.default.contentsOfDirectory(atPath: bed.path("store"))
      where name.hasPrefix("index-") || name == "CURRENT" || name.hasSuffix("-lock") {
        try FileManager.default.removeItem(atPath: bed.path("store/\(name)"))
      }
      for words in [["checkpoint", "--verify", "kept"], ["verify", "--checkpoint", "kept"]] {
        let short = try bed.run(["audit"] + words)
        #expect(short.status == 4 && short.err.contains("entries of at least"), "\(short.err)")
      }
      for name in ["x", "y", "z"] {
        try bed.done("cell", "rename", "\(cell(1))", name, "--reason", "another past")
      }
      try bed.done("audit", "verify")
      let ran = try bed.run("audit", "checkpoint", "--verify", "kept", "--key", key)
      #expect(ran.status == 4 && ran.err.contains("rewritten"), "\(ran.err)")
      #expect(try bed.run("audit", "verify", "--checkpoint", "kept").status == 4)
    }
  }

  @Test func `what a restore left is a finding, and says who did it`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done("backup", "create", "b")
      try bed.done("cell", "rename", "alpha", "gamma", "--reason", "t")
      try bed.write(try bed.done("audit", "checkpoint").out, to: "kept")
      try bed.done("audit", "verify")
      let time = try #require(
        try bed.done("audit", "history", "gamma", "--json").objects.last?["ordered_at"] as? String)
      try bed.done("backup", "restore", "b", "--reason", "undo the rename")
      // Of that time the journal can't tell any more what the map said, and the answer says so.
      for cell in try bed.done("audit", "at", time, "cell", "list", "--json").objects {
        #expect(cell["left_by_epoch"] as? Int == 2, "\(cell)")
      }
      #expect(
        try bed.done("cell", "list", "--json").objects.allSatisfy { $0["left_by_epoch"] == nil })
      let ran = try bed.run("audit", "checkpoint", "--verify", "kept")
      #expect(ran.status == 1 && ran.err.contains("undo the rename"), "\(ran.err)")
      // The next verification reads everything again.
      #expect(try bed.done("audit", "verify", "--json").object["first_read"] as? Int == 1)
    }
  }

  @Test func `a checkpoint of another copy's epoch is a finding that says what may be`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.done("backup", "create", "b")
      try bed.done("audit", "checkpoint")
      try FileManager.default.copyItem(atPath: bed.path("store"), toPath: bed.path("copy"))
      try bed.done("--store", "copy", "backup", "restore", "b", "--reason", "t")
      try bed.write(try bed.done("--store", "copy", "audit", "checkpoint").out, to: "theirs")
      for name in ["x", "y"] { try bed.done("cell", "rename", "\(cell(1))", name, "--reason", "t") }
      try bed.done("backup", "restore", "b", "--reason", "undo the renames")
      for words in [["checkpoint", "--verify"], ["verify", "--checkpoint"]] {
        let ran = try bed.run(["audit"] + words + ["theirs"])
        #expect(ran.status == 1 && ran.err.contains("which this journal does not have"), "\(ran)")
        #expect(ran.err.contains("2:5, opened by") && ran.err.contains("(undo the renames)"))
        #expect(ran.err.contains("keeps 4 of 6 entries"), "\(ran.err)")
      }
    }
  }

  @Test func `a second verification goes on, and says what it did not read`() throws {
    try withCommand { bed in
      _ = try bed.makeCloud(instances: 600)
      try bed.done("init")
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      let full = try bed.done("audit", "verify", "--json").object
      #expect(full["first_read"] as? Int == 1 && full["index_digest"] is String)
      let next = try bed.done("audit", "verify", "--journal-only", "--json").object
      #expect(next["first_read"] as? Int == 513, "\(next)")
      #expect(next["full_at"] as? String == full["full_at"] as? String)
      #expect(try bed.done("audit", "verify", "--journal-only").out.contains("--full reads them"))
      #expect(
        try bed.done("audit", "verify", "--full", "--json").object["first_read"] as? Int == 1)
      #expect(try bed.run("audit", "verify", "--key", "k").status == 64)
      try bed.write("{}\n", to: "store/VERIFIED")
      #expect(try bed.done("audit", "verify", "--json").object["first_read"] as? Int == 1)
    }
  }

  @Test func `what is no checkpoint, another store's, and a store without keys`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.write("nothing\n", to: "note")
      #expect(try bed.run("audit", "checkpoint", "--verify", "note").status == 64)
      #expect(try bed.run("audit", "checkpoint", "--verify", "missing").status == 64)
      try bed.done("--store", "other", "init")
      try bed.write(try bed.done("--store", "other", "audit", "checkpoint").out, to: "theirs")
      #expect(try bed.run("audit", "checkpoint", "--verify", "theirs").status == 9)
      try bed.write(try bed.done("audit", "checkpoint").out, to: "kept")
      let key = try #require(
        try bed.done("audit", "checkpoint", "--keys", "--json").object["key"] as? String)
      try FileManager.default.removeItem(atPath: bed.path("store/keys"))
      #expect(try bed.run("audit", "checkpoint").status == 6)
      #expect(try bed.run("audit", "checkpoint", "--verify", "kept").status == 64)
      try bed.done("audit", "checkpoint", "--verify", "kept", "--key", key)
    }
  }
}

extension CommandBed {
  /// Runs the independent checker in the folder.
  func check(_ arguments: String...) throws -> (status: Int32, out: String) {
    try python("tools/verify-export", arguments)
  }

  /// Runs a script of the checkout in the folder.
  func python(_ script: String, _ arguments: [String]) throws -> (status: Int32, out: String) {
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = ["python3", Checkout.file(script).path] + arguments
    process.currentDirectoryURL = URL(filePath: folder)
    let output = Pipe()
    process.standardOutput = output
    process.standardError = output
    try process.run()
    let text = String(
      decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }
}
