public import Journal

/// Why a message didn't reach a cell's queue, or why nobody knows whether it did.
public struct QueueError: Error, Hashable, Sendable {
  public let cell: CellID
  public let fault: QueueFault

  public init(cell: CellID, _ fault: QueueFault) {
    self.cell = cell
    self.fault = fault
  }
}

/// What went wrong with a message. After every case but `unconfirmed`, `noReply` and `badReply` the
/// message is in no queue, and will never be.
public enum QueueFault: Error, Hashable, Sendable {
  /// The cell's queue is `none:///`.
  case noQueue
  /// The address is of a transport without brokers (`fake`).
  case transportNotSupported(String)
  /// The address or the connection options want what this room has not.
  case optionNotSupported(name: String, value: String)
  /// No broker of the cell could be worked with; each that was tried, and why.
  case unreachable([BrokerFailure])
  /// Every connection to the cell's brokers was at work until the deadline.
  case connectionsBusy(limit: Int)
  /// The broker has no queue of that name: no nova-compute has ever listened there.
  case noSuchQueue(ByteText, said: String)
  /// The queue is there and nobody consumes from it: nova-compute is down.
  case nobodyListening(ByteText)
  /// The queue is there, and the exchange doesn't lead to it (312): the message was returned.
  case unroutable(ByteText, exchange: String)
  /// The broker takes nothing in for want of memory or disk.
  case blocked(ServerAddress, reason: String)
  /// The user may not write to the exchange, or declare a queue for replies (403).
  case refused(ServerAddress, said: String)
  /// The broker didn't take responsibility for the message (nack).
  case notTaken(ServerAddress)
  case messageTooLarge(bytes: Int, limit: Int)
  /// The message was sent, and the broker hadn't confirmed it at the deadline: it may have come.
  case unconfirmed(ServerAddress)
  /// The message was taken, and no answer came before the deadline.
  case noReply(ByteText)
  /// What came as an answer isn't one.
  case badReply(ByteText, why: String)
}

extension QueueFault {
  /// Whether the message may have been delivered all the same.
  public var isOutcomeUnknown: Bool {
    switch self {
    case .unconfirmed, .noReply, .badReply: true
    default: false
    }
  }
}

extension QueueError: CustomStringConvertible {
  public var description: String { "Cell \(cell): \(fault)" }
}

extension QueueFault: CustomStringConvertible {
  public var description: String {
    switch self {
    case .noQueue, .transportNotSupported, .optionNotSupported, .unreachable, .connectionsBusy:
      connectionDescription
    default: messageDescription
    }
  }

  private var connectionDescription: String {
    switch self {
    case .noQueue: "it has no queue (none:///). Give one with 'cell address'."
    case .transportNotSupported(let transport):
      "its queue's transport is \(transport), which has no broker. Give a rabbit:// address."
    case .optionNotSupported(let name, let value):
      "its queue wants \(name)=\(value), which isn't supported. Change it with 'cell address'."
    case .unreachable(let failures):
      "no broker of its queue can be worked with: "
        + failures.map(\.description).joined(separator: "; ")
        + ". Check the brokers and the way there, or correct the address with 'cell address'."
    case .connectionsBusy(let limit):
      "all \(limit) connections to its queue were at work until the deadline. Try again."
    default: ""
    }
  }

  private var messageDescription: String {
    switch self {
    case .noSuchQueue(let queue, let said):
      "there is no queue \(queue) (\(said)). Start nova-compute on that host."
    case .nobodyListening(let queue):
      "nobody listens to the queue \(queue). Start nova-compute on that host."
    case .unroutable(let queue, let exchange):
      "the exchange \(exchange) doesn't lead to the queue \(queue). Restart nova-compute there."
    case .blocked(let server, let reason):
      "the broker \(server) takes no messages (\(reason)). Free its memory or disk, and try again."
    case .refused(let server, let said):
      "the broker \(server) refused it: \(said) Give the user the right, or another address."
    case .notTaken(let server): "the broker \(server) didn't take the message. Look at its log."
    case .messageTooLarge(let bytes, let limit):
      "the message has \(bytes) bytes, and at most \(limit) are sent. Send less."
    case .unconfirmed(let server):
      "the broker \(server) got the message and had not confirmed it at the deadline. It may arrive."
    case .noReply(let queue):
      "nobody answered the message to \(queue) before the deadline. It may have been acted upon."
    case .badReply(let queue, let why): "the answer from \(queue) \(why)."
    default: ""
    }
  }
}
