/// What an event is about. Keys carry their kind: cell0 and Nova's marker row share one UUID.
public enum EntityKey: Hashable, Sendable {
  /// The store itself.
  case store
  case cell(CellID)
  case host(ByteText)
  case instance(InstanceID)

  /// The kind as entries and projections write it.
  public enum Kind: UInt8, Sendable {
    case store = 0
    case cell = 1
    case host = 2
    case instance = 3
  }

  public var kind: Kind {
    switch self {
    case .store: .store
    case .cell: .cell
    case .host: .host
    case .instance: .instance
    }
  }
}

extension EntityKey {
  /// The key alone, without its kind; empty for the store.
  var text: ByteText {
    switch self {
    case .store: ""
    case .cell(let id): ByteText(id.description)
    case .host(let name): name
    case .instance(let id): ByteText(id.description)
    }
  }
}

extension EntityKey: CustomStringConvertible {
  /// `cell UUID`, `host NAME`, `instance UUID` or `store`.
  public var description: String {
    switch self {
    case .store: "store"
    case .cell(let id): "cell \(id)"
    case .host(let name): "host \(name)"
    case .instance(let id): "instance \(id)"
    }
  }
}
