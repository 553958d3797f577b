import Glibc
import Journal
import Projections
import Testing
import TestSupport

@testable import Cells

let instance = InstanceID("83ca87f0-f666-4206-94c1-4b920b5c7f6a")!
let cell = CellID("07158ab7-95f3-4183-9b69-13cd87684f34")!

func open(_ file: NovaCellFile) throws(CellError) -> CellConnection {
  try CellConnection.open(.sqlite(path: file.path), of: cell, until: soon())
}

/// Runs `body` with a Nova cell's empty database.
func withCell(
  journalMode: String = "delete", withHidden: Bool = true, _ body: (NovaCellFile) throws -> Void
) throws {
  try withTemporaryFolder { folder in
    try body(
      .make(at: folder + "/cell.sqlite", journalMode: journalMode, withHidden: withHidden))
  }
}

func names(in folder: String) -> Set<String> {
  var found: Set<String> = []
  guard let directory = opendir(folder) else { return found }
  defer { closedir(directory) }
  while let entry = readdir(directory) {
    let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    if name != "." && name != ".." { found.insert(name) }
  }
  return found
}

@Suite struct SQLiteCellReadTests {
  @Test func `reads where an instance is`() throws {
    try withCell { file in
      try file.add(instance, ["task_state": "'migrating'"])
      let placement = try open(file).placement(of: instance)
      #expect(
        placement
          == InstancePlacement(
            host: "compute-1", vmState: "active", taskState: "migrating", isDeleted: false,
            isHidden: false))
    }
  }

  @Test func `Nova's marker row is not among the instances that are looked up`() throws {
    try withCell { file in
      let marker = InstanceID(.zero)
      try file.add(instance)
      try file.add(marker, ["deleted": "7"])
      let found = try open(file).instances(among: [marker, instance])
      #expect(found.rows.map(\.instance.id) == [instance] && found.unreadable.isEmpty)
    }
  }

  @Test func `reads deleted and hidden rows, and rows without a host`() throws {
    try withCell { file in
      try file.add(instance, ["deleted": "17", "hidden": "1", "host": "NULL", "vm_state": "NULL"])
      let placement = try open(file).placement(of: instance)
      #expect(
        placement
          == InstancePlacement(
            host: nil, vmState: nil, taskState: nil, isDeleted: true, isHidden: true))
    }
  }

  @Test func `takes an empty host for none`() throws {
    try withCell { file in
      try file.add(instance, ["host": "''"])
      #expect(try open(file).placement(of: instance)?.host == nil)
    }
  }

  @Test func `has no row of an instance of elsewhere`() throws {
    try withCell { file in
      let placement = try open(file).placement(of: instance)
      let row = try open(file).instance(instance)
      #expect(placement == nil)
      #expect(row == nil)
    }
  }

  @Test func `reads the whole row`() throws {
    try withCell { file in
      try file.add(instance, ["launched_at": "'2026-01-01 05:17:00'", "user_id": "NULL"])
      let row = try #require(try open(file).instance(instance))
      #expect(row.id == instance)
      #expect(row.node == "compute-1.example.org")
      #expect(row.project == "project-1")
      #expect(row.user == nil)
      #expect(row.displayName == "vm")
      #expect(row.createdAt == Timestamp("2026-01-01T05:16:48Z"))
      #expect(row.launchedAt == Timestamp("2026-01-01T05:17:00Z"))
      #expect(row.deletedAt == nil)
    }
  }

  @Test func `sees each change of the row at the next call`() throws {
    try withCell { file in
      try file.add(instance)
      let connection = try open(file)
      #expect(try connection.placement(of: instance)?.host == "compute-1")
      try file.execute("UPDATE instances SET host = 'compute-2'")
      #expect(try connection.placement(of: instance)?.host == "compute-2")
    }
  }

  @Test func `keeps names byte for byte`() throws {
    try withCell { file in
      try file.add(instance, ["host": "'cafe\u{301}'"])
      let host = try open(file).placement(of: instance)?.host
      #expect(host == "cafe\u{301}")
      #expect(host != "caf\u{e9}")
    }
  }

  @Test func `reads a schema of before the column hidden`() throws {
    try withCell(withHidden: false) { file in
      try file.add(instance)
      #expect(try open(file).placement(of: instance)?.isHidden == false)
    }
  }

  @Test(arguments: [
    ("deleted", "NULL", "null"), ("deleted", "'x'", "text"), ("host", "x'00ff'", "blob"),
    ("hidden", "'yes'", "text"), ("vm_state", "CAST(x'ff' AS TEXT)", "text that isn't UTF-8"),
  ])
  func `names the column of a value that Nova doesn't write`(
    column: String, value: String, found: String
  ) throws {
    try withCell { file in
      try file.add(instance, [column: value])
      let connection = try open(file)
      #expect(
        throws: CellError.badValue(cell: cell, column: "instances.\(column)", found: found)
      ) { try connection.placement(of: instance) }
    }
  }

  @Test func `names the column of a time that is none`() throws {
    try withCell { file in
      try file.add(instance, ["updated_at": "'yesterday'"])
      let connection = try open(file)
      #expect(
        throws: CellError.badValue(
          cell: cell, column: "instances.updated_at", found: "text that is no time")
      ) { try connection.instance(instance) }
    }
  }
}
