public import Journal

extension CellConnectionPool {
  /// Calls `body` with a new connection to whatever database is at the cell's address, and with
  /// what the map makes of it: for work that finds out whether it is the cell's.
  ///
  /// Blocks the calling thread until `deadline` at most. The connection is closed afterwards.
  ///
  /// - Throws: What `body` throws; everything of `CellConnection.open`; `identityUnreadable`.
  public func examine<Result>(
    until deadline: ContinuousClock.Instant,
    _ body: (CellConnection, IdentityVerdict) throws(CellError) -> Result
  ) throws(CellError) -> Result {
    let connection = try CellConnection.open(location, of: cell, until: deadline)
    try connection.begin(until: deadline)
    return try body(connection, try CellIdentityCheck.verdict(on: connection, by: knowledge))
  }
}

extension CellConnection {
  /// The evidence by which the database is recognised later: all UUIDs of its services and compute
  /// nodes that aren't deleted.
  ///
  /// - Parameter unreadable: Is given each value that is no UUID, as by `uuids`.
  public func identity(
    unreadable: (IdentitySource, ByteText) -> Void = { _, _ in }
  ) throws(CellError) -> CellIdentity {
    CellIdentity(
      services: try uuids(of: .services, limit: .max) { unreadable(.services, $0) },
      computeNodes: try uuids(of: .computeNodes, limit: .max) { unreadable(.computeNodes, $0) })
  }
}
