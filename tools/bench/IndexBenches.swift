import GRDBSQLite
import Glibc
import Journal
import Projections

/// The index, beside raw SQLite on the same file or the same rows.
enum IndexBenches {
  /// Where an instance is mapped, among all.
  static func lookup(_ fixtures: Fixtures) throws -> Comparison {
    let store = try fixtures.populatedStore()
    let reader = try IndexReader(path: store.currentIndex())
    let raw = try RawRoute(store)
    let (groups, size) = (100, 100)
    let ids = (0..<groups * size).map {
      Workload.instance(Workload.scattered($0, below: fixtures.instances))
    }
    var sum: UInt64 = 0
    let (ours, theirs) = try Measurement.inTurn(rounds: 20) { _ in
      try Measurement.round(groups, of: size) { group in
        for place in group * size..<(group + 1) * size {
          guard let route = try reader.lookup(ids[place]), let cell = route.cell else {
            throw BenchError.unexpected("an instance isn't in the index")
          }
          sum &+= cell.uuid.low &+ route.changedAt
        }
      }
    } _: { _ in
      try Measurement.round(groups, of: size) { group in
        for place in group * size..<(group + 1) * size {
          sum &+= try raw.cell(of: ids[place])
        }
      }
    }
    precondition(sum != 1, "the results are used")
    return Comparison(
      name: "index lookup by UUID among \(fixtures.instances)", operation: "lookup", ours: ours,
      raw: theirs, rawName: "raw prepared statement", sync: "reads only",
      budget: .ratio(atLeast: 0.9), allocationBudget: 0)
  }

  /// A fresh index of all entries, beside loading the rows it holds in the order of their keys.
  static func replay(_ fixtures: Fixtures) throws -> Comparison {
    let store = try fixtures.populatedStore()
    let entries = Int(store.journal.head.position.index)
    let rows = try RawIndexRows(of: store.currentIndex())
    let path = "\(fixtures.folder)/raw-load.sqlite"
    let (ours, theirs) = try Measurement.inTurn(rounds: fixtures.roundsOverAll) { _ in
      var made: UInt64 = 0
      let round = try Measurement.round(1, of: entries) { _ in made = try store.replay().number }
      try store.generations.remove(made)
      return round
    } _: { _ in
      unlink(path)
      return try Measurement.round(1, of: entries) { _ in
        try rows.load(into: path)
      }
    }
    unlink(path)
    return Comparison(
      name: "replay of \(entries) entries, each", operation: "entry", ours: ours, raw: theirs,
      rawName: "raw sorted bulk load", sync: "one fsync at the end",
      budget: .ratio(atLeast: 0.7))
  }
}

/// What an index file holds, to be loaded into another by SQLite alone.
struct RawIndexRows {
  private let schema: SchemaText
  private let tables: [(name: String, rows: RawRows)]

  init(of path: String) throws {
    let source = try RawSQLite(path: path, readOnly: true)
    let schema = try SchemaText(of: source)
    self.schema = schema
    tables = try schema.tableNames.map { name in
      (name: name, rows: try RawRows("SELECT * FROM \(name) ORDER BY 1, 2", of: source))
    }
  }

  /// Makes the file at `path` with all rows, in the order of their keys, and syncs it.
  func load(into path: String) throws {
    let raw = try RawSQLite(path: path)
    try raw.execute(
      "PRAGMA page_size=4096; PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; "
        + "PRAGMA cache_size=-65536; BEGIN IMMEDIATE;")
    for sql in schema.tables { try raw.execute(sql) }
    for table in tables where table.rows.count > 0 {
      let places = (1...table.rows.columns).map { "?\($0)" }.joined(separator: ", ")
      let insertion = try raw.prepare("INSERT INTO \(table.name) VALUES (\(places))")
      try table.rows.run(insertion, rows: 0..<table.rows.count)
    }
    for sql in schema.indexes { try raw.execute(sql) }
    try raw.execute("COMMIT; PRAGMA synchronous=FULL; PRAGMA journal_mode=WAL;")
    try raw.execute("PRAGMA user_version=1")
  }
}

/// The statements that make an index file's tables and indexes, as the file itself has them.
struct SchemaText {
  private(set) var tableNames: [String] = []
  private(set) var tables: [String] = []
  private(set) var indexes: [String] = []

  init(of connection: RawSQLite) throws {
    let statement = try connection.prepare(
      "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid")
    while sqlite3_step(statement.handle) == SQLITE_ROW {
      let parts = (0..<3).map {
        String(cString: sqlite3_column_text(statement.handle, Int32($0)))
      }
      switch parts[0] {
      case "table":
        tableNames.append(parts[1])
        tables.append(parts[2])
      case "index": indexes.append(parts[2])
      default: break
      }
    }
  }
}
