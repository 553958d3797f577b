internal import Journal
internal import Projections
internal import Registry

/// Findings, kept in the staging file: there may be as many as the cloud has instances.
extension ScanFile {
  /// A finding at its place in the file.
  struct Kept {
    let number: Int64
    let finding: Finding
  }

  /// Findings of one kind about one cell.
  struct Tally {
    let kind: FindingKind
    let cell: CellID?
    let count: UInt64
  }

  func prepareFindings() throws(ProjectionError) {
    try connection.execute(
      """
      CREATE TABLE finding (
        number INTEGER PRIMARY KEY, is_believed INTEGER NOT NULL, kind TEXT NOT NULL,
        host TEXT, instance BLOB, mapped BLOB, found BLOB, detail TEXT,
        is_archived INTEGER NOT NULL, rule TEXT, evidence TEXT, changed_at INTEGER,
        row INTEGER, project TEXT, user TEXT, row_host TEXT, vm_state TEXT, task_state TEXT,
        is_deleted INTEGER, is_hidden INTEGER, created_at INTEGER, updated_at INTEGER,
        deleted_at INTEGER, launched_at INTEGER, read_at INTEGER) STRICT;
      """)
  }

  /// Does all of `body`'s writing in one transaction.
  func transaction(_ body: () throws(RebuildError) -> Void) throws(RebuildError) {
    func run(_ sql: String) throws(RebuildError) {
      do throws(ProjectionError) { try connection.execute(sql) } catch {
        throw .staging("\(error)")
      }
    }
    try run("BEGIN")
    do throws(RebuildError) { try body() } catch {
      try? run("ROLLBACK")
      throw error
    }
    try run("COMMIT")
  }

  /// Adds findings, in the order in which they are read back.
  func add(_ findings: [Finding], areBelieved: Bool) throws(ProjectionError) {
    guard !findings.isEmpty else { return }
    let insert = try connection.prepare(
      "INSERT INTO finding (is_believed, \(Self.findingColumns)) VALUES ("
        + (1...24).map { "?\($0)" }.joined(separator: ", ") + ")")
    for finding in findings {
      try insert.bind(areBelieved ? 1 : 0, at: 1)
      try insert.bind(ByteText(finding.kind.rawValue), at: 2)
      switch finding.entity {
      case .instance(let id):
        try insert.bindNull(at: 3)
        try insert.bind(id.uuid, at: 4)
      case .host(let name):
        try insert.bind(name, at: 3)
        try insert.bindNull(at: 4)
      case .cell, .store: preconditionFailure("findings are about instances and hosts")
      }
      try bind(finding.mapped, to: insert, at: 5)
      try bind(finding.found, to: insert, at: 6)
      try insert.bind(finding.detail, at: 7)
      try insert.bind(finding.isArchived ? 1 : 0, at: 8)
      try insert.bind(finding.conflict?.kind, at: 9)
      try insert.bind(finding.conflict?.evidence, at: 10)
      try insert.bind(finding.changedAt.map { Int64(bitPattern: $0) }, at: 11)
      try bind(finding.row, to: insert, from: 12)
      try insert.run()
    }
  }

  private static let findingColumns = """
    kind, host, instance, mapped, found, detail, is_archived, rule, evidence, changed_at, row, \
    project, user, row_host, vm_state, task_state, is_deleted, is_hidden, created_at, updated_at, \
    deleted_at, launched_at, read_at
    """

  private func bind(
    _ cell: CellID?, to statement: SQLiteStatement, at place: Int
  ) throws(ProjectionError) {
    if let cell {
      try statement.bind(cell.uuid, at: place)
    } else {
      try statement.bindNull(at: place)
    }
  }

  private func bind(
    _ row: StagedInstance?, to statement: SQLiteStatement, from place: Int
  ) throws(ProjectionError) {
    let texts = [row?.project, row?.user, row?.host, row?.vmState, row?.taskState]
    let flags = [row?.isDeleted, row?.isHidden]
    let times = [row?.createdAt, row?.updatedAt, row?.deletedAt, row?.launchedAt, row?.readAt]
    try statement.bind(row?.rowID, at: place)
    for (offset, text) in texts.enumerated() { try statement.bind(text, at: place + 1 + offset) }
    for (offset, flag) in flags.enumerated() {
      try statement.bind(flag.map { $0 ? 1 : 0 }, at: place + 6 + offset)
    }
    for (offset, time) in times.enumerated() {
      try statement.bind(time?.microseconds, at: place + 8 + offset)
    }
  }

  /// The next findings after a place in the file.
  func findings(
    after number: Int64, areBelieved: Bool, limit: Int
  ) throws(ProjectionError) -> [Kept] {
    let select = try connection.prepare(
      "SELECT number, \(Self.findingColumns) FROM finding WHERE number > ?1 AND is_believed = ?2 "
        + "ORDER BY number LIMIT \(limit)")
    try select.bind(number, at: 1)
    try select.bind(areBelieved ? 1 : 0, at: 2)
    return try read(select)
  }

  /// The first believed findings of one kind about one cell.
  func firstFindings(
    _ kind: FindingKind, of cell: CellID?, limit: Int
  ) throws(ProjectionError) -> [Finding] {
    let select = try connection.prepare(
      "SELECT number, \(Self.findingColumns) FROM finding WHERE is_believed = 1 AND kind = ?1 "
        + "AND coalesce(mapped, found) IS ?2 ORDER BY number LIMIT \(limit)")
    try select.bind(ByteText(kind.rawValue), at: 1)
    try bind(cell, to: select, at: 2)
    return try read(select).map(\.finding)
  }

  /// How many believed findings there are of each kind about each cell.
  func findingCounts() throws(ProjectionError) -> [Tally] {
    let select = try connection.prepare(
      "SELECT kind, coalesce(mapped, found), count(*) FROM finding WHERE is_believed = 1 "
        + "GROUP BY 1, 2 ORDER BY 1, 2")
    var tallies: [Tally] = []
    while try select.step() {
      guard let kind = FindingKind(rawValue: try select.text(0).string) else { continue }
      tallies.append(
        Tally(
          kind: kind, cell: try cell(select, 1),
          count: UInt64(bitPattern: try select.integer(2))))
    }
    return tallies
  }

  /// Takes all findings away that weren't believed.
  func removeUnbelieved() throws(ProjectionError) {
    try connection.execute("DELETE FROM finding WHERE is_believed = 0")
  }

  private func read(_ select: SQLiteStatement) throws(ProjectionError) -> [Kept] {
    var kept: [Kept] = []
    while try select.step() {
      guard let kind = FindingKind(rawValue: try select.text(1).string) else { continue }
      let entity: EntityKey =
        select.isNull(3) ? .host(try select.text(2)) : .instance(InstanceID(try select.uuid(3)))
      var finding = Finding(
        kind, entity, mapped: try cell(select, 4),
        changedAt: try select.integerIfPresent(10).map { UInt64(bitPattern: $0) })
      finding.found = try cell(select, 5)
      finding.detail = try select.textIfPresent(6)
      finding.isArchived = try select.integer(7) != 0
      if let rule = try select.textIfPresent(8) {
        finding.conflict = FoundConflict(kind: rule, evidence: try select.text(9))
      }
      if case .instance(let id) = entity, let cell = finding.found, !select.isNull(11) {
        finding.row = try row(of: id, in: cell, select)
      }
      kept.append(Kept(number: try select.integer(0), finding: finding))
    }
    return kept
  }

  private func row(
    of id: InstanceID, in cell: CellID, _ select: SQLiteStatement
  ) throws(ProjectionError) -> StagedInstance {
    func time(_ column: Int) throws(ProjectionError) -> Timestamp? {
      try select.integerIfPresent(column).map { Timestamp(microseconds: $0) }
    }
    return StagedInstance(
      id: id, cell: cell, rowID: try select.integer(11), project: try select.textIfPresent(12),
      user: try select.textIfPresent(13), host: try select.textIfPresent(14),
      vmState: try select.textIfPresent(15), taskState: try select.textIfPresent(16),
      isDeleted: try select.integer(17) != 0, isHidden: try select.integer(18) != 0,
      createdAt: try time(19), updatedAt: try time(20), deletedAt: try time(21),
      launchedAt: try time(22), readAt: Timestamp(microseconds: try select.integer(23)))
  }

  private func cell(
    _ statement: SQLiteStatement, _ column: Int
  ) throws(ProjectionError) -> CellID? {
    statement.isNull(column) ? nil : CellID(try statement.uuid(column))
  }
}
