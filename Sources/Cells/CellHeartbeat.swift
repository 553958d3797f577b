public import Journal

/// The last sign of life of one of a cell's services.
public struct CellHeartbeat: Hashable, Sendable {
  public let host: ByteText
  public let binary: ByteText
  /// By the clock of the service's host, in UTC.
  public let at: Timestamp

  public init(host: ByteText, binary: ByteText, at: Timestamp) {
    self.host = host
    self.binary = binary
    self.at = at
  }
}

extension CellConnection {
  /// The newest sign of life among the services of some binaries; nil if none has ever reported.
  public func latestHeartbeat(of binaries: [String]) throws(CellError) -> CellHeartbeat? {
    // Behind its table's name `binary` is a column in all three languages; alone it isn't.
    var query = SQLQuery(
      dialect, on: .services,
      "SELECT host, services.binary, last_seen_up FROM services "
        + "WHERE deleted = 0 AND last_seen_up IS NOT NULL AND services.binary IN (")
    let names = binaries.map { query.bind(.text(ByteText($0))) }
    query.append(names.joined(separator: ", ") + ") ORDER BY last_seen_up DESC LIMIT 1")
    var found: CellHeartbeat?
    try forEachRow(of: query) { (row) throws(DatabaseError) in
      guard let at = try row.time(2) else { return }
      found = CellHeartbeat(
        host: try row.text(0) ?? "", binary: try row.requiredText(1), at: at)
    }
    return found
  }
}
