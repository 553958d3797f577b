import Foundation
import Journal
import TestSupport
import Testing

/// Full and read-only disks, and places where no store is.
@Suite(.waiting) struct DiskTests {
  private static let needsRoot: Comment = "mounting a small file system needs root"

  /// Makes a store on a small disk, and the words of a change that maps a new instance.
  private func withStoreOnDisk(
    kibibytes: Int, _ body: (SmallDisk, String, () -> [String]) throws -> Void
  ) throws {
    try withTemporaryFolder { folder in
      try withSmallDisk(in: folder, kibibytes: kibibytes) { disk in
        let store = disk.folder + "/store"
        try expectDone(["init", "--store", store])
        try expectDone(addCell("cell1", store))
        try body(disk, store) {
          [
            "instance", "map", UUID().uuidString, "--cell", "cell1", "--project", "p", "--store",
            store, "--reason", "test", "--json",
          ]
        }
      }
    }
  }

  @Test(.enabled(if: SmallDisk.isPossible, needsRoot))
  func `a full disk refuses with exit 6, loses nothing, and heals`() throws {
    try withStoreOnDisk(kibibytes: 1_024) { disk, store, map in
      var acknowledged = Acknowledged()
      acknowledged.note(try expectDone(map()))
      var refusals = 0
      var lagging = 0
      for free in [0, 0, 4_096, 0, 8_192, 0, 16_384, 0, 32_768, 65_536] {
        try disk.leaveFree(free)
        let before = try StoreContent(of: store).head
        let answer = try Cellmap.run(map())
        let content = try StoreContent(of: store)
        acknowledged.note(answer)
        acknowledged.check(content, "\(free) bytes free")
        if answer.status == 0 {
          #expect(content.head.index == before.index + 1, "\(answer.summary)")
          if answer.errors.contains("stays behind") { lagging += 1 }
        } else {
          refusals += 1
          #expect(answer.status == 6, "\(answer.summary)")
          #expect(answer.errors.split(separator: "\n").count == 1, "\(answer.summary)")
          #expect(answer.errors.contains("pace") || answer.errors.contains("full"))
          #expect(content.head == before, "refused and yet written: \(answer.summary)")
        }
        let status = try expectDone(["status", "--store", store, "--json"])
        #expect(status.object["position"] as? String == content.head.description)
        #expect(status.object["instances"] as? Int == content.instances().count)
      }
      #expect(refusals > 0 || lagging > 0)
      disk.makeRoom()
      acknowledged.note(try expectDone(map()))
      acknowledged.check(try StoreContent(of: store), "after there was room")
      try expectDone(["audit", "verify", "--store", store])
    }
  }

  @Test(.enabled(if: SmallDisk.isPossible, needsRoot))
  func `a full disk stops a replay with exit 6, and the index that served serves on`() throws {
    try withStoreOnDisk(kibibytes: 1_024) { disk, store, map in
      try expectDone(map())
      try disk.leaveFree(16_384)
      let replay = try Cellmap.run("replay", "--store", store)
      #expect(replay.status == 6, "\(replay.summary)")
      let status = try expectDone(["status", "--store", store, "--json"])
      #expect(status.object["instances"] as? Int == 1)
      #expect(status.object["index"] as? String == "index-1.sqlite")
      disk.makeRoom()
      try expectDone(["replay", "--store", store])
    }
  }

  @Test(.enabled(if: SmallDisk.isPossible, needsRoot))
  func `a full disk leaves no half store behind an init`() throws {
    try withTemporaryFolder { folder in
      try withSmallDisk(in: folder, kibibytes: 512) { disk in
        let store = disk.folder + "/store"
        for free in stride(from: 0, through: 102_400, by: 12_288) {
          try disk.leaveFree(free)
          let made = try Cellmap.run("init", "--store", store)
          // 9: the journal was made and only the index found no room; it is made at the next command.
          #expect([0, 6, 9].contains(made.status), "\(made.summary)")
          guard made.status == 6 else { break }
        }
        disk.makeRoom()
        let made = try Cellmap.run("init", "--store", store)
        let status = try Cellmap.run("status", "--store", store)
        #expect(made.status == 0 || made.errors.contains("already"), "\(made.summary)")
        #expect(status.status == 0, "\(status.summary)")
      }
    }
  }

  @Test(.enabled(if: SmallDisk.isPossible, needsRoot))
  func `a read-only disk answers questions and refuses changes with exit 6`() throws {
    try withStoreOnDisk(kibibytes: 1_024) { disk, store, map in
      let instance = try #require(try expectDone(map()).object["instance"] as? String)
      guard disk.makeReadOnly() else { return }
      for words in [
        ["status"], ["cell", "list"], ["instance", "show", instance], ["instance", "list"],
        ["audit", "verify", "--journal-only"],
      ] {
        try expectDone(words + ["--store", store])
      }
      let verified = try expectDone(["audit", "verify", "--full", "--store", store])
      #expect(verified.output.contains("index"), "\(verified.summary)")
      #expect(verified.errors.contains("VERIFIED"), "\(verified.summary)")
      let route = try Cellmap.run("route", instance, "--store", store, "--json")
      #expect(route.object["cell_name"] as? String == "cell1", "\(route.summary)")
      for words in [map(), ["replay", "--store", store]] {
        let answer = try Cellmap.run(words)
        #expect(answer.status == 6, "\(answer.summary)")
        #expect(answer.errors.split(separator: "\n").count == 1, "\(answer.summary)")
      }
      #expect(try Cellmap.run(map()).errors.contains("Read-only"))
    }
  }

  /// The start of statfs(2)'s answer, by strace, as it would be on a network file system.
  @Test(
    arguments: [
      (0x6969, "NFS"), (0xFF53_4D42, "CIFS"), (0x6573_5546, "FUSE"), (0x0102_1997, "9p"),
    ] as [(UInt64, String)])
  func `a network file system is refused with exit 6, and nothing is made there`(
    magic: UInt64, name: String
  ) throws {
    try withTemporaryFolder { folder in
      let (store, made) = (folder + "/new", folder + "/store")
      try expectDone(["init", "--store", made])
      let answer = withUnsafeBytes(of: magic.littleEndian) { bytes in
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
      }
      for words in [
        ["init", "--store", store], ["status", "--store", made], addCell("c", made),
      ] {
        let refused = try runProgram(
          "/usr/bin/strace",
          [
            "-f", "-qq", "-o", "/dev/null", "-e", "trace=statfs", "-e",
            "inject=statfs:poke_exit=@arg2=\(answer)", Cellmap.program,
          ] + words)
        #expect(refused.status == 6 && refused.output == "", "\(words): \(refused.summary)")
        #expect(refused.errors.contains(name), "\(refused.summary)")
        #expect(refused.errors.split(separator: "\n").count == 1, "\(refused.summary)")
      }
      #expect(access(store + "/journal.lmdb", F_OK) != 0)
      // The same store on a local disk is as it was.
      let status = try expectDone(["status", "--store", made, "--json"])
      #expect(status.object["position"] as? String == "1:2")
    }
  }

  @Test func `where no store is, every command says so with exit 6`() throws {
    try withTemporaryFolder { folder in
      let other = folder + "/other"
      try FileManager.default.createDirectory(
        atPath: other, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
      try Data("mine".utf8).write(to: URL(filePath: other + "/notes"))
      for store in [folder + "/absent", other, other + "/notes"] {
        for words in [
          ["status"], ["cell", "list"], ["route", UUID().uuidString], ["replay"],
          ["audit", "verify"], addCell("c"),
        ] {
          let answer = try Cellmap.run(words + ["--store", store])
          #expect(answer.status == 6, "\(words) \(store): \(answer.summary)")
          #expect(answer.errors.contains("store"), "\(answer.summary)")
          #expect(answer.errors.split(separator: "\n").count == 1, "\(answer.summary)")
          #expect(answer.output == "")
        }
      }
      let made = try Cellmap.run("init", "--store", other)
      #expect(made.status == 64 && made.errors.contains("notes"), "\(made.summary)")
      #expect(try FileManager.default.contentsOfDirectory(atPath: other) == ["notes"])
      #expect(!FileManager.default.fileExists(atPath: folder + "/absent"))
    }
  }

  @Test(arguments: ["with spaces and 'quotes'", "of two\nlines", "Zürich 地図 e\u{301}", "a%41?b=#c"])
  func `a store may have any name`(name: String) throws {
    try withTemporaryFolder { folder in
      let store = folder + "/" + name
      try expectDone(["init", "--store", store])
      try expectDone(addCell("c", store))
      let replay = try expectDone(["replay", "--store", store, "--json"])
      #expect((replay.object["index"] as? String)?.hasPrefix(store + "/") == true)
      try expectDone(["audit", "verify", "--store", store])
      let status = try expectDone(["status", "--store", store, "--json"])
      #expect(status.object["folder"] as? String == store)
      let refused = try Cellmap.run("init", "--store", store)
      #expect(refused.status == 9, "\(refused.summary)")
      #expect(refused.errors.split(separator: "\n").count == 1, "\(refused.summary)")
    }
  }
}
