public import Journal

/// What routing needs of an instance's row in its cell.
public struct InstancePlacement: Hashable, Sendable {
  /// The compute service's host, which is also the suffix of its queue; nil for an instance that
  /// never got one, is still being built, or was shelved and offloaded.
  public let host: ByteText?
  public let vmState: ByteText?
  public let taskState: ByteText?
  /// Nova's soft delete: `deleted` isn't 0.
  public let isDeleted: Bool
  /// The other copy of an instance that moves between cells is the visible one.
  public let isHidden: Bool
}

/// An instance's row in its cell.
public struct CellInstance: Hashable, Sendable {
  public let id: InstanceID
  public let placement: InstancePlacement
  /// The hypervisor's own name, which differs from the host for Ironic.
  public let node: ByteText?
  public let displayName: ByteText?
  public let project: ByteText?
  public let user: ByteText?
  public let createdAt: Timestamp?
  public let updatedAt: Timestamp?
  public let deletedAt: Timestamp?
  public let launchedAt: Timestamp?
}
