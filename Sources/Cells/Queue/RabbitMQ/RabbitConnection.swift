internal import CRabbitMQ
internal import Glibc
internal import Journal

/// An AMQP 0-9-1 connection: sends methods and contents, and hands out frames.
///
/// The only wrapper of librabbitmq, which one thread alone may use: it is made, used and dropped on
/// one `QueueThread`. After a thrown error it must not be used again. What the broker's answers mean
/// is `QueueSession`'s to know.
@safe final class RabbitConnection {
  private let state: amqp_connection_state_t
  /// The largest part of a body that one frame carries.
  private let bodyFrameBytes: Int
  /// The file descriptor, which another thread may shut down to end a call that blocks.
  let descriptor: Int32

  /// Connects to a broker and logs in, until `deadline`.
  ///
  /// Resolving the name isn't broken off by the deadline: whoever waits for this thread must be
  /// ready to leave it behind.
  ///
  /// - Throws: every `BrokerFault`.
  init(
    to broker: Broker, by location: QueueLocation, until deadline: ContinuousClock.Instant
  ) throws(BrokerFault) {
    unsafe state = try Self.connected(to: broker, by: location, until: deadline)
    descriptor = unsafe amqp_get_sockfd(state)
    // A frame has 8 bytes around its content.
    bodyFrameBytes = unsafe Int(amqp_get_frame_max(state)) - 8
  }

  deinit { unsafe amqp_destroy_connection(state) }

  /// A connection that is logged in; what fails on the way is closed.
  private static func connected(
    to broker: Broker, by location: QueueLocation, until deadline: ContinuousClock.Instant
  ) throws(BrokerFault) -> amqp_connection_state_t {
    guard let state = unsafe amqp_new_connection() else { throw .system(code: ENOMEM) }
    do throws(BrokerFault) {
      let socket = unsafe try Self.socket(of: state, location.security, to: broker.server)
      let time = try CRabbitTime(until: deadline)
      let host = broker.server.host.string
      let status = unsafe CRabbitOpenSocket(socket, host, Int32(broker.server.port), time)
      guard status == 0 else { throw BrokerFault(opening: status) }
      unsafe try Self.logIn(on: state, to: broker, by: location, until: deadline)
      return unsafe state
    } catch {
      unsafe amqp_destroy_connection(state)
      throw error
    }
  }

  private static func socket(
    of state: amqp_connection_state_t, _ security: TransportSecurity?, to server: ServerAddress
  ) throws(BrokerFault) -> OpaquePointer {
    guard let security else {
      guard let socket = unsafe amqp_tcp_socket_new(state) else { throw .system(code: ENOMEM) }
      return unsafe socket
    }
    guard let socket = unsafe amqp_ssl_socket_new(state) else { throw .system(code: ENOMEM) }
    let authorities = security.authorityFile
    guard unsafe amqp_ssl_socket_set_cacert(socket, authorities) == 0 else {
      throw .tlsFile(path: authorities)
    }
    if let own = security.ownCertificate {
      guard unsafe amqp_ssl_socket_set_key(socket, own.certificateFile, own.keyFile) == 0 else {
        throw .tlsFile(path: own.keyFile)
      }
    }
    unsafe amqp_ssl_socket_set_verify_peer(socket, 1)
    // librabbitmq 0.11 compares names only, and would refuse a certificate for an IP address.
    unsafe amqp_ssl_socket_set_verify_hostname(socket, server.isName ? 1 : 0)
    unsafe amqp_ssl_socket_set_ssl_versions(socket, AMQP_TLSv1_2, AMQP_TLSvLATEST)
    return unsafe socket
  }

  private static func logIn(
    on state: amqp_connection_state_t, to broker: Broker, by location: QueueLocation,
    until deadline: ContinuousClock.Instant
  ) throws(BrokerFault) {
    let time = try CRabbitTime(until: deadline)
    unsafe _ = CRabbitSetHandshakeTime(state, time)
    var clear = broker.password.withExposed { span in
      (0..<span.count).map { CChar(bitPattern: span[$0]) } + [0]
    }
    // librabbitmq keeps a copy of its own, which nobody can wipe.
    defer { for place in clear.indices { clear[place] = 0 } }
    let reply = unsafe CRabbitLogin(
      state, location.virtualHost.string, Int32(location.heartbeatSeconds), location.name,
      broker.user.string, clear)
    switch unsafe reply.reply_type {
    case AMQP_RESPONSE_NORMAL: return
    case AMQP_RESPONSE_SERVER_EXCEPTION:
      let frame = unsafe RabbitFrame(
        amqp_frame_t(
          frame_type: UInt8(AMQP_FRAME_METHOD), channel: 0, payload: .init(method: reply.reply)))
      guard case .connectionClosed(let code, let said) = frame else { throw .notABroker }
      throw BrokerFault(closedAtLogin: code, said: said, virtualHost: location.virtualHost)
    default: throw BrokerFault(loggingIn: unsafe reply.library_error)
    }
  }

  /// Says goodbye to the broker; a second at most.
  func close() {
    var method = unsafe zeroed(amqp_connection_close_t.self)
    unsafe method.reply_code = 200
    do throws(BrokerFault) {
      unsafe try send(&method, CRabbitConnectionClose, on: 0)
      _ = try nextFrame(until: .now + .seconds(1))
    } catch {
      // Whoever goes first is gone.
    }
  }

  // MARK: Sending

  func openChannel(_ channel: UInt16) throws(BrokerFault) {
    var method = unsafe zeroed(amqp_channel_open_t.self)
    unsafe try send(&method, CRabbitChannelOpen, on: channel)
  }

  /// Agrees to the broker's closing of a channel, which may be opened again then.
  func confirmClosing(_ channel: UInt16) throws(BrokerFault) {
    var method = unsafe zeroed(amqp_channel_close_ok_t.self)
    unsafe try send(&method, CRabbitChannelCloseOK, on: channel)
  }

  func selectConfirms(on channel: UInt16) throws(BrokerFault) {
    var method = unsafe zeroed(amqp_confirm_select_t.self)
    unsafe try send(&method, CRabbitConfirmSelect, on: channel)
  }

  /// Asks after a queue, and makes none.
  func askAfter(_ queue: String, on channel: UInt16) throws(BrokerFault) {
    unsafe try declare(queue, on: channel) { method in unsafe method.passive = 1 }
  }

  /// Makes a queue of this connection's own, which goes with it.
  func declareOwn(
    _ queue: String, expiringAfter expiry: Duration, on channel: UInt16
  ) throws(BrokerFault) {
    let milliseconds = Int32(expiry / .milliseconds(1))
    unsafe try withBytes("x-expires") { (name) throws(BrokerFault) in
      var entry = unsafe amqp_table_entry_t()
      unsafe entry.key = name
      unsafe entry.value.kind = UInt8(AMQP_FIELD_KIND_I32.rawValue)
      unsafe entry.value.value.i32 = milliseconds
      unsafe try withUnsafeMutablePointer(to: &entry) { (entry) throws(BrokerFault) in
        unsafe try declare(queue, on: channel) { method in
          unsafe method.exclusive = 1
          unsafe method.auto_delete = 1
          unsafe method.arguments = amqp_table_t(num_entries: 1, entries: entry)
        }
      }
    }
  }

  private func declare(
    _ queue: String, on channel: UInt16, _ fill: (inout amqp_queue_declare_t) -> Void
  ) throws(BrokerFault) {
    unsafe try withBytes(queue) { (name) throws(BrokerFault) in
      var method = unsafe amqp_queue_declare_t()
      unsafe method.queue = name
      unsafe fill(&method)
      unsafe try send(&method, CRabbitQueueDeclare, on: channel)
    }
  }

  /// Takes in every message of a queue, without acknowledging any.
  func consume(_ queue: String, on channel: UInt16) throws(BrokerFault) {
    unsafe try withBytes(queue) { (name) throws(BrokerFault) in
      var method = unsafe amqp_basic_consume_t()
      unsafe method.queue = name
      unsafe method.no_ack = 1
      unsafe method.exclusive = 1
      unsafe try send(&method, CRabbitBasicConsume, on: channel)
    }
  }

  /// Says that a mandatory message comes, and all of it but the body: persistent JSON, as
  /// oslo.messaging marks it. `sendBody` must follow on this channel.
  func announce(_ message: QueueMessage, on channel: UInt16) throws(BrokerFault) {
    unsafe try withBytes(message.exchange) { (exchange) throws(BrokerFault) in
      unsafe try withBytes(message.queue.string) { (key) throws(BrokerFault) in
        var method = unsafe amqp_basic_publish_t()
        unsafe method.exchange = exchange
        unsafe method.routing_key = key
        unsafe method.mandatory = 1
        unsafe try send(&method, CRabbitBasicPublish, on: channel)
      }
    }
    let expiry = message.expiry.map { "\(Int64($0 / .milliseconds(1)))" }
    unsafe try withBytes("application/json") { (type) throws(BrokerFault) in
      unsafe try withBytes("utf-8") { (encoding) throws(BrokerFault) in
        unsafe try withBytes(expiry ?? "") { (expiryBytes) throws(BrokerFault) in
          var properties = unsafe amqp_basic_properties_t()
          unsafe properties.content_type = type
          unsafe properties.content_encoding = encoding
          unsafe properties.delivery_mode = 2
          unsafe properties.priority = 0
          unsafe properties._flags = Self.contentFlags
          if expiry != nil {
            unsafe properties.expiration = expiryBytes
            unsafe properties._flags |= Self.expirationFlag
          }
          unsafe try sendHeader(&properties, bodyBytes: message.body.count, on: channel)
        }
      }
    }
  }

  private func sendHeader(
    _ properties: inout amqp_basic_properties_t, bodyBytes: Int, on channel: UInt16
  ) throws(BrokerFault) {
    unsafe try withUnsafeMutablePointer(to: &properties) { (pointer) throws(BrokerFault) in
      var frame = unsafe amqp_frame_t()
      unsafe frame.frame_type = UInt8(AMQP_FRAME_HEADER)
      unsafe frame.channel = channel
      unsafe frame.payload.properties.class_id = 60
      unsafe frame.payload.properties.body_size = UInt64(bodyBytes)
      unsafe frame.payload.properties.decoded = UnsafeMutableRawPointer(pointer)
      try check(unsafe amqp_send_frame(state, &frame))
    }
  }

  /// Sends the body of the announced message.
  func sendBody(_ body: [UInt8], on channel: UInt16) throws(BrokerFault) {
    var start = 0
    while start < body.count {
      let end = min(start + bodyFrameBytes, body.count)
      let status = unsafe body[start..<end].withUnsafeBytes { part in
        var frame = unsafe amqp_frame_t()
        unsafe frame.frame_type = UInt8(AMQP_FRAME_BODY)
        unsafe frame.channel = channel
        unsafe frame.payload.body_fragment = amqp_bytes_t(
          len: part.count, bytes: UnsafeMutableRawPointer(mutating: part.baseAddress))
        return unsafe amqp_send_frame(state, &frame)
      }
      try check(status)
      start = end
    }
  }

  @unsafe private func send<Form>(
    _ method: inout Form, _ number: CRabbitMethod, on channel: UInt16
  ) throws(BrokerFault) {
    let status = unsafe withUnsafeMutablePointer(to: &method) { pointer in
      unsafe amqp_send_method(state, channel, number.rawValue, pointer)
    }
    try check(status)
  }

  // MARK: Receiving

  /// The next frame; heartbeats are sent and answered meanwhile.
  ///
  /// - Throws: `silent` if there is none until `deadline`.
  func nextFrame(until deadline: ContinuousClock.Instant) throws(BrokerFault) -> RabbitFrame {
    unsafe amqp_maybe_release_buffers(state)
    var frame = unsafe amqp_frame_t()
    let time = CRabbitTime(ContinuousClock.now.duration(to: deadline))
    try check(unsafe CRabbitWaitFrame(state, &frame, time))
    return unsafe RabbitFrame(frame)
  }

  private func check(_ status: Int32) throws(BrokerFault) {
    if status != 0 { throw BrokerFault(working: status) }
  }
}

extension RabbitConnection {
  /// AMQP_BASIC_CONTENT_TYPE_FLAG and its kin are shifts of bits, which Swift doesn't import.
  private static let contentFlags: amqp_flags_t = 1 << 15 | 1 << 14 | 1 << 12 | 1 << 11
  private static let expirationFlag: amqp_flags_t = 1 << 8
}

/// Calls `body` with a text as librabbitmq takes it, which is good until `body` returns.
private func withBytes(
  _ text: String, _ body: (amqp_bytes_t) throws(BrokerFault) -> Void
) throws(BrokerFault) {
  let bytes = Array(text.utf8)
  let outcome = unsafe bytes.withUnsafeBytes { buffer -> Result<Void, BrokerFault> in
    let given = unsafe amqp_bytes_t(
      len: buffer.count, bytes: UnsafeMutableRawPointer(mutating: buffer.baseAddress))
    do throws(BrokerFault) { return .success(unsafe try body(given)) } catch {
      return .failure(error)
    }
  }
  try outcome.get()
}

extension CRabbitTime {
  /// The time that is left.
  ///
  /// - Throws: `silent` if none is.
  fileprivate init(until deadline: ContinuousClock.Instant) throws(BrokerFault) {
    let left = ContinuousClock.now.duration(to: deadline)
    guard left > .zero else { throw .silent }
    self.init(left)
  }

  /// At least nothing, at most a day.
  fileprivate init(_ time: Duration) {
    let microseconds = Int(max(0, min(time / .microseconds(1), 8.64e10)))
    self.init(seconds: microseconds / 1_000_000, microseconds: microseconds % 1_000_000)
  }
}

extension BrokerFault {
  /// librabbitmq's status of a connection that wasn't made (amqp_status_enum).
  fileprivate init(opening status: Int32) {
    switch amqp_status_enum_(status) {
    case AMQP_STATUS_HOSTNAME_RESOLUTION_FAILED: self = .nameUnresolved
    case AMQP_STATUS_SOCKET_ERROR, AMQP_STATUS_TCP_ERROR: self = .notConnected
    case AMQP_STATUS_TIMEOUT: self = .silent
    case AMQP_STATUS_SSL_HOSTNAME_VERIFY_FAILED, AMQP_STATUS_SSL_PEER_VERIFY_FAILED:
      self = .certificateRefused
    case AMQP_STATUS_SSL_CONNECTION_FAILED, AMQP_STATUS_SSL_ERROR: self = .tlsFailed
    default: self = .system(code: status)
    }
  }

  /// The same of a login that failed without a word of the broker.
  fileprivate init(loggingIn status: Int32) {
    switch amqp_status_enum_(status) {
    case AMQP_STATUS_TIMEOUT: self = .silent
    case AMQP_STATUS_BAD_AMQP_DATA, AMQP_STATUS_UNKNOWN_CLASS, AMQP_STATUS_UNKNOWN_METHOD,
      AMQP_STATUS_INCOMPATIBLE_AMQP_VERSION, AMQP_STATUS_WRONG_METHOD,
      AMQP_STATUS_BROKER_UNSUPPORTED_SASL_METHOD, AMQP_STATUS_UNEXPECTED_STATE:
      self = .notABroker
    default: self = BrokerFault(working: status)
    }
  }

  /// The same of a connection at work.
  fileprivate init(working status: Int32) {
    switch amqp_status_enum_(status) {
    case AMQP_STATUS_TIMEOUT, AMQP_STATUS_HEARTBEAT_TIMEOUT: self = .silent
    case AMQP_STATUS_CONNECTION_CLOSED, AMQP_STATUS_SOCKET_ERROR, AMQP_STATUS_TCP_ERROR,
      AMQP_STATUS_SOCKET_CLOSED:
      self = .disconnected
    case AMQP_STATUS_SSL_ERROR: self = .disconnected
    case AMQP_STATUS_BAD_AMQP_DATA, AMQP_STATUS_UNKNOWN_CLASS, AMQP_STATUS_UNKNOWN_METHOD:
      self = .notABroker
    default: self = .system(code: status)
    }
  }

  /// RabbitMQ answers 403 to wrong credentials, and 530 to both faults of a virtual host.
  fileprivate init(closedAtLogin code: UInt16, said: String, virtualHost: ByteText) {
    switch code {
    case 403: self = .credentialsRefused
    case 530 where said.contains("not found"): self = .virtualHostMissing(virtualHost)
    case 530 where said.contains("refused"): self = .virtualHostRefused(virtualHost)
    default: self = .closed(code: code, said: said)
    }
  }
}

/// A structure of librabbitmq's with all its bytes zero.
///
/// Explicitly unsafe: which of these structures count as safe to make isn't the same in every build.
@unsafe private func zeroed<Form: BitwiseCopyable>(_ type: Form.Type) -> Form {
  unsafe withUnsafeTemporaryAllocation(of: type, capacity: 1) { buffer in
    unsafe memset(buffer.baseAddress!, 0, MemoryLayout<Form>.size)
    return unsafe buffer[0]
  }
}
