import Journal
import Projections

/// Things as they are named on the command line.
enum EntityArgument {
  static let help =
    "An instance's or cell's UUID, a cell's or host's name, or 'store'; 'cell:', 'host:' or "
    + "'instance:' before it says which is meant."

  /// The thing that a text means: it is, or was once, in the map.
  ///
  /// - Parameter indexes: Between which the map is in question, from the one before its first change on; where a cell
  ///   is named, another one that bore the name in that time may be meant.
  /// - Throws: `unknown` if the journal has no entry about it, `refused` if it may be several.
  static func entity(
    _ text: String, _ history: MapHistory, during indexes: ClosedRange<UInt64> = 0...UInt64.max
  ) throws(CommandFailure) -> EntityKey {
    if text == "store" { return .store }
    let (kind, name) = split(text)
    var found: [EntityKey] = []
    for entity in try candidates(name) where kind == nil || entity.kind == kind {
      let entries = try projections { () throws(ProjectionError) in try history.entries(of: entity)
      }
      if !entries.isEmpty { found.append(entity) }
    }
    if kind == nil || kind == .cell {
      found += try cells(bearing: ByteText(name), history, indexes)
    }
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

  /// The cell that a name or UUID means.
  ///
  /// - Throws: As `entity`.
  static func cell(
    _ text: String, _ history: MapHistory, during indexes: ClosedRange<UInt64>
  ) throws(CommandFailure) -> CellID {
    guard case .cell(let id) = try entity("cell:" + text, history, during: indexes) else {
      preconditionFailure("a cell was asked for")
    }
    return id
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

  /// The cells that bear a name at the head; if none does, those that bore it once. Where a present cell
  /// is taken for one of before, a remark names the other: what is asked about the past may mean that one.
  private static func cells(
    bearing name: ByteText, _ history: MapHistory, _ indexes: ClosedRange<UInt64>
  ) throws(CommandFailure) -> [EntityKey] {
    var (now, once): ([EntityKey], [NameBearer]) = ([], [])
    try projections { () throws(ProjectionError) in
      for id in try history.cellsEver() {
        let bearer = NameBearer(id, of: name, try history.versions(of: .cell(id)))
        if bearer.isNow { now.append(.cell(id)) } else if bearer.isOnce { once.append(bearer) }
      }
    }
    guard !now.isEmpty else { return once.map { .cell($0.cell) } }
    let others = once.filter { $0.bore(during: indexes) }
    for bearer in others.prefix(maximumRemarks) { tell(bearer.remark) }
    if others.count > maximumRemarks {
      tell("'\(name.string)' was the name of \(others.count) other cells in all.")
    }
    return now
  }

  private static let maximumRemarks = 5

  /// A name that is given twice is told about once.
  private static func tell(_ remark: String) {
    if told.insert(remark).inserted { Console.remark(remark) }
  }

  // The command line is read by one thread.
  nonisolated(unsafe) private static var told: Set<String> = []
}

/// When a cell bore a name.
private struct NameBearer {
  let cell: CellID
  private let name: ByteText
  /// The entries that gave it the name, each with the one that took it again.
  private var times: [(from: Position, to: Position?)] = []

  init(_ cell: CellID, of name: ByteText, _ versions: [EntityVersion]) {
    self.cell = cell
    self.name = name
    for version in versions {
      let bears = version.after?.cell?.record.name == name
      if bears, !isNow { times.append((version.entry.position, nil)) }
      if !bears, isNow { times[times.count - 1].to = version.entry.position }
    }
  }

  /// The cell bears the name after the last of its versions.
  var isNow: Bool { times.last.map { $0.to == nil } ?? false }
  var isOnce: Bool { !times.isEmpty }

  /// It bore the name after one of these entries.
  func bore(during indexes: ClosedRange<UInt64>) -> Bool {
    times.contains { span in
      span.from.index <= indexes.upperBound
        && span.to.map { $0.index > indexes.lowerBound } ?? true
    }
  }

  var remark: String {
    let spans = times.map { "from \($0.from) to \($0.to.map { "\($0)" } ?? "now")" }
    // Not 'cell UUID', which a remark tells by the cell's present name.
    return
      "'\(name.string)' also was the name of another cell, \(cell), \(spans.joined(separator: " and ")): "
      + "give its UUID to ask about that one."
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
