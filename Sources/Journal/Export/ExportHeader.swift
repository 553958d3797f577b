/// The first line of an export: whose entries it holds, which, and the tree that they are of.
public struct ExportHeader: Hashable, Sendable {
  public let store: StoreID
  /// The last entry of the tree.
  public let position: Position
  /// The root of the tree of all entries up to it.
  public let root: Digest
  /// The first entry that was asked for.
  public let first: UInt64
  /// What the entries are about, as text in the order of its bytes; nil for everything.
  public let entities: [String]?
  /// Whether it holds every entry of the tree, up to the end of a commit: then it can be imported.
  public let isComplete: Bool
  /// Whether each entry bears the path that leads to the root.
  public let hasProofs: Bool
  /// A signed checkpoint of the tree.
  public let checkpoint: String?

  private static let kind = "cellmap export"
  private static let format: UInt64 = 1

  public init(
    store: StoreID, position: Position, root: Digest, first: UInt64, entities: [String]?,
    isComplete: Bool, hasProofs: Bool, checkpoint: String?
  ) {
    self.store = store
    self.position = position
    self.root = root
    self.first = first
    self.entities = entities
    self.isComplete = isComplete
    self.hasProofs = hasProofs
    self.checkpoint = checkpoint
  }

  /// The line, without its end.
  var text: String {
    JSONValue.object([
      "kind": .text(Self.kind), "format": .number(Self.format), "store": .printed(store),
      "position": .printed(position), "root": .printed(root), "first": .number(first),
      "entities": entities.map { .list($0.map { .text($0) }) } ?? .null,
      "complete": .flag(isComplete), "proofs": .flag(hasProofs), "checkpoint": .text(checkpoint),
    ]).line
  }

  /// Reads the line.
  ///
  /// - Throws: `notAnExport`, `newerFormat`, or `line` for an export's header that is damaged.
  init(parsing line: [UInt8], of path: String) throws(ExportError) {
    guard let value = try? JSONValue(parsing: line), value["kind"]?.string == Self.kind else {
      throw .notAnExport(path: path, why: "its first line is another")
    }
    guard value["format"] == .number(Self.format) else {
      throw .newerFormat(path: path, version: value["format"]?.line ?? "?")
    }
    guard let header = ExportHeader(value), Array(header.text.utf8) == line else {
      throw .line(path: path, number: 1, what: "its members are not those of an export")
    }
    self = header
  }

  private init?(_ value: JSONValue) {
    guard let store = value["store"]?.string.flatMap({ StoreID($0) }),
      let position = value["position"]?.string.flatMap({ Position($0) }),
      let root = value["root"]?.string.flatMap({ Digest(hexadecimal: $0) }),
      case .number(let number)? = value["first"], let first = UInt64(number.text),
      case .flag(let isComplete)? = value["complete"], case .flag(let hasProofs)? = value["proofs"]
    else { return nil }
    var entities: [String]?
    if case .list(let items)? = value["entities"] { entities = items.compactMap(\.string) }
    self.init(
      store: store, position: position, root: root, first: first, entities: entities,
      isComplete: isComplete, hasProofs: hasProofs, checkpoint: value["checkpoint"]?.string)
  }
}

/// The last line of an export: how many entries there are, and the digest of all bytes before it.
struct ExportEnd: Hashable {
  let entries: UInt64
  let sha256: Digest

  var text: String {
    JSONValue.object([
      "kind": "cellmap export end", "entries": .number(entries), "sha256": .printed(sha256),
    ]).line
  }
}
