internal import Journal
internal import Synchronization

/// A connection at work: what is sent, and what the broker's answers mean.
///
/// It declares nothing that isn't its own, so that it works with any durability of Nova's queues.
/// One thread alone uses it, and drops it after any thrown error but those before a message is
/// announced.
final class QueueSession {
  let server: ServerAddress
  private let connection: RabbitConnection
  private var published: UInt64 = 0
  /// Why the broker takes nothing in, while it doesn't.
  private var blockedReason: String?
  private var replyQueue: String?
  /// A message that is coming in on the channel of replies, and those that have come.
  private var incoming: (bytes: Int, body: [UInt8])?
  private var replies: [[UInt8]] = []

  /// Every channel has one purpose, so that the closing of one says what was refused.
  private enum Channel {
    static let questions: UInt16 = 1
    static let replies: UInt16 = 2
    static let firstForMessages: UInt16 = 3
    /// RabbitMQ allows 2,047.
    static let lastForMessages: UInt16 = 64
  }

  /// The channel of messages.
  private var messages = Channel.firstForMessages

  private static let replyQueueExpiry = Duration.seconds(60)
  /// The longest reply that is read.
  private static let maximumReplyBytes: UInt64 = 16 << 20

  var descriptor: Int32 { connection.descriptor }

  /// Connects, logs in, and opens the channels.
  init(
    to broker: Broker, by location: QueueLocation, until deadline: ContinuousClock.Instant
  ) throws(BrokerFault) {
    server = broker.server
    connection = try RabbitConnection(to: broker, by: location, until: deadline)
    try connection.openChannel(messages)
    try connection.selectConfirms(on: messages)
    try connection.openChannel(Channel.questions)
    try wait(until: deadline) { frame in
      if case .channelOpened(Channel.questions) = frame { true } else { nil }
    }
  }

  /// Says goodbye; a second at most.
  func close() { connection.close() }

  /// Sends and answers heartbeats, and reads what the broker has to say to an idle connection.
  ///
  /// - Throws: Whatever makes it useless.
  func keepAlive() throws(BrokerFault) {
    while true {
      do throws(BrokerFault) {
        try refuse(try nextFrame(until: .now))
      } catch .silent {
        return
      }
    }
  }

  // MARK: Sending

  /// Brings a message into a queue, and returns once the broker has confirmed it.
  ///
  /// The broker gets all of the message but its body, and is asked after the queue in one breath. A
  /// broker that takes nothing in stops reading at a content's header, and says so instead of
  /// answering. Then, and where the queue is missing or nobody listens, the body is never sent, and
  /// without it there is no message. (RabbitMQ's rabbit_reader blocks after headers and bodies.)
  ///
  /// - Parameter progress: Is told before the body is sent.
  func deliver(
    _ message: QueueMessage, until deadline: ContinuousClock.Instant, progress: DeliveryProgress
  ) throws(DeliveryFault) -> Int {
    let queue = message.queue.string
    let answer: QueueState
    do throws(BrokerFault) {
      try connection.announce(message, on: messages)
      answer = try ask(after: queue, until: deadline)
    } catch {
      throw DeliveryFault(error, blocked: blockedReason, by: server)
    }
    guard case .there(let consumers) = answer else {
      throw .queue(.noSuchQueue(message.queue, said: answer.said))
    }
    guard consumers > 0 else { throw .queue(.nobodyListening(message.queue)) }
    progress.isOnItsWay.store(true, ordering: .releasing)
    let confirmation: Confirmation
    do throws(BrokerFault) {
      try connection.sendBody(message.body, on: messages)
      published += 1
      confirmation = try self.confirmation(until: deadline)
    } catch {
      throw DeliveryFault(sent: error, by: server)
    }
    switch confirmation {
    case .taken: return consumers
    case .returned: throw .queue(.unroutable(message.queue, exchange: message.exchange))
    case .notTaken: throw .queue(.notTaken(server))
    }
  }

  /// Leaves a message behind that was announced and whose body was never sent, so that others can be
  /// sent.
  ///
  /// They go over a channel of their own from here on: RabbitMQ takes what follows an announced
  /// message on its channel for the body, and a goodbye there for an error of the connection.
  ///
  /// - Returns: False if that was done too often on this connection.
  func leaveAnnouncedMessage() throws(BrokerFault) -> Bool {
    guard messages < Channel.lastForMessages else { return false }
    messages += 1
    published = 0
    try connection.openChannel(messages)
    try connection.selectConfirms(on: messages)
    return true
  }

  private enum Confirmation {
    case taken, notTaken
    /// Mandatory, and in no queue: the broker sends it back, and confirms it all the same.
    case returned
  }

  /// The broker's word on the last message.
  private func confirmation(
    until deadline: ContinuousClock.Instant
  ) throws(BrokerFault) -> Confirmation {
    var isReturned = false
    return try wait(until: deadline) { [published] frame in
      switch frame {
      case .returned:
        isReturned = true
        return nil
      case .acknowledged(let upTo) where upTo >= published: return isReturned ? .returned : .taken
      case .rejected(let upTo) where upTo >= published: return .notTaken
      default: return nil
      }
    }
  }

  // MARK: Asking

  /// What a broker says of a queue.
  enum QueueState {
    case there(consumers: Int)
    case missing(said: String)

    var said: String {
      if case .missing(let said) = self { said } else { "" }
    }
  }

  /// Looks for a queue without making it.
  func ask(
    after queue: String, until deadline: ContinuousClock.Instant
  ) throws(BrokerFault) -> QueueState {
    try connection.askAfter(queue, on: Channel.questions)
    let state = try wait(until: deadline) { frame -> QueueState? in
      switch frame {
      case .declared(let consumers): .there(consumers: consumers)
      case .channelClosed(Channel.questions, code: 404, let said): .missing(said: said)
      default: nil
      }
    }
    if case .missing = state {
      try connection.confirmClosing(Channel.questions)
      try connection.openChannel(Channel.questions)
    }
    return state
  }

  // MARK: Replies

  /// The queue to which answers come, made when first asked for; it goes with this connection.
  func queueForReplies(until deadline: ContinuousClock.Instant) throws(BrokerFault) -> String {
    if let replyQueue { return replyQueue }
    let name = "reply_" + UUID128.random().hexadecimal
    try connection.openChannel(Channel.replies)
    try connection.declareOwn(name, expiringAfter: Self.replyQueueExpiry, on: Channel.replies)
    try connection.consume(name, on: Channel.replies)
    try wait(until: deadline) { frame in
      if case .consuming = frame { true } else { nil }
    }
    replyQueue = name
    return name
  }

  /// The next message in the queue of replies.
  func nextReply(until deadline: ContinuousClock.Instant) throws(BrokerFault) -> [UInt8] {
    while replies.isEmpty { _ = try nextFrame(until: deadline) }
    return replies.removeFirst()
  }

  /// Puts the messages of the channel of replies together, whatever is waited for when they come.
  private func gather(_ frame: RabbitFrame) {
    switch frame {
    case .header(Channel.replies, let count):
      incoming = count <= Self.maximumReplyBytes ? (Int(count), []) : nil
    case .body(Channel.replies, let part): incoming?.body += part
    default: return
    }
    guard let message = incoming, message.body.count >= message.bytes else { return }
    replies.append(message.body)
    incoming = nil
  }

  // MARK: Waiting

  private func nextFrame(until deadline: ContinuousClock.Instant) throws(BrokerFault) -> RabbitFrame
  {
    let frame = try connection.nextFrame(until: deadline)
    gather(frame)
    return frame
  }

  /// Reads until `match` takes a frame.
  @discardableResult
  private func wait<Answer>(
    until deadline: ContinuousClock.Instant, for match: (RabbitFrame) -> Answer?
  ) throws(BrokerFault) -> Answer {
    while true {
      let frame = try nextFrame(until: deadline)
      if let answer = match(frame) { return answer }
      try refuse(frame)
    }
  }

  /// What ends a connection's use, whatever was waited for.
  private func refuse(_ frame: RabbitFrame) throws(BrokerFault) {
    switch frame {
    case .connectionClosed(let code, let said), .channelClosed(_, let code, let said):
      throw .closed(code: code, said: said)
    case .blocked(let reason):
      blockedReason = reason
      throw .closed(code: 0, said: reason)
    default: break
    }
  }
}

/// Why a delivery failed, as far as the session knows: before it was sent the broker's fault alone.
enum DeliveryFault: Error {
  case queue(QueueFault)
  /// Nothing was sent, and another connection may do better.
  case broker(BrokerFailure)

  init(_ fault: BrokerFault, blocked reason: String?, by server: ServerAddress) {
    if let reason {
      self = .queue(.blocked(server, reason: reason))
    } else if case .closed(code: 403, let said) = fault {
      self = .queue(.refused(server, said: said))
    } else {
      self = .broker(BrokerFailure(server: server, fault: fault))
    }
  }

  /// The same once the body was sent.
  init(sent fault: BrokerFault, by server: ServerAddress) {
    switch fault {
    // The channel was closed on the message's account: no right to write, or no such exchange.
    case .closed(code: 403, let said), .closed(code: 404, let said):
      self = .queue(.refused(server, said: said))
    default: self = .queue(.unconfirmed(server))
    }
  }
}
