import CRabbitMQ
import Foundation
import Journal
import Synchronization
import Testing

/// Listens to a compute host's queue as nova-compute does, by plain librabbitmq, and answers pings.
final class ComputeListener: Sendable {
  /// How an RPC server declares its exchange and queues.
  enum Durability: CaseIterable, Sendable {
    case transient, durable, quorum
  }

  private let host: String
  private let gathered = Mutex<[[UInt8]]>([])
  private let isEnding = Atomic<Bool>(false)
  private let ended = DispatchSemaphore(value: 0)

  /// The bodies of the messages that came.
  var bodies: [[UInt8]] { gathered.withLock { $0 } }

  /// The message inside of an envelope.
  static func inner(of body: [UInt8]) throws -> JSONValue {
    let outer = try JSONValue(parsing: body)
    #expect(outer["oslo.version"] == "2.0")
    return try JSONValue(parsing: try #require(outer["oslo.message"]?.string))
  }

  /// Declares what nova-compute declares, and consumes unless `isDeaf`.
  init(
    host: String, on broker: TestBroker, virtualHost: String = "cell1",
    durability: Durability = .transient, isDeaf: Bool = false, answers: Bool = true
  ) throws {
    self.host = host
    let connection = try RawConnection(to: broker, virtualHost: virtualHost)
    connection.declare("compute.\(host)", durability)
    if isDeaf {
      connection.close()
      isEnding.store(true, ordering: .releasing)
      ended.signal()
      return
    }
    connection.consume("compute.\(host)")
    nonisolated(unsafe) let given = connection  // Used by the thread alone from here on.
    let isStarted = OwnThread.start { [self] in
      while !isEnding.load(ordering: .acquiring) {
        guard let body = given.nextBody() else { continue }
        gathered.withLock { $0.append(body) }
        if answers, let inner = try? Self.inner(of: body) { given.answer(inner) }
      }
      given.close()
      ended.signal()
    }
    precondition(isStarted, "a thread for the listener")
  }

  /// Binds the queue again, where another listener has declared the exchange anew.
  func bind(on broker: TestBroker) {
    guard let connection = try? RawConnection(to: broker, virtualHost: "cell1") else { return }
    connection.bind("compute.\(host)")
    connection.close()
  }

  func end() {
    isEnding.store(true, ordering: .releasing)
    ended.wait()
  }

  /// Waits until so many messages have come, or the limit has passed.
  func wait(for count: Int, within limit: Duration = .seconds(60)) -> [[UInt8]] {
    let deadline = ContinuousClock.now + limit
    while bodies.count < count, .now < deadline { usleep(5_000) }
    return bodies
  }
}

/// A connection by librabbitmq's simplest calls.
private final class RawConnection {
  let state: amqp_connection_state_t

  init(to broker: TestBroker, virtualHost: String) throws {
    state = amqp_new_connection()
    let socket = amqp_tcp_socket_new(state)
    try #require(amqp_socket_open(socket, "127.0.0.1", Int32(broker.port)) == 0)
    let reply = CRabbitLogin(state, virtualHost, 0, "test", "nova", broker.password)
    try #require(reply.reply_type == AMQP_RESPONSE_NORMAL)
    amqp_channel_open(state, 1)
  }

  func declare(_ queue: String, _ durability: ComputeListener.Durability) {
    let durable: Int32 = durability == .transient ? 0 : 1
    // Another durability may have been there before; nobody else uses the virtual host now.
    amqp_exchange_delete(state, 1, bytes("nova"), 0)
    amqp_exchange_declare(
      state, 1, bytes("nova"), bytes("topic"), 0, durable, 0, 0, amqp_empty_table)
    amqp_queue_delete(state, 1, bytes(queue), 0, 0)
    var entry = amqp_table_entry_t()
    entry.key = bytes("x-queue-type")
    entry.value.kind = UInt8(AMQP_FIELD_KIND_UTF8.rawValue)
    entry.value.value.bytes = bytes("quorum")
    withUnsafeMutablePointer(to: &entry) { entry in
      let table = amqp_table_t(num_entries: durability == .quorum ? 1 : 0, entries: entry)
      amqp_queue_declare(state, 1, bytes(queue), 0, durable, 0, 0, table)
    }
    let reply = amqp_get_rpc_reply(state)
    #expect(reply.reply_type == AMQP_RESPONSE_NORMAL, "the queue is declared")
    bind(queue)
  }

  func bind(_ queue: String) {
    amqp_queue_bind(state, 1, bytes(queue), bytes("nova"), bytes(queue), amqp_empty_table)
  }

  func consume(_ queue: String) {
    amqp_basic_consume(state, 1, bytes(queue), amqp_empty_bytes, 0, 1, 0, amqp_empty_table)
    #expect(amqp_get_rpc_reply(state).reply_type == AMQP_RESPONSE_NORMAL, "it is consumed")
  }

  /// The next message's body; nil if none comes within a twentieth of a second.
  func nextBody() -> [UInt8]? {
    var envelope = amqp_envelope_t()
    var time = timeval(tv_sec: 0, tv_usec: 50_000)
    amqp_maybe_release_buffers(state)
    let reply = amqp_consume_message(state, &envelope, &time, 0)
    guard reply.reply_type == AMQP_RESPONSE_NORMAL else { return nil }
    defer { amqp_destroy_envelope(&envelope) }
    let body = envelope.message.body
    return Array(UnsafeRawBufferPointer(start: body.bytes, count: body.len))
  }

  /// Answers a call as oslo.messaging does; a method `fail` raises.
  func answer(_ call: JSONValue) {
    guard let queue = call["_reply_q"]?.string, let id = call["_msg_id"] else { return }
    var inner: [String: JSONValue] = [
      "_msg_id": id, "ending": .flag(true), "result": "pong", "failure": .null,
    ]
    if call["method"] == "fail" {
      let failure = JSONValue.object([
        "class": "UnsupportedVersion", "module": "oslo_messaging.rpc.dispatcher",
        "message": "Endpoint does not support RPC version 9.0",
      ])
      inner["result"] = .null
      inner["failure"] = .text(failure.line)
    }
    let outer = JSONValue.object([
      "oslo.version": "2.0", "oslo.message": .text(JSONValue.object(inner).line),
    ])
    amqp_basic_publish(state, 1, amqp_empty_bytes, bytes(queue), 0, 0, nil, bytes(outer.line))
  }

  func close() {
    amqp_connection_close(state, 200)
    amqp_destroy_connection(state)
  }

  /// Bytes that are never freed: tests are short.
  private func bytes(_ text: String) -> amqp_bytes_t {
    amqp_bytes_malloc_dup(amqp_cstring_bytes(text))
  }
}
