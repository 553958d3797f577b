/// What the map holds of one thing, of whichever kind.
public enum EntityRow: Hashable, Sendable {
  case cell(CellRow)
  case host(HostRow)
  case instance(InstanceRow)

  /// The thing after an event at `index`; nil when the map holds nothing of it any more. Events that
  /// change no record (a conflict, an epoch) leave it as it was.
  ///
  /// Depends on its arguments alone, as the folds that it calls.
  public static func folded(
    _ event: Event, at index: UInt64, into before: EntityRow?
  ) -> EntityRow? {
    switch event {
    case .cell(_, let event):
      CellRow.folded(event, at: index, into: before?.cell).map { .cell($0) }
    case .host(_, let event):
      HostRow.folded(event, at: index, into: before?.host).map { .host($0) }
    case .instance(_, let event):
      InstanceRow.folded(event, at: index, into: before?.instance).map { .instance($0) }
    case .conflict, .store: before
    }
  }

  public var cell: CellRow? { if case .cell(let row) = self { row } else { nil } }
  public var host: HostRow? { if case .host(let row) = self { row } else { nil } }
  public var instance: InstanceRow? { if case .instance(let row) = self { row } else { nil } }
}

/// A part of a record, under the name that JSON has for it.
public struct RecordField: Hashable, Sendable {
  public let name: String
  /// The value as it is shown: of an address its public form.
  public let value: JSONValue
  /// Tells two values apart that look alike: of an address, what is sealed.
  private let seal: [UInt8]

  init(_ name: String, _ value: JSONValue, seal: [UInt8] = []) {
    self.name = name
    self.value = value
    self.seal = seal
  }
}

/// A part of a record that differs, with what it was and what it became; nil where the record itself
/// wasn't there.
public struct FieldChange: Hashable, Sendable {
  public let name: String
  public let from: JSONValue?
  public let to: JSONValue?

  /// The parts that differ, by their names: those of the second in its order, then those that are
  /// gone.
  public static func between(_ old: [RecordField], _ new: [RecordField]) -> [FieldChange] {
    if old.map(\.name) == new.map(\.name) {
      return zip(old, new).filter { $0 != $1 }.map {
        FieldChange(name: $0.name, from: $0.value, to: $1.value)
      }
    }
    var known = Dictionary(uniqueKeysWithValues: old.map { ($0.name, $0) })
    var changes: [FieldChange] = []
    for field in new {
      let before = known.removeValue(forKey: field.name)
      guard before != field else { continue }
      changes.append(FieldChange(name: field.name, from: before?.value, to: field.value))
    }
    for field in old where known[field.name] != nil {
      changes.append(FieldChange(name: field.name, from: field.value, to: nil))
    }
    return changes
  }
}

extension EntityRow {
  /// The parts that differ between two records; all parts where the record came or went.
  public static func changes(from before: EntityRow?, to after: EntityRow?) -> [FieldChange] {
    FieldChange.between(before?.fields ?? [], after?.fields ?? [])
  }

  /// The parts of the record, always the same names in the same order for a kind.
  public var fields: [RecordField] {
    switch self {
    case .cell(let row): Self.fields(of: row.record)
    case .host(let row): Self.fields(of: row.record)
    case .instance(let row): Self.fields(of: row.record)
    }
  }

  private static func fields(of record: CellRecord) -> [RecordField] {
    [
      RecordField("cell_name", .printed(record.name)),
      field("database", record.database), field("queue", record.queue),
      RecordField("options", .printed(record.options)),
      RecordField("disabled", .flag(record.disabled)),
      RecordField("being_removed", .flag(record.isBeingRemoved)),
      RecordField("coverage", .text(record.isCovered ? "complete" : "incomplete")),
    ] + fields(of: record.row)
  }

  private static func fields(of record: HostRecord) -> [RecordField] {
    [RecordField("cell", .printed(record.cell))] + fields(of: record.row)
  }

  private static func fields(of record: InstanceRecord) -> [RecordField] {
    [
      RecordField("cell", .printed(record.cell)),
      RecordField(
        "project", .text(record.owner.project.shown), seal: record.owner.project.sealBytes),
      RecordField("user", .text(record.owner.user.shown), seal: record.owner.user.sealBytes),
      RecordField("queued_for_delete", .flag(record.isQueuedForDelete)),
      RecordField("last_known_host", .printed(record.lastSeen?.host)),
      RecordField("last_known_host_at", .printed(record.lastSeen?.at)),
    ] + fields(of: record.row)
  }

  private static func fields(of row: NovaRow) -> [RecordField] {
    [
      RecordField("row", row.number.map { .number($0) } ?? .null),
      RecordField("created_at", .printed(row.createdAt)),
    ]
  }

  private static func field(_ name: String, _ address: SealedAddress?) -> RecordField {
    RecordField(
      name, .printed(address?.publicForm),
      seal: address.map { $0.key.uuid.bytes + $0.sealed } ?? [])
  }
}

extension PersonalText? {
  /// What tells one that can't be read from another.
  fileprivate var sealBytes: [UInt8] {
    switch self {
    case nil, .clear: []
    case .sealed(let key, let bytes): key.uuid.bytes + bytes
    case .shredded(let key): key.uuid.bytes
    }
  }

  /// The text, or what stands for one that can't be read.
  public var shown: String? {
    switch self {
    case nil: nil
    case .clear(let text): text.string
    case .sealed: "(sealed)"
    case .shredded: "(key shredded)"
    }
  }
}
