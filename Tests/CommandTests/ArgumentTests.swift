import Foundation
import Journal
import TestSupport
import Testing

/// What is given on the command line and on standard input: bytes, names that mean two things, and
/// questions that come one at a time.
@Suite(.waiting) struct CommandArgumentTests {
  @Test func `what is not UTF-8 is refused, and nothing of it is stored`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let head = try bed.done("status", "--json").object["position"] as? String
      for words in [
        "cell add $'c\\xff' --database sqlite:///c.sqlite --queue none:/// --reason t",
        "cell add c --database $'mysql://u:p\\xffw@h/db' --queue none:/// --reason t",
        "cell disable alpha --reason $'\\xc3('", "--store $'s\\xff' status",
        "cell add c --database - --queue none:/// --reason t <<< $'mysql://u:p\\xffw@h/db'",
      ] {
        let (status, said) = try inShell(words, bed)
        #expect(status == 64 && said.contains("UTF-8"), "\(words): \(said)")
      }
      #expect(try bed.done("status", "--json").object["position"] as? String == head)
    }
  }

  /// Runs the command with words that a shell takes apart.
  private func inShell(
    _ words: String, _ bed: CommandBed
  ) throws -> (status: Int32, said: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/bash")
    process.arguments = ["-c", "exec '\(CommandBed.program)' \(words)"]
    process.currentDirectoryURL = URL(fileURLWithPath: bed.folder)
    process.environment = ["CELLMAP_STORE": "store", "PATH": "/usr/bin:/bin"]
    let said = Pipe()
    process.standardError = said
    process.standardOutput = said
    try process.run()
    let text = String(decoding: said.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    return (process.terminationStatus, text)
  }

  @Test func `a file that another command writes is waited for`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let slow = { (text: String) in "<(sleep 0.5; printf '%s' '\(text)')" }
      let nova =
        "[DEFAULT]\ntransport_url = none:///\n[database]\nconnection = sqlite:///c2.sqlite\n"
      let database = slow("mysql://nova:secret@db/nova_cell9")
      for (name, words) in [
        ("c1", "--database @\(database) --queue none:///"),
        ("c2", "--nova-conf \(slow(nova))"),
      ] {
        let (status, said) = try inShell("cell add \(name) \(words) --reason t", bed)
        #expect(status == 0, "\(words): \(said)")
      }
      let list = try bed.done("cell", "list", "--json").out
      #expect(list.contains("nova_cell9") && list.contains("c2.sqlite"))
    }
  }

  @Test func `a question on standard input is answered before the next is asked`() throws {
    try withCommand { bed in
      _ = try bed.makeAdoptedStore()
      let process = Process()
      process.executableURL = URL(fileURLWithPath: CommandBed.program)
      process.arguments = ["route", "-", "--json"]
      process.currentDirectoryURL = URL(fileURLWithPath: bed.folder)
      process.environment = ["CELLMAP_STORE": "store", "PATH": "/usr/bin:/bin"]
      let (input, output) = (Pipe(), Pipe())
      process.standardInput = input
      process.standardOutput = output
      try process.run()
      // A command that waited for the end of its input would hang here.
      for number in 0..<3 {
        input.fileHandleForWriting.write(Data("\(instance(number))\n".utf8))
        let answer = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
        #expect(answer.contains("\(instance(number))"), "\(answer)")
      }
      try input.fileHandleForWriting.close()
      process.waitUntilExit()
      #expect(process.terminationStatus == 0)
    }
  }

  @Test func `a name that is another cell's UUID, or 'none', means nothing by itself`() throws {
    try withCommand { bed in
      // Nova takes any name.
      try bed.done("init")
      let api = try NovaAPIFile.make(at: bed.path("api.sqlite"))
      try api.addCell(1, .cell0, name: "cell0", database: "sqlite:///0.sqlite")
      for (number, name) in [(1, "alpha"), (7, "\(cell(1))"), (6, "\(cell(8))"), (9, "none")] {
        try api.addCell(
          number + 1, cell(number), name: name, database: "sqlite:///\(number).sqlite")
      }
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      for name in ["none", "\(cell(1))", "\(cell(5))"] {
        let words = ["--queue", "none:///", "--database", "sqlite:///n.sqlite", "--reason", "t"]
        let added = try bed.run(["cell", "add", name] + words)
        #expect(added.status == 9 && added.err.contains("'\(name)'"), "\(added)")
        #expect(try bed.run("cell", "rename", "alpha", name, "--reason", "t").status == 9)
      }
      for arguments in [
        ["cell", "show", "\(cell(1))"], ["cell", "rename", "\(cell(1))", "x", "--reason", "t"],
      ] {
        let ran = try bed.run(arguments)
        #expect(ran.status == 9 && ran.err.contains("\(cell(7))"), "\(ran)")
      }
      #expect(try bed.done("cell", "show", "\(cell(7))", "--json").object["cell"] != nil)
      // One that is nobody's UUID is a name like any other.
      try bed.done("cell", "show", "\(cell(8))")
      try bed.done(
        "instance", "map", "\(instance(1))", "--cell", "alpha", "--project", "p", "--reason", "t")
      let ran = try bed.run(
        "instance", "remap", "\(instance(1))", "--cell", "none", "--reason", "t")
      #expect(ran.status == 9 && ran.err.contains("cell rename"), "\(ran)")
      #expect(try bed.run("instance", "list", "--cell", "none").status == 9)
      let shown = try bed.done("instance", "show", "\(instance(1))", "--json").object
      #expect(shown["cell"] as? String == "\(cell(1))")
    }
  }

  @Test func `an export carries the options of the connections`() throws {
    try withCommand { bed in
      try bed.makeStore()
      try bed.write(
        "[DEFAULT]\ntransport_url = none:///\n[database]\nconnection = sqlite:///gamma.sqlite\n"
          + "[oslo_messaging_rabbit]\nssl = true\nssl_ca_file = /etc/ssl/ca.pem\n", to: "gamma.conf"
      )
      _ = try NovaCellFile.make(at: bed.path("gamma.sqlite"))
      try bed.done("cell", "add", "gamma", "--nova-conf", "gamma.conf", "--reason", "t")
      let before = try bed.done("cell", "show", "gamma", "--json").object["options"] as? String
      #expect(before?.contains("ca.pem") == true)
      try bed.done("cell", "export", "cells.yaml", "--reveal")
      try bed.done("--store", "new", "rebuild", "--cells", "cells.yaml", "--reason", "t")
      let after = try bed.done("--store", "new", "cell", "show", "gamma", "--json").object
      #expect(after["options"] as? String == before)
    }
  }

  @Test func `a position of another epoch is refused by replay`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let ran = try bed.run("replay", "--into", "past.sqlite", "--to", "2:3")
      #expect(ran.status == 64 && ran.err.contains("1:3"), "\(ran)")
      try bed.done("replay", "--into", "past.sqlite", "--to", "1:3")
    }
  }

  @Test func `a damaged HMAC key is told, and no request is taken for another`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let again = ["cell", "disable", "alpha", "--reason", "t", "--request-id", "\(instance(9))"]
      try bed.done(again)
      let path = bed.path("store/keys/hmac")
      let whole = try #require(FileManager.default.contents(atPath: path))
      var bytes = whole
      bytes[40] ^= 1
      try bytes.write(to: URL(fileURLWithPath: path))
      for arguments in [again, ["cell", "disable", "beta", "--reason", "t"]] {
        let ran = try bed.run(arguments)
        #expect(ran.status == 4 && ran.err.contains("keys"), "\(ran)")
      }
      // Routes need no HMAC key.
      #expect(try bed.run("route", "\(instance(1))").status == 2)
      try whole.write(to: URL(fileURLWithPath: path))
      try bed.done(again)
    }
  }

  @Test func `a password that the shell has broken is not shown in pieces`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let ran = try bed.run(
        "cell", "add", "c", "--database", "mysql://u:SEK", "RETSEK", "X@h/db", "--queue",
        "none:///",
        "--reason", "t")
      #expect(ran.status == 64 && ran.err.contains("'…'"), "\(ran)")
      #expect(!ran.err.contains("RETSEK") && !ran.err.contains("SEK"), "\(ran)")
      let other = try bed.run("cell", "list", "nonsense")
      #expect(other.err.contains("nonsense"), "what is no address is shown")
    }
  }

  @Test func `a replay that gets no lease leaves CURRENT as it is`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let path = bed.path("store/CURRENT")
      let before = try FileManager.default.attributesOfItem(atPath: path)
      let journal = try EventJournal.open(bed.path("store"))
      let lease = try journal.lock.acquire(command: "the test's own")
      defer { lease.release() }
      #expect(try bed.run("replay").status == 3)
      let after = try FileManager.default.attributesOfItem(atPath: path)
      #expect(before[.systemFileNumber] as? Int == after[.systemFileNumber] as? Int)
    }
  }

  @Test func `a reason of blanks is missing, and said in whole words`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let ran = try bed.run("cell", "disable", "alpha", "--reason", "   ")
      #expect(ran.status == 64 && ran.err.contains("Give --reason TEXT"), "\(ran)")
    }
  }
}
