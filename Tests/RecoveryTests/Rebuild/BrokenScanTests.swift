import Foundation
import Journal
import Projections
import Recovery
import TestSupport
import Testing

/// Cells that break off while they are read: the next rebuild goes on from the last page.
@Suite(.waiting) struct BrokenScanTests {
  /// Some four seconds for the fullest cell, so that it can be locked on the way.
  private static var slow: ScanSettings {
    var settings = ScanSettings()
    settings.pageRows = 2
    settings.rowsPerSecond = 5
    settings.pageTime = .seconds(3)
    return settings
  }

  /// Rebuilds while a cell is locked once some of its rows are read, and until the scan is over.
  private func rebuildBrokenOff(
    _ bed: RebuildBed, at number: Int, isKilledAtEnd: Bool = false
  ) throws -> RebuildPlan {
    let writer = try NovaCellFile(path: bed.path(number)).connect()
    var isLocked = false
    let plan = try bed.rebuild(
      isKilledAtEnd: isKilledAtEnd, settings: Self.slow,
      meanwhile: { if isLocked { try writer.execute("ROLLBACK") } },
      watching: { states in
        guard !isLocked, states[number].rows > 2 else { return }
        isLocked = (try? writer.execute("BEGIN EXCLUSIVE")) != nil
      })
    #expect(isLocked)
    return plan
  }

  /// What lies in the store of scans.
  private static func scanFiles(_ bed: RebuildBed) throws -> [URL] {
    try FileManager.default.contentsOfDirectory(atPath: bed.store).filter { $0.hasPrefix("scan-") }
      .map { URL(fileURLWithPath: bed.store + "/" + $0) }
  }

  /// The rows of the cells of which there are pages, of each scan.
  private func stagedRows(_ bed: RebuildBed) throws -> [Int64?] {
    let names = try FileManager.default.contentsOfDirectory(atPath: bed.store)
    return try names.filter { $0.hasPrefix("scan-") && $0.hasSuffix(".sqlite") }.map { name in
      let file = try SQLiteConnection(path: bed.store + "/" + name, mode: .readWrite)
      return try file.integer(
        "SELECT sum(rows) FROM cell WHERE number IN (SELECT cell FROM page)")
    }
  }

  @Test func `what was read of it stays, of it alone, and the same command goes on`() throws {
    try withTemporaryFolder { folder in
      let bed = try RebuildBed(in: folder)
      try bed.makeCells()
      try bed.rebuild()
      let expected = try bed.content()
      let other = try RebuildBed(in: folder, named: "other")
      let broken = try rebuildBrokenOff(other, at: 1)
      #expect(broken.unread.map(\.cell) == [cell(1)])
      let read = broken.unread.first?.rows ?? 0
      let staged = try stagedRows(other)
      #expect(staged == [Int64(read)] && read > 2)
      // Of the other cells nothing is left, also where SQLite keeps what was written last.
      let kept = try Self.scanFiles(other).map { try Data(contentsOf: $0) }
      #expect(kept.contains { $0.range(of: Data("host1".utf8)) != nil })
      #expect(!kept.contains { $0.range(of: Data("host2".utf8)) != nil })
      // Another one is away as well meanwhile, and others decide.
      _ = try other.without([2]) { try other.rebuild() }
      #expect(try stagedRows(other).isEmpty)
      try other.rebuild()
      let found = try other.content()
      #expect(Set(found).symmetricDifference(expected) == [])
      try other.checkVerdicts()
    }
  }

  @Test func `what a rebuild left that was killed at its very end is no other's to go on with`()
    throws
  {
    try withRebuildBed { bed in
      let file = NovaCellFile(path: bed.path(1))
      try file.addHost("known", service: .random(), node: .random())
      try bed.rebuild(isKilledAtEnd: true)
      #expect(try !Self.scanFiles(bed).isEmpty)
      // Archived meanwhile.
      let gone = bed.cloud.cases[0].instance
      try file.execute("DELETE FROM instances WHERE uuid = '\(gone)'")
      #expect(try bed.rebuild().missing.first == ["\(gone)"])
      #expect(try Self.scanFiles(bed).isEmpty)
    }
  }

  @Test func `what a killed trial has read is nobody's, and goes with the next`() throws {
    try withRebuildBed { bed in
      func trials() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: bed.store)
          .filter { $0.hasPrefix("trial-") }
      }
      let gone = instance(900)
      try NovaCellFile(path: bed.path(1)).add(gone)
      try bed.rebuild(planOnly: true, isKilledAtEnd: true)
      #expect(try !trials().isEmpty && Self.scanFiles(bed).isEmpty)
      try NovaCellFile(path: bed.path(1)).execute("DELETE FROM instances WHERE uuid = '\(gone)'")
      try bed.rebuild()
      #expect(try bed.index().instance(gone) == nil)
      try bed.rebuild(planOnly: true)
      #expect(try trials().isEmpty)
    }
  }

  @Test func `of what it left only the pages of a cell that broke off stay`() throws {
    try withRebuildBed { bed in
      let broken = try rebuildBrokenOff(bed, at: 1, isKilledAtEnd: true)
      let read = try #require(broken.unread.first?.rows)
      #expect(try stagedRows(bed) != [Int64(read)])
      bed.discardEndedScans()
      #expect(try stagedRows(bed) == [Int64(read)])
      try bed.rebuild()
      try bed.checkVerdicts()
      #expect(try Self.scanFiles(bed).isEmpty)
    }
  }

  @Test func `what has changed since is read again`() throws {
    try withRebuildBed { bed in
      _ = try rebuildBrokenOff(bed, at: 1)
      #expect(try stagedRows(bed).count == 1)
      let file = NovaCellFile(path: bed.path(1))
      let first = bed.cloud.cases[0].instance
      try file.execute(
        "UPDATE instances SET host = 'moved-host', updated_at = strftime('%Y-%m-%d %H:%M:%f', 'now') "
          + "WHERE uuid = '\(first)'; INSERT INTO compute_nodes (host, deleted) VALUES ('new-host', 0);"
      )
      try bed.rebuild()
      let index = try bed.index()
      #expect(try index.instance(first)?.record.lastSeen?.host == "moved-host")
      #expect(try index.host("new-host") != nil)
    }
  }

  @Test(arguments: [
    "substr(instances, 1, length(instances) - 1)", "x'ff' || substr(instances, 2)",
    "substr(instances, 1, 52) || x'ffff' || substr(instances, 55)", "x'00'",
  ]) func `a page that isn't one is named, and what is to be done`(_ change: String) throws {
    try withRebuildBed { bed in
      _ = try rebuildBrokenOff(bed, at: 1)
      let name = try #require(
        try FileManager.default.contentsOfDirectory(atPath: bed.store).first {
          $0.hasPrefix("scan-") && $0.hasSuffix(".sqlite")
        })
      let path = bed.store + "/" + name
      try SQLiteConnection(path: path, mode: .readWrite).execute(
        "UPDATE page SET instances = CAST(\(change) AS BLOB) WHERE number = (SELECT min(number) FROM page)"
      )
      let error = #expect(throws: RebuildError.self) { try bed.rebuild() }
      #expect("\(error as Any)".contains("\(path) is damaged"))
      #expect("\(error as Any)".contains("Remove it and give the same command again"))
      try FileManager.default.removeItem(atPath: path)
      try Data([1]).write(to: URL(fileURLWithPath: path + "-wal"))
      try bed.rebuild()
      try bed.checkVerdicts()
      #expect(try Self.scanFiles(bed).isEmpty)
    }
  }

  @Test func `a cell that has another database by then is read from its beginning`() throws {
    try withTemporaryFolder { folder in
      let bed = try RebuildBed(in: folder)
      try bed.makeCells()
      _ = try rebuildBrokenOff(bed, at: 1)
      #expect(try stagedRows(bed).count == 1)
      let first = bed.cloud.cases[0].instance
      // The file that was read was the wrong one.
      let right = folder + "/right.sqlite"
      try FileManager.default.copyItem(atPath: bed.path(1), toPath: right)
      try NovaCellFile(path: right).execute("UPDATE instances SET host = 'right'")
      try bed.setDatabase(of: 1, to: "sqlite:///\(right)")
      try bed.rebuild()
      #expect(try bed.index().instance(first)?.record.lastSeen?.host == "right")
    }
  }
}
