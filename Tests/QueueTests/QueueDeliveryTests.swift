import Cells
import Journal
import TestSupport
import Testing

/// What needs the real broker, one test after the other: some of them stop it.
@Suite(.waiting, .serialized, .enabled(if: TestBroker.isInstalled, TestBroker.missing))
struct WithBroker {
  @Suite(.waiting) struct Delivery {
    let broker: TestBroker
    init() throws { broker = try TestBroker.shared() }

    @Test(arguments: ComputeListener.Durability.allCases)
    func `brings a cast into a host's queue, however it was declared`(
      durability: ComputeListener.Durability
    ) throws {
      let host = "host-\(durability)"
      let listener = try ComputeListener(host: host, on: broker, durability: durability)
      defer { listener.end() }
      let arguments: [String: JSONValue] = [
        "instance": .object(["uuid": "é\u{1F600}\n\"", "size": try JSONValue(parsing: "1.50e3")]),
        "clean": .flag(true), "nothing": .null, "list": .list([.number(1), "two"]),
      ]
      let message = try RemoteMessage(
        method: "reboot_instance", arguments: arguments, version: "6.0",
        context: ["user_id": "u", "roles": .list(["admin"])])
      let receipt = try pool(broker.address()).cast(
        message, toComputeHost: ByteText(host), until: soon())
      #expect(receipt.queue == ByteText("compute.\(host)"))
      #expect(receipt.consumers == 1)
      #expect(receipt.broker.port == broker.port)
      let body = try #require(listener.wait(for: 1).first)
      #expect(
        try ComputeListener.inner(of: body)
          == .object([
            "method": "reboot_instance", "args": .object(arguments), "version": "6.0",
            "_unique_id": .text(message.id.hexadecimal), "_context_user_id": "u",
            "_context_roles": .list(["admin"]),
          ]))
    }

    @Test func `sends a body of many frames whole`() throws {
      let listener = try ComputeListener(host: "large", on: broker)
      defer { listener.end() }
      let text = String(repeating: "0123456789abcdef", count: 1 << 16)
      let message = try RemoteMessage(
        method: "m", arguments: ["text": .text(text)], version: "6.0")
      _ = try pool(broker.address()).cast(message, toComputeHost: "large", until: soon())
      let body = try #require(listener.wait(for: 1).first)
      #expect(try ComputeListener.inner(of: body)["args"]?["text"] == .text(text))
    }

    @Test func `uses one connection for one message after the other`() throws {
      let listener = try ComputeListener(host: "again", on: broker)
      defer { listener.end() }
      let pool = try pool(broker.address())
      for _ in 0..<20 {
        _ = try pool.cast(.ping(), toComputeHost: "again", until: soon())
        #expect(pool.idleCount == 1)
      }
      #expect(listener.wait(for: 20).count == 20)
      pool.closeIdle()
      #expect(pool.idleCount == 0)
    }

    @Test func `names a queue that isn't there, and makes none`() throws {
      let pool = try pool(broker.address())
      for _ in 0..<2 {
        let fault = expectFault(within: 5_000) { deadline in
          _ = try pool.cast(.ping(), toComputeHost: "nowhere", until: deadline)
        }
        guard case .noSuchQueue("compute.nowhere", let said)? = fault else {
          Issue.record("\(String(describing: fault))")
          return
        }
        #expect(said.contains("compute.nowhere"))
      }
    }

    @Test func `sends nothing to a queue to which nobody listens`() throws {
      _ = try ComputeListener(host: "deaf", on: broker, isDeaf: true)
      let fault = expectFault(within: 5_000) { deadline in
        _ = try pool(broker.address()).cast(.ping(), toComputeHost: "deaf", until: deadline)
      }
      #expect(fault == .nobodyListening("compute.deaf"))
      let listener = try ComputeListener(host: "deaf2", on: broker)
      defer { listener.end() }
      #expect(listener.bodies.isEmpty)
    }

    @Test func `says that the exchange doesn't lead to the queue`() throws {
      let listener = try ComputeListener(host: "unbound", on: broker)
      defer { listener.end() }
      // Declares the exchange anew, which takes the binding away.
      let other = try ComputeListener(host: "bound", on: broker)
      defer { other.end() }
      let fault = expectFault(within: 5_000) { deadline in
        _ = try pool(broker.address()).cast(.ping(), toComputeHost: "unbound", until: deadline)
      }
      #expect(fault == .unroutable("compute.unbound", exchange: "nova"))
    }

    @Test func `says that the user may not write`() throws {
      let listener = try ComputeListener(host: "guarded", on: broker)
      defer { listener.end() }
      let fault = expectFault(within: 5_000) { deadline in
        _ = try pool(broker.address(user: "reader")).cast(
          .ping(), toComputeHost: "guarded", until: deadline)
      }
      guard case .refused(_, let said)? = fault else {
        Issue.record("\(String(describing: fault))")
        return
      }
      #expect(said.contains("ACCESS_REFUSED"))
      #expect(listener.bodies.isEmpty)
    }

    @Test func `says that a broker without memory takes nothing, and has sent nothing`() throws {
      let listener = try ComputeListener(host: "full", on: broker)
      defer { listener.end() }
      let pool = try pool(broker.address())
      _ = try pool.cast(.ping(), toComputeHost: "full", until: soon())
      try broker.whileOutOfMemory {
        for _ in 0..<2 {
          let fault = expectFault(within: 5_000) { deadline in
            _ = try pool.cast(.ping(), toComputeHost: "full", until: deadline)
          }
          guard case .blocked(_, let reason)? = fault else {
            Issue.record("\(String(describing: fault))")
            return
          }
          #expect(reason.contains("memory"))
        }
      }
      _ = try pool.cast(.ping(), toComputeHost: "full", until: soon())
      #expect(listener.wait(for: 3, within: .seconds(2)).count == 2)
    }
  }
}
