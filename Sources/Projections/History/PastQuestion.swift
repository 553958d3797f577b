public import Journal

/// A question whose answer the map gives at any position.
public enum PastQuestion: Hashable, Sendable {
  /// Where requests for an instance go: its mapping, and the name and addresses of its cell.
  case route(InstanceID)
  /// What the map holds of an instance.
  case instance(InstanceID)
  case cell(CellID)
  /// All cells.
  case cells
  /// All hosts, or those of a cell.
  case hosts(in: CellID?)
  /// The instances in question, or how many they are.
  case instances(InstanceSelection, isCounted: Bool)
}

/// Which instances are in question.
public struct InstanceSelection: Hashable, Sendable {
  public enum Place: Hashable, Sendable {
    case anywhere
    case noCell
    case cell(CellID)
  }

  public var place = Place.anywhere
  public var owner = OwnerFilter()
  public var isQueuedForDelete: Bool?

  public init() {}

  public func holds(_ record: InstanceRecord) -> Bool {
    switch place {
    case .anywhere: break
    case .noCell: if record.cell != nil { return false }
    case .cell(let cell): if record.cell != cell { return false }
    }
    guard owner.isEmpty || owner.verdict(record.owner) == .yes else { return false }
    guard let isQueuedForDelete else { return true }
    return (record.isQueuedForDelete == true) == isQueuedForDelete
  }
}

/// The entry after which an answer was another one.
public struct AnswerChange: Hashable, Sendable {
  public let step: EntryStep
  /// What became different in the answer; of a list, what the entry changed of the one thing.
  public let changes: [FieldChange]
}

extension MapHistory {
  /// The first entry after the one at `start`, and up to the one at `end`, after which the answer to a
  /// question was another one.
  ///
  /// Reads the entries about the things in question; about instances as a whole, every entry up to
  /// the one that is found. Nothing is replayed.
  ///
  /// - Parameter counts: What of the answer counts, given its parts by name, which are empty where the
  ///   map holds nothing: two answers are the same if this is. nil for all of it. Of single things only.
  /// - Returns: nil if the answer stayed the same.
  /// - Throws: As `init`.
  public func firstChange(
    of question: PastQuestion, after start: UInt64, upTo end: UInt64,
    parts: Set<String>? = nil, counts: (([RecordField]) -> Bool)? = nil
  ) throws(ProjectionError) -> AnswerChange? {
    guard start < end else { return nil }
    let range = start + 1...end
    switch question {
    case .route, .instance, .cell:
      return try firstChange(ofOne: question, in: range, parts, counts)
    case .cells:
      let cells = try cellsEver(upTo: end).map { EntityKey.cell($0) }
      return try first(in: range, of: Set(cells), parts) { _ in true }
    case .hosts(let cell):
      let hosts = try hostsEver(upTo: end).map { EntityKey.host($0) }
      return try first(in: range, of: Set(hosts), parts) { step in
        cell == nil || [step.before, step.after].contains { $0?.host?.record.cell == cell }
      }
    case .instances(let selection, let isCounted):
      return try first(in: range, of: nil, parts) { step in
        guard case .instance = step.entry.event else { return false }
        let (before, after) = (
          step.before?.instance.map { selection.holds($0.record) } ?? false,
          step.after?.instance.map { selection.holds($0.record) } ?? false
        )
        return isCounted ? before != after : before || after
      }
    }
  }

  private func first(
    in range: ClosedRange<UInt64>, of entities: Set<EntityKey>?, _ parts: Set<String>?,
    where concerns: (EntryStep) -> Bool
  ) throws(ProjectionError) -> AnswerChange? {
    var found: AnswerChange?
    try forEachStep(in: range, of: entities) { step in
      guard !step.entry.event.isResealing, concerns(step) else { return .more }
      let changes = step.changes.filter { parts?.contains($0.name) ?? true }
      guard !changes.isEmpty else { return .more }
      found = AnswerChange(step: step, changes: changes)
      return .enough
    }
    return found
  }

  private func firstChange(
    ofOne question: PastQuestion, in range: ClosedRange<UInt64>, _ parts: Set<String>?,
    _ counts: (([RecordField]) -> Bool)?
  ) throws(ProjectionError) -> AnswerChange? {
    let entities = try things(of: question, in: range)
    var rows = try self.rows(of: Array(entities), at: range.lowerBound - 1)
    func answer() -> [RecordField] {
      question.answer(rows).filter { parts?.contains($0.name) ?? true }
    }
    var first = answer()
    var last = first
    var found: AnswerChange?
    try forEachStep(in: range, of: entities) { step in
      guard step.entry.event.changesRecord else { return .more }
      rows[step.entry.event.entity] = step.after
      let now = answer()
      defer { last = now }
      if step.entry.event.isResealing {
        first = Self.resealed(first, as: now, insteadOf: last)
        return .more
      }
      let isChanged = counts.map { $0(now) != $0(first) } ?? (now != first)
      guard isChanged else { return .more }
      found = AnswerChange(step: step, changes: FieldChange.between(last, now))
      return .enough
    }
    return found
  }

  /// An answer, in which what is as in `old` is as in `new`: under another key.
  private static func resealed(
    _ answer: [RecordField], as new: [RecordField], insteadOf old: [RecordField]
  ) -> [RecordField] {
    answer.map { field in
      guard old.contains(field) else { return field }
      return new.first { $0.name == field.name } ?? field
    }
  }

  /// The things of which a single answer is made; of a route all the cells in which the instance was.
  private func things(
    of question: PastQuestion, in range: ClosedRange<UInt64>
  ) throws(ProjectionError) -> Set<EntityKey> {
    switch question {
    case .instance(let id): return [.instance(id)]
    case .cell(let id): return [.cell(id)]
    case .route(let id):
      var things: Set<EntityKey> = [.instance(id)]
      for version in try versions(of: .instance(id), upTo: range.upperBound) {
        for row in [version.before, version.after] {
          if let cell = row?.instance?.record.cell { things.insert(.cell(cell)) }
        }
      }
      return things
    case .cells, .hosts, .instances: preconditionFailure("a list is no single answer")
    }
  }

  /// The first entry of those, up to the one at `end`, since which what the map holds of a thing has
  /// not been as it should be.
  ///
  /// - Parameter agrees: Whether that is as it should be.
  /// - Returns: nil if it is as it should be at `end`.
  /// - Throws: As `init`.
  public func disagreement(
    of entity: EntityKey, upTo end: UInt64, agrees: (EntityRow?) -> Bool
  ) throws(ProjectionError) -> Disagreement? {
    guard try !agrees(row(of: entity, at: end)) else { return nil }
    var since: EntryStep?
    // Before its first entry the map held nothing of it.
    var isAgreed = agrees(nil)
    guard end > 0 else { return Disagreement(since: nil) }
    try forEachStep(in: 1...end, of: [entity]) { step in
      guard step.entry.event.changesRecord else { return .more }
      let agreesNow = agrees(step.after)
      if isAgreed, !agreesNow { since = step }
      isAgreed = agreesNow
      return .more
    }
    return Disagreement(since: since)
  }

  /// Every host that the map held up to the entry at `last`, by its name, those too that are gone.
  ///
  /// - Throws: As `init`.
  public func hostsEver(upTo last: UInt64? = nil) throws(ProjectionError) -> [ByteText] {
    var names: Set<ByteText> = []
    for entry in try arrivals(of: .host, upTo: last ?? head.index) {
      if case .host(let name, .mapped) = entry.event { names.insert(name) }
    }
    return names.sorted()
  }
}

/// That the map is not as it should be.
public struct Disagreement: Hashable, Sendable {
  /// The entry that made it so; nil if it never was as it should be.
  public let since: EntryStep?
}

extension PastQuestion {
  /// The parts of a single answer, under the names that the command's JSON has for them; empty where
  /// the map holds nothing.
  public func answer(_ rows: [EntityKey: EntityRow]) -> [RecordField] {
    switch self {
    case .instance(let id): return rows[.instance(id)]?.fields ?? []
    case .cell(let id): return rows[.cell(id)]?.fields ?? []
    case .route(let id):
      guard let row = rows[.instance(id)] else { return [] }
      let cell = row.instance?.record.cell.flatMap { rows[.cell($0)] }
      return row.fields.filter { $0.name != "row" }
        + (cell?.fields ?? []).filter { Self.routed.contains($0.name) }
    case .cells, .hosts, .instances: return []
    }
  }

  private static let routed: Set = ["cell_name", "database", "queue", "options"]
}
