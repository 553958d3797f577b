import Journal
import Projections

/// Things as they are named on the command line.
enum EntityArgument {
  static let help =
    "An instance's or cell's UUID, a cell's or host's name, or 'store'; 'cell:', 'host:' or "
    + "'instance:' before it says which is meant."

  /// The thing that a text means: it is, or was once, in the map.
  ///
  /// - Throws: `unknown` if the journal has no entry about it, `refused` if it may be several.
  static func entity(_ text: String, _ history: MapHistory) throws(CommandFailure) -> EntityKey {
    if text == "store" { return .store }
    let (kind, name) = split(text)
    var found: [EntityKey] = []
    for entity in try candidates(name) where kind == nil || entity.kind == kind {
      let entries = try projections { () throws(ProjectionError) in try history.entries(of: entity)
      }
      if !entries.isEmpty { found.append(entity) }
    }
    if kind == nil || kind == .cell { found += try cells(bearing: ByteText(name), history) }
    guard let entity = found.first else {
      throw CommandFailure(
        .unknown,
        "The journal has no entry about '\(text.prefix(80))'. Entries up to \(history.head) "
          + "were looked at.")
    }
    guard found.count == 1 else {
      throw CommandFailure(
        .refused,
        "'\(text.prefix(80))' may be \(found.map(\.description).joined(separator: " or ")). Write 'cell:', "
          + "'host:' or 'instance:' before it, or the cell's UUID.")
    }
    return entity
  }

  private static func split(_ text: String) -> (kind: EntityKey.Kind?, name: String) {
    for (prefix, kind) in [
      ("cell:", EntityKey.Kind.cell), ("host:", .host), ("instance:", .instance),
    ] where text.hasPrefix(prefix) {
      return (kind, String(text.dropFirst(prefix.count)))
    }
    return (nil, text)
  }

  private static func candidates(_ name: String) throws(CommandFailure) -> [EntityKey] {
    guard let uuid = UUID128(name) else { return [.host(ByteText(name))] }
    return [.instance(InstanceID(uuid)), .cell(CellID(uuid)), .host(ByteText(name))]
  }

  /// The cells that bear a name at the head; if none does, those that bore it once.
  private static func cells(
    bearing name: ByteText, _ history: MapHistory
  ) throws(CommandFailure) -> [EntityKey] {
    var (now, once): ([EntityKey], [EntityKey]) = ([], [])
    try projections { () throws(ProjectionError) in
      for id in try history.cellsEver() {
        let names = try history.versions(of: .cell(id)).map { $0.after?.cell?.record.name }
        if names.last == name { now.append(.cell(id)) }
        if names.contains(name) { once.append(.cell(id)) }
      }
    }
    return now.isEmpty ? once : now
  }
}

extension EntityKey {
  /// The kind and the key, as JSON has them.
  var fields: [String: JSONValue] {
    switch self {
    case .store: ["kind": "store"]
    case .cell(let id): ["kind": "cell", "cell": .printed(id)]
    case .host(let name): ["kind": "host", "host": .printed(name)]
    case .instance(let id): ["kind": "instance", "instance": .printed(id)]
    }
  }
}
