import Foundation
import Journal
import TestSupport
import Testing

@Suite(.waiting) struct ArchiveCommandTests {
  /// A store of about 630 entries; the last renames a cell.
  private func withStore(_ body: (CommandBed) throws -> Void) throws {
    try withCommand { bed in
      _ = try bed.makeCloud(instances: 600)
      try bed.done("init")
      try bed.done("adopt", "sqlite:///api.sqlite", "--reason", "t")
      try bed.done("cell", "rename", "alpha", "gamma", "--reason", "t")
      try body(bed)
    }
  }

  private let archive = ["archive", "--before", "600", "--reason", "old", "--json"]

  /// The entries of an export, as lines.
  private func entries(_ bed: CommandBed, _ name: String) throws -> [Substring] {
    try bed.done("audit", "export", name)
    let text = try String(contentsOfFile: bed.path(name), encoding: .utf8)
    return text.split(separator: "\n").dropFirst().dropLast()
  }

  private func head(_ bed: CommandBed) throws -> Int {
    let position = try bed.done("status", "--json").object["position"] as? String
    return try #require(position?.split(separator: ":").last.flatMap { Int($0) })
  }

  @Test func `old entries are in a file, and everything reads them there`() throws {
    try withStore { bed in
      let before = try entries(bed, "before")
      let plan = try bed.done(archive.filter { $0 != "--reason" && $0 != "old" } + ["--dry-run"])
        .object
      #expect(plan["entries"] as? Int == 512 && plan["changed"] as? Bool == false)
      #expect(!FileManager.default.fileExists(atPath: bed.path("store/archive")))
      let done = try bed.done(archive).object
      #expect(done["first"] as? Int == 1 && done["archived"] as? Int == 512)
      #expect(
        try #require(done["journal_bytes"] as? Int)
          < #require(done["journal_bytes_before"] as? Int))
      #expect(try bed.done("status", "--json").object["archived"] as? Int == 512)
      let after = try entries(bed, "after")
      #expect(after.dropLast() == before[...] && after.last?.contains("archived") == true)
      try bed.done("audit", "verify", "--full")
      try bed.done("replay")
      try bed.done("replay", "--history")
      try bed.done("audit", "prove", "5")
      try bed.done("audit", "prove", "300", "600")
      let route = try bed.done("route", "\(instance(4))", "--json", "--deadline", "60000").object
      #expect(route["cell_name"] as? String == "gamma")
      #expect(try bed.done("cell", "show", "alpha", "--at", "100").out.contains("alpha"))
      #expect(try bed.done("audit", "history", "gamma").out.contains("renamed"))
      try bed.done("cell", "rename", "gamma", "delta", "--reason", "t")
      let none = try bed.done(archive).object
      #expect(none["changed"] as? Bool == false && none["entries"] as? Int == 0)
    }
  }

  @Test func `given again under its request id, the answer is repeated`() throws {
    try withStore { bed in
      let words = archive + ["--request-id", UUID().uuidString.lowercased()]
      let first = try bed.done(words).object
      let again = try bed.done(words).object
      #expect(first["repeated"] as? Bool == false && again["repeated"] as? Bool == true)
      #expect(again["changed"] as? Bool == false)
    }
  }

  @Test func `a store that others have open is refused before anything is written`() throws {
    try withStore { bed in
      let journal = try EventJournal.open(bed.path("store"))
      let before = try head(bed)
      let refused = try bed.run(archive)
      #expect(refused.status == 3 && refused.err.contains("open in other processes"))
      #expect(try head(bed) == before)
      #expect(!FileManager.default.fileExists(atPath: bed.path("store/archive")))
      withExtendedLifetime(journal) {}
    }
  }

  @Test func `without its file instances are routed, and the rest names it`() throws {
    try withStore { bed in
      try bed.done(archive)
      let file = bed.path("store/archive/entries-1-512")
      try FileManager.default.moveItem(atPath: file, toPath: bed.path("away"))
      try bed.done("route", "\(instance(4))", "--deadline", "60000")
      try bed.done("instance", "list", "--count")
      try bed.done("cell", "disable", "gamma", "--reason", "t")
      for words in [
        ["audit", "verify"], ["audit", "verify", "--journal-only"], ["replay"],
        ["audit", "prove", "5"], ["audit", "export", "x"], ["backup", "create", "b"],
      ] {
        let ran = try bed.run(words)
        #expect(ran.status == 4 && ran.err.contains("entries-1-512"), "\(words): \(ran.err)")
      }
      try FileManager.default.moveItem(atPath: bed.path("away"), toPath: file)
      try bed.done("audit", "verify")
    }
  }

  @Test func `an entry that is damaged in a file names the file`() throws {
    try withStore { bed in
      try bed.done(archive)
      let file = URL(filePath: bed.path("store/archive/entries-1-512"))
      var bytes = try Data(contentsOf: file)
      let entry = try #require(bytes.range(of: Data("alpha-host".utf8)))
      bytes[entry.lowerBound] ^= 1
      try bytes.write(to: file)
      for words in [["audit", "history", "store"], ["audit", "export", "x"], ["audit", "stats"]] {
        let ran = try bed.run(words)
        #expect(ran.status == 4 && ran.err.contains("entries-1-512 is damaged: entry"), "\(ran)")
      }
    }
  }

  @Test func `a backup restores to an archived entry, and what is left keeps its archives`() throws
  {
    try withStore { bed in
      try bed.done("backup", "create", "early")
      try bed.done(archive)
      try bed.done("backup", "create", "late")
      for (name, place) in [("early", 300), ("late", 400)] {
        let restored = try bed.done(
          "backup", "restore", name, "--to", "\(place)", "--reason", "t", "--json"
        ).object
        #expect(restored["target"] as? String == "1:\(place)")
        try bed.done("audit", "verify", "--full")
        #expect(try head(bed) == place + 1)
        #expect(!FileManager.default.fileExists(atPath: bed.path("store/archive")))
      }
      let left = try #require(
        try FileManager.default.contentsOfDirectory(atPath: bed.path("store"))
          .first { $0.hasPrefix("left-at-1-") })
      try bed.done("--store", "store/" + left, "audit", "verify", "--full", "--journal-only")
      let again = try bed.done("archive", "--before", "300", "--reason", "t", "--json").object
      #expect(again["archived"] as? Int == 256)
      try bed.done("audit", "verify", "--full")
    }
  }

  @Test func `the second implementation reads the journal and its files`() throws {
    try withStore { bed in
      func verify() throws -> (status: Int32, out: String) {
        try bed.python(
          "Tests/JournalTests/Vectors/journal_reference.py",
          ["--verify", "store/journal.lmdb", "--head", "store/HEAD"])
      }
      try bed.done("archive", "--before", "300", "--reason", "t")
      try bed.done(archive)
      let whole = try verify()
      #expect(whole.status == 0 && whole.out.contains("(512 archived)"), "\(whole.out)")
      #expect(whole.out.contains("\(try head(bed)) entries"), "\(whole.out)")
      let path = bed.path("store/archive/entries-257-512")
      let bytes = try Data(contentsOf: URL(filePath: path))
      var changed = bytes
      changed[changed.count / 2] ^= 1
      for (content, what) in [(changed, "another SHA-256"), (nil, "No such file")] {
        try FileManager.default.removeItem(atPath: path)
        if let content { try content.write(to: URL(filePath: path)) }
        let found = try verify()
        #expect(found.status == 1 && found.out.contains(what), "\(found.out)")
      }
    }
  }

  @Test func `a moment that is none is refused`() throws {
    try withStore { bed in
      #expect(try bed.run("archive", "--before", "soon", "--reason", "t").status == 64)
      #expect(try bed.run("archive", "--before", "7:5", "--reason", "t").status == 64)
      #expect(try bed.run("archive", "--before", "5").status == 64)
      let none = try bed.done("archive", "--before", "5", "--reason", "t")
      #expect(none.out.contains("Nothing to archive"))
    }
  }
}
