public import Journal

/// A row of `cell_mappings`; the addresses are secrets.
public struct NovaCellRow: Sendable {
  public var number: UInt64
  public var uuid: ByteText
  public var name: ByteText?
  public var queue: Secret?
  public var database: Secret?
  public var disabled: Bool?
  public var createdAt: Timestamp?
  /// It has a time of creation, which can't be read as one.
  public var hasUnreadTime = false
}

/// A row of `host_mappings`.
public struct NovaHostRow: Sendable {
  public var number: UInt64
  public var host: ByteText
  public var cellNumber: UInt64
  public var createdAt: Timestamp?
  /// It has a time of creation, which can't be read as one.
  public var hasUnreadTime = false
}

/// A row of `instance_mappings`.
public struct NovaInstanceRow: Sendable {
  public var number: UInt64
  public var uuid: ByteText
  public var cellNumber: UInt64?
  public var project: ByteText
  public var user: ByteText?
  public var queuedForDelete: Bool?
  public var createdAt: Timestamp?
  /// It has a time of creation, which can't be read as one.
  public var hasUnreadTime = false

  /// Rows that Nova's own upgrade commands leave in the table; they map nothing.
  ///
  /// `map_instances` keeps its progress in a row of the project `INSTANCE_MIGRATION_MARKER`;
  /// `online_data_migrations` makes an instance whose UUID is all zero.
  public var isMarker: Bool {
    project == "INSTANCE_MIGRATION_MARKER" || uuid == NovaInstanceRow.zero
  }

  private static let zero = ByteText(UUID128.zero.description)
}
