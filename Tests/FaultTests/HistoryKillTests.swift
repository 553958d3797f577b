import Foundation
import Glibc
import Journal
import TestSupport
import Testing

/// The history killed while it is made: answers stay what they are, and nothing is left behind.
@Suite(.waiting) struct HistoryKillTests {
  @Test func `a killed history is passed over, and the next question makes it whole`() throws {
    try withTemporaryFolder { folder in
      let sample = try SampleStore(in: folder, instances: 1_500)
      let instance = try #require(
        try sample.cloud.expectedCells().filter { $0.value != nil }.keys.sorted().first)
      let question = ["audit", "history", instance, "--store", sample.store, "--json"]
      let answer = try expectDone(question).output
      #expect(answer.contains("instance mapped"))
      let words = ["replay", "--history", "--store", sample.store, "--json"]
      let length = try microseconds { try expectDone(words) }
      var chance = Chance(seed: 20_261_127)
      for round in 0..<12 {
        let command = try Cellmap.start(words)
        usleep(UInt32.random(in: 0..<UInt32(length), using: &chance))
        command.send(SIGKILL)
        _ = try command.wait()
        #expect(try expectDone(question).output == answer, "round \(round)")
        try expectDone(["audit", "verify", "--store", sample.store])
      }
      try expectDone(words)
      let names = try FileManager.default.contentsOfDirectory(atPath: sample.store)
      let files = names.filter { $0.hasPrefix("history") && $0.hasSuffix(".sqlite") }
      #expect(files.count == 1 && !names.contains("history.making"), "\(names)")
    }
  }
}
