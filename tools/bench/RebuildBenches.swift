import Foundation
import GRDBSQLite
import Journal
import Projections
import Recovery
import Registry
import Router
import TestServers

/// The map made again from the cells, and compared with them.
enum RebuildBenches {
  /// A new store's whole map from four cells, on disk with the evidence of each row, and the index
  /// caught up; beside reading the same rows and loading the same index by SQLite alone.
  static func rebuild(_ fixtures: Fixtures) throws -> Comparison {
    let cloud = try fixtures.cloud()
    let paths = Workload.cells.indices.map { cloud.cellDatabase($0 + 1) }
    return try rebuild(
      fixtures, paths.map { Secret("sqlite:///\($0)") }, from: "4 cells", beside: "raw scan",
      budget: .ratio(atLeast: 0.5)
    ) { for path in paths { try scan(path) } }
  }

  private static func rebuild(
    _ fixtures: Fixtures, _ databases: [Secret], from what: String, beside raw: String,
    budget: Comparison.Budget, scan: () throws -> Void
  ) throws -> Comparison {
    var rebuilt = try RebuiltStore(fixtures, databases, number: 0)
    try rebuilt.run(instances: fixtures.instances)
    let rows = try RawIndexRows(of: rebuilt.store.currentIndex())
    rebuilt.remove()
    let path = "\(fixtures.folder)/raw-rebuild.sqlite"
    let (ours, theirs) = try Measurement.inTurn(rounds: 3) { round in
      rebuilt = try RebuiltStore(fixtures, databases, number: round + 1)
      defer { rebuilt.remove() }
      return try Measurement.round(1, of: fixtures.instances) { _ in
        try rebuilt.run(instances: fixtures.instances)
      }
    } _: { _ in
      unlink(path)
      return try Measurement.round(1, of: fixtures.instances) { _ in
        try scan()
        try rows.load(into: path)
      }
    }
    unlink(path)
    return Comparison(
      name: "rebuild of \(fixtures.instances) instances from \(what), each", operation: "instance",
      ours: ours, raw: theirs, rawName: "(\(raw) + raw sorted bulk load)",
      sync: "journal: 2 flushes a commit; SQLite: WAL, synchronous=NORMAL", budget: budget)
  }

  /// A whole comparison of a map with four cells, in which nothing differs.
  static func reconcile(_ fixtures: Fixtures) throws -> Comparison {
    let cloud = try fixtures.cloud()
    let databases = Workload.cells.indices.map { Secret("sqlite:///\(cloud.cellDatabase($0 + 1))") }
    let rebuilt = try RebuiltStore(fixtures, databases, number: 9)
    defer { rebuilt.remove() }
    try rebuilt.run(instances: fixtures.instances)
    var ours = Measurement()
    for _ in 0..<3 {
      ours.add(
        try Measurement.round(1, of: fixtures.instances) { _ in try rebuilt.compare() })
    }
    return Comparison(
      name: "reconcile of \(fixtures.instances) instances with 4 cells, each",
      operation: "instance", ours: ours, raw: nil, rawName: "", sync: "reads only", budget: .none)
  }

  // MARK: On a server

  private static func withServerCells(
    _ fixtures: Fixtures, _ body: ([Secret], _ select: () throws -> Void) throws -> Comparison
  ) throws -> Comparison {
    try withServers([.mariadb]) { servers in
      let databases = try ServerCells.databases(
        on: Array(repeating: servers[0], count: Workload.cells.count),
        instances: fixtures.instances)
      let raw = try databases.map { try RawServer($0) }
      defer { for connection in raw { connection.close() } }
      return try body(databases.map { $0.text() }) {
        var rows = 0
        for connection in raw { rows += try connection.countRows(columns) }
        guard rows == fixtures.instances else { throw BenchError.unexpected("\(rows) rows") }
      }
    }
  }

  /// As `rebuild`, from databases on MariaDB.
  static func rebuildOnMariaDB(_ fixtures: Fixtures) throws -> Comparison {
    try withServerCells(fixtures) { databases, select in
      try rebuild(
        fixtures, databases, from: "4 cells on MariaDB", beside: "libmariadb's SELECT",
        budget: .none, scan: select)
    }
  }

  /// The cells read into the staging file, and nothing else.
  static func scanOnMariaDB(_ fixtures: Fixtures) throws -> Comparison {
    try besideSelect(fixtures, "scan", staging: "staging file: WAL, synchronous=NORMAL") {
      try $0.scan()
    }
  }

  /// As `reconcile`, with databases on MariaDB.
  static func reconcileOnMariaDB(_ fixtures: Fixtures) throws -> Comparison {
    try besideSelect(fixtures, "reconcile", staging: "reads only") { try $0.compare() }
  }

  private static func besideSelect(
    _ fixtures: Fixtures, _ verb: String, staging sync: String,
    _ body: (RebuiltStore) throws -> Void
  ) throws -> Comparison {
    try withServerCells(fixtures) { databases, select in
      let rebuilt = try RebuiltStore(fixtures, databases, number: 8)
      defer { rebuilt.remove() }
      try rebuilt.run(instances: fixtures.instances)
      let (ours, theirs) = try Measurement.inTurn(rounds: 3) { _ in
        try Measurement.round(1, of: fixtures.instances) { _ in try body(rebuilt) }
      } _: { _ in
        try Measurement.round(1, of: fixtures.instances) { _ in try select() }
      }
      return Comparison(
        name: "\(verb) of \(fixtures.instances) instances in 4 cells on MariaDB, each",
        operation: "instance", ours: ours, raw: theirs,
        rawName: "libmariadb's SELECT, one cell after the other", sync: sync, budget: .none)
    }
  }

  /// The columns that a scan reads, in the order in which it does.
  private static let columns = """
    SELECT host, vm_state, task_state, deleted, hidden, project_id, user_id, created_at, updated_at,
      deleted_at, launched_at, uuid, id FROM instances ORDER BY id
    """

  private static func scan(_ path: String) throws {
    let connection = try RawSQLite(path: path, readOnly: true)
    let rows = try connection.prepare(columns)
    var bytes = 0
    while sqlite3_step(rows.handle) == SQLITE_ROW {
      for column: Int32 in 0..<13 {
        _ = sqlite3_column_text(rows.handle, column)
        bytes += Int(sqlite3_column_bytes(rows.handle, column))
      }
    }
    guard bytes > 0 else { throw BenchError.unexpected("a cell is empty") }
  }
}

/// A store that is rebuilt from the cells of another.
private struct RebuiltStore {
  let store: BenchStore
  private let router: CellRouter

  init(_ fixtures: Fixtures, _ databases: [Secret], number: Int) throws {
    store = try BenchStore(
      in: fixtures.folder, name: "rebuilt-\(number)", databases: databases)
    router = try CellRouter(
      journal: store.journal, index: store.generations, keys: store.keys.addresses,
      base: AddressBase(folder: store.cellFolder), options: MapReconciliation.routerOptions)
  }

  func run(instances: Int) throws {
    let registry = store.registry()
    try registry.projectTail()
    let rebuild = try MapRebuild(
      cells: router, journal: store.journal, keys: store.keys, stagingIn: store.directory,
      trying: nil
    ) { _ in false }
    rebuild.scan { _ in }
    let index = try store.generations.open(store: store.journal.store).reader
    let plan = try rebuild.apply(
      title: "rebuild", by: Workload.authorship, request: RequestID(.random()), on: index,
      through: registry
    ) { _ in }.plan
    guard plan.instances.added == UInt64(instances) else {
      throw BenchError.unexpected("\(plan.instances), \(plan.unread)")
    }
    rebuild.discardScan()
    try registry.close()
  }

  func scan() throws {
    let rebuild = try MapRebuild(
      cells: router, journal: store.journal, keys: store.keys, stagingIn: store.directory,
      trying: []
    ) { _ in false }
    rebuild.scan { _ in }
    rebuild.discardScan()
  }

  func compare() throws {
    let reconciliation = try MapReconciliation(
      cells: router, journal: store.journal, keys: store.keys, stagingIn: store.directory)
    defer { reconciliation.discard() }
    reconciliation.scan { _ in }
    let index = try store.generations.open(store: store.journal.store).reader
    try reconciliation.compare(on: index, isForMending: false) { _ in }
    guard try reconciliation.summary().findings.isEmpty else {
      throw BenchError.unexpected("the rebuilt map differs from the cells")
    }
  }

  func remove() {
    for folder in [store.directory, store.cellFolder] {
      try? FileManager.default.removeItem(atPath: folder)
    }
  }
}
