import GRDBSQLite
import Journal
import Projections
import Registry

/// Validated changes among many instances: acknowledged, and with the index caught up.
enum ChangeBenches {
  private static let size = 1_000

  /// The time until the journal has them; the index follows behind.
  static func acknowledged(_ fixtures: Fixtures) throws -> Comparison {
    // Each change is two items of the overlay, which holds 16,384 before writers wait.
    let (rounds, batches) = (8, 8)
    let store = try fixtures.populatedStore()
    let raw = try RawLMDB(path: "\(fixtures.folder)/changes.lmdb")
    var plan = ChangePlan(fixtures)
    let steps = (0..<rounds * batches).map { _ in plan.next(size) }
    let records = try RawCommit.commits(of: steps.map(\.drafts), after: 0)
    let registry = store.registry()
    let (ours, theirs) = try Measurement.inTurn(rounds: rounds) { round in
      let result = try Measurement.round(batches, of: size) {
        _ = try registry.submit(steps[round * batches + $0].command)
      }
      try registry.waitUntilProjected()
      return result
    } _: { round in
      try Measurement.round(batches, of: size) { try raw.write(records[round * batches + $0]) }
    }
    try registry.close()
    return Comparison(
      name: "validated changes in batches of 1,000 among \(fixtures.instances), acknowledged, each",
      operation: "change", ours: ours, raw: theirs, rawName: "raw LMDB appends",
      sync: "LMDB default: 2 flushes a commit", budget: .ratio(atLeast: 0.2))
  }

  /// The time until the index has them too.
  static func sustained(_ fixtures: Fixtures) throws -> Comparison {
    let (rounds, batches) = (6, 30)
    let store = try fixtures.populatedStore()
    let copy = try store.replay()
    var raw: RawIndex? = try RawIndex(path: copy.path)
    var plan = ChangePlan(fixtures)
    let steps = (0..<rounds * batches).map { _ in plan.next(size) }
    let rows = steps.map(\.rows)
    let registry = store.registry()
    let (ours, theirs) = try Measurement.inTurn(rounds: rounds) { round in
      let start = Measurement.now()
      var result = try Measurement.round(batches, of: size) {
        _ = try registry.submit(steps[round * batches + $0].command)
      }
      try registry.waitUntilProjected()
      result.mean = Double(Measurement.now() - start) / Double(batches * size)
      return result
    } _: { round in
      try Measurement.round(batches, of: size) { try raw?.upsert(rows[round * batches + $0]) }
    }
    try registry.close()
    raw = nil
    try store.generations.remove(copy.number)
    return Comparison(
      name: "the same, sustained, index caught up, each", operation: "change", ours: ours,
      raw: theirs, rawName: "raw SQLite upserts",
      sync: "journal: 2 flushes a commit; SQLite: WAL, synchronous=NORMAL",
      budget: .ratio(atLeast: 0.6))
  }
}

/// Instances moved to the next cell, in an order that looks random; no instance twice in a batch.
struct ChangePlan {
  struct Step {
    let command: Command
    let drafts: [EntryDraft]
    let rows: [RawIndex.Row]
  }

  private let instances: Int
  private let request = RequestID(.random())
  private var moves: [Int: Int]
  private var drawn = 0
  private var index: UInt64
  private let fixtures: Fixtures

  init(_ fixtures: Fixtures) {
    self.fixtures = fixtures
    instances = fixtures.instances
    moves = fixtures.moves
    index = UInt64(instances)
  }

  mutating func next(_ size: Int) -> Step {
    var numbers: Set<Int> = []
    while numbers.count < size {
      numbers.insert(Workload.scattered(drawn, below: instances))
      drawn += 1
    }
    var observations: [Observation] = []
    var events: [Event] = []
    var rows: [RawIndex.Row] = []
    for number in numbers {
      let move = moves[number, default: 0]
      moves[number] = move + 1
      let (from, to) = (Workload.cell(number + move), Workload.cell(number + move + 1))
      let (id, owner) = (Workload.instance(number), Workload.owner(number))
      observations.append(
        Observation(.instance(id, InstanceRecord(cell: to, owner: owner)), evidence: nil))
      events.append(.instance(id, .moved(from: from, to: to)))
      index += 1
      rows.append(RawIndex.Row(id: id, cell: to, owner: owner, changedAt: index))
    }
    fixtures.moves = moves
    let chunk = KeyRange(
      kind: .instance, first: ByteText("\(drawn)"), last: ByteText("\(drawn + size)"))
    let command = Command(
      .take(observations), by: Workload.authorship, request: request,
      bulk: BulkMark(title: "bench", chunk: chunk))
    return Step(
      command: command, drafts: Workload.bulk(events, request: request),
      rows: rows.sorted { $0.id < $1.id })
  }
}

/// An index file written by raw SQLite: every table and index that this code writes.
final class RawIndex {
  /// What changes of an instance.
  struct Row {
    let id: InstanceID
    let cell: CellID
    let project: [UInt8]
    let user: [UInt8]
    let changedAt: UInt64

    init(id: InstanceID, cell: CellID, owner: InstanceOwner, changedAt: UInt64) {
      (self.id, self.cell, self.changedAt) = (id, cell, changedAt)
      project = Self.bytes(owner.project)
      user = Self.bytes(owner.user)
    }

    private static func bytes(_ text: PersonalText?) -> [UInt8] {
      guard case .clear(let clear) = text else { return [] }
      return Array(clear.string.utf8)
    }
  }

  private let connection: RawSQLite
  private let instance: RawStatement
  private let bucket: RawStatement
  private let request: RawStatement
  private let meta: RawStatement

  /// Opens a copy of an index that this code made, with the settings of its writer.
  init(path: String) throws {
    connection = try RawSQLite(path: path)
    try connection.execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0; "
        + "PRAGMA secure_delete=FAST; PRAGMA cache_size=-65536; PRAGMA foreign_keys=OFF; "
        + "PRAGMA mmap_size=0; PRAGMA cell_size_check=ON;")
    instance = try connection.prepare(
      """
      INSERT INTO instance (id, cell, queued_for_delete, changed_at, route_checksum, project, user,
        nova_number, nova_created_at, seen_host, seen_at, seen_source, checksum)
        VALUES (?1, ?2, 0, ?3, ?4, ?5, ?6, NULL, NULL, NULL, NULL, NULL, ?7)
        ON CONFLICT (id) DO UPDATE SET cell = excluded.cell, changed_at = excluded.changed_at,
        route_checksum = excluded.route_checksum, checksum = excluded.checksum
      """)
    bucket = try connection.prepare(
      "INSERT OR REPLACE INTO bucket (number, count, sum) VALUES (?1, 244, ?2)")
    request = try connection.prepare(
      "UPDATE request SET last_index = ?1, checksum = ?1 WHERE id = (SELECT id FROM request LIMIT 1)"
    )
    meta = try connection.prepare(
      "UPDATE meta SET checkpoint_index = ?1, checkpoint_root = ?2, checksum = ?1 WHERE id = 0")
  }

  /// Upserts the rows of one batch, and the buckets, the request and the checkpoint with them.
  func upsert(_ rows: [Row]) throws {
    try connection.execute("BEGIN IMMEDIATE")
    var buckets: Set<Int> = []
    for row in rows {
      try upsert(row)
      buckets.insert(Int(row.id.uuid.high >> 52))
    }
    let sum = [UInt8](repeating: 0x5A, count: 32)
    for number in buckets.sorted() {
      sqlite3_bind_int64(bucket.handle, 1, Int64(number))
      try sum.withUnsafeBytes { sum in
        sqlite3_bind_blob(bucket.handle, 2, sum.baseAddress, 16, nil)
        try bucket.run()
      }
    }
    let last = Int64(rows[rows.count - 1].changedAt)
    sqlite3_bind_int64(request.handle, 1, last)
    try request.run()
    sqlite3_bind_int64(meta.handle, 1, last)
    try sum.withUnsafeBytes { sum in
      sqlite3_bind_blob(meta.handle, 2, sum.baseAddress, 32, nil)
      try meta.run()
    }
    try connection.execute("COMMIT")
    try connection.checkpointIfLong()
  }

  private func upsert(_ row: Row) throws {
    var id = (row.id.uuid.high.bigEndian, row.id.uuid.low.bigEndian)
    var cell = (row.cell.uuid.high.bigEndian, row.cell.uuid.low.bigEndian)
    let statement = instance.handle
    sqlite3_bind_int64(statement, 3, Int64(row.changedAt))
    sqlite3_bind_int64(statement, 4, Int64(bitPattern: row.id.uuid.low))
    sqlite3_bind_int64(statement, 7, Int64(bitPattern: row.id.uuid.high))
    try withUnsafeBytes(of: &id) { id in
      try withUnsafeBytes(of: &cell) { cell in
        try row.project.withUnsafeBytes { project in
          try row.user.withUnsafeBytes { user in
            sqlite3_bind_blob(statement, 1, id.baseAddress, 16, nil)
            sqlite3_bind_blob(statement, 2, cell.baseAddress, 16, nil)
            bind(project, 5)
            bind(user, 6)
            try instance.run()
          }
        }
      }
    }
  }

  private func bind(_ text: UnsafeRawBufferPointer, _ place: Int32) {
    sqlite3_bind_text(
      instance.handle, place, text.baseAddress?.assumingMemoryBound(to: CChar.self),
      Int32(text.count), nil)
  }
}
