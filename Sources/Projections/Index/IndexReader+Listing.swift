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
  public var project: ByteText?
  public var user: ByteText?
  /// Those as well that are queued for delete.
  public var includesQueued = false

  public init(cell: CellID?) { self.cell = cell }

  /// Whether an instance is one of them.
  public enum Verdict: Sendable {
    case yes, no
    /// It may be: the map doesn't know its owner, or not in clear text.
    case unknown
  }

  /// What the map's record of an instance says of whether it is one of them.
  public func verdict(_ record: InstanceRecord) -> Verdict {
    if record.cell != cell { return .no }
    if !includesQueued && record.isQueuedForDelete == true { return .no }
    var verdict = Verdict.yes
    for (wanted, found) in [(project, record.owner.project), (user, record.owner.user)] {
      guard let wanted else { continue }
      guard let found = found?.clearText else {
        verdict = .unknown
        continue
      }
      if found != wanted { return .no }
    }
    return verdict
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
    for clause in MapClause.clauses(of: query, verdict) {
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
    ofProject project: ByteText, enough: Int
  ) throws(ProjectionError) -> Set<CellID?> {
    var cells: Set<CellID?> = []
    for condition in ["project = ?1", "project IS NULL", "project >= x''"] {
      let statement = try connection.prepare(
        "SELECT cell FROM instance INDEXED BY instance_by_owner WHERE \(condition)")
      if condition.hasSuffix("?1") { try statement.bind(project, at: 1) }
      defer { statement.reset() }
      while cells.count < enough, try statement.step() {
        cells.insert(statement.isNull(0) ? nil : CellID(try statement.uuid(0)))
      }
    }
    return cells
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

private enum MapValue: Equatable {
  case null
  case uuid(UUID128)
  case integer(Int64)
  case text(ByteText)
}

/// What follows the table's name in a statement, and the values of its parameters.
private struct MapClause {
  var text: String
  private var values: [MapValue] = []

  init(_ query: MapInstanceQuery, by index: String? = nil) {
    let usual = query.project == nil ? "instance_by_cell" : "instance_by_owner"
    text = "INDEXED BY \(index ?? usual) WHERE "
    // `IS` also finds NULL by the index.
    let cell = bind(query.cell.map { .uuid($0.uuid) } ?? .null)
    text += "cell IS \(cell)"
    if let project = query.project {
      let parameter = bind(.text(project))
      text += " AND project = \(parameter)"
    }
    if let user = query.user {
      let parameter = bind(.text(user))
      text += " AND user = \(parameter)"
    }
    if !query.includesQueued { text += " AND queued_for_delete IS NOT 1" }
  }

  /// The statements that together find the instances of a verdict, each instance once.
  static func clauses(
    of query: MapInstanceQuery, _ verdict: MapInstanceQuery.Verdict
  ) -> [MapClause] {
    switch verdict {
    case .yes: return [MapClause(query)]
    case .no: preconditionFailure("nobody asks for those")
    case .unknown: break
    }
    var clauses: [MapClause] = []
    var rest = query
    rest.user = nil
    // What isn't clear text is a blob, and sorts behind all texts.
    if query.user != nil {
      var clause = MapClause(rest)
      clause.text += " AND (user IS NULL OR user >= x'')"
      clauses.append(clause)
    }
    guard query.project != nil else { return clauses }
    rest.project = nil
    for unknown in ["IS NULL", ">= x''"] {
      var clause = MapClause(rest, by: "instance_by_owner")
      clause.text += " AND project \(unknown)"
      if let user = query.user {
        let parameter = clause.bind(.text(user))
        clause.text += " AND (user = \(parameter) OR user IS NULL OR user >= x'')"
      }
      clauses.append(clause)
    }
    return clauses
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
      }
    }
  }
}
