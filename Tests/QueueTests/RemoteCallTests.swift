import Journal
import TestSupport
import Testing

@testable import Cells

extension WithBroker {
  @Suite(.waiting) struct Calling {
    let broker: TestBroker
    init() throws { broker = try TestBroker.shared() }

    @Test func `gets the answers of several hosts at once, and says which hosts give none`() throws
    {
      let first = try ComputeListener(host: "call1", on: broker)
      let second = try ComputeListener(host: "call2", on: broker)
      _ = try ComputeListener(host: "call-deaf", on: broker, isDeaf: true)
      let mute = try ComputeListener(host: "call-mute", on: broker, answers: false)
      defer { [first, second, mute].forEach { $0.end() } }
      for listener in [first, second, mute] { listener.bind(on: broker) }
      let pool = try pool(broker.address())
      let hosts: [ByteText] = ["call1", "call-none", "call2", "call-deaf", "call-mute"]
      let start = ContinuousClock.now
      let answers = try pool.call(.ping(), onComputeHosts: hosts, until: soon(15_000))
      #expect(start.duration(to: .now) < .seconds(15) + busyMachine)
      #expect(answers.map(\.host) == hosts)
      #expect(answers[0].outcome == .success(.result("pong")))
      #expect(answers[2].outcome == .success(.result("pong")))
      #expect(answers[3].outcome == .failure(.nobodyListening("compute.call-deaf")))
      #expect(answers[4].outcome == .failure(.noReply("compute.call-mute")))
      guard case .failure(.noSuchQueue("compute.call-none", _)) = answers[1].outcome else {
        Issue.record("\(answers[1])")
        return
      }
      let again = try pool.call(.ping(), onComputeHosts: ["call1"], until: soon(15_000))
      #expect(again[0].outcome == .success(.result("pong")))
      #expect(pool.idleCount == 1, "the connection is used again")
    }

    @Test func `a host that isn't bound fails alone`() throws {
      let hosts: [ByteText] = ["unbound-a", "unbound-b", "bound-after"]
      // Each declares the exchange anew, which takes the bindings of those before away.
      let listeners = try hosts.map { try ComputeListener(host: $0.string, on: broker) }
      defer { listeners.forEach { $0.end() } }
      let pool = try pool(broker.address())
      let answers = try pool.call(.ping(), onComputeHosts: hosts, until: soon(20_000))
      #expect(
        answers.map(\.outcome) == [
          .failure(.unroutable("compute.unbound-a", exchange: "nova")),
          .failure(.unroutable("compute.unbound-b", exchange: "nova")),
          .success(.result("pong")),
        ])
      #expect(listeners.map { $0.bodies.count } == [0, 0, 1])
      #expect(pool.idleCount == 1, "the connection is used again")
    }

    @Test func `a queue that goes away once its message is announced fails alone`() throws {
      let listener = try ComputeListener(host: "stays", on: broker)
      defer { listener.end() }
      let location = try QueueLocation(
        QueueAddress(parsing: Secret(broker.address())), options: .none)
      let session = try QueueSession(to: location.brokers[0], by: location, until: soon())
      defer { session.close() }
      let body = RemoteMessage.ping().envelope()
      for round in 1...3 {
        // Announced, and found to be missing before its body is sent.
        let gone = try QueueMessage(queue: "compute.gone", body: body)
        #expect(throws: DeliveryFault.self) {
          try session.deliver(gone, until: soon(), progress: DeliveryProgress())
        }
        #expect(try session.leaveAnnouncedMessage())
        let stays = try QueueMessage(queue: "compute.stays", body: body)
        #expect(try session.deliver(stays, until: soon(), progress: DeliveryProgress()) == 1)
        #expect(listener.wait(for: round).count == round)
      }
    }

    @Test func `hands an exception of the server on`() throws {
      let listener = try ComputeListener(host: "fail", on: broker)
      defer { listener.end() }
      let message = try RemoteMessage(method: "fail", version: "9.0")
      let answers = try pool(broker.address()).call(
        message, onComputeHosts: ["fail"], until: soon(15_000))
      guard case .success(.failure(let failure)) = answers[0].outcome else {
        Issue.record("\(answers[0])")
        return
      }
      #expect(failure.kind == "UnsupportedVersion")
      #expect(failure.message == "Endpoint does not support RPC version 9.0")
    }

    @Test func `fails as a whole where the broker is dead`() throws {
      let pool = try pool(broker.address(port: try freePort()))
      let fault = expectFault(within: 2_000) { deadline in
        _ = try pool.call(.ping(), onComputeHosts: ["any"], until: deadline)
      }
      guard case .unreachable? = fault else {
        Issue.record("\(String(describing: fault))")
        return
      }
    }
  }
}
