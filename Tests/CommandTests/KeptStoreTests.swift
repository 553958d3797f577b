import Foundation
import TestSupport
import Testing

/// Stores of format 1 that seal owners, or have an archive, are read by every later program.
///
/// They are made by Tests/JournalTests/Vectors/make-stores-1.
@Suite(.waiting) struct KeptStoreTests {
  private func withStore(
    _ name: FormatFixture.Name, _ body: (CommandBed, FormatFixture) throws -> Void
  ) throws {
    try withCommand { bed in
      try FileManager.default.createDirectory(
        atPath: bed.path("store"), withIntermediateDirectories: false,
        attributes: [.posixPermissions: 0o700])
      try FormatFixture.copy(name, into: bed.path("store"))
      try body(bed, FormatFixture.expected(of: name))
    }
  }

  /// The UUID of an instance as make-stores-1 counts them.
  private func kept(_ number: Int) -> String {
    "f1c50000-0000-4000-8000-" + String(format: "%012x", number)
  }

  private func shown(_ bed: CommandBed, _ number: Int, _ more: String...) throws -> [String: Any] {
    try bed.done(["instance", "show", kept(number), "--json"] + more).object
  }

  @Test(arguments: [FormatFixture.Name.sealed, .archived])
  func `a kept store is verified, and replayed to the same map`(name: FormatFixture.Name) throws {
    try withStore(name) { bed, expected in
      let verified = try bed.done("audit", "verify", "--full", "--journal-only", "--json").object
      #expect(verified["root"] as? String == expected.root)
      #expect(verified["position"] as? String == expected.position)
      #expect(verified["store"] as? String == expected.store)
      let replayed = try bed.done("replay", "--json").object
      #expect(replayed["digest"] as? String == expected.index_digest)
      #expect(replayed["entries"] as? UInt64 == expected.entries)
      let alpha = name == .sealed ? "alpha" : "gamma"
      let cell = try bed.done("cell", "show", alpha, "--reveal", "--json").object
      #expect(cell["queue"] as? String == "rabbit://nova:alpha-mq@alpha-mq:5672/")
      try bed.done("cell", "disable", "beta", "--reason", "a program of now writes on")
      try bed.done("audit", "verify", "--full")
    }
  }

  @Test func `a sealed owner opens, and a shredded one doesn't`() throws {
    try withStore(.sealed) { bed, _ in
      let owned = try shown(bed, 1)
      #expect(owned["project"] as? String == "kept" && owned["user"] as? String == "user-1")
      let shredded = try shown(bed, 2)
      #expect(shredded["key_shredded"] as? [String] == ["project", "user"])
      let count = try bed.done("instance", "list", "--count", "--project", "kept")
      // Of 1, 4, 7 and 10 one was unmapped.
      #expect(count.out == "3\n")
      #expect(try bed.done("audit", "history", kept(7)).out.contains("kept"))
      // A new mapping of the project is sealed by the key that is there.
      try bed.done(
        "instance", "map", kept(99), "--cell", "beta", "--project", "kept", "--reason", "t")
      let keys = try bed.done("keys", "list", "--json").objects
      #expect(keys.filter { $0["project"] as? String == "kept" }.count == 1)
    }
  }

  @Test func `an archived entry is read and proven`() throws {
    try withStore(.archived) { bed, expected in
      #expect(try bed.done("status", "--json").object["archived"] as? Int == 256)
      // Entry 15 maps the instance, in the archive; the journal's last one moves it.
      let then = try shown(bed, 10, "--at", "15")
      #expect(then["cell_name"] as? String == "alpha" && then["project"] as? String == "project-0")
      #expect(try shown(bed, 10)["cell_name"] as? String == "beta")
      let history = try bed.done("audit", "history", kept(10), "--json").objects
      #expect(history.map { $0["position"] as? String } == ["1:15", expected.position])
      for words in [["prove", "15"], ["prove", "200", "260"]] {
        let proof = try bed.done(["audit"] + words + ["--json"])
        #expect(proof.out.contains(expected.root) || words.count == 3)
        try bed.write(proof.out, to: "proof")
        let checked = try bed.check("--proof", "proof")
        #expect(checked.status == 0, "\(checked)")
      }
      try bed.done("audit", "export", "all")
      let checked = try bed.check("all")
      #expect(checked.status == 0, "\(checked)")
    }
  }
}
