public import Journal

/// What a server answered to a call.
public enum RemoteReply: Hashable, Sendable {
  case result(JSONValue)
  /// The method raised an exception.
  case failure(RemoteFailure)
}

/// An exception of a server, as oslo.messaging sends it.
public struct RemoteFailure: Hashable, Sendable, CustomStringConvertible {
  /// Its class, such as `UnsupportedVersion`; empty where the server doesn't say.
  public let kind: String
  public let module: String
  public let message: String

  public var description: String { "\(kind): \(message)" }
}

/// A message in the queue of replies, out of its envelope.
struct IncomingReply {
  /// The call that it answers.
  let call: UUID128
  let reply: RemoteReply
  /// Further parts come unless this is true.
  let isLast: Bool

  /// - Returns: nil for what names no call: it can be nobody's answer.
  /// - Throws: Why it isn't an answer, in words to stand behind the name of the queue.
  init?(_ body: [UInt8]) throws(ReplyError) {
    let inner: JSONValue
    do throws(JSONError) {
      let outer = try JSONValue(parsing: body)
      inner =
        try outer["oslo.message"]?.string.map { text throws(JSONError) in
          try JSONValue(parsing: text)
        } ?? outer
    } catch {
      throw ReplyError(call: nil, why: error.description)
    }
    guard let text = inner["_msg_id"]?.string, let call = UUID128(hexadecimal: text) else {
      return nil
    }
    self.call = call
    isLast = inner["ending"] == .flag(true)
    switch inner["failure"] {
    case nil, .null?: reply = .result(inner["result"] ?? .null)
    case .text(let failure)?: reply = .failure(try RemoteFailure(failure, of: call))
    default: throw ReplyError(call: call, why: "has a failure of an unknown form")
    }
  }
}

struct ReplyError: Error {
  let call: UUID128?
  let why: String
}

extension RemoteFailure {
  /// Reads the text that oslo.messaging's `serialize_remote_exception` makes.
  fileprivate init(_ text: String, of call: UUID128) throws(ReplyError) {
    let value: JSONValue
    do throws(JSONError) { value = try JSONValue(parsing: text) } catch {
      throw ReplyError(call: call, why: "has a failure that \(error)")
    }
    kind = value["class"]?.string ?? ""
    module = value["module"]?.string ?? ""
    message = value["message"]?.string ?? ""
  }
}
