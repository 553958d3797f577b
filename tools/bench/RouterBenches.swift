import Cells
import GRDBSQLite
import Journal
import Projections
import Router

/// The router: from its cache, from the index, and with the cell asked in the call.
enum RouterBenches {
  /// Too few for the instances that are asked for.
  private static let smallCache = 1_024

  /// Instances in an order that looks random.
  private static func scattered(_ count: Int, below limit: Int) -> [InstanceID] {
    (0..<count).map { Workload.instance(Workload.scattered($0, below: limit)) }
  }

  /// The mapping of instances that were asked for before.
  static func cache(_ fixtures: Fixtures) throws -> Comparison {
    let store = try fixtures.populatedStore()
    let known = min(100_000, fixtures.instances)
    let router = try store.router()
    for number in 0..<known { _ = try router.mapping(of: Workload.instance(number)) }
    let (groups, size) = (100, 1_000)
    let ids = scattered(groups * size, below: known)
    var ours = Measurement()
    var found = 0
    for _ in 0..<10 {
      ours.add(
        try Measurement.round(groups, of: size) { group in
          for place in group * size..<(group + 1) * size {
            if try router.mapping(of: ids[place])?.target != nil { found += 1 }
          }
        })
    }
    guard found == 10 * ids.count else { throw BenchError.unexpected("a mapping is missing") }
    return Comparison(
      name: "route cache hit among \(known)", operation: "lookup", ours: ours, raw: nil,
      rawName: "", sync: "reads only", budget: .nanoseconds(atMost: 200), allocationBudget: 0)
  }

  /// The mapping with its cell's addresses, read from the index.
  static func mapping(_ fixtures: Fixtures) throws -> Comparison {
    let store = try fixtures.populatedStore()
    let router = try store.router { $0.cacheCapacity = smallCache }
    let raw = try RawRoute(store)
    let (groups, size) = (100, 100)
    let ids = scattered(groups * size, below: fixtures.instances)
    let (ours, theirs) = try Measurement.inTurn(rounds: 20) { _ in
      try Measurement.round(groups, of: size) { group in
        for place in group * size..<(group + 1) * size {
          guard try router.mapping(of: ids[place])?.target != nil else {
            throw BenchError.unexpected("a mapping is missing")
          }
        }
      }
    } _: { _ in
      try Measurement.round(groups, of: size) { group in
        for place in group * size..<(group + 1) * size { _ = try raw.cell(of: ids[place]) }
      }
    }
    return Comparison(
      name: "the same with the cell and its addresses, through the router", operation: "lookup",
      ours: ours, raw: theirs, rawName: "raw prepared statement", sync: "reads only",
      budget: .ratio(atLeast: 0.9), allocationBudget: 0)
  }

  /// The whole route: index, cell, addresses, and the host read in the call.
  static func route(_ fixtures: Fixtures) throws -> Comparison {
    let store = try fixtures.populatedStore()
    try CellDatabases.make(for: store, instances: fixtures.instances)
    let router = try store.router { $0.cacheCapacity = smallCache }
    let raw = try RawRoute(store)
    let (groups, size) = (50, 100)
    let ids = scattered(groups * size, below: fixtures.instances)
    let texts = ids.map { Array($0.description.utf8) }
    let (ours, theirs) = try Measurement.inTurn(rounds: 10) { _ in
      try Measurement.round(groups, of: size) { group in
        for place in group * size..<(group + 1) * size {
          let route = try router.route(ids[place], until: .now + .seconds(1))
          guard case .found(let live) = route.outcome, live.placement.host != nil else {
            throw BenchError.unexpected("\(route.outcome)")
          }
        }
      }
    } _: { _ in
      try Measurement.round(groups, of: size) { group in
        for place in group * size..<(group + 1) * size {
          guard try raw.hostBytes(ids[place], texts[place]) > 0 else {
            throw BenchError.unexpected("an instance has no host")
          }
        }
      }
    }
    return Comparison(
      name: "full route against SQLite cells", operation: "route", ours: ours, raw: theirs,
      rawName: "the raw prepared statements", sync: "reads only",
      budget: .ratio(atLeast: 0.7))
  }
}

/// The raw statements of a route: one on the index, one on the cell.
final class RawRoute {
  private let index: RawStatement
  private let store: BenchStore
  private var cells: [UInt64: RawStatement] = [:]

  init(_ store: BenchStore) throws {
    self.store = store
    let connection = try RawSQLite(path: store.currentIndex(), readOnly: true)
    try connection.execute("PRAGMA cache_size=-16384; PRAGMA mmap_size=0;")
    index = try connection.prepare(RawRoute.lookup)
  }

  static let lookup =
    "SELECT cell, queued_for_delete, changed_at, route_checksum FROM instance WHERE id = ?1"

  /// The low half of the cell's UUID.
  func cell(of id: InstanceID) throws -> UInt64 { try RawRoute.cell(of: id, by: index) }

  /// Runs `lookup` and reads all of its columns.
  static func cell(of id: InstanceID, by index: RawStatement) throws -> UInt64 {
    var key = (id.uuid.high.bigEndian, id.uuid.low.bigEndian)
    return try withUnsafeBytes(of: &key) { key in
      sqlite3_bind_blob(index.handle, 1, key.baseAddress, 16, nil)
      guard sqlite3_step(index.handle) == SQLITE_ROW,
        let cell = sqlite3_column_blob(index.handle, 0),
        sqlite3_column_bytes(index.handle, 0) == 16
      else { throw BenchError.unexpected("an instance isn't in the index") }
      let low = UInt64(bigEndian: (cell + 8).loadUnaligned(as: UInt64.self))
      for column: Int32 in 1...3 { _ = sqlite3_column_int64(index.handle, column) }
      sqlite3_reset(index.handle)
      return low
    }
  }

  /// The length of the host's name, read from the cell that the index names.
  func hostBytes(_ id: InstanceID, _ text: [UInt8]) throws -> Int32 {
    let statement = try placement(in: cell(of: id))
    return try text.withUnsafeBytes { text in
      sqlite3_bind_text(
        statement.handle, 1, text.baseAddress!.assumingMemoryBound(to: CChar.self), 36, nil)
      guard sqlite3_step(statement.handle) == SQLITE_ROW else {
        throw BenchError.unexpected("an instance isn't in its cell")
      }
      for column: Int32 in 0...2 { _ = sqlite3_column_text(statement.handle, column) }
      for column: Int32 in 3...4 { _ = sqlite3_column_int64(statement.handle, column) }
      let bytes = sqlite3_column_bytes(statement.handle, 0)
      sqlite3_reset(statement.handle)
      return bytes
    }
  }

  private func placement(in cell: UInt64) throws -> RawStatement {
    if let known = cells[cell] { return known }
    guard let place = Workload.cells.firstIndex(where: { $0.uuid.low == cell }) else {
      throw BenchError.unexpected("a cell isn't one of the workload's")
    }
    let connection = try RawSQLite(path: store.cellDatabase(place + 1), readOnly: true)
    let statement = try connection.prepare(
      "SELECT host, vm_state, task_state, deleted, hidden FROM instances WHERE uuid = ?1")
    cells[cell] = statement
    return statement
  }
}

/// The cells' databases, with Nova's columns and indexes as far as routing sees them.
enum CellDatabases {
  private static let schema = """
    PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; BEGIN;
    CREATE TABLE instances (
      created_at DATETIME, updated_at DATETIME, deleted_at DATETIME, id INTEGER NOT NULL,
      user_id VARCHAR(255), project_id VARCHAR(255), vm_state VARCHAR(255), host VARCHAR(255),
      launched_at DATETIME, terminated_at DATETIME, display_name VARCHAR(255),
      uuid VARCHAR(36) NOT NULL, task_state VARCHAR(255), node VARCHAR(255), deleted INTEGER,
      cleaned INTEGER, hidden BOOLEAN, compute_id BIGINT, PRIMARY KEY (id));
    CREATE TABLE services (
      id INTEGER NOT NULL, host VARCHAR(255), "binary" VARCHAR(255), topic VARCHAR(255),
      report_count INTEGER NOT NULL, deleted INTEGER, uuid VARCHAR(36), version INTEGER,
      last_seen_up DATETIME, disabled BOOLEAN, forced_down BOOLEAN, PRIMARY KEY (id));
    CREATE UNIQUE INDEX services_uuid_idx ON services (uuid);
    CREATE TABLE compute_nodes (
      id INTEGER NOT NULL, hypervisor_hostname VARCHAR(255), deleted INTEGER, host VARCHAR(255),
      uuid VARCHAR(36), mapped INTEGER, PRIMARY KEY (id));
    CREATE UNIQUE INDEX compute_nodes_uuid_idx ON compute_nodes (uuid);
    CREATE TABLE migrations (
      id INTEGER NOT NULL, uuid VARCHAR(36), instance_uuid VARCHAR(36),
      source_compute VARCHAR(255), dest_compute VARCHAR(255), status VARCHAR(255),
      created_at DATETIME, cross_cell_move BOOLEAN, deleted INTEGER, PRIMARY KEY (id));
    """
  private static let indexes = """
    CREATE UNIQUE INDEX uniq_instances0uuid ON instances (uuid);
    CREATE INDEX instances_uuid_deleted_idx ON instances (uuid, deleted);
    CREATE INDEX instances_deleted_created_at_idx ON instances (deleted, created_at); COMMIT;
    """

  /// Makes each cell's database, with the instances that the workload maps to it.
  static func make(for store: BenchStore, instances: Int) throws {
    for place in Workload.cells.indices {
      let connection = try RawSQLite(path: store.cellDatabase(place + 1))
      try connection.execute(schema)
      let insertion = try connection.prepare(
        """
        INSERT INTO instances (id, uuid, host, node, vm_state, project_id, user_id, display_name,
          created_at, launched_at, deleted, cleaned, hidden)
          VALUES (?1, ?2, 'compute-' || (?1 % 40), 'compute-' || (?1 % 40) || '.example.org',
          'active', ?2, ?2, 'server-' || ?1, printf('2026-01-01 05:16:48.%06d', ?1),
          '2026-01-01 05:16:58.000000', 0, 0, 0)
        """)
      for number in stride(from: place, to: instances, by: Workload.cells.count) {
        let text = Workload.instance(number).description
        sqlite3_bind_int64(insertion.handle, 1, Int64(number + 1))
        _ = try text.withCString { text in
          sqlite3_bind_text(insertion.handle, 2, text, 36, nil)
          try insertion.run()
        }
      }
      try connection.execute(indexes)
    }
  }
}
