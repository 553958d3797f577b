import Foundation
import Journal
import TestSupport
import Testing

/// A probe whose command is given again under its request id; cell0 needs no broker for one.
@Suite(.waiting) struct ProbeRetryTests {
  private let request = "\(UUID128.random())"

  private func probe(_ bed: CommandBed, _ more: String...) throws -> CommandBed.Ran {
    try bed.run(["cell", "probe", "cell0", "--request-id", request, "--json"] + more)
  }

  @Test func `repeats what was recorded, whatever would be found now`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let first = try probe(bed)
      #expect(first.status == 0, "\(first.err)")
      try FileManager.default.removeItem(atPath: bed.path("cell0.sqlite"))
      let second = try probe(bed)
      #expect(second.status == 0, "\(second.err)")
      let object = try second.object
      #expect(object["repeated"] as? Bool == true && object["passed"] as? Bool == true)
      #expect(object["position"] as? String == (try first.object["position"] as? String))
      let steps = try #require(object["steps"] as? [[String: Any]])
      #expect(steps.count == (try first.object["steps"] as? [Any])?.count)
      #expect(steps.allSatisfy { $0["passed"] as? Bool == true })
    }
  }

  @Test func `repeats a failure with its exit code`() throws {
    try withCommand { bed in
      try bed.makeStore()
      let (path, held) = (bed.path("cell0.sqlite"), bed.path("held"))
      try FileManager.default.moveItem(atPath: path, toPath: held)
      #expect(try probe(bed).status == 7)
      try FileManager.default.moveItem(atPath: held, toPath: path)
      let second = try probe(bed)
      #expect(second.status == 7, "\(second.out)")
      #expect(try second.object["passed"] as? Bool == false)
    }
  }

  @Test func `one that accepts the database is another command`() throws {
    try withCommand { bed in
      try bed.makeStore()
      #expect(try probe(bed).status == 0)
      let accepting = try probe(bed, "--accept", "--reason", "t")
      #expect(accepting.status == 9, "\(accepting.out)\(accepting.err)")
    }
  }
}
