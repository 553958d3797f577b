import Foundation
import Glibc
import Journal
import Projections
import TestSupport
import Testing

/// `rebuild` killed at any moment: the same command ends where an undisturbed one does, and what was
/// once in the journal stays there.
@Suite(.waiting) struct RebuildKillTests {
  private static let instances = 18_000

  /// Two cells whose instances take several chunks, and the file that names them.
  private func makeCells(in folder: String) throws -> String {
    var text = "cells:\n"
    for number in 0...2 {
      let path = "\(folder)/cell\(number).sqlite"
      let file = try NovaCellFile.make(at: path)
      let name = number == 0 ? "name: cell0" : "uuid: \(cell(number))\n    name: cell\(number)"
      text += "  - \(name)\n    database: sqlite:///\(path)\n"
      guard number > 0 else { continue }
      try file.addHost(
        "host\(number)", service: UUID128(high: 0x7000, low: UInt64(number)),
        node: UUID128(high: 0x7001, low: UInt64(number)))
      // Scattered over all UUIDs, and the same in each run.
      try file.execute(
        """
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < \(Self.instances / 2))
        INSERT INTO instances (id, uuid, host, vm_state, project_id, user_id, created_at, deleted)
        SELECT i, printf('%08x-%04x-4000-8000-00000000000\(number)', (i * 2654435761) % 4294967296,
          i % 65536), 'host\(number)', 'active', 'project-' || (i % 7), 'user', '2026-01-01 05:16:48', 0
        FROM n;
        """)
    }
    let path = folder + "/cells.yaml"
    try text.write(toFile: path, atomically: true, encoding: .utf8)
    return path
  }

  /// What the map holds, without what depends on the moment of reading.
  private func records(_ content: StoreContent) -> [InstanceID: InstanceRecord] {
    content.instances().mapValues { record in
      var record = record
      record.lastSeen?.at = Timestamp(microseconds: 0)
      return record
    }
  }

  /// The instances that the index which serves has.
  private func indexed(_ store: String) throws -> [InstanceID: InstanceRecord] {
    let journal = try EventJournal.open(store)
    let reader = try IndexGenerations(folder: store).open(store: journal.store).reader
    let items = try reader.instances(limit: 2 * Self.instances)
    return Dictionary(
      items.map { item in
        var record = item.row.record
        record.lastSeen?.at = Timestamp(microseconds: 0)
        return (item.id, record)
      }, uniquingKeysWith: { first, _ in first })
  }

  /// Returns once the first chunk is in the journal, or after some runs' time.
  private func waitUntil(_ store: String, hasMoreThan entries: UInt64, for microseconds: Int) {
    let end = ContinuousClock.now + .microseconds(4 * microseconds)
    while ContinuousClock.now < end {
      if let journal = try? EventJournal.open(store), journal.head.position.index > entries {
        return
      }
      usleep(500)
    }
  }

  @Test func `a killed rebuild goes on, and ends as one that nobody killed`() throws {
    try withTemporaryFolder { folder in
      let cells = try makeCells(in: folder)
      func words(_ store: String, _ request: UUID) -> [String] {
        [
          "rebuild", "--cells", cells, "--store", "\(folder)/\(store)", "--reason", "test",
          "--json",
          "--request-id", request.uuidString.lowercased(),
        ]
      }
      let length = try microseconds { try expectDone(words("calm", UUID())) }
      let expected = records(try StoreContent(of: folder + "/calm"))
      #expect(expected.count == Self.instances)
      #expect(try indexed(folder + "/calm") == expected)
      try expectIndexEqualsReplay(folder + "/calm")
      var chance = Chance(seed: 20_261_128)
      var (rounds, partial) = (0, 0)
      while rounds < 8, rounds < 3 || partial < 1 {
        rounds += 1
        let (name, request) = ("wild\(rounds)", UUID())
        let store = "\(folder)/\(name)"
        var acknowledged = Acknowledged()
        // Killed once, or twice in a row.
        for _ in 0...Int.random(in: 0...1, using: &chance) {
          let command = try Cellmap.start(words(name, request))
          if rounds.isMultiple(of: 2) {
            usleep(UInt32.random(in: UInt32(length / 8)..<UInt32(length), using: &chance))
          } else {
            waitUntil(store, hasMoreThan: 200, for: length)
          }
          command.send(SIGKILL)
          _ = try command.wait()
          guard FileManager.default.fileExists(atPath: store + "/journal.lmdb") else { continue }
          let content = try StoreContent(of: store)
          acknowledged.check(content, "round \(rounds), seed \(chance.seed)")
          let found = records(content)
          if !found.isEmpty, found.count < expected.count { partial += 1 }
          for (id, record) in found where expected[id] != record {
            Issue.record("round \(rounds): \(id) is \(record)")
          }
        }
        try expectDone(words(name, request))
        let content = try StoreContent(of: store)
        acknowledged.check(content, "round \(rounds), at its end")
        #expect(records(content) == expected, "round \(rounds), seed \(chance.seed)")
        #expect(try indexed(store) == expected, "round \(rounds), seed \(chance.seed)")
        try expectIndexEqualsReplay(store, "round \(rounds)")
        let again = try expectDone(words(name, request))
        #expect(again.object["repeated"] as? Bool == true)
        // Each instance came once.
        let mapped = content.entries.count { entry in
          if case .instance(_, .mapped) = entry.event { true } else { false }
        }
        #expect(mapped == Self.instances, "round \(rounds)")
        let names = try FileManager.default.contentsOfDirectory(atPath: store)
        #expect(!names.contains { $0.hasPrefix("scan-") }, "\(names)")
        try FileManager.default.removeItem(atPath: store)
      }
      #expect(partial >= 1, "\(rounds) rounds hit nothing in the middle")
    }
  }
}
