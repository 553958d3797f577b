public import Journal
internal import Synchronization

extension QueuePool {
  /// Sends a message to a compute host, and returns once it is in the host's queue; nobody answers.
  ///
  /// - Throws: as `deliver`.
  public func cast(
    _ message: RemoteMessage, toComputeHost host: ByteText, until deadline: ContinuousClock.Instant
  ) throws(QueueError) -> QueueReceipt {
    let queue = RemoteMessage.queue(ofComputeHost: host)
    let carried: QueueMessage
    do throws(QueueFault) {
      carried = try QueueMessage(queue: queue, body: message.envelope())
    } catch {
      throw QueueError(cell: cell, error)
    }
    return try deliver(carried, until: deadline)
  }

  /// Calls a method on several compute hosts at once, and waits for their answers.
  ///
  /// The message goes to one host after the other, over one connection, and only to those that
  /// listen; then all answers are waited for together.
  ///
  /// - Returns: An answer or a fault for each host, in their order.
  /// - Throws: What keeps all of them from being called.
  public func call(
    _ message: RemoteMessage, onComputeHosts hosts: [ByteText],
    until deadline: ContinuousClock.Instant
  ) throws(QueueError) -> [RemoteAnswer] {
    let answers = Mutex<[RemoteAnswer]>([])
    do throws(QueueFault) {
      _ = try perform(until: deadline) { session in
        var round = CallRound(message: message, hosts: hosts, deadline: deadline)
        let fault = round.run(on: session)
        answers.withLock { [answered = round.answers] in $0 = answered }
        return fault
      }
    } catch {
      let gathered = answers.withLock(\.self)
      guard !gathered.isEmpty else { throw QueueError(cell: cell, error) }
      return gathered
    }
    return answers.withLock(\.self)
  }
}

/// What a host answered to a call, and when.
public struct RemoteAnswer: Sendable {
  public let host: ByteText
  public let outcome: Result<RemoteReply, QueueFault>
  /// From the sending of its message to the answer; the whole time waited where none came.
  public let time: Duration
}

/// One message, sent to several hosts over one connection, and their answers.
private struct CallRound {
  let message: RemoteMessage
  let hosts: [ByteText]
  let deadline: ContinuousClock.Instant
  private var outcomes: [Int: (Result<RemoteReply, QueueFault>, Duration)] = [:]
  private var calls: [UUID128: (place: Int, sentAt: ContinuousClock.Instant)] = [:]
  private let start = ContinuousClock.now

  init(message: RemoteMessage, hosts: [ByteText], deadline: ContinuousClock.Instant) {
    self.message = message
    self.hosts = hosts
    self.deadline = deadline
  }

  var answers: [RemoteAnswer] {
    hosts.enumerated().map { place, host in
      let (outcome, time) =
        outcomes[place] ?? (.failure(.noReply(queue(of: host))), start.duration(to: .now))
      return RemoteAnswer(host: host, outcome: outcome, time: time)
    }
  }

  private func queue(of host: ByteText) -> ByteText { RemoteMessage.queue(ofComputeHost: host) }

  /// - Returns: What spoiled the connection; the answers that came until then stay.
  mutating func run(on session: QueueSession) -> DeliveryFault? {
    do throws(BrokerFault) {
      let replies = try session.queueForReplies(until: deadline)
      for place in hosts.indices {
        if let fault = try send(to: place, replies, on: session) {
          // The connection is spoilt; those whose turn doesn't come fail as this one.
          for rest in place..<hosts.count where outcomes[rest] == nil {
            outcomes[rest] = (.failure(fault), start.duration(to: .now))
          }
          return .queue(fault)
        }
      }
      while outcomes.count < hosts.count { take(try session.nextReply(until: deadline)) }
      return nil
    } catch .silent where ContinuousClock.now >= deadline && !calls.isEmpty {
      // The broker is well; some hosts have not answered.
      return nil
    } catch .closed(code: 403, let said) {
      return .queue(.refused(session.server, said: said))
    } catch {
      return .broker(BrokerFailure(server: session.server, fault: error))
    }
  }

  /// Sends to one host, if it listens.
  ///
  /// - Returns: What spoilt the connection; a fault of the host alone is noted.
  private mutating func send(
    to place: Int, _ replies: String, on session: QueueSession
  ) throws(BrokerFault) -> QueueFault? {
    let queue = queue(of: hosts[place])
    switch try session.ask(after: queue.string, until: deadline) {
    case .missing(let said):
      outcomes[place] = (.failure(.noSuchQueue(queue, said: said)), .zero)
      return nil
    case .there(consumers: 0):
      outcomes[place] = (.failure(.nobodyListening(queue)), .zero)
      return nil
    case .there: break
    }
    let call = UUID128.random()
    let body = message.envelope(replyTo: .init(queue: replies, call: call))
    calls[call] = (place, .now)
    do throws(DeliveryFault) {
      let left = ContinuousClock.now.duration(to: deadline)
      let carried: QueueMessage
      do throws(QueueFault) {
        carried = try QueueMessage(
          queue: queue, body: body, expiry: max(left, .milliseconds(1)))
      } catch {
        throw .queue(error)
      }
      _ = try session.deliver(carried, until: deadline, progress: DeliveryProgress())
      return nil
    } catch {
      calls[call] = nil
      switch error {
      case .queue(let fault) where try isOfHostAlone(fault, on: session):
        outcomes[place] = (.failure(fault), start.duration(to: .now))
        return nil
      case .queue(let fault): return fault
      case .broker(let failure): return .unreachable([failure])
      }
    }
  }

  /// Whether other hosts can still be sent to over the connection.
  private func isOfHostAlone(
    _ fault: QueueFault, on session: QueueSession
  ) throws(BrokerFault) -> Bool {
    switch fault {
    case .unroutable, .notTaken: true
    // It went away since it was looked for.
    case .noSuchQueue, .nobodyListening: try session.leaveAnnouncedMessage()
    default: false
    }
  }

  /// Takes an answer in; parts and answers to other calls are passed over.
  private mutating func take(_ body: [UInt8]) {
    do throws(ReplyError) {
      guard let reply = try IncomingReply(body), reply.isLast, let call = calls[reply.call] else {
        return
      }
      outcomes[call.place] = (.success(reply.reply), call.sentAt.duration(to: .now))
    } catch {
      guard let call = error.call.flatMap({ calls[$0] }) else { return }
      let fault = QueueFault.badReply(queue(of: hosts[call.place]), why: error.why)
      outcomes[call.place] = (.failure(fault), call.sentAt.duration(to: .now))
    }
  }
}
