import Cells
import Journal
import TestSupport
import Testing

extension WithBroker {
  @Suite struct Calling {
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
      let answers = try pool.call(.ping(), onComputeHosts: hosts, until: soon(3_000))
      #expect(start.duration(to: .now) < .seconds(3) + busyMachine)
      #expect(answers.map(\.host) == hosts)
      #expect(answers[0].outcome == .success(.result("pong")))
      #expect(answers[2].outcome == .success(.result("pong")))
      #expect(answers[3].outcome == .failure(.nobodyListening("compute.call-deaf")))
      #expect(answers[4].outcome == .failure(.noReply("compute.call-mute")))
      guard case .failure(.noSuchQueue("compute.call-none", _)) = answers[1].outcome else {
        Issue.record("\(answers[1])")
        return
      }
      let again = try pool.call(.ping(), onComputeHosts: ["call1"], until: soon(5_000))
      #expect(again[0].outcome == .success(.result("pong")))
      #expect(pool.idleCount == 1, "the connection is used again")
    }

    @Test func `hands an exception of the server on`() throws {
      let listener = try ComputeListener(host: "fail", on: broker)
      defer { listener.end() }
      let message = try RemoteMessage(method: "fail", version: "9.0")
      let answers = try pool(broker.address()).call(
        message, onComputeHosts: ["fail"], until: soon(5_000))
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
