public import Journal

/// What the map knows of a cell's identity: UUIDs that Nova's own services wrote, and instances.
public struct RecordedIdentity: Hashable, Sendable {
  public var services: [UUID128]
  public var computeNodes: [UUID128]
  /// Instances mapped to the cell that its database should have.
  public var instances: [InstanceID]

  public init(services: [UUID128], computeNodes: [UUID128], instances: [InstanceID]) {
    self.services = services
    self.computeNodes = computeNodes
    self.instances = instances
  }

  var count: Int { services.count + computeNodes.count + instances.count }
}

/// Where the check asks what the map knows; the caller reads it from the index.
public struct IdentityKnowledge: Sendable {
  /// Some of what is recorded of the cell: at most that many of each kind.
  public let recorded: @Sendable (_ limit: Int) throws(CellError) -> RecordedIdentity
  /// The cells of which a service or a compute node with that UUID is recorded.
  public let cellsRecording: @Sendable (UUID128) throws(CellError) -> [CellID]

  public init(
    recorded: @escaping @Sendable (_ limit: Int) throws(CellError) -> RecordedIdentity,
    cellsRecording: @escaping @Sendable (UUID128) throws(CellError) -> [CellID]
  ) {
    self.recorded = recorded
    self.cellsRecording = cellsRecording
  }

  /// Nothing is known of any cell: every Nova cell's database is accepted as `unproven`.
  public static let none = IdentityKnowledge(
    recorded: { _ in RecordedIdentity(services: [], computeNodes: [], instances: []) },
    cellsRecording: { _ in [] })
}

/// What the check of a database against the map came to.
public enum IdentityVerdict: Hashable, Sendable {
  /// It has what was recorded of the cell.
  case accepted
  /// Nothing is known of the cell, and nothing in the database belongs to another.
  case unproven
  /// It has a service or a compute node of another cell, which isn't also ours.
  case wrongCell(CellID)
  /// Something is known of the cell, and the database doesn't have it.
  case unknown(looked: Int)
}

/// Whether a database is the cell's own.
///
/// Evidence is what Nova itself wrote, since nothing may be written into a cell. A server's identity
/// isn't asked: it changes on fail-over and is equal for cells on one server.
public enum CellIdentityCheck {
  /// How many recorded UUIDs of each kind are looked up, and how many of the database's own.
  public static let sampleSize = 16
  /// How many of the cell's instances the database must have, where no service or node is known.
  public static let neededInstances = 3

  /// Looks some of what is recorded up in the database, and some of the database's own among what
  /// is recorded of other cells; some sixty indexed look-ups.
  public static func verdict(
    on connection: CellConnection, by knowledge: IdentityKnowledge
  ) throws(CellError) -> IdentityVerdict {
    for source in [IdentitySource.services, .computeNodes] {
      for uuid in try connection.uuids(of: source, limit: sampleSize) {
        let owners = try knowledge.cellsRecording(uuid)
        if let other = owners.min(), !owners.contains(connection.cell) { return .wrongCell(other) }
      }
    }
    let recorded = try knowledge.recorded(sampleSize)
    if recorded.count == 0 { return .unproven }
    for uuid in recorded.services where try connection.has(uuid, in: .services) { return .accepted }
    for uuid in recorded.computeNodes where try connection.has(uuid, in: .computeNodes) {
      return .accepted
    }
    let needed = min(neededInstances, recorded.instances.count)
    var found = 0
    for instance in recorded.instances where found < needed {
      if try connection.has(instance.uuid, in: .instances) { found += 1 }
    }
    return needed > 0 && found >= needed ? .accepted : .unknown(looked: recorded.count)
  }
}
