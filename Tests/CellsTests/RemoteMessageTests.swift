import Journal
import Testing

@testable import Cells

@Suite struct RemoteMessageTests {
  private func inner(of body: [UInt8]) throws -> JSONValue {
    let outer = try JSONValue(parsing: body)
    #expect(outer["oslo.version"] == "2.0")
    return try JSONValue(parsing: try #require(outer["oslo.message"]?.string))
  }

  @Test func `has the members of a cast, and no others`() throws {
    let message = try RemoteMessage(method: "m", version: "6.0")
    guard case .object(let members) = try inner(of: message.envelope()) else { return }
    #expect(members.keys.sorted() == ["_unique_id", "args", "method", "version"])
  }

  @Test func `has the members of a call where it wants an answer`() throws {
    let call = UUID128.random()
    let message = try RemoteMessage(
      method: "m", version: "6.0", namespace: "n", context: ["user": .null])
    let inner = try inner(of: message.envelope(replyTo: .init(queue: "reply_1", call: call)))
    #expect(inner["_msg_id"] == .text(call.hexadecimal))
    #expect(inner["_reply_q"] == "reply_1")
    #expect(inner["_timeout"] == .null)
    #expect(inner["namespace"] == "n")
    #expect(inner["_context_user"] == .null)
  }

  @Test(arguments: ["", "_m", "a b", "é", String(repeating: "m", count: 256)])
  func `refuses what is no method`(method: String) {
    #expect(throws: RemoteMessageError.badMethod) {
      try RemoteMessage(method: method, version: "1.0")
    }
  }

  @Test(arguments: ["", "6", "6.", ".0", "6.0.1", "6.x", "+6.0", "-1.0", "99999.0"])
  func `refuses what is no version`(version: String) {
    #expect(throws: RemoteMessageError.badVersion) {
      try RemoteMessage(method: "m", version: version)
    }
  }

  @Test func `reads a result, with and without the envelope`() throws {
    let call = UUID128.random()
    let inner =
      #"{"result": {"a": [1]}, "failure": null, "ending": true, "_msg_id": ""#
      + call.hexadecimal + #""}"#
    let outer = JSONValue.object(["oslo.version": "2.0", "oslo.message": .text(inner)]).line
    for text in [inner, outer] {
      let reply = try #require(try IncomingReply(Array(text.utf8)))
      #expect(reply.call == call)
      #expect(reply.isLast)
      #expect(reply.reply == .result(.object(["a": .list([.number(1)])])))
    }
  }

  @Test func `reads an exception out of its text within the text`() throws {
    let failure = #"{"class": "NoSuchMethod", "module": "m", "message": "x", "tb": ["…"]}"#
    let inner = JSONValue.object([
      "failure": .text(failure), "ending": .flag(true), "result": .null,
      "_msg_id": .text(UUID128.random().hexadecimal),
    ])
    let reply = try #require(try IncomingReply(Array(inner.line.utf8)))
    #expect(reply.reply == .failure(RemoteFailure(kind: "NoSuchMethod", module: "m", message: "x")))
  }

  @Test(arguments: ["", "[]", "{}", "not json", #"{"_msg_id": "1"}"#])
  func `takes for nobody's answer what names no call`(text: String) {
    let reply = try? IncomingReply(Array(text.utf8))
    #expect(reply == nil)
  }
}
