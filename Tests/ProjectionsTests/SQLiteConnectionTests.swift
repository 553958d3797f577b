import Foundation
import Journal
import Projections
import TestSupport
import Testing

@Suite struct SQLiteConnectionTests {
  /// Makes a database with one table of every storage class.
  private func makeSample(at path: String) throws {
    let connection = try SQLiteConnection(path: path, mode: .readWriteCreate)
    try connection.execute(
      """
      CREATE TABLE sample (id INTEGER PRIMARY KEY, name TEXT, data BLOB, ratio REAL);
      INSERT INTO sample VALUES (1, 'é', x'0001ff', 0.5), (2, NULL, NULL, NULL);
      """)
  }

  @Test func `reads every storage class by column name`() throws {
    try withTemporaryFolder { folder in
      try makeSample(at: folder + "/a.sqlite")
      let connection = try SQLiteConnection(path: folder + "/a.sqlite", mode: .readOnly)
      let statement = try connection.prepare("SELECT * FROM sample ORDER BY id")
      #expect(try statement.step())
      #expect(try statement.integer(statement.column(named: "id")) == 1)
      #expect(try statement.textBytes(statement.column(named: "name")) == Array("é".utf8))
      #expect(try statement.blob(statement.column(named: "data")) == [0, 1, 255])
      #expect(try statement.type(statement.column(named: "ratio")) == .real)
      #expect(try statement.step())
      #expect(try statement.textBytesIfPresent(1) == nil)
      #expect(try statement.blobIfPresent(2) == nil)
      #expect(statement.isNull(3))
      #expect(try !statement.step())
    }
  }

  @Test func `names the column, the type it needs and the type it found`() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/a.sqlite"
      try makeSample(at: path)
      let connection = try SQLiteConnection(path: path, mode: .readOnly)
      let statement = try connection.prepare("SELECT name FROM sample WHERE id = ?")
      try statement.bind(1, at: 1)
      #expect(try statement.step())
      let wrongType = ProjectionError.columnType(
        column: "name", expected: .integer, found: .text, path: path)
      #expect(throws: wrongType) { try statement.integer(0) }
      #expect(throws: ProjectionError.missingColumn(name: "cell", path: path)) {
        try statement.column(named: "cell")
      }
      #expect(throws: ProjectionError.self) { try statement.key(0) }
    }
  }

  @Test func `binds text, blobs and keys byte for byte`() throws {
    try withTemporaryFolder { folder in
      let connection = try SQLiteConnection(path: folder + "/a", mode: .readWriteCreate)
      let statement = try connection.prepare("SELECT ?1, ?2, ?3, ?4")
      let text: [UInt8] = [0x65, 0xcc, 0x81, 0x00, 0xff, 0x27, 0x3b]
      try statement.bind(text: text.span.bytes, at: 1)
      try statement.bind(blob: [UInt8]().span.bytes, at: 2)
      try statement.bind(key: (0x0102_0304_0506_0708, 9), at: 3)
      try statement.bindNull(at: 4)
      #expect(try statement.step())
      #expect(try statement.textBytes(0) == text)
      #expect(try statement.blob(1) == [])
      #expect(try statement.blob(2) == [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9])
      #expect(try statement.key(2) == (0x0102_0304_0506_0708, 9))
      #expect(statement.isNull(3))
    }
  }

  @Test func `tells text that is not UTF-8 from text that is`() throws {
    try withTemporaryFolder { folder in
      let connection = try SQLiteConnection(path: folder + "/a", mode: .readWriteCreate)
      let statement = try connection.prepare("SELECT 'e\u{301}', CAST(x'ff41' AS TEXT) AS broken")
      #expect(try statement.step())
      #expect(try statement.text(0) == "e\u{301}")
      #expect(throws: ProjectionError.notUTF8(column: "broken", path: folder + "/a")) {
        try statement.text(1)
      }
    }
  }

  @Test(arguments: ["a b?c%20#d.sqlite", "file:x?mode=memory", ":memory:", "ü'\"\n.sqlite"])
  func `takes a path as it is`(name: String) throws {
    try withTemporaryFolder(named: "with space ?%41") { folder in
      try makeSample(at: folder + "/" + name)
      #expect(FileManager.default.fileExists(atPath: folder + "/" + name))
      for mode in [SQLiteConnection.Mode.readOnly, .immutable, .readWrite] {
        let connection = try SQLiteConnection(path: folder + "/" + name, mode: mode)
        #expect(try connection.integer("SELECT count(*) FROM sample") == 2)
      }
    }
  }

  @Test(arguments: ["", "a\0b"])
  func `refuses a path that can't name a file`(path: String) {
    #expect(throws: ProjectionError.unusablePath(path)) {
      try SQLiteConnection(path: path, mode: .readWriteCreate)
    }
  }

  @Test func `does not make a missing file unless asked to`() throws {
    try withTemporaryFolder { folder in
      for mode in [SQLiteConnection.Mode.readOnly, .immutable, .readWrite] {
        #expect(throws: ProjectionError.self) {
          try SQLiteConnection(path: folder + "/none", mode: mode)
        }
      }
      #expect(!FileManager.default.fileExists(atPath: folder + "/none"))
    }
  }

  @Test func `makes its files for the owner alone`() throws {
    try withTemporaryFolder { folder in
      let connection = try SQLiteConnection(path: folder + "/a", mode: .readWriteCreate)
      try connection.execute("PRAGMA journal_mode=WAL; CREATE TABLE t (a)")
      for suffix in ["", "-wal", "-shm"] {
        let attributes = try FileManager.default.attributesOfItem(atPath: folder + "/a" + suffix)
        #expect(attributes[.posixPermissions] as? Int == 0o600, "\(suffix)")
      }
    }
  }

  @Test func `a reader cannot write`() throws {
    try withTemporaryFolder { folder in
      try makeSample(at: folder + "/a")
      let connection = try SQLiteConnection(path: folder + "/a", mode: .readOnly)
      #expect(throws: ProjectionError.self) { try connection.execute("DELETE FROM sample") }
    }
  }

  @Test func `closing moves nothing out of the WAL`() throws {
    try withTemporaryFolder { folder in
      do {
        let connection = try SQLiteConnection(path: folder + "/a", mode: .readWriteCreate)
        try connection.execute("PRAGMA journal_mode=WAL; CREATE TABLE t (a)")
      }
      let size = { (name: String) throws -> Int in
        try FileManager.default.attributesOfItem(atPath: folder + name)[.size] as? Int ?? -1
      }
      let before = try size("/a-wal")
      #expect(before > 0)
      do {
        let reader = try SQLiteConnection(path: folder + "/a", mode: .readOnly)
        #expect(try reader.integer("SELECT count(*) FROM t") == 0)
      }
      #expect(try size("/a-wal") == before)
    }
  }

  @Test func `says that a file is not a database`() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/a"
      try Data(repeating: 0x41, count: 8192).write(to: URL(fileURLWithPath: path))
      let refusal = ProjectionError.sqlite(
        code: 26, extendedCode: 26, operation: "prepare", path: path)
      #expect(throws: refusal) {
        try SQLiteConnection(path: path, mode: .readOnly).integer("SELECT count(*) FROM t")
      }
    }
  }

  @Test func `names a table that is missing`() throws {
    try withTemporaryFolder { folder in
      try makeSample(at: folder + "/a")
      let connection = try SQLiteConnection(path: folder + "/a", mode: .readOnly)
      #expect(
        throws: ProjectionError.statementRefused(
          message: "no such table: cells", path: folder + "/a")
      ) { try connection.prepare("SELECT * FROM cells") }
    }
  }

  @Test func `breaks a long query off at its deadline`() throws {
    try withTemporaryFolder { folder in
      let connection = try SQLiteConnection(path: folder + "/a", mode: .readWriteCreate)
      connection.deadline = .now + .milliseconds(20)
      let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
      #expect(throws: ProjectionError.deadlinePassed(operation: "step", path: folder + "/a")) {
        try connection.integer(endless)
      }
      connection.deadline = nil
      #expect(try connection.integer("SELECT 1") == 1)
    }
  }

  @Test func `waits for a lock until its deadline and no longer`() throws {
    try withTemporaryFolder { folder in
      try makeSample(at: folder + "/a")
      let holder = try SQLiteConnection(path: folder + "/a", mode: .readWrite)
      try holder.execute("BEGIN EXCLUSIVE")
      let waiter = try SQLiteConnection(path: folder + "/a", mode: .readWrite)
      waiter.deadline = .now + .milliseconds(30)
      let start = ContinuousClock.now
      #expect(throws: ProjectionError.self) { try waiter.integer("SELECT count(*) FROM sample") }
      #expect(ContinuousClock.now - start >= .milliseconds(30))
      try holder.execute("COMMIT")
      waiter.deadline = .now + .seconds(10)
      #expect(try waiter.integer("SELECT count(*) FROM sample") == 2)
    }
  }
}
