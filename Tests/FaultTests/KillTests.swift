import Foundation
import Journal
import Projections
import TestSupport
import Testing

/// `kill -9` at random moments: 200 in all. The moments are spread over the time that an undisturbed
/// run takes, measured on the spot.
@Suite struct KillTests {
  /// Starts a command, kills it after a random part of `duration`, and gives what it had printed.
  private func killed(
    _ arguments: [String], within duration: Int, _ chance: inout Chance
  ) throws -> FinishedCommand {
    let delay = Int.random(in: 0...duration, using: &chance)
    let isWholeGroup = Bool.random(using: &chance)
    let command = try Cellmap.start(arguments)
    usleep(UInt32(delay))
    command.send(SIGKILL, andChildren: isWholeGroup)
    let finished = try command.wait()
    // A child that outlives its parent ends by itself; the store is looked at beside it.
    return finished
  }

  /// The map, without the moments at which hosts were seen: they differ from run to run.
  private func places(_ content: StoreContent) -> [InstanceID: [String]] {
    content.instances().mapValues { record in
      [
        "\(String(describing: record.cell))", "\(record.owner)",
        "\(String(describing: record.isQueuedForDelete))",
        "\(String(describing: record.lastSeen?.host))",
      ]
    }
  }

  @Test func `an adoption killed 60 times loses nothing and ends in the same map`() throws {
    var chance = Chance()
    let note = "seed \(chance.seed)"
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 1_500, isAdopted: false)
      let empty = folder + "/empty"
      try sample.copyStore(to: empty)
      let duration = try microseconds { try expectDone(sample.cloud.adopt(into: sample.store)) }
      let whole = try places(StoreContent(of: sample.store))
      var kills = 0
      while kills < 60 {
        try FileManager.default.removeItem(atPath: sample.store)
        try FileManager.default.copyItem(atPath: empty, toPath: sample.store)
        let words = sample.cloud.adopt(into: sample.store)
        var acknowledged = Acknowledged()
        for _ in 0..<10 {
          acknowledged.note(try killed(words, within: duration, &chance))
          kills += 1
          acknowledged.check(try StoreContent(of: sample.store), "\(note), kill \(kills)")
          try expectIndexEqualsReplay(sample.store, "\(note), kill \(kills)")
        }
        acknowledged.note(try expectDone(words))
        let content = try StoreContent(of: sample.store)
        acknowledged.check(content, note)
        #expect(places(content) == whole, "\(note), after \(kills) kills")
        try expectIndexEqualsReplay(sample.store, note)
      }
    }
  }

  @Test func `appends killed 60 times lose nothing, and a repeated one is made once`() throws {
    var chance = Chance()
    let note = "seed \(chance.seed)"
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 20)
      let duration = try microseconds { try expectDone(sample.map(UUID())) }
      var acknowledged = Acknowledged()
      for kill in 1...60 {
        let instance = UUID()
        let words = sample.map(instance)
        let first = try killed(words, within: duration, &chance)
        acknowledged.note(first)
        acknowledged.check(try StoreContent(of: sample.store), "\(note), kill \(kill)")
        let again = try expectDone(words)
        if first.status == 0 { #expect(again.object["repeated"] as? Bool == true) }
        acknowledged.note(again)
        let content = try StoreContent(of: sample.store)
        acknowledged.check(content, "\(note), kill \(kill)")
        let entries = content.entries.filter {
          $0.event.entity == .instance(InstanceID(instance.uuidString)!)
        }
        #expect(entries.count == 1, "\(note), kill \(kill)")
        #expect(entries.first?.position.index == (again.object["entries"] as? [UInt64])?.first)
        try expectIndexEqualsReplay(sample.store, "\(note), kill \(kill)")
      }
    }
  }

  @Test func `a replay killed 40 times leaves the index that served, and then ends`() throws {
    var chance = Chance()
    let note = "seed \(chance.seed)"
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 1_500)
      let words = ["replay", "--store", sample.store, "--json"]
      let duration = try microseconds { try expectDone(words) }
      let digest = try #require(try expectDone(words).object["digest"] as? String)
      for kill in 1...40 {
        if kill % 4 == 0 { unlink(sample.store + "/CURRENT") }
        _ = try killed(words, within: duration, &chance)
        let status = try expectDone(["status", "--store", sample.store, "--json"])
        #expect(status.object["instances"] as? Int == 1_500, "\(note), kill \(kill)")
        try expectIndexEqualsReplay(sample.store, "\(note), kill \(kill)")
      }
      #expect(try expectDone(words).object["digest"] as? String == digest)
    }
  }

  @Test func `an init killed 40 times left a whole store, or none and room for one`() throws {
    var chance = Chance()
    let note = "seed \(chance.seed)"
    try withTemporaryFolder { folder in
      let duration = try microseconds {
        try expectDone(["init", "--store", folder + "/undisturbed"])
      }
      for kill in 1...40 {
        let store = folder + "/store \(kill)"
        let words = ["init", "--store", store, "--json"]
        let first = try killed(words, within: duration, &chance)
        let status = try Cellmap.run("status", "--store", store, "--json")
        let about: Comment = "\(note), kill \(kill): \(first.summary), then \(status.summary)"
        if first.status == 0 { #expect(status.status == 0, about) }
        if status.status == 0 {
          #expect(try Cellmap.run(words).status == 9, about)
        } else {
          #expect(status.status == 6 && status.errors.contains("no store"), about)
          try expectDone(words)
        }
        #expect(try StoreContent(of: store).head.index == 2, about)
        try expectDone(["status", "--store", store])
        try expectIndexEqualsReplay(store, "\(note), kill \(kill)")
      }
    }
  }
}
