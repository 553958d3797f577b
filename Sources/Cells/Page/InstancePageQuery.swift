public import Journal

/// Which instances of a cell a list has.
public struct InstanceFilter: Hashable, Sendable {
  /// Only this one.
  public var instance: InstanceID?
  public var project: ByteText?
  public var user: ByteText?
  public var host: ByteText?
  public var vmState: ByteText?
  /// A text that the display name contains, byte for byte.
  public var name: ByteText?
  /// Updated then or later; what was never updated counts from when it was made.
  public var changedSince: Timestamp?
  public var deletion = Deletion.live
  /// The copies, too, that a move between cells keeps out of sight.
  public var includesHidden = false

  /// Whether rows are listed that Nova has marked as deleted.
  public enum Deletion: UInt8, Hashable, Sendable {
    case live, deleted, any
  }

  public init() {}
}

/// A page of a cell's instances: the first ones in an order, or those after a row of before.
public struct InstancePageQuery: Hashable, Sendable {
  public var order: InstanceOrder
  public var filter: InstanceFilter
  /// The values of the row after which the page begins, one for each key; the row needn't be there.
  public var after: [SortValue]?
  /// The most rows.
  public var limit: Int

  public init(
    order: InstanceOrder, filter: InstanceFilter, after: [SortValue]? = nil, limit: Int
  ) {
    precondition(after.map { $0.count == order.keys.count } ?? true, "a value for each key")
    precondition(limit > 0, "a page has rows")
    self.order = order
    self.filter = filter
    self.after = after
    self.limit = limit
  }
}

/// A row of a page, with its place in the order.
public struct InstancePageRow: Hashable, Sendable {
  public let instance: CellInstance
  /// A value for each key.
  public let values: [SortValue]
}
