internal import CRabbitMQ

/// What a broker says, copied out of librabbitmq's memory.
enum RabbitFrame {
  case channelOpened(UInt16)
  case channelClosed(UInt16, code: UInt16, said: String)
  case connectionClosed(code: UInt16, said: String)
  /// Nothing more is read from this connection until `unblocked`.
  case blocked(reason: String)
  case unblocked
  case confirmsSelected
  case declared(consumers: Int)
  case consuming
  case acknowledged(upTo: UInt64)
  case rejected(upTo: UInt64)
  /// A mandatory message that led to no queue; its header and body follow.
  case returned(code: UInt16, said: String)
  /// A message of a queue that is consumed; its header and body follow.
  case delivery
  case header(UInt16, bodyBytes: UInt64)
  case body(UInt16, [UInt8])
  case other
}

extension RabbitFrame {
  init(_ frame: amqp_frame_t) {
    switch unsafe Int32(frame.frame_type) {
    case AMQP_FRAME_METHOD:
      self = unsafe RabbitFrame(method: frame.payload.method, on: frame.channel)
    case AMQP_FRAME_HEADER:
      self = unsafe .header(frame.channel, bodyBytes: frame.payload.properties.body_size)
    case AMQP_FRAME_BODY:
      let bytes = unsafe frame.payload.body_fragment
      self = unsafe .body(
        frame.channel, Array(UnsafeRawBufferPointer(start: bytes.bytes, count: bytes.len)))
    default: self = .other
    }
  }

  /// Reads a decoded method as the structure that belongs to its number (amqp_framing.h).
  private init(method: amqp_method_t, on channel: UInt16) {
    func decoded<Form>(_ form: Form.Type) -> Form {
      guard let pointer = unsafe method.decoded else {
        preconditionFailure("librabbitmq decodes every method that it hands out")
      }
      return unsafe pointer.load(as: form)
    }
    switch unsafe CRabbitMethod(method.id) {
    case CRabbitChannelOpenOK: self = .channelOpened(channel)
    case CRabbitChannelClose:
      let close = unsafe decoded(amqp_channel_close_t.self)
      self = unsafe .channelClosed(
        channel, code: close.reply_code, said: text(close.reply_text))
    case CRabbitConnectionClose:
      let close = unsafe decoded(amqp_connection_close_t.self)
      self = unsafe .connectionClosed(code: close.reply_code, said: text(close.reply_text))
    case CRabbitConnectionBlocked:
      self = unsafe .blocked(reason: text(decoded(amqp_connection_blocked_t.self).reason))
    case CRabbitConnectionUnblocked: self = .unblocked
    case CRabbitConfirmSelectOK: self = .confirmsSelected
    case CRabbitQueueDeclareOK:
      self = unsafe .declared(
        consumers: Int(decoded(amqp_queue_declare_ok_t.self).consumer_count))
    case CRabbitBasicConsumeOK: self = .consuming
    case CRabbitBasicAck:
      self = .acknowledged(upTo: decoded(amqp_basic_ack_t.self).delivery_tag)
    case CRabbitBasicNack:
      self = .rejected(upTo: decoded(amqp_basic_nack_t.self).delivery_tag)
    case CRabbitBasicReturn:
      let returned = unsafe decoded(amqp_basic_return_t.self)
      self = unsafe .returned(code: returned.reply_code, said: text(returned.reply_text))
    case CRabbitBasicDeliver: self = .delivery
    default: self = .other
    }
  }
}

/// The broker's own words, at most so many bytes of them, without controls.
private func text(_ bytes: amqp_bytes_t) -> String {
  let buffer = unsafe UnsafeRawBufferPointer(start: bytes.bytes, count: min(bytes.len, 512))
  let shown = unsafe buffer.map { $0 < 0x20 || $0 == 0x7F ? UInt8(ascii: " ") : $0 }
  return String(decoding: shown, as: UTF8.self)
}
