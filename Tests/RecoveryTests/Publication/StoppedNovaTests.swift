import Cells
import Foundation
import Journal
import TestSupport
import Testing

@testable import Recovery

/// An operator says that Nova is stopped: it is looked whether that shows.
@Suite(.waiting) struct StoppedNovaTests {
  private typealias Run = AdoptionBed.Publishing

  private func check(
    _ bed: AdoptionBed, _ api: PublishedAPI, pause: Duration = .milliseconds(800),
    heartbeat: () throws(CellWitnessError) -> CellHeartbeat? = { () throws(CellWitnessError) in nil
    }
  ) throws {
    try bed.withPublication(into: api, Run()) { publication, _ in
      try publication.requireStopped(pause: pause, heartbeat: heartbeat)
    }
  }

  @Test(arguments: [
    "UPDATE instance_mappings SET cell_id = 1 WHERE id = 1;",
    "UPDATE cell_mappings SET name = 'x' WHERE id = 2;",
    "DELETE FROM host_mappings WHERE id = 1;",
    "INSERT INTO instance_mappings (instance_uuid, project_id) VALUES ('x', 'p');",
  ])
  func `rows that change are seen`(sql: String) throws {
    try withPublishing { bed, api in
      try bed.publish(into: api)
      try check(bed, api)
      let thread = Thread {
        usleep(1_000_000)
        #expect(throws: Never.self) { try api.run(sql) }
      }
      #expect {
        // The heartbeat is asked for right before the first look.
        try check(bed, api, pause: .seconds(10)) { () throws(CellWitnessError) in
          thread.start()
          return nil
        }
      } throws: { error in
        guard case .stillChanging = error as? PublicationError else { return false }
        return true
      }
    }
  }

  @Test func `a young heartbeat is seen, and an old one is none`() throws {
    try withPublishing { bed, api in
      let old = Timestamp.now.plus(seconds: -130)
      try check(bed, api) { () throws(CellWitnessError) in
        CellHeartbeat(host: "h", binary: "nova-scheduler", at: old)
      }
      // One that is ahead belongs to a clock that is: it is young all the same.
      for seconds in [-100, 0, 3_600] as [Int64] {
        let young = Timestamp.now.plus(seconds: seconds)
        #expect {
          try check(bed, api) { () throws(CellWitnessError) in
            CellHeartbeat(host: "h", binary: "nova-scheduler", at: young)
          }
        } throws: { error in
          guard case .novaRuns = error as? PublicationError else { return false }
          return true
        }
      }
    }
  }

  @Test func `what can't be seen is not taken for stopped`() throws {
    try withPublishing { bed, api in
      #expect {
        try check(bed, api) { () throws(CellWitnessError) in throw CellWitnessError("gone") }
      } throws: { error in
        guard case .notSeenStopped = error as? PublicationError else { return false }
        return true
      }
    }
  }
}
