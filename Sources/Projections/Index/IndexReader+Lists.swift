public import Journal

/// An epoch and what the index remembers of it.
public struct EpochItem: Hashable, Sendable {
  public var epoch: UInt32
  public var row: EpochRow
}

/// A piece of evidence about a cell.
public struct IdentityItem: Hashable, Sendable {
  public var cell: CellID
  public var kind: IdentityKind
  public var uuid: UUID128
  /// What the server says of itself; only for the kind `server`.
  public var server: ByteText?
  /// The index of the entry that recorded it.
  public var recordedAt: UInt64
}

/// An instance in a list.
public struct InstanceItem: Hashable, Sendable {
  public var id: InstanceID
  public var row: InstanceRow
}

/// A conflict and what it is about.
public struct ConflictItem: Hashable, Sendable {
  public var entity: EntityKey
  public var row: ConflictRow

  public init(entity: EntityKey, row: ConflictRow) {
    self.entity = entity
    self.row = row
  }
}

extension IndexReader {
  /// All conflicts, hosts first, each kind by its key; the decided ones too.
  public func conflicts() throws(ProjectionError) -> [ConflictItem] {
    try withSnapshot { () throws(ProjectionError) in
      try proveTable(ConflictTable.self)
      return try rows(of: ConflictTable.self, "ORDER BY kind, key").compactMap { key, row in
        key.entity.map { ConflictItem(entity: $0, row: row) }
      }
    }
  }

  /// All cells by their UUID, complete or `damaged`.
  public func cells() throws(ProjectionError) -> [(id: CellID, row: CellRow)] {
    try withSnapshot { () throws(ProjectionError) in
      try proveTable(CellTable.self)
      return try rows(of: CellTable.self, "ORDER BY id").map { ($0.key, $0.row) }
    }
  }

  /// All cells by their UUID, complete or `damaged`.
  public func allCells() throws(ProjectionError) -> [CellID: CellRow] {
    var all: [CellID: CellRow] = [:]
    for cell in try cells() { all[cell.id] = cell.row }
    return all
  }

  /// All hosts by their name's bytes, or those of one cell; complete or `damaged`.
  public func hosts(
    in cell: CellID? = nil
  ) throws(ProjectionError) -> [(name: ByteText, row: HostRow)] {
    try withSnapshot { () throws(ProjectionError) in
      try proveTable(HostTable.self)
      let all = try rows(of: HostTable.self, "ORDER BY name")
      return all.filter { cell == nil || $0.row.record.cell == cell }.map { ($0.key, $0.row) }
    }
  }

  /// The epochs of the store, oldest first.
  public func epochs() throws(ProjectionError) -> [EpochItem] {
    try rows(of: EpochTable.self, "ORDER BY epoch").map { EpochItem(epoch: $0.key, row: $0.row) }
  }

  /// The position of an entry, given its index: the epoch in which it was written.
  public func position(of index: UInt64) throws(ProjectionError) -> Position? {
    guard let last = try epochs().last(where: { $0.row.first <= index }) else { return nil }
    return Position(epoch: last.epoch, index: index)
  }

  /// The evidence recorded about a cell.
  public func identities(of cell: CellID) throws(ProjectionError) -> [IdentityItem] {
    try rows(of: IdentityTable.self, "WHERE cell = ?1 ORDER BY kind, uuid") {
      (statement) throws(ProjectionError) in try statement.bind(cell.uuid, at: 1)
    }.map { IdentityItem($0.key, $0.row) }
  }

  /// The cells of which a service's or compute node's UUID is recorded as evidence.
  public func identities(under uuid: UUID128) throws(ProjectionError) -> [IdentityItem] {
    try rows(of: IdentityTable.self, "WHERE uuid = ?1 AND kind <> 0 ORDER BY cell") {
      (statement) throws(ProjectionError) in try statement.bind(uuid, at: 1)
    }.map { IdentityItem($0.key, $0.row) }
  }

  /// At most `limit` instances by their UUID, after `cursor`.
  public func instances(
    after cursor: InstanceID? = nil, limit: Int
  ) throws(ProjectionError) -> [InstanceItem] {
    try page("id > ?1", after: cursor, limit: limit) { _ in }
  }

  /// At most `limit` instances of a cell, or of none yet, by their UUID, after `cursor`.
  public func instances(
    in cell: CellID?, after cursor: InstanceID? = nil, limit: Int
  ) throws(ProjectionError) -> [InstanceItem] {
    try page("cell IS ?3 AND id > ?1", by: "instance_by_cell", after: cursor, limit: limit) {
      (statement) throws(ProjectionError) in
      if let cell {
        try statement.bind(cell.uuid, at: 3)
      } else {
        try statement.bindNull(at: 3)
      }
    }
  }

  /// At most `limit` instances of a project, or of one user in it, by their UUID, after `cursor`.
  ///
  /// Each page sorts the project's instances: right for pages of a project, not for all of a cloud.
  public func instances(
    ownedBy owner: OwnerFilter, after cursor: InstanceID? = nil, limit: Int
  ) throws(ProjectionError) -> [InstanceItem] {
    guard let project = owner.projects.first else { return [] }
    let user = owner.users.first
    let condition = "project = ?3 AND id > ?1" + (user == nil ? "" : " AND user = ?4")
    return try page(condition, by: "instance_by_owner", after: cursor, limit: limit) {
      (statement) throws(ProjectionError) in
      try statement.bind(project, at: 3)
      if let user { try statement.bind(user, at: 4) }
    }
  }

  /// The same by names in clear, in a store that doesn't seal owners.
  public func instances(
    project: ByteText, user: ByteText? = nil, after cursor: InstanceID? = nil, limit: Int
  ) throws(ProjectionError) -> [InstanceItem] {
    try instances(
      ownedBy: OwnerFilter(project: project, user: user), after: cursor, limit: limit)
  }

  /// How many instances of a project, or of one user in it, are not queued for delete; a NULL mark
  /// counts as not queued.
  ///
  /// Nova's quota counts the same once its online migrations have left no NULL. Answered from the index
  /// by owner alone, so the rows' checksums are not looked at.
  public func countNotQueued(
    project: ByteText, user: ByteText? = nil
  ) throws(ProjectionError) -> Int {
    try countNotQueued(ownedBy: OwnerFilter(project: project, user: user))
  }

  /// The same by what stands for them in the map; `owner` names a project.
  public func countNotQueued(ownedBy owner: OwnerFilter) throws(ProjectionError) -> Int {
    guard let project = owner.projects.first else { return 0 }
    let user = owner.users.first
    let statement = try connection.prepare(
      "SELECT count(*) FROM instance INDEXED BY instance_by_owner "
        + "WHERE project = ?1 AND queued_for_delete IS NOT 1"
        + (user == nil ? "" : " AND user = ?2")
    )
    try statement.bind(project, at: 1)
    if let user { try statement.bind(user, at: 2) }
    _ = try statement.step()
    return Int(try statement.integer(0))
  }

  /// How many instances have an owner that is sealed by a project's key.
  public func countInstances(sealedBy key: KeyID) throws(ProjectionError) -> Int {
    let statement = try connection.prepare(
      "SELECT count(*) FROM instance WHERE substr(coalesce(project, user), 1, 17) = ?1")
    try statement.bind(PersonalBlob.sealed(key), at: 1)
    _ = try statement.step()
    return Int(try statement.integer(0))
  }

  /// How many instances are mapped to a cell, or to none yet.
  public func countInstances(in cell: CellID?) throws(ProjectionError) -> Int {
    let statement = try connection.prepare(
      "SELECT count(*) FROM instance INDEXED BY instance_by_cell WHERE cell IS ?1")
    if let cell {
      try statement.bind(cell.uuid, at: 1)
    } else {
      try statement.bindNull(at: 1)
    }
    _ = try statement.step()
    return Int(try statement.integer(0))
  }

  /// How many instances the map holds, by its buckets.
  public func countInstances() throws(ProjectionError) -> UInt64 {
    let buckets = try IndexBuckets.read(from: connection)
    return buckets.values[..<IndexBuckets.instanceBuckets].reduce(0) { $0 + $1.count }
  }

  private func page(
    _ condition: String, by index: String? = nil, after cursor: InstanceID?, limit: Int,
    _ bind: (SQLiteStatement) throws(ProjectionError) -> Void
  ) throws(ProjectionError) -> [InstanceItem] {
    let source = index.map { "INDEXED BY \($0) " } ?? ""
    return try rows(
      of: InstanceTable.self, source + "WHERE \(condition) ORDER BY id LIMIT ?2"
    ) { (statement) throws(ProjectionError) in
      // Before the first key comes the empty blob.
      if let cursor {
        try statement.bind(cursor.uuid, at: 1)
      } else {
        try statement.bind([UInt8](), at: 1)
      }
      try statement.bind(Int64(limit), at: 2)
      try bind(statement)
    }.map { InstanceItem(id: $0.key, row: $0.row) }
  }

  /// The checked rows of a table that a clause selects.
  func rows<Table: IndexTable>(
    of table: Table.Type, _ clause: String,
    _ bind: (SQLiteStatement) throws(ProjectionError) -> Void = { _ in }
  ) throws(ProjectionError) -> [(key: Table.Key, row: Table.Row)] {
    let statement = try connection.prepare(
      "SELECT \(Table.columnList) FROM \(Table.name) \(clause)")
    try bind(statement)
    var found: [(key: Table.Key, row: Table.Row)] = []
    while try statement.step() {
      let checked = try checkedRow(
        of: table, statement, hashedColumns: Table.hashedColumnCount)
      found.append((checked.key, checked.stored.row))
    }
    return found
  }
}

extension IdentityItem {
  init(_ key: IdentityTable.Key, _ row: IdentityTable.Row) {
    self.init(
      cell: key.cell, kind: key.kind, uuid: key.uuid, server: row.server,
      recordedAt: row.recordedAt)
  }
}

extension SQLiteStatement {
  /// Binds a text that may be sealed, as the tables hold it.
  func bind(_ text: PersonalText, at parameter: Int) throws(ProjectionError) {
    switch text {
    case .clear(let text): try bind(text, at: parameter)
    case .sealed(let key, let bytes):
      try bind(PersonalBlob.sealed(key, bytes), at: parameter)
    case .shredded(let key): try bind(PersonalBlob.shredded(key), at: parameter)
    }
  }
}
