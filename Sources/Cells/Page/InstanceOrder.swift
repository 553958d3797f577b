public import Journal

/// A column of Nova's `instances` that a list can be sorted by.
public enum InstanceColumn: String, Hashable, Sendable, CaseIterable {
  case uuid
  case createdAt = "created_at"
  case updatedAt = "updated_at"
  case displayName = "display_name"
  case host, project
  case vmState = "vm_state"
  case launchedAt = "launched_at"

  /// Nova's name of the column.
  var name: String { self == .project ? "project_id" : rawValue }

  var isTime: Bool {
    switch self {
    case .createdAt, .updatedAt, .launchedAt: true
    default: false
    }
  }
}

/// An order of instances that tells any two apart: the keys that were asked for, and then the UUID.
///
/// Text is compared by its UTF-8 bytes, times by the moment, and NULL is less than every value, so
/// that each engine, and the merge of their answers, has the same order.
public struct InstanceOrder: Hashable, Sendable {
  /// One thing to sort by.
  public struct Key: Hashable, Sendable {
    public var column: InstanceColumn
    public var isDescending: Bool

    public init(_ column: InstanceColumn, isDescending: Bool = false) {
      self.column = column
      self.isDescending = isDescending
    }
  }

  /// The UUID is the last of them.
  public let keys: [Key]

  /// The order by some keys; what is named twice, or after the UUID, changes nothing and is dropped.
  public init(_ asked: [Key] = []) {
    var keys: [Key] = []
    for key in asked + [Key(.uuid)] where !keys.contains(where: { $0.column == key.column }) {
      keys.append(key)
      if key.column == .uuid { break }
    }
    self.keys = keys
  }

  /// Whether the UUID alone decides.
  public var isByUUID: Bool { keys[0].column == .uuid }

  /// Whether a row comes before another, by their values for the keys.
  public func precedes(_ left: [SortValue], _ right: [SortValue]) -> Bool {
    comparison(left, right) < 0
  }

  /// Less than 0 if the first row comes before the second, more if after it, 0 for equal UUIDs and
  /// values.
  public func comparison(_ left: [SortValue], _ right: [SortValue]) -> Int {
    for place in keys.indices where left[place] != right[place] {
      return (left[place] < right[place]) != keys[place].isDescending ? -1 : 1
    }
    return 0
  }
}

/// What a row has for a key.
public enum SortValue: Hashable, Comparable, Sendable {
  case null
  case time(Timestamp)
  case text(ByteText)
  case uuid(UUID128)

  /// NULL before every value; the others only among their kind.
  public static func < (left: Self, right: Self) -> Bool {
    switch (left, right) {
    case (.null, .null): false
    case (.null, _): true
    case (.time(let left), .time(let right)): left < right
    case (.text(let left), .text(let right)): left < right
    case (.uuid(let left), .uuid(let right)): left < right
    default: false
    }
  }

  init(_ text: ByteText?) { self = text.map { .text($0) } ?? .null }
  init(_ time: Timestamp?) { self = time.map { .time($0) } ?? .null }
}
