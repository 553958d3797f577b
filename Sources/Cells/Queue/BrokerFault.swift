public import Journal

/// Why one broker of a cell's queue can't be worked with.
public enum BrokerFault: Error, Hashable, Sendable {
  case nameUnresolved
  /// Nobody listens there, or no way leads there.
  case notConnected
  /// It took the connection, or a request, and had not answered at the deadline.
  case silent
  /// It went away without a word.
  case disconnected
  /// What answers doesn't speak AMQP 0-9-1.
  case notABroker
  case credentialsRefused
  case virtualHostMissing(ByteText)
  /// The user may not use the virtual host.
  case virtualHostRefused(ByteText)
  /// The broker closed the connection or a channel, with its code and words.
  case closed(code: UInt16, said: String)
  /// The broker's certificate isn't one of the CA's, or not for its name.
  case certificateRefused
  /// No TLS came about: a listener without it, or a client certificate that is missing or refused.
  case tlsFailed
  /// A file of the connection options can't be read, or isn't what it should be.
  case tlsFile(path: String)
  /// The system has no further thread or memory; `code` is errno or librabbitmq's status.
  case system(code: Int32)
}

/// A broker that was tried, and what came of it.
public struct BrokerFailure: Hashable, Sendable {
  public let server: ServerAddress
  public let fault: BrokerFault

  public init(server: ServerAddress, fault: BrokerFault) {
    self.server = server
    self.fault = fault
  }
}

extension BrokerFailure: CustomStringConvertible {
  public var description: String { "\(server) \(fault)" }
}

extension BrokerFault: CustomStringConvertible {
  /// What the broker did, to stand behind its name.
  public var description: String {
    switch self {
    case .nameUnresolved: "has a name that doesn't resolve"
    case .notConnected: "refused the connection or can't be reached"
    case .silent: "did not answer before the deadline"
    case .disconnected: "closed the connection without a word"
    case .notABroker: "does not speak AMQP 0-9-1"
    case .credentialsRefused: "refused the user or the password"
    case .virtualHostMissing(let name): "has no virtual host \(name)"
    case .virtualHostRefused(let name): "keeps the user out of the virtual host \(name)"
    case .closed(let code, let said): "closed the connection: \(code) \(said)"
    case .certificateRefused: "shows a certificate that isn't the CA's or isn't for its name"
    case .tlsFailed: "did not agree on TLS: no TLS there, or a client certificate is wanted"
    case .tlsFile(let path): "can't be reached, since \(path) can't be used"
    case .system(let code): "can't be worked with: the system failed with code \(code)"
    }
  }
}
