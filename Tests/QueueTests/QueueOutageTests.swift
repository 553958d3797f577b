import CSlowNames
import Cells
import Foundation
import Journal
import TestSupport
import Testing

extension WithBroker {
  /// Brokers that go and come back, and names that nobody resolves.
  @Suite(.waiting) struct Outages {
    @Test func `a broker that was killed and started again takes the next cast`() throws {
      let first = try TestBroker()
      defer { first.stop() }
      let pool = try pool(first.address(user: "plain", password: "secret-of-plain"))
      _ = try ComputeListener(host: "h", on: first)
      _ = try pool.cast(.ping(), toComputeHost: "h", until: soon())
      first.killNow()
      let fault = expectFault(within: 2_000) { deadline in
        _ = try pool.cast(.ping(), toComputeHost: "h", until: deadline)
      }
      guard case .unreachable(let failures)? = fault else {
        Issue.record("\(String(describing: fault))")
        return
      }
      #expect(failures.map(\.fault) == [.notConnected])
      let second = try TestBroker(at: first.port)
      defer { second.stop() }
      let listener = try ComputeListener(host: "h", on: second)
      defer { listener.end() }
      _ = try pool.cast(.ping(), toComputeHost: "h", until: soon())
      #expect(listener.wait(for: 1).count == 1)
    }

    @Test func `a broker is reached by IPv6`() throws {
      let broker = try TestBroker.shared()
      let listener = try ComputeListener(host: "six", on: broker)
      defer { listener.end() }
      let pool = try pool(broker.address(host: "[::1]"))
      let receipt = try pool.cast(.ping(), toComputeHost: "six", until: soon())
      #expect("\(receipt.broker)" == "[::1]:\(broker.port)")
      #expect(listener.wait(for: 1).count == 1)
    }

    @Test func `a name that isn't resolved costs the deadline, and one thread`() throws {
      let broker = try TestBroker.shared()
      let listener = try ComputeListener(host: "beside", on: broker)
      defer { listener.end() }
      let slow = try pool(broker.address(host: "mq.slow.invalid"), limit: 2)
      let resolving = Duration.seconds(CELLMAP_SLOW_NAME_SECONDS)
      for _ in 0..<4 {
        let fault = expectFault(within: 300, slack: resolving / 2) { deadline in
          _ = try slow.cast(.ping(), toComputeHost: "any", until: deadline)
        }
        guard case .unreachable(let failures)? = fault else {
          Issue.record("\(String(describing: fault))")
          return
        }
        #expect(failures.map(\.fault) == [.nameUnresolved])
      }
      // The resolver can't be broken off; who comes meanwhile waits for the same answer.
      #expect(cellmap_slow_names() == 1)
      _ = try pool(broker.address()).cast(.ping(), toComputeHost: "beside", until: soon())
      #expect(listener.wait(for: 1).count == 1)
      while cellmap_slow_names() > 0 { usleep(50_000) }
    }
  }
}
