internal import Cells
internal import Journal

/// A table that is published to, and its columns beside id and times.
enum PublishedTable: Int, Sendable {
  case cells, hosts, instances
  /// What is made of the cells' copies; rows are only added.
  case requestSpecs, flavors, flavorExtraSpecs, keyPairs

  /// The three that the map itself is published to.
  static let mapped: [PublishedTable] = [.cells, .hosts, .instances]

  struct Column: Sendable {
    let name: String
    let kind: SQLColumnKind
  }

  var table: NovaTable {
    switch self {
    case .cells: .cellMappings
    case .hosts: .hostMappings
    case .instances: .instanceMappings
    case .requestSpecs: .requestSpecs
    case .flavors: .flavors
    case .flavorExtraSpecs: .flavorExtraSpecs
    case .keyPairs: .keyPairs
    }
  }

  /// How many of the first columns are the key, by which a row is there or isn't.
  var keyColumns: ArraySlice<Column> {
    columns.prefix(self == .flavorExtraSpecs || self == .keyPairs ? 2 : 1)
  }

  /// The columns that are published; the first one is the key, or its beginning.
  var columns: [Column] {
    switch self {
    case .cells:
      [
        Column(name: "uuid", kind: .text), Column(name: "name", kind: .text),
        Column(name: "transport_url", kind: .text),
        Column(name: "database_connection", kind: .text),
        Column(name: "disabled", kind: .flag),
      ]
    case .hosts: [Column(name: "host", kind: .text), Column(name: "cell_id", kind: .number)]
    case .instances:
      [
        Column(name: "instance_uuid", kind: .text), Column(name: "cell_id", kind: .number),
        Column(name: "project_id", kind: .text), Column(name: "user_id", kind: .text),
        Column(name: "queued_for_delete", kind: .flag),
      ]
    case .requestSpecs:
      [Column(name: "instance_uuid", kind: .text), Column(name: "spec", kind: .text)]
    case .flavors:
      [
        Column(name: "flavorid", kind: .text), Column(name: "name", kind: .text),
        Column(name: "memory_mb", kind: .number), Column(name: "vcpus", kind: .number),
        Column(name: "root_gb", kind: .number), Column(name: "ephemeral_gb", kind: .number),
        Column(name: "swap", kind: .number), Column(name: "rxtx_factor", kind: .real),
        Column(name: "vcpu_weight", kind: .number), Column(name: "disabled", kind: .flag),
        Column(name: "is_public", kind: .flag), Column(name: "description", kind: .text),
      ]
    case .flavorExtraSpecs:
      [
        Column(name: "flavor_id", kind: .number), Column(name: "key", kind: .text),
        Column(name: "value", kind: .text),
      ]
    case .keyPairs:
      [
        Column(name: "user_id", kind: .text), Column(name: "name", kind: .text),
        Column(name: "fingerprint", kind: .text), Column(name: "public_key", kind: .text),
        Column(name: "type", kind: .word(ofType: "keypair_types")),
      ]
    }
  }

  var key: Column { columns[0] }

  func place(of column: String) -> Int {
    guard let place = columns.firstIndex(where: { $0.name == column }) else {
      preconditionFailure("\(table) has no column \(column)")
    }
    return place
  }

  /// A value as people may see it: addresses without their secrets.
  func shown(_ value: SQLValue, of column: Column) -> String {
    let field: AddressField? =
      switch column.name {
      case "transport_url": .queue
      case "database_connection": .database
      default: nil
      }
    switch value {
    case .null: return "NULL"
    case .integer(let number): return "\(number)"
    case .text(let text):
      if column.name == "spec" || column.name == "public_key" {
        return "(\(text.string.utf8.count) bytes)"
      }
      guard let field else { return text.string }
      return (try? field.publicForm(of: Secret(text.string)).string) ?? "an unreadable address"
    }
  }

  /// Whether a value is an address that shows a secret when it is written out.
  func holdsSecret(_ value: SQLValue, of column: Column) -> Bool {
    guard case .text(let text) = value,
      column.name == "transport_url" || column.name == "database_connection"
    else { return false }
    return shown(value, of: column) != text.string
  }
}

/// A row of one of them: flags are 0 and 1 whatever the engine, and no value is ever printed but by
/// `PublishedTable.shown`.
struct PublishedRow: Hashable, Sendable, CustomStringConvertible {
  /// The numeric id; nil for a row that isn't there and may have any.
  var number: UInt64?
  /// In the order of the table's columns.
  var values: [SQLValue]
  /// As the database has them; NULL in a row that was never changed.
  var createdAt: ByteText?
  var updatedAt: ByteText?

  var key: ByteText {
    if case .text(let text) = values[0] { text } else { "" }
  }

  /// When Nova last wrote the row, as far as the row says so.
  var lastChange: Timestamp? {
    [createdAt, updatedAt].compactMap { $0.flatMap { Timestamp($0.string) } }.max()
  }

  var description: String { "row \(number.map { "\($0)" } ?? "-")" }
}

extension SQLValue {
  init(_ text: ByteText?) { self = text.map { .text($0) } ?? .null }
  init(_ number: UInt64?) { self = number.map { .integer(Int64(bitPattern: $0)) } ?? .null }
  init(_ flag: Bool?) { self = flag.map { .integer($0 ? 1 : 0) } ?? .null }
}

extension PublishedRow {
  /// Whether a row of `instance_mappings` is one of Nova's own marker rows.
  var isMarker: Bool {
    guard case .text(let project) = values[PublishedTable.instances.place(of: "project_id")] else {
      return false
    }
    return NovaInstanceRow(
      number: number ?? 0, uuid: key, cellNumber: nil, project: project, user: nil,
      queuedForDelete: nil, createdAt: nil
    ).isMarker
  }
}
