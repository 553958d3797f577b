public import Journal

/// The rows that an index has to hold after each entry of a model's history, after docs/index-format.md
/// and what events mean; it shares no code with the folds, the tables or the hashes.
public struct PastIndexModel {
  private typealias Row = [String: DocumentedColumn]
  private struct Key: Hashable {
    let table: Int
    let columns: [DocumentedColumn]
  }

  /// The last entry that was taken.
  public private(set) var index: UInt64 = 0
  private var rows: [Key: (row: Row, hash: UInt128)] = [:]

  public init() {}

  /// Goes on to an entry, which is not before the last one.
  public mutating func advance(to index: UInt64, in model: PastModel) {
    for draft in model.drafts[Int(self.index)..<Int(index)] {
      self.index += 1
      take(draft.request, draft.event)
      switch draft.event {
      case .cell(let id, let event): take(id, event)
      case .host(let name, let event): take(name, event)
      case .instance(let id, let event): take(id, event)
      case .conflict(let entity, let event): take(entity, event)
      case .store(.epochOpened(let opening)):
        set(
          8, [.integer(Int64(opening.epoch))],
          [
            "id": .uuid(opening.id.uuid), "cause": .integer(Int64(opening.cause.rawValue)),
            "first_index": here, "common_index": .number(opening.commonIndex),
          ])
      case .store: break
      }
    }
  }

  public var contentDigest: Digest? {
    var buckets = DocumentedBuckets()
    for (key, value) in rows {
      var bucket = 4_096 + key.table
      if key.table == 4, case .blob(let uuid)? = key.columns.first {
        bucket = Int(uuid[0]) << 4 | Int(uuid[1]) >> 4
      }
      buckets.add(value.hash, to: bucket)
    }
    return buckets.contentDigest
  }

  // MARK: What events make of rows

  private mutating func take(_ id: CellID, _ event: CellEvent) {
    let key: [DocumentedColumn] = [.uuid(id.uuid)]
    var row = self.row(2, key) ?? [:]
    row["changed_at"] = here
    row["evidence_at"] = nil
    switch event {
    case .added(let record):
      row = ["changed_at": here, "name": .text(record.name)]
      Self.put(record.addresses, into: &row)
      Self.put(record.availability, into: &row)
      row["is_covered"] = .flag(record.isCovered)
      Self.put(record.row, into: &row)
    case .removed:
      for key in rows.keys where key.table == 5 && key.columns[0] == .uuid(id.uuid) {
        rows[key] = nil
      }
      return leave(2, key, kind: 1)
    case .identityRecorded(let identity):
      row = self.row(2, key) ?? [:]
      row["evidence_at"] = here
      take(identity, of: id)
    case .probed:
      row = self.row(2, key) ?? [:]
      row["evidence_at"] = here
    case .renamed(_, let name): row["name"] = .text(name)
    case .addressesChanged(_, let addresses): Self.put(addresses, into: &row)
    case .availabilityChanged(_, let availability): Self.put(availability, into: &row)
    case .coverageChanged(_, let isCovered): row["is_covered"] = .flag(isCovered)
    case .rowRecorded(_, let novaRow): Self.put(novaRow, into: &row)
    case .addressResealed, .keyShredded: preconditionFailure("the model has no such events")
    }
    arrive(2, key, row, kind: 1)
  }

  private mutating func take(_ identity: CellIdentity, of cell: CellID) {
    if identity.replacesEarlier {
      for key in rows.keys where key.table == 5 && key.columns[0] == .uuid(cell.uuid) {
        rows[key] = nil
      }
    }
    let uuids = identity.services.map { (Int64(1), $0) } + identity.computeNodes.map { (2, $0) }
    for (kind, uuid) in uuids {
      let key: [DocumentedColumn] = [.uuid(cell.uuid), .integer(kind), .uuid(uuid)]
      if row(5, key) == nil { set(5, key, ["recorded_at": here]) }
    }
    guard let server = identity.server else { return }
    let key: [DocumentedColumn] = [.uuid(cell.uuid), .integer(0), .uuid(.zero)]
    if row(5, key)?["server"] != .text(server) {
      set(5, key, ["server": .text(server), "recorded_at": here])
    }
  }

  private mutating func take(_ name: ByteText, _ event: HostEvent) {
    switch event {
    case .mapped(let record):
      var row: Row = ["cell": .uuid(record.cell.uuid), "changed_at": here]
      Self.put(record.row, into: &row)
      arrive(3, [.text(name)], row, kind: 2)
    case .unmapped: leave(3, [.text(name)], kind: 2)
    case .rowRecorded(_, let novaRow):
      var row = self.row(3, [.text(name)]) ?? [:]
      row["changed_at"] = here
      Self.put(novaRow, into: &row)
      arrive(3, [.text(name)], row, kind: 2)
    }
  }

  private mutating func take(_ id: InstanceID, _ event: InstanceEvent) {
    let key: [DocumentedColumn] = [.uuid(id.uuid)]
    var row = self.row(4, key) ?? [:]
    if case .hostSeen = event {} else { row["changed_at"] = here }
    switch event {
    case .mapped(let record):
      row = ["changed_at": here, "cell": .uuid(record.cell?.uuid)]
      Self.put(record.owner, into: &row)
      row["queued_for_delete"] = .flag(record.isQueuedForDelete)
      Self.put(record.row, into: &row)
      Self.put(record.lastSeen, into: &row)
    case .moved(_, let cell): row["cell"] = .uuid(cell?.uuid)
    case .ownerChanged(_, let owner): Self.put(owner, into: &row)
    case .deletionMarkChanged(_, let mark): row["queued_for_delete"] = .flag(mark)
    case .unmapped: return leave(4, key, kind: 3)
    case .hostSeen(let sighting): Self.put(sighting, into: &row)
    case .rowRecorded(_, let novaRow): Self.put(novaRow, into: &row)
    }
    let route = ["cell", "queued_for_delete", "changed_at"].map { row[$0] ?? .null }
    let checksum = DocumentedHash.checksum(DocumentedHash.row(table: 4, key + route))
    row["route_checksum"] = .integer(checksum)
    arrive(4, key, row, kind: 3)
  }

  private mutating func take(_ entity: EntityKey, _ event: ConflictEvent) {
    let key: [DocumentedColumn] =
      switch entity {
      case .host(let name): [.integer(2), .blob(Array(name.string.utf8))]
      case .instance(let id): [.integer(3), .uuid(id.uuid)]
      case .store, .cell: preconditionFailure("conflicts are of hosts and instances")
      }
    switch event {
    case .found(let kind, let evidence):
      set(
        9, key,
        ["rule": .text(kind), "evidence": .text(evidence), "found_at": here, "changed_at": here])
    case .resolved(_, let decision):
      guard var row = row(9, key) else { return }
      row["decision"] = .text(decision)
      row["changed_at"] = here
      set(9, key, row)
    }
  }

  /// A request is known from the first entry that bears its content.
  private mutating func take(_ request: RequestMark, _ event: Event) {
    guard request.id != .none else { return }
    let key: [DocumentedColumn] = [.uuid(request.id.uuid)]
    var row: Row
    if let before = self.row(6, key) {
      row = before
    } else if let content = request.content {
      row = ["content": .digest(content), "first_index": here, "is_bulk": .flag(false)]
    } else {
      return
    }
    row["last_index"] = here
    if request.chunk != nil { row["is_bulk"] = .flag(true) }
    if case .store(.requestFinished(let counts)) = event {
      row["is_bulk"] = .flag(true)
      row["finished_cells"] = .number(counts.cells)
      row["finished_hosts"] = .number(counts.hosts)
      row["finished_instances"] = .number(counts.instances)
    }
    set(6, key, row)
  }

  // MARK: Rows

  private var here: DocumentedColumn { .number(index) }

  private func row(_ table: Int, _ key: [DocumentedColumn]) -> Row? {
    rows[Key(table: table, columns: key)]?.row
  }

  private mutating func set(_ table: Int, _ key: [DocumentedColumn], _ row: Row?) {
    rows[Key(table: table, columns: key)] = row.map { row in
      let values = (Self.columns[table] ?? []).map { row[$0] ?? .null }
      return (row, DocumentedHash.row(table: table, key + values))
    }
  }

  /// A row of the map itself; what had gone has come back by it.
  private mutating func arrive(_ table: Int, _ key: [DocumentedColumn], _ row: Row, kind: Int64) {
    set(table, key, row)
    set(7, Self.departed(key, kind: kind), nil)
  }

  private mutating func leave(_ table: Int, _ key: [DocumentedColumn], kind: Int64) {
    set(table, key, nil)
    set(7, Self.departed(key, kind: kind), ["last_index": here])
  }

  private static func departed(_ key: [DocumentedColumn], kind: Int64) -> [DocumentedColumn] {
    if case .text(let name) = key[0] { return [.integer(kind), .blob(name)] }
    return [.integer(kind)] + key
  }

  private static func put(_ addresses: CellAddresses, into row: inout Row) {
    for (name, address) in [("database", addresses.database), ("queue", addresses.queue)] {
      row["\(name)_public"] = .text(address?.publicForm)
      row["\(name)_key"] = .uuid(address?.key.uuid)
      row["\(name)_sealed"] = address.map { .blob($0.sealed) }
    }
    row["options"] = .text(addresses.options)
  }

  private static func put(_ availability: CellAvailability, into row: inout Row) {
    row["disabled"] = .flag(availability.disabled)
    row["is_being_removed"] = .flag(availability.isBeingRemoved)
  }

  private static func put(_ novaRow: NovaRow, into row: inout Row) {
    row["nova_number"] = .number(novaRow.number)
    row["nova_created_at"] = .time(novaRow.createdAt)
  }

  private static func put(_ owner: InstanceOwner, into row: inout Row) {
    row["project"] = .text(owner.project?.clearText)
    row["user"] = .text(owner.user?.clearText)
  }

  private static func put(_ sighting: HostSighting?, into row: inout Row) {
    row["seen_host"] = .text(sighting?.host)
    row["seen_at"] = .time(sighting?.at)
    row["seen_source"] = .text(sighting?.source)
  }

  /// The columns behind the key, in the order of the document.
  private static let columns = [
    2: [
      "name", "database_public", "database_key", "database_sealed", "queue_public", "queue_key",
      "queue_sealed", "options", "disabled", "is_being_removed", "is_covered", "nova_number",
      "nova_created_at", "changed_at", "evidence_at",
    ],
    3: ["cell", "nova_number", "nova_created_at", "changed_at"],
    4: [
      "cell", "queued_for_delete", "changed_at", "route_checksum", "project", "user",
      "nova_number", "nova_created_at", "seen_host", "seen_at", "seen_source",
    ],
    5: ["server", "recorded_at"],
    6: [
      "content", "first_index", "last_index", "is_bulk", "finished_cells", "finished_hosts",
      "finished_instances",
    ],
    7: ["last_index"],
    8: ["id", "cause", "first_index", "common_index"],
    9: ["rule", "evidence", "decision", "found_at", "changed_at"],
  ]
}
