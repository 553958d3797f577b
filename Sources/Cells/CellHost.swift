public import Journal

/// A compute host as its cell's database has it.
public struct CellHost: Hashable, Sendable {
  /// The name of the compute service, which is also the suffix of its queue.
  public let name: ByteText
  /// The compute nodes of the host that aren't deleted; none for an Ironic host without machines.
  public internal(set) var nodeCount: Int
  /// Its nova-compute, if the database has one.
  public internal(set) var service: CellService?
}

/// A nova-compute service, as it last wrote itself into its cell's database.
public struct CellService: Hashable, Sendable {
  /// Nova's number for what the service can do; it grows with each release.
  public let version: Int64?
  /// By the clock of whoever wrote it; nil for a service that never reported.
  public let lastSeenAt: Timestamp?
  public let isDisabled: Bool
  public let isForcedDown: Bool
}

extension CellConnection {
  /// The compute hosts of the cell, by name: those of compute nodes and of nova-compute services
  /// alike, since either may lack the other.
  ///
  /// Nova's `compute_nodes.mapped` isn't looked at: it says that some map once had the node.
  public func computeHosts() throws(CellError) -> [CellHost] {
    var hosts: [ByteText: CellHost] = [:]
    let nodes = SQLQuery(
      dialect, on: .computeNodes, "SELECT host FROM compute_nodes WHERE deleted = 0")
    try forEachRow(of: nodes) { (row) throws(DatabaseError) in
      guard let name = try row.text(0), name != "" else { return }
      hosts[name, default: CellHost(name: name, nodeCount: 0)].nodeCount += 1
    }
    // Behind its table's name `binary` is a column in all three languages; alone it isn't.
    let services = SQLQuery(
      dialect, on: .services,
      "SELECT host, version, last_seen_up, disabled, forced_down FROM services "
        + "WHERE services.binary = 'nova-compute' AND deleted = 0 ORDER BY id")
    try forEachRow(of: services) { (row) throws(DatabaseError) in
      guard let name = try row.text(0), name != "" else { return }
      hosts[name, default: CellHost(name: name, nodeCount: 0)].service = CellService(
        version: try row.integerIfPresent(1), lastSeenAt: try row.time(2),
        isDisabled: try row.flag(3) ?? false, isForcedDown: try row.flag(4) ?? false)
    }
    return hosts.values.sorted { $0.name < $1.name }
  }
}
