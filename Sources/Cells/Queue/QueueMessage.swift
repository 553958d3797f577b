public import Journal

/// A message as a broker carries it: where to, and its bytes.
public struct QueueMessage: Sendable {
  /// The topic exchange; Nova's is `nova`.
  public let exchange: String
  /// The queue, which is its own routing key.
  public let queue: ByteText
  /// JSON, as UTF-8.
  public let body: [UInt8]
  /// How long a queue keeps it; nil for ever.
  public let expiry: Duration?

  /// The most bytes of a body.
  public static let maximumBytes = 4 << 20

  /// - Precondition: The body isn't empty: a message without one is complete with its header.
  /// - Throws: `messageTooLarge`.
  public init(
    exchange: String = "nova", queue: ByteText, body: [UInt8], expiry: Duration? = nil
  ) throws(QueueFault) {
    precondition(!body.isEmpty, "a message has a body")
    guard body.count <= Self.maximumBytes else {
      throw .messageTooLarge(bytes: body.count, limit: Self.maximumBytes)
    }
    self.exchange = exchange
    self.queue = queue
    self.body = body
    self.expiry = expiry
  }
}

/// What a broker confirmed: the message is in a queue to which somebody listens.
public struct QueueReceipt: Hashable, Sendable {
  public let broker: ServerAddress
  public let queue: ByteText
  /// How many consumed from the queue when the message was sent.
  public let consumers: Int
}
