public import Journal

/// What the map has to sort instances by.
public enum MapColumn: Hashable, Sendable {
  case id, createdAt, project
}

/// Instances of one cell, or of none yet, as a list over cells needs them: some of them, in some
/// order.
public struct MapInstanceQuery: Hashable, Sendable {
  /// nil for the instances that have no cell yet.
  public var cell: CellID?
  public var owner = OwnerFilter()
  /// Those as well that are queued for delete.
  public var includesQueued = false

  public init(cell: CellID?) { self.cell = cell }

  /// Whether an instance is one of them; unknown if the map doesn't know its owner, or nobody can read it.
  public typealias Verdict = OwnerFilter.Verdict

  /// What the map's record of an instance says of whether it is one of them.
  public func verdict(_ record: InstanceRecord) -> Verdict {
    if record.cell != cell { return .no }
    if !includesQueued && record.isQueuedForDelete == true { return .no }
    return owner.verdict(record.owner)
  }
}

/// A key of an order of the map's instances; the last one is the UUID.
public struct MapOrderKey: Hashable, Sendable {
  public var column: MapColumn
  public var isDescending: Bool

  public init(_ column: MapColumn, isDescending: Bool) {
    self.column = column
    self.isDescending = isDescending
  }
}

/// An instance's place in such an order, whether or not it is there.
public struct MapPlace: Hashable, Sendable {
  public var id: InstanceID
  public var createdAt: Timestamp?
  public var project: ByteText?

  public init(id: InstanceID, createdAt: Timestamp?, project: ByteText?) {
    self.id = id
    self.createdAt = createdAt
    self.project = project
  }
}

extension IndexReader {
  /// At most `limit` of the instances in question, in an order, after a place in it.
  ///
  /// By UUID a page costs what it has; by anything else, a look at each of the cell's instances.
  public func instances(
    _ query: MapInstanceQuery, by keys: [MapOrderKey], after place: MapPlace?, limit: Int
  ) throws(ProjectionError) -> [InstanceItem] {
    precondition(keys.last?.column == .id, "the UUID is the last key")
    let order = KeysetOrder(
      keys.map {
        KeysetOrder.Term($0.expression, isDescending: $0.isDescending, isNullable: $0.column != .id)
      })
    var clause = MapClause(query)
    let nulls = place.map { place in keys.map { $0.value(in: place) == .null } }
    let condition = order.condition(of: .all, after: nulls) { number in
      clause.bind(place.map { keys[number].value(in: $0) } ?? .null)
    }
    if let condition { clause.text += " AND (\(condition))" }
    let terms = order.terms.map { "\($0.expression) \($0.isDescending ? "DESC" : "ASC")" }
    clause.text += " ORDER BY \(terms.joined(separator: ", ")) LIMIT \(limit)"
    return try rows(of: InstanceTable.self, clause.text) {
      (statement) throws(ProjectionError) in try clause.bindValues(to: statement)
    }.map { InstanceItem(id: $0.key, row: $0.row) }
  }

  /// How many instances have a verdict, by the index alone: rows' checksums are not looked at.
  ///
  /// What is unknown of a user alone, in any project, costs a look at each of the cell's instances.
  public func count(
    _ query: MapInstanceQuery, _ verdict: MapInstanceQuery.Verdict
  ) throws(ProjectionError) -> Int {
    var count = 0
    let unreadable = verdict == .unknown ? try self.unreadable(query.owner) : []
    for clause in MapClause.clauses(of: query, verdict, unreadable) {
      let statement = try connection.prepare("SELECT count(*) FROM instance \(clause.text)")
      try clause.bindValues(to: statement)
      _ = try statement.step()
      count += Int(try statement.integer(0))
    }
    return count
  }

  /// The cells in which a project has instances, or may have: instances of an owner that the map
  /// doesn't know may be its; nil among them for those without a cell. Rows' checksums are not looked at.
  ///
  /// - Parameter enough: The search ends once so many are found.
  public func cells(
    ofProjectOf owner: OwnerFilter, enough: Int
  ) throws(ProjectionError) -> Set<CellID?> {
    var cells: Set<CellID?> = []
    var clauses = [MapClause(unreadable: .null, of: "project")]
    for project in owner.projects { clauses.append(MapClause(project: project)) }
    for range in try unreadable(owner) {
      clauses.append(MapClause(unreadable: range, of: "project"))
    }
    for clause in clauses {
      let statement = try connection.prepare(
        "SELECT cell FROM instance INDEXED BY instance_by_owner WHERE \(clause.text)")
      try clause.bindValues(to: statement)
      defer { statement.reset() }
      while cells.count < enough, try statement.step() {
        cells.insert(statement.isNull(0) ? nil : CellID(try statement.uuid(0)))
      }
    }
    return cells
  }

  /// Where the owners are that nobody can read: all that is sealed or shredded, but for what is sealed by
  /// one of the keys that can be read.
  fileprivate func unreadable(
    _ owner: OwnerFilter
  ) throws(ProjectionError) -> [UnreadableOwners] {
    guard let readable = owner.readable else { return [.from([])] }
    let keys = try ownerKeys().subtracting(readable)
    return keys.map { .sealedBy($0) } + [.from(PersonalBlob.firstShredded)]
  }

  /// The keys that have sealed owners of the map's instances, by a look into the index for each key.
  public func ownerKeys() throws(ProjectionError) -> Set<KeyID> {
    var found: Set<KeyID> = []
    for column in ["project", "user"] {
      // A user stands under the key of its project: alone there is it where there is no project.
      let rest = column == "user" ? "project IS NULL AND " : ""
      let next = try connection.prepare(
        "SELECT \(column) FROM instance INDEXED BY instance_by_owner WHERE \(rest)\(column) >= ?1 "
          + "ORDER BY \(column) LIMIT 1")
      var from: [UInt8] = PersonalBlob.sealed(KeyID(.zero))
      while true {
        try next.bind(from, at: 1)
        guard try next.step() else { break }
        let blob = try next.blob(0)
        next.reset()
        guard blob.first == 1, let key = UUID128(bytes: blob.dropFirst().prefix(16)) else { break }
        found.insert(KeyID(key))
        // Behind all that this key has sealed: ids of keys are never all ones.
        from = PersonalBlob.sealed(KeyID(key), [UInt8](repeating: 0xFF, count: 2048))
      }
      next.reset()
    }
    return found
  }
}

extension MapOrderKey {
  /// The column as it is compared; a project that isn't clear text counts as NULL.
  fileprivate var expression: String {
    switch column {
    case .id: "id"
    case .createdAt: "nova_created_at"
    case .project: "CASE typeof(project) WHEN 'text' THEN project END"
    }
  }

  fileprivate func value(in place: MapPlace) -> MapValue {
    switch column {
    case .id: .uuid(place.id.uuid)
    case .createdAt: place.createdAt.map { .integer($0.microseconds) } ?? .null
    case .project: place.project.map { .text($0) } ?? .null
    }
  }
}

/// Owners that can't be read.
private enum UnreadableOwners: Hashable {
  case null
  /// Sealed by a key that is gone.
  case sealedBy(KeyID)
  /// From a value on.
  case from([UInt8])
}

private enum MapValue: Equatable {
  case null
  case personal(PersonalText)
  case blob([UInt8])
  case uuid(UUID128)
  case integer(Int64)
  case text(ByteText)
}

/// What follows the table's name in a statement, and the values of its parameters.
private struct MapClause {
  var text: String
  private var values: [MapValue] = []

  init(_ query: MapInstanceQuery, by index: String? = nil) {
    let usual = query.owner.project == nil ? "instance_by_cell" : "instance_by_owner"
    text = "INDEXED BY \(index ?? usual) WHERE "
    // `IS` also finds NULL by the index.
    let cell = bind(query.cell.map { .uuid($0.uuid) } ?? .null)
    text += "cell IS \(cell)"
    if query.owner.project != nil { text += " AND \(isOne(of: query.owner.projects, "project"))" }
    if query.owner.user != nil { text += " AND \(isOne(of: query.owner.users, "user"))" }
    if !query.includesQueued { text += " AND queued_for_delete IS NOT 1" }
  }

  /// The statements that together find the instances of a verdict, each instance once.
  static func clauses(
    of query: MapInstanceQuery, _ verdict: MapInstanceQuery.Verdict,
    _ unreadable: [UnreadableOwners]
  ) -> [MapClause] {
    switch verdict {
    case .yes: return [MapClause(query)]
    case .no: preconditionFailure("nobody asks for those")
    case .unknown: break
    }
    var clauses: [MapClause] = []
    var rest = query
    rest.owner = query.owner.withoutUser
    // What isn't clear text is a blob, and sorts behind all texts.
    let unknown = [.null] + unreadable
    if query.owner.user != nil {
      var clause = MapClause(rest)
      clause.text += " AND (\(clause.isOne(of: unknown, "user")))"
      clauses.append(clause)
    }
    guard query.owner.project != nil else { return clauses }
    rest.owner = OwnerFilter()
    for range in unknown {
      var clause = MapClause(rest, by: "instance_by_owner")
      clause.text += " AND \(clause.isOne(of: [range], "project"))"
      if query.owner.user != nil {
        let users = query.owner.users.union(query.owner.usersOfNoProject)
        clause.text +=
          " AND (\(clause.isOne(of: users, "user")) OR "
          + "\(clause.isOne(of: unknown, "user")))"
      }
      clauses.append(clause)
    }
    return clauses
  }

  init(project: PersonalText) {
    text = ""
    text = "project = \(bind(.personal(project)))"
  }

  init(unreadable: UnreadableOwners, of column: String) {
    text = ""
    text = isOne(of: [unreadable], column)
  }

  /// Projects have one value; users as many as there are projects, more than a statement's parameters.
  private mutating func isOne(of values: Set<PersonalText>, _ column: String) -> String {
    if values.count == 1, let value = values.first {
      return "\(column) = \(bind(.personal(value)))"
    }
    let list = values.compactMap { value -> String? in
      guard case .sealed(let key, let bytes) = value else { return nil }
      return PersonalBlob.sealed(key, bytes).hexadecimal
    }
    let parameter = bind(.text(ByteText(JSONValue.list(list.map { .text($0) }).line)))
    return "hex(\(column)) IN (SELECT value FROM json_each(\(parameter)))"
  }

  private mutating func isOne(of ranges: [UnreadableOwners], _ column: String) -> String {
    ranges.map { range in
      switch range {
      case .null: return "\(column) IS NULL"
      case .from(let start): return "\(column) >= \(bind(.blob(start)))"
      case .sealedBy(let key):
        let (low, high) = (PersonalBlob.sealed(key), [UInt8](repeating: 0xFF, count: 2048))
        return "\(column) BETWEEN \(bind(.blob(low))) AND \(bind(.blob(low + high)))"
      }
    }.joined(separator: " OR ")
  }

  mutating func bind(_ value: MapValue) -> String {
    values.append(value)
    return "?\(values.count)"
  }

  func bindValues(to statement: SQLiteStatement) throws(ProjectionError) {
    for (place, value) in values.enumerated() {
      switch value {
      case .null: try statement.bindNull(at: place + 1)
      case .uuid(let uuid): try statement.bind(uuid, at: place + 1)
      case .integer(let integer): try statement.bind(integer, at: place + 1)
      case .text(let text): try statement.bind(text, at: place + 1)
      case .personal(let text): try statement.bind(text, at: place + 1)
      case .blob(let bytes): try statement.bind(bytes, at: place + 1)
      }
    }
  }
}

extension [UInt8] {
  /// As SQLite's `hex()` writes them.
  fileprivate var hexadecimal: String {
    let digits = Array("0123456789ABCDEF".utf8)
    return String(
      decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
