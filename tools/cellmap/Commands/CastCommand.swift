import ArgumentParser
import Cells
import Foundation
import Journal
import Router

/// `cellmap cast`: a message to the nova-compute of an instance's host.
struct CastCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cast", abstract: "Sends a message to the nova-compute of an instance's host.",
    discussion: """
      The host is read from the live cell in this call; an instance without one is refused (9), and so \
      is one whose cell can't be read. The message goes through the cell's RabbitMQ as Nova's own do, \
      and is done once the broker has confirmed it in a queue to which somebody listens (else 8). \
      Nobody answers a cast.

      'ping' does nothing but be received. Every other method passes by Nova's locks, quotas and task \
      states: it wants --unsafe-method, --reason and the --version of the method. Nothing is written \
      into the store.
      """)
  @OptionGroup var store: StoreOptions
  @OptionGroup var base: BaseOptions
  @Argument(help: "The instance's UUID.") var instance: String
  @OptionGroup var message: MessageOptions
  @Option(
    help: ArgumentHelp("How long cell and queue may take in all.", valueName: "milliseconds"))
  var deadline = 5000
  @Option(help: "Why a method other than ping is called; shown in the answer.") var reason: String?
  @Option(
    name: .customLong("request-id"),
    help: ArgumentHelp(
      "A UUID that becomes the message's own id. A nova-compute that got it among its last sixteen "
        + "messages drops it, so that an unknown outcome (10) may be tried again.",
      valueName: "uuid"))
  var requestID: String?

  func validate() throws {
    guard (1...600_000).contains(deadline) else {
      throw ValidationError("--deadline must be 1 to 600000 milliseconds.")
    }
    if let requestID, UUID128(requestID) == nil {
      throw ValidationError("--request-id wants a UUID of 36 characters.")
    }
    try PlainText.checkSentence(reason, "--reason")
  }

  func run() throws {
    guard let id = InstanceID(instance) else {
      throw CommandFailure(.usage, UUIDArgument.complaint(about: instance))
    }
    let request = requestID.flatMap { UUID128($0) } ?? .timeOrdered(at: .now)
    let remote = try message.message(id: request)
    if !message.isHarmless, reason?.allSatisfy(\.isWhitespace) != false {
      throw CommandFailure(.usage, "A method other than ping wants a reason. Give --reason TEXT.")
    }
    let session = try StoreSession(store)
    let router = try session.router(try base.addressBase())
    defer { router.closeIdleQueues() }
    let started = ContinuousClock.now
    let cast: Cast
    do throws(RouterError) {
      cast = try router.cast(remote, to: id, until: started + .milliseconds(deadline))
    } catch {
      throw CommandFailure(error)
    }
    switch cast.outcome {
    case .delivered(let live, let receipt):
      report(cast, live, receipt, remote, after: started.duration(to: .now))
    case .refused(let refusal):
      throw CommandFailure(refusal.status, "Instance \(id) \(refusal)")
    case .undelivered(let live, let why):
      throw failure(why, live, request)
    }
  }

  private func failure(
    _ why: CellUnavailable, _ live: LiveRoute, _ request: UUID128
  ) -> CommandFailure {
    if case .queue(let error) = why, error.fault.isOutcomeUnknown {
      return CommandFailure(
        .outcomeUnknown, "\(why) Ask again with --request-id \(request).")
    }
    return CommandFailure(.queue, why.description)
  }

  private func report(
    _ cast: Cast, _ live: LiveRoute, _ receipt: QueueReceipt, _ remote: RemoteMessage,
    after time: Duration
  ) {
    guard store.json else {
      return Console.say(
        "Sent \(remote.method) to \(receipt.queue) of cell \(live.target.name ?? "-") through "
          + "\(receipt.broker); \(receipt.consumers) listening. Message \(remote.id).")
    }
    var fields: [String: JSONValue] = [
      "instance": .printed(cast.instance), "cell": .printed(live.target.id),
      "cell_name": .printed(live.target.name), "queue": .printed(live.target.publicQueue),
      "host": .printed(live.placement.host), "message_queue": .printed(receipt.queue),
      "broker": .printed(receipt.broker), "consumers": .number(receipt.consumers),
      "method": .text(remote.method), "version": .text(remote.version),
      "namespace": .text(remote.namespace), "request": .printed(remote.id),
      "reason": .text(reason), "actor": .printed(Caller.actor), "delivered": .flag(true),
      "milliseconds": .number(Int(time / .milliseconds(1))), "position": .printed(cast.position),
    ]
    if !live.isCellProven { fields["cell_identity"] = .text("unproven") }
    Console.print(JSONValue.object(fields).line)
  }
}

/// What is called, and with what.
struct MessageOptions: ParsableArguments {
  @Argument(help: "The method, such as ping.") var method: String
  @Argument(
    help: ArgumentHelp(
      "The arguments: a JSON object, - for standard input, or @FILE. Objects of Nova's are given as "
        + "their primitives.", valueName: "args-json"))
  var arguments: String = "{}"
  @Option(
    help: ArgumentHelp(
      "The version of the method that is asked for, such as 6.0.", valueName: "major.minor"))
  var version: String?
  @Option(help: "The method's namespace; the compute methods have none.") var namespace: String?
  @Option(
    help: ArgumentHelp(
      "A file with the request's context: a JSON object by Nova's names, such as user_id.",
      valueName: "file"))
  var context: String?
  @Flag(
    name: .customLong("unsafe-method"),
    help: "Allows a method other than ping, past Nova's locks, quotas and task states.")
  var isUnsafeAllowed = false

  /// Whether it is the ping that every server answers and none acts upon.
  var isHarmless: Bool {
    method == "ping" && namespace ?? RemoteMessage.pingNamespace == RemoteMessage.pingNamespace
  }

  func message(id: UUID128) throws(CommandFailure) -> RemoteMessage {
    if !isHarmless {
      guard isUnsafeAllowed else {
        throw CommandFailure(
          .usage,
          "Only ping is sent without --unsafe-method: \(method) would pass by Nova's locks, "
            + "quotas and task states.")
      }
      guard version != nil else {
        throw CommandFailure(
          .usage,
          "Give the --version of \(method): nova-compute 34 takes 5.0 to 5.13 and 6.0 to 6.5.")
      }
    }
    var members = try Self.object(try Self.text(arguments), "The arguments")
    if isHarmless, members.isEmpty { members["arg"] = "cellmap" }
    var parts: [String: JSONValue] = [:]
    if let context {
      parts = try Self.object(try Self.text("@" + context), "The context")
      if let name = parts.keys.first(where: { $0.isEmpty || $0.hasPrefix("_") }) {
        throw CommandFailure(
          .usage, "The context has the name '\(name)'. Give Nova's own, such as user_id.")
      }
    }
    if parts["request_id"] == nil { parts["request_id"] = .text("req-\(id)") }
    do throws(RemoteMessageError) {
      return try RemoteMessage(
        method: method, arguments: members, version: version ?? "1.0",
        namespace: isHarmless ? RemoteMessage.pingNamespace : namespace, context: parts, id: id)
    } catch {
      throw CommandFailure(.usage, error.description)
    }
  }

  private static func text(_ argument: String) throws(CommandFailure) -> [UInt8] {
    if argument == "-" { return Array(FileHandle.standardInput.readDataToEndOfFile()) }
    guard argument.hasPrefix("@") else { return Array(argument.utf8) }
    return try GivenFile.bytes(String(argument.dropFirst()), with: "the message")
  }

  private static func object(
    _ bytes: [UInt8], _ what: String
  ) throws(CommandFailure) -> [String: JSONValue] {
    let value: JSONValue
    do throws(JSONError) { value = try JSONValue(parsing: bytes) } catch {
      throw CommandFailure(.usage, "\(what): the text \(error).")
    }
    guard case .object(let members) = value else {
      throw CommandFailure(.usage, "\(what) must be a JSON object.")
    }
    return members
  }
}

extension CastRefusal {
  var status: ExitStatus {
    switch self {
    case .unknown(isComplete: true), .inConflict: .unknown
    case .unknown(isComplete: false): .partial
    default: .refused
    }
  }
}
