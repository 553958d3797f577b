import Foundation
import TestSupport
import Testing

/// Questions about the past by the name of a cell that another cell has borne, too.
@Suite(.waiting) struct CellNameTests {
  private let one = "\(instance(1))"

  /// Entry 1:5 maps instance 1 to alpha (cell 1), 1:6 moves it to beta (cell 2); 1:7 takes alpha away, and
  /// 1:8 gives beta that name.
  private func makePast(_ bed: CommandBed) throws {
    try bed.makeStore()
    for words in [
      ["instance", "map", one, "--cell", "alpha", "--project", "p"],
      ["instance", "remap", one, "--cell", "beta"], ["cell", "remove", "alpha"],
      ["cell", "rename", "beta", "alpha"],
    ] {
      try bed.done(words + ["--reason", "t"])
    }
  }

  @Test func `two cells of one name are two, in sums and in words`() throws {
    try withCommand { bed in
      try makePast(bed)
      let sums = try #require(try bed.done("audit", "diff", "5", "8", "--json").objects.last)
      let flows = try #require(sums["cells"] as? [String: [String: Int]])
      #expect(flows["\(cell(1))"] == ["came": 0, "left": 1, "changed": 0])
      #expect(flows["\(cell(2))"] == ["came": 1, "left": 0, "changed": 0])
      let told = try bed.done("audit", "diff", "5", "8").out
      #expect(told.contains("cell alpha (\(cell(1))) → alpha (\(cell(2)))"), "\(told)")
      #expect(!told.contains("(its secret)"))
      let stats = try bed.done("audit", "stats").out
      #expect(stats.contains("alpha (\(cell(1)))") && stats.contains("alpha (\(cell(2)))"))
      // A name that one cell alone has borne stands alone.
      let history = try bed.done("audit", "history", one).out
      #expect(history.contains("moved from alpha (\(cell(1))) to beta\n") == false)
      #expect(history.contains("moved from alpha (\(cell(1))) to beta "), "\(history)")
    }
  }

  @Test func `whoever asks by the name is told of the other cell`() throws {
    try withCommand { bed in
      try makePast(bed)
      let questions = [
        ["audit", "history", "alpha", "--until", "6"], ["audit", "who", "--cell", "alpha"],
        ["audit", "diff", "5", "--cell", "alpha"],
        ["audit", "bisect", "5..", "--", "cell", "show", "alpha"],
        ["audit", "who", "--cell", "alpha", "--since", "6"],
        ["audit", "stats", "--cell", "alpha", "--until", "3"],
        ["audit", "export", "all", "--cell", "alpha", "--cell", "alpha", "--from", "7"],
        ["replay", "--follow", "--only", "cell:alpha", "alpha"],
        // The entry that takes the name away is about that cell.
        ["replay", "--follow", "--from", "7", "--only", "cell:alpha"],
      ]
      for words in questions {
        let ran = try bed.done(words)
        let remark = "'alpha' also was the name of another cell, \(cell(1)), from 1:3 to 1:7:"
        #expect(ran.err.components(separatedBy: remark).count == 2, "\(words): \(ran.err)")
      }
      // Not where the other cell bore the name at another time.
      for words in [
        ["audit", "history", "alpha", "--until", "2"],
        ["audit", "who", "--cell", "alpha", "--since", "7"],
        ["audit", "stats", "--cell", "alpha", "--until", "2"],
        ["audit", "diff", "7", "--cell", "alpha"],
        ["audit", "export", "later", "--cell", "alpha", "--from", "8"],
        ["replay", "--follow", "--from", "8", "--only", "cell:alpha"],
        ["replay", "--into", "part.sqlite", "--to", "2", "--only", "cell:alpha"],
      ] {
        let ran = try bed.done(words)
        #expect(!ran.err.contains("also was"), "\(words): \(ran.err)")
      }
      let still = try bed.run("audit", "bisect", "7..", "--", "cell", "show", "alpha")
      #expect(still.status == 0 && !still.err.contains("also was"), "\(still)")
      for name in ["beta", "\(cell(1))", "cell0"] {
        let ran = try bed.done("audit", "history", name)
        #expect(!ran.err.contains("also was"), "\(ran.err)")
      }
    }
  }
}
