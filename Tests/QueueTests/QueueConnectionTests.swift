import Cells
import Foundation
import Journal
import TestServers
import TestSupport
import Testing

extension WithBroker {
  @Suite(.waiting) struct Connecting {
    let broker: TestBroker
    init() throws { broker = try TestBroker.shared() }

    /// The one reason why the only broker of an address couldn't be worked with.
    private func reason(
      _ address: String, options: [(name: String, value: ByteText)] = [], within limit: Int = 3_000
    ) throws -> BrokerFault? {
      let pool = try pool(address, options: options)
      let fault = expectFault(within: limit) { deadline in
        _ = try pool.cast(.ping(), toComputeHost: "any", until: deadline)
      }
      guard case .unreachable(let failures)? = fault else {
        Issue.record("\(String(describing: fault))")
        return nil
      }
      #expect(failures.count == 1)
      #expect(!"\(String(describing: fault))".contains(broker.password))
      return failures.first?.fault
    }

    @Test(arguments: [true, false])
    func `takes every number from its smallest to its largest`(isLargest: Bool) throws {
      let names = [
        "conn_pool_min_size", "conn_pool_ttl", "heartbeat_rate",
        "kombu_missing_consumer_retry_timeout", "kombu_reconnect_delay", "kombu_reconnect_splay",
        "rabbit_interval_max", "rabbit_qos_prefetch_count", "rabbit_quorum_delivery_limit",
        "rabbit_quorum_max_memory_bytes", "rabbit_quorum_max_memory_length", "rabbit_retry_backoff",
        "rabbit_retry_interval", "rabbit_transient_queues_ttl", "rpc_conn_pool_size",
      ]
      let others = names.map { "&\($0)=\(isLargest ? Int64.max : 0)" }.joined()
      let options = "?heartbeat_timeout_threshold=\(isLargest ? 65_535 : 0)" + others
      #expect(try pool(broker.address(options: options)).connect(until: soon()).port == broker.port)
    }

    @Test func `says that the password is wrong`() throws {
      #expect(try reason(broker.address(password: "wrong")) == .credentialsRefused)
    }

    @Test func `says that there is no such virtual host`() throws {
      #expect(try reason(broker.address("cell9")) == .virtualHostMissing("cell9"))
    }

    @Test func `says that nobody listens at the port`() throws {
      #expect(try reason(broker.address(port: try freePort())) == .notConnected)
    }

    @Test func `says that a name doesn't resolve`() throws {
      #expect(try reason(broker.address(host: "no-such-host.invalid")) == .nameUnresolved)
    }

    @Test func `says that a listener is silent`() throws {
      let listener = try FaultProxy(to: 1, .silent)
      defer { listener.stop() }
      #expect(try reason(broker.address(port: UInt16(listener.port)), within: 500) == .silent)
    }

    @Test func `says that something else than a broker answers`() throws {
      let words = Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)
      let listener = try FaultProxy(to: 1, .answers(words, times: 1))
      defer { listener.stop() }
      let fault = try reason(broker.address(port: UInt16(listener.port)), within: 2_000)
      #expect([.notABroker, .disconnected].contains(fault), "\(String(describing: fault))")
    }

    @Test func `says that a stopped broker is silent`() throws {
      try broker.whileStopped {
        let found = try reason(broker.address(), within: 500)
        #expect(found == .silent)
      }
    }

    @Test func `says that a broker which stops with the connection open is silent`() throws {
      let listener = try ComputeListener(host: "stopped", on: broker)
      let pool = try pool(broker.address())
      _ = try pool.cast(.ping(), toComputeHost: "stopped", until: soon())
      #expect(listener.wait(for: 1).count == 1)
      try broker.whileStopped {
        let fault = expectFault(within: 500) { deadline in
          _ = try pool.cast(.ping(), toComputeHost: "stopped", until: deadline)
        }
        guard case .unreachable(let failures)? = fault else {
          Issue.record("\(String(describing: fault))")
          return
        }
        #expect(failures.map(\.fault) == [.silent])
      }
      _ = try pool.cast(.ping(), toComputeHost: "stopped", until: soon())
      listener.end()
      #expect(listener.bodies.count == 2, "what was given up is never sent")
    }

    @Test func `replaces a connection that the broker has closed meanwhile`() throws {
      let listener = try ComputeListener(host: "closed", on: broker)
      defer { listener.end() }
      let pool = try pool(broker.address("cell1", user: "nova"))
      _ = try pool.cast(.ping(), toComputeHost: "closed", until: soon())
      try broker.control(
        "eval",
        "[rabbit_networking:close_connection(P, \"test\") || P <- rabbit_networking:connections(),"
          + " {connected_at, _} <- [hd(rabbit_networking:connection_info(P, [connected_at]))],"
          + " lists:member({<<\"product\">>, longstr, <<\"cellmap\">>},"
          + " proplists:get_value(client_properties,"
          + " rabbit_networking:connection_info(P, [client_properties]))),"
          + " proplists:get_value(user, rabbit_networking:connection_info(P, [user]))"
          + " =:= <<\"nova\">>].")
      // The listener's own connection bears the same name, so another one listens now.
      let second = try ComputeListener(host: "closed", on: broker)
      defer { second.end() }
      _ = try pool.cast(.ping(), toComputeHost: "closed", until: soon())
      #expect(second.wait(for: 1).count == 1)
    }

    @Test func `turns to the next broker where one is dead`() throws {
      let listener = try ComputeListener(host: "failover", on: broker)
      defer { listener.end() }
      let dead = "nova:x@127.0.0.1:\(try freePort())"
      let address =
        "rabbit://\(dead),nova:\(broker.encodedPassword)@127.0.0.1:\(broker.port),\(dead)/cell1"
      for _ in 0..<4 {
        _ = try pool(address).cast(.ping(), toComputeHost: "failover", until: soon())
      }
      #expect(listener.wait(for: 4).count == 4)
    }

    @Test func `turns to the next broker where one is silent`() throws {
      let silent = try FaultProxy(to: 1, .silent)
      defer { silent.stop() }
      let listener = try ComputeListener(host: "failover2", on: broker)
      defer { listener.end() }
      let address =
        "rabbit://nova:x@127.0.0.1:\(silent.port),"
        + "nova:\(broker.encodedPassword)@127.0.0.1:\(broker.port)/cell1"
      for _ in 0..<3 {
        _ = try pool(address).cast(.ping(), toComputeHost: "failover2", until: soon(10_000))
      }
      #expect(listener.wait(for: 3).count == 3)
    }

    @Test func `names every broker where none can be worked with`() throws {
      let pool = try pool(
        "rabbit://a:b@127.0.0.1:\(try freePort()),a:b@no-such-host.invalid,"
          + "nova:wrong@127.0.0.1:\(broker.port)/cell1")
      let fault = expectFault(within: 5_000) { deadline in
        _ = try pool.cast(.ping(), toComputeHost: "any", until: deadline)
      }
      guard case .unreachable(let failures)? = fault else {
        Issue.record("\(String(describing: fault))")
        return
      }
      #expect(
        Set(failures.map(\.fault)) == [.notConnected, .nameUnresolved, .credentialsRefused])
    }

    @Test func `keeps a heartbeat while nobody has work`() throws {
      let listener = try ComputeListener(host: "heart", on: broker)
      defer { listener.end() }
      let pool = try pool(broker.address(options: "?heartbeat_timeout_threshold=1"))
      var isKept = false
      var casts = 0
      // The broker closes a connection that is silent for two heartbeats, as one may be on a machine
      // that is busy.
      for _ in 1...3 where !isKept {
        _ = try pool.cast(.ping(), toComputeHost: "heart", until: soon())
        casts += 1
        sleep(4)
        isKept = pool.idleCount == 1
      }
      #expect(isKept)
      _ = try pool.cast(.ping(), toComputeHost: "heart", until: soon())
      #expect(listener.wait(for: casts + 1).count == casts + 1)
    }

    @Test func `closes a connection that nobody has used for its idle time`() throws {
      let listener = try ComputeListener(host: "idle", on: broker)
      defer { listener.end() }
      let pool = try pool(broker.address(), idleTime: .seconds(3))
      _ = try pool.cast(.ping(), toComputeHost: "idle", until: soon())
      #expect(pool.idleCount == 1)
      #expect(eventually { pool.idleCount == 0 })
      _ = try pool.cast(.ping(), toComputeHost: "idle", until: soon())
      #expect(listener.wait(for: 2).count == 2)
    }

    @Test func `gives an honest answer wherever the connection is cut`() throws {
      let listener = try ComputeListener(host: "cut", on: broker)
      defer { listener.end() }
      let proxy = try FaultProxy(to: Int(broker.port), .none)
      defer { proxy.stop() }
      var (delivered, unknown) = (0, 0)
      var length = 0
      while delivered == 0 {
        proxy.change(to: .cutsAfter(bytes: length))
        let message = try RemoteMessage(method: "m", version: "6.0")
        do {
          _ = try pool(broker.address(port: UInt16(proxy.port))).cast(
            message, toComputeHost: "cut", until: soon(2_000))
          delivered += 1
        } catch let error as QueueError {
          if error.fault.isOutcomeUnknown { unknown += 1 }
        }
        // Every byte near the end, where the message itself is on its way.
        length += length < 400 ? 7 : 1
        #expect(length < 5_000, "the whole exchange is shorter")
        if length >= 5_000 { break }
      }
      #expect(unknown > 0, "some cuts come after the message")
      // What was said to be in no queue is in none.
      let most = delivered + unknown
      #expect(listener.wait(for: most + 1, within: .seconds(2)).count <= most)
    }

    @Test func `holds to its limit of connections`() throws {
      let silent = try FaultProxy(to: 1, .silent)
      defer { silent.stop() }
      let pool = try pool(broker.address(port: UInt16(silent.port)), limit: 1)
      let other = DispatchSemaphore(value: 0)
      let isStarted = OwnThread.start {
        _ = try? pool.cast(.ping(), toComputeHost: "any", until: soon())
        other.signal()
      }
      #expect(isStarted)
      #expect(eventually { silent.connectionCount == 1 })
      let fault = expectFault(within: 300) { deadline in
        _ = try pool.cast(.ping(), toComputeHost: "any", until: deadline)
      }
      #expect(fault == .connectionsBusy(limit: 1))
      silent.disconnect(andChangeTo: .refuses)
      other.wait()
    }
  }

  @Suite(.waiting) struct Secured {
    let broker: TestBroker
    init() throws { broker = try TestBroker.shared() }

    private func options(
      _ changes: [String: String?] = [:]
    ) -> [(name: String, value: ByteText)] {
      let all: [String: String?] = [
        "ssl": "true", "ssl_ca_file": broker.authorityFile,
        "ssl_cert_file": broker.certificateFile, "ssl_key_file": broker.keyFile,
      ]
      return all.merging(changes) { $1 }.compactMap { name, value in
        value.map { (name, ByteText($0)) }
      }
    }

    private func fault(
      _ options: [(name: String, value: ByteText)], host: String = "localhost",
      port: UInt16? = nil
    ) throws -> BrokerFault? {
      let pool = try pool(
        broker.address(host: host, port: port ?? broker.tlsPort), options: options)
      let fault = expectFault(within: 5_000) { deadline in
        _ = try pool.cast(.ping(), toComputeHost: "any", until: deadline)
      }
      guard case .unreachable(let failures)? = fault else {
        Issue.record("\(String(describing: fault))")
        return nil
      }
      return failures.first?.fault
    }

    @Test(arguments: ["localhost", "127.0.0.1"])
    func `casts over TLS with the files of the connection options`(host: String) throws {
      let listener = try ComputeListener(host: "tls", on: broker)
      defer { listener.end() }
      let pool = try pool(
        broker.address(host: host, port: broker.tlsPort), options: options())
      _ = try pool.cast(.ping(), toComputeHost: "tls", until: soon())
      #expect(listener.wait(for: 1).count == 1)
    }

    @Test func `takes the options of the address before those beside it`() throws {
      let pool = try pool(
        broker.address(
          host: "localhost", port: broker.tlsPort,
          options: "?ssl=1&ssl_ca_file=\(broker.authorityFile)"),
        options: options(["ssl": "false", "ssl_ca_file": "/nowhere"]))
      #expect(try pool.connect(until: soon()).port == broker.tlsPort)
    }

    @Test func `refuses a broker whose certificate isn't the authority's`() throws {
      #expect(try fault(options(["ssl_ca_file": nil])) == .certificateRefused)
    }

    /// Whether somebody listens at a port of the loopback.
    private func isListening(at port: UInt16) -> Bool {
      let table = (try? String(contentsOfFile: "/proc/self/net/tcp", encoding: .utf8)) ?? ""
      let hexadecimal = String(port, radix: 16, uppercase: true)
      let ending = ":" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
      return table.split(separator: "\n").contains { line in
        let fields = line.split(separator: " ")
        return fields.count > 3 && fields[1].hasSuffix(ending) && fields[3] == "0A"
      }
    }

    @Test func `refuses a broker whose certificate is for another name`() throws {
      // A certificate of the same authority, for the name "client".
      let server = Process()
      let port = try freePort()
      server.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
      server.arguments = [
        "s_server", "-quiet", "-accept", "127.0.0.1:\(port)", "-cert", broker.certificateFile,
        "-key", broker.keyFile,
      ]
      server.standardInput = Pipe()
      try server.run()
      // SIGTERM is blocked in what Foundation starts.
      defer { kill(server.processIdentifier, SIGKILL) }
      #expect(eventually { isListening(at: port) })
      #expect(try fault(options(), port: port) == .certificateRefused)
    }

    @Test func `says that the broker wants a client certificate`() throws {
      let fault = try fault(options(["ssl_cert_file": nil, "ssl_key_file": nil]))
      #expect([.tlsFailed, .disconnected].contains(fault), "\(String(describing: fault))")
    }

    @Test func `names a file that isn't there`() throws {
      #expect(
        try fault(options(["ssl_ca_file": "/no/ca.pem"])) == .tlsFile(path: "/no/ca.pem"))
    }

    @Test func `says that a listener speaks no TLS`() throws {
      let fault = try fault(options(), port: broker.port)
      #expect([.tlsFailed, .disconnected].contains(fault), "\(String(describing: fault))")
    }
  }
}
