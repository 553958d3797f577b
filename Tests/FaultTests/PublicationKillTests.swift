import Foundation
import Journal
import TestServers
import TestSupport
import Testing

/// `publish` killed at any moment: every row of the target is as before or as after, and the same
/// command ends where an undisturbed one does.
@Suite(.waiting) struct PublicationKillTests {
  private static let tables = [
    "cell_mappings", "host_mappings", "instance_mappings", "request_specs", "flavors",
    "flavor_extra_specs",
  ]

  private func sqlite(_ path: String, _ sql: String) throws -> String {
    try TestServer.run(
      "/usr/bin/env", ["sqlite3", "-bail", path], input: ".timeout 10000\n" + sql + "\n")
  }

  /// The cloud's own API database, of which rows are gone and others differ.
  private func makeTarget(_ path: String, of sample: SampleStore) throws {
    try? FileManager.default.removeItem(atPath: path)
    try FileManager.default.copyItem(
      atPath: sample.cloud.folder + "/nova_api.sqlite", toPath: path)
    _ = try sqlite(
      path,
      """
      -- What Nova is still building would be left.
      DELETE FROM build_requests;
      DELETE FROM instance_mappings WHERE id % 3 = 0 AND cell_id IS NOT NULL;
      UPDATE instance_mappings SET user_id = 'other' WHERE id % 3 = 1;
      DELETE FROM host_mappings WHERE id > 1;
      DELETE FROM request_specs;
      """)
  }

  /// The rows of a table, without the time of their last change.
  private func rows(_ path: String, _ table: String) throws -> Set<String> {
    let columns = [
      "cell_mappings": "created_at, uuid, name, transport_url, database_connection, disabled",
      "host_mappings": "created_at, host, cell_id",
      "instance_mappings":
        "created_at, instance_uuid, cell_id, project_id, user_id, queued_for_delete",
      // Made now, so their times differ.
      "request_specs": "instance_uuid, spec", "flavors": "flavorid, name, memory_mb",
      "flavor_extra_specs": "flavor_id, key, value",
    ]
    let text = try sqlite(
      path, "SELECT id, \(columns[table] ?? "") FROM \(table) ORDER BY id;")
    return Set(text.components(separatedBy: "\n"))
  }

  @Test func `a killed publication goes on, and no row is ever half written`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 1_200)
      let calm = folder + "/calm.sqlite"
      try makeTarget(calm, of: sample)
      let before = try Self.tables.map { try rows(calm, $0) }
      func words(_ path: String, _ request: UUID) -> [String] {
        [
          "publish", "sqlite:///\(path)", "--store", sample.store, "--reason", "test", "--json",
          "--request-specs", "--flavors",
          "--base-directory", sample.cloud.folder, "--request-id",
          request.uuidString.lowercased(),
        ]
      }
      let length = try microseconds { try expectDone(words(calm, UUID())) }
      let after = try Self.tables.map { try rows(calm, $0) }
      var chance = Chance(seed: 20_261_126)
      var (rounds, hits, request, wild) = (0, 0, UUID(), "")
      while hits < 2, rounds < 16 {
        rounds += 1
        request = UUID()
        // A database of its own: rows of one that was published to, and are gone, aren't put back.
        wild = folder + "/wild\(rounds).sqlite"
        try makeTarget(wild, of: sample)
        let command = try Cellmap.start(words(wild, request))
        usleep(UInt32.random(in: 0..<UInt32(length), using: &chance))
        command.send(SIGKILL)
        let ended = try command.wait()
        let now = try Self.tables.map { try rows(wild, $0) }
        for place in now.indices {
          #expect(now[place].isSubset(of: before[place].union(after[place])), "round \(rounds)")
        }
        if ended.signal == SIGKILL, now != before, now != after { hits += 1 }
        // The same command, under the same request, goes on; given again it is answered.
        try expectDone(words(wild, request))
        #expect(try Self.tables.map { try rows(wild, $0) } == after, "round \(rounds)")
      }
      #expect(hits >= 1, "\(rounds) rounds")
      let again = try expectDone(words(wild, request))
      #expect(again.object["repeated"] as? Bool == true)
      let content = try StoreContent(of: sample.store)
      let noted = content.entries.filter { entry in
        guard case .store(.published) = entry.event else { return false }
        return entry.draft.request.id == RequestID(request.uuidString.lowercased())
      }
      #expect(noted.count == 1)
      try expectIndexEqualsReplay(sample.store)
    }
  }
}
