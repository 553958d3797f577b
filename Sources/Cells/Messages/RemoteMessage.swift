public import Journal

/// A remote procedure call as oslo.messaging's servers understand it, before it is addressed.
public struct RemoteMessage: Hashable, Sendable {
  public let method: String
  public let arguments: [String: JSONValue]
  /// `MAJOR.MINOR`; a server takes its own major version, and minor ones up to its own.
  public let version: String
  /// nil for the compute methods.
  public let namespace: String?
  /// The request's context by the names that Nova has for its parts, such as `user_id`.
  public let context: [String: JSONValue]
  /// A server drops a message whose id is among the last sixteen that it got.
  public let id: UUID128

  /// - Throws: `RemoteMessageError`.
  public init(
    method: String, arguments: [String: JSONValue] = [:], version: String,
    namespace: String? = nil, context: [String: JSONValue] = [:], id: UUID128 = .random()
  ) throws(RemoteMessageError) {
    // oslo.messaging refuses names that begin with an underscore: they are a server's own.
    guard Self.isName(method), !method.hasPrefix("_") else { throw .badMethod }
    let numbers = version.split(separator: ".", omittingEmptySubsequences: false)
    guard numbers.count == 2, numbers.allSatisfy({ UInt16($0) != nil && !$0.hasPrefix("+") }) else {
      throw .badVersion
    }
    if let namespace, !Self.isName(namespace) { throw .badNamespace }
    self.method = method
    self.arguments = arguments
    self.version = version
    self.namespace = namespace
    self.context = context
    self.id = id
  }

  /// Asks whether a server is there; every oslo.messaging server of OpenStack answers it.
  public static func ping(id: UUID128 = .random()) -> RemoteMessage {
    do throws(RemoteMessageError) {
      return try RemoteMessage(
        method: "ping", arguments: ["arg": "cellmap"], version: "1.0", namespace: pingNamespace,
        id: id)
    } catch {
      preconditionFailure("the ping is a good message")
    }
  }

  /// The namespace in which `ping` does nothing but answer.
  public static let pingNamespace = "baseapi"

  private static func isName(_ text: String) -> Bool {
    (1...255).contains(text.utf8.count)
      && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\"") }
  }
}

/// Why a message can't be one of oslo.messaging's.
public enum RemoteMessageError: Error, Hashable, Sendable, CustomStringConvertible {
  case badMethod, badVersion, badNamespace

  public var description: String {
    switch self {
    case .badMethod: "A method is a word of printable ASCII that doesn't begin with an underscore."
    case .badVersion: "A version is two numbers with a dot between them, such as 6.0."
    case .badNamespace: "A namespace is a word of printable ASCII."
    }
  }
}

extension RemoteMessage {
  /// Where the answer to a call goes.
  struct ReplyAddress {
    let queue: String
    /// Repeated in the answer.
    let call: UUID128
  }

  /// The queue of a compute host.
  public static func queue(ofComputeHost host: ByteText) -> ByteText {
    ByteText("compute.\(host)")
  }

  /// The message in oslo.messaging's envelope 2.0: JSON, in which the message itself is a text of
  /// JSON.
  func envelope(replyTo reply: ReplyAddress? = nil) -> [UInt8] {
    var inner: [String: JSONValue] = [
      "method": .text(method), "args": .object(arguments), "version": .text(version),
      "_unique_id": .text(id.hexadecimal),
    ]
    if let namespace { inner["namespace"] = .text(namespace) }
    for (name, value) in context { inner["_context_" + name] = value }
    if let reply {
      inner["_msg_id"] = .text(reply.call.hexadecimal)
      inner["_reply_q"] = .text(reply.queue)
      inner["_timeout"] = .null
    }
    let outer = JSONValue.object([
      "oslo.version": "2.0", "oslo.message": .text(JSONValue.object(inner).line),
    ])
    return Array(outer.line.utf8)
  }
}
