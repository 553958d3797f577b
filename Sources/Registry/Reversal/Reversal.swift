public import Journal

/// What shall be again of things as it was before some entries: one command, or a chunk of one.
public struct Reversal: Sendable {
  /// A thing, and what the map held of it; nil for nothing.
  public enum Item: Hashable, Sendable {
    /// Addresses as they were sealed then.
    case cell(CellID, CellRecord?)
    case host(ByteText, HostRecord?)
    case instance(InstanceID, InstanceRecord?)
    /// A conflict that was decided, and is open again.
    case conflict(EntityKey, FoundConflict)

    public var entity: EntityKey {
      switch self {
      case .cell(let id, _): .cell(id)
      case .host(let name, _): .host(name)
      case .instance(let id, _): .instance(id)
      case .conflict(let entity, _): entity
      }
    }

    /// It takes a cell away.
    var removesCell: Bool { if case .cell(_, nil) = self { true } else { false } }
  }

  /// The first and the last of the entries that are undone: what a later one says stands.
  public var first: Position
  public var last: Position
  /// In the order in which they are made.
  public var items: [Item]
  /// Cells that the whole command takes away, in this chunk or another: their names and databases are
  /// free.
  public var leavingCells: Set<CellID>
  /// Cells of which nothing but the keys was changed since, each with the last entry that did so: that
  /// stands against nothing.
  public var rekeyed: [CellID: UInt64]

  public init(
    first: Position, last: Position, items: [Item], leavingCells: Set<CellID>,
    rekeyed: [CellID: UInt64] = [:]
  ) {
    self.first = first
    self.last = last
    self.items = items
    self.leavingCells = leavingCells
    self.rekeyed = rekeyed
  }

  /// The last entry that may have changed a thing: a later one is a decision that stands.
  func lastEntry(allowedFor entity: EntityKey) -> UInt64 {
    guard case .cell(let id) = entity, let entry = rekeyed[id] else { return last.index }
    return max(entry, last.index)
  }
}
