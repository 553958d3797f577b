public import Journal

extension ServerAddress {
  /// Whether the host has an address that a connection could be made to, as the system resolves it
  /// before `deadline`; a numeric one has itself.
  public func resolves(until deadline: ContinuousClock.Instant) -> Bool {
    (try? NameResolution.addresses(of: self, until: deadline)) != nil
  }

  /// Whether the host is a name, and no IPv4 or IPv6 address.
  var isName: Bool { !NameResolution.isNumeric(host.string) }
}

extension QueueLocation {
  /// The brokers, in the order written.
  public var servers: [ServerAddress] { brokers.map(\.server) }
}

extension CellDatabaseLocation {
  /// The servers, in the order written; none for a file or a socket.
  public var servers: [ServerAddress] {
    guard case .server(let address) = self, case .servers(let servers) = address.place else {
      return []
    }
    return servers
  }
}
