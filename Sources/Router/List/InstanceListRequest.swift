public import Cells
public import Journal

/// What is asked of all cells at once: which instances, in which order, how many, from where on.
public struct InstanceListRequest: Hashable, Sendable {
  public var order: InstanceOrder
  public var filter: InstanceFilter
  public var scope = Scope.everything
  /// The most rows of a page; memory is bounded by it, times the cells.
  public var limit = 1_000
  public var start = Start.beginning
  /// With a project in the filter, only cells are asked in which the map has instances of it; all
  /// are asked while the coverage of any cell is incomplete. Cells without a database are named
  /// either way.
  public var asksOnlyCellsOfProject = true
  public var batching = ListBatching.distributed

  /// The most that `limit` may be.
  public static let maximumLimit = 10_000

  public init(order: InstanceOrder = InstanceOrder(), filter: InstanceFilter = InstanceFilter()) {
    self.order = order
    self.filter = filter
  }

  public enum Scope: Hashable, Sendable {
    /// All cells, and the instances that have none yet.
    case everything
    case cell(CellID)
    /// Only the instances that have no cell yet.
    case withoutCell
  }

  public enum Start: Hashable, Sendable {
    case beginning
    /// After an instance, at the place that it has now.
    case after(InstanceID)
    /// After an earlier page, by what `InstanceList.next` gave.
    case token(String)
  }
}

/// How many rows a cell is asked for at a time.
public enum ListBatching: Hashable, Sendable {
  /// A cell's share of the page, and a tenth more.
  case distributed
  case fixed(Int)
  /// The whole page of every cell.
  case whole

  /// The fewest rows of a batch: a smaller one costs as much.
  static let minimum = 100

  /// Nova's own batch sizes (`get_instance_objects_sorted`): one cell is asked for everything.
  func size(limit: Int, cells: Int) -> Int {
    guard cells > 1 else { return limit }
    return switch self {
    case .distributed: max(min(limit * 11 / (cells * 10), limit), Self.minimum)
    case .fixed(let count): max(min(count, limit), Self.minimum)
    case .whole: limit
    }
  }
}

extension InstanceOrder {
  /// Whether the map has what it sorts by.
  var isKnownToMap: Bool {
    keys.allSatisfy { [.uuid, .createdAt, .project].contains($0.column) }
  }

  /// The same of a store that may seal owners: projects that are sealed have no order.
  func isKnown(toMapWith owners: OwnerKeys?) -> Bool {
    isKnownToMap && (owners?.seals != true || !keys.contains { $0.column == .project })
  }
}

extension InstanceFilter {
  /// Whether the map can tell which instances it has.
  var isKnownToMap: Bool {
    host == nil && vmState == nil && name == nil && changedSince == nil && deletion != .deleted
  }
}
